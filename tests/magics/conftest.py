"""A real shell, and an engine that writes down what it is asked to do."""

from __future__ import annotations

import atexit
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from agenttrace_nb import config, magics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class WrittenDown:
    """A run of the stand-in engine: how it was asked for, and how it ended."""

    options: dict[str, Any]
    log: list[str]
    trouble: Exception | None = None
    errors: list[BaseException | None] = field(default_factory=list)

    @property
    def state(self) -> str:
        return {0: "running", 1: "ended"}.get(len(self.errors), "ended more than once")

    @property
    def error(self) -> BaseException | None:
        (error,) = self.errors
        return error

    def start(self, *, at_first_event: bool = False) -> None:
        self.log.append("start at the first event" if at_first_event else "start")

    def finish(self, error: BaseException | None = None) -> None:
        self.log.append("finish")
        self.errors.append(error)
        if self.trouble is not None:
            raise self.trouble


class StandIn:
    """Takes the engine's place: makes runs that write down what happens to them."""

    def __init__(self) -> None:
        self.runs: list[WrittenDown] = []
        self.log: list[str] = []
        self.refuse: Exception | None = None
        self.trouble_at_the_end: Exception | None = None

    def __call__(self, **options: Any) -> WrittenDown:
        if self.refuse is not None:
            raise self.refuse
        self.runs.append(WrittenDown(options, self.log, self.trouble_at_the_end))
        return self.runs[-1]

    @property
    def run(self) -> WrittenDown:
        (run,) = self.runs
        return run


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AGENTTRACE_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    yield
    config.forget_options()


@pytest.fixture
def bare_shell() -> Iterator[InteractiveShell]:
    """Give a shell without the extension; what cells display is in ``display_pub.outputs``."""
    main = sys.modules["__main__"]  # a shell puts its own there
    quiet = Config()
    quiet.HistoryManager.enabled = False
    quiet.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell(config=quiet)
    shell.display_pub = CapturingDisplayPublisher(shell=shell)
    yield shell
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()
    sys.modules["__main__"] = main


@pytest.fixture
def engine() -> StandIn:
    return StandIn()


@pytest.fixture
def shell(bare_shell: InteractiveShell, engine: StandIn) -> InteractiveShell:
    magics.load(bare_shell, engine=engine)
    return bare_shell
