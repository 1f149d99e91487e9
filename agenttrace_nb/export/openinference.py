"""Our spans under OpenInference, the conventions of Phoenix and its relatives.

Source of the names: the specification in ``Arize-ai/openinference`` (``spec/``), as the package
``openinference-semantic-conventions`` 0.1.42 has them. Names of spans are those of its instrumentation of this SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.genai import agent_of, common, declared_tool, provider_of, text_or_json, tool_definition
from agenttrace_nb.export.genai_messages import as_json, finish_reason, input_messages, output_messages
from agenttrace_nb.export.genai_names import AGENT_NAME, CONVERSATION, GUARDRAIL_TRIGGERED
from agenttrace_nb.export.handler import Content, Item
from agenttrace_nb.export.otlp_span import OtelSpan, Place, begin
from agenttrace_nb.spans import Span, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    Attributes = dict[str, Any]

KIND = "openinference.span.kind"
_KINDS = {
    SpanKind.WORKFLOW: "AGENT",
    SpanKind.AGENT: "AGENT",
    SpanKind.LLM: "LLM",
    SpanKind.TOOL: "TOOL",
    SpanKind.HANDOFF: "TOOL",
    SpanKind.GUARDRAIL: "GUARDRAIL",
}
_OTHERS = "CHAIN"
_JSON, _TEXT = "application/json", "text/plain"


def to_otel(item: Item, span: Span, place: Place, content: Content) -> OtelSpan:
    """Return a span as OpenInference describes it; parameters as of `genai.to_otel`."""
    made = begin(span, place, _name_of(span), tells_errors=content is not Content.OFF)
    made.says_ok = span.status is Status.OK
    found = common(item, span, place, content)
    found[KIND] = _KINDS.get(span.kind, _OTHERS)
    found["session.id"] = found.pop(CONVERSATION)
    found["agent.name"] = found.pop(AGENT_NAME)
    if span.kind is SpanKind.AGENT:
        found["graph.node.id"] = span.agent or span.name
    elif span.kind is SpanKind.LLM:
        found |= _llm(span)
    elif span.kind is SpanKind.TOOL:
        found["tool.name"] = span.name
    elif span.kind is SpanKind.HANDOFF:
        found |= {"input.value": span.attributes.get("from_agent"), "output.value": span.attributes.get("to_agent")}
    elif span.kind is SpanKind.GUARDRAIL:
        found[GUARDRAIL_TRIGGERED] = span.attributes.get("triggered")
    if content is Content.FULL:
        found |= _content(item, span)
    made.attributes |= {name: value for name, value in found.items() if value is not None}
    return made


def _name_of(span: Span) -> str:
    if span.kind is SpanKind.LLM:
        return "generation"
    if span.kind is SpanKind.HANDOFF:
        return f"handoff to {span.attributes.get('to_agent') or '?'}"
    return "turn" if span.kind is SpanKind.TURN else span.name


def _llm(span: Span) -> Attributes:
    model = span.model or span.attributes.get("requested_model")
    both = (span.input_tokens, span.output_tokens)
    settings, reason = span.attributes.get("model_settings"), span.attributes.get("finish_reason")
    return {
        "llm.system": "openai",
        "llm.provider": provider_of(model),
        "llm.model_name": model,
        "llm.invocation_parameters": as_json(settings) if settings else None,
        "llm.finish_reason": finish_reason(reason) if isinstance(reason, str) else None,
        "llm.token_count.prompt": span.input_tokens,
        "llm.token_count.completion": span.output_tokens,
        "llm.token_count.total": None if both == (None, None) else sum(filter(None, both)),
        "llm.token_count.prompt_details.cache_read": span.cached_tokens,
        "llm.token_count.completion_details.reasoning": span.reasoning_tokens,
        "llm.cost.total": span.cost_usd,
    }


# -------------------------------------------------------------------------------------------------------- the content


def _content(item: Item, span: Span) -> Attributes:
    found: Attributes = {}
    if span.kind is SpanKind.HANDOFF:
        return found
    _put_value(found, "input", span.input)
    _put_value(found, "output", span.output)
    if span.kind is SpanKind.LLM:
        _put_messages(found, item, span)
    elif span.kind is SpanKind.TOOL:
        declared = declared_tool(span, agent_of(item, span))
        found["tool.description"] = declared.get("description")
        if declared.get("parameters"):
            found["tool.parameters"] = as_json(declared["parameters"])
    elif span.kind is SpanKind.OTHER:
        found["metadata"] = text_or_json(span.attributes.get("data"))
    elif span.kind is SpanKind.GUARDRAIL and "output_info" in span.attributes:
        _put_value(found, "output", span.attributes["output_info"])
    return found


def _put_value(found: Attributes, side: str, value: Any) -> None:
    if value is None:
        return
    text = text_or_json(value)
    is_json = not isinstance(value, str) or value.startswith(("{", "["))
    found[f"{side}.value"], found[f"{side}.mime_type"] = text, _JSON if is_json else _TEXT


def _put_messages(found: Attributes, item: Item, span: Span) -> None:
    system, given = input_messages(span.input)
    if system:
        given = [{"role": "system", "parts": system}, *given]
    for side, messages in (("input", given), ("output", output_messages(span.output))):
        for number, message in enumerate(messages):
            _put_message(found, f"llm.{side}_messages.{number}.message", message)
    agent = agent_of(item, span)
    for number, tool in enumerate(agent.tools if agent is not None else ()):
        found[f"llm.tools.{number}.tool.json_schema"] = as_json(_tool_schema(tool))


def _put_message(found: Attributes, at: str, message: Mapping[str, Any]) -> None:
    found[f"{at}.role"] = message["role"]
    shown = [part for part in message["parts"] if part["type"] not in ("tool_call", "tool_call_response")]
    if len(shown) == 1 and shown[0]["type"] == "text":
        found[f"{at}.content"] = shown[0]["content"]
    else:
        for number, part in enumerate(shown):
            text = part.get("content") if part["type"] in ("text", "reasoning") else as_json(part)
            found[f"{at}.contents.{number}.message_content.type"] = "text"
            found[f"{at}.contents.{number}.message_content.text"] = text
    calls = [part for part in message["parts"] if part["type"] == "tool_call"]
    for number, call in enumerate(calls):
        inside = f"{at}.tool_calls.{number}.tool_call"
        found[f"{inside}.id"] = call["id"]
        found[f"{inside}.function.name"] = call["name"]
        found[f"{inside}.function.arguments"] = text_or_json(call["arguments"])
    for part in message["parts"]:
        if part["type"] == "tool_call_response":
            found[f"{at}.tool_call_id"] = part["id"]
            found[f"{at}.content"] = text_or_json(part["response"])


def _tool_schema(tool: Mapping[str, Any]) -> dict[str, Any]:
    flat = tool_definition(tool)
    return {"type": flat.pop("type"), "function": flat}
