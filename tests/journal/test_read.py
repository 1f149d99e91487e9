"""Reading: whole, partial, while it is written, damaged, foreign. The file is never changed by it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from journal.written import TRACE, damage, leaf_pages, write_journal

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import SCHEMA_VERSION, EventKind
from agenttrace_nb.journal.place import JournalError
from agenttrace_nb.journal.read import JournalDamagedError, JournalReader, JournalVersionError

if TYPE_CHECKING:
    from pathlib import Path

MANY = 2500  # more than is read at once


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "one.journal", MANY)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "small.journal")


def files(folder: Path) -> dict[str, bytes]:
    # SQLite may leave its shared memory and an empty log beside a file that was read.
    found = {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}
    return {name: content for name, content in found.items() if content or not name.endswith("-wal")}


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def test_all_events_come_in_order_however_many(path: Path) -> None:
    with closing(JournalReader(path)) as reader:
        assert [e.seq for e in reader.events()] == list(range(1, MANY + 3))
        assert reader.last_seq() == MANY + 2


@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [
        (0, 3, [1, 2, 3]),
        (2, 2, [3, 4]),
        (4, None, [5]),
        (5, None, []),
        (99, 5, []),
        (0, 0, []),
        (0, 99, [1, 2, 3, 4, 5]),
    ],
)
def test_a_part_can_be_read(small: Path, after: int, limit: int | None, expected: list[int]) -> None:
    with closing(JournalReader(small)) as reader:
        assert [e.seq for e in reader.events(after, limit)] == expected


def test_a_limit_larger_than_what_is_read_at_once_is_kept(path: Path) -> None:
    with closing(JournalReader(path)) as reader:
        assert [e.seq for e in reader.events(100, 2200)] == list(range(101, 2301))


def test_the_head_says_who_wrote_it(small: Path) -> None:
    with closing(JournalReader(small)) as reader:
        assert reader.meta["schema"] == str(SCHEMA_VERSION)
        assert int(reader.meta["pid"]) > 0
        assert int(reader.meta["created_ns"]) > 1_700_000_000 * 10**9


def test_a_journal_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    try:
        with closing(JournalReader(journal.path)) as reader:
            for number in range(1, 4):
                journal.append(EventKind.RUN_START, run_key=str(number), urgent=True)
                assert [e.run_key for e in reader.events()] == [str(n) for n in range(1, number + 1)]
    finally:
        journal.close()


def test_an_item_that_is_not_there_is_a_text_that_says_so(small: Path) -> None:
    with closing(JournalReader(small)) as reader:
        assert json.loads(reader.item(1)) == "input 0 " * 30
        assert json.loads(reader.item(99)) == "[item 99 cannot be read]"


# ------------------------------------------------------------------------------------------------ what is no journal


def test_a_journal_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"there is no journal .*gone\.journal"):
        JournalReader(tmp_path / "gone.journal")
    with pytest.raises(JournalError, match="there is no journal"):
        JournalReader(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_of_a_newer_version_is_left_as_it_is_and_the_next_step_named(small: Path, tmp_path: Path) -> None:
    change(small, "UPDATE meta SET value = value + 1 WHERE key = 'schema'")
    before = files(tmp_path)
    with pytest.raises(JournalVersionError) as told:
        JournalReader(small)
    assert str(told.value) == (
        f"small.journal was written by a newer agenttrace_nb (schema {SCHEMA_VERSION + 1}, this one knows "
        f"{SCHEMA_VERSION}); upgrade with `pip install -U agenttrace-nb`. The file was left as it is."
    )
    assert files(tmp_path) == before


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_named_with_the_next_step(tmp_path: Path, content: bytes) -> None:
    there = tmp_path / "x.journal"
    there.write_bytes(content)
    with pytest.raises(JournalDamagedError, match=r"x\.journal cannot be read as a journal .*; nothing was changed"):
        JournalReader(there)
    assert there.read_bytes() == content


def test_a_database_of_somebody_else_is_named(tmp_path: Path) -> None:
    there = tmp_path / "x.journal"
    change(there, "CREATE TABLE films (name TEXT)")
    with pytest.raises(JournalDamagedError, match="no such table: meta"):
        JournalReader(there)


def test_a_head_that_makes_no_sense_is_damage(small: Path) -> None:
    change(small, "UPDATE meta SET value = 'x' WHERE key = 'schema'")
    with pytest.raises(JournalDamagedError, match="cannot be read as a journal"):
        JournalReader(small)


def test_a_file_whose_process_ended_while_making_it_is_a_journal_without_events(tmp_path: Path) -> None:
    (tmp_path / "a.journal").touch()
    change(tmp_path / "b.journal", "PRAGMA journal_mode=WAL")
    for name in ("a", "b"):
        with closing(JournalReader(tmp_path / f"{name}.journal")) as reader:
            assert (list(reader.events()), reader.last_seq(), list(reader.salvage()), reader.meta) == ([], 0, [], {})


# ----------------------------------------------------------------------------------------------------------- damage


def lost(path: Path) -> list[int]:
    """Return the positions that cannot be read any more, by asking for each of them."""
    gone = []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        for seq in range(1, MANY + 3):
            try:
                assert db.execute("SELECT seq FROM events WHERE seq = ?", (seq,)).fetchone() == (seq,)
            except sqlite3.DatabaseError:
                gone.append(seq)
    return gone


@pytest.mark.parametrize("where", ["early", "middle", "last"])
def test_events_before_a_damaged_page_are_read_and_salvage_reads_around_it(
    path: Path, tmp_path: Path, where: str
) -> None:
    pages = leaf_pages(path, "events")
    damage(path, pages[{"early": 1, "middle": len(pages) // 2, "last": -1}[where]])
    gone = lost(path)
    assert 1 < len(gone) < 100
    before = files(tmp_path)
    with closing(JournalReader(path)) as reader:
        seen: list[int] = []
        with pytest.raises(JournalDamagedError) as told:
            seen.extend(e.seq for e in reader.events())
        readable = [seq for seq in range(1, MANY + 3) if seq not in gone]
        assert [e.seq for e in reader.salvage()] == readable
        assert [e.seq for e in reader.salvage(after=10)] == [seq for seq in readable if seq > 10]
        if where == "last":
            with pytest.raises(JournalDamagedError, match=r"one\.journal is damaged at its end"):
                reader.last_seq()
        else:
            assert reader.last_seq() == MANY + 2
    assert f"one.journal is damaged behind event {gone[0] - 1} (" in str(told.value)
    assert "`agenttrace-nb recover` saves what can still be read" in str(told.value)
    assert files(tmp_path) == before


def test_all_events_before_the_damage_are_handed_out_first(path: Path) -> None:
    damage(path, leaf_pages(path, "events")[-2])
    first = lost(path)[0]
    seen: list[int] = []
    with closing(JournalReader(path)) as reader, suppress(JournalDamagedError):
        seen.extend(event.seq for event in reader.events(after=first - 20))
        pytest.fail("the damage was not noticed")
    assert seen == list(range(first - 19, first))


@pytest.mark.parametrize(
    "broken",
    ["body = x'7b'", "body = '[1]'", "body = x'ff'", "kind = 'unheard-of'", "time_ns = 'noon'", "body = 17"],
)
def test_a_row_that_is_not_as_rows_are_is_damage(small: Path, broken: str) -> None:
    change(small, f"UPDATE events SET {broken} WHERE seq = 3")  # noqa: S608 - our own text
    with closing(JournalReader(small)) as reader:
        with pytest.raises(JournalDamagedError, match="is damaged behind event 2"):
            list(reader.events())
        assert [e.seq for e in reader.salvage()] == [1, 2, 4, 5]


def test_an_event_without_a_body_has_an_empty_one(small: Path) -> None:
    change(small, "UPDATE events SET body = NULL WHERE seq = 3")
    with closing(JournalReader(small)) as reader:
        assert next(reader.events(2)).body == {}


def test_a_damaged_item_is_a_text_that_says_so_and_the_others_are_whole(path: Path) -> None:
    damage(path, leaf_pages(path, "items")[1])
    with closing(JournalReader(path)) as reader:
        texts = [json.loads(reader.item(n)) for n in range(1, MANY + 1)]
        gone = [n for n, text in enumerate(texts, 1) if text == f"[item {n} cannot be read]"]
        assert 0 < len(gone) < 20
        assert all(text.startswith(f"input {n - 1} ") for n, text in enumerate(texts, 1) if n not in gone)
        assert [item_id for item_id, _, _ in reader.salvage_items()] == [n for n in range(1, MANY + 1) if n not in gone]
        assert len(list(reader.events())) == MANY + 2


def test_reading_leaves_a_closed_and_an_open_journal_as_they_are(small: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    with closing(JournalReader(small)) as reader:
        list(reader.events())
    assert files(tmp_path) == before
    journal = Journal(tmp_path / "open.journal")
    journal.append(EventKind.SPAN_START, run_key="r", trace_id=TRACE, span_id="s", urgent=True)
    before = files(tmp_path)
    with closing(JournalReader(journal.path)) as reader:
        assert len(list(reader.events())) == 1
    assert files(tmp_path) == before
    journal.close()


def test_a_reader_cannot_write(small: Path) -> None:
    with closing(JournalReader(small)) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM events")
