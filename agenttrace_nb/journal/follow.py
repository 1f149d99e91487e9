"""Following a journal: reading on from where one left off, exactly one follower of a name at a time."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.place import JournalError, Lease, LeaseTakenError, open_private
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.journal.tail import sync_tail

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.journal.events import Event


class FollowerBusyError(JournalError):
    """Another process follows this journal under that name."""


class Follower:
    """One consumer of a journal, with a saved cursor.

    Parameters
    ----------
    path
        The journal.
    name
        The follower's name (``mlflow``, ``message-runs``, ``audit`` ...).

    Attributes
    ----------
    cursor
        Everything up to this position has been dealt with. Where nothing readable was saved, it is 0: all is delivered
        once more, which does no harm, since everything has a stable id.
    state
        Notes of the follower, saved with the cursor; JSON.

    Raises
    ------
    FollowerBusyError
        If the name is taken.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._file = path.with_suffix(f".{name}.json")
        try:
            self._lease = Lease(path.with_suffix(f".{name}.lock"))
        except LeaseTakenError as error:
            msg = f"{path.name} is already being delivered ({name}) by another process; wait for it to finish"
            raise FollowerBusyError(msg) from error
        try:
            self._reader = JournalReader(path)
        except BaseException:
            self._lease.release()
            raise
        self.path = path
        self.cursor = 0
        self.state: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(self._file.read_text("utf-8"))
            self.cursor, self.state = max(0, int(saved["cursor"])), dict(saved["state"])

    def read(self, limit: int = 1000, after: int | None = None) -> list[Event]:
        """Return events behind the cursor, or behind ``after`` for one that reads ahead of what it has dealt with."""
        return list(self._reader.events(self.cursor if after is None else after, limit))

    def item(self, item_id: int) -> bytes:
        """Return the JSON text of an item."""
        return self._reader.item(item_id)

    def last_seq(self) -> int:
        """Return the position of the journal's last event."""
        return self._reader.last_seq()

    def save(self, cursor: int) -> None:
        """Save the cursor and the state; after a crash the follower goes on from here.

        Raises
        ------
        OSError
            If it cannot be written; what was saved before is still there then.
        TypeError
            If the state is not JSON.
        """
        text = json.dumps({"cursor": cursor, "state": self.state})
        new = self._file.with_suffix(".new")
        with open(new, "w", encoding="utf-8", opener=open_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)
        self.cursor = cursor

    def close(self) -> None:
        """Give the name up."""
        self._reader.close()
        self._lease.release()


def checkpoint(path: Path) -> None:
    """Bring a journal safely to the disk: fsync its tail and its log and move the log into the file.

    Never blocks the appender.
    """
    sync_tail(path)
    address = f"{path.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=1)) as db:
        db.execute("PRAGMA synchronous=FULL")
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
