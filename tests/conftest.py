"""What holds for every test: no other machine, no state of the user's, no skip that nobody counts."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import loopback_only
import processes_beside
import pytest
from requirements_met import in_ci

if TYPE_CHECKING:
    from collections.abc import Iterator

# Nothing of these may reach a test from the outside: they would change what is tested or send it somewhere.
FOREIGN_PREFIXES = ("MLFLOW_", "DATABRICKS_", "OPENAI_", "ANTHROPIC_", "OTEL_")

MLFLOW_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true"}

# A dead port of this machine, as proxy: kernels and servers that tests start cannot reach others either.
DEAD_PROXY = "http://127.0.0.1:9"

_folder = pytest.StashKey[Path]()
_skipped = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a state directory of its own, for this process and all that it starts."""
    folder = Path(tempfile.mkdtemp(prefix="agenttrace-tests-"))
    config.stash[_folder] = folder
    config.stash[_skipped] = []
    for name in [name for name in os.environ if name.startswith(FOREIGN_PREFIXES)]:
        del os.environ[name]
    os.environ |= {
        "AGENTTRACE_STATE_DIR": str(folder / "state"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter-runtime"),
        "JUPYTER_PLATFORM_DIRS": "1",
        **MLFLOW_SETTINGS,
        "DO_NOT_TRACK": "1",
        "ANYWIDGET_HMR": "0",
        "HTTP_PROXY": DEAD_PROXY,
        "HTTPS_PROXY": DEAD_PROXY,
        "NO_PROXY": "127.0.0.1,localhost,::1",
    }
    for name in ("http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy"):
        os.environ.pop(name, None)
    (folder / "state").mkdir()
    loopback_only.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """After each file, have MLflow forget what it was told in it: its place would hold for all that follow."""
    yield
    if nextitem is None or nextitem.path != item.path:
        if mlflow := sys.modules.get("mlflow"):
            with contextlib.suppress(Exception):  # what it still has to write goes where the file said
                mlflow.flush_trace_async_logging()
            mlflow.set_tracking_uri(None)
            mlflow.tracking.fluent._active_experiment_id = None  # it has no function that takes it back
        for name in [name for name in os.environ if name.startswith("MLFLOW_") and name not in MLFLOW_SETTINGS]:
            del os.environ[name]
        os.environ |= MLFLOW_SETTINGS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put into the report of a test that failed what the processes beside it have to say."""
    report = yield
    if report.failed:
        folders = (item.config.stash[_folder], item.config._tmp_path_factory.getbasetemp())
        if said := processes_beside.what_they_say(folders, since=call.start - 120):
            report.sections.append(("Processes beside the test", said))
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the run wrote."""
    shutil.rmtree(config.stash[_folder], ignore_errors=True)


@pytest.fixture(scope="session")
def state_dir(pytestconfig: pytest.Config) -> Path:
    """Return the run's state directory, the value of ``AGENTTRACE_STATE_DIR``."""
    return pytestconfig.stash[_folder] / "state"


@pytest.fixture
def own_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give one test a state directory that no other test has touched."""
    folder = tmp_path / "state"
    folder.mkdir()
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(folder))
    return folder


class _SkipCount:
    def __init__(self, config: pytest.Config) -> None:
        self.skipped = config.stash[_skipped]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to count skips."""
    session.config.pluginmanager.register(_SkipCount(session.config), "agenttrace-skip-count")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where the run must be complete, a skipped test is a failed run."""
    if in_ci() and session.config.stash[_skipped] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests were skipped, and that this fails a build server's run."""
    if skipped := config.stash[_skipped]:
        verdict = "not allowed here: every test must run" if in_ci() else "a build server would fail on these"
        terminalreporter.write_line(f"{len(skipped)} skipped ({verdict})", yellow=True)
