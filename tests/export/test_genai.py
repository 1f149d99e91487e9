"""What each kind of step becomes under OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from export.recorded_items import items_of

from agenttrace_nb.export import genai, genai_names
from agenttrace_nb.export.genai_messages import input_messages, output_messages
from agenttrace_nb.export.handler import Content, Item, Moment
from agenttrace_nb.export.otlp_span import Lineage, OtelSpan, Place, Turns
from agenttrace_nb.spans import CellRun, Span, SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from pathlib import Path

IDS = {"trace_id": "a" * 32, "span_id": "b" * 16}

# What the conventions' JSON schemas ask of messages: which fields there are, of which type, which must be there.
_TEXT = {"type": "string"}
_PARTS = {
    "text": {"content": _TEXT},
    "reasoning": {"content": _TEXT},
    "tool_call": {"name": _TEXT},
    "tool_call_response": {"response": {}},
    "server_tool_call": {"name": _TEXT, "server_tool_call": {"type": "object", "required": ["type"]}},
    "blob": {"modality": _TEXT, "content": _TEXT},
    "uri": {"modality": _TEXT, "uri": _TEXT},
    "file": {"modality": _TEXT, "file_id": _TEXT},
}
PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": _TEXT},
    "allOf": [
        {"if": {"properties": {"type": {"const": kind}}}, "then": {"required": list(fields), "properties": fields}}
        for kind, fields in _PARTS.items()
    ],
}
MESSAGE = {
    "type": "object",
    "required": ["role", "parts"],
    "properties": {"role": _TEXT, "parts": {"type": "array", "items": PART}},
}
INPUT = {"type": "array", "items": MESSAGE}
OUTPUT = {"type": "array", "items": {**MESSAGE, "required": ["role", "parts", "finish_reason"]}}
SYSTEM = {"type": "array", "items": PART}
SCHEMAS = {
    genai_names.INPUT_MESSAGES: INPUT,
    genai_names.OUTPUT_MESSAGES: OUTPUT,
    genai_names.SYSTEM_INSTRUCTIONS: SYSTEM,
}


def mapped(items: list[Item], content: Content = Content.FULL, turns: Turns = Turns.FOLD) -> list[OtelSpan]:
    lineage, made = Lineage(turns), []
    for item in items:
        place = lineage.place(item, item.span)
        if place is not None:
            made.append(genai.to_otel(item, item.span, place, content))
    return made


def one(span: Span, content: Content = Content.FULL, **more: Any) -> OtelSpan:
    return genai.to_otel(Item(moment=Moment.SPAN, event_id="e", span=span, **more), span, Place(None), content)


def named(spans: list[OtelSpan], name: str) -> OtelSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


# ------------------------------------------------------------------------------------------------ kinds, from real runs


async def test_a_guardrail_that_trips_says_which_and_why(tmp_path: Path) -> None:
    spans = mapped(await items_of("input_guardrail_trips", tmp_path))
    (guardrail,) = [span for span in spans if span.attributes["agenttrace.span.kind"] == "guardrail"]
    assert guardrail.name == f"guardrail {guardrail.attributes['agenttrace.guardrail.name']}"
    assert guardrail.attributes["agenttrace.guardrail.triggered"] is True
    assert guardrail.failed
    assert guardrail.attributes["error.type"] == "InputGuardrailTripwireTriggered"
    assert guardrail.attributes["agenttrace.guardrail.output_info"]


async def test_a_handoff_names_both_agents(tmp_path: Path) -> None:
    spans = mapped(await items_of("triage_with_handoffs", tmp_path))
    handoff = named(spans, "handoff Triage -> Billing")
    assert handoff.attributes["agenttrace.handoff.from"] == "Triage"
    assert handoff.attributes["agenttrace.handoff.to"] == "Billing"
    assert "gen_ai.operation.name" not in handoff.attributes


async def test_a_session_is_the_conversation_of_every_step(tmp_path: Path) -> None:
    spans = mapped(await items_of("session_two_runs", tmp_path))
    assert len({span.attributes.get("gen_ai.conversation.id") for span in spans}) == 1
    assert spans[0].attributes["gen_ai.conversation.id"]
    memory = [span for span in spans if span.attributes["agenttrace.span.kind"] == "memory"]
    assert {span.attributes["agenttrace.memory.operation"] for span in memory} >= {"get_items", "add_items"}


async def test_a_tool_of_an_mcp_server_names_the_server(tmp_path: Path) -> None:
    spans = mapped(await items_of("mcp_over_stdio", tmp_path))
    lists = [span for span in spans if span.name == "tools/list"]
    assert lists
    assert {span.attributes["mcp.method.name"] for span in lists} == {"tools/list"}
    calls = [span for span in spans if span.attributes.get("mcp.method.name") == "tools/call"]
    assert calls
    assert calls[0].attributes["agenttrace.mcp.server"] == lists[0].attributes["agenttrace.mcp.server"]
    assert calls[0].name.startswith("execute_tool ")


async def test_a_kind_that_is_not_known_keeps_its_name_and_its_data(tmp_path: Path) -> None:
    items = await items_of("unknown_span", tmp_path)
    (span,) = [item.span for item in items if item.span.kind is SpanKind.OTHER]
    made = named(mapped(items), span.name)
    assert made.attributes["agenttrace.sdk.type"] == span.attributes["type"]
    assert json.loads(made.attributes["agenttrace.data"]) == span.attributes["data"]
    assert "gen_ai.operation.name" not in made.attributes


async def test_reasoning_is_a_part_of_what_was_said(tmp_path: Path) -> None:
    spans = mapped(await items_of("reasoning_item", tmp_path))
    said = [json.loads(s.attributes["gen_ai.output.messages"]) for s in spans if s.name.startswith("chat")]
    kinds = [part["type"] for messages in said for message in messages for part in message["parts"]]
    assert "reasoning" in kinds
    assert "text" in kinds


async def test_a_streamed_answer_tells_when_it_began(tmp_path: Path) -> None:
    items = await items_of("stream_with_usage", tmp_path)
    calls = [span for span in mapped(items) if span.name.startswith("chat")]
    assert calls
    for call in calls:
        assert call.attributes["gen_ai.request.stream"] is True
        assert call.attributes["gen_ai.response.time_to_first_chunk"] > 0


@pytest.mark.parametrize(
    "name", ["single_agent_with_tool", "agents_as_tools", "triage_with_handoffs", "reasoning_item"]
)
async def test_all_messages_are_of_the_official_form(name: str, tmp_path: Path) -> None:
    checked = 0
    for span in mapped(await items_of(name, tmp_path)):
        for attribute, schema in SCHEMAS.items():
            if attribute in span.attributes:
                jsonschema.validate(json.loads(span.attributes[attribute]), schema)
                checked += 1
    assert checked >= 3


# --------------------------------------------------------------------------------------------------- kinds, one by one


@pytest.mark.parametrize(
    ("status", "error", "failed", "error_type"),
    [
        (Status.OK, None, False, None),
        (Status.ERROR, SpanError("gone", "KeyError"), True, "KeyError"),
        (Status.ERROR, SpanError("gone"), True, "_OTHER"),
        (Status.ERROR, None, True, "_OTHER"),
        (Status.CANCELLED, None, False, None),
        (Status.INTERRUPTED, None, True, "interrupted"),
    ],
)
def test_only_what_failed_has_the_status_of_an_error(status, error, failed, error_type) -> None:
    made = one(Span(**IDS, kind=SpanKind.TOOL, name="t", start_ns=1, end_ns=2, status=status, error=error))
    assert made.failed is failed
    assert made.attributes.get("error.type") == error_type
    assert made.attributes["agenttrace.status"] == status.value
    assert len(made.events) == (error is not None)


def test_texts_of_errors_are_not_told_with_content_off() -> None:
    error = SpanError("secret plan", "KeyError", http_status=502, traceback="line 1")
    span = Span(**IDS, kind=SpanKind.TOOL, name="t", start_ns=1, end_ns=2, status=Status.ERROR, error=error)
    made = one(span, Content.OFF)
    assert made.failed
    assert (made.message, made.events) == ("", [])
    assert made.attributes["error.type"] == "KeyError"
    assert made.attributes["http.response.status_code"] == 502


def test_what_is_not_known_is_left_out() -> None:
    made = one(Span(**IDS, kind=SpanKind.LLM, name="llm", start_ns=1, end_ns=2, status=Status.OK))
    assert made.name == "chat"
    assert not [name for name in made.attributes if name.startswith(("gen_ai.usage", "gen_ai.request", "gen_ai.resp"))]


def test_a_call_tells_what_was_asked_for_and_what_came() -> None:
    span = Span(
        **IDS, kind=SpanKind.LLM, name="gpt", start_ns=1, end_ns=2, status=Status.OK, model="gpt-4o-2024-08-06",
        input_tokens=7, output_tokens=0, cached_tokens=3, reasoning_tokens=2, cost_usd=0.25,
        attributes={
            "requested_model": "gpt-4o", "response_id": "resp_1", "finish_reason": "max_output_tokens",
            "service_tier": "flex", "model_settings": {"temperature": 0.0, "max_tokens": 50, "top_p": None},
        },
    )  # fmt: skip
    known = one(span, Content.OFF).attributes
    assert one(span).name == "chat gpt-4o"
    assert known["gen_ai.request.model"] == "gpt-4o"
    assert known["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert known["gen_ai.response.id"] == "resp_1"
    assert known["gen_ai.response.finish_reasons"] == ["length"]
    assert known["gen_ai.request.temperature"] == 0.0
    assert known["gen_ai.request.max_tokens"] == 50
    assert "gen_ai.request.top_p" not in known
    assert known["gen_ai.usage.output_tokens"] == 0
    assert known["gen_ai.usage.cache_read.input_tokens"] == 3
    assert known["gen_ai.usage.reasoning.output_tokens"] == 2
    assert known["agenttrace.cost_usd"] == 0.25


def test_every_step_carries_its_run() -> None:
    run = CellRun(key="k", name="cell", start_ns=0, arch="a", case="c", trial="3", session="talk", tags={"x": "run"})
    trace = Trace(trace_id="a" * 32, name="t", start_ns=0, user="somebody", tags={"x": "trace"})
    made = one(Span(**IDS, kind=SpanKind.TURN, name="turn 1", start_ns=1, end_ns=2), trace=trace, run=run).attributes
    assert made == {
        "gen_ai.conversation.id": "talk", "agenttrace.span.kind": "turn", "agenttrace.status": "running",
        "agenttrace.run": "k", "agenttrace.arch": "a", "agenttrace.case": "c", "agenttrace.trial": "3",
        "agenttrace.tag.x": "trace", "user.id": "somebody",
    }  # fmt: skip


def test_names_of_the_conventions_are_those_of_the_official_registry() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, mcp_attributes

    registry = {
        value
        for module in (gen_ai_attributes, mcp_attributes)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    ours = {value for name, value in vars(genai_names).items() if name.isupper() and isinstance(value, str)}
    used = {
        value for value in ours | set(genai_names.REQUEST_SETTINGS.values()) if value.startswith(("gen_ai.", "mcp."))
    }
    assert used <= registry


# ---------------------------------------------------------------------------------------------------------- messages


def test_chat_completions_and_responses_make_the_same_messages() -> None:
    chat = [
        {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Oslo"}'}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]  # fmt: skip
    responses = [
        {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ]
    assert input_messages(chat) == input_messages(responses)
    (_, messages) = input_messages(chat)
    assert messages[1]["parts"] == [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"city": "Oslo"}}]
    assert messages[2] == {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rain"}]}
    jsonschema.validate(messages, INPUT)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "uri", "modality": "image", "uri": "https://x.example/a.png"},
        ),
        ({"type": "input_file", "file_id": "f1"}, {"type": "file", "modality": "document", "file_id": "f1"}),
        ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "refusal": "no"}),
    ],
)
def test_pictures_and_files_have_their_own_parts(part: dict, expected: dict) -> None:
    _, (message,) = input_messages([{"role": "user", "content": [part]}])
    assert message["parts"] == [expected]
    jsonschema.validate([message], INPUT)


@pytest.mark.parametrize(
    "value",
    ["text", "", 7, {"a": 1}, [], [1, "b", None], [{"type": "web_search_call", "id": "w"}], [{"role": "user"}],
     [{"type": None}], [{"role": "assistant", "tool_calls": ["odd"]}], [{"type": "message", "content": 3}],
     [{"type": "computer_call_output", "call_id": "c", "output": {"type": "shot"}}], [{"type": "new", "x": [1]}],
     [{"type": "reasoning", "summary": None}], [[1]], True],
)  # fmt: skip
def test_whatever_was_recorded_makes_messages_of_the_official_form(value: Any) -> None:
    system, given = input_messages(value)
    jsonschema.validate(system, SYSTEM)
    jsonschema.validate(given, INPUT)
    jsonschema.validate(output_messages(value), OUTPUT)


def test_a_call_of_a_tool_is_why_an_answer_ended() -> None:
    (said,) = output_messages([{"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}], "completed")
    assert said["finish_reason"] == "tool_call"
    assert output_messages("x", "max_output_tokens")[0]["finish_reason"] == "length"
