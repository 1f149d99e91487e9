"""Reading a journal, also one that is being written, is damaged, or comes from another version."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import SCHEMA_VERSION, Event, EventKind
from agenttrace_nb.journal.place import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH = 2000


class JournalVersionError(JournalError):
    """The journal was written by a newer version of this package."""


class JournalDamagedError(JournalError):
    """Part of the journal cannot be read."""


class JournalReader:
    """Reads the events and items of one journal file.

    Parameters
    ----------
    path
        The file. It may be in use by its process.

    Raises
    ------
    JournalError
        If there is no such journal.
    JournalVersionError
        If a newer version of this package wrote it.
    JournalDamagedError
        If it is no journal, or damaged beyond reading its head.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            msg = f"there is no journal {path}"
            raise JournalError(msg)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self.meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        except sqlite3.DatabaseError as error:
            self._db.close()
            msg = f"{path} cannot be read as a journal ({error}); keep the file, nothing was changed in it"
            raise JournalDamagedError(msg) from error
        found = int(self.meta.get("schema", "0"))
        if found > SCHEMA_VERSION:
            self._db.close()
            msg = (
                f"{path.name} was written by a newer agenttrace_nb (schema {found}, this one knows {SCHEMA_VERSION}); "
                "upgrade with `pip install -U agenttrace-nb`. The file was left as it is."
            )
            raise JournalVersionError(msg)

    def events(self, after: int = 0, limit: int | None = None) -> Iterator[Event]:
        """Yield the events behind position ``after``, in order.

        Raises
        ------
        JournalDamagedError
            Where a part cannot be read; `salvage` reads around it.
        """
        left = limit if limit is not None else float("inf")
        while left > 0:
            try:
                rows = self._db.execute(
                    "SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, int(min(left, _BATCH)))
                ).fetchall()
            except sqlite3.DatabaseError as error:
                msg = (
                    f"{self.path.name} is damaged behind event {after} ({error}); "
                    "`agenttrace-nb recover` saves what can still be read"
                )
                raise JournalDamagedError(msg) from error
            if not rows:
                return
            for row in rows:
                yield _event(row)
            after = rows[-1][0]
            left -= len(rows)

    def salvage(self, after: int = 0) -> Iterator[Event]:
        """Yield every event that can be read, skipping those that cannot."""
        last = self.last_seq()
        for seq in range(after + 1, last + 1):
            try:
                row = self._db.execute("SELECT * FROM events WHERE seq = ?", (seq,)).fetchone()
                if row is not None:
                    yield _event(row)
            except (sqlite3.DatabaseError, ValueError):
                continue

    def last_seq(self) -> int:
        """Return the position of the last event, 0 if there is none."""
        try:
            row = self._db.execute("SELECT max(seq) FROM events").fetchone()
        except sqlite3.DatabaseError:
            return 0
        return int(row[0] or 0)

    def item(self, item_id: int) -> bytes:
        """Return the JSON text of an item; of one that cannot be read, a text that says so."""
        try:
            row = self._db.execute("SELECT body FROM items WHERE id = ?", (item_id,)).fetchone()
        except sqlite3.DatabaseError:
            row = None
        if row is None:
            return json.dumps(f"[item {item_id} cannot be read]").encode()
        body: bytes = row[0]
        return body

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _event(row: tuple[Any, ...]) -> Event:
    seq, kind, time_ns, run, trace, span, body = row
    return Event(seq, EventKind(kind), time_ns, run, trace, span, json.loads(body) if body else {})
