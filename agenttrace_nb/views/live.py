"""Views below a cell: of a run while it goes on, and of one that is over."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import Trace
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.flusher import Flusher
from agenttrace_nb.views.notebook import in_kernel, publish, quietly, shell, write_text
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.text import terminal_columns, text_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agenttrace_nb.journal.live import LiveFold
    from agenttrace_nb.spans import CellRun, Span
    from agenttrace_nb.views.widget import TraceWidget

SHOW_WORK_S = 0.2
LARGE_SPANS = 200
FIRST_SPANS = 5_000

_log = logging.getLogger("agenttrace_nb")


class LiveView:
    """Shows a cell run below its cell. Nothing here raises into the cell.

    In a notebook two outputs are shown: first the static twin, which is filled in once, at the end, and stays in the
    saved notebook; then the widget, which hides it. In a terminal the text tree is printed at the end; outside
    IPython nothing is shown.

    Parameters
    ----------
    live
        The run's live picture.
    deterministic
        Show one static output at the end, without times: the same bytes each time.
    widget
        Show the live widget; without it there is the static twin alone.
    ids
        Tells the ids of the MLflow run and its experiment once they are known, without waiting.
    feedback
        Takes what the reader thinks of a step; without it the view says how else to rate.
    """

    def __init__(
        self,
        live: LiveFold,
        *,
        deterministic: bool = False,
        widget: bool = True,
        ids: Callable[[], tuple[str | None, str | None]] | None = None,
        feedback: Callable[[Span, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._live = live
        self._feed = Feed(live)
        if ids is not None:
            self._feed.ids = ids
        self._feed.feedback = feedback
        self._deterministic = deterministic
        self._with_widget = widget and not deterministic
        self._widget: TraceWidget | None = None
        self._display_id: str | None = None
        self._flusher: Flusher | None = None
        self._shell: Any = None
        self._finished = False

    def show(self) -> None:
        """Show the view below the running cell and begin to follow the run. Returns at once."""
        quietly("the view", self._show)

    def finish(self) -> None:
        """Show the end of the run and stop following it."""
        if self._flusher is not None:
            self._flusher.stop()
        self._finished = True
        quietly("the last update of the view", self._finish)
        quietly("the end of the view", self._live.close)

    def note(self, text: str) -> None:
        """Show one line to the user: in the view, or where there is none in the log."""
        if text in self._feed.notes:
            return
        self._feed.notes.append(text)
        if self._widget is None:
            _log.warning(text)
        elif self._finished:
            quietly("a note in the view", self._renew)

    def refresh(self) -> None:
        """Show what became known after the end, such as what the calls cost."""
        if self._finished and not self._deterministic and in_kernel(self._shell):
            quietly("a late update of the view", self._renew)

    def text(self) -> str:
        """Return the run as a text tree."""
        return self._text()

    def to_html(self, path: str | Path) -> Path:
        """Write the run as one self-contained, interactive HTML file; return where it is."""
        from agenttrace_nb.views.page import write_page

        return write_page(path, self._live.run, self._live.traces)

    def _show(self) -> None:
        self._shell = shell()
        if self._deterministic or not in_kernel(self._shell):
            return
        from agenttrace_nb.views.static_html import pending_twin

        self._display_id = uuid.uuid4().hex
        head = self._feed.headline()
        publish(pending_twin(head), f"{head.title} is running", self._display_id)
        if self._with_widget:
            self._widget = _shown_widget(self._feed)
            self._flusher = Flusher(self._flush)
            self._flusher.start()

    def _finish(self) -> None:
        if in_kernel(self._shell):
            self._feed.pull(work_s=None)
            self._renew()
        elif self._shell is not None:
            write_text(self._text(terminal_columns()))

    def _renew(self) -> None:
        from agenttrace_nb.views.static_html import static_twin

        self._feed.pull()
        self._feed.measure()
        if not self._deterministic:
            self._feed.look_at_seal()
        if self._widget is not None:
            self._flush(due=False)
            self._widget.publish()
        with self._feed.lock:
            html = static_twin(
                self._feed.run,
                self._feed.rows,
                timed=not self._deterministic,
                has_live=self._widget is not None,
                notes=self._feed.notes,
                seal=self._feed.seal,
            )
        publish(html, self._text(), self._display_id, update=self._display_id is not None)

    def _flush(self, due: bool) -> None:  # noqa: FBT001 - called with it by the flusher
        self._feed.pull()
        data = self._feed.patch(heartbeat=due)
        if data is not None and self._widget is not None:
            self._widget.send_patch(data)

    def _text(self, columns: int | None = None) -> str:
        self._feed.pull()
        with self._feed.lock:
            return text_tree(
                self._feed.run, self._feed.rows, columns=columns, timed=not self._deterministic, seal=self._feed.seal
            )


def warm_up() -> None:
    """Import what the first view in a notebook needs, on a thread: the first traced cell is then as quick as others."""
    if in_kernel(shell()):
        threading.Thread(target=_import_widget, name="agenttrace-warm-up", daemon=True).start()


def _import_widget() -> None:
    # What fails here fails again when it is needed, and is reported then.
    with contextlib.suppress(Exception):
        import agenttrace_nb.views.static_html
        import agenttrace_nb.views.widget  # noqa: F401 - for its effect


def display_trace(
    run: CellRun | Trace,
    traces: Sequence[Trace] | None = None,
    *,
    feedback: Callable[[Span, Mapping[str, Any]], None] | None = None,
) -> None:
    """Show a run or a trace as it stands: static twin and widget in a notebook, text in a terminal.

    Parameters
    ----------
    run
        A cell run, or a trace.
    traces
        The run's traces; for a trace it is the trace itself.
    feedback
        As in `LiveView`.
    """
    traces = traces if traces is not None else [run] if isinstance(run, Trace) else []
    in_notebook = in_kernel(shell())
    feed = Feed(Finished(run, traces, first=FIRST_SPANS if in_notebook else None))
    feed.feedback = feedback
    if not in_notebook:
        feed.pull(work_s=0)
        feed.look_at_seal(compare=True)
        write_text(text_tree(run, feed.rows, columns=terminal_columns(), seal=feed.seal))
        return
    from agenttrace_nb.views.static_html import pending_twin, static_twin

    feed.expected = sum(len(trace.spans) for trace in traces)
    large = feed.expected > LARGE_SPANS
    feed.pull(work_s=0 if large else SHOW_WORK_S)
    if not large:
        feed.measure()
        feed.look_at_seal(compare=True)
        publish(static_twin(run, feed.rows, seal=feed.seal), text_tree(run, feed.rows, seal=feed.seal))
        _shown_widget(feed)
        return
    # Rows first, and of these the first ones: the twin, contents and measures take as long as all else, and are seen
    # later.
    display_id = uuid.uuid4().hex
    head = feed.headline()
    publish(pending_twin(head), head.title, display_id)
    widget = _shown_widget(feed)
    if widget is not None:
        feed.opened()
        feed.pull(work_s=0)
        widget.send_patch(feed.patch(heartbeat=True) or b"")
        feed.pull(work_s=SHOW_WORK_S)
        feed.measure()
        feed.look_at_seal()
        widget.send_patch(feed.patch(heartbeat=True) or b"")
        widget.publish()
    feed.pull(work_s=0)
    twin, text = static_twin(run, feed.rows, seal=feed.seal), text_tree(run, feed.rows, seal=feed.seal)
    publish(twin, text, display_id, update=True)


def text_of(run: CellRun | Trace, traces: Sequence[Trace], *, timed: bool = True) -> str:
    """Return a run or a trace as a text tree, with times or without."""
    return text_tree(run, Rows.of_traces(traces), timed=timed)


def _shown_widget(feed: Feed) -> TraceWidget | None:
    shown: list[TraceWidget] = []

    def show() -> None:
        from IPython.display import display

        from agenttrace_nb.views.widget import TraceWidget

        widget = TraceWidget(feed)
        display(widget)
        shown.append(widget)

    quietly("the live view", show)
    return shown[0] if shown else None
