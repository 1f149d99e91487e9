"""The frames of a dashboard: runs and their steps as columns, what changed or everything.

``js/src/dashboard/board.ts`` reads them. They are packed as `wire` says. ``rows`` is how many runs there are; ``row``
numbers those that the frame speaks of, and replaces them with all their steps, whose ``c_run`` is such a number.
``id`` holds 16 bytes a run. ``start`` is ms since the epoch, ``took`` s, ``cost`` US dollars. Unknown is -1, NaN,
0 (no text). ``now`` is the kernel's clock, ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.views import labels, wire
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agenttrace_nb.analysis.monitor_board import Board, Columns

_ID_BYTES = 16
_RUNS = {
    "start": ("start_ms", "f8"), "took": ("took_s", "f8"), "standing": ("standing", "u1"), "success": ("success", "u1"),
    "in": ("tokens_in", "f8"), "out": ("tokens_out", "f8"), "cost": ("cost_usd", "f8"),
    **{name: (name, "u4") for name in ("name", "arch", "case", "why", "where")},
}  # fmt: skip
_CALLS = {
    "c_run": ("run", "u4"), "c_kind": ("kind", "u1"), "c_standing": ("standing", "u1"), "c_name": ("name", "u4"),
    "c_agent": ("agent", "u4"), "c_took": ("took_s", "f8"), "c_in": ("tokens_in", "i4"), "c_out": ("tokens_out", "i4"),
    "c_cost": ("cost_usd", "f8"),
}  # fmt: skip


class Texts:
    """The texts of a board as they may be shown, each cleaned once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self.shown: list[str] = []

    def fresh(self) -> list[str]:
        """Return those that are new since the last call."""
        new = [one_line(text, labels.NAME_LIMIT) for text in self._texts[len(self.shown) :]]
        self.shown += new
        return new


def frame(
    board: Board, rows: np.ndarray, *, seq: int, base: int, now_ms: float, head: Mapping[str, Any],
    strings: Sequence[str], strings_at: int,
) -> bytes:  # fmt: skip
    """Return a frame.

    Parameters
    ----------
    board
        The runs.
    rows
        Those that the frame speaks of.
    seq, base
        Its number, and the one that it builds on; 0: none, and ``rows`` are all.
    now_ms
        The time.
    head
        What the frame says beside them.
    strings, strings_at
        Texts that the reader does not have, and the number of the first of them.
    """
    of = board.calls["run"]
    called = np.flatnonzero((of >= 0) if base == 0 else np.isin(of, rows))
    ids = b"".join(_id_bytes(board.ids[row]) for row in rows)
    columns: list[wire.Column] = [
        wire.column("row", "u4", rows.tolist()),
        ("id", "u1", ids),
        *_columns(board.runs, rows, _RUNS),
        *_columns(board.calls, called, _CALLS),
    ]
    header = {
        "v": wire.VERSION, "seq": seq, "base": base, "rows": board.runs.n, "now": now_ms, "cols": [],
        "strings_at": strings_at, "strings": list(strings), "run": head,
    }  # fmt: skip
    return wire.packed(header, columns)


def _columns(columns: Columns, rows: np.ndarray, of: Mapping[str, tuple[str, str]]) -> list[wire.Column]:
    return [wire.column(name, kind, columns[own][rows].tolist()) for name, (own, kind) in of.items()]


def _id_bytes(trace_id: str) -> bytes:
    try:
        data = bytes.fromhex(trace_id)
    except ValueError:
        data = b""
    return data if len(data) == _ID_BYTES else bytes(_ID_BYTES)
