"""MCP servers: the tools they offer, and the failures that they report and the SDK passes on as text only."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.declared import describe_mcp_tool
from agenttrace_nb.capture.failures import WITHHELD
from agenttrace_nb.capture.state import open_span_here
from agenttrace_nb.capture.wrapping import WatchedObjects
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable

_servers = WatchedObjects()


@quiet
def watch(servers: Any) -> None:
    """Look at what an agent's MCP servers answer; the answers are passed on untouched."""
    for server in servers or ():
        _servers.wrap(server, _WRAPPERS)


@quiet
def unwatch_all() -> None:
    """Leave the servers as they were found."""
    _servers.unwrap_all()


def _showing(note: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def wrapper(method: Any) -> Any:
        @functools.wraps(method)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            result = await method(*args, **kwargs)
            note(result)
            return result

        return watched

    return wrapper


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


_WRAPPERS = {"call_tool": _showing(_note_failure), "list_tools": _showing(_note_tools)}
