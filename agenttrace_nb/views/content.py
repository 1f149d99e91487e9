"""What went into a step and came out of it, as plain lines for the text forms. The browser has its own, richer way."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.safe_text import clip, one_line, plain, readable

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span

LAST_ITEMS = 3
PREVIEW_LIMIT_CHARACTERS = 120
_PREVIEW_PARTS = 8
_PREVIEW_DEPTH = 3


def brief(value: Any, limit: int) -> str:
    """Return a value as at most ``limit`` characters of plain text; of a conversation the last items.

    Examples
    --------
    >>> print(brief([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}], 100))
    user: hi
    assistant: hello
    """
    if not isinstance(value, list) or not value or not all(map(_is_item, value)):
        return clip(readable(value), limit)
    lines = [_line(item, limit) for item in value[-LAST_ITEMS:]]
    if len(value) > LAST_ITEMS:
        lines.insert(0, f"({len(value) - LAST_ITEMS} earlier items)")
    return clip("\n".join(lines), limit)


def _is_item(item: Any) -> bool:
    return isinstance(item, dict) and (isinstance(item.get("role"), str) or isinstance(item.get("type"), str))


def _line(item: dict[str, Any], limit: int) -> str:
    match item:
        case {"type": "function_call", "name": name, "arguments": arguments}:
            return plain(f"call {name} {_text(arguments, limit)}")
        case {"type": "function_call_output", "output": output}:
            return f"result: {_text(output, limit)}"
        case {"type": "reasoning", "summary": summary}:
            return f"reasoning: {_text(summary, limit)}"
        case {"role": str(role), "tool_calls": [*calls]} if not item.get("content"):
            named = [c["function"] for c in calls if isinstance(c, dict) and isinstance(c.get("function"), dict)]
            return plain(f"{role} calls " + ", ".join(f"{f.get('name')} {f.get('arguments')}" for f in named))
        case {"role": str(role), "content": content}:
            return f"{plain(role)}: {_text(content, limit)}"
    return clip(readable(item), limit)


def _text(value: Any, limit: int) -> str:
    if isinstance(value, list) and value and all(isinstance(part, dict) and "text" in part for part in value):
        value = "\n".join(str(part["text"]) for part in value)
    return clip(readable(value if not isinstance(value, str) else value[: 2 * limit]), limit)


def preview(value: Any, limit: int = PREVIEW_LIMIT_CHARACTERS) -> str:
    """Return the gist of a value on one line; of a conversation its last item. Cheap, whatever the size of the value.

    Examples
    --------
    >>> preview({"origin": "JFK", "passengers": 1, "bags": [1, 2]})
    'origin: JFK, passengers: 1, bags: 1, 2'
    >>> preview([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
    'hello'
    """
    return one_line(_gist(value, limit, _PREVIEW_DEPTH), limit)


def gist(span: Span) -> str:
    """Return one line on what a step did: its error, else what a tool was given, else what came out or went in."""
    if span.error is not None:
        return one_line(str(span.error), PREVIEW_LIMIT_CHARACTERS)
    sides = ("input", "output") if span.kind in (SpanKind.TOOL, SpanKind.MCP) else ("output", "input")
    try:
        return next(filter(None, (preview(getattr(span, side)) for side in sides)), "")
    except Exception:  # the payload says what could not be read
        return ""


def _gist(value: Any, limit: int, depth: int) -> str:
    if isinstance(value, str):
        return value[: 8 * limit]
    if value is None or depth == 0:
        return ""
    if isinstance(value, list):
        if value and all(map(_is_item, value[-LAST_ITEMS:])):
            return _item_gist(value[-1], limit, depth)
        return ", ".join(filter(None, (_gist(part, limit, depth - 1) for part in value[:_PREVIEW_PARTS])))
    if isinstance(value, dict):
        pairs = ((key, _gist(value[key], limit, depth - 1)) for key in islice(value, _PREVIEW_PARTS))
        return ", ".join(f"{key[:limit]}: {text}" for key, text in pairs if text and isinstance(key, str))
    return str(value)[:limit] if isinstance(value, bool | int | float) else ""


def _item_gist(item: dict[str, Any], limit: int, depth: int) -> str:
    match item:
        case {"type": "function_call", "name": str(name), "arguments": arguments}:
            return f"{name[:limit]} {_gist(arguments, limit, depth)}"
        case {"tool_calls": [{"function": {"name": str(name), "arguments": arguments}}, *_]} if not item.get("content"):
            return f"{name[:limit]} {_gist(arguments, limit, depth)}"
    for key in ("content", "output", "summary", "text"):
        if item.get(key):
            return _parts_gist(item[key], limit, depth)
    return ""


def _parts_gist(value: Any, limit: int, depth: int) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict) and isinstance(value[0].get("text"), str):
        return " ".join(part["text"][:limit] for part in value[:LAST_ITEMS] if isinstance(part.get("text"), str))
    return _gist(value, limit, depth)
