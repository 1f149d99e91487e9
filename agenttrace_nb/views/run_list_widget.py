"""The list of runs as a widget: opens the view of a run on demand, a few at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from importlib import import_module
from typing import TYPE_CHECKING, Any

import traitlets

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.widget import BesideTwin, TraceWidget

if TYPE_CHECKING:
    from agenttrace_nb.views.run_list import RunList

OPEN_LIMIT = 4
OPEN_WORK_S = 0.2


def _encoded(_: int, widget: RunListWidget) -> memoryview:
    return memoryview(widget.listed.frame())


class RunListWidget(BesideTwin):
    """Shows a list of runs. A run that is opened becomes a `TraceWidget` of its own, which the list shows in its place.

    The browser sends ``{"kind": "open", "row": n}``, which is answered by ``{"kind": "opened", "row": n, "model": id}``
    or ``{"kind": "failed", "row": n, "why": text}``, and ``{"kind": "close", "row": n}``. At most four runs are open at
    once; beyond that the one opened first is closed.
    """

    _esm = traitlets.Unicode(bundle("run_list.js")).tag(sync=True)
    _css = traitlets.Unicode(bundle("run_list.css")).tag(sync=True)
    _snapshot = traitlets.Int(0).tag(sync=True, to_json=_encoded)

    def __init__(self, listed: RunList) -> None:
        self.listed = listed
        self._opened: OrderedDict[int, TraceWidget] = OrderedDict()
        self._lock = threading.Lock()
        super().__init__()
        self.on_msg(self._hear)

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # Called on whatever thread the kernel has for messages.
        kind, row = content.get("kind"), content.get("row")
        if not isinstance(row, int) or not 0 <= row < len(self.listed.traces):
            return
        with self._lock:
            if kind == "open":
                self._open(row)
            elif kind == "close" and row in self._opened:
                self._opened.pop(row).close()

    def _open(self, row: int) -> None:
        try:
            if row not in self._opened:
                self._opened[row] = self._view(row)
            self._opened.move_to_end(row)
            while len(self._opened) > OPEN_LIMIT:
                self._opened.popitem(last=False)[1].close()
        except Exception as error:
            self.send({"kind": "failed", "row": row, "why": f"{type(error).__name__}: {error}"})
        else:
            self.send({"kind": "opened", "row": row, "model": self._opened[row].model_id})

    def _view(self, row: int) -> TraceWidget:
        trace = self.listed.traces[row]
        feed = Feed(Finished(trace, [trace]))
        # Ratings go the way of the engine, which stands above this room: it is only looked up when somebody looks.
        feed.feedback = import_module("agenttrace_nb.tracing.feedback").take
        feed.pull(work_s=OPEN_WORK_S)
        feed.measure()
        return TraceWidget(feed)
