"""What an agent was declared to be: the graph that later views draw what really ran upon."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from agents import AgentOutputSchema, AgentOutputSchemaBase, Handoff

from agenttrace_nb.journal.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.capture.state import OpenTrace

_SETTINGS = (
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "tool_choice", "parallel_tool_calls",
    "truncation", "max_tokens", "reasoning", "verbosity", "store", "include_usage", "top_logprobs", "timeout",
)  # fmt: skip
"""The settings that are kept. Headers, query, body and arguments of the user's own may hold keys and are not."""


def declare(
    trace: OpenTrace,
    agent: Any,
    role: str | None,
    *,
    sensitive: bool,
    instructions: str | None = None,
    more_tools: Sequence[dict[str, Any]] = (),
) -> None:
    """Record what an agent was declared to be.

    Parameters
    ----------
    trace
        The trace that it runs in.
    agent
        An ``agents.Agent``.
    role
        What it is for.
    sensitive
        Whether instructions may be kept.
    instructions
        Its instructions where the agent has a function for them.
    more_tools
        Tools that its MCP servers offer.
    """
    body = describe_agent(agent)
    body["role"] = role
    body["tools"] += more_tools
    text = instructions if instructions is not None else getattr(agent, "instructions", None)
    content = {"instructions": text} if sensitive and isinstance(text, str) else {}
    trace.recorder.append(EventKind.AGENT, trace.trace_id, body=body, content=content)


def describe_agent(agent: Any) -> dict[str, Any]:
    """Return an agent's declaration, without its instructions, as the journal keeps it."""
    output_type = getattr(agent, "output_type", None)
    return {
        "name": agent.name,
        "model": model_name(getattr(agent, "model", None)),
        "model_settings": describe_settings(getattr(agent, "model_settings", None)),
        "tools": [_tool(t) for t in getattr(agent, "tools", None) or []],
        "handoffs": [_handoff(h) for h in getattr(agent, "handoffs", None) or []],
        "guardrails": [
            {"name": _guardrail_name(g), "stage": stage}
            for stage in ("input", "output")
            for g in getattr(agent, f"{stage}_guardrails", None) or []
        ],
        "output_type": None if output_type is None else _type_name(output_type),
        "output_schema": _output_schema(output_type),
    }


def model_name(model: Any) -> str | None:
    """Return the name of a model given as text or as a ``Model``; ``None`` if it has none."""
    if model is None or isinstance(model, str):
        return model or None
    name = getattr(model, "model", None) or getattr(model, "model_name", None)
    return name if isinstance(name, str) else None


def describe_settings(settings: Any) -> dict[str, Any]:
    """Return the sampling settings that were chosen, and nothing that may hold a key."""
    found = {name: getattr(settings, name, None) for name in _SETTINGS}
    return {name: _settled(value) for name, value in found.items() if value is not None}


def describe_mcp_tool(tool: Any) -> dict[str, Any]:
    """Return a tool as its MCP server lists it."""
    # The field was renamed in version 2 of the protocol's library.
    schema = getattr(tool, "input_schema", None) or getattr(tool, "inputSchema", None)
    found = {"name": tool.name, "type": "MCPTool", "description": tool.description, "parameters": schema}
    return {name: value for name, value in found.items() if value}


def _settled(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", exclude_none=True) if callable(dump) else value


def _tool(tool: Any) -> dict[str, Any]:
    found = {"name": getattr(tool, "name", type(tool).__name__), "type": type(tool).__name__}
    for source, target in (("description", "description"), ("params_json_schema", "parameters")):
        value = getattr(tool, source, None)
        if value:
            found[target] = value
    return found


def _handoff(handoff: Any) -> dict[str, Any]:
    if isinstance(handoff, Handoff):
        return {"agent": handoff.agent_name, "tool": handoff.tool_name}
    return {"agent": handoff.name, "tool": Handoff.default_tool_name(handoff)}


def _guardrail_name(guardrail: Any) -> str:
    get_name = getattr(guardrail, "get_name", None)
    return str(get_name()) if callable(get_name) else type(guardrail).__name__


def _type_name(output_type: Any) -> str:
    if isinstance(output_type, AgentOutputSchemaBase):
        return output_type.name()
    return getattr(output_type, "__name__", None) or str(output_type)


def _output_schema(output_type: Any) -> dict[str, Any] | None:
    if output_type is None or output_type is str:
        return None
    if isinstance(output_type, AgentOutputSchemaBase):
        return None if output_type.is_plain_text() else output_type.json_schema()
    try:
        return _schema_of_type(output_type)
    except TypeError:
        return AgentOutputSchema(output_type, strict_json_schema=False).json_schema()


@functools.lru_cache(maxsize=200)
def _schema_of_type(output_type: Any) -> dict[str, Any]:
    # Building a schema takes pydantic a millisecond; an agent may run a thousand times.
    return AgentOutputSchema(output_type, strict_json_schema=False).json_schema()
