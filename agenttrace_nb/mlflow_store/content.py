"""Conversations in the shapes that MLflow's user interface shows as chat, and back.

MLflow shows ``{"input": [...]}`` and ``{"output": [...]}`` (items of OpenAI's Responses API) and ``{"messages":
[...]}`` and ``{"choices": [{"message": ...}]}`` (Chat Completions) as conversations. A shape says how a value was
dressed, so that reading gives back what was recorded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Shape = str | list[str] | None
"""``None``: as it is. A name: the key that it stands under. A list: it was JSON text, and how that was written."""

ABSENT = "absent"
"""Nothing was recorded; what stands there is only shown."""

QUESTION, REPLY = "question", "reply"
CHAT_FORMAT = "openai"
_CHAT_ROLES = frozenset({"user", "assistant", "system", "developer", "tool"})
_ITEM_TYPES = frozenset({"message", "function_call", "function_call_output", "reasoning", "image_generation_call"})
_COMPACT = (",", ":")


def prompt(value: Any) -> tuple[Any, Shape]:
    """Return the input of an LLM call as MLflow shows it, and its shape.

    Examples
    --------
    >>> prompt([{"role": "user", "content": "hi"}])
    ({'messages': [{'role': 'user', 'content': 'hi'}]}, 'messages')
    """
    if not isinstance(value, list) or not value or not all(map(_is_item, value)):
        return value, None
    # As "messages" the interface does not know the role of a developer, as "input" it does.
    key = "messages" if all(_is_chat(v) and v["role"] != "developer" for v in value) else "input"
    return {key: value}, key


def answer(value: Any) -> tuple[Any, Shape]:
    """Return the output of an LLM call as MLflow shows it, and its shape.

    Examples
    --------
    >>> answer([{"role": "assistant", "content": "hello"}])
    ({'choices': [{'message': {'role': 'assistant', 'content': 'hello'}}]}, 'choices')
    """
    if not isinstance(value, list) or not value:
        return value, None
    if all(isinstance(v, dict) and v.get("type") in _ITEM_TYPES for v in value):
        return {"output": value}, "output"
    if all(_is_chat(v) and v.get("role") == "assistant" for v in value):
        return {"choices": [{"message": v} for v in value]}, "choices"
    return value, None


def arguments(value: Any) -> tuple[Any, Shape]:
    """Return the arguments of a tool as MLflow shows them, and their shape.

    Models write arguments as JSON text; MLflow shows them as an object. The text itself is kept where writing the
    object down again would not give it back.

    Examples
    --------
    >>> arguments('{"city": "Oslo"}')
    ({'city': 'Oslo'}, ['json', ' '])
    """
    if not isinstance(value, str) or not value.startswith("{"):
        return value, None
    try:
        given = json.loads(value)
        if json.dumps(given, ensure_ascii=False) == value:
            return given, ["json", " "]
        if json.dumps(given, ensure_ascii=False, separators=_COMPACT) == value:
            return given, ["json", ""]
    except (ValueError, RecursionError):
        return value, None
    return given, ["json", " ", value]


def question(text: str) -> tuple[Any, Shape]:
    """Return a text that a run was asked as MLflow shows it, and its shape."""
    return {"messages": [{"role": "user", "content": text}]}, QUESTION


def reply(text: str) -> tuple[Any, Shape]:
    """Return a text that a run answered as MLflow shows it, and its shape."""
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}, REPLY


def undressed(value: Any, shape: Shape) -> Any:
    """Return what was recorded, from what MLflow shows and its shape.

    Examples
    --------
    >>> undressed({"choices": [{"message": {"role": "assistant"}}]}, "choices")
    [{'role': 'assistant'}]
    """
    if isinstance(shape, list):
        _, space, *text = shape
        return text[0] if text else json.dumps(value, ensure_ascii=False, separators=None if space else _COMPACT)
    return _UNDRESS[shape](value) if shape in _UNDRESS else value if shape is None else value[shape]


_UNDRESS: dict[str | None, Callable[[Any], Any]] = {
    ABSENT: lambda _: None,
    QUESTION: lambda shown: shown["messages"][0]["content"],
    REPLY: lambda shown: shown["choices"][0]["message"]["content"],
    "choices": lambda shown: [choice["message"] for choice in shown["choices"]],
}


def last_text(value: Any, role: str) -> str | None:
    """Return the text of the last message of a role in a list of items; ``None`` if there is none.

    Examples
    --------
    >>> last_text([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}], "user")
    'hi'
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    for item in reversed(value):
        if isinstance(item, dict) and item.get("role") == role and item.get("content"):
            return _plain_text(item["content"])
    return None


def _plain_text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(texts) or None


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "type" not in value
        and value.get("role") in _CHAT_ROLES
        and ("content" in value or "tool_calls" in value)
    )


def _is_item(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("type") in _ITEM_TYPES or _is_chat(value))
