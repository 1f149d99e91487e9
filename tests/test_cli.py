"""The command ``agenttrace-nb``, on journals that were really written."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import agenttrace_nb
from agenttrace_nb.cli import main
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.follow import Follower
from agenttrace_nb.journal.place import journal_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACE = "a" * 32
SPAN = "b" * 16


@pytest.fixture(autouse=True)
def no_options(tmp_path: Path, own_state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTTRACE_CONFIG", str(tmp_path / "options.toml"))


def write(name: str, *, arch: str, start_ns: int) -> Path:
    """Write a journal of one run with one trace, as a process that has ended leaves it."""
    path = journal_folder() / f"{name}.journal"
    journal = Journal(path)
    trace_id = TRACE if arch == "x" else "c" * 32
    key = f"run-{name}"
    journal.append(EventKind.RUN_START, run_key=key, body={"name": "run", "arch": arch}, time_ns=start_ns)
    journal.append(
        EventKind.TRACE_START, run_key=key, trace_id=trace_id, body={"name": f"trace of {arch}"}, time_ns=start_ns + 1
    )
    journal.append(
        EventKind.SPAN_START, run_key=key, trace_id=trace_id, span_id=SPAN,
        body={"kind": "tool", "name": f"tool_of_{arch}"}, time_ns=start_ns + 2,
    )  # fmt: skip
    journal.append(EventKind.SPAN_END, run_key=key, trace_id=trace_id, span_id=SPAN, time_ns=start_ns + 3)
    journal.append(EventKind.TRACE_END, run_key=key, trace_id=trace_id, time_ns=start_ns + 4)
    journal.append(EventKind.RUN_END, run_key=key, body={"status": "ok"}, time_ns=start_ns + 5, urgent=True)
    journal.close()
    return path


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agenttrace_nb.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.fixture
def journal() -> Path:
    return write("one", arch="x", start_ns=1_000)


@pytest.fixture
def journal_in_use(tmp_path: Path) -> Iterator[Path]:
    opened = Journal(journal_folder() / "used.journal")
    assert opened.path is not None
    yield opened.path
    opened.close()


# --------------------------------------------------------------------------------------------------------------- show


def test_show_prints_the_last_run(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("two", arch="later", start_ns=9_000)
    assert main(["show"]) == 0
    printed = capsys.readouterr().out
    assert "tool_of_later" in printed
    assert "tool_of_x" not in printed


@pytest.mark.parametrize("wanted", [TRACE, f"tr-{TRACE}", f"trace_{TRACE}"])
def test_show_finds_a_trace_by_each_form_of_its_id(
    journal: Path, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("two", arch="later", start_ns=9_000)
    assert main(["show", wanted]) == 0
    assert "tool_of_x" in capsys.readouterr().out


def test_show_writes_a_page(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "run.html"
    assert main(["show", "--html", str(page)]) == 0
    assert "tool_of_x" in page.read_text("utf-8")
    assert str(page) in capsys.readouterr().out


def test_show_says_when_nothing_was_recorded(capsys: pytest.CaptureFixture[str], own_state_dir: Path) -> None:
    assert main(["show"]) == 1
    said = capsys.readouterr().err
    assert "nothing was recorded yet" in said
    assert str(own_state_dir) in said


@pytest.mark.timeout(120)
def test_show_says_when_a_trace_is_neither_in_the_journals_nor_in_mlflow(journal: Path, tmp_path: Path) -> None:
    done = run("show", "d" * 32, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not in the journals" in done.stderr
    assert "d" * 32 in done.stderr
    assert "Traceback" not in done.stderr


def test_whoever_reads_may_stop_reading(journal: Path) -> None:
    command = f"{sys.executable} -m agenttrace_nb.cli show | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_show_goes_on_past_a_file_that_is_no_journal(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (journal.parent / "zzz.journal").write_bytes(b"no database" * 100)
    assert main(["show"]) == 0
    captured = capsys.readouterr()
    assert "tool_of_x" in captured.out
    assert "zzz.journal cannot be read" in captured.err


# ------------------------------------------------------------------------------------------------------------- status


def test_status_says_where_the_journals_are_and_who_has_them(
    journal: Path, journal_in_use: Path, own_state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"agenttrace_nb {agenttrace_nb.__version__}" in lines
    assert any(str(own_state_dir / "journals") in line and "(2," in line for line in lines)
    assert "  one  its process has ended, 6 events, delivery has not begun" in lines
    assert "  used  in use, 0 events, delivery has not begun" in lines


def test_status_says_what_is_still_to_deliver(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, cursor in (("mlflow", 4), ("message-runs", 6)):
        follower = Follower(journal, name)
        follower.save(cursor)
        follower.close()
    main(["status"])
    assert "6 events, mlflow 2 to deliver" in capsys.readouterr().out


def test_status_says_when_everything_is_delivered(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower(journal, "mlflow")
    follower.save(6)
    follower.close()
    main(["status"])
    assert "6 events, all delivered" in capsys.readouterr().out


def test_status_names_a_journal_that_cannot_be_read(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.write_bytes(b"no database" * 100)
    assert main(["status"]) == 0
    assert "one  its process has ended, cannot be read" in capsys.readouterr().out


def test_status_says_who_set_which_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "options.toml").write_text("mlflow = false\n")
    monkeypatch.setenv("AGENTTRACE_ARCH", "from-environment")
    main(["status"])
    said = capsys.readouterr().out
    assert "arch = from-environment  (environment variable AGENTTRACE_ARCH)" in said
    assert f"mlflow = False  ({tmp_path / 'options.toml'})" in said


# ------------------------------------------------------------------------------------------------------------ recover


@pytest.fixture
def broken_off(tmp_path: Path) -> str:
    """Leave a journal behind whose process ended in the middle of a tool; return the address of its MLflow."""
    journal = Journal(journal_folder() / "broken.journal")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    about = {"name": "run", "arch": "x", "tracking_uri": uri, "cwd": str(tmp_path), "message_runs": True}
    journal.append(EventKind.RUN_START, run_key="broken", body=about)
    journal.append(EventKind.TRACE_START, run_key="broken", trace_id=TRACE, body={"name": "trace"})
    journal.append(
        EventKind.SPAN_START, run_key="broken", trace_id=TRACE, span_id=SPAN, body={"kind": "tool", "name": "lookup"},
        urgent=True,
    )  # fmt: skip
    journal.close()
    return uri


def test_recover_without_journals_has_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recover"]) == 0
    assert "nothing to recover" in capsys.readouterr().out


def test_a_dry_run_says_what_is_open_and_changes_nothing(broken_off: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recover", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "broken  its process has ended, 3 events, delivery has not begun" in said
    assert "1 run, 1 trace, 1 step left open" in said
    main(["status"])
    assert "3 events" in capsys.readouterr().out


@pytest.mark.timeout(120)
def test_recover_closes_what_was_open_and_delivers_it_and_show_reads_it_there(broken_off: str) -> None:
    done = run("recover")
    assert done.returncode == 0, done.stderr
    assert "1 run, 1 trace, 1 step closed as interrupted, delivered" in done.stdout
    assert done.stderr == ""

    from mlflow import MlflowClient

    client = MlflowClient(broken_off)
    (found,) = client.search_runs(["0"], "tags.`agenttrace.key` = 'broken'")
    assert found.info.status == "KILLED"
    assert client.get_trace(f"tr-{TRACE}").info.state == "ERROR"
    assert "all delivered" in run("status").stdout

    for file in journal_folder().glob("broken.*"):
        file.unlink()
    shown = run("show", f"tr-{TRACE}", MLFLOW_TRACKING_URI=broken_off)
    assert shown.returncode == 0, shown.stderr
    assert "lookup" in shown.stdout


@pytest.mark.timeout(120)
def test_recover_leaves_a_journal_that_is_in_use(journal_in_use: Path) -> None:
    done = run("recover")
    assert (done.returncode, "nothing to recover" in done.stdout) == (0, True)


@pytest.mark.timeout(120)
def test_recover_goes_on_past_a_journal_that_cannot_be_read(broken_off: str) -> None:
    bad = journal_folder() / "bad.journal"
    bad.write_bytes(b"no database" * 100)
    before = bad.read_bytes()
    done = run("recover")
    assert done.returncode == 1
    assert "bad.journal cannot be read" in done.stderr
    assert "closed as interrupted, delivered" in done.stdout
    assert bad.read_bytes() == before


# ---------------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["shwo"], ["there is no command 'shwo'", "Did you mean show?"]),
        (["show", "last", "--htlm"], ["'--htlm' is not known here", "Did you mean --html?"]),
        (["--verison"], ["'--verison' is not known here", "Did you mean --version?"]),
        ([], ["say what to do; see agenttrace-nb --help"]),
    ],
)
def test_a_wrong_command_line_is_told_what_was_meant(
    words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    for part in parts:
        assert part in said


def test_a_bad_option_in_the_environment_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTTRACE_LIVE", "sometimes")
    assert main(["status"]) == 1
    said = "live='sometimes' (environment variable AGENTTRACE_LIVE) is not allowed; it must be auto, on or off."
    assert capsys.readouterr().err == f"agenttrace-nb: {said}\n"


def test_the_installed_command_says_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agenttrace_nb.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"agenttrace_nb {agenttrace_nb.__version__}\n"


def test_commands_on_journals_do_not_import_mlflow_or_the_sdk(journal: Path) -> None:
    code = "import sys; from agenttrace_nb.cli import main; main(['show']); main(['status']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"mlflow", "agents", "IPython", "pandas"} & set(done.stdout.split())
