"""Errors by two things at once: how many runs have one in each cell, of how many that could."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.attribution import attribute_failure
from agenttrace_nb.analysis.statistics.proportions import wilson
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store.feedback import Report
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    import pandas as pd

    from agenttrace_nb.spans import Span, Trace

UNKNOWN = "–"
GONE = "(a span that is gone)"
COLUMNS = ("row", "column", "runs", "of", "rate", "low", "high")


@dataclass(slots=True, frozen=True)
class Fault:
    """One error of one run: a report, or the cause that was found; and where."""

    trace: Trace
    span: Span | None
    category: str | None = None
    side: str | None = None
    rule: str | None = None
    gone: bool = False


@dataclass(slots=True, frozen=True)
class Cell:
    """One cell: the runs with such an error, and how many of its row there are."""

    runs: tuple[str, ...]
    of: int

    @property
    def rate(self) -> float | None:
        """Share of the runs of its row; ``None`` where that has none."""
        return len(self.runs) / self.of if self.of else None


@dataclass(slots=True)
class Counted:
    """What a heatmap shows: its rows and columns in order, and its cells."""

    rows: list[str]
    columns: list[str]
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """Return one row for each cell."""
        import pandas as pd

        listed = []
        for (row, column), cell in self.cells.items():
            low, high = wilson(len(cell.runs), cell.of) if cell.of else (None, None)
            listed.append((row, column, len(cell.runs), cell.of, cell.rate, low, high))
        frame = pd.DataFrame(listed, columns=list(COLUMNS))
        return frame.astype({"row": "string", "column": "string", "runs": "Int64", "of": "Int64", "rate": "Float64",
                             "low": "Float64", "high": "Float64"})  # fmt: skip


def check_axis(name: str, axis: str) -> str:
    """Return an axis if there is such a one.

    Raises
    ------
    OptionError
        If there is not; the message lists them.
    """
    if axis not in AXES:
        msg = (
            f"{name}={axis!r} is not allowed; it must be one of {', '.join(AXES)}.{did_you_mean(str(axis), list(AXES))}"
        )
        raise OptionError(msg)
    return axis


def count(traces: Iterable[Trace], faults: Iterable[Fault], *, rows: str, columns: str) -> Counted:
    """Count the runs with an error in each cell, and how many runs each row has."""
    by_row, by_column = AXES[rows], AXES[columns]
    of: dict[str, set[str]] = defaultdict(set)
    hit: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trace in traces:
        for value in by_row.every(trace):
            of[value].add(trace.trace_id)
    for fault in faults:
        row, column = by_row.one(fault), by_column.one(fault)
        of[row].add(fault.trace.trace_id)
        if fault.trace.trace_id not in hit[row, column]:
            hit[row, column].append(fault.trace.trace_id)
    shown_rows = sorted({row for row, _ in hit}, key=lambda r: by_row.order(r, hit, 0))
    shown_columns = sorted({column for _, column in hit}, key=lambda c: by_column.order(c, hit, 1))
    found = Counted(shown_rows, shown_columns)
    for row in shown_rows:
        for column in shown_columns:
            found.cells[row, column] = Cell(tuple(hit.get((row, column), ())), len(of[row]))
    return found


# --------------------------------------------------------------------------------------------------------- the axes


@dataclass(slots=True, frozen=True)
class Axis:
    """A way to sort errors: where one belongs, and what of it a run has at all."""

    one: Callable[[Fault], str]
    every: Callable[[Trace], Iterable[str]]
    in_order: bool = False

    def order(self, value: str, hit: Mapping[tuple[str, str], list[str]], side: int) -> tuple[Any, ...]:
        """Return what values are sorted by: days and steps as they come, all else by how many runs it has."""
        if self.in_order:
            return (value == UNKNOWN, int(value) if value.isdigit() else 0, value)
        return (-sum(len(runs) for key, runs in hit.items() if key[side] == value), value)


def _agent(fault: Fault) -> str:
    return GONE if fault.gone else (fault.span.agent if fault.span is not None else None) or UNKNOWN


def _tool(fault: Fault) -> str:
    if fault.gone:
        return GONE
    return fault.span.name if fault.span is not None and fault.span.kind is SpanKind.TOOL else UNKNOWN


def _step(fault: Fault) -> str:
    if fault.span is None:
        return UNKNOWN
    started = fault.span.start_ns
    return str(max(0, sum(message.span.start_ns <= started for message in fault.trace.messages) - 1))


def _error_type(fault: Fault) -> str:
    error = fault.span.error if fault.span is not None else None
    return (error.type if error is not None else None) or UNKNOWN


def _day(trace: Trace) -> str:
    return trace.started_at.date().isoformat() if trace.start_ns > 0 else UNKNOWN


def _tag(name: str) -> Callable[[Trace], str]:
    return lambda trace: trace.tags.get(name) or UNKNOWN


def _of_trace(value: Callable[[Trace], str], *, in_order: bool = False) -> Axis:
    return Axis(lambda fault: value(fault.trace), lambda trace: (value(trace),), in_order)


def _every_run(_: Trace) -> Iterable[str]:
    return ()


AXES: dict[str, Axis] = {
    "agent": Axis(_agent, lambda trace: {s.agent for s in trace.spans if s.agent}),
    "tool": Axis(_tool, lambda trace: {s.name for s in trace.spans if s.kind is SpanKind.TOOL}),
    "step": Axis(_step, lambda trace: map(str, range(len(trace.messages))), in_order=True),
    "arch": _of_trace(_tag("arch")),
    "case": _of_trace(_tag("case")),
    "day": _of_trace(_day, in_order=True),
    "category": Axis(lambda fault: fault.category or UNKNOWN, _every_run),
    "side": Axis(lambda fault: fault.side or UNKNOWN, _every_run),
    "rule": Axis(lambda fault: fault.rule or UNKNOWN, _every_run),
    "error_type": Axis(_error_type, _every_run),
}


# --------------------------------------------------------------------------------------------- where errors come from


def found_causes(traces: Iterable[Trace]) -> list[Fault]:
    """Return the likely cause of each run in which there is one, by the rules of `attribute_failure`."""
    found = []
    for trace in traces:
        top = attribute_failure(trace).top
        if top is not None:
            span = next((s for s in trace.spans if s.span_id == top.span_id), None)
            found.append(Fault(trace, span, category=top.side.value, side=top.side.value, rule=top.rule))
        elif trace.status is Status.ERROR:
            found.append(Fault(trace, trace.root, category="undetermined", side="undetermined"))
    return found


def reported(traces: Iterable[Trace], reports: Iterable[Report]) -> list[Fault]:
    """Return the errors that were reported of these traces; ratings are no errors, bad ones excepted."""
    by_id = {trace.trace_id: trace for trace in traces}
    found = []
    for report in reports:
        trace = by_id.get(report.trace_id)
        category = report.category or ("rated as wrong" if report.ok is False else None)
        if trace is None or category is None:
            continue
        span = next((s for s in trace.spans if s.span_id == report.span_id), None) if report.span_id else None
        found.append(Fault(trace, span, category=category, gone=report.span_id is not None and span is None))
    return found


def reports_from(given: Any) -> list[Report]:
    """Return reports from a CSV file, a frame of any library that Narwhals knows, mappings or `Report` objects.

    Raises
    ------
    OptionError
        If it is none of these, or ``trace_id`` or ``category`` is missing.
    """
    if isinstance(given, str | Path):
        import pandas as pd

        given = pd.read_csv(given, dtype=str)
    listed = given if isinstance(given, list | tuple) else _rows(given)
    return [one if isinstance(one, Report) else _report(at, one) for at, one in enumerate(listed)]


def _rows(frame: Any) -> list[dict[str, Any]]:
    import narwhals as nw

    try:
        known = nw.from_native(frame)
    except TypeError:
        msg = f"reports={type(frame).__name__} is not allowed; it must be a frame, the path of a CSV file, or a list"
        raise OptionError(msg) from None
    return (known.collect() if isinstance(known, nw.LazyFrame) else known).rows(named=True)


def _report(at: int, row: Any) -> Report:
    if not isinstance(row, Mapping) or any(_text(row.get(name)) is None for name in ("trace_id", "category")):
        has = ", ".join(map(str, row)) if isinstance(row, Mapping) else type(row).__name__
        msg = f"reports: row {at} has no trace_id or no category; it has {has or 'nothing'}"
        raise OptionError(msg)
    texts: dict[str, Any] = {name: _text(row.get(name)) for name in ("span_id", "category", "comment", "user")}
    return Report(trace_id=str(row["trace_id"]).removeprefix("tr-"), **texts)


def _text(value: Any) -> str | None:
    return None if value is None or value != value or str(value).strip() == "" else str(value)  # noqa: PLR0124 - NaN
