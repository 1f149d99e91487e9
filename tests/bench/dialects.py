"""One turn of a script in the words of each API: Responses and Chat Completions, whole and streamed.

Shapes follow the public API reference (https://platform.openai.com/docs/api-reference); the real ``openai`` client
reads them in ``tests/test_bench.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.script import Turn

CREATED_AT = 1_700_000_000
"""The clock of every answer (seconds since 1970), fixed so that recordings are the same each time."""

SNAPSHOT = "-2024-07-18"
"""Providers answer with a dated model name although a short one was asked for."""

ERRORS = {
    400: ("invalid_request_error", None, "The request does not fit the script"),
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit reached for the scripted model"),
    500: ("server_error", None, "The scripted server had an error while processing your request"),
}

JsonObject = dict[str, Any]


def error_body(status: int, message: str | None = None) -> JsonObject:
    """Return the body of an HTTP error."""
    kind, code, default = ERRORS[status]
    return {"error": {"message": message or default, "type": kind, "code": code, "param": None}}


def response_output(turn: Turn) -> list[JsonObject]:
    """Return the output items of a Responses answer."""
    items: list[JsonObject] = []
    if turn.step.reasoning is not None:
        summary = [{"type": "summary_text", "text": turn.step.reasoning}]
        items.append({"type": "reasoning", "id": turn.id("rs"), "summary": summary})
    if turn.step.text is not None:
        items.append(_message(turn, "completed", [_text_part(turn.step.text)]))
    items.extend(
        {
            "type": "function_call",
            "id": turn.id("fc", part),
            "call_id": turn.id("call", part),
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for part, call in enumerate(turn.step.calls)
    )
    return items


def _message(turn: Turn, status: str, content: list[JsonObject]) -> JsonObject:
    return {"type": "message", "id": turn.id("msg"), "role": "assistant", "status": status, "content": content}


def _text_part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response_body(turn: Turn, request: JsonObject) -> JsonObject:
    """Return a whole answer of ``POST /v1/responses``."""
    return {
        "id": turn.id("resp"),
        "object": "response",
        "created_at": CREATED_AT,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "metadata": {},
        "model": request["model"] + SNAPSHOT,
        "output": response_output(turn),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools", []),
        "top_p": 1.0,
        "usage": {
            "input_tokens": turn.usage.input,
            "input_tokens_details": {"cached_tokens": turn.usage.cached, "cache_write_tokens": 0},
            "output_tokens": turn.usage.output,
            "output_tokens_details": {"reasoning_tokens": turn.usage.reasoning},
            "total_tokens": turn.usage.total,
        },
    }


def response_events(turn: Turn, request: JsonObject) -> Iterator[JsonObject]:
    """Yield the server-sent events of a streamed Responses answer, numbered."""
    for number, event in enumerate(_response_events(turn, response_body(turn, request))):
        yield {**event, "sequence_number": number}


def _response_events(turn: Turn, body: JsonObject) -> Iterator[JsonObject]:
    begun = {**body, "output": [], "status": "in_progress", "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(body["output"]):
        events = {"message": _message_events, "function_call": _call_events, "reasoning": _reasoning_events}
        yield from events[item["type"]](turn, index, item)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": body}


def _message_events(turn: Turn, index: int, item: JsonObject) -> Iterator[JsonObject]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    added = _message(turn, "in_progress", [])
    yield {"type": "response.output_item.added", "output_index": index, "item": added}
    yield {"type": "response.content_part.added", **place, "part": _text_part("")}
    for word in turn.words():
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _call_events(_turn: Turn, index: int, item: JsonObject) -> Iterator[JsonObject]:
    place = {"item_id": item["id"], "output_index": index}
    begun = {**item, "arguments": "", "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]}
    done = {"arguments": item["arguments"], "name": item["name"]}
    yield {"type": "response.function_call_arguments.done", **place, **done}


def _reasoning_events(_turn: Turn, index: int, item: JsonObject) -> Iterator[JsonObject]:
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "summary": []}}


def chat_body(turn: Turn, request: JsonObject) -> JsonObject:
    """Return a whole answer of ``POST /v1/chat/completions``."""
    message: JsonObject = {"role": "assistant", "content": turn.step.text, "refusal": None}
    if turn.step.calls:
        message["tool_calls"] = [_chat_call(turn, part) for part in range(len(turn.step.calls))]
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(turn), "logprobs": None}
    return {**_chat_head(turn, request, "chat.completion"), "choices": [choice], "usage": _chat_usage(turn)}


def chat_chunks(turn: Turn, request: JsonObject) -> Iterator[JsonObject]:
    """Yield the chunks of a streamed chat answer; usage only if it was asked for, as the API does."""
    head = _chat_head(turn, request, "chat.completion.chunk")
    include_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    usage: JsonObject = {"usage": None} if include_usage else {}

    def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {**head, "choices": [choice], **usage}

    yield chunk({"role": "assistant", "content": ""})
    for word in turn.words():
        yield chunk({"content": word})
    for part, call in enumerate(turn.step.calls):
        begun = _chat_call(turn, part)
        begun["function"] = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": part, **begun}]})
        yield chunk({"tool_calls": [{"index": part, "function": {"arguments": call.arguments}}]})
    yield chunk({}, _finish_reason(turn))
    if include_usage:
        yield {**head, "choices": [], "usage": _chat_usage(turn)}


def _chat_head(turn: Turn, request: JsonObject, kind: str) -> JsonObject:
    model = request["model"] + SNAPSHOT
    return {"id": turn.id("chatcmpl"), "object": kind, "created": CREATED_AT, "model": model}


def _chat_call(turn: Turn, part: int) -> JsonObject:
    call = turn.step.calls[part]
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": turn.id("call", part), "type": "function", "function": function}


def _chat_usage(turn: Turn) -> JsonObject:
    return {
        "prompt_tokens": turn.usage.input,
        "completion_tokens": turn.usage.output,
        "total_tokens": turn.usage.total,
        "prompt_tokens_details": {"cached_tokens": turn.usage.cached},
        "completion_tokens_details": {"reasoning_tokens": turn.usage.reasoning},
    }


def _finish_reason(turn: Turn) -> str:
    return "tool_calls" if turn.step.calls else "stop"
