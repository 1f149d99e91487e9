"""Small traces with something wrong in them, as they come from elsewhere: no SDK, odd shapes."""

from __future__ import annotations

import json
from typing import Any

from agenttrace_nb.spans import Agent, Span, SpanError, SpanKind, Status, Trace

STEP_NS = 1_000_000


class Build:
    """Builds a trace step by step, one millisecond each."""

    def __init__(self, status: Status = Status.OK) -> None:
        self.trace = Trace(trace_id="a" * 32, name="run", start_ns=10**18, end_ns=10**18 + 10**9, status=status)
        self.root = self.add("workflow", "run", status=status)

    def add(self, kind: str, name: str, parent: Span | None = None, **fields: Any) -> Span:
        at = 10**18 + len(self.trace.spans) * STEP_NS
        given = {"status": Status.OK, "end_ns": at + STEP_NS, **fields}
        span = Span(
            trace_id="a" * 32, span_id=f"{len(self.trace.spans):016x}", kind=SpanKind(kind), name=name, start_ns=at,
            parent_id=parent.span_id if parent else None, **given,
        )  # fmt: skip
        self.trace.spans.append(span)
        return span

    def declare(self, agent: str, *tools: dict[str, Any], handoffs: tuple[str, ...] = ()) -> None:
        self.trace.agents[agent] = Agent(
            name=agent, tools=list(tools), handoffs=[{"agent": h, "tool": f"transfer_to_{h.lower()}"} for h in handoffs]
        )

    def call(self, tool: str, arguments: Any, result: Any = None, *, agent: str = "A", **fields: Any) -> Span:
        """Add an answer that asks for a tool, and the tool's span."""
        call_id = f"call_{len(self.trace.spans)}"
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
        self.say(None, agent=agent, calls=[(call_id, tool, raw)])
        return self.add(
            "tool", tool, self.root, agent=agent, content_in=raw, content_out=result,
            attributes={"call_id": call_id, **fields.pop("attributes", {})}, **fields,
        )  # fmt: skip

    def say(self, text: str | None, *, agent: str = "A", calls: Any = (), prompt: Any = None, **fields: Any) -> Span:
        """Add an answer of a model."""
        items: list[Any] = [
            {"type": "function_call", "call_id": call_id, "name": name, "arguments": raw}
            for call_id, name, raw in calls
        ]
        if text is not None:
            items.append({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        told = [{"role": "user", "content": "Look after order A-17."}] if prompt is None else prompt
        return self.add("llm", "m", self.root, agent=agent, content_in=told, content_out=items, **fields)


def failed(message: str = "boom", kind: str | None = "RuntimeError", **more: Any) -> dict[str, Any]:
    """Return the fields of a span that failed."""
    return {"status": Status.ERROR, "error": SpanError(message, kind, **more)}


def tool(name: str, **properties: str) -> dict[str, Any]:
    """Return a tool as an agent declares it."""
    schema = {
        "type": "object", "properties": {k: {"type": v} for k, v in properties.items()}, "required": list(properties)
    }  # fmt: skip
    return {"name": name, "description": "A tool.", "parameters": schema}
