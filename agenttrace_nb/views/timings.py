"""Where a run's time went, as the browser gets it when the run is over: a column for each, and a part of the head."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.latency_measure import timed
from agenttrace_nb.views import labels
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.latency_measure import Timed
    from agenttrace_nb.views.rows import Rows

PIECES_LIMIT = 300
SAVINGS_LIMIT = 20
"""Of agents, of tools and of models each."""
NS_PER_MS = 1_000_000
BETWEEN = -1
SHORT = -2


@dataclass(slots=True, frozen=True)
class Timings:
    """Where the time went.

    Attributes
    ----------
    self_ms, critical_ms
        For each row what it took by itself, and how much of the critical path that is; NaN where it is not known.
    head
        ``total_ms``, and from ``from_ms`` on the run's clock the ``path``: pieces ``[row, ms, waiting]``, one after the
        other without a gap. Row -1 is the time between steps at the top, -2 stands for steps too short to be told
        apart. ``savings`` are ``what``, ``name``, ``n``, ``critical_ms`` and ``ms_saved``, the most first (``null``:
        not worked out); ``more`` says how many are left out. All but ``total_ms`` is empty where the run has no end.
    """

    self_ms: array[float]
    critical_ms: array[float]
    head: dict[str, Any]


def timings(rows: Rows, origin_ns: int) -> Timings:
    """Work out where the time went, over all traces of a run; times count from ``origin_ns``."""
    found = timed(rows.spans, rows.parents)
    savings, more = _savings(found)
    start_ns = found.steps.start[found.steps.whole]
    return Timings(
        self_ms=array("d", map(_ms, found.self_ns)),
        critical_ms=array("d", map(_ms, found.critical_ns)),
        head={
            "total_ms": None if found.total_ns is None else found.total_ns / NS_PER_MS,
            "from_ms": (start_ns - origin_ns) / NS_PER_MS,
            "path": [[row, ns / NS_PER_MS, int(waits)] for row, ns, waits in _told_apart(_pieces(found))],
            "savings": savings,
            "more": more,
        },
    )


_Piece = tuple[int, int, bool]


def _pieces(found: Timed) -> list[_Piece]:
    # What nothing was recorded for is one wait, however many steps it lies in; the longest part names it.
    pieces: list[_Piece] = []
    longest = 0
    for step, start_ns, end_ns in found.path:
        row, ns, waits = BETWEEN if step == found.steps.whole else step, end_ns - start_ns, found.waits(step)
        if waits and pieces and pieces[-1][2]:
            before, so_far, _ = pieces[-1]
            pieces[-1] = (row if ns > longest else before, so_far + ns, True)
            longest = max(longest, ns)
        else:
            pieces.append((row, ns, waits))
            longest = ns
    return pieces


def _told_apart(pieces: Sequence[_Piece]) -> list[_Piece]:
    if len(pieces) <= PIECES_LIMIT:
        return list(pieces)
    # Between any two of the long ones there may be a run of short ones.
    most = (PIECES_LIMIT - 1) // 2
    least = sorted((ns for _, ns, _ in pieces), reverse=True)[most - 1]
    kept: list[_Piece] = []
    long = 0
    for row, ns, waits in pieces:
        if ns >= least and long < most:
            long += 1
            kept.append((row, ns, waits))
        elif kept and kept[-1][0] == SHORT:
            kept[-1] = (SHORT, kept[-1][1] + ns, False)
        else:
            kept.append((SHORT, ns, False))
    return kept


def _savings(found: Timed) -> tuple[list[dict[str, Any]], int]:
    on_path = [(group, part, ns) for group, (part, ns) in found.saved.items() if part > 0]
    on_path.sort(key=lambda saving: (-(saving[2] or 0), -saving[1], saving[0]))
    kept: list[dict[str, Any]] = []
    told = {"agent": 0, "tool": 0, "model": 0}
    for (what, name), part, ns in on_path:
        told[what] += 1
        if told[what] <= SAVINGS_LIMIT:
            kept.append({
                "what": what, "name": one_line(name, labels.NAME_LIMIT), "n": len(found.groups[what, name]),
                "critical_ms": part / NS_PER_MS, "ms_saved": None if ns is None else ns / NS_PER_MS,
            })  # fmt: skip
    return kept, len(on_path) - len(kept)


def _ms(ns: int | None) -> float:
    return math.nan if ns is None else ns / NS_PER_MS
