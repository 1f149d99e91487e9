"""Contracts with MLflow: what is used of it beyond its documented API is there and does what is counted on."""

from __future__ import annotations

import inspect
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.entities import SpanType
from mlflow.store.tracking import sqlalchemy_store
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import SpanAttributeKey, SpansLocation, TokenUsageKey, TraceMetadataKey, TraceTagKey
from mlflow.tracing.utils.truncation import _try_extract_messages
from mlflow.utils import mlflow_tags
from mlflow_store.samples import booking

from agenttrace_nb.mlflow_store import adapter, traces
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.mapping import _TYPES, to_records, usage
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path

    import mlflow


def test_our_names_of_mlflows_attributes_are_mlflows() -> None:
    ours = {
        names.TRACE_ID: SpanAttributeKey.REQUEST_ID,
        names.SPAN_TYPE: SpanAttributeKey.SPAN_TYPE,
        names.INPUTS: SpanAttributeKey.INPUTS,
        names.OUTPUTS: SpanAttributeKey.OUTPUTS,
        names.MESSAGE_FORMAT: SpanAttributeKey.MESSAGE_FORMAT,
        names.TOKEN_USAGE: SpanAttributeKey.CHAT_USAGE,
        names.TOOLS: SpanAttributeKey.CHAT_TOOLS,
        names.MODEL: SpanAttributeKey.MODEL,
        names.COST: SpanAttributeKey.LLM_COST,
        names.SESSION_ID: SpanAttributeKey.SESSION_ID,
        names.USER_ID: SpanAttributeKey.USER_ID,
        names.TRACE_TAG: SpanAttributeKey.TRACE_TAG_PREFIX,
        names.TRACE_NAME: TraceTagKey.TRACE_NAME,
        names.TRACE_SESSION: TraceMetadataKey.TRACE_SESSION,
        names.TRACE_USER: TraceMetadataKey.TRACE_USER,
        names.PARENT_RUN_ID: mlflow_tags.MLFLOW_PARENT_RUN_ID,
        names.RUN_NAME: mlflow_tags.MLFLOW_RUN_NAME,
        names.RUN_NOTE: mlflow_tags.MLFLOW_RUN_NOTE,
        names.GIT_COMMIT: mlflow_tags.MLFLOW_GIT_COMMIT,
        names.SOURCE_NAME: mlflow_tags.MLFLOW_SOURCE_NAME,
        names.SOURCE_TYPE: mlflow_tags.MLFLOW_SOURCE_TYPE,
        names.USER: mlflow_tags.MLFLOW_USER,
    }
    assert {ours_: mlflows for ours_, mlflows in ours.items() if ours_ != mlflows} == {}


def test_every_kind_has_a_type_that_mlflow_knows() -> None:
    known = {value for name, value in vars(SpanType).items() if name.isupper()}
    assert set(_TYPES) == set(SpanKind)
    assert set(_TYPES.values()) <= known


def test_token_counts_have_mlflows_names() -> None:
    llm = next(span for span in booking().spans if span.kind is SpanKind.LLM)
    assert usage(llm).keys() <= set(TokenUsageKey.all_keys())


def test_mlflows_own_chat_reader_finds_the_messages() -> None:
    records = to_records(booking())
    shown = [r for r in records if r.get(names.SPAN_TYPE) in ("AGENT", "CHAT_MODEL") and names.INPUTS in r.attributes]
    assert len(shown) == 3
    for record in shown:
        messages = _try_extract_messages(record.get(names.INPUTS))
        assert messages is not None
        assert messages[-1]["role"] == "user"
    last = _try_extract_messages(records[-1].get(names.OUTPUTS))
    assert last is not None
    assert last[0]["content"][0]["text"] == "Sunny."


def test_the_calls_that_are_made_take_what_they_are_given() -> None:
    inspect.signature(TracingClient.log_spans).bind(None, "0", [])
    inspect.signature(TracingClient.start_trace).bind(None, object())
    inspect.signature(TracingClient.batch_get_traces).bind(None, [])
    inspect.signature(TracingClient._download_spans_from_batch_get_traces).bind(None, [], None, object())
    for store in (sqlalchemy_store.SqlAlchemyStore, RestStore):
        inspect.signature(store.get_trace).bind(None, "tr-1", allow_partial=True)
    assert hasattr(RestStore._get_server_version, "cache_clear")


def test_a_server_that_did_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "http://127.0.0.1:9"
    assert adapter.server_version(uri) is None
    assert RestStore._get_server_version.cache_info().currsize == 0


def test_the_price_is_that_of_mlflows_catalogue_and_unknown_models_have_none() -> None:
    asked = {"input_tokens": 1_000_000, "output_tokens": 1_000_000, "total_tokens": 2_000_000}
    price = adapter.price("gpt-4o-mini", asked)
    assert price is not None
    assert price["total_cost"] == pytest.approx(0.15 + 0.60)
    assert adapter.price("a-model-of-nobody", asked) is None


def test_spans_written_the_faster_way_are_the_same_rows(
    uri: str, client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch, cwd: Path
) -> None:
    parameters = list(inspect.signature(sqlalchemy_store._upsert_batch).parameters)
    assert parameters == adapter._UPSERT, "MLflow has changed here: see adapter.write_faster"

    def rows() -> list[Any]:
        with sqlite3.connect(cwd / "mlflow.db") as db:
            found = db.execute("SELECT * FROM spans ORDER BY span_id").fetchall()
        db.close()
        return found

    trace = booking(calls=40)
    adapter.log_spans(uri, "0", to_records(trace))
    slow = rows()
    assert len(slow) == len(trace.spans) > 100
    # Restored by monkeypatch after the test
    monkeypatch.setattr(sqlalchemy_store, "_upsert_batch", sqlalchemy_store._upsert_batch)
    adapter.write_faster()
    adapter.log_spans(uri, "0", to_records(trace))
    assert rows() == slow
    with sqlite3.connect(cwd / "mlflow.db") as db:
        db.execute("DELETE FROM spans")
    db.close()
    adapter.log_spans(uri, "0", to_records(trace))
    assert rows() == slow


def test_traces_that_a_search_has_listed_are_read_as_others_are(uri: str, client: mlflow.MlflowClient) -> None:
    made = [booking(number) for number in range(12)]
    for trace in made:
        adapter.log_spans(uri, "0", to_records(trace))
    ids = [*(f"tr-{trace.trace_id}" for trace in made), "tr-" + "0" * 32]
    found, listed = adapter.read_traces(uri, ids), adapter.read_traces(uri, ids, listed=True)
    assert [(one, trace.to_json()) for one, trace in listed.items()] == [(o, t.to_json()) for o, t in found.items()]
    assert list(listed) == ids[:-1]


def test_the_location_of_spans_that_are_in_the_tracking_store_has_mlflows_name() -> None:
    assert (names.SPANS_LOCATION, traces._IN_TABLES) == (TraceTagKey.SPANS_LOCATION, SpansLocation.TRACKING_STORE)


def test_a_corrected_trace_has_its_new_state_times_and_totals(uri: str, client: mlflow.MlflowClient) -> None:
    trace = booking()
    adapter.log_spans(uri, "0", to_records(trace))
    trace.status = trace.spans[0].status = Status.ERROR
    trace.end_ns = trace.spans[0].end_ns = (trace.end_ns or 0) + 3_000_000_000
    records = to_records(trace)
    adapter.log_spans(uri, "0", records)
    totals = {"mlflow.trace.tokenUsage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}}
    adapter.correct_trace(uri, "0", records[0], totals)
    info = client.get_trace(f"tr-{trace.trace_id}").info
    assert (info.state, info.execution_duration, info.token_usage["input_tokens"]) == ("ERROR", 5000, 7)
    assert info.tags["team"] == "rebooking"
