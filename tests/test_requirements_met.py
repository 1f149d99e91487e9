from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from requirements_met import in_ci

TESTS = Path(__file__).parent

SAMPLE = """
from __future__ import annotations
import pytest
from requirements_met import require_or_skip

def test_passes(): ...

def test_needs_something():
    require_or_skip(False, "needs a thing that is not here")

def test_skips_by_itself():
    pytest.skip("no reason worth the name")
"""


def run_sample(folder: Path, *, ci: str, only: str) -> subprocess.CompletedProcess[str]:
    """Run the sample's tests under this project's conftest, in a process of their own."""
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text("utf-8"), "utf-8")
    (folder / "test_sample.py").write_text(SAMPLE, "utf-8")
    settings = {"AGENTTRACE_CI": ci, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder, "-k", only, folder],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=50,
    )


def test_what_is_missing_is_skipped_and_counted_on_a_contributors_machine(tmp_path: Path) -> None:
    done = run_sample(tmp_path, ci="0", only="passes or needs")
    assert done.returncode == 0, done.stdout
    assert "1 skipped (a build server would fail on these)" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_what_is_missing_fails_on_a_build_server(tmp_path: Path) -> None:
    done = run_sample(tmp_path, ci="1", only="passes or needs")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "needs a thing that is not here" in done.stdout


def test_a_skip_alone_fails_a_build_servers_run(tmp_path: Path) -> None:
    done = run_sample(tmp_path, ci="true", only="passes or by_itself")
    assert done.returncode == 1, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "1 skipped (not allowed here: every test must run)" in done.stdout


@pytest.mark.parametrize(("own", "general", "expected"), [
    (None, None, False), (None, "true", True), (None, "1", True), (None, "false", False), (None, "0", False),
    ("0", "true", False), ("1", None, True), ("1", "false", True),
])  # fmt: skip
def test_our_own_variable_wins_over_the_general_one(
    monkeypatch: pytest.MonkeyPatch, own: str | None, general: str | None, expected: bool
) -> None:
    for name, value in (("AGENTTRACE_CI", own), ("CI", general)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert in_ci() is expected
