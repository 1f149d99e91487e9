"""The columns of a frame that a comparison needs, read from whatever holds them, as texts and figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale, metrics_of
from agenttrace_nb.analysis.comparison.span_table import by_trace, is_span_table
from agenttrace_nb.analysis.comparison.words import counted
from agenttrace_nb.analysis.trace_set import RETRY_OF
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store.around import WITHIN_TRACE
from agenttrace_nb.mlflow_store.scores import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

NOT_ENDED = ("cancelled", "interrupted", "running")
MOST_RUNS = 1_000_000
_ABOUT_THE_PLACE = ("trace_id", "run_id", "trial", "status", RETRY_OF)
_ABOUT_A_RUN = (*_ABOUT_THE_PLACE, WITHIN_TRACE, "arch", "case", "started_at")
_NO_FIGURE = 1e100  # no seconds, dollars or tokens; what is worked out of such figures would overflow


@dataclass(slots=True)
class Columns:
    """What is needed of a frame with one row for each trace.

    Attributes
    ----------
    metrics
        What is compared by.
    of
        The values of each column that is needed and there, as a list, or as an array of figures; what is null is
        ``None`` or NaN.
    length
        How many rows there are.
    by, case
        Columns that tell groups and cases apart; ``case`` is ``None`` where there is no such column.
    """

    metrics: list[Metric]
    of: dict[str, Any]
    length: int
    by: str
    case: str | None

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep some of the rows, of what tells where a run is from."""
        kept = rows.tolist()
        self.of = {name: [values[row] for row in kept] for name, values in self.of.items() if name in _ABOUT_THE_PLACE}
        self.length = len(kept)

    @property
    def statuses(self) -> list[str | None]:
        """How each ended, in our words."""
        given = self.of.get("status", [None] * self.length)
        known = {value: status_of(value) for value in set(given)}
        return [known[value] for value in given]

    @property
    def ids(self) -> list[str]:
        """The trace of each, else its run, else the number of the row."""
        pairs = zip(self.texts("trace_id"), self.texts("run_id"), strict=True)
        return [trace or run or f"row {at}" for at, (trace, run) in enumerate(pairs)]

    def texts(self, name: str | None) -> list[str | None]:
        """Return a column as texts, all of them unknown where there is no such column."""
        values = [None] * self.length if name is None else self.of.get(name, [None] * self.length)
        return [value.strip() or None if type(value) is str else text_of(value) for value in values]


def read_columns(frame: Any, by: str, case: str | None, metrics: Sequence[str] | str) -> Columns:
    """Read the columns that are needed; of spans, one row for each trace is gathered by the engine that holds them.

    Raises
    ------
    OptionError
        If it is no frame, a column is not there, or there are more runs than are compared at once.
    """
    import narwhals as nw

    try:
        table = nw.from_native(frame)
    except TypeError:
        msg = (
            f"traces is a {type(frame).__name__}; it must be traces, a set that at.search gives, "
            "or a frame (pandas, Polars, DuckDB and others)"
        )
        raise OptionError(msg) from None
    names = list(table.collect_schema().names())
    if is_span_table(names):
        table = by_trace(table, [name for name in (by, case) if name is not None and name in names])
        names = list(table.collect_schema().names())
    for what, name in (("by", by), ("case", case)):
        if name is not None and name not in names and not (what == "case" and case == "case"):
            msg = f"{what}={name!r}: there is no such tag or column; there are {', '.join(names)}."
            raise OptionError(msg + did_you_mean(name, names))
    taken = {by, *_ABOUT_A_RUN, *([case] if case else [])}
    chosen = metrics_of(metrics, names, taken)
    wanted = {c for m in chosen for c in m.columns} | {by, case, "success", *_ABOUT_THE_PLACE}
    table = table.select(*[name for name in names if name in wanted])
    if isinstance(table, nw.LazyFrame):
        table = table.head(MOST_RUNS + 1)
    data = table.collect() if isinstance(table, nw.LazyFrame) else table
    if len(data) > MOST_RUNS:
        msg = (
            f"there are more than {MOST_RUNS:,} runs, more than are compared at once: each is needed, since quantiles "
            "and distributions cannot be told from figures of whole cases; select some first, for example by time"
        )
        raise OptionError(msg)
    amounts = {c for m in chosen for c in m.columns} - {by, case, "success", "status"}
    of = {name: _figures(data[name]) if name in amounts else _listed(data[name]) for name in data.columns}
    return Columns(chosen, of, len(data), by, case if case in of else None)


def _figures(column: Any) -> Any:
    """Return a column as an array where it holds numbers, which is ten times as fast; NaN is null."""
    import narwhals as nw

    is_plain = column.dtype.is_integer() or column.dtype.is_float()
    return column.cast(nw.Float64).to_numpy().astype(float) if is_plain else _listed(column)


def _listed(column: Any) -> list[Any]:
    values, empty = column.to_list(), column.is_null()
    if not empty.any():
        return list(values)
    return [None if is_empty else value for value, is_empty in zip(values, empty.to_list(), strict=True)]


def text_of(value: Any) -> str | None:
    """Return a label as text; whole numbers alike, however they are held."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # whole numbers with gaps come as floats
    return str(value).strip() or None


def status_of(value: Any) -> str | None:
    """Return a status, also as MLflow writes it."""
    text = (text_of(value) or "").lower()
    return {"": None, "in_progress": "running"}.get(text, text)  # MLflow writes OK, ERROR, IN_PROGRESS


def _completed(statuses: list[str | None]) -> Values:
    for status in set(statuses):
        if status not in (None, "ok", "error", *NOT_ENDED):
            msg = f"column 'status' holds {status!r}; it must be ok, error, {', '.join(NOT_ENDED)} or unknown"
            raise OptionError(msg)
    return np.array([math.nan if status is None else float(status == "ok") for status in statuses])


def figures_of(metric: Metric, columns: Columns, notes: list[str]) -> Values:
    """Return the figures of a metric, NaN where they are unknown.

    Raises
    ------
    OptionError
        If a column holds what is no figure.
    """
    if metric.name == "completed":
        return _completed(columns.statuses)
    if metric.name == "success":
        return success_of(columns)
    names = metric.columns[:1] if metric.scale is Scale.PER_SUCCESS else metric.columns
    summed = sum((_numbers(columns.of[name], name) for name in names), np.zeros(columns.length))
    if metric.scale is Scale.RATIO:
        wrong = summed < 0
        if wrong.any():
            who = counted(int(wrong.sum()), "run has", "runs have")
            notes.append(f"{who} a negative {metric.label}: it counts as unknown")
        summed[wrong] = math.nan
    return summed


def success_of(columns: Columns) -> Values:
    """Return which runs succeeded: 1, 0 or NaN."""
    said = _numbers(columns.of["success"], "success")
    raised = np.array([status == "error" for status in columns.statuses])
    return np.where(np.isnan(said) & raised, 0.0, said)  # a run that raised did not succeed


def _numbers(values: Any, column: str) -> Values:
    """Return a column as numbers, of which those that can be no figure are unknown."""
    try:
        numbers = np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape != (len(values),):  # something is no number as it stands, or holds several
        numbers = np.array([_number(value, column) for value in values])
    numbers[~(np.abs(numbers) < _NO_FIGURE)] = math.nan
    return numbers


def _number(value: Any, column: str) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.nan
    except (TypeError, ValueError):
        said = number_of(value)
        if said is None:
            msg = f"column {column!r} holds {value!r}; to compare by it, it must hold numbers, or yes and no"
            raise OptionError(msg) from None
        return said
