"""One fault each, of known side and span: the side is found, the span is found, and nobody is blamed without one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from agents import set_trace_processors
from bench import tau
from bench.shared_data import reason_to_skip
from capture import recording
from capture.recording import OPEN_JOURNALS
from faults.attribution import cases

from agenttrace_nb.analysis.failures.attribution import attribute_failure
from agenttrace_nb.analysis.failures.findings import Side
from agenttrace_nb.capture import install, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HARMLESS = (cases.UNTOUCHED, cases.HARMLESS)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    set_trace_processors([])
    yield
    install.uninstall()
    state.forget_all()
    while OPEN_JOURNALS:
        OPEN_JOURNALS.pop().close()
    set_trace_processors([])


async def verdicts(chosen: list[cases.Case], folder: Path) -> dict[str, list[cases.Verdict]]:
    found: dict[str, list[cases.Verdict]] = defaultdict(list)
    for case in chosen:
        trace = await cases.played(case, folder)
        said = attribute_failure(trace)
        assert said.problems == ()
        found[case.fault].append(cases.judged(case, trace, said))
        while recording.OPEN_JOURNALS:
            recording.OPEN_JOURNALS.pop().close()
    return found


def rate(its: list[cases.Verdict], what: str) -> float:
    return sum(getattr(verdict, what) for verdict in its) / len(its)


def check_goals(found: dict[str, list[cases.Verdict]]) -> None:
    faulty = [v for fault, its in found.items() if fault not in HARMLESS for v in its]
    assert rate(faulty, "side_right") >= 0.95
    assert rate(faulty, "span_right") >= 0.90
    for fault, its in found.items():
        if fault not in HARMLESS:
            assert min(rate(its, "side_right"), rate(its, "span_right")) >= 0.8, fault
    harmless = [v for fault in HARMLESS for v in found[fault]]
    assert sum(v.side is not Side.UNDETERMINED for v in harmless) <= 0.02 * len(harmless)


async def test_every_kind_of_fault_is_traced_to_its_side_and_span(tmp_path: Path) -> None:
    """Two desks for each fault; the slow sweep plays them all."""
    own = list(cases.own_cases())
    chosen = [case for number, case in enumerate(own) if case.scenario in {"shop", "bank"} or number % 11 == 0]
    found = await verdicts(chosen, tmp_path)
    assert len(found) == len(cases.graphs.FAULTS) + len(HARMLESS)
    check_goals(found)


async def test_passing_conversations_are_blamed_on_nobody(tmp_path: Path) -> None:
    data = tau.data()
    if data is None:
        pytest.skip(reason_to_skip(tau.DATA_SET))
    untouched = [case for case in cases.recorded_cases(data) if case.fault == cases.UNTOUCHED]
    assert len(untouched) == 84
    found = await verdicts(untouched[::6], tmp_path)
    assert {verdict.side for its in found.values() for verdict in its} == {Side.UNDETERMINED}


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_over_three_hundred_runs_the_goals_are_met(tmp_path: Path) -> None:
    data = tau.data()
    if data is None:
        pytest.skip(reason_to_skip(tau.DATA_SET))
    found = await verdicts(cases.all_cases(data), tmp_path)
    assert sum(len(its) for fault, its in found.items() if fault not in HARMLESS) >= 300
    check_goals(found)
