"""When MLflow cannot be written to: the user's code runs on, one message says what to do, and nothing is lost."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest
from end_to_end.servers import Gate, TrackingServer
from end_to_end.stored import Stored, restored, wait_until

from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from end_to_end.programs import Program, Running

pytestmark = pytest.mark.timeout(240)

EXPERIMENT = "troubles"

PROGRAM = """
os.environ["AGENTTRACE_MLFLOW"] = "off"
with at.trace(live=False):
    ask()  # loads what is loaded once, so that what is measured is the trouble
del os.environ["AGENTTRACE_MLFLOW"]
began = time.perf_counter()
with at.trace(arch="trouble", experiment="troubles", live=False) as run:
    entered = time.perf_counter() - began
    answer = ask()
    run.log_metric("score", 0.5)
    run.success = True
    left = time.perf_counter()
say(answer=answer, enter_s=entered, leave_s=time.perf_counter() - left)
if "wait" in sys.argv:
    say(arrived=run.wait(90))
else:
    sys.stdin.readline()
    say(waited=run.wait(0.5))
"""


def starts(program: Program, *words: str, code: str = PROGRAM) -> Running:
    """Start the program; the block in it is not slower for the trouble."""
    running = program.start(code, *words)
    said = running.hear()
    assert said["answer"] == "3"
    assert said["enter_s"] < 1
    assert said["leave_s"] < 1
    return running


def told(running: Running, *parts: str, within_s: float = 60) -> str:
    """Wait until the user is told of the trouble; return the message, the only one."""
    wait_until(lambda: running.notes, within_s, "the user is told")
    (note,) = running.notes
    for part in parts:
        assert part in note
    assert len(note) < 600
    assert "Traceback" not in note
    return note


def check_all_there(stored: Stored, runs: int = 1) -> None:
    found = stored.cell_runs(EXPERIMENT)
    assert len(found) == runs
    for run in found.values():
        assert (run.info.status, run.data.tags["agenttrace.status"]) == ("FINISHED", "ok")
        assert (run.data.metrics["score"], run.data.metrics["success"]) == (0.5, 1.0)
        assert len(stored.message_runs(EXPERIMENT, run.info.run_id)) == 2
    traces = [restored(stored.trace(trace_id)) for trace_id in stored.traces(EXPERIMENT)]
    assert [trace.status for trace in traces] == [Status.OK] * runs
    assert {len(trace.spans) for trace in traces} == {7}


# ------------------------------------------------------------------------------------------------------ over HTTP


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[TrackingServer]:
    """A real tracking server, not yet started."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    made = TrackingServer(folder)
    yield made
    made.stop()


@pytest.fixture
def far(program: Program, server: TrackingServer) -> Program:
    """A program that writes to a server and does not wait for it very long."""
    program.environment |= {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    return program


def forget_runs(stored: Stored) -> None:
    """Give the next test an empty experiment."""
    found = stored.client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        stored.client.rename_experiment(found.experiment_id, f"{EXPERIMENT} before {found.experiment_id}")


def test_a_server_that_comes_up_later_gets_everything(far: Program, server: TrackingServer) -> None:
    running = starts(far, "wait")
    told(running, server.uri, "cannot be written to at the moment", "sent as soon as that works", "start the server")
    server.start()
    server.wait()
    assert running.end(timeout_s=120).told["arrived"] is True
    assert "takes data again" in running.notes[1]
    assert len(running.notes) == 2
    stored = Stored(server.uri)
    check_all_there(stored)
    forget_runs(stored)


@pytest.fixture
def gate(far: Program, server: TrackingServer) -> Iterator[Gate]:
    """The way to the server, open at first; the program goes through it."""
    if server._process is None:
        server.start()
        server.wait()
    with Gate(server.port) as made:
        far.environment["MLFLOW_TRACKING_URI"] = made.uri
        yield made
        forget_runs(Stored(server.uri))


IN_TWO_PARTS = """
with at.trace(arch="trouble", experiment="troubles", live=False) as run:
    run.log_metric("score", 0.5)
    run.success = True
    say(run_id=run.run_id)
    sys.stdin.readline()
    began = time.perf_counter()
    answer = ask()
    say(answer=answer, asked_s=time.perf_counter() - began)
say(arrived=run.wait(90))
"""


def test_a_server_that_goes_down_in_the_middle_gets_the_rest_later(
    far: Program, server: TrackingServer, gate: Gate
) -> None:
    running = far.start(IN_TWO_PARTS)
    assert running.hear()["run_id"] is not None
    gate.become("shut")
    running.go_on()
    said = running.hear()
    assert (said["answer"], said["asked_s"] < 2) == ("3", True)
    told(running, gate.uri, "cannot be written to at the moment", "start the server")
    gate.become("open")
    assert running.end(timeout_s=120).told["arrived"] is True
    assert len(running.notes) == 2
    check_all_there(Stored(server.uri))


def test_a_server_that_never_answers_holds_nobody_up(far: Program, server: TrackingServer, gate: Gate) -> None:
    gate.become("mute")
    running = starts(far, "wait")
    told(running, gate.uri, "timed out", "start the server", within_s=90)
    gate.become("open")
    assert running.end(timeout_s=120).told["arrived"] is True
    check_all_there(Stored(server.uri))


def test_a_wrong_password_is_named_and_put_right_later(far: Program, server: TrackingServer, gate: Gate) -> None:
    gate.become("401")
    running = starts(far, "wait")
    told(running, "refuses these credentials", "MLFLOW_TRACKING_PASSWORD", "kept")
    gate.become("open")
    assert running.end(timeout_s=120).told["arrived"] is True
    assert len(running.notes) == 2
    check_all_there(Stored(server.uri))


def test_what_a_server_never_took_is_delivered_by_recover(far: Program, server: TrackingServer, gate: Gate) -> None:
    gate.become("shut")
    running = starts(far)
    told(running, gate.uri)
    running.go_on()
    assert running.end().told["waited"] is False
    far.end_writers()
    gate.become("open")
    done = far.recover()
    assert (done.returncode, done.stderr) == (0, "")
    check_all_there(Stored(server.uri))


# --------------------------------------------------------------------------------------------------- in a database


def test_a_deleted_experiment_is_named_with_the_way_to_restore_it(program: Program) -> None:
    stored = Stored(program.uri)
    number = stored.client.create_experiment(EXPERIMENT)
    stored.client.delete_experiment(number)
    running = starts(program)
    told(running, EXPERIMENT, "was deleted", f"mlflow experiments restore --experiment-id {number}", "recover")
    running.go_on()
    assert running.end().told["waited"] is False
    program.wait_for_writers()
    stored.client.restore_experiment(number)
    done = program.recover()
    assert (done.returncode, done.stderr) == (0, "")
    check_all_there(stored)


REFUSED = {
    "file:///tmp/mlruns": ("file store", "sqlite:///mlflow.db", "migrate-filestore"),
    "./runs": ("file store", "sqlite:///mlflow.db"),
    "databricks": ("Databricks", "3.4 or newer"),
    "ftp://example.invalid/mlflow": ("no tracking URI", "http://", "sqlite:"),
}

ONE_AFTER_THE_OTHER = """
for uri in sys.argv[1:]:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    with at.trace(arch="trouble", experiment="troubles", live=False) as run:
        answer = ask()
        run.log_metric("score", 0.5)
        run.success = True
    say(answer=answer, arrived=run.wait(60), run_id=run.run_id)
"""


def test_a_store_that_cannot_hold_traces_is_refused_and_recover_takes_another(program: Program) -> None:
    running = program.start(ONE_AFTER_THE_OTHER, *REFUSED)
    for number, (uri, parts) in enumerate(REFUSED.items(), 1):
        assert running.hear() == {"answer": "3", "arrived": False, "run_id": None}
        assert len(running.notes) == number
        for part in (uri, "MLFLOW_TRACKING_URI", "recover --tracking-uri", *parts):
            assert part in running.notes[-1]
    running.end()
    program.wait_for_writers()
    refused = program.recover("--tracking-uri", "databricks")
    assert (refused.returncode, "Databricks" in refused.stderr) == (1, True)
    done = program.recover("--tracking-uri", "sqlite:///mlflow.db")
    assert (done.returncode, done.stderr) == (0, "")
    check_all_there(Stored(program.uri), len(REFUSED))


WITHOUT_POWER = """
import ctypes
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root write anywhere
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: gone in the processes that are started
"""


def test_a_database_that_may_not_be_written_gets_everything_once_it_may(program: Program) -> None:
    folder = program.folder / "read only"
    folder.mkdir()
    database = shutil.copy(program.folder / "mlflow.db", folder / "mlflow.db")
    database.chmod(0o444)
    folder.chmod(0o555)
    program.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
    running = starts(program, "wait", code=WITHOUT_POWER + PROGRAM)
    told(running, "readonly database", "check the file and the disk")
    folder.chmod(0o755)
    database.chmod(0o644)
    assert running.end(timeout_s=120).told["arrived"] is True
    assert len(running.notes) == 2
    check_all_there(Stored(f"sqlite:///{database}"))


def test_a_database_that_another_process_holds_gets_everything_afterwards(program: Program) -> None:
    with contextlib.closing(sqlite3.connect(program.folder / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        running = starts(program, "wait")
        told(running, "database is locked", "check the file and the disk")
        other.execute("ROLLBACK")
    assert running.end(timeout_s=120).told["arrived"] is True
    assert len(running.notes) == 2
    check_all_there(Stored(program.uri))


@pytest.fixture
def small_disk(tmp_path: Path, empty_database: Path) -> Iterator[Path]:
    """A disk on which an empty MLflow database leaves next to nothing free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = empty_database.stat().st_size + 64 * 1024
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs to mount a small disk: run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_gets_everything_once_there_is_room(
    small_disk: Path, program: Program, empty_database: Path
) -> None:
    database = shutil.copy(empty_database, small_disk / "mlflow.db")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    program.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
    running = starts(program, "wait")
    told(running, "full", "check the file and the disk")
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert running.end(timeout_s=120).told["arrived"] is True
    assert len(running.notes) == 2
    check_all_there(Stored(f"sqlite:///{database}"))
