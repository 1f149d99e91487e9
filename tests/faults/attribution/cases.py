"""All cases: recorded conversations and graphs of our own, with one fault each or none; and how an answer is judged.

A case belongs to a scenario (a task of the recording, a desk of ours). Half of the scenarios are for fitting how sure
the rules are, the other half for seeing whether that holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import tau
from capture.recording import completed, recording
from faults.attribution import graphs, recorded

from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.attribution.faults import Truth

    from agenttrace_nb.analysis.failures.attribution import Attribution
    from agenttrace_nb.analysis.failures.findings import Side
    from agenttrace_nb.spans import Span, Trace

_DESKS = [desk.key for desk in graphs.DESKS]
UNTOUCHED = "untouched"
HARMLESS = "harmless"
_PER_FAULT_RECORDED = 17
_GOES_ON = frozenset({"tool_raises", "tool_times_out", "soft_error", "mcp_error", "slow_tool", "call_loop"})


@dataclass(frozen=True)
class Case:
    """One run to be played.

    Attributes
    ----------
    fault
        Its name; ``untouched``; or ``harmless``: something goes wrong that is made up for, or is no fault.
    scenario
        What it was made from.
    """

    fault: str
    scenario: str
    play: Any

    @property
    def truth(self) -> Truth:
        return self.play.truth

    @property
    def is_for_fitting(self) -> bool:
        number = re.search(r"\d+\Z", self.scenario)
        return (int(number[0]) if number else _DESKS.index(self.scenario)) % 2 == 0


def all_cases(data: Path | None = None) -> list[Case]:
    """Return every case; without the recording only those of our own graphs."""
    return [*own_cases(), *(recorded_cases(data) if data is not None else ())]


def own_cases() -> Iterator[Case]:
    for number, desk in enumerate(graphs.DESKS):
        yield Case(UNTOUCHED, desk.key, graphs.play_of(desk))
        for kind in graphs.HARMLESS:
            yield Case(HARMLESS, desk.key, graphs.harmless(kind, desk))
        for seed, fault in enumerate(graphs.FAULTS, start=number):
            yield Case(fault, desk.key, graphs.inject(fault, desk, seed))


def recorded_cases(data: Path) -> Iterator[Case]:
    tools = tau.load_tools(data)
    passing = [record for record in tau.load_records(data) if record["reward"] == 1.0]
    for record in passing:
        yield Case(UNTOUCHED, f"task-{record['task_id']}", recorded.play_of(record, tools))
    for number, fault in enumerate(recorded._FAULTS):
        made = 0
        # Begins elsewhere for each fault, so that all recordings have their turn
        for step in range(len(passing)):
            record = passing[(number * 7 + step * 5) % len(passing)]
            goes_on = fault in _GOES_ON and made % 3 == 2
            play = recorded.inject(fault, record, tools, goes_on=goes_on)
            if play is not None:
                made += 1
                yield Case(fault, f"task-{record['task_id']}", play)
            if made == _PER_FAULT_RECORDED:
                break


async def played(case: Case, folder: Path) -> Trace:
    """Return the trace of a case, played through the real SDK."""
    with recording(folder) as rec:
        await (graphs.run if isinstance(case.play, graphs.Play) else recorded.run)(case.play)
        (trace,) = await completed(rec)
    assert rec.notes == []
    return trace


def origin(case: Case, trace: Trace) -> Span | None:
    """Return the span in which the fault of a case lies; None for an untouched run.

    Raises
    ------
    AssertionError
        If the run has no such span: then the fault was not injected.
    """
    if case.truth.where is None:
        return None
    kind, which = case.truth.where
    of = [span for span in trace.spans if span.kind is _KIND[kind]]
    if kind in ("llm", "handoff"):
        return of[int(which)]
    if kind == "agent":
        return [span for span in of if span.name == which][-1]
    if kind == "guardrail":
        return next(span for span in of if span.name == which and span.attributes.get("triggered"))
    exact = [span for span in of if span.attributes.get("call_id") == which]
    assert exact, f"no call {which} in {[(s.name, s.attributes) for s in of]}"
    return exact[0]


_KIND = {"tool": SpanKind.TOOL, "llm": SpanKind.LLM, "agent": SpanKind.AGENT, "guardrail": SpanKind.GUARDRAIL,
         "handoff": SpanKind.HANDOFF}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What was said of a case, against what is true; ``first_right``: whether its first candidate, however low, is."""

    case: Case
    side: Side
    span_right: bool
    confidence: float
    rule: str | None
    first_right: bool
    baseline_first: bool
    baseline_last: bool

    @property
    def side_right(self) -> bool:
        return self.side is self.case.truth.side


def judged(case: Case, trace: Trace, said: Attribution) -> Verdict:
    """Compare an attribution with the truth; and the baselines that blame the first and the last error."""
    true = origin(case, trace)
    top = said.candidates[0] if said.candidates else None
    failed = sorted((s for s in trace.spans if s.status == "error"), key=lambda s: s.end_ns or s.start_ns)
    first, last = (failed[0], failed[-1]) if failed else (None, None)
    return Verdict(
        case=case,
        side=said.side,
        span_right=said.top is not None and true is not None and said.top.span_id == true.span_id,
        confidence=top.confidence if top is not None else 0.0,
        rule=top.rule if top is not None else None,
        first_right=top is not None and true is not None and (top.span_id, top.side) == (true.span_id, case.truth.side),
        baseline_first=first is true,
        baseline_last=last is true,
    )
