"""What the agents of a run were declared to be, cleaned and bounded, as the browser gets it when the run is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.safe_text import clip, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.spans import Agent, Trace

LIMIT_BYTES = 64 * 1024
INSTRUCTIONS_LIMIT = 4_000
DESCRIPTION_LIMIT = 600
SCHEMA_LIMIT_BYTES = 4_096
SHORT_LIMIT = 120
LEVELS_LIMIT = 12


def declared(traces: Iterable[Trace], limit_bytes: int = LIMIT_BYTES) -> dict[str, Any]:
    """Return the agents by name, and what was left out to stay within a size.

    Returns
    -------
    dict
        ``agents``: a list of ``name``, ``role``, ``model``, ``model_settings``, ``instructions``, ``tools`` (``name``,
        ``description``, ``schema``), ``handoffs`` (names of agents), ``guardrails`` (``name``, ``stage``) and
        ``output_type``.
        ``agents_left_out``: what is missing, in words; ``None`` where nothing is. Instructions over 4,000 characters,
        descriptions over 600 and schemas over 4 kB are cut or dropped in any case.
    """
    by_name: dict[str, Agent] = {}
    for trace in traces:
        for name, agent in trace.agents.items():
            by_name.setdefault(name, agent)
    agents = [_agent(agent) for agent in by_name.values()]
    left_out = []
    if _size(agents) > limit_bytes:
        left_out.append("schemas of tools")
        for tool in (tool for one in agents for tool in one["tools"]):
            tool["schema"] = None
    if _size(agents) > limit_bytes:
        left_out.append("long texts")
        for one in agents:
            one["instructions"] = _text(one["instructions"], SHORT_LIMIT)
            for tool in one["tools"]:
                tool["description"] = _text(tool["description"], SHORT_LIMIT)
    kept = _within(agents, limit_bytes)
    if len(kept) < len(agents):
        missing = len(agents) - len(kept)
        left_out.append(f"{missing} {fmt.plural(missing, 'agent')}")
    return {"agents": kept, "agents_left_out": ", ".join(left_out) or None}


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "name": _name(agent.name) or "",
        "role": _name(agent.role),
        "model": _name(agent.model),
        "model_settings": _small(agent.model_settings),
        "instructions": _text(agent.instructions, INSTRUCTIONS_LIMIT),
        "tools": [_tool(tool) for tool in agent.tools],
        "handoffs": [_name(handoff.get("agent")) or "" for handoff in agent.handoffs],
        "guardrails": [{"name": _name(g.get("name")) or "", "stage": _name(g.get("stage"))} for g in agent.guardrails],
        "output_type": _name(agent.output_type),
    }


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(tool.get("name")) or "",
        "description": _text(tool.get("description"), DESCRIPTION_LIMIT),
        "schema": _small(tool.get("parameters")),
    }


def _small(schema: Any) -> Any:
    if not schema:
        return None
    data = encode(schema)
    return _clean(json.loads(data)) if len(data) <= SCHEMA_LIMIT_BYTES else None


def _clean(value: Any, level: int = 0) -> Any:
    if isinstance(value, str):
        return plain(value)
    if level == LEVELS_LIMIT and isinstance(value, dict | list):
        return None
    if isinstance(value, dict):
        return {plain(key): _clean(inner, level + 1) for key, inner in value.items()}
    return [_clean(inner, level + 1) for inner in value] if isinstance(value, list) else value


def _name(text: Any) -> str | None:
    return one_line(str(text), labels.NAME_LIMIT) if text else None


def _text(text: Any, limit: int) -> str | None:
    # Cut before it is cleaned: cleaning ten megabytes would be felt.
    return clip(plain(str(text)[: 4 * limit]), limit) if text else None


def _within(agents: list[dict[str, Any]], limit_bytes: int) -> list[dict[str, Any]]:
    kept, size = [], 0
    for agent in agents:
        size += _size(agent) + 2
        if size > limit_bytes:
            break
        kept.append(agent)
    return kept


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))
