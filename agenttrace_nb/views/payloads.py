"""What went into a step and came out of it, as JSON for the browser: whole when small, a beginning when large.

Conversation items travel once. A prompt repeats the whole conversation so far, so that a run of many calls would send
its first message as often as there are calls. A row's payload therefore holds the items that were not sent before
(``items``), and says where the others are::

    {"items": [{...}], "input_items": [[3, 0, 2], [7, 0, 1]], "output": ..., "fresh": [[2, 1]]}

``input_items`` and ``output_items`` stand in place of ``input`` and ``output``: each part is either an item as it is,
or ``[row, first, count]``: some of the ``items`` of that row (which may be this one). ``fresh`` says which items of a
prompt are new in it. ``clipped`` is the size of the whole in bytes where only the beginning came along.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.encode import encode, encode_each
from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.conversation import Heard, is_conversation
from agenttrace_nb.views.safe_text import clip

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span
    from agenttrace_nb.views.rows import Rows

WHOLE_LIMIT_BYTES = 8_192
PREVIEW_LIMIT_CHARACTERS = 500
PREVIEW_LIMIT_PARTS = 40
PREVIEW_LIMIT_LEVELS = 6
REPEATED_COSTS = 4
"""Bytes of repeated items that cost as much work as one that is new."""

_SIDES = ("input", "output")


@dataclass(slots=True, frozen=True)
class Payload:
    """A row's content as it travels.

    Attributes
    ----------
    data
        JSON.
    work_bytes
        What making it was worth: more than its size where most of it was sent before.
    """

    data: bytes
    work_bytes: int


class Payloads:
    """Makes the payloads of one run; remembers which row carries which conversation item."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._heard = Heard()
        self._place: dict[bytes, tuple[int, int]] = {}
        self._own: dict[int, list[bytes]] = {}

    def make(self, row: int, *, whole: bool = False) -> Payload:
        """Return a row's payload, to be sent along. Rows are to be made in order of time.

        Parameters
        ----------
        row
            The row.
        whole
            Whatever its size; else the beginning if it is large.
        """
        content = _content(self._rows.spans[row])
        repeated = self._share(row, content)
        if self._rows.spans[row].kind is SpanKind.LLM:
            self._put_fresh(content, self._heard.listen(self._rows, row, *map(content.get, _SIDES)))
        for side in _SIDES:
            if f"{side}_items" in content:
                content.pop(side, None)
        data = _joined(content, self._own.get(row))
        work = len(data) + repeated // REPEATED_COSTS
        if len(data) > WHOLE_LIMIT_BYTES and not whole:
            data = _beginning(content, self._own.get(row), len(data))
        return Payload(data, work)

    def whole(self, row: int) -> bytes:
        """Return a row's whole content as JSON that needs no other row."""
        content = _content(self._rows.spans[row])
        own = self._own.get(row)
        for side in _SIDES:
            if own and is_conversation(content.get(side)):
                items = content.pop(side)
                places = [self._place.get(_digest(data)) for data in encode_each(items)]
                content[f"{side}_items"] = [
                    [row, place[1], 1] if place is not None and place[0] == row else item
                    for item, place in zip(items, places, strict=True)
                ]
        self._put_fresh(content, self._heard.known(row))
        return _joined(content, own)

    def forget(self, row: int) -> None:
        """Send the items of a row anew with the next row that has them: its payload is not kept."""
        if self._own.pop(row, None):
            self._place = {digest: place for digest, place in self._place.items() if place[0] != row}

    def _share(self, row: int, content: dict[str, Any]) -> int:
        repeated = 0
        for side in _SIDES:
            if is_conversation(content.get(side)):
                content[f"{side}_items"], size = self._places(row, encode_each(content[side]))
                repeated += size
        return repeated

    def _places(self, row: int, items: list[bytes]) -> tuple[list[list[int]], int]:
        ranges: list[list[int]] = []
        repeated = 0
        for data in items:
            digest = _digest(data)
            place = self._place.get(digest)
            if place is None:
                own = self._own.setdefault(row, [])
                place = self._place[digest] = (row, len(own))
                own.append(data)
            elif place[0] != row:
                repeated += len(data)
            last = ranges[-1] if ranges else None
            if last and last[0] == place[0] and last[1] + last[2] == place[1]:
                last[2] += 1
            else:
                ranges.append([*place, 1])
        return ranges, repeated

    @staticmethod
    def _put_fresh(content: dict[str, Any], fresh: list[list[int]] | None) -> None:
        if fresh is not None:
            content["fresh"] = fresh


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _joined(content: dict[str, Any], items: list[bytes] | None) -> bytes:
    data = encode(content)
    return b'{"items":[' + b",".join(items) + b"]," + data[1:] if items else data


def _beginning(content: dict[str, Any], items: list[bytes] | None, size_bytes: int) -> bytes:
    content.pop("attributes", None)
    for side in _SIDES:
        if content.get(side) is not None:
            content[side] = _shortened(content[side])
    if error := content.get("error"):
        content["error"] = _shortened(error)
    return _joined({**content, "clipped": size_bytes}, _last_shortened(items) if items else None)


def _last_shortened(items: list[bytes]) -> list[bytes]:
    # From the last one back: it is the newest. What finds no room keeps its place, empty.
    room = WHOLE_LIMIT_BYTES
    found = []
    for data in reversed(items):
        short = data if len(data) <= PREVIEW_LIMIT_CHARACTERS else encode(_shortened(_read_json(data)))
        room -= len(short)
        found.append(short if room > 0 else b"null")
    return found[::-1]


def _read_json(data: bytes) -> Any:
    return json.loads(data)


def _shortened(value: Any, level: int = 0) -> Any:
    """Return a value of the same shape with long texts, long lists and deep parts cut."""
    if isinstance(value, str):
        return clip(value, PREVIEW_LIMIT_CHARACTERS)
    if isinstance(value, (dict, list, tuple)) and level >= PREVIEW_LIMIT_LEVELS:
        return "…"
    if isinstance(value, dict):
        pairs = islice(value.items(), PREVIEW_LIMIT_PARTS)
        return {clip(str(key), PREVIEW_LIMIT_CHARACTERS): _shortened(part, level + 1) for key, part in pairs}
    if isinstance(value, (list, tuple)):
        return [_shortened(part, level + 1) for part in value[:PREVIEW_LIMIT_PARTS]]
    return value


def _content(span: Span) -> dict[str, Any]:
    content: dict[str, Any] = {
        "input": _read(span, "input"),
        "output": _read(span, "output"),
        "error": asdict(span.error) if span.error else None,
        "attributes": span.attributes or None,
        "ttft_s": span.ttft_s,
        "cached_tokens": span.cached_tokens,
        "reasoning_tokens": span.reasoning_tokens,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }
    return {key: value for key, value in content.items() if value is not None}


def _read(span: Span, side: str) -> Any:
    try:
        return getattr(span, side)
    except Exception as error:  # a journal that cannot be read must not take the view with it
        return f"[could not be read: {type(error).__name__}: {error}]"
