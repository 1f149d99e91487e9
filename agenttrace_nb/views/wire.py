"""The bytes between kernel and browser, protocol version 1. ``js/src/wire.ts`` reads what this module writes.

A *frame* is one block of bytes, the same in a live message, in saved widget state and in a page made by ``to_html``::

    "AGT1"  4 bytes
    length  u4, of the header
    header  JSON, UTF-8
    columns one after the other, each beginning at a multiple of 8 bytes from the start of the frame

All numbers are little-endian. The header says which columns follow::

    {
        "v": 1,
        "seq": 7,
        "base": 6,
        "rows": 31,
        "now": 2140.5,
        "cols": [["row", "u4", 3], ...],
        "strings_at": 40,
        "strings": ["gpt-4o-mini"],
        "run": {"title": ..., "status": ..., "figures": [...]},
    }

``seq`` numbers the frames of a run. ``base`` is the frame that this one builds on; 0 means that it builds on none and
holds everything. A reader that does not have the base asks for ``resync``. ``rows`` is how many rows there are after
it, ``now`` the run's clock in ms, ``strings`` the strings that are new, the first of which has number ``strings_at``.

Each column holds one value for each row that the frame speaks of; ``row`` holds their numbers. Times are ms since the
start of the run; a step that still runs has no end (NaN). Numbers that are not known are -1 or NaN, strings 0 (""). A
payload is a row's content as JSON: ``payload_row`` names the row, ``payload_end`` where its bytes end in ``payload``.
``preview`` is one line that says what the row in ``preview_row`` did, as a string's number. When the run is over,
``self`` and ``critical`` say where the time went: what each row took by itself, and how much of the critical path that
is, in ms (NaN: not known). These two hold a value for every row there is, whatever rows the frame speaks of.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from array import array
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import SpanKind, Status
from agenttrace_nb.views import labels
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agenttrace_nb.views.headline import Headline
    from agenttrace_nb.views.rows import Rows
    from agenttrace_nb.views.timings import Timings

VERSION = 1
MAGIC = b"AGT1"
ALIGN_BYTES = 8
UNKNOWN_WHOLE = -1
UNKNOWN_REAL = math.nan
NS_PER_MS = 1_000_000

KINDS = {kind: number for number, kind in enumerate(SpanKind)}
STATUSES = {status: number for number, status in enumerate(Status)}

_TYPES = {"u1": "B", "u4": "I", "i4": "i", "f8": "d"}
_LARGEST_WHOLE = 2**31 - 1


class Strings:
    """Texts that occur again and again, each kept once and named by a number; 0 is no text."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {"": 0}
        self._of_name: dict[str, int] = {}
        self.texts: list[str] = [""]

    def number(self, text: str | None) -> int:
        """Return the number of a text."""
        if not text:
            return 0
        number = self._number.get(text)
        if number is None:
            number = self._number[text] = len(self.texts)
            self.texts.append(text)
        return number

    def of_name(self, text: str | None) -> int:
        """Return the number of a name that a user, model or tool chose."""
        if not text:
            return 0
        number = self._of_name.get(text)
        if number is None:
            number = self._of_name[text] = self.number(one_line(text, labels.NAME_LIMIT))
        return number


def frame(
    *, seq: int, base: int, rows: Rows, changed: Sequence[int], origin_ns: int, now_ns: int, strings: Strings,
    strings_at: int, run: Mapping[str, Any], payloads: Mapping[int, bytes], previews: Mapping[int, str],
    timings: Timings | None = None,
) -> bytes:  # fmt: skip
    """Return a frame.

    Parameters
    ----------
    seq, base
        Its number, and the frame that it builds on (0: none, then ``changed`` must name every row).
    rows, changed
        All rows, and the numbers of those that the frame speaks of.
    origin_ns, now_ns
        The start of the run, which times are counted from, and its clock.
    strings, strings_at
        The string table, and how many of its strings the reader has.
    run
        The head of the view: see `head`.
    payloads
        Content as JSON, by row.
    previews
        What rows did, on one line each, by row.
    timings
        Where the time went, if it is to go along.
    """
    columns = [
        *_row_columns(rows, changed, origin_ns, strings),
        *_timing_columns(timings),
        *_payload_columns(payloads),
        *_preview_columns(previews, strings),
    ]
    header = {
        "v": VERSION, "seq": seq, "base": base, "rows": len(rows), "now": _ms(now_ns, origin_ns),
        "cols": [],  # `packed` fills it in, in this place
        "strings_at": strings_at, "strings": strings.texts[strings_at:], "run": run,
    }  # fmt: skip
    return packed(header, columns)


Column = tuple[str, str, "array[Any] | bytes"]


def packed(header: Mapping[str, Any], columns: Sequence[Column]) -> bytes:
    """Return a header and the columns that it names as one frame.

    Parameters
    ----------
    header
        What the frame says beside its columns; ``cols`` names them.
    columns
        Name, type and values of each.
    """
    header = {**header, "cols": [[name, kind, len(values)] for name, kind, values in columns]}
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    parts = [MAGIC, struct.pack("<I", len(text)), text]
    length = len(MAGIC) + 4 + len(text)
    for _, kind, values in columns:
        padding = -length % ALIGN_BYTES
        data = _bytes(kind, values)
        parts += [bytes(padding), data]
        length += padding + len(data)
    return b"".join(parts)


def column(name: str, kind: str, values: Iterable[Any]) -> Column:
    """Return a column of the type ``u1``, ``u4``, ``i4`` or ``f8``."""
    return name, kind, array(_TYPES[kind], values)


def head(
    headline: Headline, *, start_ns: int, end_ns: int | None, notes: Sequence[str],
    mlflow: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return what a frame says of the run itself. ``started`` is ms since the epoch, ``ended`` ms since the start.

    ``mlflow`` says where the run is stored: see `agenttrace_nb.views.stored.where`.
    """
    return {
        "key": headline.key,
        "title": headline.title,
        "about": headline.about,
        "status": headline.status.value,
        "figures": [[f.key, f.value, f.unit] for f in headline.figures],
        "why": headline.why,
        "why_row": headline.why_row,
        "started": start_ns // NS_PER_MS,
        "ended": None if end_ns is None else _ms(end_ns, start_ns),
        "notes": list(notes),
        **({"mlflow": dict(mlflow)} if mlflow else {}),
    }


def _row_columns(rows: Rows, changed: Sequence[int], origin_ns: int, strings: Strings) -> list[Column]:
    spans = [rows.spans[row] for row in changed]
    parents = [rows.parents[row] for row in changed]

    return [
        column("row", "u4", changed),
        column("parent", "i4", parents),
        column("kind", "u1", (KINDS[s.kind] for s in spans)),
        column("status", "u1", (STATUSES[s.status] for s in spans)),
        column("start", "f8", [(s.start_ns - origin_ns) / NS_PER_MS for s in spans]),
        column("end", "f8", (_ms(s.end_ns, origin_ns) for s in spans)),
        column("name", "u4", (strings.of_name(s.name) or strings.number(s.kind.value) for s in spans)),
        column("agent", "u4", (strings.of_name(s.agent) for s in spans)),
        column("role", "u4", (strings.of_name(s.role) for s in spans)),
        column("model", "u4", (strings.of_name(s.model) for s in spans)),
        column("note", "u4", (strings.number(labels.note(rows, row)) for row in changed)),
        column("tokens_in", "i4", (whole(s.input_tokens) for s in spans)),
        column("tokens_out", "i4", (whole(s.output_tokens) for s in spans)),
        column("cost", "f8", (real(s.cost_usd) for s in spans)),
    ]


def _timing_columns(timings: Timings | None) -> list[Column]:
    return [] if timings is None else [("self", "f8", timings.self_ms), ("critical", "f8", timings.critical_ms)]


def _payload_columns(payloads: Mapping[int, bytes]) -> list[Column]:
    if not payloads:
        return []
    ends, end = array("I"), 0
    for data in payloads.values():
        end += len(data)
        ends.append(end)
    return [
        ("payload_row", "u4", array("I", payloads)),
        ("payload_end", "u4", ends),
        ("payload", "u1", b"".join(payloads.values())),
    ]


def _preview_columns(previews: Mapping[int, str], strings: Strings) -> list[Column]:
    if not previews:
        return []
    numbers = array("I", (strings.number(line) for line in previews.values()))
    return [("preview_row", "u4", array("I", previews)), ("preview", "u4", numbers)]


def _bytes(kind: str, values: array[Any] | bytes) -> bytes:
    if isinstance(values, bytes):
        return values
    if sys.byteorder == "big" and kind != "u1":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


def _ms(time_ns: int | None, origin_ns: int) -> float:
    return UNKNOWN_REAL if time_ns is None else (time_ns - origin_ns) / NS_PER_MS


def whole(value: int | None) -> int:
    """Return a count for a column of whole numbers; -1 where it is not known."""
    return UNKNOWN_WHOLE if value is None or value < 0 else min(int(value), _LARGEST_WHOLE)


def real(value: float | None) -> float:
    """Return a figure for a column of real numbers; NaN where it is not known."""
    return UNKNOWN_REAL if value is None else float(value)
