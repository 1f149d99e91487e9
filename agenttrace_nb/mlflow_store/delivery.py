"""The kernel's handle of the process that writes to MLflow.

The writing is a process of its own because importing MLflow and making a database keep a Python process busy for
seconds: in a thread of the kernel that delayed the event loop by up to 250 ms (docs/measurements.md). It also goes on
when the kernel has died. Nothing here imports ``mlflow`` or waits, except where waiting is what was asked for.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.journal import companion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ENVIRONMENT = (
    "MLFLOW_",
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "DATABRICKS_",
    "REQUESTS_",
    "SSL_",
    "HTTP_",
    "HTTPS_",
    "NO_PROXY",
)
_log = logging.getLogger("agenttrace_nb")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What waiting for a run came to; true if MLflow has everything.

    Attributes
    ----------
    run_id
        The MLflow run.
    complete
        Whether the run, its traces and its message runs are in MLflow.
    problem
        Why not, where that is known.
    """

    run_id: str | None
    complete: bool
    problem: str | None = None

    def __bool__(self) -> bool:
        """Tell whether it is complete."""
        return self.complete


class Delivery:
    """Starts the writing process of a journal and knows what it has done.

    Parameters
    ----------
    journal_path
        The journal of this process.

    Examples
    --------
    >>> from pathlib import Path
    >>> delivery = Delivery(Path("20260101T000000-1-abc.journal"))
    >>> delivery.run_id("unknown", timeout_s=0) is None
    True
    """

    def __init__(self, journal_path: Path) -> None:
        self.path = journal_path
        self._listeners: list[Callable[[str], None]] = []
        self._cost_listeners: list[Callable[[dict[str, dict[str, float]]], None]] = []
        self._told: list[str] = []
        self._run_ids: dict[str, str] = {}
        self._experiment_ids: dict[str, str] = {}
        self._parked: dict[str, str] = {}
        self.companion = companion.Companion(
            "agenttrace_nb.mlflow_store",
            journal_path,
            log=".mlflow.log",
            does="writes to MLflow",
            afterwards="What is traced is kept in the journal; `agenttrace-nb recover` delivers it.",
            hear=self._hear,
            say=self._say,
            variables=_variables,
            arguments=_keep_days,
        )

    def start(self) -> None:
        """Begin to deliver; returns at once. Safe to call again: tells the process that something is new."""
        self.companion.start()

    def nudge(self) -> None:
        """Say that something worth writing soon is in the journal; returns at once."""
        self.companion.nudge()

    def close(self) -> None:
        """Want no more of the process: it delivers what there is and ends. Waits only for one that is being started."""
        self.companion.close()

    def run_id(self, run_key: str, timeout_s: float | None) -> str | None:
        """Return the id of a cell run's MLflow run; wait for it, but no longer than this many seconds.

        Returns
        -------
        str or None
            ``None`` if it is not known in time, or never will be.
        """
        if run_key not in self._run_ids:
            self.companion.nudge()
            self.companion.wait_for(lambda: run_key in self._run_ids or run_key in self._parked, timeout_s)
        return self._run_ids.get(run_key)

    def ids(self, run_key: str) -> tuple[str | None, str | None]:
        """Return the ids of a cell run's MLflow run and experiment, as far as they are known."""
        return self._run_ids.get(run_key), self._experiment_ids.get(run_key)

    def wait(self, run_key: str, timeout_s: float | None = None) -> Delivered:
        """Wait until everything that was recorded of a run so far, and said of traces, is in MLflow.

        Parameters
        ----------
        run_key
            The run.
        timeout_s
            Seconds; ``None`` for as long as it takes.
        """
        answer = self.companion.ask({"wait": run_key}, timeout_s)
        if answer is not None:
            problem = answer["problem"]
            return Delivered(self._run_ids.get(run_key), complete=problem is None, problem=problem)
        last = self._told[-1] if self._told else None
        has_stopped = self.companion.is_over
        why = last or ("the writer has stopped" if has_stopped else "MLflow has not taken everything in this time")
        return Delivered(self._run_ids.get(run_key), complete=False, problem=why)

    def on_problem(self, callback: Callable[[str], None]) -> None:
        """Have a function called with each message for the user; the last function given is the one that is called."""
        self._listeners[:] = [callback]

    def on_costs(self, callback: Callable[[dict[str, dict[str, float]]], None]) -> None:
        """Have a function called with what calls cost, in USD, by trace id and span id, once MLflow has priced them."""
        self._cost_listeners[:] = [callback]

    def _hear(self, message: dict[str, Any]) -> None:
        if "run" in message:
            self._run_ids[message["run"]] = message["run_id"]
            self._experiment_ids[message["run"]] = message["experiment_id"]
        if "parked" in message:
            self._parked[message["parked"]] = message["reason"]
        if "problem" in message:
            self._say(message["problem"])
        for listener in self._cost_listeners if message.get("costs") else ():
            with contextlib.suppress(Exception):
                listener(message["costs"])

    def _say(self, text: str) -> None:
        self._told.append(text)
        for listener in self._listeners:
            with contextlib.suppress(Exception):
                listener(text)


def _variables() -> dict[str, str]:
    return {name: value for name, value in companion.variables().items() if name.upper().startswith(_ENVIRONMENT)}


def _keep_days() -> tuple[str, ...]:
    try:
        return (str(config.current().journal_keep_days),)
    except config.OptionError:  # said where the option is used; until it is mended nothing is deleted
        return ()
