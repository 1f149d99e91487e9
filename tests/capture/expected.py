"""What a faithful recording holds, worked out from the bench's script and never from a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import dialects
from bench.models import DEFAULT_MODEL, Kind

if TYPE_CHECKING:
    from bench.script import Turn

ANSWERED_MODEL = DEFAULT_MODEL + dialects.SNAPSHOT


def said(items: list[Any]) -> list[tuple[Any, ...]]:
    """Return conversation items in the words that all APIs share: who said, called or answered what."""
    found: list[tuple[Any, ...]] = []
    for item in items:
        match item.get("type"):
            case "function_call":
                found.append(("call", item["call_id"], item["name"], item["arguments"]))
            case "function_call_output":
                found.append(("result", item["call_id"], item["output"]))
            case "reasoning":
                found.append(("reasoning", "".join(part["text"] for part in item["summary"])))
            case _:
                content = item["content"]
                text = content if isinstance(content, str) else "".join(part["text"] for part in content)
                found.append((item["role"], text))
    return found


def answered(turn: Turn, kind: Kind) -> list[tuple[Any, ...]]:
    """Return what a turn of the script answers, in the same words."""
    items = said(dialects.response_output(turn))
    return [item for item in items if item[0] != "reasoning" or kind is not Kind.CHAT]


def response_id(turn: Turn, kind: Kind) -> str:
    """Return the id that the provider gives an answer."""
    return turn.id("chatcmpl" if kind is Kind.CHAT else "resp")


def finish_reason(turn: Turn, kind: Kind) -> str:
    """Return why the provider says that an answer ended."""
    if kind is Kind.CHAT:
        return "tool_calls" if turn.step.calls else "stop"
    return "completed"
