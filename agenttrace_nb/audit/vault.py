"""The vault: entries, checkpoints and encrypted content in one SQLite file.

Each entry is written with its content and its checkpoint in one transaction that is on the disk before it returns.
Nothing is ever updated; only erasing takes content away. Triggers guard against slips, not against attackers: those are
found by verifying.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.audit.content import Sealed
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.journal.place import is_network_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 1
_BUSY_MS = 60_000
_TABLES = """
CREATE TABLE entry (i INTEGER PRIMARY KEY, envelope BLOB NOT NULL);
CREATE TABLE content (i INTEGER PRIMARY KEY, manifest BLOB NOT NULL, ciphertext BLOB);
CREATE TABLE content_key (i INTEGER PRIMARY KEY, wrapped BLOB NOT NULL);
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL, edge BLOB NOT NULL);
CREATE TABLE epoch (n INTEGER PRIMARY KEY, i INTEGER NOT NULL, public BLOB NOT NULL, since TEXT NOT NULL);
CREATE TABLE source (
  journal TEXT NOT NULL, kind TEXT NOT NULL, trace TEXT NOT NULL, seq INTEGER NOT NULL, i INTEGER NOT NULL,
  PRIMARY KEY (journal, kind, trace, seq)
) WITHOUT ROWID;
CREATE INDEX source_trace ON source (trace, i);
CREATE TABLE pin (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, at TEXT NOT NULL, data BLOB NOT NULL
);
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER checkpoint_stays BEFORE UPDATE ON checkpoint
  BEGIN SELECT RAISE(ABORT, 'checkpoints are never changed'); END;
CREATE TRIGGER checkpoint_kept BEFORE DELETE ON checkpoint
  BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;
"""


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of the log as it is stored: size, last checkpoint (a note) and right edge of the tree."""

    size: int
    note: str
    edge: bytes


@dataclass(frozen=True, slots=True)
class Epoch:
    """Since when a recorder key signs.

    Attributes
    ----------
    index
        The entry that names it; it signs those after it (the first epoch's signs that one too).
    """

    number: int
    index: int
    public: bytes
    since: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where in which journal an entry came from, and what it is found by.

    Attributes
    ----------
    journal
        Empty for what did not come from one: what was erased, held, pinned.
    kind
        The kind of the entry; ``said`` and ``feedback`` for what was said of a cell run, and of a trace.
    trace
        The trace, or the key of the cell run.
    """

    journal: str
    kind: str
    trace: str
    seq: int


class Vault:
    """Access to the tables of one vault; knows nothing of signatures.

    Parameters
    ----------
    path
        The file.
    read_only
        Whether to open it for reading; it must exist then.

    Raises
    ------
    AuditError
        If it lies on a network file system, or is no vault.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if is_network_path(path):
            msg = f"{path} is on a network file system, where SQLite cannot keep a log safely; use a local folder"
            raise AuditError(msg)
        self.path = path
        mode = "ro" if read_only else "rw"
        try:
            self.db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=_BUSY_MS / 1000,
                check_same_thread=False,
            )  # fmt: skip
            if not read_only:
                self.db.execute("PRAGMA journal_mode=WAL")
                self.db.execute("PRAGMA synchronous=FULL")
                self.db.execute("PRAGMA secure_delete=ON")
            (version,) = self.db.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            msg = f"{path} cannot be opened as the vault of an audit log ({error})"
            raise AuditError(msg) from error
        if version != SCHEMA_VERSION:
            self.db.close()
            msg = f"{path} is no vault of an audit log, or of another version of agenttrace_nb (schema {version})"
            raise AuditError(msg)

    @classmethod
    def make(cls, path: Path) -> Vault:
        """Make an empty vault, for its owner alone.

        Raises
        ------
        AuditError
            If there is a file already.
        """
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError as error:
            msg = f"there is a file already: {path}"
            raise AuditError(msg) from error
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_TABLES + f"PRAGMA user_version={SCHEMA_VERSION};")
        return cls(path)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the one writer's place until everything in the block is on the disk, or nothing is."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # a full disk has ended it already
                self.db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    # -- reading ------------------------------------------------------------------------------------------------

    def size(self) -> int:
        """Return the number of entries."""
        (count,) = self.db.execute("SELECT count(*) FROM entry").fetchone()
        return int(count)

    def tip(self) -> Tip | None:
        """Return the end of the log, ``None`` if nothing was written yet."""
        row = self.db.execute("SELECT size, note, edge FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return Tip(*row) if row else None

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield index and bytes of entries in order."""
        rows = self.db.execute(
            "SELECT i, envelope FROM entry WHERE i >= ? AND i < ? ORDER BY i", (start, 2**62 if end is None else end)
        )
        yield from rows

    def entry(self, index: int) -> bytes | None:
        """Return one entry."""
        row = self.db.execute("SELECT envelope FROM entry WHERE i = ?", (index,)).fetchone()
        return bytes(row[0]) if row else None

    def checkpoints(self) -> Iterator[Tip]:
        """Yield the checkpoints in order."""
        for row in self.db.execute("SELECT size, note, edge FROM checkpoint ORDER BY size"):
            yield Tip(*row)

    def checkpoint(self, size: int) -> str | None:
        """Return the note of the checkpoint at a size."""
        row = self.db.execute("SELECT note FROM checkpoint WHERE size = ?", (size,)).fetchone()
        return str(row[0]) if row else None

    def epochs(self) -> list[Epoch]:
        """Return the epochs, the first one first."""
        return [Epoch(*row) for row in self.db.execute("SELECT n, i, public, since FROM epoch ORDER BY n")]

    def last_epoch(self) -> Epoch | None:
        """Return the epoch that goes on."""
        row = self.db.execute("SELECT n, i, public, since FROM epoch ORDER BY n DESC LIMIT 1").fetchone()
        return Epoch(*row) if row else None

    def sealed(self, index: int, key_of_keys: bytes) -> Sealed | None:
        """Return an entry's content with its key; ``None`` where it has none, or it was erased.

        Raises
        ------
        AuditError
            If its key cannot be unwrapped.
        """
        row = self.db.execute(
            "SELECT manifest, ciphertext, wrapped FROM content JOIN content_key USING (i) WHERE i = ?", (index,)
        ).fetchone()
        if row is None or row[1] is None:
            return None
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

        try:
            return Sealed(row[0], row[1], aes_key_unwrap(key_of_keys, row[2]))
        except (InvalidUnwrap, ValueError) as error:
            msg = f"the key of the content of entry {index} cannot be unwrapped: it, or content.key, was changed"
            raise AuditError(msg) from error

    def manifest(self, index: int) -> bytes | None:
        """Return the manifest of an entry's content.

        Raises
        ------
        AuditError
            If it is none.
        """
        row = self.db.execute("SELECT manifest FROM content WHERE i = ?", (index,)).fetchone()
        if row is not None and not isinstance(row[0], bytes):
            msg = f"the manifest of entry {index} is none; it was changed"
            raise AuditError(msg)
        return bytes(row[0]) if row else None

    def index_of(self, source: Source) -> int | None:
        """Return the entry that was made from a place in a journal."""
        row = self.db.execute(
            "SELECT i FROM source WHERE journal = ? AND kind = ? AND trace = ? AND seq = ?",
            (source.journal, source.kind, source.trace, source.seq),
        ).fetchone()
        return int(row[0]) if row else None

    def of_trace(self, trace_id: str) -> list[tuple[int, str]]:
        """Return the entries of a trace, index and kind, in order."""
        return list(self.db.execute("SELECT i, kind FROM source WHERE trace = ? ORDER BY i", (trace_id,)))

    def of_kind(self, *kinds: str, trace: str | None = None) -> list[int]:
        """Return the entries that are found by these kinds, in order; of one trace, or of all."""
        marks = ", ".join("?" * len(kinds))
        which, more = ("", ()) if trace is None else (" AND trace = ?", (trace,))
        query = f"SELECT DISTINCT i FROM source WHERE kind IN ({marks}){which} ORDER BY i"  # noqa: S608 - our own words
        return [int(row[0]) for row in self.db.execute(query, (*kinds, *more))]

    def traces(self, *kinds: str) -> list[str]:
        """Return the traces that have entries of these kinds, in the order in which they came."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT trace FROM source WHERE kind IN ({marks}) GROUP BY trace ORDER BY min(i)"  # noqa: S608 - ours
        return [str(row[0]) for row in self.db.execute(query, kinds)]

    def pins(self) -> list[tuple[str, int, str, bytes]]:
        """Return time stamps and cosignatures: kind, size of the log, time, data."""
        return list(self.db.execute("SELECT kind, size, at, data FROM pin ORDER BY id"))

    # -- writing, inside a transaction --------------------------------------------------------------------------

    def add_entry(self, index: int, envelope: bytes, tip: Tip) -> None:
        """Write an entry and the checkpoint that covers it."""
        self.db.execute("INSERT INTO entry VALUES (?, ?)", (index, envelope))
        self.db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (tip.size, tip.note, tip.edge))

    def add_content(self, index: int, sealed: Sealed, key_of_keys: bytes) -> None:
        """Write an entry's content; its key is wrapped."""
        from cryptography.hazmat.primitives.keywrap import aes_key_wrap

        self.db.execute("INSERT INTO content VALUES (?, ?, ?)", (index, sealed.manifest, sealed.ciphertext))
        self.db.execute("INSERT INTO content_key VALUES (?, ?)", (index, aes_key_wrap(key_of_keys, sealed.key)))

    def add_epoch(self, epoch: Epoch) -> None:
        """Write an epoch."""
        self.db.execute("INSERT INTO epoch VALUES (?, ?, ?, ?)", (epoch.number, epoch.index, epoch.public, epoch.since))

    def add_source(self, source: Source, index: int) -> None:
        """Write where an entry came from."""
        self.db.execute(
            "INSERT INTO source VALUES (?, ?, ?, ?, ?)", (source.journal, source.kind, source.trace, source.seq, index)
        )

    def pin_rows(self) -> list[tuple[int, str, int, str, bytes]]:
        """Return the table of pins: place, kind, size of the log, time, data."""
        return list(self.db.execute("SELECT id, kind, size, at, data FROM pin ORDER BY id"))

    def add_pin(self, kind: str, size: int, at: str, data: bytes) -> None:
        """Write a time stamp or cosignature of a checkpoint."""
        self.db.execute("INSERT INTO pin (kind, size, at, data) VALUES (?, ?, ?, ?)", (kind, size, at, data))

    def replace_content(self, index: int, sealed: Sealed, key_of_keys: bytes) -> None:
        """Put a reduced content in the place of an entry's content; the key of the whole one is destroyed."""
        from cryptography.hazmat.primitives.keywrap import aes_key_wrap

        self.db.execute("UPDATE content SET ciphertext = ? WHERE i = ?", (sealed.ciphertext, index))
        wrapped = aes_key_wrap(key_of_keys, sealed.key)
        self.db.execute("UPDATE content_key SET wrapped = ? WHERE i = ?", (wrapped, index))

    def erase_content(self, indices: list[int]) -> None:
        """Destroy the keys of contents, and take the ciphertexts away."""
        marks = [(index,) for index in indices]
        self.db.executemany("DELETE FROM content_key WHERE i = ?", marks)
        self.db.executemany("UPDATE content SET ciphertext = NULL WHERE i = ?", marks)

    def scrub(self, *, wait: bool = True) -> bool:
        """Empty the write-ahead log, in which deleted keys would remain; tell whether that worked.

        Parameters
        ----------
        wait
            Whether to wait for others who read or write.
        """
        self.db.execute(f"PRAGMA busy_timeout={_BUSY_MS if wait else 0}")
        try:
            busy, *_ = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self.db.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        return not busy
