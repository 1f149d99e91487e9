"""Conversations in the JSON that OpenTelemetry's conventions ask for: roles and parts.

Source of the format: ``gen-ai-input-messages.json``, ``gen-ai-output-messages.json`` and
``gen-ai-system-instructions.json`` of the conventions (`genai_names.CONVENTIONS_VERSION`). What goes in are items of
OpenAI's Responses API or messages of Chat Completions, as they are recorded.
"""

from __future__ import annotations

import json
import re
from typing import Any

Part = dict[str, Any]
Message = dict[str, Any]

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,(.*)", re.DOTALL)
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_FINISH_REASONS = {
    "completed": "stop",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "max_output_tokens": "length",
    "incomplete": "length",
    "failed": "error",
    "cancelled": "error",
}


def as_json(value: Any) -> str:
    """Return a value as compact JSON text; what is no JSON as its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def input_messages(value: Any) -> tuple[list[Part], list[Message]]:
    """Return the system's instructions and the messages of what an agent or a model was given.

    Examples
    --------
    >>> input_messages([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}])[1]
    [{'role': 'user', 'parts': [{'type': 'text', 'content': 'hi'}]}]
    """
    items = value if isinstance(value, list) else [] if value is None else [{"role": "user", "content": value}]
    system: list[Part] = []
    at = 0
    while at < len(items) and isinstance(items[at], dict) and items[at].get("role") == "system":
        system += _content(items[at].get("content"))
        at += 1
    return system, _merged(items[at:])


def output_messages(value: Any, finish_reason: str | None = None) -> list[Message]:
    """Return what a model or an agent answered: one message, with why it stopped.

    Examples
    --------
    >>> output_messages("hello")
    [{'role': 'assistant', 'parts': [{'type': 'text', 'content': 'hello'}], 'finish_reason': 'stop'}]
    """
    if value is None:
        return []
    items = value if _is_items(value) else [{"role": "assistant", "content": value}]
    parts = [part for item in items for _, found in [_item(item)] for part in found]
    calls = any(part["type"] == "tool_call" for part in parts)
    reason = _FINISH_REASONS.get(finish_reason or "completed", finish_reason)
    return [
        {"role": "assistant", "parts": parts, "finish_reason": "tool_call" if calls and reason == "stop" else reason}
    ]


def finish_reason(value: str) -> str:
    """Return why an answer ended in the words of Chat Completions, which receivers know.

    Examples
    --------
    >>> finish_reason("completed"), finish_reason("tool_calls")
    ('stop', 'tool_calls')
    """
    return value if value in ("tool_calls", "function_call") else _FINISH_REASONS.get(value, value)


def _is_items(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) and ("type" in v or "role" in v) for v in value)


def _merged(items: list[Any]) -> list[Message]:
    """Join what an assistant said and called in one go, which the Responses API writes as items of their own."""
    messages: list[Message] = []
    for item in items:
        role, parts = _item(item)
        if role == "assistant" and messages and messages[-1]["role"] == role:
            messages[-1]["parts"] += parts
        else:
            messages.append({"role": role, "parts": parts})
    return messages


def _item(item: Any) -> tuple[str, list[Part]]:
    if not isinstance(item, dict):
        return "user", [_text(item)]
    kind = str(item.get("type") or "message")
    if kind == "message":
        return _message(item)
    if kind == "function_call":
        return "assistant", [_call(item.get("call_id"), item.get("name"), item.get("arguments"))]
    if kind == "reasoning":
        return "assistant", _reasoning(item)
    if kind.endswith("_output"):
        return "tool", [_response(item.get("call_id"), item.get("output"))]
    return str(item.get("role") or "assistant"), [
        _served(kind, item) if kind.endswith("_call") else {**item, "type": kind}
    ]


def _reasoning(item: dict[str, Any]) -> list[Part]:
    told = [*(item.get("summary") or []), *(item.get("content") or [])]
    texts = [part["text"] for part in told if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return [{"type": "reasoning", "content": text} for text in texts]


def _served(kind: str, item: dict[str, Any]) -> Part:
    """Return a call of a tool that the provider itself runs, such as a web search."""
    name = str(item.get("name") or kind.removesuffix("_call"))
    return {"type": "server_tool_call", "id": item.get("id"), "name": name, "server_tool_call": {**item, "type": kind}}


def _message(item: dict[str, Any]) -> tuple[str, list[Part]]:
    role = str(item.get("role") or "user")
    if role == "tool":
        return role, [_response(item.get("tool_call_id"), item.get("content"))]
    parts = _content(item.get("content"))
    for call in item.get("tool_calls") or ():
        asked = call.get("function") or {} if isinstance(call, dict) else {}
        parts.append(_call(call.get("id") if asked else None, asked.get("name"), asked.get("arguments")))
    return role, parts


def _content(content: Any) -> list[Part]:
    if content is None:
        return []
    return [_part(part) for part in content] if isinstance(content, list) else [_text(content)]


def _part(part: Any) -> Part:
    if not isinstance(part, dict):
        return _text(part)
    kind = part.get("type")
    if kind in _TEXT_PARTS:
        return _text(part.get("text"))
    if kind in ("input_image", "image_url"):
        given = part.get("image_url")
        return _media("image", given.get("url") if isinstance(given, dict) else given, part)
    if kind in ("input_file", "file"):
        return _media("document", part.get("file_data") or part.get("file_url"), part)
    return {**part, "type": str(kind or "other")}


def _media(modality: str, given: Any, part: dict[str, Any]) -> Part:
    if isinstance(given, str):
        inline = _DATA_URI.fullmatch(given)
        if inline:
            return {"type": "blob", "modality": modality, "mime_type": inline[1], "content": inline[2]}
        return {"type": "uri", "modality": modality, "uri": given}
    if isinstance(part.get("file_id"), str):
        return {"type": "file", "modality": modality, "file_id": part["file_id"]}
    return {**part, "type": str(part.get("type"))}


def _text(value: Any) -> Part:
    return {"type": "text", "content": value if isinstance(value, str) else as_json(value)}


def _call(call_id: Any, name: Any, arguments: Any) -> Part:
    return {"type": "tool_call", "id": call_id, "name": str(name), "arguments": parsed(arguments)}


def _response(call_id: Any, output: Any) -> Part:
    return {"type": "tool_call_response", "id": call_id, "response": output}


def parsed(value: Any) -> Any:
    """Return what JSON text says; anything else as it is.

    Examples
    --------
    >>> parsed('{"city": "Oslo"}'), parsed("Oslo")
    ({'city': 'Oslo'}, 'Oslo')
    """
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
