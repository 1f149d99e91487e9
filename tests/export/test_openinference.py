"""What each kind of step becomes under OpenInference, from runs of the real SDK."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bench.models import Kind
from export.recorded_items import items_of

from agenttrace_nb.export import openinference
from agenttrace_nb.export.handler import Content, Item, Moment
from agenttrace_nb.export.otlp_span import Lineage, OtelSpan, Place, Turns
from agenttrace_nb.spans import Span, SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path

IDS = {"trace_id": "a" * 32, "span_id": "b" * 16}


def mapped(items: list[Item], content: Content = Content.FULL) -> list[OtelSpan]:
    lineage = Lineage(Turns.FOLD)
    placed = [(item, lineage.place(item, item.span)) for item in items]
    return [openinference.to_otel(item, item.span, place, content) for item, place in placed if place is not None]


def of_kind(spans: list[OtelSpan], kind: str) -> list[OtelSpan]:
    found = [span for span in spans if span.attributes["openinference.span.kind"] == kind]
    return sorted(found, key=lambda span: span.start_ns)


async def test_a_conversation_stands_in_numbered_messages(tmp_path: Path) -> None:
    spans = mapped(await items_of("single_agent_with_tool", tmp_path, kind=Kind.RESPONSES))
    first, last = (span.attributes for span in of_kind(spans, "LLM"))
    assert first["llm.input_messages.0.message.role"] == "system"
    assert first["llm.input_messages.1.message.content"] == "What is 2 + 3?"
    assert first["llm.output_messages.0.message.tool_calls.0.tool_call.function.name"] == "add"
    assert json.loads(first["llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments"]) == {
        "a": 2,
        "b": 3,
    }
    assert last["llm.input_messages.3.message.role"] == "tool"
    assert last["llm.input_messages.3.message.content"] == "5"
    call_id = first["llm.output_messages.0.message.tool_calls.0.tool_call.id"]
    assert last["llm.input_messages.3.message.tool_call_id"] == call_id
    assert last["llm.output_messages.0.message.content"] == "2 + 3 = 5"
    assert json.loads(first["llm.tools.0.tool.json_schema"])["function"]["name"] == "add"
    assert first["llm.token_count.total"] == first["llm.token_count.prompt"] + first["llm.token_count.completion"]
    (tool,) = of_kind(spans, "TOOL")
    assert json.loads(tool.attributes["input.value"]) == {"a": 2, "b": 3}
    assert tool.attributes["input.mime_type"] == "application/json"
    assert tool.attributes["output.value"] == "5"


async def test_kinds_and_agents_of_a_handoff(tmp_path: Path) -> None:
    spans = mapped(await items_of("triage_with_handoffs", tmp_path))
    assert [span.attributes.get("graph.node.id") for span in of_kind(spans, "AGENT")] == [
        None, "Triage", "Billing", "Refunds",
    ]  # fmt: skip
    handoff = next(span for span in of_kind(spans, "TOOL") if span.name == "handoff to Billing")
    assert (handoff.attributes["input.value"], handoff.attributes["output.value"]) == ("Triage", "Billing")
    assert all(span.says_ok for span in spans)


@pytest.mark.parametrize("content", [Content.METADATA, Content.OFF])
async def test_nothing_that_was_said_is_told_unless_it_is_asked_for(content: Content, tmp_path: Path) -> None:
    told = json.dumps([span.attributes for span in mapped(await items_of("single_agent_with_tool", tmp_path), content)])
    assert '"LLM"' in told
    assert "gpt-4o-mini" in told
    assert not [words for words in ("What is", "You help", "2 + 3", "Add two numbers", "input.value") if words in told]


def test_tokens_that_are_not_known_are_left_out() -> None:
    span = Span(**IDS, kind=SpanKind.LLM, name="m", start_ns=1, end_ns=2, status=Status.OK, output_tokens=4)
    item = Item(moment=Moment.SPAN, event_id="e", span=span)
    known = openinference.to_otel(item, span, Place(None), Content.FULL).attributes
    assert (known.get("llm.token_count.prompt"), known["llm.token_count.total"]) == (None, 4)
    assert "llm.model_name" not in known
