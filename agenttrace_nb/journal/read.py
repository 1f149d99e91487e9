"""Reading a journal, also one that is being written, is damaged, or comes from another version. Nothing is changed."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import SCHEMA_VERSION, TABLES, Event, EventKind
from agenttrace_nb.journal.file import passes_soon
from agenttrace_nb.journal.place import JournalError
from agenttrace_nb.journal.tail import read_tail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH = 2000
_LEAST_ROW_BYTES = 16
_BUSY_S = 5.0
_LAST = 2**63 - 1


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

    Attributes
    ----------
    meta
        What the file says of itself: ``schema``, ``pid``, ``created_ns``. Empty if its process ended while making it.

    Raises
    ------
    JournalError
        If there is no such journal, or it is in use in a way that does not end.
    JournalVersionError
        If a newer version of this package wrote it.
    JournalDamagedError
        If it is no journal, or damaged beyond reading its head.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            msg = f"there is no journal {path}"
            raise JournalError(msg)
        try:
            self._db = _opened(path)
        except sqlite3.Error as error:
            raise self._damaged("cannot be read as a journal", error) from error
        try:
            self.meta = self._head()
            found = int(self.meta.get("schema", "0"))
        except (sqlite3.Error, ValueError) as error:
            self._db.close()
            raise self._damaged("cannot be read as a journal", error) from error
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
            Where a part cannot be read, after all events before it; `salvage` reads around it.
        """
        left = limit if limit is not None else float("inf")
        # Before the database: what is taken out of the tail later is in the database when that is read.
        _, waiting = read_tail(self.path)
        while left > 0:
            found, error = self._batch(after, int(min(left, _BATCH)))
            yield from found
            if found:
                after = found[-1].seq
                left -= len(found)
            if error is not None:
                raise self._damaged(f"is damaged behind event {after}", error) from error
            if not found:
                break
        for row in waiting:
            if row[0] > after and left > 0:
                yield _event(row)
                left -= 1

    def salvage(self, after: int = 0) -> Iterator[Event]:
        """Yield every event that can be read, skipping those that cannot."""
        for row in self._every("events", "seq", after):
            try:
                event = _event(row)
            except ValueError:
                continue
            yield event

    def salvage_items(self) -> Iterator[tuple[Any, ...]]:
        """Yield id, hash and JSON text of every item that can be read, skipping those that cannot."""
        yield from self._every("items", "id", 0)

    def last_seq(self) -> int:
        """Return the position of the last event, 0 if there is none.

        Raises
        ------
        JournalDamagedError
            If it cannot be read.
        """
        _, waiting = read_tail(self.path)
        try:
            row = self._db.execute("SELECT max(seq) FROM events").fetchone()
        except sqlite3.DatabaseError as error:
            raise self._damaged("is damaged at its end", error) from error
        return max(int(row[0] or 0), waiting[-1][0] if waiting else 0)

    def count(
        self, kinds: frozenset[EventKind], after: int, *, until: int = _LAST, since_ns: int = 0
    ) -> tuple[int, int | None]:
        """Return how many events of some kinds there are behind one position and up to another, and when the first was.

        Raises
        ------
        JournalDamagedError
            If a part cannot be read.
        """
        names = [kind.value for kind in kinds]
        marks = ", ".join("?" * len(names))
        _, waiting = read_tail(self.path)
        query = (
            f"SELECT count(*), min(time_ns) FROM events WHERE seq > ? AND seq <= ? AND kind IN ({marks}) "  # noqa: S608
            "AND time_ns >= ?"
        )
        try:
            found, first = self._db.execute(query, (after, until, *names, since_ns)).fetchone()
            (last,) = self._db.execute("SELECT max(seq) FROM events").fetchone()
        except sqlite3.DatabaseError as error:
            raise self._damaged("is damaged", error) from error
        after = max(after, int(last or 0))
        times = [row[2] for row in waiting if after < row[0] <= until and row[1] in names and row[2] >= since_ns]
        return int(found) + len(times), min([*times, *([first] if first is not None else [])], default=None)

    def item(self, item_id: int) -> bytes:
        """Return the JSON text of an item; of one that cannot be read, a text that says so."""
        body = self._stored_item(item_id)
        if body is None:
            waiting, _ = read_tail(self.path)
            body = next((row[2] for row in waiting if row[0] == item_id), None)
        if body is None:
            body = self._stored_item(item_id)  # taken out of the tail in between
        return json.dumps(f"[item {item_id} cannot be read]").encode() if body is None else body

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _stored_item(self, item_id: int) -> bytes | None:
        try:
            row = self._db.execute("SELECT body FROM items WHERE id = ?", (item_id,)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return None if row is None else row[0]

    def _head(self) -> dict[str, str]:
        if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            self._db.close()  # its process ended before it had made its tables: a journal without events
            self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._db.executescript(TABLES)
        return dict(self._db.execute("SELECT key, value FROM meta").fetchall())

    def _batch(self, after: int, count: int) -> tuple[list[Event], Exception | None]:
        found: list[Event] = []
        at_once = count
        while len(found) < count:
            try:
                rows = self._db.execute(
                    "SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, min(at_once, count - len(found)))
                ).fetchall()
                for row in rows:
                    found.append(_event(row))
                    after = row[0]
            except (sqlite3.DatabaseError, ValueError) as error:
                if at_once == 1:
                    return found, error
                at_once = 1  # what comes before the damage, one by one
                continue
            if len(rows) < at_once:
                break
        return found, None

    def _every(self, table: str, key: str, after: int) -> Iterator[tuple[Any, ...]]:
        try:
            (last,) = self._db.execute(f"SELECT max({key}) FROM {table}").fetchone()  # noqa: S608 - our own names
        except sqlite3.DatabaseError:
            last = after + self.path.stat().st_size // _LEAST_ROW_BYTES
        for number in range(after + 1, (last or 0) + 1):
            try:
                row = self._db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (number,)).fetchone()  # noqa: S608
            except sqlite3.DatabaseError:
                continue
            if row is not None:
                yield row

    def _damaged(self, what: str, error: Exception) -> JournalError:
        if isinstance(error, sqlite3.Error) and passes_soon(error):
            msg = f"{self.path.name} is kept busy by another process ({error}); try again when that has ended"
            return JournalError(msg)
        next_step = (
            "`agenttrace-nb recover` saves what can still be read, once its process has ended"
            if "damaged" in what
            else f"nothing was changed in it; move it out of {self.path.parent} if you know what it is, else delete it"
        )
        return JournalDamagedError(f"{self.path.name} {what} ({error}); {next_step}")


def _opened(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)


def _event(row: tuple[Any, ...]) -> Event:
    seq, kind, time_ns, run, trace, span, raw = row
    body = json.loads(raw) if isinstance(raw, (bytes, str)) else raw or {}
    if not isinstance(body, dict) or not isinstance(time_ns, int):
        msg = f"event {seq} is not as events are"
        raise ValueError(msg)  # noqa: TRY004 - it is the file that is wrong
    return Event(seq, EventKind(kind), time_ns, run, trace, span, body)
