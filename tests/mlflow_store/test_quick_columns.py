"""Columns straight from what MLflow stores are those of the restored trace, or are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.tracing.otel.translation import translate_span_when_storing
from mlflow_store.samples import as_plain, booking, json_value, nasty_text, traces

from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.columns import FIELDS, SpanColumns
from agenttrace_nb.mlflow_store.mapping import to_records
from agenttrace_nb.mlflow_store.quick_columns import NotOursError, columns_of
from agenttrace_nb.mlflow_store.restore import TraceHead, to_trace
from agenttrace_nb.spans import Status, Trace

EVERY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OURS = (
    names.KIND, names.STATUS, names.AGENT, names.ROLE, names.TTFT_S, names.TOKENS, names.ERROR, names.SPAN, names.COST,
    names.MODEL, names.TRACE,
)  # fmt: skip
KNOWN = st.sampled_from(["n", "name", "parent_id", "open", "cost_usd", "model", "input", "type", "message", "root"])
FORGED = st.one_of(
    nasty_text,
    json_value.map(json.dumps),
    st.dictionaries(KNOWN | nasty_text, json_value, max_size=3).map(json.dumps),
    json_value.map(lambda value: json.dumps({"agenttrace.box": value})),
)


def written(trace: Trace) -> list[dict[str, Any]]:
    """The spans of a trace as MLflow's own code writes them into the database."""
    return [translate_span_when_storing(adapter._to_span(record)) for record in to_records(trace)]


def head(trace: Trace, **more: Any) -> TraceHead:
    known = {"experiment_id": "0", "state": "OK", "start_ms": 0, "tags": {"arch": "a", "mlflow.x": "1"}}
    return TraceHead(trace_id=f"tr-{trace.trace_id}", **known, **more)


def text_of(spans: list[dict[str, Any]]) -> str:
    return ",".join(json.dumps(span, ensure_ascii=False) for span in spans)


def quick(of: TraceHead, spans: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    made = SpanColumns()
    made.add(*columns_of(of, text_of(spans), len(spans)))
    return as_plain(made.traces[0]), made.of


def restored(of: TraceHead, spans: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    trace = to_trace(of, adapter.records_in(of.trace_id, text_of(spans), len(spans)))
    made = SpanColumns.of_traces([trace])
    trace.spans = []
    return as_plain(trace), made.of


def typed(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Numbers with a point are such in a frame, however they were written; as texts, since NaN is not NaN."""
    real = ("ttft_s", "cost_usd")
    return {n: [v if n not in real or v is None else repr(float(v)) for v in values] for n, values in columns.items()}


@EVERY
@given(traces(), st.none() | st.integers(0, 9))
def test_columns_of_any_trace_of_ours_are_those_of_the_restored_one(trace: Trace, expected: int | None) -> None:
    spans, of = written(trace), head(trace, expected_spans=expected)
    try:
        told, columns = quick(of, spans)
    except NotOursError:
        assert "\\\\ud800" in text_of(spans)  # half of a pair, which the faster reader does not take
        return
    told_whole, columns_whole = restored(of, spans)
    assert told == told_whole
    assert typed(columns) == typed(columns_whole)
    assert tuple(columns) == FIELDS


@EVERY
@given(st.integers(0, 10), st.sampled_from(OURS), FORGED)
def test_whatever_stands_in_an_attribute_of_ours_columns_are_right_or_refused(at: int, name: str, text: str) -> None:
    trace = booking()
    trace.spans[4].status = Status.ERROR
    spans = written(trace)
    spans[at % len(spans)]["attributes"][name] = text
    try:
        found = quick(head(trace), spans)
    except NotOursError:
        return
    whole = restored(head(trace), spans)
    assert found[0] == whole[0]
    assert typed(found[1]) == typed(whole[1])


def test_the_order_is_that_of_the_recording_not_that_of_the_table() -> None:
    trace = booking(calls=5)
    spans = written(trace)
    assert quick(head(trace), spans[::-1]) == quick(head(trace), spans) == restored(head(trace), spans[::-1])


def test_spans_that_others_wrote_into_a_trace_of_ours_are_in_its_columns() -> None:
    trace, other = booking(), booking("other")
    foreign = written(other)[1:3]
    for span in foreign:
        span["attributes"] = {"mlflow.spanType": '"TOOL"', names.TRACE_ID: '"tr"', "agenttrace": '"5"'}
        span["end_time_unix_nano"] = None
    spans = [foreign[0], *written(trace), foreign[1]]
    assert quick(head(trace), spans) == restored(head(trace), spans)
    assert quick(head(trace), spans)[1]["kind"][-2:] == ["other", "other"]


@pytest.mark.parametrize(
    "change",
    [
        lambda spans: spans[0]["attributes"].pop(names.TRACE),
        lambda spans: spans[1]["attributes"].update({names.TRACE: spans[0]["attributes"][names.TRACE]}),
        lambda spans: spans[1]["attributes"].update({names.AGENT: 5}),
        lambda spans: spans[1].update(span_id="1f"),
        lambda spans: spans[1].update(parent_span_id="1f"),
        lambda spans: spans[1].update(start_time_unix_nano="soon"),
        lambda spans: spans[1].pop("attributes"),
    ],
    ids=["no root", "two roots", "no text", "no id", "no parent", "no time", "no attributes"],
)
def test_what_is_not_as_this_package_writes_it_is_refused(change: Any) -> None:
    spans = written(booking())
    change(spans)
    with pytest.raises(NotOursError):
        columns_of(head(booking()), text_of(spans), len(spans))


def test_fewer_or_more_spans_than_were_counted_and_no_json_are_refused() -> None:
    text = text_of(written(booking()))
    for stored, count in ((text, 1), (text[:-1], 7), ("", 0)):
        with pytest.raises(NotOursError):
            columns_of(head(booking()), stored, count)
