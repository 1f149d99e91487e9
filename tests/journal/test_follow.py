"""Followers: one of a name at a time, in any process; the cursor survives whatever happens."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from journal.written import damage, leaf_pages, write_journal

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.follow import Follower, FollowerBusyError, checkpoint
from agenttrace_nb.journal.place import JournalError
from agenttrace_nb.journal.read import JournalDamagedError

if TYPE_CHECKING:
    from pathlib import Path

FOLLOWS = """
import sys
from pathlib import Path
from agenttrace_nb.journal.follow import Follower
follower = Follower(Path(sys.argv[1]), "mlflow")
follower.state["seen"] = "by another"
follower.save(2)
print("follows", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "one.journal", spans=8)


def state_file(path: Path) -> Path:
    return path.with_suffix(".mlflow.json")


def test_a_follower_begins_at_the_beginning_and_goes_on_where_it_saved(path: Path) -> None:
    with closing(Follower(path, "mlflow")) as follower:
        assert (follower.cursor, follower.state) == (0, {})
        assert [e.seq for e in follower.read(3)] == [1, 2, 3]
        follower.state["runs"] = {"r": "id"}
        follower.save(3)
        assert [e.seq for e in follower.read(2)] == [4, 5]
        assert [e.seq for e in follower.read(2, after=8)] == [9, 10]
    with closing(Follower(path, "mlflow")) as follower:
        assert (follower.cursor, follower.state, follower.last_seq()) == (3, {"runs": {"r": "id"}}, 10)
        assert [e.seq for e in follower.read()] == list(range(4, 11))
        assert json.loads(follower.item(1)) == "input 0 " * 30


def test_what_was_not_saved_is_read_again(path: Path) -> None:
    with closing(Follower(path, "mlflow")) as follower:
        follower.read()
        follower.state["x"] = 1
    with closing(Follower(path, "mlflow")) as follower:
        assert (follower.cursor, follower.state) == (0, {})


def test_followers_of_different_names_do_not_disturb_each_other(path: Path) -> None:
    with closing(Follower(path, "mlflow")) as first, closing(Follower(path, "audit")) as second:
        first.save(5)
        assert second.cursor == 0
        second.save(2)
    with closing(Follower(path, "mlflow")) as first:
        assert first.cursor == 5


def test_a_name_that_is_taken_in_this_process_is_refused(path: Path) -> None:
    with closing(Follower(path, "mlflow")), pytest.raises(FollowerBusyError) as told:
        Follower(path, "mlflow")
    assert str(told.value) == (
        "one.journal is already being delivered (mlflow) by another process; wait for it to finish"
    )
    Follower(path, "mlflow").close()


def test_a_name_that_another_process_has_is_refused_until_that_ends(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "follows\n"
        with pytest.raises(FollowerBusyError, match="already being delivered"):
            Follower(path, "mlflow")
        Follower(path, "audit").close()
        process.kill()
        process.wait()
    with closing(Follower(path, "mlflow")) as follower:
        assert (follower.cursor, follower.state) == (2, {"seen": "by another"})


def test_a_follower_that_cannot_read_its_journal_leaves_the_name_free(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal"):
        Follower(tmp_path / "one.journal", "mlflow")
    write_journal(tmp_path / "one.journal")
    Follower(tmp_path / "one.journal", "mlflow").close()


# -------------------------------------------------------------------------------------------------------- the state


def test_a_crash_while_saving_leaves_what_was_saved_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Follower(path, "mlflow")) as follower:
        follower.save(3)

        def crash(_: int) -> None:
            msg = "power loss"
            raise OSError(msg)

        monkeypatch.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="power loss"):
            follower.save(4)
        assert follower.cursor == 3
    monkeypatch.undo()
    with closing(Follower(path, "mlflow")) as follower:
        assert follower.cursor == 3
        follower.save(5)
    assert json.loads(state_file(path).read_text()) == {"cursor": 5, "state": {}}


def test_the_state_is_on_the_disk_before_it_takes_the_place_of_the_last_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        seen.append("before" if not state_file(path).exists() else "after")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    with closing(Follower(path, "mlflow")) as follower:
        follower.save(1)
    assert seen == ["before"]


def test_a_state_that_is_not_json_is_refused_and_the_last_one_kept(path: Path) -> None:
    with closing(Follower(path, "mlflow")) as follower:
        follower.save(3)
        follower.state["x"] = object()
        with pytest.raises(TypeError):
            follower.save(4)
    assert json.loads(state_file(path).read_text()) == {"cursor": 3, "state": {}}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"cursor": 5, "sta', b"[]", b"null", b"7", b'{"cursor": 5}', b'{"cursor": null, "state": {}}',
     b'{"cursor": "x", "state": {}}', b'{"cursor": 5, "state": 7}', b"\xff\xfe", b'{"cursor": -3, "state": {}}'],
)  # fmt: skip
def test_a_state_file_that_cannot_be_used_means_from_the_beginning(path: Path, content: bytes) -> None:
    state_file(path).write_bytes(content)
    with closing(Follower(path, "mlflow")) as follower:
        assert (follower.cursor, follower.state) == (0, {})
        follower.save(2)
    with closing(Follower(path, "mlflow")) as follower:
        assert follower.cursor == 2


def test_the_state_is_its_owners_alone(path: Path) -> None:
    with closing(Follower(path, "mlflow")) as follower:
        follower.save(1)
    found = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.glob("one.mlflow.*")}
    assert found == {"one.mlflow.json": 0o600, "one.mlflow.lock": 0o600}


# ------------------------------------------------------------------------------------------------------- the journal


def test_a_follower_reads_on_while_the_journal_grows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    try:
        with closing(Follower(journal.path, "mlflow")) as follower:
            for number in range(1, 4):
                journal.append(EventKind.RUN_START, run_key=str(number), urgent=True)
                assert [e.run_key for e in follower.read()] == [str(number)]
                follower.save(number)
    finally:
        journal.close()


def test_a_follower_gets_all_up_to_the_damage_and_then_hears_of_it(path: Path) -> None:
    write_journal(path.with_name("two.journal"), spans=400)
    damage(path.with_name("two.journal"), leaf_pages(path.with_name("two.journal"), "events")[3])
    with closing(Follower(path.with_name("two.journal"), "mlflow")) as follower:  # noqa: SIM117
        with pytest.raises(JournalDamagedError, match=r"is damaged behind event \d+ .*agenttrace-nb recover"):
            follower.read()


def test_a_checkpoint_moves_the_log_into_the_file_beside_its_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    try:
        for number in range(50):
            journal.append(EventKind.RUN_START, run_key=f"marked {number}", urgent=True)
        journal.flush()
        assert b"marked 49" not in journal.path.read_bytes()
        checkpoint(journal.path)
        assert b"marked 49" in journal.path.read_bytes()
        journal.append(EventKind.RUN_START, run_key="later", urgent=True)
        with closing(Follower(journal.path, "mlflow")) as follower:
            assert [e.run_key for e in follower.read(after=49)] == ["marked 49", "later"]
    finally:
        journal.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is only read cannot be synced there")
def test_a_checkpoint_brings_to_the_disk_what_is_still_in_the_tail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "one.journal")
    try:
        journal.append(EventKind.RUN_START, run_key="r", urgent=True)
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
        checkpoint(journal.path)
        assert journal.path.with_suffix(".tail").stat().st_ino in synced
    finally:
        journal.close()


def test_a_log_that_is_checkpointed_does_not_grow_for_ever(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    try:
        sizes = []
        for _ in range(20):
            for number in range(20):
                journal.append(EventKind.RUN_START, run_key=str(number), urgent=True)
            journal.flush()
            checkpoint(journal.path)
            sizes.append(journal.path.with_name("one.journal-wal").stat().st_size)
        assert sizes[-1] < 3 * sizes[0]
    finally:
        journal.close()


def test_a_checkpoint_of_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open"):
        checkpoint(tmp_path / "gone.journal")
    assert list(tmp_path.iterdir()) == []
