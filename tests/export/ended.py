"""Items as the pump gives them, made by hand: what the metrics of each must be is plain to see."""

from __future__ import annotations

import itertools
import time
from typing import Any

from agenttrace_nb.export.handler import Item, Moment
from agenttrace_nb.spans import NS_PER_S, CellRun, Span, SpanError, SpanKind, Status, Trace

_numbers = itertools.count(1)


def span(kind: SpanKind, name: str, seconds: float = 1.0, **more: Any) -> Item:
    """A step that ended just now; ``error`` makes it one that failed, ``arch`` is its run's."""
    arch = more.pop("arch", "triage")
    trace_id, span_id = more.pop("trace_id", f"{next(_numbers):032x}"), more.pop("span_id", f"{next(_numbers):016x}")
    end_ns = more.pop("end_ns", time.time_ns())
    more["status"] = more.get("status", Status.ERROR if more.get("error") else Status.OK)
    made = Span(
        trace_id=trace_id, span_id=span_id, kind=kind, name=name, start_ns=end_ns - round(seconds * NS_PER_S),
        end_ns=end_ns, **more,
    )  # fmt: skip
    trace = Trace(trace_id=trace_id, name="Agent workflow", start_ns=made.start_ns)
    run = arch and CellRun(key=f"k{trace_id}", name="cell", start_ns=made.start_ns, arch=arch)
    return Item(moment=Moment.SPAN, event_id=f"{trace_id}:{span_id}", span=made, trace=trace, run=run or None)


def run(seconds: float = 2.0, status: Status = Status.OK, arch: str | None = "triage", **more: Any) -> Item:
    key, end_ns = f"run-{next(_numbers)}", more.pop("end_ns", time.time_ns())
    start_ns = end_ns - round(seconds * NS_PER_S)
    made = CellRun(key=key, name="cell", start_ns=start_ns, end_ns=end_ns, status=status, arch=arch, **more)
    return Item(moment=Moment.RUN, event_id=f"run:{key}", run=made)


def call(seconds: float = 0.64, **more: Any) -> Item:
    known = {"model": "gpt-4o-mini", "input_tokens": 320, "output_tokens": 41, "cost_usd": 0.0005, "agent": "Planner"}
    return span(SpanKind.LLM, "gpt-4o-mini", seconds, **{**known, **more})


def test_item() -> Item:
    return Item(moment=Moment.TEST, event_id=f"test:{next(_numbers)}")


def failed(kind: str | None = "TimeoutError", message: str = "after 2.0 s") -> SpanError:
    return SpanError(message, kind)


def some_of_everything() -> list[Item]:
    """Two architectures, each with runs, agents, model calls, tools, and errors."""
    items = []
    for arch, seconds in (("planner-executor", 1.5), ("triage", 0.4)):
        for number in range(3):
            items += [
                call(seconds * 0.4, arch=arch, cached_tokens=100, reasoning_tokens=5),
                span(SpanKind.TOOL, "search", seconds * 0.3, agent="Executor", arch=arch),
                span(SpanKind.TOOL, "book", 0.05, agent="Executor", arch=arch, error=failed() if not number else None),
                span(SpanKind.AGENT, "Planner", seconds, agent="Planner", arch=arch),
                span(SpanKind.AGENT, "Executor", seconds / 2, agent="Executor", arch=arch),
                run(seconds * 2, Status.OK if number else Status.ERROR, arch, trace_ids=[f"{number + 1:032x}"]),
            ]
    return items
