"""What an agent was declared to be: the graph that later views draw what really ran upon."""

from __future__ import annotations

from typing import Any

_SETTINGS = (
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "tool_choice", "parallel_tool_calls",
    "truncation", "max_tokens", "reasoning", "verbosity", "store", "include_usage", "top_logprobs",
)  # fmt: skip
"""The settings that are kept. Headers, query, body and arguments of the user's own may hold keys and are not."""


def describe_agent(agent: Any, *, sensitive: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an agent as the journal keeps it.

    Parameters
    ----------
    agent
        An ``agents.Agent``.
    sensitive
        Whether instructions may be kept.

    Returns
    -------
    body, content
        As `Journal.append` takes them.
    """
    output_type = getattr(agent, "output_type", None)
    body: dict[str, Any] = {
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
    instructions = getattr(agent, "instructions", None)
    content = {"instructions": instructions} if sensitive and isinstance(instructions, str) else {}
    return body, content


def model_name(model: Any) -> str | None:
    """Return the name of a model given as text or as a ``Model``; ``None`` if it has none."""
    if model is None or isinstance(model, str):
        return model or None
    name = getattr(model, "model", None) or getattr(model, "model_name", None)
    return name if isinstance(name, str) else type(model).__name__


def describe_settings(settings: Any) -> dict[str, Any]:
    """Return the sampling settings that were chosen, and nothing that may hold a key."""
    found = {name: getattr(settings, name, None) for name in _SETTINGS}
    return {name: _settled(value) for name, value in found.items() if value is not None}


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
    agent = getattr(handoff, "agent_name", None) or getattr(handoff, "name", None)
    return {"agent": agent, "tool": getattr(handoff, "tool_name", None)}


def _guardrail_name(guardrail: Any) -> str:
    get_name = getattr(guardrail, "get_name", None)
    return str(get_name()) if callable(get_name) else type(guardrail).__name__


def _type_name(output_type: Any) -> str:
    inner = getattr(output_type, "output_type", output_type)
    return getattr(inner, "__name__", None) or str(inner)


def _output_schema(output_type: Any) -> dict[str, Any] | None:
    schema = getattr(output_type, "model_json_schema", None)
    return schema() if callable(schema) else None
