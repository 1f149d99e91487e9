"""A trace as spans of MLflow: what MLflow and its user interface need, and everything back again."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from mlflow.entities.span import Span as MlflowSpan
from mlflow.tracing.otel.translation import translate_span_when_storing
from mlflow_store.samples import START_NS, as_plain, booking, nasty_text, traces

from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.mapping import to_records
from agenttrace_nb.mlflow_store.records import SpanRecord, text_of, value_of
from agenttrace_nb.mlflow_store.restore import TraceHead, to_trace
from agenttrace_nb.spans import Span, SpanError, SpanKind, Status, Trace


def stored(record: SpanRecord, *, over_http: bool = False) -> SpanRecord:
    """A span as MLflow's own code leaves it in the database, written directly or through a server."""
    span = adapter._to_span(record)
    if over_http:
        span = MlflowSpan.from_otel_proto(
            type(span.to_otel_proto()).FromString(span.to_otel_proto().SerializeToString())
        )
    kept = json.loads(json.dumps(translate_span_when_storing(span), ensure_ascii=False).encode("utf-8"))
    assert base64.b64decode(kept["span_id"]).hex() == record.span_id
    return adapter._to_record(record.trace_id, MlflowSpan.from_dict(kept))


def head_of(records: list[SpanRecord]) -> TraceHead:
    root = records[0]
    tags = {k.removeprefix(names.TRACE_TAG): root.get(k) for k in root.attributes if k.startswith(names.TRACE_TAG)}
    return TraceHead(trace_id=root.get(names.TRACE_ID), experiment_id="0", state=root.status, start_ms=0, tags=tags)


def there_and_back(trace: Trace, *, over_http: bool = False) -> Trace:
    records = to_records(trace)
    return to_trace(head_of(records), [stored(r, over_http=over_http) for r in records])


def without_surrogates(value: object) -> object:
    return json.loads(json.dumps(value).replace("\\ud800", "?"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(traces())
def test_every_trace_comes_back_as_it_was(trace: Trace) -> None:
    ids = {span.span_id for span in trace.spans}
    tops = [span for span in trace.spans if span.parent_id not in ids]
    for root in (span for span in tops if span.parent_id is None or len(tops) == 1):
        # Its preview must be one that a database takes
        root.content_in, root.content_out = map(without_surrogates, (root.content_in, root.content_out))
    assert as_plain(there_and_back(trace)) == as_plain(trace)


def test_half_a_surrogate_pair_in_what_a_root_was_asked_is_kept_from_mlflows_preview() -> None:
    root = Span(trace_id="a" * 32, span_id="b" * 16, kind=SpanKind.AGENT, name="Desk", start_ns=1, end_ns=2,
                status=Status.OK, content_in="is it \ud83d?", content_out={"said": "\ud83d"})  # fmt: skip
    trace = Trace(trace_id="a" * 32, name="flow", start_ns=1, end_ns=2, status=Status.OK, spans=[root])
    for record in to_records(trace):
        assert "\\ud83d" not in repr(record).replace("\\\\", "\\")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(traces())
def test_every_trace_comes_back_through_a_server_but_for_what_no_encoding_holds(trace: Trace) -> None:
    back = there_and_back(trace, over_http=True)
    assert without_surrogates(as_plain(back)) == without_surrogates(as_plain(trace))


@given(nasty_text)
def test_a_text_that_looks_like_json_stays_a_text(text: str) -> None:
    record = SpanRecord(
        trace_id="1" * 32, span_id="1" * 16, name="n", start_ns=1, end_ns=2,
        attributes={names.TRACE_ID: text_of("tr-" + "1" * 32), names.OUTPUTS: text_of(text)},
    )  # fmt: skip
    assert stored(record).get(names.OUTPUTS) == text


def test_a_text_too_deep_to_parse_neither_fails_nor_changes() -> None:
    trace = booking()
    trace.spans[-1].content_out = "[" * 200_000
    assert there_and_back(trace).spans[-1].output == "[" * 200_000


def test_a_number_beyond_64_bits_becomes_text_and_breaks_nothing() -> None:
    trace = booking()
    trace.spans[-1].attributes["big"] = {"n": 2**70}
    assert there_and_back(trace, over_http=True).spans[-1].attributes["big"] == {"n": str(2**70)}


# -------------------------------------------------------------------------------------------- what MLflow shows


def by_kind(trace: Trace, kind: SpanKind) -> tuple[Span, SpanRecord]:
    records = {r.span_id: r for r in to_records(trace)}
    span = next(s for s in trace.spans if s.kind is kind)
    return span, records[span.span_id]


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (SpanKind.WORKFLOW, "AGENT"), (SpanKind.AGENT, "AGENT"), (SpanKind.TURN, "CHAIN"),
        (SpanKind.LLM, "CHAT_MODEL"), (SpanKind.TOOL, "TOOL"),
    ],
)  # fmt: skip
def test_each_kind_has_its_type_in_mlflow(kind: SpanKind, shown: str) -> None:
    assert by_kind(booking(), kind)[1].get(names.SPAN_TYPE) == shown


def test_an_llm_call_says_what_mlflow_counts_and_shows() -> None:
    span, record = by_kind(booking(), SpanKind.LLM)
    assert record.get(names.TOKEN_USAGE) == {
        "input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 8, "total_tokens": 110,
    }  # fmt: skip
    assert record.get(names.MODEL) == "gpt-4o-mini-2024-07-18"
    assert record.get(names.MESSAGE_FORMAT) == "openai"
    assert record.get(names.INPUTS) == {"messages": span.input}
    assert record.get(names.OUTPUTS) == {"output": span.output}
    assert record.get(names.TOOLS)[0]["function"]["name"] == "get_weather"


def test_unknown_tokens_stay_unknown() -> None:
    trace = booking()
    span, _ = by_kind(trace, SpanKind.LLM)
    span.input_tokens = span.output_tokens = span.cached_tokens = None
    assert names.TOKEN_USAGE not in by_kind(trace, SpanKind.LLM)[1].attributes


def test_a_tool_shows_its_arguments_as_an_object_and_its_answer_as_the_model_saw_it() -> None:
    _, record = by_kind(booking(), SpanKind.TOOL)
    kept = stored(record)
    assert kept.get(names.INPUTS) == {"city": "Oslo"}
    assert kept.get(names.OUTPUTS) == '{"sky": "clear"}'


@pytest.mark.parametrize("status", [Status.ERROR, Status.CANCELLED, Status.INTERRUPTED])
def test_what_did_not_end_well_is_an_error_in_mlflow_and_keeps_its_own_status(status: Status) -> None:
    trace = booking()
    trace.status = trace.spans[-1].status = status
    trace.spans[-1].error = SpanError(message="too late", type="TimeoutError", traceback="Traceback …")
    records = to_records(trace)
    assert (records[0].status, records[-1].status) == ("ERROR", "ERROR")
    assert records[-1].get(names.STATUS) == status.value
    assert records[-1].message == "TimeoutError: too late"
    assert records[-1].events == [
        (
            "exception",
            trace.spans[-1].end_ns,
            {
                "exception.type": "TimeoutError",
                "exception.message": "too late",
                "exception.stacktrace": "Traceback …",
            },
        )
    ]


def test_a_trace_that_ended_well_over_a_failed_root_is_ok_in_mlflow() -> None:
    trace = booking()
    trace.spans[0].status = Status.ERROR
    assert to_records(trace)[0].status == "OK"
    assert there_and_back(trace).spans[0].status is Status.ERROR


def test_several_roots_get_one_above_them_that_reading_takes_away() -> None:
    trace = booking()
    trace.spans[0].parent_id = "f" * 16
    trace.spans.append(
        Span(trace_id=trace.trace_id, span_id="e" * 16, kind=SpanKind.OTHER, name="x", start_ns=START_NS)
    )
    records = to_records(trace)
    assert [r.parent_id for r in records].count(None) == 1
    assert {r.parent_id for r in records} - {None} <= {r.span_id for r in records}
    assert len(records) == len(trace.spans) + 1
    priced = frozenset({"cost_usd"})  # by MLflow, on the way
    assert as_plain(there_and_back(trace), but=priced) == as_plain(trace, but=priced)


def test_a_trace_without_spans_still_has_one_in_mlflow() -> None:
    trace = Trace(trace_id="a" * 32, name="empty", start_ns=START_NS, end_ns=START_NS + 1, status=Status.OK)
    assert [r.name for r in to_records(trace)] == ["empty"]
    assert there_and_back(trace).spans == []


def test_a_root_without_content_shows_the_first_question_and_the_last_answer() -> None:
    trace = booking()
    trace.spans[0].content_in = trace.spans[0].content_out = None
    root = to_records(trace)[0]
    assert root.get(names.INPUTS) == {"messages": [{"role": "user", "content": "Weather in Oslo?"}]}
    assert root.get(names.OUTPUTS) == {"choices": [{"message": {"role": "assistant", "content": "Sunny."}}]}
    back = there_and_back(trace)
    assert (back.spans[0].input, back.spans[0].output) == (None, None)


def test_a_trace_is_found_by_the_tags_of_its_run_session_and_user() -> None:
    root = to_records(booking(), run_tags={"arch": "triage", "case": None, "bad name!": "x"})[0]
    assert root.get(names.TRACE_TAG + "arch") == "triage"
    assert root.get(names.TRACE_TAG + "team") == "rebooking"
    assert root.get(names.TRACE_TAG + "bad name_") == "x"
    assert names.TRACE_TAG + "case" not in root.attributes
    assert (root.get(names.SESSION_ID), root.get(names.USER_ID)) == ("s-1", "u-1")


def test_a_session_longer_than_mlflow_takes_is_cut_and_stays_apart_from_others() -> None:
    first, second = booking(1), booking(2)
    first.session, second.session = "x" * 400 + "1", "x" * 400 + "2"
    told = [to_records(t)[0].get(names.SESSION_ID) for t in (first, second)]
    assert max(map(len, told)) <= 250
    assert told[0] != told[1]
    assert there_and_back(first).session == first.session


def test_a_price_is_asked_for_only_where_none_is_known() -> None:
    trace = booking(calls=2)
    known, asked = [s for s in trace.spans if s.kind is SpanKind.LLM]
    known.cost_usd = 0.5
    records = {r.span_id: r for r in to_records(trace, price_of=lambda *_: {"total_cost": 0.25})}
    assert value_of(records[known.span_id].attributes[names.COST])["total_cost"] == 0.5
    assert value_of(records[asked.span_id].attributes[names.COST])["total_cost"] == 0.25
