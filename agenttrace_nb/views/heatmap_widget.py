"""A table whose cells lead to runs, as a widget: a click on a cell shows the runs behind it below."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import traitlets

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.run_list import RunList
from agenttrace_nb.views.run_list_widget import RunListWidget
from agenttrace_nb.views.widget import BesideTwin

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.analysis.trace_set import TraceSet


def _encoded(_: int, widget: HeatmapWidget) -> memoryview:
    return memoryview(json.dumps(widget.grid, separators=(",", ":")).encode())


class HeatmapWidget(BesideTwin):
    """Shows a table: errors by two things, or who won which case.

    The runs behind a cell that is opened become a `RunListWidget`, shown below.

    The browser sends ``{"kind": "open", "row": n}`` for the cell with that number, which is answered by
    ``{"kind": "opened", "row": n, "model": id}`` or ``{"kind": "failed", "row": n, "why": text}``, and ``{"kind":
    "close", "row": n}``. One cell is open at a time.

    Parameters
    ----------
    grid
        What is shown, as ``js/src/heatmap/grid.ts`` has it.
    runs_of
        Gives the runs behind a cell by its number in ``grid["cells"]``.
    """

    _esm = traitlets.Unicode(bundle("heatmap.js")).tag(sync=True)
    _css = traitlets.Unicode(bundle("heatmap.css")).tag(sync=True)
    _snapshot = traitlets.Int(0).tag(sync=True, to_json=_encoded)

    def __init__(self, grid: dict[str, Any], runs_of: Callable[[int], TraceSet]) -> None:
        self.grid = grid
        self._runs_of = runs_of
        self._opened: dict[int, RunListWidget] = {}
        self._lock = threading.Lock()
        super().__init__()
        self.on_msg(self._hear)

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # Called on whatever thread the kernel has for messages.
        kind, cell = content.get("kind"), content.get("row")
        if not isinstance(cell, int) or not 0 <= cell < len(self.grid["cells"]):
            return
        with self._lock:
            if kind == "open":
                self._open(cell)
            elif kind == "close":
                self._close(cell)

    def _open(self, cell: int) -> None:
        try:
            for other in [n for n in self._opened if n != cell]:
                self._close(other)
            if cell not in self._opened:
                self._opened[cell] = RunListWidget(RunList(self._runs_of(cell)))
        except Exception as error:
            self.send({"kind": "failed", "row": cell, "why": f"{type(error).__name__}: {error}"})
        else:
            self.send({"kind": "opened", "row": cell, "model": self._opened[cell].model_id})

    def _close(self, cell: int) -> None:
        if opened := self._opened.pop(cell, None):
            opened.close()
