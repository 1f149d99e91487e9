"""Our spans under OpenTelemetry's conventions for generative AI.

One function for each kind of step; the names, with the release of the conventions that they are from, are in
`genai_names`, the conversations in `genai_messages`. An unknown kind keeps its own name and its data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.export import genai_names as names
from agenttrace_nb.export.genai_messages import as_json, finish_reason, input_messages, output_messages
from agenttrace_nb.export.handler import Content, Item, Moment
from agenttrace_nb.export.otlp_span import OtelSpan, Place, begin
from agenttrace_nb.spans import Span, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agenttrace_nb.spans import Agent

    Attributes = dict[str, Any]

_MAX_TAGS = 50


def to_otel(item: Item, span: Span, place: Place, content: Content) -> OtelSpan:
    """Return a span as the conventions describe it.

    Parameters
    ----------
    item
        The item that the span came in, for its trace and run.
    span
        The span.
    place
        What it hangs under.
    content
        How much of what people, models and tools wrote is sent: messages, arguments and results only with ``full``,
        tags and texts of errors not with ``off``.

    Returns
    -------
    OtelSpan
        The span, ready to be written.
    """
    made = begin(span, place, name_of(span), tells_errors=content is not Content.OFF)
    made.is_client = span.kind is SpanKind.LLM
    found = _TOLD.get(span.kind, _other)(span)
    if content is Content.FULL:
        found |= _SAID.get(span.kind, _other_content)(span, agent_of(item, span))
    found |= common(item, span, place, content)
    made.attributes |= {name: value for name, value in found.items() if value is not None}
    return made


def common(item: Item, span: Span, place: Place, content: Content) -> Attributes:
    """Return what is told of every span: agent, conversation, and ours that no convention has a name for."""
    trace, run = item.trace, item.run
    session = (trace.session if trace else None) or (run.session if run else None)
    found: Attributes = {
        names.AGENT_NAME: span.agent if span.kind is not SpanKind.WORKFLOW else None,
        names.CONVERSATION: session,
        names.KIND: span.kind.value,
        names.STATUS: span.status.value,
        names.ROLE: span.role,
        names.TURN: place.turn,
        names.TEST: True if item.moment is Moment.TEST else None,
    }
    if span.cost_usd is not None:
        found[names.COST_USD] = span.cost_usd
    if run is not None:
        found |= {names.RUN: run.key, names.ARCH: run.arch, names.CASE: run.case, names.TRIAL: run.trial}
    if content is not Content.OFF:
        tags = {**(run.tags if run else {}), **(trace.tags if trace else {})}
        found |= {names.TAG + key: value for key, value in list(tags.items())[:_MAX_TAGS]}
        found[names.USER_ID] = trace.user if trace else None
    return found


def name_of(span: Span) -> str:
    """Return a span's name under the conventions.

    Examples
    --------
    >>> from agenttrace_nb.spans import Span, SpanKind
    >>> ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    >>> name_of(Span(**ids, kind=SpanKind.TOOL, name="search", start_ns=0))
    'execute_tool search'
    """
    make = _NAMES.get(span.kind)
    return make(span) if make is not None else span.name


def _chat_name(span: Span) -> str:
    model = _requested_model(span)
    return f"{names.CHAT} {model}" if model else names.CHAT


def _handoff_name(span: Span) -> str:
    return f"handoff {span.attributes.get('from_agent') or '?'} -> {span.attributes.get('to_agent') or '?'}"


_NAMES: Mapping[SpanKind, Callable[[Span], str]] = {
    SpanKind.WORKFLOW: lambda span: f"{names.INVOKE_WORKFLOW} {span.name}",
    SpanKind.AGENT: lambda span: f"{names.INVOKE_AGENT} {span.agent or span.name}",
    SpanKind.LLM: _chat_name,
    SpanKind.TOOL: lambda span: f"{names.EXECUTE_TOOL} {span.name}",
    SpanKind.HANDOFF: _handoff_name,
    SpanKind.GUARDRAIL: lambda span: f"guardrail {span.name}",
    SpanKind.MCP: lambda _: names.LIST_TOOLS,
}

# ------------------------------------------------------------------------------------------------- what each kind tells


def _workflow(span: Span) -> Attributes:
    return {names.OPERATION: names.INVOKE_WORKFLOW, names.WORKFLOW_NAME: span.name}


def _agent(_: Span) -> Attributes:
    return {names.OPERATION: names.INVOKE_AGENT}


def _llm(span: Span) -> Attributes:
    known, model = span.attributes, _requested_model(span)
    settings, reason = known.get("model_settings") or {}, known.get("finish_reason")
    return {
        names.OPERATION: names.CHAT,
        names.PROVIDER: provider_of(model),
        names.REQUEST_MODEL: model,
        names.REQUEST_STREAM: True if span.ttft_s is not None else None,
        names.RESPONSE_MODEL: span.model if span.status is Status.OK else None,
        names.RESPONSE_ID: known.get("response_id"),
        names.FINISH_REASONS: [finish_reason(reason)] if isinstance(reason, str) else None,
        names.TIME_TO_FIRST_CHUNK: span.ttft_s,
        names.SERVICE_TIER: known.get("service_tier"),
        names.INPUT_TOKENS: span.input_tokens,
        names.OUTPUT_TOKENS: span.output_tokens,
        names.CACHED_TOKENS: span.cached_tokens,
        names.REASONING_TOKENS: span.reasoning_tokens,
        **{name: settings.get(ours) for ours, name in names.REQUEST_SETTINGS.items()},
    }


def _tool(span: Span) -> Attributes:
    found = {
        names.OPERATION: names.EXECUTE_TOOL,
        names.TOOL_NAME: span.name,
        names.TOOL_TYPE: "function",
        names.TOOL_CALL_ID: span.attributes.get("call_id"),
    }
    if isinstance(mcp := span.attributes.get("mcp"), dict):
        found |= {names.MCP_METHOD: names.CALL_TOOL, names.MCP_SERVER: mcp.get("server")}
    return found


def _handoff(span: Span) -> Attributes:
    known = span.attributes
    return {names.HANDOFF_FROM: known.get("from_agent"), names.HANDOFF_TO: known.get("to_agent")}


def _guardrail(span: Span) -> Attributes:
    return {names.GUARDRAIL_NAME: span.name, names.GUARDRAIL_TRIGGERED: span.attributes.get("triggered")}


def _mcp(span: Span) -> Attributes:
    return {names.MCP_METHOD: names.LIST_TOOLS, names.MCP_SERVER: span.attributes.get("server") or span.name}


def _memory(span: Span) -> Attributes:
    return {
        names.MEMORY_OPERATION: span.name.rpartition(".")[2],
        names.MEMORY_SESSION: span.attributes.get("session"),
        names.MEMORY_ITEMS: span.attributes.get("items"),
    }


def _speech(span: Span) -> Attributes:
    return {names.REQUEST_MODEL: span.model, names.SDK_TYPE: span.name}


def _other(span: Span) -> Attributes:
    return {names.SDK_TYPE: span.attributes.get("type")}


_TOLD: Mapping[SpanKind, Callable[[Span], Attributes]] = {
    SpanKind.WORKFLOW: _workflow,
    SpanKind.AGENT: _agent,
    SpanKind.TURN: lambda _: {},
    SpanKind.LLM: _llm,
    SpanKind.TOOL: _tool,
    SpanKind.HANDOFF: _handoff,
    SpanKind.GUARDRAIL: _guardrail,
    SpanKind.MCP: _mcp,
    SpanKind.MEMORY: _memory,
    SpanKind.SPEECH: _speech,
}

# --------------------------------------------------------------------------------- what each kind says of its content


def _conversation(span: Span, agent: Agent | None) -> Attributes:
    system, given = input_messages(span.input)
    said = output_messages(span.output, span.attributes.get("finish_reason"))
    if span.kind is SpanKind.AGENT and not system and agent is not None and agent.instructions:
        system = [{"type": "text", "content": agent.instructions}]
    tools = [tool_definition(tool) for tool in agent.tools] if agent is not None else []
    told = {
        names.SYSTEM_INSTRUCTIONS: system,
        names.INPUT_MESSAGES: given,
        names.OUTPUT_MESSAGES: said,
        names.TOOL_DEFINITIONS: tools,
    }
    return {name: as_json(value) for name, value in told.items() if value}


def _tool_content(span: Span, agent: Agent | None) -> Attributes:
    declared = declared_tool(span, agent)
    return {
        names.TOOL_ARGUMENTS: text_or_json(span.input),
        names.TOOL_RESULT: text_or_json(span.output),
        names.TOOL_DESCRIPTION: declared.get("description"),
    }


def _guardrail_content(span: Span, _: Agent | None) -> Attributes:
    return {names.GUARDRAIL_INFO: text_or_json(span.attributes.get("output_info"))}


def _other_content(span: Span, _: Agent | None) -> Attributes:
    return {
        names.DATA: text_or_json(span.attributes.get("data")),
        names.INPUT: text_or_json(span.input),
        names.OUTPUT: text_or_json(span.output),
    }


_SAID: Mapping[SpanKind, Callable[[Span, Agent | None], Attributes]] = {
    SpanKind.WORKFLOW: _conversation,
    SpanKind.AGENT: _conversation,
    SpanKind.LLM: _conversation,
    SpanKind.TOOL: _tool_content,
    SpanKind.GUARDRAIL: _guardrail_content,
}


def text_or_json(value: Any) -> str | None:
    """Return text as it is, anything else as JSON, and nothing for nothing."""
    return value if isinstance(value, str) or value is None else as_json(value)


def tool_definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declared tool as the conventions list it."""
    known = {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name) is not None}
    return {"type": "function", **known}


def declared_tool(span: Span, agent: Agent | None) -> Mapping[str, Any]:
    """Return the declaration of the tool that a span ran; an empty one where its agent has none of this name."""
    return next((tool for tool in agent.tools if tool.get("name") == span.name), {}) if agent is not None else {}


def agent_of(item: Item, span: Span) -> Agent | None:
    """Return what the agent of a span was declared to be, where that is known."""
    return item.trace.agents.get(span.agent) if item.trace is not None and span.agent is not None else None


def provider_of(model: str | None) -> str:
    """Return the conventions' name of who serves a model.

    Examples
    --------
    >>> provider_of("gpt-4o-mini"), provider_of("litellm/anthropic/claude-sonnet-4")
    ('openai', 'anthropic')
    """
    prefix, slash, rest = (model or "").partition("/")
    if prefix == "litellm" and slash:
        return provider_of(rest)
    return names.PROVIDERS.get(prefix, names.DEFAULT_PROVIDER) if slash else names.DEFAULT_PROVIDER


def _requested_model(span: Span) -> str | None:
    asked = span.attributes.get("requested_model")
    return asked if isinstance(asked, str) else span.model
