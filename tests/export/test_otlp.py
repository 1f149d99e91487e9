"""OTLP: what a real run leaves at a receiver, decoded with the official protocol buffers, and every answer in words."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from export import recorded as write
from export.receiver import Receiver, Response, receiving
from export.recorded_items import items_of
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from agenttrace_nb.export.contract import hostile_items
from agenttrace_nb.export.handler import (
    Content,
    Context,
    Item,
    Misconfigured,
    Moment,
    Refused,
    Retry,
    Sent,
    TooLarge,
)
from agenttrace_nb.export.otlp import OtlpHandler
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "invented-for-this-test"
STATUS = ExportTracePartialSuccess(rejected_spans=3, error_message="bad id").SerializeToString()
"""On the wire the same as a ``google.rpc.Status`` with code 3 and this message."""
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def opened(content: Content = Content.FULL, **options: Any) -> OtlpHandler:
    handler = OtlpHandler()
    resource = {"service.name": "agents", "service.instance.id": "journal-1"}
    handler.open(Context(name="test", options=options, content=content, resource=resource))
    return handler


def decoded(receiver: Receiver) -> list[Any]:
    """Return the spans of all requests, as the official protocol buffers read them."""
    found = []
    for request in receiver.requests:
        read = ExportTraceServiceRequest()
        read.ParseFromString(request.body)
        found += [span for r in read.resource_spans for s in r.scope_spans for span in s.spans]
    return found


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [value_of(v) for v in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def attributes_of(span: Any) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in span.attributes}


def tree_of(spans: list[Any]) -> list[tuple[str, str | None]]:
    """Return name and parent's name of each span, in order of start."""
    names = {span.span_id: span.name for span in spans}
    ordered = sorted(spans, key=lambda s: (s.start_time_unix_nano, -s.end_time_unix_nano))
    return [(s.name, names[s.parent_span_id] if s.parent_span_id else None) for s in ordered]


async def test_a_run_arrives_as_a_tree_under_the_conventions(receiver: Receiver, tmp_path: Path) -> None:
    items = await items_of("triage_with_handoffs", tmp_path)
    handler = opened(endpoint=receiver.url)
    assert handler.export(tuple(items)) == Sent()
    handler.close()
    tree = tree_of(decoded(receiver))
    assert [row for row in tree if not row[0].startswith("chat")] == [
        ("invoke_workflow Agent workflow", None),
        ("invoke_agent Triage", "invoke_workflow Agent workflow"),
        ("handoff Triage -> Billing", "invoke_agent Triage"),
        ("invoke_agent Billing", "invoke_workflow Agent workflow"),
        ("handoff Billing -> Refunds", "invoke_agent Billing"),
        ("invoke_agent Refunds", "invoke_workflow Agent workflow"),
        ("execute_tool lookup_order", "invoke_agent Refunds"),
    ]
    (request,) = receiver.requests
    assert request.path == "/v1/traces"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.was_gzip


async def test_ids_times_and_kinds_are_those_of_the_record(receiver: Receiver, tmp_path: Path) -> None:
    items = await items_of("single_agent_with_tool", tmp_path)
    handler = opened(endpoint=receiver.url, turns="keep")
    handler.export(tuple(items))
    handler.close()
    sent = {span.span_id.hex(): span for span in decoded(receiver)}
    assert len(sent) == len(items)
    for item in items:
        span, made = item.span, sent[item.span.span_id]
        assert made.trace_id.hex() == span.trace_id
        assert made.parent_span_id.hex() == (span.parent_id or "")
        assert (made.start_time_unix_nano, made.end_time_unix_nano) == (span.start_ns, span.end_ns)
        assert made.kind == (3 if span.kind == "llm" else 1)
        assert made.status.code == 0


async def test_turns_that_are_left_out_leave_no_orphan(receiver: Receiver, tmp_path: Path) -> None:
    items = await items_of("plan_execute_evaluate", tmp_path)
    turns = {i.span.span_id for i in items if i.span.kind == "turn"}
    handler = opened(endpoint=receiver.url)
    # Each in a request of its own, as a slow run sends them: children long before their parents.
    for item in items:
        assert handler.export((item,)) == Sent()
    handler.close()
    spans = decoded(receiver)
    ids = {span.span_id.hex() for span in spans}
    assert turns
    assert not turns & ids
    assert len(ids) == len(items) - len(turns)
    assert all(span.parent_span_id.hex() in ids for span in spans if span.parent_span_id)
    numbers = [attributes_of(s).get("agenttrace.turn") for s in spans if s.name.startswith("chat")]
    assert set(numbers) >= {1}
    assert None not in numbers


def test_turns_are_folded_also_when_the_handler_begins_anew_in_the_middle_of_one(
    receiver: Receiver, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "20260101T000000-1-abc.journal")
    options = {"endpoint": receiver.url}
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    steps = [
        {"kind": kind, "name": name, "parent_id": None if parent is None else write.span_id(1, parent)}
        for kind, name, parent in (
            ("workflow", "flow", None), ("agent", "Assistant", 0), ("turn", "turn 1", 1), ("llm", "gpt", 2),
            ("tool", "add", 2),
        )
    ]  # fmt: skip
    for number, step in enumerate(steps[:4]):
        write.begin_span(journal, 1, number, **step)
    write.end_span(journal, 1, 3)
    journal.flush()
    with write.running(journal.path, OtlpHandler, options=options):
        write.wait_for(lambda: len(decoded(receiver)) == 1)
    write.begin_span(journal, 1, 4, **steps[4])
    for number in (4, 2, 1, 0):
        write.end_span(journal, 1, number)
    write.end_trace(journal, 1)
    write.end_run(journal)
    journal.flush()
    with write.running(journal.path, OtlpHandler, options=options):
        write.wait_for(lambda: len(decoded(receiver)) == 4)
    journal.close()
    assert sorted(tree_of(decoded(receiver))) == [
        ("chat", "invoke_agent Assistant"),
        ("execute_tool add", "invoke_agent Assistant"),
        ("invoke_agent Assistant", "invoke_workflow flow"),
        ("invoke_workflow flow", None),
    ]
    turns = {span.name: attributes_of(span).get("agenttrace.turn") for span in decoded(receiver)}
    assert (turns["chat"], turns["execute_tool add"], turns["invoke_agent Assistant"]) == (1, 1, None)


async def test_a_turn_whose_children_did_not_know_it_is_sent_after_all(receiver: Receiver, tmp_path: Path) -> None:
    items = [replace(item, parent=None) for item in await items_of("single_agent_with_tool", tmp_path)]
    handler = opened(endpoint=receiver.url)
    handler.export(tuple(items))
    handler.close()
    ids = {span.span_id for span in decoded(receiver)}
    assert all(span.parent_span_id in ids for span in decoded(receiver) if span.parent_span_id)


async def test_a_model_call_tells_model_tokens_and_messages(receiver: Receiver, tmp_path: Path) -> None:
    items = await items_of("single_agent_with_tool", tmp_path)
    handler = opened(endpoint=receiver.url)
    handler.export(tuple(items))
    handler.close()
    recorded = {i.span.span_id: i.span for i in items if i.span.kind == "llm"}
    calls = {s.span_id.hex(): attributes_of(s) for s in decoded(receiver) if s.span_id.hex() in recorded}
    assert len(calls) == 2
    for span_id, known in calls.items():
        span = recorded[span_id]
        assert known["gen_ai.operation.name"] == "chat"
        assert known["gen_ai.provider.name"] == "openai"
        assert known["gen_ai.response.model"] == span.model
        assert known["gen_ai.usage.input_tokens"] == span.input_tokens
        assert known["gen_ai.usage.output_tokens"] == span.output_tokens
        assert known["gen_ai.agent.name"] == "Assistant"
        assert (known["agenttrace.arch"], known["agenttrace.case"], known["agenttrace.trial"]) == (
            "triage", "order-17", "2",
        )  # fmt: skip
        assert known["agenttrace.tag.team"] == "red"
    first = min(calls, key=lambda span_id: recorded[span_id].start_ns)
    assert json.loads(calls[first]["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is 2 + 3?"}]}
    ]
    (said,) = json.loads(calls[first]["gen_ai.output.messages"])
    assert said["finish_reason"] == "tool_call"
    assert [(p["type"], p["name"], p["arguments"]) for p in said["parts"]] == [("tool_call", "add", {"a": 2, "b": 3})]
    assert json.loads(calls[first]["gen_ai.system_instructions"])[0]["content"].startswith("You help.")


@pytest.mark.parametrize("content", [Content.METADATA, Content.OFF])
async def test_nothing_that_was_said_is_sent_unless_it_is_asked_for(
    content: Content, receiver: Receiver, tmp_path: Path
) -> None:
    for name, words in (("single_agent_with_tool", ("What is 2 + 3?", "You help", "2 + 3 = 5", "Add two numbers")),):
        handler = opened(content, endpoint=receiver.url)
        handler.export(tuple(await items_of(name, tmp_path, Content.FULL)))  # the handler sees to it by itself as well
        handler.close()
        sent = b"".join(request.body for request in receiver.requests).decode("utf-8", "replace")
        assert "execute_tool add" in sent
        assert not [text for text in words if text in sent]
        assert ("red" in sent) is (content is Content.METADATA)


async def test_a_failed_tool_tells_its_error(receiver: Receiver, tmp_path: Path) -> None:
    handler = opened(Content.METADATA, endpoint=receiver.url)
    handler.export(tuple(await items_of("tool_raises", tmp_path, Content.METADATA)))
    handler.close()
    (failed,) = [s for s in decoded(receiver) if s.status.code == 2]
    assert failed.name == "execute_tool get_weather"
    assert attributes_of(failed)["error.type"] == "BackendError"
    (event,) = failed.events
    assert event.name == "exception"
    assert attributes_of(event)["exception.type"] == "BackendError"
    assert attributes_of(event)["exception.message"] == failed.status.message != ""


def test_service_and_environment_are_those_of_the_process_unless_they_are_given(receiver: Receiver) -> None:
    for options in ({}, {"service": "travel desk", "environment": "dev"}):
        handler = opened(endpoint=receiver.url, **options)
        handler.export((Item(moment=Moment.TEST, event_id="test:1"),))
        handler.close()
    found = []
    for request in receiver.requests:
        (of_process,) = ExportTraceServiceRequest.FromString(request.body).resource_spans
        found.append(attributes_of(of_process.resource))
    assert found == [
        {"service.name": "agents", "service.instance.id": "journal-1"},
        {"service.name": "travel desk", "service.instance.id": "journal-1", "deployment.environment.name": "dev"},
    ]


def test_a_test_item_arrives_marked(receiver: Receiver) -> None:
    handler = opened(endpoint=receiver.url)
    assert handler.export((Item(moment=Moment.TEST, event_id="test:1"),)) == Sent()
    handler.close()
    (span,) = decoded(receiver)
    assert attributes_of(span)["agenttrace.test"] is True
    assert span.name == "agenttrace_nb test"


def test_hostile_texts_and_clocks_that_were_put_back_arrive_in_valid_form(receiver: Receiver) -> None:
    for convention in ("genai", "openinference"):
        receiver.requests.clear()
        handler = opened(endpoint=receiver.url, convention=convention)
        items = hostile_items()
        assert handler.export(items) == Sent()
        handler.close()
        spans = decoded(receiver)
        assert len(spans) == sum(item.span is not None for item in items)
        assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
        for span in spans:
            for value in attributes_of(span).values():
                assert not (isinstance(value, float) and math.isnan(value))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Response(401), Misconfigured, "the option token"),
        (Response(403, b"quota of tenant"), Misconfigured, "quota of tenant"),
        (Response(404), Misconfigured, "/v1/traces answers 404"),
        (Response(405), Misconfigured, "traces_url"),
        (Response(413), TooLarge, "413"),
        (Response(415), Misconfigured, "protobuf"),
        (Response(429, headers={"Retry-After": "7"}), Retry, "429"),
        (Response(503, b"<html>\n<b>down</b></html>"), Retry, "<b>down</b>"),
        (Response(400, STATUS, PROTOBUF), Refused, "bad id"),
        (Response(302, headers={"Location": "https://elsewhere"}), Misconfigured, "sends on to https://elsewhere"),
    ],
)  # fmt: skip
def test_every_answer_is_told_in_words(answer: Response, kind: type, words: str, receiver: Receiver) -> None:
    receiver.answer(answer)
    handler = opened(endpoint=receiver.url, token=Secret(TOKEN, "env:T"))
    told = handler.export((Item(moment=Moment.TEST, event_id="test:1"),))
    handler.close()
    assert type(told) is kind
    assert words in told.reason
    assert TOKEN not in repr(told)
    assert receiver.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert len(receiver.requests) == 1
    if isinstance(told, Retry) and answer.status == 429:
        assert told.after_s == 7.0


async def test_spans_that_a_receiver_rejects_are_counted(receiver: Receiver, tmp_path: Path) -> None:
    rejected = ExportTracePartialSuccess(rejected_spans=2, error_message="older than 14 days")
    body = ExportTraceServiceResponse(partial_success=rejected).SerializeToString()
    as_json = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "older than 14 days"}}'
    items = tuple(await items_of("single_agent_with_tool", tmp_path))
    receiver.answer(Response(200, body, PROTOBUF), Response(200, as_json, {"Content-Type": "application/json"}))
    handler = opened(endpoint=receiver.url)
    for _ in range(2):
        told = handler.export(items)
        assert isinstance(told, Refused)
        assert told.count == 2
        assert "older than 14 days" in told.reason
    handler.close()
