"""The view of a traced cell while it runs: static twin and widget below the cell, fed by one quiet thread."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import CellRun, Trace
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.text import terminal_columns, text_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agenttrace_nb.journal.live import LiveFold
    from agenttrace_nb.views.widget import TraceWidget

_log = logging.getLogger("agenttrace_nb")
TICK_S = 0.1
HEARTBEAT_S = 1.0


class LiveView:
    """Shows a cell run below its cell. Nothing here raises into the cell.

    Parameters
    ----------
    live
        The run's live picture.
    deterministic
        Show one static output at the end, without times: the same bytes each time.
    widget
        Show the live widget. Without it the static twin alone is shown, at the end.
    """

    def __init__(self, live: LiveFold, *, deterministic: bool = False, widget: bool = True) -> None:
        self._live = live
        self._feed = Feed(live)
        self._timed = not deterministic
        self._want_widget = widget and not deterministic
        self._widget: TraceWidget | None = None
        self._display_id: str | None = None
        self._flusher: _Flusher | None = None
        self._shell: Any = None

    def show(self) -> None:
        """Show the view below the running cell and begin to follow the run. Returns at once."""
        self._quietly(self._show)

    def finish(self) -> None:
        """Show the end of the run and stop following it."""
        if self._flusher is not None:
            self._flusher.stop()
        self._quietly(self._finish)

    def note(self, text: str) -> None:
        """Show one line to the user in the view."""
        if text not in self._feed.notes:
            self._feed.notes.append(text)

    def text(self) -> str:
        """Return the run as a text tree."""
        self._feed.pull()
        with self._feed.lock:
            return text_tree(self._feed.run, self._feed.rows, timed=self._timed)

    def to_html(self, path: str | Path) -> Path:
        """Write the run as one self-contained, interactive HTML file; return where it is."""
        from agenttrace_nb.views.page import write_page

        return write_page(path, self._live.run, self._live.traces)

    def _show(self) -> None:
        self._shell = _shell()
        if not _in_kernel(self._shell) or not self._timed:
            return
        self._display_id = uuid.uuid4().hex
        from agenttrace_nb.views.static_html import pending_twin

        head = self._feed.headline()
        self._publish(pending_twin(self._live.run_key, head.title), f"{head.title} is running")
        if self._want_widget:
            self._widget = _shown_widget(self._feed)
        self._flusher = _Flusher(self._flush)
        self._flusher.start()

    def _finish(self) -> None:
        self._feed.pull(work_s=None)
        if self._widget is not None:
            self._flush(heartbeat=False)
            self._widget.publish()
        if _in_kernel(self._shell):
            from agenttrace_nb.views.static_html import static_twin

            html = static_twin(
                self._feed.run, self._feed.rows, timed=self._timed, has_live=self._widget is not None,
                notes=self._feed.notes,
            )  # fmt: skip
            self._publish(html, self.text(), update=self._display_id is not None)
        elif self._shell is not None:
            print(text_tree(self._feed.run, self._feed.rows, columns=terminal_columns(), timed=self._timed))
        self._live.close()

    def _flush(self, *, heartbeat: bool) -> None:
        self._feed.pull()
        data = self._feed.patch(heartbeat=heartbeat)
        if data is not None and self._widget is not None:
            self._widget.send_patch(data)

    def _publish(self, html: str, text: str, *, update: bool = False) -> None:
        from IPython.display import publish_display_data

        transient = {"display_id": self._display_id} if self._display_id else None
        publish_display_data({"text/html": html, "text/plain": text}, transient=transient, update=update)

    def _quietly(self, work: Any) -> None:
        try:
            work()
        except Exception as error:
            print(
                f"agenttrace_nb: the view failed ({type(error).__name__}: {error}); the run is recorded",
                file=sys.stderr,
            )


class _Flusher:
    """Calls ``flush`` ten times a second on a thread of its own, and keeps the cell interruptible.

    An event loop that waits in `select` does not notice an interrupt; a callback that does nothing wakes it.
    """

    def __init__(self, flush: Any) -> None:
        self._flush = flush
        self._stopped = threading.Event()
        self._failed = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._thread = threading.Thread(target=self._run, name="agenttrace-view", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._stopped.wait(TICK_S):
            due = time.monotonic() - beat >= HEARTBEAT_S
            if due:
                beat = time.monotonic()
            self._tick(heartbeat=due)
            self._wake()

    def _tick(self, *, heartbeat: bool) -> None:
        try:
            self._flush(heartbeat=heartbeat)
        except Exception as error:
            if not self._failed:
                self._failed = True
                _log.warning("the live view failed, the run is recorded: %s: %s", type(error).__name__, error)

    def _wake(self) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_nothing)
        except RuntimeError:  # the loop is closed
            self._loop = None


def _nothing() -> None:
    """Wake the loop."""


def _shell() -> Any:
    # Outside IPython it must not be imported.
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _in_kernel(shell: Any) -> bool:
    return getattr(shell, "kernel", None) is not None


def _shown_widget(feed: Feed) -> TraceWidget:
    from IPython.display import display

    from agenttrace_nb.views.widget import TraceWidget

    widget = TraceWidget(feed)
    display(widget)
    return widget


def show_run(live: LiveFold) -> None:
    """Show a traced run once more, below the current cell, as it stands now."""
    display_trace(live.run, live.traces)


def display_trace(run: CellRun | Trace, traces: Sequence[Trace] | None = None) -> None:
    """Show a run or a trace as it stands: static twin and widget in a notebook, text in a terminal.

    Parameters
    ----------
    run
        A cell run, or a trace.
    traces
        The run's traces; for a trace it is the trace itself.
    """
    traces = traces if traces is not None else [run] if isinstance(run, Trace) else []
    feed = Feed(Finished(run, traces))
    feed.pull()
    if not _in_kernel(_shell()):
        print(text_tree(run, feed.rows, columns=terminal_columns()))
        return
    from IPython.display import publish_display_data

    from agenttrace_nb.views.static_html import static_twin

    publish_display_data({"text/html": static_twin(run, feed.rows), "text/plain": text_tree(run, feed.rows)})
    _shown_widget(feed)
