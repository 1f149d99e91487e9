"""One traced cell or block, from its beginning to its end."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agenttrace_nb import config, provenance
from agenttrace_nb.capture import install
from agenttrace_nb.capture.active import ACTIVE, Recorder
from agenttrace_nb.capture.failures import describe, status_of
from agenttrace_nb.journal.append import process_journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.live import LiveFold
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.mlflow_store import around, target
from agenttrace_nb.spans import Status
from agenttrace_nb.tracing import runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType

    from agenttrace_nb.config import CellInfo
    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.delivery import Delivery
    from agenttrace_nb.spans import CellRun, Trace
    from agenttrace_nb.views.live import LiveView

_log = logging.getLogger("agenttrace_nb")
_RUN_ID_WAIT_S = 60.0


class Run:
    """One traced cell or block: what happens in it, live, and where it is kept. Made by `trace`."""

    def __init__(
        self,
        settings: config.Settings,
        texts: Mapping[str, str | None],
        roles: dict[str, str],
        tags: dict[str, str],
        cell: CellInfo,
    ) -> None:
        self.key = uuid.uuid4().hex
        self._settings = settings
        self._texts = texts
        self._roles = roles
        self._tags = tags
        self._cell = cell
        self._recorder: Recorder | None = None
        self._live: LiveFold | None = None
        self._view: LiveView | None = None
        self._delivery: Delivery | None = None
        self._token: Token[Recorder | None] | None = None
        self._inside = contextlib.ExitStack()
        self._success: bool | None = None
        self._beginning = threading.RLock()
        self._begun = False
        self._end: dict[str, Any] | None = None

    # -- beginning and end --------------------------------------------------------------------------------------

    def start(self, *, at_first_event: bool = False) -> Self:
        """Begin to record what the current code, and the tasks it starts, does.

        Parameters
        ----------
        at_first_event
            Make no run, and show nothing, before there is something to record.

        Raises
        ------
        RuntimeError
            If this run was started before.
        """
        if self._live is not None:
            msg = "this run was started before; make a new one with at.trace(...)"
            raise RuntimeError(msg)
        journal = process_journal()
        outer = ACTIVE.get()
        body, now = self._body(outer.run_key if outer else None), time.time_ns()
        self._recorder = recorder = Recorder(
            journal, self.key, Redactor(self._settings.redact), self._roles, self._texts["session"], note=self.note
        )
        self._live = LiveFold(journal, self.key)
        recorder.first = functools.partial(self._begin, recorder, body, now)
        if not at_first_event:
            recorder.first()
        install.install()
        self._token = ACTIVE.set(recorder)
        return self

    def _begin(self, recorder: Recorder, body: dict[str, Any], start_ns: int) -> None:
        with self._beginning:
            if self._begun:
                return
            self._begun = True
            recorder.append(EventKind.RUN_START, body=body, urgent=True, time_ns=start_ns)
            recorder.first = None
            runs.started(self)
            self._show_live()
            self._begin_delivery(recorder.journal)
            if self._end is not None:  # a task that the block left running is the first to do anything
                self._say_end(recorder, self._end)

    def finish(self, error: BaseException | None = None) -> None:
        """End the record; ``error`` is what the code raised. Later work of tasks left running is still recorded."""
        recorder = self._recorder
        if self._end is not None or recorder is None:
            return
        status = status_of(error)
        if self._success is None and status is Status.ERROR:
            self._success = False
        body: dict[str, Any] = {"status": status.value, "success": self._success}
        if error is not None and status is Status.ERROR:
            body["error"] = describe(error, sensitive=recorder.sensitive)
        with self._beginning:
            self._end = body
            if self._begun:
                self._say_end(recorder, body)
        self._leave()

    def _say_end(self, recorder: Recorder, body: dict[str, Any]) -> None:
        recorder.append(EventKind.RUN_END, body=body, urgent=True)
        if self._view is not None:
            self._harmless("the last update of the view", self._view.finish)
        else:
            self._started().close()
        if recorder.journal.path is not None:
            self._harmless("sealing", functools.partial(runs.seal, recorder.journal.path))
        if self._delivery is not None:
            self._delivery.nudge()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.finish(error)

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str | None:
        """Id of the MLflow run. Waits until MLflow has made it; ``None`` if that takes more than a minute."""
        return self._delivery.run_id(self.key, _RUN_ID_WAIT_S) if self._delivery else None

    def _ids_if_known(self) -> tuple[str | None, str | None]:
        return self._delivery.ids(self.key) if self._delivery else (None, None)

    @property
    def traces(self) -> list[Trace]:
        """The traces recorded so far, in order of start."""
        return self._started().traces

    @property
    def status(self) -> Status:
        """How the run stands."""
        return self._started().run.status

    @property
    def success(self) -> bool | None:
        """Whether the run did what it was for; unknown (``None``) until somebody says so. A run that raised did not."""
        return self._success

    @success.setter
    def success(self, value: bool | None) -> None:
        if value not in (True, False, None):
            msg = f"success={value!r} is not allowed; it must be True, False or None"
            raise config.OptionError(msg)
        self._success = value
        self._tell_mlflow({"success": value})

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until MLflow holds the run, its traces, its message runs and what was said of it; return if it does.

        Parameters
        ----------
        timeout
            Seconds; without it, as long as it takes. Ctrl-C or Interrupt stops the waiting, not the delivery.

        Returns
        -------
        bool
            False if the time was not enough, or MLflow cannot take the run; the view says why. Nothing is lost then.
        """
        if self._delivery is None:
            return False
        return bool(self._delivery.wait(self.key, timeout))

    def show(self) -> None:
        """Show the run once more, below the current cell."""
        from agenttrace_nb.tracing.feedback import take
        from agenttrace_nb.views.live import display_trace

        live = self._started()
        display_trace(live.run, live.traces, feedback=take)

    def text(self) -> str:
        """Return the call tree as text."""
        from agenttrace_nb.views.live import text_of

        live = self._started()
        return text_of(live.run, live.traces, timed=not self._settings.deterministic)

    def to_html(self, path: str | Path) -> Path:
        """Write the view as one HTML file that needs nothing else.

        Parameters
        ----------
        path
            The file; it is replaced if it exists.

        Returns
        -------
        Path
            The file's absolute path.
        """
        from agenttrace_nb.views.page import write_page

        live = self._started()
        return write_page(path, live.run, live.traces)

    # -- what the user adds -------------------------------------------------------------------------------------

    def log_metric(self, key: str, value: float, step: int | None = None) -> None:
        """Log a metric to the run's MLflow run, without waiting for MLflow.

        Raises
        ------
        OptionError
            If ``value`` is not a number.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            msg = f"log_metric({key!r}, {value!r}): the value must be a number"
            raise config.OptionError(msg)
        self._tell_mlflow({"metric": {"key": config.check_text("key", key), "value": value, "step": step}})

    def log_param(self, key: str, value: Any) -> None:
        """Log a parameter to the run's MLflow run, without waiting for MLflow."""
        self._tell_mlflow({"param": {"key": config.check_text("key", key), "value": str(value)}})

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag on the run's MLflow run, without waiting for MLflow."""
        ((name, text),) = config.check_tags({key: value}).items()
        self._tell_mlflow({"tag": {"key": name, "value": text}})

    def log_artifact(self, path: str | Path) -> None:
        """Add a file to the run's MLflow run, without waiting for MLflow. The file must stay until it is delivered.

        Raises
        ------
        OptionError
            If there is no such file.
        """
        file = Path(path).expanduser().absolute()
        if not file.is_file():
            msg = f"log_artifact({str(path)!r}): there is no such file"
            raise config.OptionError(msg)
        self._tell_mlflow({"artifact": {"path": str(file), "name": file.name}})

    def __repr__(self) -> str:
        """Return the run in one line."""
        return f"<Run {self._name()!r}: {self.status.value if self._begun else 'not begun'}>"

    def holds(self, trace_id: str) -> bool:
        """Tell whether a trace was recorded in this run."""
        return self._begun and trace_id in self._started().run.trace_ids

    @property
    def recorded(self) -> CellRun:
        """The run as it was recorded."""
        return self._started().run

    # -- inside -------------------------------------------------------------------------------------------------

    def _started(self) -> LiveFold:
        if self._live is None:
            msg = "this run was not started; use `with at.trace(...) as run:` or run.start()"
            raise RuntimeError(msg)
        return self._live

    def _name(self) -> str:
        trial = self._texts["trial"]
        parts = [self._settings.arch, self._texts["case"], f"trial {trial}" if trial else None]
        count = self._cell.execution_count
        return " · ".join(p for p in parts if p) or (f"cell [{count}]" if count is not None else "run")

    def _body(self, parent_key: str | None) -> dict[str, Any]:
        cwd, cell, settings = Path.cwd(), self._cell, self._settings
        return {
            "name": self._name(),
            "arch": settings.arch,
            **self._texts,
            "experiment": target.experiment(settings.experiment, cell.notebook),
            "tracking_uri": target.tracking_uri(cwd, settings.tracking_uri),
            "cwd": str(cwd),
            "notebook": cell.notebook,
            "cell_id": cell.cell_id,
            "execution_count": cell.execution_count,
            "source_hash": cell.source_hash,
            "git_commit": provenance.git_commit(cwd),
            "versions": provenance.versions(),
            "roles": self._roles,
            "tags": self._tags if parent_key else around.tags() | self._tags,
            "message_runs": settings.message_runs,
            "deterministic": settings.deterministic,
            "parent_key": parent_key,
        }

    def _show_live(self) -> None:
        if self._settings.live is False:
            return
        from agenttrace_nb.tracing.feedback import take
        from agenttrace_nb.views.live import LiveView

        def show() -> None:
            self._view = LiveView(
                self._started(), deterministic=self._settings.deterministic, ids=self._ids_if_known,
                feedback=take,
            )  # fmt: skip
            self._view.show()

        self._harmless("the live view", show)

    def _begin_delivery(self, journal: Journal) -> None:
        runs.hear(journal)
        for problem in journal.problems:
            self.note(problem)
        if journal.path is not None:
            runs.seal(journal.path)
            self._harmless("sending on what is recorded", functools.partial(runs.export, journal.path))
        if not self._settings.mlflow or journal.path is None:
            return
        self._delivery = runs.delivery_of(journal.path)
        self._delivery.start()
        self._harmless("the run in MLflow's fluent API", self._enter_ambient)

    def _enter_ambient(self) -> None:
        delivery = self._delivery
        if delivery is None or "mlflow" not in sys.modules:
            return
        from agenttrace_nb.mlflow_store import bridge

        self._inside.enter_context(bridge.ambient_run(lambda: delivery.run_id(self.key, _RUN_ID_WAIT_S)))

    def _leave(self) -> None:
        token, self._token = self._token, None
        # In an async cell the end runs in another context, where the token is not valid; that context is gone anyway.
        with contextlib.suppress(ValueError):
            if token is not None:
                ACTIVE.reset(token)
        with contextlib.suppress(ValueError):
            self._inside.close()

    def _tell_mlflow(self, body: dict[str, Any]) -> None:
        self._started()
        if self._recorder is not None:
            self._recorder.append(EventKind.RUN_DATA, body=body, urgent=True, time_ns=time.time_ns())
        if self._end is not None and self._delivery is not None:
            self._delivery.nudge()

    def note(self, text: str) -> None:
        """Say something to the user: in the view, or where there is none in the log."""
        if self._view is not None:
            self._view.note(text)
        else:
            _log.warning(text)

    def _harmless(self, what: str, action: Any) -> None:
        try:
            action()
        except Exception as error:
            if self._recorder is not None:
                self._recorder.report_once(what, error)

    def take_costs(self, costs: Mapping[str, Mapping[str, float]]) -> None:
        """Take in what MLflow found the calls to cost, and show it."""
        if self._live is not None and self._live.set_costs(costs) and self._view is not None:
            self._view.refresh()
