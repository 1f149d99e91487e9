"""Sets of runs made by hand, for the tests of the list of runs."""

from __future__ import annotations

import random

from views.hostile import texts
from views.sample_runs import START_NS, Build

from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.spans import SpanError, SpanKind, Status, Trace

HOUR_NS = 3_600_000_000_000
ARCHS = ("triage", "planner-executor", "single agent")


def run(
    at: int, *, arch: str | None = "triage", case: str | None = "one", seconds: float = 1.0, **more: object
) -> Trace:
    """One run: an agent, two LLM calls, a tool that may fail."""
    b = Build(trace_id=f"{at + 1:032x}", name=str(more.get("name", "Agent workflow")))
    end = seconds * 1000
    root = b.add(SpanKind.WORKFLOW, b.trace.name, 0, end)
    agent = b.add(SpanKind.AGENT, "Triage", 0, end, root, agent="Triage")
    for turn in range(2):
        turn_span = b.add(SpanKind.TURN, f"turn {turn + 1}", turn * end / 2, (turn + 1) * end / 2, agent)
        known = (
            {"input_tokens": 500 + at, "output_tokens": 40, "cost_usd": 0.002 + at / 1e5}
            if more.get("known", True)
            else {}
        )
        b.add(SpanKind.LLM, "gpt-4o-mini", turn * end / 2, (turn + 0.6) * end / 2, turn_span, agent="Triage", **known)
    error = SpanError("seat 14A is taken", "LookupError") if more.get("failed") else None
    b.add(SpanKind.TOOL, "book", end * 0.8, end * 0.9, agent, agent="Triage", error=error)
    trace = b.close(end, more.get("status", Status.OK))
    start_ns = int(more.get("start_ns", START_NS - at * HOUR_NS))
    shift = start_ns - START_NS
    trace.start_ns += shift
    trace.end_ns = None if trace.status is Status.RUNNING else (trace.end_ns or 0) + shift
    for span in trace.spans:
        span.start_ns += shift
        span.end_ns = (span.end_ns or 0) + shift
    trace.tags = {k: v for k, v in {"arch": arch, "case": case, "trial": more.get("trial")}.items() if v is not None}
    trace.run_id = f"run{at}"
    return trace


def small() -> TraceSet:
    """Six runs: two architectures, each standing, one of which nothing is known."""
    traces = [
        run(0, case="one", seconds=2, trial="1"),
        run(1, case="two", seconds=8, trial="1", failed=True, status=Status.ERROR),
        run(2, arch="planner-executor", case="one", seconds=4.2, failed=True),
        run(3, arch="planner-executor", case="two", seconds=3, status=Status.CANCELLED),
        run(4, arch="planner-executor", case="three", seconds=0.5, known=False, status=Status.RUNNING),
        Trace(trace_id="f" * 32, name="imported", start_ns=0, end_ns=5, status=Status.OK, problem="its spans are gone"),
    ]
    return TraceSet(traces, success={"run0": True, "run1": False})


def many(count: int) -> TraceSet:
    """Runs of three architectures over some weeks, the same each time."""
    dice = random.Random(7)
    traces = []
    for at in range(count):
        failed = dice.random() < 0.12
        status = Status.ERROR if failed else Status.OK
        place = {"arch": ARCHS[at % 3], "case": f"case-{at % 40 + 1}", "trial": str(at % 5 + 1)}
        traces.append(run(at, **place, seconds=at % 3 + dice.lognormvariate(1, 0.7), failed=failed, status=status))
    return TraceSet(traces)


def hostile() -> TraceSet:
    """Runs named, tagged and broken by hostile texts."""
    traces = []
    for at, text in enumerate(texts()):
        trace = run(at, arch=text, case=text, trial=text, name=text)
        trace.problem = text
        traces.append(trace)
    return TraceSet(traces)
