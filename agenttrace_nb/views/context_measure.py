"""What external metrics were while agents ran, and while they did not. Figures only; nothing here says why."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import NS_PER_S, Status, Trace
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHOWN_SERIES = 6
"""So many series of a metric are drawn: those with the highest values."""

NAME_CHARS = 60
_OWN_COLUMNS = frozenset({"time", "value", "metric", "trace_id", "run_id", "joined"})
_NEEDED = ("time", "value")


@dataclass(frozen=True, slots=True)
class Line:
    """One series: times in nanoseconds since the Unix epoch, in order, and a finite value for each."""

    name: str
    times_ns: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(slots=True)
class Panel:
    """One external metric.

    Attributes
    ----------
    title
        What it is called.
    step_ns
        The time that a value stands for, up to its own.
    lines
        The series that are shown; ``left_out`` as many have lower values.
    joined
        How many values were joined to runs by which rule, where that is known.
    """

    title: str
    step_ns: int
    lines: list[Line]
    left_out: int = 0
    joined: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What a series was: the median and how many values, while runs were like this."""

    median: float
    count: int
    runs: int


@dataclass(frozen=True, slots=True)
class Coincidence:
    """A series beside the runs.

    Attributes
    ----------
    during
        By status of the runs: ``ok``, ``error`` and ``other``; absent where there is no value.
    between
        While no run was at work.
    highest
        The highest value, its time in nanoseconds, and the runs at that time.
    """

    line: Line
    during: Mapping[str, Found]
    between: Found | None
    highest: tuple[float, int, tuple[Trace, ...]]


def traces_of(runs: Any) -> list[Trace]:
    """Return the traces of runs, in order of time.

    Raises
    ------
    OptionError
        If something else is among them.
    """
    listed: list[Trace] = []
    for one in [runs] if isinstance(runs, Trace) or _of_run(runs) is not None else _listed("runs", runs):
        inside = [one] if isinstance(one, Trace) else _of_run(one)
        if inside is None:
            msg = f"runs: a {type(one).__name__} is not allowed in it; it must hold traces or runs (a TraceSet does)"
            raise OptionError(msg)
        listed += inside
    unique = {trace.trace_id: trace for trace in listed}
    return sorted(unique.values(), key=lambda trace: trace.start_ns)


def _of_run(one: Any) -> list[Trace] | None:
    inside = getattr(one, "traces", None)
    return list(inside) if isinstance(inside, (list, tuple)) else None


def _listed(name: str, given: Any) -> list[Any]:
    try:
        return list(given)
    except TypeError:
        raise OptionError(f"{name}: a {type(given).__name__} is not allowed; it must be a list") from None


def panels_of(metrics: Any) -> list[Panel]:
    """Return the panels for frames as `pull` gives them: one, a list of them, or by title.

    Raises
    ------
    OptionError
        If something else is among them.
    """
    if hasattr(metrics, "columns"):
        named: list[tuple[str | None, Any]] = [(None, metrics)]
    elif hasattr(metrics, "items"):
        named = [(str(title), frame) for title, frame in metrics.items()]
    else:
        named = [(None, frame) for frame in _listed("metrics", metrics)]
    return [_panel(title, frame) for title, frame in named]


def _panel(title: str | None, frame: Any) -> Panel:
    columns = getattr(frame, "columns", None)
    if columns is None or any(name not in columns for name in _NEEDED):
        msg = f"metrics: a {type(frame).__name__} is not allowed in it; it must hold frames as at.pull gives them"
        raise OptionError(f"{msg}, with the columns time and value")
    labels = [name for name in columns if name not in _OWN_COLUMNS]
    found: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    metrics = frame["metric"] if "metric" in columns else [""] * len(frame)
    rows = zip(_times_ns(frame), frame["value"], metrics, *(frame[name] for name in labels), strict=True)
    for at_ns, value, metric, *said in rows:
        if math.isfinite(value):
            key = (str(metric), *(str(text) if isinstance(text, str) else "" for text in said))
            found.setdefault(key, []).append((at_ns, float(value)))
    attrs = getattr(frame, "attrs", {})
    lines = [_line(key, labels, points, several=len({k[0] for k in found}) > 1) for key, points in found.items()]
    lines.sort(key=lambda line: max(line.values), reverse=True)
    known = title or str(attrs.get("query") or next((key[0] for key in found), "")) or "metric"
    joined = frame["joined"].value_counts().to_dict() if "joined" in columns else {}
    step_ns = round(float(attrs.get("step_s", 0)) * NS_PER_S)
    return Panel(
        one_line(known, 2 * NAME_CHARS), step_ns, lines[:SHOWN_SERIES], max(0, len(lines) - SHOWN_SERIES), joined
    )  # fmt: skip


def _times_ns(frame: Any) -> list[int]:
    import pandas as pd

    try:
        return [at.value for at in pd.to_datetime(frame["time"], utc=True)]
    except (ValueError, TypeError, AttributeError):
        raise OptionError("metrics: the column time must hold times, without gaps") from None


def _line(key: tuple[str, ...], labels: list[str], points: list[tuple[int, float]], *, several: bool) -> Line:
    metric, *said = key
    parts = [metric] if several else []
    parts += [f"{name} {value}" for name, value in zip(labels, said, strict=True) if value]
    points.sort()
    times, values = zip(*points, strict=True)
    return Line(one_line(", ".join(parts), NAME_CHARS), times, values)


# -------------------------------------------------------------------------------------------------- side by side


def state(trace: Trace) -> str:
    """Return how a run ended: ``ok``, ``error``, or ``other`` (stopped, or still at work)."""
    return trace.status.value if trace.status in (Status.OK, Status.ERROR) else "other"


def end_ns(trace: Trace) -> int:
    """Return when a run ended; for one that has not, the end of its last step that is known."""
    known = [span.end_ns for span in trace.spans if span.end_ns is not None]
    return trace.end_ns if trace.end_ns is not None else max([trace.start_ns, *known])


def coincidences(panel: Panel, traces: Sequence[Trace]) -> list[Coincidence]:
    """Return what each series was beside the runs."""
    return [_coincidence(line, panel.step_ns, traces) for line in panel.lines]


def _coincidence(line: Line, step_ns: int, traces: Sequence[Trace]) -> Coincidence:
    during: dict[str, list[float]] = {}
    met: dict[str, set[str]] = {}
    between: list[float] = []
    for at_ns, value in zip(line.times_ns, line.values, strict=True):
        present = at_work(traces, at_ns, step_ns)
        if not present:
            between.append(value)
        for kind in {state(trace) for trace in present}:
            during.setdefault(kind, []).append(value)
        for trace in present:
            met.setdefault(state(trace), set()).add(trace.trace_id)
    at, value = max(zip(line.times_ns, line.values, strict=True), key=lambda point: point[1])
    return Coincidence(
        line,
        {kind: Found(statistics.median(values), len(values), len(met[kind])) for kind, values in during.items()},
        Found(statistics.median(between), len(between), 0) if between else None,
        (value, at, tuple(at_work(traces, at, step_ns))),
    )


def at_work(traces: Iterable[Trace], at_ns: int, step_ns: int) -> list[Trace]:
    """Return the runs that were at work at a time, or in the step before it."""
    return [trace for trace in traces if trace.start_ns <= at_ns and end_ns(trace) >= at_ns - step_ns]


def range_of(run: Trace, line: Line, step_ns: int) -> tuple[float, float] | None:
    """Return the lowest and highest value of a series during a run; ``None`` if there is no value."""
    there = [
        value
        for at_ns, value in zip(line.times_ns, line.values, strict=True)
        if run.start_ns <= at_ns and end_ns(run) >= at_ns - step_ns
    ]
    return (min(there), max(there)) if there else None
