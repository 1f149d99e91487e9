"""Plain logs of another benchmark, in domains that no rule was made with: faults are found, and none where none is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import tau2
from bench.shared_data import folder, reason_to_skip
from faults.attribution import plain_logs

import agenttrace_nb as at
from agenttrace_nb.analysis.failures.findings import Side
from agenttrace_nb.analysis.latency_measure import timed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def simulations() -> list[tau2.Simulation]:
    data: Path | None = folder(tau2.DATA_SET)
    if data is None:
        pytest.skip(reason_to_skip(tau2.DATA_SET))
    return tau2.load(data)


def test_nobody_is_blamed_in_what_went_well_and_no_tool_in_what_did_not(simulations: list[tau2.Simulation]) -> None:
    sides = [(one.passed, at.attribute_failure(tau2.conversation(one)).side) for one in simulations]
    assert [side for passed, side in sides if passed] == [Side.UNDETERMINED] * 14
    # Their tools are programs that cannot fail: whatever went wrong was said or decided by somebody.
    assert {side for passed, side in sides if not passed} <= {Side.UNDETERMINED, Side.AGENT}


def test_faults_in_plain_logs_are_found(simulations: list[tau2.Simulation]) -> None:
    judged = [(log.fault, *log.judged(at.attribute_failure(log.trace))) for log in plain_logs.faulty(simulations)]
    assert len(judged) > 50
    assert sum(side for _, side, _ in judged) / len(judged) >= 0.95
    assert sum(span for _, _, span in judged) / len(judged) >= 0.90
    for fault in plain_logs.FAULTS:
        its = [min(side, span) for of, side, span in judged if of == fault]
        assert sum(its) / len(its) >= 0.8, fault


def test_on_a_recorded_clock_the_critical_path_is_as_long_as_the_root(simulations: list[tau2.Simulation]) -> None:
    steps = 0
    for one in simulations:
        trace = tau2.clocked(one)
        measured, root = timed(trace.spans), trace.spans[0]
        steps += len(trace.spans)
        assert root.end_ns is not None
        assert sum(p.end_ns - p.start_ns for p in measured.path) == measured.total_ns == root.end_ns - root.start_ns
    assert (len(simulations), steps) == (29, 449)
