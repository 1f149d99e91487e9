"""The journal's file, as the process that owns it writes it: SQLite, in WAL mode, one writer.

Nothing here calls fsync: a follower does (`agenttrace_nb.journal.follow`), so that power loss can cost the last moments
and the end of a process cannot.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from agenttrace_nb.journal.events import SCHEMA_VERSION, TABLES
from agenttrace_nb.journal.place import JournalError, Lease, owner_lock
from agenttrace_nb.journal.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    EventRow = tuple[int, str, int, str | None, str | None, str | None, bytes]
    ItemRow = tuple[int, bytes, bytes]

PAGE_BYTES = 2048
"""Every write copies whole pages: with 2048 a span costs a tenth less than with 4096, the log is a third smaller."""
ADD_ITEM = "INSERT INTO items VALUES (?, ?, ?)"
ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class JournalFile:
    """A new journal file and its owner's lease on it.

    Parameters
    ----------
    path
        The file; there must be none.

    Raises
    ------
    OSError, sqlite3.Error, JournalError
        If it cannot be made here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail: Tail | None = None
        self._lease = Lease(owner_lock(path))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            try:
                self._db = _made(path)
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
        except BaseException:
            self._lease.release()
            raise

    def write(self, items: Sequence[ItemRow], events: Sequence[EventRow]) -> None:
        """Write rows, all or none.

        Raises
        ------
        sqlite3.Error
            If they cannot be written now.
        """
        db = self._db
        if not items and len(events) == 1:
            db.execute(ADD_EVENT, events[0])
            return
        try:
            db.execute("BEGIN")
            if items:
                db.executemany(ADD_ITEM, items)
            db.executemany(ADD_EVENT, events)
            db.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            raise

    def keep(self, items: Sequence[ItemRow], events: Sequence[EventRow]) -> bool:
        """Have rows on the disk, in the tail, until they are written; return whether that could be done."""
        try:
            if self._tail is None:
                self._tail = Tail(self.path)
            if self._tail.is_full:
                return False
            self._tail.write(items, events)
        except (OSError, ValueError):
            return False
        return True

    def forget_kept(self) -> None:
        """Empty the tail: all that was kept is written."""
        if self._tail is not None:
            with suppress(OSError):
                self._tail.clear()

    def item(self, item_id: int) -> bytes | None:
        """Return the JSON text of an item that was written; ``None`` if there is none."""
        row = self._db.execute("SELECT body FROM items WHERE id = ?", (item_id,)).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Give the file up."""
        self._db.close()
        if self._tail is not None:
            self._tail.close()
        self._lease.release()


def passes_soon(error: sqlite3.Error) -> bool:
    """Tell whether somebody else only holds the file for a moment."""
    return getattr(error, "sqlite_errorcode", None) in _BUSY


def _made(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute(f"PRAGMA page_size={PAGE_BYTES}")
    (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        msg = f"SQLite cannot share files on the file system of {path.parent}"
        raise JournalError(msg)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA wal_autocheckpoint=0")
    # In one step: a process that dies here leaves a file that is empty, not half a journal.
    db.executescript(f"BEGIN; {TABLES}")
    meta = {"schema": SCHEMA_VERSION, "pid": os.getpid(), "created_ns": time.time_ns()}
    db.executemany("INSERT INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in meta.items()])
    db.execute("COMMIT")
