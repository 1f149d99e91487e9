"""The tail of a journal: on the disk at once, read with the rest, moved into the database when its time has come."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agenttrace_nb.journal import tail as tails
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.place import Lease, owner_lock
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.journal.recover import close_interrupted, remove_old
from agenttrace_nb.journal.tail import Tail, read_tail, tail_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ITEMS = [(1, b"h" * 16, b'"an item"'), (2, b"i" * 16, b'{"another":"\xc3\xa4"}')]
EVENTS = [
    (1, "span-start", 17, "r", "t", "s", b'{"input":{"$l":[1,2]}}'),
    (2, "span-end", 18, None, None, None, b"{}"),
]


def say(journal: Journal, name: str, **more: object) -> None:
    content = {"input": [{"role": "user", "content": f"{name} " * 30}]}
    journal.append(EventKind.SPAN_START, run_key="r", trace_id="t", span_id=name, content=content, **more)


def stored(path: Path, table: str = "events") -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names


def names(path: Path) -> list[str | None]:
    with closing(JournalReader(path)) as reader:
        return [event.span_id for event in reader.events()]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Journal]:
    """A journal whose database somebody else holds: what is urgent can only be in the tail."""
    journal = Journal(tmp_path / "one.journal")
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield journal
        other.execute("ROLLBACK")
    journal.close()


def died(journal: Journal) -> Path:
    """Give up a journal's lease as its process would by dying; return a copy of what it leaves."""
    path = journal.path.with_name("dead.journal")
    for end in (".journal", ".journal-wal", ".tail"):
        path.with_name(f"dead{end}").write_bytes(journal.path.with_name(f"one{end}").read_bytes())
    return path


# ---------------------------------------------------------------------------------------------------------- the file


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "one.journal")
    tail.write(ITEMS, EVENTS[:1])
    tail.write([], EVENTS[1:])
    assert read_tail(tmp_path / "one.journal") == (ITEMS, EVENTS)
    tail.close()
    assert read_tail(tmp_path / "one.journal") == (ITEMS, EVENTS)


def test_an_empty_tail_has_no_rows_and_leaves_no_file(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "one.journal")
    tail.write(ITEMS, EVENTS)
    tail.clear()
    assert read_tail(tmp_path / "one.journal") == ([], [])
    tail.close()
    assert list(tmp_path.iterdir()) == []
    assert read_tail(tmp_path / "one.journal") == ([], [])


def test_a_record_that_is_cut_off_anywhere_is_left_out_and_those_before_it_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "one.journal"
    tail = Tail(path)
    tail.write(ITEMS, EVENTS[:1])
    first = tail_path(path).stat().st_size
    tail.write([], EVENTS[1:])
    whole = tail_path(path).read_bytes()
    for length in range(len(whole)):
        tail_path(path).write_bytes(whole[:length])
        assert read_tail(path) == ((ITEMS, EVENTS[:1]) if length >= first else ([], []))
    tail.close()


def test_a_record_with_a_wrong_byte_ends_the_tail(tmp_path: Path) -> None:
    path = tmp_path / "one.journal"
    tail = Tail(path)
    tail.write(ITEMS, EVENTS)
    whole = bytearray(tail_path(path).read_bytes())
    for at in range(len(whole)):
        broken = whole.copy()
        broken[at] ^= 0x20
        tail_path(path).write_bytes(broken)
        assert read_tail(path) == ([], [])
    tail.close()


def test_a_write_that_is_not_complete_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.journal"
    tail = Tail(path)
    tail.write(ITEMS, EVENTS[:1])
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:9]))
    with pytest.raises(OSError, match="no space"):
        tail.write([], EVENTS[1:])
    monkeypatch.undo()
    tail.write([], EVENTS[1:])
    assert read_tail(path) == (ITEMS, EVENTS)
    tail.close()


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")
def test_the_tail_is_its_owners_alone(held: Journal) -> None:
    say(held, "a", urgent=True)
    assert stat.S_IMODE(tail_path(held.path).stat().st_mode) == 0o600


# ------------------------------------------------------------------------------------------------------- the journal


def test_what_is_urgent_is_read_while_the_database_cannot_be_written(held: Journal) -> None:
    say(held, "before")
    say(held, "urgent", urgent=True)
    assert stored(held.path) == 0
    with closing(JournalReader(held.path)) as reader:
        assert [e.span_id for e in reader.events()] == ["before", "urgent"]
        assert [e.span_id for e in reader.events(after=1)] == ["urgent"]
        assert [e.span_id for e in reader.events(limit=1)] == ["before"]
        assert reader.last_seq() == 2
        assert b"urgent" in reader.item(2)


def test_the_tail_is_empty_once_the_database_has_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    for number in range(5):
        say(journal, str(number), urgent=True)
    journal.flush()
    assert tail_path(journal.path).stat().st_size == 0
    assert (stored(journal.path), stored(journal.path, "items")) == (5, 5)
    journal.close()
    assert not tail_path(journal.path).exists()


def test_a_full_tail_is_emptied_before_it_grows_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "MAX_TAIL_BYTES", 2000)
    journal = Journal(tmp_path / "one.journal")
    for number in range(100):
        say(journal, str(number), urgent=True)
        assert tail_path(journal.path).stat().st_size < 4000
    assert names(journal.path) == [str(n) for n in range(100)]
    journal.close()
    assert names(journal.path) == [str(n) for n in range(100)]


def test_a_reader_beside_the_writer_sees_every_event_once_and_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    over = threading.Event()

    def work() -> None:
        for number in range(1500):
            say(journal, str(number), urgent=number % 3 == 0)
            if number % 50 == 0:
                journal.flush()
        over.set()

    thread = threading.Thread(target=work)
    thread.start()
    seen: list[int] = []
    with closing(JournalReader(journal.path)) as reader:
        while not over.is_set():
            found = list(reader.events(after=seen[-1] if seen else 0))
            for event in found[:3]:
                assert str(event.span_id).encode() in reader.item(event.body["input"]["$l"][0])
            seen += [event.seq for event in found]
        thread.join()
        journal.flush()
        seen += [event.seq for event in reader.events(after=seen[-1])]
    assert seen == list(range(1, 1501))
    journal.close()


def test_what_a_dead_process_left_in_the_tail_is_moved_into_the_database_before_its_ends(held: Journal) -> None:
    say(held, "a")
    say(held, "b", urgent=True)
    path = died(held)
    assert close_interrupted(path).spans == 2
    assert not tail_path(path).exists()
    assert (stored(path), stored(path, "items")) == (4, 2)
    assert names(path) == ["a", "b", "b", "a"]
    assert close_interrupted(path).spans == 0


def test_a_process_that_died_before_it_emptied_the_tail_leaves_nothing_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    say(journal, "a", urgent=True)
    kept = tail_path(journal.path).read_bytes()
    journal.close()
    tail_path(journal.path).write_bytes(kept)
    assert names(journal.path) == ["a"]
    close_interrupted(journal.path)
    assert names(journal.path) == ["a", "a"]
    assert stored(journal.path, "items") == 1


def test_a_journal_with_something_in_its_tail_that_nobody_has_read_is_not_deleted(held: Journal) -> None:
    say(held, "a", urgent=True)
    path = died(held)
    for name in ("mlflow", "message-runs", "feedback"):
        path.with_suffix(f".{name}.json").write_text('{"cursor": 0, "state": {}}')
    assert remove_old(path.parent, keep_days=0) == []
    for name in ("mlflow", "message-runs", "feedback"):
        path.with_suffix(f".{name}.json").write_text('{"cursor": 1, "state": {}}')
    assert remove_old(path.parent, keep_days=0) == [path]
    assert list(path.parent.glob("dead.*")) == []


def test_what_lies_in_the_tail_when_the_journal_is_closed_is_not_called_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    heard: list[str] = []
    journal.on_problem(heard.append)
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        say(journal, "a", urgent=True)
        journal.close()
        other.execute("ROLLBACK")
    assert "1 events could not be written" in heard[-1]
    assert "`agenttrace-nb recover` adds them" in heard[-1]
    Lease(owner_lock(journal.path)).release()
    close_interrupted(journal.path)
    assert names(journal.path) == ["a", "a"]


def test_a_secret_is_in_no_file_and_on_no_bus_whenever_it_is_looked_for(held: Journal) -> None:
    key = "sk-" + "a1B2" * 10
    watched = held.bus.subscribe()
    for number in range(3):
        held.append(EventKind.SPAN_START, run_key="r", trace_id="t", span_id=str(number), body={"name": f"use {key}"})
    assert key not in repr(list(watched))
    say(held, "urgent", urgent=True)
    files = b"".join(file.read_bytes() for file in held.path.parent.iterdir())
    assert b"urgent" in files
    assert key.encode() not in files
