"""What went into a step and came out of it, as plain lines for the text forms. The browser has its own, richer way."""

from __future__ import annotations

from typing import Any

from agenttrace_nb.views.safe_text import clip, plain, readable

LAST_ITEMS = 3


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
