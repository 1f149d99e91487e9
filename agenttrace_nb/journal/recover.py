"""Closing what a process left open when it ended, and clearing away journals that nobody needs any more."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import TABLES, Event, EventKind
from agenttrace_nb.journal.file import ADD_EVENT, ADD_ITEM
from agenttrace_nb.journal.place import SUFFIX, JournalError, Lease, owner_lock
from agenttrace_nb.journal.read import JournalDamagedError, JournalReader
from agenttrace_nb.journal.sealing import FOLLOWER, is_on
from agenttrace_nb.journal.tail import read_tail, tail_path
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAMAGED = ".damaged"
EXPORT_PREFIX = "export-"
"""How the names of those begin that follow a journal for a handler."""
EXPORT_DAYS = 14.0
"""So long a journal is kept for a handler that has not got all of it."""
_DAY_NS = 86_400 * 1_000_000_000
_ERROR = {"type": "ProcessEnded", "message": "the process ended before this step did"}


@dataclass(frozen=True, slots=True)
class Closed:
    """What was open in a journal and is now closed as interrupted.

    Attributes
    ----------
    runs, traces, spans
        How many.
    damaged
        Where the file is kept as it was, if it was damaged and what could be read of it was saved.
    """

    runs: int
    traces: int
    spans: int
    damaged: Path | None = None


def close_interrupted(path: Path) -> Closed:
    """Append the ends that a dead process could not write, with status ``interrupted``.

    The end of a step is taken to be the time of the journal's last event: when the process really ended is unknown.
    Of a journal that is damaged, what can still be read is saved first; the damaged file is kept beside it.

    Raises
    ------
    LeaseTakenError
        If the process lives, or somebody else recovers this journal at this moment.
    JournalError
        If there is no such journal, a newer version wrote it, or nothing of it can be read.
    """
    lease = Lease(owner_lock(path))
    try:
        ends, damaged = _ends_of(path), None
        if ends is None:
            damaged = _rescue(path)
            ends = _ends_of(path)
        if ends is None:
            msg = f"{path.name} is damaged and cannot be saved; it is kept as {damaged}"
            raise JournalDamagedError(msg)
        _take_tail_in(path)
        if ends:
            _append(path, ends)
        runs, traces, spans = (sum(end[0] is kind for end in ends) for kind in _END_OF.values())
        return Closed(runs, traces, spans, damaged)
    finally:
        lease.release()


def _ends_of(path: Path) -> list[_End] | None:
    """Return the ends that are missing; ``None`` if the journal is one, but damaged."""
    with closing(JournalReader(path)) as reader:
        try:
            reader.last_seq()
            return _missing_ends(reader.events())
        except JournalDamagedError:
            return None


def _take_tail_in(path: Path) -> None:
    """Put into the database what its process had on the disk only beside it."""
    items, events = read_tail(path)
    if items or events:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            # Its process may have ended between writing rows and emptying the tail.
            db.executemany(ADD_ITEM.replace("INSERT", "INSERT OR IGNORE"), items)
            db.executemany(ADD_EVENT.replace("INSERT", "INSERT OR IGNORE"), events)
            db.execute("COMMIT")
    tail_path(path).unlink(missing_ok=True)


def _rescue(path: Path) -> Path:
    """Put what can be read of a damaged journal in its place, under the same numbers; keep the damaged file."""
    kept = path.with_suffix(DAMAGED)
    log = f"{path.name}-wal"
    if not kept.exists():  # else an earlier rescue was itself interrupted
        if (path.with_name(log)).exists():
            shutil.copy2(path.with_name(log), f"{kept}-wal")
        copy = path.with_suffix(".copy")
        shutil.copy2(path, copy)
        copy.replace(kept)
    saved = path.with_suffix(".saved")
    saved.unlink(missing_ok=True)
    with closing(JournalReader(kept)) as reader, closing(sqlite3.connect(saved, isolation_level=None)) as db:
        saved.chmod(0o600)
        db.executescript(f"BEGIN; {TABLES}")
        db.executemany("INSERT INTO meta VALUES (?, ?)", reader.meta.items())
        db.executemany(ADD_ITEM, reader.salvage_items())
        db.executemany(ADD_EVENT, (_row(event) for event in reader.salvage()))
        db.execute("COMMIT")
    # A log that is not of this file would be read into it.
    for left in (log, f"{path.name}-shm"):
        path.with_name(left).unlink(missing_ok=True)
    saved.replace(path)
    return kept


def _row(event: Event) -> tuple[Any, ...]:
    body = json.dumps(event.body, separators=(",", ":")).encode()
    return (event.seq, event.kind.value, event.time_ns, event.run_key, event.trace_id, event.span_id, body)


_END_OF = {
    EventKind.RUN_START: EventKind.RUN_END,
    EventKind.TRACE_START: EventKind.TRACE_END,
    EventKind.SPAN_START: EventKind.SPAN_END,
}
_Id = tuple[EventKind, str | None, str | None, str | None]
_End = tuple[EventKind, int, str | None, str | None, str | None]


def _missing_ends(events: Iterator[Event]) -> list[_End]:
    open_: dict[_Id, Event] = {}
    last_ns = 0
    for event in events:
        last_ns = max(last_ns, event.time_ns)
        if event.kind in _END_OF:
            open_[_id(event, _END_OF[event.kind])] = event
        else:
            open_.pop(_id(event, event.kind), None)
    rows: list[_End] = []
    # Inner things end first: spans before their traces, traces before their runs.
    for kind in reversed(_END_OF.values()):
        rows.extend(
            (kind, last_ns, e.run_key, e.trace_id, e.span_id) for (k, *_), e in reversed(open_.items()) if k is kind
        )
    return rows


def _id(event: Event, end: EventKind) -> _Id:
    run = event.run_key if end is EventKind.RUN_END else None
    return (end, run, event.trace_id, event.span_id)


def _append(path: Path, ends: list[_End]) -> None:
    body = json.dumps({"status": Status.INTERRUPTED.value, "error": _ERROR}).encode()
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        rows = [
            (last + i, kind.value, ns, run, trace, span, body) for i, (kind, ns, run, trace, span) in enumerate(ends, 1)
        ]
        db.executemany(ADD_EVENT, rows)
        db.execute("COMMIT")


def remove_old(
    folder: Path, *, keep_days: float, delivered: tuple[str, ...] = ("mlflow", "message-runs", "feedback")
) -> list[Path]:
    """Delete journals whose process has ended, that every follower has read to the end, and that are old enough.

    Parameters
    ----------
    folder
        Where the journals are.
    keep_days
        Days since the last write.
    delivered
        The followers that must have finished.

    Returns
    -------
    list of Path
        What was deleted.
    """
    gone = []
    if is_on(folder):
        delivered = (*delivered, FOLLOWER)  # what is to be sealed must have been
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if time.time_ns() - _last_write_ns(path) < keep_days * _DAY_NS:
            continue
        try:
            lease = Lease(owner_lock(path))
        except (JournalError, OSError):
            continue
        try:
            if _all_delivered(path, delivered) and not _is_waited_for(path):
                path.unlink(missing_ok=True)  # first: without the notes beside it, it would be delivered once more
                for file in folder.glob(f"{path.stem}.*"):
                    file.unlink(missing_ok=True)
                gone.append(path)
        finally:
            lease.release()
    return gone


def _is_waited_for(path: Path) -> bool:
    """Tell whether a handler has still to get something of a journal that is not too old for that."""
    if time.time_ns() - _last_write_ns(path) > EXPORT_DAYS * _DAY_NS:
        return False
    with closing(JournalReader(path)) as reader:
        last = reader.last_seq()
    for notes in path.parent.glob(f"{path.stem}.{EXPORT_PREFIX}*.json"):
        try:
            state = json.loads(notes.read_text("utf-8"))["state"]
            if state["position"] < last or state["waiting"]:
                return True
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return False


def _last_write_ns(path: Path) -> int:
    # What was written last may still be in the log or the tail beside the file.
    files = (path, path.with_name(f"{path.name}-wal"), tail_path(path))
    return max(file.stat().st_mtime_ns for file in files if file.exists())


def _all_delivered(path: Path, followers: tuple[str, ...]) -> bool:
    try:
        with closing(JournalReader(path)) as reader:
            last = reader.last_seq()
        saved = [json.loads(path.with_suffix(f".{name}.json").read_text("utf-8")) for name in followers]
        # Parked: runs that could not be delivered. Waiting: what was said of traces that MLflow does not have yet.
        return all(
            s["cursor"] >= last and not s["state"].get("parked") and not s["state"].get("waiting") for s in saved
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, JournalError):
        return False
