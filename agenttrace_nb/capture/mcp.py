"""MCP servers: the tools they offer, and the failures that they report and the SDK passes on as text only."""

from __future__ import annotations

import functools
import weakref
from typing import Any

from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.declared import describe_mcp_tool
from agenttrace_nb.capture.failures import WITHHELD
from agenttrace_nb.capture.state import open_span_here
from agenttrace_nb.spans import SpanKind

_watched: weakref.WeakSet[Any] = weakref.WeakSet()
_ORIGINAL = "__agenttrace_nb_original__"


@quiet
def watch(servers: Any) -> None:
    """Look at what an agent's MCP servers answer; the answers are passed on untouched."""
    for server in servers or ():
        if hasattr(server, "__dict__") and server not in _watched:
            server.call_tool = _passing_on(server.call_tool, _note_failure, own=vars(server).get("call_tool"))
            server.list_tools = _passing_on(server.list_tools, _note_tools, own=vars(server).get("list_tools"))
            _watched.add(server)


@quiet
def unwatch_all() -> None:
    """Leave the servers as they were found."""
    for server in list(_watched):
        for name in ("call_tool", "list_tools"):
            _restore(server, name)
        _watched.discard(server)


def _restore(server: Any, name: str) -> None:
    ours = vars(server).get(name)
    if not hasattr(ours, _ORIGINAL):
        return
    own = getattr(ours, _ORIGINAL)
    if own is None:
        delattr(server, name)
    else:
        setattr(server, name, own)


def _passing_on(method: Any, note: Any, *, own: Any) -> Any:
    @functools.wraps(method)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        result = await method(*args, **kwargs)
        note(result)
        return result

    setattr(watched, _ORIGINAL, own)
    return watched


@quiet
def _note_failure(result: Any) -> None:
    if not (getattr(result, "isError", False) or getattr(result, "is_error", False)):
        return
    span = open_span_here()
    if span is not None and span.kind is SpanKind.TOOL and span.error is None:
        texts = [str(getattr(part, "text", "")) for part in getattr(result, "content", None) or []]
        message = "\n".join(filter(None, texts)) or "the MCP server reported an error"
        span.error = {"type": "MCPToolError", "message": message if span.sensitive else WITHHELD}


@quiet
def _note_tools(result: Any) -> None:
    span = open_span_here()
    if span is not None and span.kind is SpanKind.MCP:
        span.tools = [describe_mcp_tool(tool) for tool in result]
