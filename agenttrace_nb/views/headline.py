"""What stands above the tree: the run's name, its standing, its figures, and why it failed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.spans import NS_PER_S, CellRun, SpanKind, Status, Trace
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.cause import likely_cause, misfit
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from agenttrace_nb.views.rows import Rows


@dataclass(slots=True, frozen=True)
class Figure:
    """One figure: ``value`` in bold, ``unit`` after it. ``key`` names it for programs."""

    key: str
    value: str
    unit: str


@dataclass(slots=True, frozen=True)
class Headline:
    """The head of a view.

    Attributes
    ----------
    key
        What tells this run from all others, fit for a class name.
    title
        The architecture, else the run's name.
    about
        Case, trial, cell: what tells this run from its like.
    status
        How the run stands.
    figures
        Duration, agents, turns, tool calls, tokens, cost, errors; what is unknown or none is left out.
    why
        Why it failed, in one sentence; ``None`` where nothing did.
    why_row
        The row that the sentence speaks of.
    """

    key: str
    title: str
    about: str
    status: Status
    figures: tuple[Figure, ...]
    why: str | None = None
    why_row: int | None = None

    def line(self) -> str:
        """Return the figures on one line."""
        return " · ".join(f"{f.value} {f.unit}".strip() for f in self.figures)


def headline(run: CellRun | Trace, rows: Rows, *, timed: bool = True) -> Headline:
    """Return the head for a cell run, or for a trace on its own. ``timed=False`` leaves its duration out."""
    origins = rows.error_origins()
    status = run.status
    if status is Status.OK and isinstance(run, Trace) and origins and rows.parents[origins[0]] == -1:
        status = Status.ERROR
    why, why_row = _why(run, rows, origins)
    return Headline(
        key=_key(run),
        title=one_line(_title(run), labels.NAME_LIMIT),
        about=one_line(_about(run), labels.NAME_LIMIT),
        status=status,
        figures=tuple(_figures(run, rows, len(origins), timed=timed)),
        why=why,
        why_row=why_row,
    )


def _key(run: CellRun | Trace) -> str:
    key = run.key if isinstance(run, CellRun) else run.trace_id
    return "r" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _title(run: CellRun | Trace) -> str:
    return (run.arch if isinstance(run, CellRun) else run.tags.get("arch")) or run.name


def _about(run: CellRun | Trace) -> str:
    if isinstance(run, Trace):
        known = {key: run.tags.get(key) for key in ("case", "trial")}
    else:
        known = {"case": run.case, "trial": run.trial}
    parts = [f"{key} {value}" for key, value in known.items() if value is not None]
    if isinstance(run, CellRun) and run.execution_count is not None:
        parts.append(f"cell [{run.execution_count}]")
    return " · ".join(parts)


def _figures(run: CellRun | Trace, rows: Rows, errors: int, *, timed: bool) -> list[Figure]:
    figures: list[Figure] = []
    if timed and run.end_ns is not None:
        value, unit = fmt.seconds((run.end_ns - run.start_ns) / NS_PER_S).split(" ", 1)
        figures.append(Figure("duration", value, unit))
    tally = rows.tally
    counts = [("agents", tally.agents, "agent"), ("turns", tally.kinds[SpanKind.TURN], "turn")]
    if not tally.kinds[SpanKind.TURN]:
        counts.append(("llm_calls", tally.kinds[SpanKind.LLM], "LLM call"))
    counts.append(("tools", tally.kinds[SpanKind.TOOL], "tool call"))
    figures += [Figure(key, str(n), fmt.plural(n, word)) for key, n, word in counts if n]
    if tally.tokens is not None:
        figures.append(Figure("tokens", fmt.count(tally.tokens), "tokens"))
    if tally.cost_usd is not None:
        figures.append(Figure("cost", fmt.usd(tally.cost_usd), ""))
    if errors:
        figures.append(Figure("errors", str(errors), fmt.plural(errors, "error")))
    return figures


def _why(run: CellRun | Trace, rows: Rows, origins: list[int]) -> tuple[str | None, int | None]:
    if run.status is Status.ERROR or (isinstance(run, CellRun) and run.success is False):
        cause = likely_cause(run, rows)
        if cause is not None:
            error = rows.spans[cause.row].error
            said = cause.reason if error is None else f"{labels.name(rows.spans[cause.row])}: {labels.failure(error)}"
            return f"{one_line(said, 4 * labels.NOTE_LIMIT)} · {cause.mark}", cause.row
    for row in origins:
        span = rows.spans[row]
        if span.error is not None:
            said, wrong = f"{labels.name(span)}: {labels.failure(span.error)}", misfit(rows, row)
            if wrong is not None:
                said += f" · the arguments do not fit the tool's schema: {wrong}"
            return one_line(said, 4 * labels.NOTE_LIMIT), row
    if isinstance(run, CellRun) and run.error is not None:
        return labels.failure(run.error), None
    return None, None
