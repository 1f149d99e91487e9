"""A dashboard of runs, live below its cell: where its parts come together."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.monitor import Stretch, figures
from agenttrace_nb.analysis.monitor_board import RUN_LIMIT
from agenttrace_nb.analysis.monitor_groups import BY, groups
from agenttrace_nb.analysis.monitor_journal import JournalRuns
from agenttrace_nb.analysis.monitor_store import StoreRuns
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store.target import refusal, shown
from agenttrace_nb.views import dashboard_text as words
from agenttrace_nb.views.dashboard_feed import DashboardFeed, Source
from agenttrace_nb.views.dashboard_pulse import TICK_S, Repeated, StoreReader
from agenttrace_nb.views.dashboard_watch import Watch
from agenttrace_nb.views.dashboard_windows import windows
from agenttrace_nb.views.format import plural
from agenttrace_nb.views.kernel_state import KernelState
from agenttrace_nb.views.notebook import in_kernel, publish, quietly, shell, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    import pandas as pd

    from agenttrace_nb.analysis.monitor import Figures
    from agenttrace_nb.analysis.monitor_rules import Alert
    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.spans import Trace
    from agenttrace_nb.views.dashboard_widget import DashboardWidget

CATCH_UP_WAIT_S = 0.5
TWIN_EVERY_S = 10.0
IDLE_S = 1.0
FOLLOWED_LIMIT = 8
"""How many dashboards follow at once; a cell that is run again and again leaves its earlier ones behind."""

_followed: deque[Dashboard] = deque()


class Dashboard:
    """Figures of runs that go on moving while agents work. Made by `agenttrace_nb.dashboard`; shows itself.

    Parameters
    ----------
    journal
        The journal of this process; ``None`` to leave its runs to MLflow.
    uri
        The tracking URI; ``None`` where MLflow is switched off.
    load
        Reads a trace by its id.
    experiment, arch, window, alerts
        As in `agenttrace_nb.dashboard`.
    """

    def __init__(
        self,
        *,
        journal: Journal | None,
        uri: str | None,
        load: Callable[[str], Trace],
        experiment: str | None = None,
        arch: str | None = None,
        window: str | timedelta | None = None,
        alerts: Sequence[str] = (),
    ) -> None:
        choices, first = windows(window)
        self._watch = Watch(alerts)
        named = {experiment} if experiment is not None else None
        own = JournalRuns(journal, experiments=named, arch=arch) if journal is not None else None
        source = None if uri is None else _source(shown(uri))
        self.feed = DashboardFeed(_title(experiment, arch), choices, first, journal=own, source=source)
        self._load = load
        self._kernel = KernelState.of(shell())
        store = None if uri is None else StoreRuns(uri, experiment=experiment, arch=arch, limit=RUN_LIMIT)
        self._reader = None if store is None else StoreReader(store, self.feed, self._why_not_read)
        self._widget: DashboardWidget | None = None
        self._threads: list[Repeated] = []
        self._caught_up = threading.Event()
        self._display_id: str | None = None
        self._twin: tuple[object, float] = (None, 0.0)
        self._widen()

    # -- what is known ------------------------------------------------------------------------------------------

    def figures(self, window: str | None = None) -> Figures:
        """Return the figures of a window: of the one that it was made with, or of another of its windows.

        What this kernel traced is in them; what MLflow has, as far as it was read: see `refresh`.
        """
        self._start()
        with self.feed.lock:
            return figures(self.feed.board, self._stretch(window), self.feed.now_ms())

    def table(self, by: str = "agent", window: str | None = None) -> pd.DataFrame:
        """Return one row for each agent, tool, model or architecture, those that need attention first.

        Returns
        -------
        pandas.DataFrame
            ``n``, ``errors``, ``p50_s``, ``p95_s``, ``total_s``, ``tokens``, ``cost_usd``, ``attention`` (in words).

        Raises
        ------
        OptionError
            If ``by`` is none of these.
        """
        import pandas as pd

        if by not in BY:
            msg = f"by={by!r} is not allowed; it must be one of {', '.join(BY)}.{did_you_mean(str(by), BY)}"
            raise OptionError(msg)
        self._start()
        with self.feed.lock:
            found = groups(self.feed.board, by, self._stretch(window))
        names = ("n", "errors", "p50_s", "p95_s", "total_s", "tokens", "cost_usd")
        rows = [
            {
                by: g.name,
                **{name: getattr(g, name) for name in names},
                "attention": g.change and words.change_words(g.change),
            }
            for g in found
        ]
        frame = pd.DataFrame(rows, columns=[by, *names, "attention"])
        kinds = {"n": "Int64", "errors": "Int64", "tokens": "Int64", by: "string", "attention": "string"}
        return frame.astype({name: kinds.get(name, "Float64") for name in frame.columns})

    @property
    def alerts(self) -> list[Alert]:
        """The rules and how they stand."""
        return self._watch.alerts

    def on_alert(self, callback: Callable[[Alert], Any]) -> Callable[[Alert], Any]:
        """Have a function called each time a rule fires. It is called on the dashboard's thread; fit as a decorator.

        Raises
        ------
        OptionError
            If it is no function.
        """
        if not callable(callback):
            raise OptionError(f"on_alert takes a function, not a {type(callback).__name__}")
        self._watch.listeners.append(callback)
        return callback

    def refresh(self, window: str | None = None) -> None:
        """Take in now what this kernel traced and what MLflow has; return when that is done.

        Parameters
        ----------
        window
            From how far back on; by default as far as the window that it was made with, and the time before that one.
        """
        stretch = self._stretch(window)
        self._since((stretch.before() or stretch).from_ms)
        self._start()
        self._caught_up.wait()
        if self._reader is not None:
            self._reader.read()
        self._step()
        self._renew_twin(at_once=True)

    def text(self) -> str:
        """Return the dashboard as text."""
        self._start()
        with self.feed.lock:
            return words.text_dashboard(self._picture())

    def close(self) -> None:
        """Stop following; what is shown stays as it is, and says so."""
        if self.feed.ended:
            return
        self.feed.ended = True
        for thread in self._threads:
            thread.stop()
        if self.feed.journal is not None:
            self.feed.journal.close()
        if self._threads:
            quietly("the last update of the dashboard", self._step)
            quietly("the last update of its twin", lambda: self._renew_twin(at_once=True))

    # -- showing ------------------------------------------------------------------------------------------------

    def _ipython_display_(self) -> None:
        if not in_kernel(shell()):
            self.refresh()
            write_text(self.text())
            return
        self._start()
        self._display_id = uuid.uuid4().hex
        publish(self._html(), self.text(), self._display_id)
        quietly("the dashboard", self._show_widget)

    def _show_widget(self) -> None:
        from IPython.display import display

        from agenttrace_nb.views.dashboard_widget import DashboardWidget

        if self._widget is None:
            self._widget = DashboardWidget(self.feed, self._trace, self._since)
        display(self._widget)

    def _start(self) -> None:
        if self._threads or self.feed.ended:
            return
        self._threads = [Repeated("dashboard", TICK_S, self._step)]
        if self._reader is not None:
            self._threads.append(Repeated("reading from MLflow", TICK_S, self._reader.step))
        threading.Thread(target=self._catch_up, name="agenttrace-dashboard-start", daemon=True).start()
        self._caught_up.wait(CATCH_UP_WAIT_S)
        self._step()
        for thread in self._threads:
            thread.start()
        _followed.append(self)
        while len(_followed) > FOLLOWED_LIMIT:
            _followed.popleft().close()

    def _catch_up(self) -> None:
        if self.feed.journal is not None:
            self.feed.journal.begin()
        self._caught_up.set()

    def _step(self) -> None:
        if not self._caught_up.is_set():
            return
        changed = self.feed.pull()
        with self.feed.lock:
            self._watch.look(self.feed.board, self.feed.now_ms(), changed=changed)
            self.feed.alerts = self._watch.shown()
        self._watch.tell()
        if self._widget is not None:
            data = self.feed.patch()
            if data is not None:
                self._widget.send_patch(data)
        self._renew_twin()

    def _renew_twin(self, *, at_once: bool = False) -> None:
        if self._display_id is None:
            return
        state = (self.feed.board.version, tuple((a.state, a.fired) for a in self.alerts))
        was, at_s = self._twin
        if state != was and (at_once or time.monotonic() - at_s >= TWIN_EVERY_S):
            self._twin = (state, time.monotonic())
            publish(self._html(), self.text(), self._display_id, update=True)

    def _html(self) -> str:
        from agenttrace_nb.views.dashboard_html import static_dashboard

        with self.feed.lock:
            return static_dashboard(self._picture(), key=self.feed.key)

    def _picture(self) -> words.Picture:
        stretch, now_ms = self._stretch(None), self.feed.now_ms()
        return words.Picture(
            title=self._headline(), board=self.feed.board, stretch=stretch, now_ms=now_ms,
            figures=figures(self.feed.board, stretch, now_ms), alerts=self.alerts, notes=self._notes(),
        )  # fmt: skip

    # -- inside -------------------------------------------------------------------------------------------------

    def _headline(self) -> str:
        name = next((w.words for w in self.feed.windows if w.name == self.feed.window), "")
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return f"{self.feed.title} · {'all runs' if name == 'all' else f'the last {name}'} until {until}"

    def _notes(self) -> list[str]:
        source, left = self.feed.source, self.feed.board.left_out
        notes = ["It is no longer followed."] if self.feed.ended else []
        notes += [source.problem] if source is not None and source.problem else []
        return notes + ([f"The oldest {left:,} runs are left out."] if left else [])

    def _stretch(self, window: str | None) -> Stretch:
        known = [w.name for w in self.feed.windows]
        if window is not None and window not in known:
            msg = f"window={window!r} is not allowed; it must be one of {', '.join(known)}"
            raise OptionError(msg)
        return self.feed.stretch(window)

    def _widen(self) -> None:
        if self._reader is not None:
            stretch = self.feed.stretch()
            self._since((stretch.before() or stretch).from_ms)

    def _since(self, ms: float) -> None:
        if self._reader is not None:
            self._reader.since(max(ms, 0.0))

    def _why_not_read(self) -> str | None:
        # Cells that are run one after the other are not disturbed in between; the first reading imports MLflow.
        if self._kernel.idle_s < IDLE_S:
            return "a cell runs"
        return None if self._widget is not None and self._widget.is_looked_at else "nobody looks"

    def _trace(self, trace_id: str) -> Trace:
        here = self.feed.journal.trace(trace_id) if self.feed.journal is not None else None
        return here if here is not None else self._load(trace_id)

    def __repr__(self) -> str:
        """Return the dashboard in one line."""
        f = self.figures()
        runs = f"{f.runs} {plural(f.runs, 'run')}"
        return f"<Dashboard {self.feed.title!r}: {runs}, success rate {words.share(f.success_rate)}>"


def _source(uri: str) -> Source:
    name = uri.rpartition("/")[2] if uri.startswith("sqlite:") else uri
    return Source(name or uri, address=uri, problem=refusal(uri))


def _title(experiment: str | None, arch: str | None) -> str:
    parts = [f"Experiment {experiment}" if experiment else "All runs", f"architecture {arch}" if arch else ""]
    return " · ".join(filter(None, parts))
