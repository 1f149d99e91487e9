"""The likely cause of a run that went wrong, for the head of its view: found when the run is over, in bounded time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from agenttrace_nb.spans import CellRun, Span, SpanKind, Status, Trace

if TYPE_CHECKING:
    from agenttrace_nb.views.rows import Rows

SPANS_LIMIT = 3_000
"""Larger runs open on the step in which an error began; `attribute_failure` says more of them."""

ARGUMENTS_LIMIT_CHARACTERS = 20_000
"""Longer arguments are not checked while a run goes on."""

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


def misfit(rows: Rows, row: int) -> str | None:
    """Return what is wrong with the arguments of one call by its tool's schema, in a few words; cheap, for live views.

    ``None`` where nothing is, or where it cannot be told.
    """
    span = rows.spans[row]
    agent = rows.agents.get(span.trace_id, {}).get(span.agent or "")
    tools = agent.tools if agent is not None and span.kind is SpanKind.TOOL else ()
    schema = next((tool.get("parameters") for tool in tools if tool.get("name") == span.name), None)
    if schema is None:
        return None
    try:
        given = span.input
        if isinstance(given, str) and len(given) > ARGUMENTS_LIMIT_CHARACTERS:
            return None
        from agenttrace_nb.analysis.failures.arguments import misfit_of
        from agenttrace_nb.analysis.failures.calls import Call

        return misfit_of(Call(at=row, name=span.name, span=span, raw=given), schema)
    except Exception:
        _log.debug("arguments were not checked", exc_info=True)
        return None


def _found(run: CellRun | Trace, rows: Rows) -> Cause | None:
    try:
        return _best(run, rows)
    except Exception:  # a view without this sentence is better than none
        _log.debug("no cause was found", exc_info=True)
        return None


def _best(run: CellRun | Trace, rows: Rows) -> Cause | None:
    from agenttrace_nb.analysis.failures.attribution import attribute_failure

    tops = []
    for trace in [run] if isinstance(run, Trace) else _traces(run, rows):
        top = attribute_failure(trace).top
        if top is not None:
            tops.append(top)
    if not tops:
        return None
    best = max(tops, key=lambda top: top.confidence)
    row = next((at for at, span in enumerate(rows.spans) if span.span_id == best.span_id), None)
    return None if row is None else Cause(row, best.reason, best.side.value, best.confidence)


def _traces(run: CellRun, rows: Rows) -> list[Trace]:
    """Return the traces of a run as its rows know them."""
    by_id: dict[str, list[Span]] = {}
    for span in rows.spans:
        by_id.setdefault(span.trace_id, []).append(span)
    return [
        Trace(
            trace_id=trace_id, name=run.name, start_ns=its[0].start_ns, end_ns=run.end_ns, spans=its,
            agents=rows.agents.get(trace_id, {}),
            status=next((s.status for s in its if s.parent_id is None), Status.OK),
        )
        for trace_id, its in by_id.items()
    ]  # fmt: skip
