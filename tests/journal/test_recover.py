"""What a dead process left open is closed, once, in the right order; what is damaged is saved; what is old goes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journal.written import TRACE, damage, leaf_pages, write_journal

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.follow import Follower
from agenttrace_nb.journal.place import JournalError, Lease, LeaseTakenError, owner_lock
from agenttrace_nb.journal.read import JournalDamagedError, JournalReader, JournalVersionError
from agenttrace_nb.journal.recover import Closed, close_interrupted, remove_old
from agenttrace_nb.journal.sealing import turn_on
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from agenttrace_nb.journal.events import Event

DAY_S = 86_400
FOLLOWERS = ("mlflow", "message-runs", "feedback")


def events(path: Path) -> list[Event]:
    with closing(JournalReader(path)) as reader:
        return list(reader.events())


def folded(path: Path) -> Fold:
    fold = Fold(lambda item_id: b"null")
    for event in events(path):
        fold.apply(event)
    return fold


@pytest.fixture
def left_open(tmp_path: Path) -> Path:
    """Two runs, one inside the other, with a trace each; of the inner one and of one span the ends are there."""
    journal = Journal(tmp_path / "one.journal")

    def add(kind: EventKind, run: str, trace: str | None = None, span: str | None = None, **body: str) -> None:
        journal.append(kind, run_key=run, trace_id=trace, span_id=span, body=body)

    add(EventKind.RUN_START, "outer", name="outer")
    add(EventKind.TRACE_START, "outer", TRACE, name="flow")
    add(EventKind.SPAN_START, "outer", TRACE, "agent", name="agent")
    add(EventKind.RUN_START, "inner", name="inner")
    add(EventKind.TRACE_START, "inner", "b" * 32, name="done")
    add(EventKind.SPAN_START, "inner", "b" * 32, "agent", name="same id in another trace")
    add(EventKind.SPAN_END, "inner", "b" * 32, "agent", status="ok")
    add(EventKind.TRACE_END, "inner", "b" * 32, status="ok")
    add(EventKind.RUN_END, "inner", status="ok")
    add(EventKind.SPAN_START, "outer", TRACE, "done", parent_id="agent")
    add(EventKind.SPAN_END, "outer", TRACE, "done", status="error")
    add(EventKind.SPAN_UPDATE, "outer", TRACE, "done", name="renamed")
    add(EventKind.SPAN_START, "outer", TRACE, "tool", parent_id="agent")
    add(EventKind.SPAN_UPDATE, "outer", TRACE, "tool", name="tool")
    journal.close()
    return journal.path


def test_what_was_open_is_closed_as_interrupted_from_the_inside_out(left_open: Path) -> None:
    before = events(left_open)
    assert close_interrupted(left_open) == Closed(runs=1, traces=1, spans=2)
    added = events(left_open)[len(before) :]
    assert [(e.kind.value, e.run_key, e.trace_id, e.span_id) for e in added] == [
        ("span-end", "outer", TRACE, "tool"),
        ("span-end", "outer", TRACE, "agent"),
        ("trace-end", "outer", TRACE, None),
        ("run-end", "outer", None, None),
    ]
    assert [e.seq for e in added] == list(range(len(before) + 1, len(before) + 5))
    assert {e.time_ns for e in added} == {max(e.time_ns for e in before)}
    fold = folded(left_open)
    assert {s.span_id: s.status for s in fold.traces[TRACE].spans} == {
        "agent": Status.INTERRUPTED, "done": Status.ERROR, "tool": Status.INTERRUPTED
    }  # fmt: skip
    assert (fold.traces[TRACE].status, fold.traces["b" * 32].status) == (Status.INTERRUPTED, Status.OK)
    assert {k: r.status for k, r in fold.runs.items()} == {"outer": Status.INTERRUPTED, "inner": Status.OK}
    assert str(fold.runs["outer"].error) == "ProcessEnded: the process ended before this step did"


def test_closing_twice_adds_nothing(left_open: Path) -> None:
    close_interrupted(left_open)
    after = events(left_open)
    assert close_interrupted(left_open) == Closed(0, 0, 0)
    assert len(events(left_open)) == len(after)


def test_a_journal_with_nothing_open_is_left_as_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    journal.append(EventKind.RUN_START, run_key="r")
    journal.append(EventKind.RUN_END, run_key="r")
    journal.close()
    before = journal.path.read_bytes()
    assert close_interrupted(journal.path) == Closed(0, 0, 0)
    assert journal.path.read_bytes() == before


def test_a_trace_that_was_resumed_and_ended_again_is_not_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    for _ in range(2):
        journal.append(EventKind.TRACE_START, run_key="r", trace_id=TRACE)
        journal.append(EventKind.SPAN_END, run_key="r", trace_id=TRACE, span_id="root")
        journal.append(EventKind.TRACE_END, run_key="r", trace_id=TRACE)
    journal.append(EventKind.TRACE_START, run_key="r2", trace_id=TRACE)
    journal.close()
    assert close_interrupted(journal.path) == Closed(runs=0, traces=1, spans=0)


def test_the_journal_of_a_living_process_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    journal.append(EventKind.RUN_START, run_key="r", urgent=True)
    try:
        with pytest.raises(LeaseTakenError, match=r"one\.lock is held by another process"):
            close_interrupted(journal.path)
        assert len(events(journal.path)) == 1
    finally:
        journal.close()


def test_two_that_recover_at_once_do_it_once(left_open: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from agenttrace_nb.journal.place import LeaseTakenError\n"
        "from agenttrace_nb.journal.recover import close_interrupted\n"
        "try: print(close_interrupted(Path(sys.argv[1])).spans)\n"
        "except LeaseTakenError: print('taken')\n"
    )
    command = [sys.executable, "-c", program, str(left_open)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(process.communicate()[0].strip() for process in running)
    assert said[-1] in ("2", "taken")
    assert said.count("2") == 1
    assert [e.kind for e in events(left_open)].count(EventKind.RUN_END) == 2


def test_what_cannot_be_a_journal_is_refused_with_the_reason(tmp_path: Path, left_open: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal"):
        close_interrupted(tmp_path / "gone.journal")
    (tmp_path / "bad.journal").write_bytes(b"not a database" * 100)
    with pytest.raises(JournalDamagedError, match=r"bad\.journal cannot be read as a journal"):
        close_interrupted(tmp_path / "bad.journal")
    assert (tmp_path / "bad.journal").read_bytes() == b"not a database" * 100
    with closing(sqlite3.connect(left_open, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(JournalVersionError):
        close_interrupted(left_open)
    Lease(owner_lock(left_open)).release()


def test_a_journal_whose_process_ended_while_making_it_has_nothing_to_close(tmp_path: Path) -> None:
    (tmp_path / "empty.journal").touch()
    assert close_interrupted(tmp_path / "empty.journal") == Closed(0, 0, 0)


# ----------------------------------------------------------------------------------------------------------- rescue


@pytest.mark.parametrize("where", [1, -1])
def test_of_a_damaged_journal_all_that_can_be_read_is_saved_and_the_file_kept(tmp_path: Path, where: int) -> None:
    path = write_journal(tmp_path / "one.journal", spans=300)
    damage(path, leaf_pages(path, "events")[where])
    damage(path, leaf_pages(path, "items")[2])
    damaged = path.read_bytes()
    with closing(JournalReader(path)) as reader:
        readable = [e.seq for e in reader.salvage()]
        items = {item_id: body for item_id, _, body in reader.salvage_items()}
    assert 200 < len(readable) < 302
    closed = close_interrupted(path)
    assert closed.damaged == tmp_path / "one.damaged"
    assert closed.damaged.read_bytes() == damaged
    saved = events(path)
    assert [e.seq for e in saved][: len(readable)] == readable
    assert [e.kind for e in saved[len(readable) :]] == [EventKind.SPAN_END] * closed.spans + [
        EventKind.TRACE_END, EventKind.RUN_END
    ]  # fmt: skip
    with closing(JournalReader(path)) as reader:
        assert reader.meta["schema"] == "1"
        assert all(reader.item(item_id) == body for item_id, body in items.items())
        assert json.loads(reader.item(next(n for n in range(1, 301) if n not in items))).endswith("cannot be read]")
    assert close_interrupted(path) == Closed(0, 0, 0)


def test_the_cursor_of_a_follower_holds_after_a_rescue(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "one.journal", spans=300)
    with closing(Follower(path, "mlflow")) as follower:
        follower.save(250)
    damage(path, leaf_pages(path, "events")[1])
    close_interrupted(path)
    with closing(Follower(path, "mlflow")) as follower:
        assert follower.read(3)[0].seq == 251


def test_a_rescue_that_was_itself_interrupted_is_done_again_from_the_kept_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_journal(tmp_path / "one.journal", spans=300)
    damage(path, leaf_pages(path, "events")[1])
    damaged = path.read_bytes()
    with closing(JournalReader(path)) as reader:
        readable = [e.seq for e in reader.salvage()]
    real = Path.replace

    def crash(file: Path, target: Path) -> Path:
        if file.suffix == ".saved":
            msg = "power loss"
            raise OSError(msg)
        return real(file, target)

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="power loss"):
        close_interrupted(path)
    monkeypatch.undo()
    assert close_interrupted(path).damaged.read_bytes() == damaged
    assert [e.seq for e in events(path)][: len(readable)] == readable


# -------------------------------------------------------------------------------------------------------- clearing up


def deliver(path: Path, *names: str, cursor: int | None = None, **state: object) -> None:
    for name in names:
        with closing(Follower(path, name)) as follower:
            follower.state.update(state)
            follower.save(follower.last_seq() if cursor is None else cursor)


def age(path: Path, days: float) -> None:
    for file in path.parent.glob(f"{path.stem}.*"):
        os.utime(file, (time.time() - days * DAY_S,) * 2)


def test_an_old_journal_that_all_followers_have_read_is_deleted_with_all_its_files(tmp_path: Path) -> None:
    old, other = write_journal(tmp_path / "old.journal"), write_journal(tmp_path / "old2.journal")
    deliver(old, *FOLLOWERS)
    age(old, 8)
    assert remove_old(tmp_path, keep_days=7) == [old]
    assert [f.name for f in tmp_path.iterdir() if f.name.startswith("old.")] == []
    assert other.exists()


def test_with_the_audit_log_on_a_journal_is_kept_until_it_is_sealed(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "one.journal")
    deliver(path, *FOLLOWERS)
    age(path, 8)
    turn_on(tmp_path)
    assert remove_old(tmp_path, keep_days=7) == []
    deliver(path, "audit")
    age(path, 8)
    assert remove_old(tmp_path, keep_days=7) == [path]


def test_a_journal_that_is_not_old_is_kept(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "one.journal")
    deliver(path, *FOLLOWERS)
    age(path, 6)
    assert remove_old(tmp_path, keep_days=7) == []
    assert path.exists()


def test_a_journal_with_something_still_in_its_log_is_as_old_as_the_log(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "one.journal")
    deliver(path, *FOLLOWERS)
    age(path, 8)
    path.with_name("one.journal-wal").touch()
    assert remove_old(tmp_path, keep_days=7) == []


@pytest.mark.parametrize(
    "case",
    [
        "no follower", "one follower", "behind", "parked", "no state", "state of another shape",
        "what was said is not read", "what was said waits for its trace",
    ],
)  # fmt: skip
def test_a_journal_that_is_not_delivered_is_never_deleted(tmp_path: Path, case: str) -> None:
    path = write_journal(tmp_path / "one.journal")
    if case == "one follower":
        deliver(path, "mlflow")
    elif case == "behind":
        deliver(path, "mlflow")
        deliver(path, "message-runs", cursor=4)
    elif case == "parked":
        deliver(path, "mlflow", parked={"r": "why"})
        deliver(path, "message-runs")
    elif case.startswith("what was said"):
        deliver(path, "mlflow", "message-runs")
        if case.endswith("waits for its trace"):
            deliver(path, "feedback", waiting=[{"trace_id": "a" * 32, "missing": True}])
    elif case != "no follower":
        deliver(path, *FOLLOWERS)
        path.with_suffix(".mlflow.json").write_text("" if case == "no state" else '{"cursor": 99, "state": []}')
    age(path, 100)
    assert remove_old(tmp_path, keep_days=7) == []
    assert path.exists()


def test_a_damaged_journal_is_never_deleted(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "one.journal", spans=300)
    deliver(path, *FOLLOWERS)
    damage(path, leaf_pages(path, "events")[-1])
    age(path, 100)
    assert remove_old(tmp_path, keep_days=7) == []
    assert path.exists()


def test_a_journal_in_use_is_never_deleted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    journal.append(EventKind.RUN_START, run_key="r", urgent=True)
    deliver(journal.path, *FOLLOWERS)
    age(journal.path, 100)
    try:
        assert remove_old(tmp_path, keep_days=7) == []
    finally:
        journal.close()


def test_who_must_have_read_it_can_be_said(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "one.journal")
    deliver(path, "audit")
    age(path, 8)
    assert remove_old(tmp_path, keep_days=7, delivered=("audit",)) == [path]
