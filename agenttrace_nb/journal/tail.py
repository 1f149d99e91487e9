"""The end of a journal that is not in its database yet, in a file beside it: ``NAME.tail``.

One transaction of SQLite costs the agent's thread ten times what appending the same rows to a plain file does. What is
urgent is therefore written here at once, and to the database a moment later, by a thread for which nobody waits; then
the tail is emptied. Whoever reads a journal reads both (`agenttrace_nb.journal.read`), and `close_interrupted` moves
what a dead process left here into the database.

The file holds records, each with a checksum, so that one that was not written to its end is not taken for one:
the lengths and the checksum of what follows (CRC-32, begun with the first length); a list of rows as JSON, with the
length of each body; the bodies.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agenttrace_nb.journal.file import EventRow, ItemRow

MAX_TAIL_BYTES = 1_000_000
"""A tail of this size is emptied before anything is added to it."""
_HEAD = struct.Struct("<III")


def tail_path(journal: Path) -> Path:
    """Return where the tail of a journal is."""
    return journal.with_suffix(".tail")


class Tail:
    """The tail of a journal, as the process that owns it writes it.

    Parameters
    ----------
    journal
        The journal's file.
    """

    def __init__(self, journal: Path) -> None:
        self._path = tail_path(journal)
        self._fd = os.open(self._path, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND, 0o600)
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to empty it."""
        return self._size >= MAX_TAIL_BYTES

    def write(self, items: Sequence[ItemRow], events: Sequence[EventRow]) -> None:
        """Add rows, all or none.

        Raises
        ------
        OSError
            If they cannot be written.
        ValueError
            If they cannot be put into words here (an id that is no Unicode text).
        """
        rows = to_json(
            ([(i, h.hex(), len(body)) for i, h, body in items], [(*event[:6], len(event[6])) for event in events])
        )
        data = b"".join((rows, *[item[2] for item in items], *[event[6] for event in events]))
        record = _HEAD.pack(len(rows), len(data), zlib.crc32(data, len(rows))) + data
        if os.write(self._fd, record) < len(record):
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            msg = f"no space for {self._path}"
            raise OSError(msg)
        self._size += len(record)

    def clear(self) -> None:
        """Empty it: the database has everything."""
        if self._size:
            os.ftruncate(self._fd, 0)
            self._size = 0

    def close(self) -> None:
        """Give the file up; one that is empty is taken away."""
        os.close(self._fd)
        if not self._size:
            with suppress(OSError):
                self._path.unlink()


def sync_tail(journal: Path) -> None:
    """Have a journal's tail survive the loss of power, as far as the system can do that for somebody who reads it."""
    with suppress(OSError):
        fd = os.open(tail_path(journal), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def read_tail(journal: Path) -> tuple[list[ItemRow], list[EventRow]]:
    """Return the rows in a journal's tail, in order, up to the first that is not whole.

    Its process may be writing it, or emptying it, at this moment.
    """
    items: list[ItemRow] = []
    events: list[EventRow] = []
    try:
        data = tail_path(journal).read_bytes()
    except OSError:
        return items, events
    at = 0
    while len(data) - at >= _HEAD.size:
        head, length, checksum = _HEAD.unpack_from(data, at)
        start, at = at + _HEAD.size, at + _HEAD.size + length
        record = data[start:at]
        if len(record) < length or zlib.crc32(record, head) != checksum:
            break
        more_items, more_events = _rows(record, head)
        if events and more_events and more_events[0][0] != events[-1][0] + 1:
            break  # it was emptied, and begun anew, while it was read
        items += more_items
        events += more_events
    return items, events


def _rows(record: bytes, at: int) -> tuple[list[ItemRow], list[EventRow]]:
    items: list[ItemRow] = []
    events: list[EventRow] = []
    told_items, told_events = json.loads(record[:at])
    for number, hash_, length in told_items:
        items.append((number, bytes.fromhex(hash_), record[at : at + length]))
        at += length
    for *row, length in told_events:
        events.append((*row, record[at : at + length]))
        at += length
    return items, events
