"""Traces as they should not be: open, out of time, orphaned, in a circle, huge, without any model."""

from __future__ import annotations

import pytest
from growth import LINEAR, growth

import agenttrace_nb as at
from agenttrace_nb.analysis.failures.findings import Side
from agenttrace_nb.spans import Span, SpanKind, Status, Trace
from analysis.failures.traces import Build, failed


def test_open_orphaned_and_circular_spans_are_read_as_they_are() -> None:
    run = Build(Status.ERROR)
    broken = run.call("read", {"n": 1}, None, **failed())
    broken.parent_id = "gone"
    one = run.add("agent", "B", run.root, **failed("b"))
    other = run.add("agent", "C", one, **failed("c"))
    one.parent_id = other.span_id
    run.add("tool", "late", run.root, status=Status.RUNNING, end_ns=None)
    run.trace.spans[-1].start_ns = 0  # a clock that is wrong by decades
    said = at.attribute_failure(run.trace)
    assert said.problems == ()
    assert broken.span_id in [c.span_id for c in said.candidates]


def test_a_trace_without_any_model_is_understood() -> None:
    run = Build()
    call = run.add("tool", "read", run.root, content_in="{}", **failed())
    assert at.attribute_failure(run.trace).candidates[0].span_id == call.span_id


def test_an_empty_trace_is_undetermined() -> None:
    assert at.attribute_failure(Trace(trace_id="a" * 32, name="t", start_ns=0)).side is Side.UNDETERMINED


def large(count: int, status: Status, result: str) -> Trace:
    trace = Trace(trace_id="a" * 32, name="big", start_ns=10**18, end_ns=10**18 + 10**12, status=status)
    root = Span(trace_id="a" * 32, span_id="f" * 16, kind=SpanKind.AGENT, name="A", agent="A", start_ns=10**18,
                end_ns=10**18 + 10**12, status=status)  # fmt: skip
    trace.spans.append(root)
    for n in range(count // 2):
        at_ns, call_id = 10**18 + n * 1000, f"c{n}"
        its = {"trace_id": "a" * 32, "parent_id": root.span_id, "agent": "A", "status": Status.OK}
        asked = [{"type": "function_call", "call_id": call_id, "name": "look", "arguments": f'{{"id": "N{n}X"}}'}]
        trace.spans.append(
            Span(**its, span_id=f"{2 * n:016x}", kind=SpanKind.LLM, name="m", start_ns=at_ns, end_ns=at_ns + 400,
                 content_in=[{"role": "user", "content": "go on"}], content_out=asked)
        )  # fmt: skip
        trace.spans.append(
            Span(**its, span_id=f"{2 * n + 1:016x}", kind=SpanKind.TOOL, name="look", start_ns=at_ns + 500,
                 end_ns=at_ns + 900, attributes={"call_id": call_id}, content_in=f'{{"id": "N{n}X"}}',
                 content_out=result.format(n=n))
        )  # fmt: skip
    return trace


@pytest.mark.parametrize("result", ["found {n}", "Error: N{n}X not found"])
def test_four_times_as_many_spans_take_about_four_times_as_long(result: str) -> None:
    small, big = (large(count, Status.OK, result) for count in (10_000, 40_000))
    assert growth(at.attribute_failure, small, big) < 4 * LINEAR
