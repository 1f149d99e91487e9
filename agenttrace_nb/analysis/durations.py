"""How long runs and steps took, over many traces: quantiles with the intervals that so many cases allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agenttrace_nb.analysis.statistics.bootstrap import bootstrap_quantile
from agenttrace_nb.analysis.statistics.quantiles import quantile, smallest_n
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agenttrace_nb.spans import Span, Trace

QUANTILES = (0.5, 0.95, 0.99)
STEPS = {"agent": SpanKind.AGENT, "tool": SpanKind.TOOL, "model": SpanKind.LLM}


@dataclass(frozen=True, slots=True)
class Duration:
    """One duration: of a run, or of a step in it. ``case`` is the trace itself where it has none."""

    group: str
    case: str
    seconds: float
    start_ns: int
    trace_id: str
    span_id: str | None = None


@dataclass(frozen=True, slots=True)
class QuantileRow:
    """A quantile of one group; without an interval, and beyond the median without a value, where cases are too few."""

    group: str
    count: int
    cases: int
    p: float
    value: float
    low: float
    high: float


def collect(traces: Iterable[Trace], by: str) -> list[Duration]:
    """Return durations: of agents, tools or models, or of whole runs by a tag. What did not end has none.

    Raises
    ------
    OptionError
        If no trace has the tag.
    """
    listed = list(traces)
    found = [one for trace in listed for one in _of(trace, by)]
    if not found:
        known = sorted({*STEPS, *(name for trace in listed for name in trace.tags)})
        msg = f"by={by!r}: no trace of {len(listed)} has such a step or tag that ended; there are {', '.join(known)}."
        raise OptionError(msg + did_you_mean(by, known))
    return found


def _of(trace: Trace, by: str) -> Iterator[Duration]:
    case = trace.tags.get("case") or trace.trace_id
    if by not in STEPS:
        if trace.duration_s is not None and (group := trace.tags.get(by)):
            yield Duration(group, case, trace.duration_s, trace.start_ns, trace.trace_id)
        return
    for span in trace.spans:
        if span.kind is STEPS[by] and span.duration_s is not None:
            yield Duration(_name(span, by), case, span.duration_s, span.start_ns, trace.trace_id, span.span_id)


def _name(span: Span, by: str) -> str:
    return (span.model if by == "model" else None) or span.name


def quantile_rows(durations: Sequence[Duration], level: float = 0.95) -> list[QuantileRow]:
    """Return the quantiles of each group, the slowest group first."""
    of: dict[str, dict[str, list[float]]] = {}
    for one in durations:
        of.setdefault(one.group, {}).setdefault(one.case, []).append(one.seconds)
    medians = {group: float(np.median(np.concatenate([*cases.values()]))) for group, cases in of.items()}
    return [
        _row(group, [np.array(values) for values in of[group].values()], p, level)
        for group in sorted(of, key=lambda g: (-medians[g], g))
        for p in QUANTILES
    ]


def _row(group: str, of_cases: list[np.ndarray], p: float, level: float) -> QuantileRow:
    values = np.concatenate(of_cases)
    value = low = high = math.nan
    if len(of_cases) >= smallest_n(p, level):
        is_single = values.size == len(of_cases)  # several values of one case are not independent
        value, low, high = quantile(values, p, level) if is_single else bootstrap_quantile(of_cases, p, level=level)
    elif p == QUANTILES[0]:
        value = float(np.median(values))
    return QuantileRow(group, values.size, len(of_cases), p, value, low, high)
