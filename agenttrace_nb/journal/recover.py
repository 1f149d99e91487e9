"""Closing what a process left open when it ended, and clearing away journals that nobody needs any more."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import Event, EventKind
from agenttrace_nb.journal.place import SUFFIX, JournalError, Lease, LeaseTakenError, owner_lock
from agenttrace_nb.journal.read import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAY_NS = 86_400 * 1_000_000_000
_ERROR = {"type": "ProcessEnded", "message": "the process ended before this step did"}


@dataclass(frozen=True, slots=True)
class Closed:
    """What was open in a journal and is now closed as interrupted."""

    runs: int
    traces: int
    spans: int


def close_interrupted(path: Path) -> Closed:
    """Append the ends that a dead process could not write, with status ``interrupted``.

    The end of a step is taken to be the time of the journal's last event: when the process really ended is unknown.

    Raises
    ------
    LeaseTakenError
        If the process lives, or somebody else recovers this journal at this moment.
    """
    lease = Lease(owner_lock(path))
    try:
        with closing(JournalReader(path)) as reader:
            ends = _missing_ends(reader.events())
        if ends:
            _append(path, ends)
        return Closed(*(sum(e[0] is kind for e in ends) for kind in _END_OF.values()))
    finally:
        lease.release()


_END_OF = {
    EventKind.RUN_START: EventKind.RUN_END,
    EventKind.TRACE_START: EventKind.TRACE_END,
    EventKind.SPAN_START: EventKind.SPAN_END,
}
_Id = tuple[EventKind, str | None, str | None, str | None]


def _missing_ends(events: Iterator[Event]) -> list[tuple[Any, ...]]:
    open_: dict[_Id, Event] = {}
    last_ns = 0
    for event in events:
        last_ns = max(last_ns, event.time_ns)
        if event.kind in _END_OF:
            open_[_id(event, _END_OF[event.kind])] = event
        else:
            open_.pop(_id(event, event.kind), None)
    rows: list[tuple[Any, ...]] = []
    # Inner things end first: spans before their traces, traces before their runs.
    for kind in reversed(_END_OF.values()):
        rows.extend(
            (kind, last_ns, e.run_key, e.trace_id, e.span_id) for (k, *_), e in reversed(open_.items()) if k is kind
        )
    return rows


def _id(event: Event, end: EventKind) -> _Id:
    run = event.run_key if end is EventKind.RUN_END else None
    return (end, run, event.trace_id, event.span_id)


def _append(path: Path, ends: list[tuple[Any, ...]]) -> None:
    body = json.dumps({"status": "interrupted", "error": _ERROR})
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        rows = [
            (last + i, kind.value, ns, run, trace, span, body) for i, (kind, ns, run, trace, span) in enumerate(ends, 1)
        ]
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")


def remove_old(
    folder: Path, *, keep_days: float, delivered: tuple[str, ...] = ("mlflow", "message-runs")
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
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if time.time_ns() - path.stat().st_mtime_ns < keep_days * _DAY_NS:
            continue
        try:
            lease = Lease(owner_lock(path))
        except LeaseTakenError:
            continue
        try:
            if _all_delivered(path, delivered):
                for file in folder.glob(f"{path.stem}.*"):
                    file.unlink(missing_ok=True)
                gone.append(path)
        finally:
            lease.release()
    return gone


def _all_delivered(path: Path, followers: tuple[str, ...]) -> bool:
    try:
        with closing(JournalReader(path)) as reader:
            last = reader.last_seq()
        saved = [json.loads(path.with_suffix(f".{name}.json").read_text("utf-8")) for name in followers]
        return all(s["cursor"] >= last and not s["state"].get("parked") for s in saved)
    except (OSError, ValueError, KeyError, JournalError):
        return False
