"""The user's own MLflow spans inside a tool, and MLflow's autologging kept from storing a run twice."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture import words
from agenttrace_nb.capture.active import quiet
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agenttrace_nb.capture.state import OpenSpan, OpenTrace
    from agenttrace_nb.mlflow_store.bridge import MlflowSpan

_KINDS = {
    "TOOL": SpanKind.TOOL,
    "CHAT_MODEL": SpanKind.LLM,
    "LLM": SpanKind.LLM,
    "GUARDRAIL": SpanKind.GUARDRAIL,
    "MEMORY": SpanKind.MEMORY,
}
_CLIENT_SPANS = frozenset({"Completions", "AsyncCompletions", "Responses", "AsyncResponses"})
"""Spans that MLflow's autologging opens around calls of the OpenAI client, which are recorded already."""


def _is_loaded() -> bool:
    return hasattr(sys.modules.get("mlflow"), "tracing")


def enter_tool(trace: OpenTrace, tool: OpenSpan) -> Callable[[], None] | None:
    """Let MLflow spans that start in this context become children of a tool's span; return how to leave."""
    if not _is_loaded():
        return None
    from agenttrace_nb.mlflow_store import bridge

    manager = bridge.tool_context(trace.trace_id, tool.span_id, functools.partial(_take, trace, tool))
    manager.__enter__()
    return functools.partial(_leave, manager)


@quiet
def _take(trace: OpenTrace, tool: OpenSpan, span: MlflowSpan) -> None:
    _journal(trace, tool, span)


@quiet
def _leave(manager: contextlib.AbstractContextManager[None]) -> None:
    manager.__exit__(None, None, None)


@contextlib.contextmanager
def suppressed() -> Iterator[None]:
    """Keep MLflow's own tracing silent inside. What fails here does not reach the code inside."""
    leave = enter_suppressed()
    try:
        yield
    finally:
        if leave is not None:
            leave()


@quiet
def enter_suppressed() -> Callable[[], None] | None:
    """Keep MLflow's own tracing silent from now on; return how to leave."""
    if not _is_loaded():
        return None
    from agenttrace_nb.mlflow_store import bridge

    manager = bridge.suppressed()
    manager.__enter__()
    return functools.partial(_leave, manager)


def _journal(trace: OpenTrace, tool: OpenSpan, span: MlflowSpan) -> None:
    if span.name in _CLIENT_SPANS:
        return
    body: dict[str, Any] = {
        "kind": _KINDS.get(span.span_type or "", SpanKind.OTHER).value,
        "name": span.name,
        "parent_id": span.parent_id,
        "agent": tool.agent,
        "role": tool.role,
    }
    if span.end_ns is None:
        trace.recorder.append(EventKind.SPAN_START, trace.trace_id, span.span_id, body, time_ns=span.start_ns)
        return
    body["attributes"] = {"mlflow.spanType": span.span_type, **(span.attributes if tool.sensitive else {})}
    body["status"] = words.OK
    if span.failed:
        message = span.error_message or "failed"
        body.update(status=words.ERROR, error={"type": span.error_type, "message": message})
    both = {"input": span.inputs, "output": span.outputs} if tool.sensitive else {}
    content = {name: value for name, value in both.items() if value is not None}
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, span.span_id, body, content, time_ns=span.end_ns)
