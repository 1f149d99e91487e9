"""No place, no space, no answer: recording goes on, the user hears it once, and what was recorded is written later."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from faults.programs import output_of

from agenttrace_nb.journal import append
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.live import LiveFold
from agenttrace_nb.journal.read import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def say(journal: Journal, name: str, size: int = 0, **more: Any) -> None:
    content = {"input": name + " " * size} if size else {}
    journal.append(EventKind.SPAN_START, run_key="r", trace_id="t", span_id=name, content=content, **more)


def names(path: Path) -> list[str | None]:
    with closing(JournalReader(path)) as reader:
        return [event.span_id for event in reader.events()]


@pytest.fixture
def temporary_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=["a file in its way", "/proc"])
def no_state_folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose a folder in which even root can make nothing."""
    (tmp_path / "file").touch()
    chosen = "/proc/1/agenttrace" if request.param == "/proc" else str(tmp_path / "file")
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", chosen)
    return chosen


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---------------------------------------------------------------------------------------------------------- no place


def test_a_folder_that_cannot_be_used_leads_to_the_temporary_disk_and_one_clear_text(
    no_state_folder: str, temporary_disk: Path
) -> None:
    journal = Journal()
    try:
        assert temporary_disk in journal.path.parents
        (problem,) = journal.problems
        assert problem.startswith("The journal folder cannot be used (")
        assert no_state_folder in problem
        assert problem.endswith(
            f"). Recording to {journal.path} instead; set AGENTTRACE_STATE_DIR to a writable local folder."
        )
        say(journal, "a", urgent=True)
        assert names(journal.path) == ["a"]
        assert len(journal.problems) == 1
    finally:
        journal.close()


def test_without_any_place_the_view_still_lives_and_one_text_says_what_is_lost(
    no_state_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no folder").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no folder"))
    journal = Journal()
    try:
        assert journal.path is None
        (problem,) = journal.problems
        assert problem.startswith("No journal can be written (")
        assert "shown but neither kept nor sent to MLflow; set AGENTTRACE_STATE_DIR" in problem
        live = LiveFold(journal, "r")
        journal.append(EventKind.RUN_START, run_key="r", body={"name": "cell"}, urgent=True)
        for number in range(100):
            say(journal, str(number), size=500, urgent=True)
        assert live.run.name == "cell"
        assert [span.input.strip() for span in live.traces[0].spans] == [str(n) for n in range(100)]
        assert journal._events == []
        assert len(journal.problems) == 1
    finally:
        journal.close()


def test_a_file_system_on_which_sqlite_cannot_share_files_is_not_used(
    own_state_dir: Path, temporary_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoSharing(sqlite3.Connection):
        def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
            here = self._path == str(own_state_dir)
            return super().execute("SELECT 'delete'" if here and "journal_mode" in sql else sql, *more)

    real = sqlite3.connect

    def connect(path: Path, **options: Any) -> sqlite3.Connection:
        made = real(path, factory=NoSharing, **options)
        made._path = str(path.parents[1])
        return made

    monkeypatch.setattr(sqlite3, "connect", connect)
    journal = Journal()
    try:
        assert temporary_disk in journal.path.parents
        assert "SQLite cannot share files on the file system of" in journal.problems[0]
        assert list((own_state_dir / "journals").glob("*.journal")) == []
    finally:
        journal.close()


# ---------------------------------------------------------------------------------------------------------- no space


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setattr(append, "RETRY_S", 0.2)
    made = Journal(tmp_path / "one.journal")
    yield made
    made.close()


def fill_disk(journal: Journal) -> None:
    """Let the file grow no further, as on a full disk (SQLite then fails with SQLITE_FULL)."""
    (pages,) = journal._file._db.execute("PRAGMA page_count").fetchone()
    journal._file._db.execute(f"PRAGMA max_page_count={pages}")
    journal._file.keep = lambda *_: False  # neither does the tail


def free_disk(journal: Journal) -> None:
    journal._file._db.execute("PRAGMA max_page_count=1000000")
    del journal._file.keep


def test_on_a_full_disk_nothing_is_lost_and_the_user_hears_it_once(journal: Journal) -> None:
    heard: list[str] = []
    journal.on_problem(heard.append)
    live = LiveFold(journal, "r")
    say(journal, "before", size=100, urgent=True)
    fill_disk(journal)
    for number in range(100):
        say(journal, f"full {number}", size=1000, urgent=number % 3 == 0)
    (problem,) = heard
    assert problem == journal.problems[0]
    assert problem.startswith(f"The journal {journal.path} cannot be written (database or disk is full).")
    assert "kept in memory and written as soon as that works again: free disk space" in problem
    time.sleep(3 * append.RETRY_S)
    assert heard == [problem]
    kept = len(names(journal.path))
    assert kept < 100
    assert [s.span_id for s in live.traces[0].spans] == ["before", *(f"full {n}" for n in range(100))]
    assert live.traces[0].spans[-1].input.strip() == "full 99"
    free_disk(journal)
    until(lambda: len(names(journal.path)) == 101)
    until(lambda: len(heard) == 2)
    assert heard[1] == f"The journal {journal.path} is written again; nothing was lost."
    assert journal.problems == []
    assert names(journal.path) == ["before", *(f"full {n}" for n in range(100))]
    with closing(JournalReader(journal.path)) as reader:
        assert [e.seq for e in reader.events()] == list(range(1, 102))
        assert b"full 99" in reader.item(101)


def test_a_disk_that_is_full_again_is_told_again(journal: Journal) -> None:
    heard: list[str] = []
    journal.on_problem(heard.append)
    for turn in range(2):
        fill_disk(journal)
        say(journal, f"full {turn}", size=9000, urgent=True)
        until(lambda turn=turn: len(heard) == 2 * turn + 1)
        free_disk(journal)
        until(lambda turn=turn: len(heard) == 2 * turn + 2)
    assert ["cannot be written" in text for text in heard] == [True, False, True, False]


def test_a_full_disk_is_told_although_another_problem_stands(
    no_state_folder: str, temporary_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "RETRY_S", 0.2)
    journal = Journal()
    try:
        heard: list[str] = []
        journal.on_problem(heard.append)
        fill_disk(journal)
        say(journal, "x", size=9000, urgent=True)
        assert len(heard) == 1
        free_disk(journal)
        until(lambda: len(heard) == 2)
        assert [p.split(" cannot")[0] for p in journal.problems] == ["The journal folder"]
    finally:
        journal.close()


def test_what_waits_is_written_when_the_journal_is_closed(journal: Journal) -> None:
    fill_disk(journal)
    say(journal, "x", size=9000, urgent=True)
    free_disk(journal)
    journal.close()
    assert names(journal.path) == ["x"]


def test_what_can_never_be_written_is_named_at_the_end(journal: Journal) -> None:
    heard: list[str] = []
    journal.on_problem(heard.append)
    fill_disk(journal)
    say(journal, "x", size=9000, urgent=True)
    journal.close()
    assert heard[-1] == f"1 events could not be written to {journal.path} and are lost."


def test_a_disk_quota_in_a_real_process_loses_nothing(tmp_path: Path) -> None:
    lines = output_of(
        """
appending.RETRY_S = 0.2
journal = Journal(Path(sys.argv[1]))
heard = []
journal.on_problem(heard.append)
say(journal, "before", size=100, urgent=True)
log = journal.path.with_name(journal.path.name + "-wal")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 3000, hard))
for number in range(200):
    say(journal, f"full {number}", size=1000, urgent=True)
time.sleep(0.5)
print(len(heard), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
deadline = time.monotonic() + 20
while len(heard) < 2 and time.monotonic() < deadline:
    time.sleep(0.02)
print(*heard, sep="\\n", flush=True)
os._exit(0)
""",
        str(tmp_path / "one.journal"),
    )
    assert lines[0] == "1"
    assert "cannot be written" in lines[1]
    assert "is written again; nothing was lost" in lines[2]
    assert names(tmp_path / "one.journal") == ["before", *(f"full {n}" for n in range(200))]


# --------------------------------------------------------------------------------------------------------- no answer


def test_a_file_held_for_a_moment_is_no_problem(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "RETRY_S", 10.0)
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        say(journal, "meanwhile", urgent=True)
        assert time.monotonic() - began < 2  # the agent does not wait for it
        other.execute("ROLLBACK")
    until(lambda: names(journal.path) == ["meanwhile"], 8)
    assert journal.problems == []


def test_a_file_held_for_long_is_told(journal: Journal) -> None:
    heard: list[str] = []
    journal.on_problem(heard.append)
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        say(journal, "meanwhile", urgent=True)
        until(lambda: len(heard) == 1)
        assert "database is locked" in heard[0]
        other.execute("ROLLBACK")
    until(lambda: len(heard) == 2)
    assert names(journal.path) == ["meanwhile"]


def test_a_listener_that_fails_or_waits_for_another_appending_thread_holds_nothing_up(journal: Journal) -> None:
    heard: list[str] = []

    def waits(text: str) -> None:
        thread = threading.Thread(target=say, args=(journal, "by the listener"))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        heard.append(text)

    def fails(text: str) -> None:
        raise ValueError(text)

    journal.on_problem(fails)
    journal.on_problem(waits)
    fill_disk(journal)
    say(journal, "x", size=9000, urgent=True)
    until(lambda: len(heard) == 1)
    free_disk(journal)
    until(lambda: len(heard) == 2)
    journal.flush()
    assert names(journal.path) == ["x", "by the listener", "by the listener"]
