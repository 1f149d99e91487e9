"""Frames say what the traces say, cell by cell, whatever is in them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow_store.samples import START_NS, booking

from agenttrace_nb.analysis.trace_set import SPAN_COLUMNS, TRACE_COLUMNS, TraceSet
from agenttrace_nb.spans import SpanError, SpanKind, Status, Trace

DTYPES = {
    "started_at": "datetime64[us, UTC]", "success": "boolean",
    **dict.fromkeys(("duration_s", "latency_s", "ttft_s", "cost_usd"), "Float64"),
    **dict.fromkeys(("input_tokens", "output_tokens", "turns", "llm_calls", "tool_calls"), "Int64"),
    **dict.fromkeys(("tool_errors", "handoffs"), "Int64"),
}  # fmt: skip


def cells(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{k: None if v is pd.NA else v for k, v in row.items()} for row in frame.to_dict("records")]


def various() -> list[Trace]:
    good, bad, empty = booking(1), booking(2, calls=4), booking(3)
    good.tags |= {"arch": "one", "case": "a", "trial": "2"}
    good.run_id = "r1"
    bad.end_ns = bad.spans[-1].end_ns = bad.spans[3].input_tokens = None
    bad.spans[4].status, bad.spans[4].error = Status.ERROR, SpanError("after 2 s", type="TimeoutError")
    bad.spans[3].cost_usd = 0.25
    bad.status = Status.CANCELLED
    empty.spans = []
    return [good, bad, empty]


def test_every_cell_of_the_spans_is_what_the_span_says() -> None:
    traces = various()
    frame = TraceSet(traces).spans()
    assert tuple(frame.columns) == SPAN_COLUMNS
    assert {n: str(d) for n, d in frame.dtypes.items()} == {n: DTYPES.get(n, "string") for n in SPAN_COLUMNS}
    assert cells(frame) == [
        {
            "trace_id": t.trace_id, "span_id": s.span_id, "parent_id": s.parent_id, "run_id": t.run_id,
            "kind": s.kind.value, "name": s.name, "agent": s.agent, "role": s.role, "status": s.status.value,
            "error_type": s.error.type if s.error else None, "started_at": pd.Timestamp(s.started_at),
            "duration_s": s.duration_s, "ttft_s": s.ttft_s, "input_tokens": s.input_tokens,
            "output_tokens": s.output_tokens, "cost_usd": s.cost_usd, "model": s.model,
            **{name: t.tags.get(name) for name in ("arch", "case", "trial")},
        }
        for t in traces for s in t.spans
    ]  # fmt: skip


def test_every_cell_of_the_traces_is_what_the_trace_says() -> None:
    traces = various()
    frame = TraceSet(traces, success={"r1": True}).traces()
    assert tuple(frame.columns) == TRACE_COLUMNS
    assert {n: str(d) for n, d in frame.dtypes.items()} == {n: DTYPES.get(n, "string") for n in TRACE_COLUMNS}
    count = [{kind: sum(s.kind is kind for s in t.spans) for kind in SpanKind} for t in traces]
    assert cells(frame) == [
        {
            "trace_id": t.trace_id, "run_id": t.run_id, **{n: t.tags.get(n) for n in ("arch", "case", "trial")},
            "status": t.status.value, "success": True if t.run_id else None, "started_at": pd.Timestamp(t.started_at),
            "latency_s": t.duration_s, "turns": of[SpanKind.TURN] or None, "llm_calls": of[SpanKind.LLM],
            "tool_calls": of[SpanKind.TOOL], "tool_errors": sum(s.status is Status.ERROR for s in t.spans),
            "handoffs": of[SpanKind.HANDOFF], **{n: t.total(n) for n in ("input_tokens", "output_tokens", "cost_usd")},
        }
        for t, of in zip(traces, count, strict=True)
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4 * 10**18), min_size=1, max_size=50))
def test_times_in_frames_are_those_of_the_spans_to_the_microsecond(times_ns: list[int]) -> None:
    trace = booking(calls=len(times_ns))
    for span, time_ns in zip(trace.spans, times_ns, strict=False):
        span.start_ns = time_ns
    assert [at.to_pydatetime() for at in TraceSet([trace]).spans()["started_at"]] == [s.started_at for s in trace.spans]


def test_half_of_a_surrogate_pair_in_a_name_does_not_take_the_frame_away() -> None:
    trace = booking(start_ns=START_NS)
    trace.spans[1].agent, trace.spans[2].name, trace.tags["arch"] = "Zo\ud83d", "\udc00", "a\ud800b"
    found = TraceSet([trace])
    spans = found.spans()
    assert (spans["agent"][1], spans["name"][2]) == ("Zo\ufffd", "\ufffd")
    assert found.traces()["arch"].tolist() == ["a\ufffdb"]


def test_a_set_without_traces_has_the_same_columns() -> None:
    none = TraceSet([])
    for frame in (none.spans(), none.spans(derived=True), none.traces()):
        assert len(frame) == 0
        assert {str(d) for n, d in frame.dtypes.items() if n == "started_at"} == {"datetime64[us, UTC]"}
