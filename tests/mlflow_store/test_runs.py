"""What a run comes to, counted step by step."""

from __future__ import annotations

from agenttrace_nb.mlflow_store.runs import Progress
from agenttrace_nb.spans import CellRun, Span, SpanError, SpanKind, Status


def figures(progress: Progress) -> dict[str, float]:
    run = CellRun(key="k", name="run", start_ns=0, end_ns=10)
    return {point.key: point.value for point in progress.summary(run)}


def test_a_tool_whose_end_comes_after_its_trace_stays_a_tool_call() -> None:
    progress = Progress(0, lambda _: None)
    progress.take(Span(trace_id="t", span_id="s", name="wait", kind=SpanKind.TOOL, start_ns=1, agent="Waiter"))
    # The beginning of the step is not read twice: its kind and name are not known any more.
    late = Span(trace_id="t", span_id="s", name="span", kind=SpanKind.OTHER, start_ns=5, end_ns=5)
    late.status, late.error = Status.ERROR, SpanError(type="Boom", message="late")
    progress.take(late)
    told = figures(progress)
    assert (told["tool_calls"], told["tool_errors"]) == (1, 1)
    assert progress.failed_tools() == [("wait", "Waiter", "Boom: late")]
