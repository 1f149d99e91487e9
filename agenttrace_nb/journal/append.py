"""Appending to the journal: the one thing that an agent waits for.

An event becomes rows in memory, goes out on the bus, and is written with the next *urgent* event. Urgent are those
after which the agent waits for somebody else (a model, a tool, its user), so that what has happened is in the file
before anything can go wrong; the rest follows within `FLUSH_S`. Nothing here calls fsync: a follower does
(`agenttrace_nb.journal.follow`), so that power loss can cost the last moments and the end of a process cannot.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.bus import Bus
from agenttrace_nb.journal.encode import encode
from agenttrace_nb.journal.events import ITEM, ITEM_LIST, SCHEMA_VERSION, Event, EventKind
from agenttrace_nb.journal.place import JournalError, Lease, fallback_folder, journal_folder, new_path, owner_lock
from agenttrace_nb.journal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FLUSH_S = 0.05
RETRY_S = 2.0
INLINE_BYTES = 96
"""Content up to this size stands in the event itself; a row of its own would be larger."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, time_ns INTEGER NOT NULL, run TEXT, trace TEXT, span TEXT, body BLOB
);
"""
_ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_ITEM = "INSERT INTO items VALUES (?, ?, ?)"
_NO_RULES: dict[str, Any] = {}


class Journal:
    """The append-only record of what this process traced.

    Parameters
    ----------
    path
        The file; by default a new one in `journal_folder`. If it cannot be made there, a folder on the temporary disk
        is used, and if that fails too the records stay in memory; either way `problems` says so.

    Attributes
    ----------
    path
        The file, or ``None`` if there is none.
    bus
        Where every event appears at once.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.bus = Bus()
        self.problems: list[str] = []
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.RLock()
        self._seq = 0
        self._item = 0
        self._known: dict[tuple[int, bytes], int] = {}
        self._events: list[tuple[Any, ...]] = []
        self._items: dict[int, tuple[bytes, bytes]] = {}
        self._retry_at = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._lease: Lease | None = None
        self.path = self._open(path)
        self._flusher = threading.Thread(target=self._flush_often, name="agenttrace-journal", daemon=True)
        self._flusher.start()
        atexit.register(self.close)

    def append(
        self,
        kind: EventKind,
        *,
        run_key: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        time_ns: int | None = None,
        body: Mapping[str, Any] = _NO_RULES,
        content: Mapping[str, Any] = _NO_RULES,
        redactor: Redactor | None = None,
        urgent: bool = False,
    ) -> None:
        """Append one event.

        Parameters
        ----------
        kind, run_key, trace_id, span_id, body
            As in `agenttrace_nb.journal.events`.
        time_ns
            When it happened, nanoseconds since the epoch; now by default.
        content
            Fields of conversation size (``input``, ``output``, ``instructions``): a list is kept item by item, each
            stored once in this journal; anything else as one item.
        redactor
            What to take out before anything is stored; the default rules if not given.
        urgent
            Write to the file before returning.
        """
        redactor = redactor or _DEFAULT
        now = time_ns if time_ns is not None else time.time_ns()
        with self._lock:
            if content:
                body = {**body, **{name: self._place(value, redactor) for name, value in content.items()}}
            raw = encode(body)
            clean = redactor.clean(raw)
            if clean is not raw:
                body = json.loads(clean)
            self._seq += 1
            event = Event(self._seq, kind, now, run_key, trace_id, span_id, dict(body))
            self._events.append((self._seq, kind.value, now, run_key, trace_id, span_id, clean))
            self.bus.publish(event)
            if urgent:
                self._write()
            elif len(self._events) == 1:
                self._wake.set()

    def flush(self) -> None:
        """Write what is still in memory."""
        with self._lock:
            self._write()

    def item(self, item_id: int) -> bytes:
        """Return the JSON text of an item."""
        with self._lock:
            waiting = self._items.get(item_id)
            if waiting is not None:
                return waiting[1]
            if self._db is None:
                msg = f"item {item_id} is not in this journal"
                raise JournalError(msg)
            row = self._db.execute("SELECT body FROM items WHERE id = ?", (item_id,)).fetchone()
        if row is None:
            msg = f"item {item_id} is not in this journal"
            raise JournalError(msg)
        body: bytes = row[0]
        return body

    def on_problem(self, listener: Callable[[str], None]) -> None:
        """Have a function called with each problem, in words for the user."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Write the rest and give the file up. Safe to call twice."""
        atexit.unregister(self.close)
        with self._lock:
            if self._closed:
                return
            self._retry_at = 0.0
            self._write()
            self._closed = True
            self._wake.set()
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._lease is not None:
                self._lease.release()

    # -- content ------------------------------------------------------------------------------------------------

    def _place(self, value: Any, redactor: Redactor) -> Any:
        if isinstance(value, list) and value:
            return {ITEM_LIST: [self._item_id(encode(v), redactor) for v in value]}
        raw = encode(value)
        if len(raw) <= INLINE_BYTES and not isinstance(value, dict):
            return value if value is None or isinstance(value, (str, bool, int, float)) else json.loads(raw)
        return {ITEM: self._item_id(raw, redactor)}

    def _item_id(self, raw: bytes, redactor: Redactor) -> int:
        # Looked up by the hash of the unredacted text, which stays in memory: redaction is then done once.
        key = (redactor.number, hashlib.blake2b(raw, digest_size=16).digest())
        known = self._known.get(key)
        if known is not None:
            return known
        clean = redactor.clean(raw)
        self._item += 1
        stored = key[1] if clean is raw else hashlib.blake2b(clean, digest_size=16).digest()
        self._items[self._item] = (stored, clean)
        self._known[key] = self._item
        return self._item

    # -- the file -----------------------------------------------------------------------------------------------

    def _open(self, path: Path | None) -> Path | None:
        first_error: Exception | None = None
        for folder in (journal_folder, fallback_folder):
            try:
                target = path or new_path(folder())
                self._connect(target)
            except (OSError, sqlite3.Error, JournalError) as error:
                first_error = first_error or error
                path = None
                continue
            if first_error is not None:
                self._report(
                    f"The journal folder cannot be used ({first_error}). Recording to {target} instead; "
                    "set AGENTTRACE_STATE_DIR to a writable local folder."
                )
            return target
        self._report(
            f"No journal can be written ({first_error}). This run is shown but neither kept nor sent to MLflow; "
            "set AGENTTRACE_STATE_DIR to a writable local folder."
        )
        return None

    def _connect(self, path: Path) -> None:
        lease = Lease(owner_lock(path))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.executescript(_SCHEMA)
            meta = {"schema": str(SCHEMA_VERSION), "pid": str(os.getpid()), "created_ns": str(time.time_ns())}
            db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
        except BaseException:
            lease.release()
            raise
        self._db, self._lease = db, lease

    def _write(self) -> None:
        if not self._events or self._db is None or time.monotonic() < self._retry_at:
            return
        try:
            self._db.execute("BEGIN")
            if self._items:
                self._db.executemany(_ADD_ITEM, [(i, h, b) for i, (h, b) in self._items.items()])
            self._db.executemany(_ADD_EVENT, self._events)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            if not self._retry_at:
                self._report(
                    f"The journal {self.path} cannot be written ({error}). What is recorded is kept in memory and "
                    "written as soon as that works again: free disk space or make the folder writable, and do not "
                    "restart the kernel before."
                )
            self._retry_at = time.monotonic() + RETRY_S
            return
        if self._retry_at:
            self._report(f"The journal {self.path} is written again; nothing was lost.")
        self._retry_at = 0.0
        self._events.clear()
        self._items.clear()

    def _roll_back(self) -> None:
        try:
            if self._db is not None and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass

    def _flush_often(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            while self._events and not self._closed:
                time.sleep(FLUSH_S)
                self.flush()

    def _report(self, text: str) -> None:
        self.problems.append(text)
        for listener in self._listeners:
            listener(text)


_DEFAULT = Redactor()
_here: Journal | None = None
_here_lock = threading.Lock()
_inherited: list[Journal] = []


def process_journal() -> Journal:
    """Return the journal of this process; open it the first time."""
    global _here  # noqa: PLW0603 - one journal per process is the point
    with _here_lock:
        if _here is None or _here._closed:  # noqa: SLF001
            _here = Journal()
        return _here


def _after_fork() -> None:
    # A forked child must neither write to its parent's file nor close it (closing would checkpoint it away).
    global _here, _here_lock  # noqa: PLW0603
    _here_lock = threading.Lock()
    if _here is not None:
        atexit.unregister(_here.close)
        _inherited.append(_here)
        _here = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
