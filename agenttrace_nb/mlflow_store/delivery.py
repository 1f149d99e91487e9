"""The kernel's handle of the process that writes to MLflow.

The writing is a process of its own because importing MLflow and making a database keep a Python process busy for
seconds: in a thread of the kernel that delayed the event loop by up to 250 ms (docs/measurements.md). It also goes on
when the kernel has died. Nothing here imports ``mlflow`` or waits, except where waiting is what was asked for.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.journal import companion

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

STARTS = 3
"""How often the process is started again if it ends before its time."""
LAUNCH_S = 5.0
"""How long the end of a program waits for a process that is being started."""
POLL_S = 5.0
"""How often it is looked whether the process still lives while there is nothing to say."""
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
        self._answers: dict[int, str | None] = {}
        self._numbers = itertools.count(1)
        self._outbox: list[dict[str, Any]] = []
        self._wake = threading.Event()
        self._news = threading.Condition()
        self._sent_environment: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._launched = threading.Event()
        self._pid = os.getpid()

    # -- asked for by the engine --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver; returns at once. Safe to call again: tells the process that something is new."""
        with self._news:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._serve, name="agenttrace-delivery", daemon=True)
                self._thread.start()
                atexit.register(self.close)
        self._wake.set()

    def nudge(self) -> None:
        """Say that something worth writing soon is in the journal; returns at once."""
        self._wake.set()

    def run_id(self, run_key: str, timeout_s: float | None) -> str | None:
        """Return the id of a cell run's MLflow run; wait for it, but no longer than this many seconds.

        Returns
        -------
        str or None
            ``None`` if it is not known in time, or never will be.
        """
        if run_key in self._run_ids or self._pid != os.getpid():
            return self._run_ids.get(run_key)
        self._wake.set()
        with self._news:
            self._news.wait_for(lambda: run_key in self._run_ids or run_key in self._parked or self._over(), timeout_s)
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
        number = next(self._numbers)
        with self._news:
            self._outbox.append({"wait": run_key, "id": number})
        self._wake.set()
        with self._news:
            answered = self._news.wait_for(lambda: number in self._answers or self._over(), timeout_s)
            if number in self._answers:
                problem = self._answers.pop(number)
                return Delivered(self._run_ids.get(run_key), complete=problem is None, problem=problem)
        last = self._told[-1] if self._told else None
        why = last or ("MLflow has not taken everything in this time" if not answered else "the writer has stopped")
        return Delivered(self._run_ids.get(run_key), complete=False, problem=why)

    def on_problem(self, callback: Callable[[str], None]) -> None:
        """Have a function called with each message for the user; the last function given is the one that is called."""
        self._listeners[:] = [callback]

    def on_costs(self, callback: Callable[[dict[str, dict[str, float]]], None]) -> None:
        """Have a function called with what calls cost, in USD, by trace id and span id, once MLflow has priced them."""
        self._cost_listeners[:] = [callback]

    def close(self) -> None:
        """Want no more of the process: it delivers what there is and ends. Waits only for one that is being started."""
        atexit.unregister(self.close)
        if self._pid != os.getpid():
            return
        if self._thread is not None:
            self._launched.wait(LAUNCH_S)  # a short program is at its end before the thread has started the process
        self._closed = True
        self._wake.set()
        if self._process is not None:
            _close(self._process.stdin)
        with self._news:
            self._news.notify_all()

    # -- the thread that talks to the process -------------------------------------------------------------------

    def _over(self) -> bool:
        return self._closed or self._thread is None

    def _serve(self) -> None:
        for attempt in range(STARTS):
            try:
                self._talk()
            except OSError as error:
                self._say(f"The process that writes to MLflow cannot be started ({error}). What is traced is kept.")
                break
            if self._closed:
                break
            _log.debug("the writing process ended early (attempt %s)", attempt)
            self._sent_environment.clear()
            time.sleep(attempt)
        else:
            self._say(
                f"The process that writes to MLflow ended {STARTS} times; see {self._log_path()}. What is traced is "
                "kept in the journal; `agenttrace-nb recover` delivers it."
            )
        self._launched.set()
        with self._news:
            self._thread = None
            self._news.notify_all()

    def _talk(self) -> None:
        """Start the process and talk to it until it ends or nothing more is wanted of it."""
        with self._log_path().open("a", encoding="utf-8") as log:
            process = self._process = companion.start("agenttrace_nb.mlflow_store", self.path, *_keep_days(), log=log)
        self._launched.set()
        reader = threading.Thread(target=self._read, args=(process,), name="agenttrace-delivery-read", daemon=True)
        reader.start()
        while process.poll() is None and not self._closed:
            self._wake.wait(POLL_S)
            self._wake.clear()
            if not self._closed:
                self._send(process)
        _close(process.stdin)
        if not self._closed:
            reader.join()

    def _send(self, process: subprocess.Popen[str]) -> None:
        with self._news:
            messages, self._outbox = self._outbox or [{}], []
        if changed := self._changed_environment():
            messages.insert(0, {"env": changed})
        try:
            if process.stdin is not None:
                process.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
                process.stdin.flush()
        except (OSError, ValueError):
            with self._news:
                self._outbox = [m for m in messages if "wait" in m] + self._outbox

    def _changed_environment(self) -> dict[str, str | None]:
        """Return what was set since: credentials are often set in a cell, after the process has started."""
        now = {name: value for name, value in companion.variables().items() if name.upper().startswith(_ENVIRONMENT)}
        changed: dict[str, str | None] = {n: v for n, v in now.items() if self._sent_environment.get(n) != v}
        changed |= dict.fromkeys(self._sent_environment.keys() - now.keys())
        self._sent_environment = now
        return changed

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            return
        with contextlib.suppress(OSError, ValueError):
            for line in process.stdout:
                with contextlib.suppress(ValueError, KeyError):
                    self._hear(json.loads(line))
        process.wait()
        _close(process.stdout)

    def _hear(self, message: dict[str, Any]) -> None:
        with self._news:
            if "run" in message:
                self._run_ids[message["run"]] = message["run_id"]
                self._experiment_ids[message["run"]] = message["experiment_id"]
            if "parked" in message:
                self._parked[message["parked"]] = message["reason"]
            if "waited" in message:
                self._answers[message["waited"]] = message["problem"]
            self._news.notify_all()
        if "problem" in message and "waited" not in message:
            self._say(message["problem"])
        for listener in self._cost_listeners if message.get("costs") else ():
            with contextlib.suppress(Exception):
                listener(message["costs"])

    def _say(self, text: str) -> None:
        self._told.append(text)
        for listener in self._listeners:
            with contextlib.suppress(Exception):
                listener(text)

    def _log_path(self) -> Path:
        return self.path.with_suffix(".mlflow.log")


def _keep_days() -> tuple[str, ...]:
    try:
        return (str(config.current().journal_keep_days),)
    except config.OptionError:  # said where the option is used; until it is mended nothing is deleted
        return ()


def _close(pipe: IO[str] | None) -> None:
    with contextlib.suppress(OSError):  # what was still in it has nobody to go to
        if pipe is not None:
            pipe.close()
