"""Appending to the journal: the one thing that an agent waits for.

An event is encoded and redacted, goes out on the bus, and is on the disk with the next *urgent* event. Urgent are those
after which the agent waits for somebody else (a tool, its user), so that what has happened is there before anything can
go wrong: in the journal's tail (`agenttrace_nb.journal.tail`). Into the database everything follows within `FLUSH_S`,
written by a thread that nobody waits for.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import time
import weakref
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.bus import Bus
from agenttrace_nb.journal.encode import encode
from agenttrace_nb.journal.events import Event, EventKind, clean_all
from agenttrace_nb.journal.file import JournalFile, passes_soon
from agenttrace_nb.journal.items import Items
from agenttrace_nb.journal.place import JournalError, fallback_folder, journal_folder, new_path
from agenttrace_nb.journal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agenttrace_nb.journal.file import EventRow, ItemRow

FLUSH_S = 0.05
RETRY_S = 2.0
"""How long to wait after a failed write; also for how long somebody else may hold the file before that is a problem."""

_NOTHING: dict[str, Any] = {}
_OF_RUNS = frozenset({EventKind.RUN_START, EventKind.RUN_END})


class Journal:
    """The append-only record of what this process traced. Safe to use from any thread.

    Parameters
    ----------
    path
        The file; by default a new one in `journal_folder`. If it cannot be made there, a folder on the temporary disk
        is used, and if that fails too the events go to the bus only; either way `problems` says so.

    Attributes
    ----------
    path
        The file, or ``None`` if there is none.
    bus
        Where every event appears at once.
    problems
        What stands in the way of the record at this moment, in words for the user.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.bus = Bus()
        self.problems: list[str] = []
        self._listeners: list[Callable[[str], None]] = []
        self._unsaid: list[str] = []
        self._lock = threading.RLock()
        self._writing = threading.RLock()  # taken before the other one, and never while that is held
        self._seq = 0
        self._safe = self._safe_item = 0  # up to here all is on the disk, in the tail or in the database
        self._events: list[Event] = []
        self._items = Items(self._lock)
        self._failing_since: float | None = None
        self._failure: str | None = None
        self._retry_at = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._inherited = False
        self._run_starts: dict[str, Mapping[str, Any]] = {}
        self._file = self._open(path)
        self._unsaid.clear()  # nobody listens yet; who comes reads `problems`
        self.path = self._file.path if self._file is not None else None
        _open_here.add(self)
        atexit.register(self.close)
        threading.Thread(target=self._flush_often, name="agenttrace-journal", daemon=True).start()

    def append(
        self,
        kind: EventKind,
        *,
        run_key: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        time_ns: int | None = None,
        body: Mapping[str, Any] = _NOTHING,
        content: Mapping[str, Any] = _NOTHING,
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
            Have it on the disk before returning, and all before it.
        """
        if self._inherited:
            own = process_journal()
            self._join(own, run_key, redactor)
            own.append(
                kind, run_key=run_key, trace_id=trace_id, span_id=span_id, time_ns=time_ns, body=body, content=content,
                redactor=redactor, urgent=urgent,
            )  # fmt: skip
            return
        if kind in _OF_RUNS and run_key is not None:
            self._note_run(kind, run_key, body)
        if time_ns is None:
            time_ns = time.time_ns()
        redactor = redactor or _DEFAULT
        references: tuple[str, ...] = ()
        if content:
            placed = {name: self._items.place(value, redactor) for name, value in content.items()}
            references = tuple([name for name, value in placed.items() if type(value) is dict])
            body = {**body, **placed}
        raw = encode(body)
        if not redactor.can_wait:
            raw, redactor = redactor.clean_body(raw, references), None
        with self._lock:
            self._seq = seq = self._seq + 1
            event = Event(seq, kind, time_ns, run_key, trace_id, span_id, raw, redactor, references)
            self.bus.publish(event)
            if self._file is not None:
                self._events.append(event)
                if len(self._events) == 1:
                    self._wake.set()
        if urgent:
            self._keep()
        if self._unsaid:
            self._say()

    def flush(self) -> None:
        """Write what is still in memory."""
        if self._inherited:
            return
        self._write()
        self._say()

    def item(self, item_id: int) -> bytes:
        """Return the JSON text of an item.

        Raises
        ------
        JournalError
            If there is no such item, or its journal was closed.
        """
        if self._inherited and self.path is not None:
            from agenttrace_nb.journal.read import JournalReader

            with closing(JournalReader(self.path)) as reader:
                return reader.item(item_id)
        with self._lock:
            waiting, file = self._items.waiting.get(item_id), self._file
        body = waiting[2] if waiting is not None else None
        if body is None and file is not None:
            with suppress(sqlite3.ProgrammingError):  # closed by now
                body = file.item(item_id)
        if body is None:
            msg = f"item {item_id} is not in this journal"
            raise JournalError(msg)
        return body

    def on_problem(self, listener: Callable[[str], None]) -> None:
        """Have a function called with each problem, in words for the user, and with the news that it is over."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Write the rest and give the file up; what is appended afterwards goes to the bus only. Safe to call twice."""
        atexit.unregister(self.close)
        with self._writing:
            if self._closed or self._inherited:
                return
            self._retry_at = 0.0
            self._write()
            with self._lock:
                if self._events and self._file is not None:
                    self._unsaid.append(self._left_over())
                self._closed = True
                self._wake.set()
                if self._file is not None:
                    self._file.close()
                    self._file = None
        self._say()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closed

    # -- the file -----------------------------------------------------------------------------------------------

    def _open(self, path: Path | None) -> JournalFile | None:
        first_error: Exception | None = None
        choices: list[Callable[[], Path]] = [lambda: new_path(journal_folder()), lambda: new_path(fallback_folder())]
        if path is not None:
            choices.insert(0, path.absolute)
        for choose in choices:
            try:
                file = JournalFile(choose())
            except (OSError, sqlite3.Error, JournalError) as error:
                first_error = first_error or error
                continue
            if first_error is not None:
                self._problem(
                    f"The journal folder cannot be used ({first_error}). Recording to {file.path} instead; "
                    "set AGENTTRACE_STATE_DIR to a writable local folder."
                )
            return file
        self._problem(
            f"No journal can be written ({first_error}). This run is shown but neither kept nor sent to MLflow; "
            "set AGENTTRACE_STATE_DIR to a writable local folder."
        )
        return None

    def _keep(self) -> None:
        """Put what is not on the disk yet into the tail; where that cannot be done, into the database."""
        with self._lock:
            if self._file is None or not self._events or self._safe == self._seq:
                return
            events = self._events[max(0, self._safe + 1 - self._events[0].seq) :]
            items = [self._items.waiting[n] for n in range(self._safe_item + 1, self._items.last + 1)]
            if self._file.keep(items, _rows(events)):
                self._safe, self._safe_item = self._seq, self._items.last
                return
        self._write()

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                events, items, file = self._events[:], list(self._items.waiting.values()), self._file
            if not events or file is None or time.monotonic() < self._retry_at:
                return
            try:
                file.write(items, _rows(events))  # without the lock: agents go on appending
            except sqlite3.Error as error:
                with self._lock:
                    self._write_later(error)
                    self._wake.set()
                return
            with self._lock:
                self._is_written(items, events)

    def _is_written(self, items: list[ItemRow], events: list[Event]) -> None:
        del self._events[: len(events)]
        self._items.forget_waiting(items)
        self._safe = max(self._safe, events[-1].seq)
        if items:
            self._safe_item = max(self._safe_item, items[-1][0])
        if self._file is not None and self._safe == events[-1].seq:
            self._file.forget_kept()
        if self._failing_since is not None:
            self._failing_since, self._retry_at = None, 0.0
            if self._failure is not None:
                self.problems.remove(self._failure)
                self._failure = None
                self._unsaid.append(f"The journal {self.path} is written again; nothing was lost.")

    def _left_over(self) -> str:
        lost = sum(event.seq > self._safe for event in self._events)
        if lost:
            return f"{lost} events could not be written to {self.path} and are lost."
        return (
            f"{len(self._events)} events could not be written to {self.path} and lie beside it; free disk space, then "
            "`agenttrace-nb recover` adds them."
        )

    def _write_later(self, error: sqlite3.Error) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        momentary = passes_soon(error) and now - self._failing_since < RETRY_S
        self._retry_at = now + (FLUSH_S if momentary else RETRY_S)
        if not momentary and self._failure is None:
            self._failure = (
                f"The journal {self.path} cannot be written ({error}). What is recorded is kept in memory and written "
                "as soon as that works again: free disk space or make the folder writable, and do not restart the "
                "kernel before."
            )
            self._problem(self._failure)

    def _flush_often(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            while self._events and not self._closed:
                time.sleep(FLUSH_S)
                self.flush()

    # -- problems -----------------------------------------------------------------------------------------------

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        self._unsaid.append(text)

    def _say(self) -> None:
        # Not under the lock: a listener may wait for a thread that is about to append.
        with self._lock:
            unsaid, self._unsaid = self._unsaid, []
        for text in unsaid:
            for listener in list(self._listeners):
                with suppress(Exception):
                    listener(text)

    # -- forked children ----------------------------------------------------------------------------------------

    def _note_run(self, kind: EventKind, run_key: str, body: Mapping[str, Any]) -> None:
        if kind is EventKind.RUN_START:
            self._run_starts[run_key] = body
        elif kind is EventKind.RUN_END and "joined" not in body:
            self._run_starts.pop(run_key, None)

    def _join(self, own: Journal, run_key: str | None, redactor: Redactor | None) -> None:
        """Say in the child's journal, once, which run of its parent's it goes on with."""
        start = self._run_starts.pop(run_key, None) if run_key is not None else None
        if start is not None:
            joined = {"joined": True}
            own.append(EventKind.RUN_START, run_key=run_key, body={**start, **joined}, redactor=redactor)
            own.append(EventKind.RUN_END, run_key=run_key, body=joined, redactor=redactor)

    def leave_to_parent(self) -> None:
        """In a forked child: have nothing to do with the parent's file any more; append to the child's own journal."""
        self._inherited = True
        atexit.unregister(self.close)


def _rows(events: list[Event]) -> list[EventRow]:
    clean_all(events)
    return [(e.seq, _KINDS[e.kind], e.time_ns, e.run_key, e.trace_id, e.span_id, e.clean()) for e in events]


_KINDS = {kind: kind.value for kind in EventKind}
_DEFAULT = Redactor()
_open_here: weakref.WeakSet[Journal] = weakref.WeakSet()
_here: Journal | None = None
_here_lock = threading.Lock()
_parents: list[Journal] = []


def process_journal() -> Journal:
    """Return the journal of this process; open it the first time."""
    global _here  # noqa: PLW0603 - one journal per process is the point
    with _here_lock:
        if _here is None or _here.is_closed:
            _here = Journal()
        return _here


def _after_fork() -> None:
    # A forked child must neither write to its parent's files nor close them (closing would checkpoint them away), so
    # it keeps them, untouched, to its end. Locks may have been held by threads that are not here any more.
    global _here, _here_lock
    _here, _here_lock = None, threading.Lock()
    for journal in list(_open_here):
        journal.leave_to_parent()
        _parents.append(journal)
    _open_here.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
