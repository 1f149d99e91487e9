"""The dashboard as a widget: frames go to the browser, runs are opened on demand, a few at a time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import traitlets

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.widget import BesideTwin, TraceWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.spans import Trace
    from agenttrace_nb.views.dashboard_feed import DashboardFeed

OPEN_LIMIT = 4
OPEN_WORK_S = 0.2
LOOKED_AT_S = 30.0
"""A browser that shows the dashboard says so every ten seconds."""

_ID_DIGITS = 32


def _encoded(_: int, widget: DashboardWidget) -> memoryview:
    return memoryview(widget.feed.snapshot())


class DashboardWidget(BesideTwin):
    """Shows a dashboard.

    The browser sends ``{"kind": "look"}`` while it shows it, ``{"kind": "since", "ms": n}`` when it needs runs from
    earlier on, ``{"kind": "resync"}``, and ``{"kind": "open" or "close", "row": id}`` with a trace id; answers are as
    in `agenttrace_nb.views.run_list_widget.RunListWidget`.
    """

    _esm = traitlets.Unicode(bundle("dashboard.js")).tag(sync=True)
    _css = traitlets.Unicode(bundle("dashboard.css")).tag(sync=True)
    _snapshot = traitlets.Int(0).tag(sync=True, to_json=_encoded)

    def __init__(self, feed: DashboardFeed, load: Callable[[str], Trace], since: Callable[[float], None]) -> None:
        self.feed = feed
        self._load = load
        self._since = since
        self._looked_s = time.monotonic()
        self._opened: OrderedDict[str, TraceWidget] = OrderedDict()
        self._lock = threading.Lock()
        super().__init__()
        self.on_msg(self._hear)

    @property
    def is_looked_at(self) -> bool:
        """Whether a browser shows it, as far as it could say so."""
        return time.monotonic() - self._looked_s < LOOKED_AT_S

    def send_patch(self, data: bytes) -> None:
        """Send a frame."""
        self.send({"kind": "patch"}, [data])

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # Called on whatever thread the kernel has for messages.
        self._looked_s = time.monotonic()
        kind, row = content.get("kind"), content.get("row")
        if kind == "resync":
            self.send_patch(self.feed.snapshot())
        elif kind == "since" and isinstance(content.get("ms"), (int, float)):
            self._since(float(content["ms"]))
        elif isinstance(row, str) and len(row) == _ID_DIGITS:
            if kind == "open":
                # Reading a run takes a while; the cell that comes next should not wait for it.
                threading.Thread(target=self._open, args=(row,), name="agenttrace-open", daemon=True).start()
            elif kind == "close":
                self._close(row)

    def _close(self, row: str) -> None:
        with self._lock:
            if row in self._opened:
                self._opened.pop(row).close()

    def _open(self, row: str) -> None:
        try:
            with self._lock:
                if row not in self._opened:
                    self._opened[row] = self._view(row)
                self._opened.move_to_end(row)
                while len(self._opened) > OPEN_LIMIT:
                    self._opened.popitem(last=False)[1].close()
                model = self._opened[row].model_id
        except Exception as error:
            self.send({"kind": "failed", "row": row, "why": f"{type(error).__name__}: {error}"})
        else:
            self.send({"kind": "opened", "row": row, "model": model})

    def _view(self, row: str) -> TraceWidget:
        trace = self._load(row)
        feed = Feed(Finished(trace, [trace]))
        feed.pull(work_s=OPEN_WORK_S)
        feed.measure()
        return TraceWidget(feed)
