from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_only import LeftTheMachineError

SELF_TEST = """
from __future__ import annotations
import pytest
from requirements_met import require_or_skip

def test_passes(): ...

def test_needs_something():
    require_or_skip(False, "needs a thing that is not here")

def test_skips_by_itself():
    pytest.skip("no reason worth the name")
"""


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_a_connection_to_another_machine_is_refused(host: str) -> None:
    with pytest.raises(LeftTheMachineError, match="stay on this machine"):
        socket.create_connection((host, 80), timeout=0.1)


def test_a_datagram_to_another_machine_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(LeftTheMachineError):
        sender.sendto(b"x", ("192.0.2.1", 9))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connection_to_this_machine_works(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


def test_state_goes_to_a_folder_of_this_run(state_dir: Path) -> None:
    assert Path(os.environ["AGENTTRACE_STATE_DIR"]) == state_dir
    assert state_dir.is_dir()
    assert Path.home() not in state_dir.parents


def run_self_test(tmp_path: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run a small test file under this project's conftest in a process of its own."""
    tests = Path(__file__).parent
    (tmp_path / "conftest.py").write_text((tests / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_self.py").write_text(SELF_TEST, "utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "AGENTTRACE_CI"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-q", tmp_path],
        env=environment | {"AGENTTRACE_CI": ci, "PYTHONPATH": str(tests)},
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=50,
    )  # fmt: skip


def test_what_is_missing_is_skipped_and_counted_on_a_contributors_machine(tmp_path: Path) -> None:
    done = run_self_test(tmp_path, ci="0")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    assert "2 skipped (a build server would fail on these)" in done.stdout


def test_what_is_missing_fails_on_a_build_server(tmp_path: Path) -> None:
    done = run_self_test(tmp_path, ci="1")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
    assert "needs a thing that is not here" in done.stdout


def test_a_skip_alone_fails_on_a_build_server(tmp_path: Path) -> None:
    done = run_self_test(tmp_path, ci="true")
    assert "not allowed here" in done.stdout
    only_skip = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-q",
         "-k", "by_itself or passes", tmp_path],
        env=os.environ | {"AGENTTRACE_CI": "1", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=50,
    )  # fmt: skip
    assert "1 passed, 1 skipped" in only_skip.stdout
    assert only_skip.returncode == 1
