"""What is new in a prompt. Each LLM call repeats the conversation so far; people want to read every message once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from agenttrace_nb.views.rows import Rows

Item = dict[str, Any]
Ranges = list[list[int]]

_FROM_THE_MODEL = ("reasoning", "compaction")


def is_conversation(value: Any) -> bool:
    """Tell whether a value is a list of conversation items: messages with a role, or items with a type.

    Examples
    --------
    >>> is_conversation([{"role": "user", "content": "hi"}]), is_conversation([1]), is_conversation([])
    (True, False, False)
    """
    return isinstance(value, list) and bool(value) and all(map(_is_item, value))


def _is_item(item: Any) -> bool:
    return isinstance(item, dict) and (isinstance(item.get("role"), str) or isinstance(item.get("type"), str))


class Heard:
    """What the models of one run were told and have said, so that what is new in the next prompt is known.

    Items are compared by what they say, not by their place: histories that were shortened, filtered at a handoff or
    read back from a session repeat nothing, and somebody who says "yes" twice is heard twice.
    """

    def __init__(self) -> None:
        self._often: Counter[Any] = Counter()
        self._fresh: dict[int, Ranges] = {}
        self._answered: set[int] = set()
        self._agents: set[int] = set()

    def known(self, row: int) -> Ranges | None:
        """Return what was found new in a row's prompt before; ``None`` if it was never looked at."""
        return self._fresh.get(row)

    def listen(self, rows: Rows, row: int, told: Any, said: Any) -> Ranges | None:
        """Take in one LLM call, in order of time; return which items of its prompt are new.

        Parameters
        ----------
        rows, row
            All rows, and that of the call.
        told, said
            Its prompt and its answer.

        Returns
        -------
        list
            Pairs of a first index and a count, rising; ``None`` where the prompt is no conversation.
        """
        if row not in self._fresh and is_conversation(told):
            self._fresh[row] = _ranges(self._new(rows, row, told))
        if row not in self._answered and is_conversation(said):
            self._answered.add(row)
            self._often.update(map(_key, said))
        return self._fresh.get(row)

    def _new(self, rows: Rows, row: int, told: list[Item]) -> list[int]:
        here: Counter[Any] = Counter()
        found = []
        for at, item in enumerate(told):
            key = _key(item)
            here[key] += 1
            if here[key] > self._often[key]:
                self._often[key] = here[key]
                found.append(at)
        if self._begins(rows, row):
            # Two agents may be asked the same: what an agent run begins with is new to it.
            begin = _after_the_model(told)
            found = [at for at in found if at < begin] + list(range(begin, len(told)))
        return found

    def _begins(self, rows: Rows, row: int) -> bool:
        above = rows.parents[row]
        while above >= 0 and rows.spans[above].kind is not SpanKind.AGENT:
            above = rows.parents[above]
        if above < 0 or above in self._agents:
            return False
        self._agents.add(above)
        # An agent that took over goes on with what others were asked.
        return rows.spans[above].content_in is not None


def _after_the_model(items: list[Item]) -> int:
    for at in range(len(items) - 1, -1, -1):
        if _is_from_the_model(items[at]):
            return at + 1
    return next((at for at, item in enumerate(items) if item.get("role") not in ("system", "developer")), 0)


def _is_from_the_model(item: Item) -> bool:
    kind = item.get("type")
    return item.get("role") == "assistant" or (
        isinstance(kind, str) and (kind.endswith("_call") or kind in _FROM_THE_MODEL)
    )


def _key(item: Item) -> Any:
    # Not the whole item: ids and marks of the transport come and go between an answer and the next prompt.
    said = [text for name in ("content", "arguments", "output", "summary", "tool_calls") if (text := _text(item, name))]
    call_id = item.get("call_id") or item.get("tool_call_id")
    if not said and not call_id:
        return encode(item)
    return item.get("role") or item.get("type"), str(call_id), *said


def _text(item: Item, name: str) -> str | bytes:
    value = item.get(name)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value):
        return "".join(part["text"] for part in value)
    return encode(value) if value else ""


def _ranges(indices: list[int]) -> Ranges:
    found: Ranges = []
    for at in indices:
        if found and sum(found[-1]) == at:
            found[-1][1] += 1
        else:
            found.append([at, 1])
    return found
