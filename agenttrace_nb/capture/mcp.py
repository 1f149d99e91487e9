"""MCP tools that fail: the server says so, the SDK passes on only the text."""

from __future__ import annotations

import contextlib
import functools
import weakref
from typing import Any

from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.failures import WITHHELD
from agenttrace_nb.capture.state import open_span_here
from agenttrace_nb.spans import SpanKind

_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def watch(servers: Any) -> None:
    """Look at the results of an agent's MCP servers for their error flag; the results are passed on untouched."""
    for server in servers or ():
        if server not in _watched:
            server.call_tool = _noting_errors(server.call_tool)
            _watched.add(server)


def unwatch_all() -> None:
    """Leave the servers as they were found."""
    for server in list(_watched):
        with contextlib.suppress(AttributeError):
            del server.call_tool
        _watched.discard(server)


def _noting_errors(call_tool: Any) -> Any:
    @functools.wraps(call_tool)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        result = await call_tool(*args, **kwargs)
        _note(result)
        return result

    return watched


@quiet
def _note(result: Any) -> None:
    if not (getattr(result, "isError", False) or getattr(result, "is_error", False)):
        return
    span = open_span_here()
    if span is not None and span.kind is SpanKind.TOOL and span.error is None:
        texts = [str(getattr(part, "text", "")) for part in getattr(result, "content", None) or []]
        message = "\n".join(filter(None, texts)) or "the MCP server reported an error"
        span.error = {"type": "MCPToolError", "message": message if span.sensitive else WITHHELD}
