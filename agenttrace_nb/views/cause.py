"""The likely cause of a run that went wrong, for the head of its view: found when the run is over, in bounded time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from agenttrace_nb.spans import CellRun, Span, Status, Trace

if TYPE_CHECKING:
    from agenttrace_nb.views.rows import Rows

SPANS_LIMIT = 3_000
"""Larger runs open on the step in which an error began; `attribute_failure` says more of them."""

_log = logging.getLogger("agenttrace_nb")


@dataclass(slots=True, frozen=True)
class Cause:
    """The likeliest cause: its row, the sentence, whose fault it is, and how sure that is."""

    row: int
    reason: str
    side: str
    confidence: float

    @property
    def mark(self) -> str:
        """Side and confidence in a few words."""
        return f"{self.side} ({self.confidence:.2f})"


_known: WeakKeyDictionary[Rows, tuple[tuple[int, int | None], Cause | None]] = WeakKeyDictionary()


def likely_cause(run: CellRun | Trace, rows: Rows) -> Cause | None:
    """Return the likely cause of a run that is over; ``None`` where none is more likely than not."""
    if run.end_ns is None or not 0 < len(rows.spans) <= SPANS_LIMIT:
        return None
    key = (len(rows.spans), run.end_ns)
    before = _known.get(rows)
    if before is None or before[0] != key:
        before = _known[rows] = (key, _found(run, rows))
    return before[1]


def _found(run: CellRun | Trace, rows: Rows) -> Cause | None:
    try:
        return _best(run, rows)
    except Exception:  # a view without this sentence is better than none
        _log.debug("no cause was found", exc_info=True)
        return None


def _best(run: CellRun | Trace, rows: Rows) -> Cause | None:
    from agenttrace_nb.analysis.failures.attribution import attribute_failure

    tops = []
    for trace in [run] if isinstance(run, Trace) else _traces(run, rows.spans):
        top = attribute_failure(trace).top
        if top is not None:
            tops.append(top)
    if not tops:
        return None
    best = max(tops, key=lambda top: top.confidence)
    row = next((at for at, span in enumerate(rows.spans) if span.span_id == best.span_id), None)
    return None if row is None else Cause(row, best.reason, best.side.value, best.confidence)


def _traces(run: CellRun, spans: list[Span]) -> list[Trace]:
    """Return the traces of a run as its rows know them: without what agents were declared to be."""
    by_id: dict[str, list[Span]] = {}
    for span in spans:
        by_id.setdefault(span.trace_id, []).append(span)
    return [
        Trace(
            trace_id=trace_id, name=run.name, start_ns=its[0].start_ns, end_ns=run.end_ns, spans=its,
            status=next((s.status for s in its if s.parent_id is None), Status.OK),
        )
        for trace_id, its in by_id.items()
    ]  # fmt: skip
