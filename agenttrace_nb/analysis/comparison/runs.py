"""Runs as they are compared: read from traces or any frame, with everything that was left out and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.comparison.columns import (
    NOT_ENDED,
    Columns,
    figures_of,
    read_columns,
    success_of,
)
from agenttrace_nb.analysis.comparison.metrics import Metric, Scale, metrics_of
from agenttrace_nb.analysis.comparison.run_table import Labels, RunTable
from agenttrace_nb.analysis.comparison.scores import add_scores
from agenttrace_nb.analysis.comparison.words import counted
from agenttrace_nb.analysis.trace_set import RETRY_OF, TRACE_COLUMNS, TraceSet
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store.around import WITHIN_TRACE
from agenttrace_nb.spans import SpanKind, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_MOST_GROUPS = 20


@dataclass(slots=True)
class Runs:
    """All runs that are compared.

    Attributes
    ----------
    by
        The tag that tells the groups apart.
    metrics
        What they are compared by.
    groups
        Names of the groups, the baseline first.
    table
        The runs that ended, in order.
    notes
        What was left out, added up or taken together, each in a sentence.
    """

    by: str
    metrics: list[Metric]
    groups: list[str]
    table: RunTable
    notes: list[str]


def read_runs(traces: Any, by: str, metrics: Sequence[str] | str, case: str | None, baseline: str | None) -> Runs:
    """Return the runs of a set of traces or of a frame.

    Raises
    ------
    OptionError
        If there is nothing to compare, or an argument names what is not there.
    """
    for name, value in (("by", by), ("case", case)):
        if not (isinstance(value, str) and value) and not (name == "case" and value is None):
            msg = f"{name}={value!r} is not allowed; it must be the name of a tag or of a column"
            raise OptionError(msg)
    notes: list[str] = []
    frame = _frame_of(traces, by, case, notes)
    if frame is not traces:  # of traces, whose scores MLflow holds
        add_scores(frame, metrics)
    columns = read_columns(frame, by, case, metrics)
    chosen = _with_completed(columns, notes)
    table = _by_run(_table(columns, chosen, notes), columns, chosen, notes)
    table = _ended(_last_tries(table, columns, notes), notes).ordered()
    _say_repeated(table, notes)
    return Runs(by, chosen, _groups(table, by, baseline), table, notes)


# ------------------------------------------------------------------------------------------------------- any frame


def _frame_of(traces: Any, by: str, case: str | None, notes: list[str]) -> Any:
    if isinstance(traces, Trace):
        msg = "compare takes several traces, and this is one; at.search(...) gives a set"
        raise OptionError(msg)
    is_frame = (
        hasattr(type(traces), "columns") or hasattr(traces, "__narwhals_dataframe__") or hasattr(traces, "to_arrow")
    )
    if isinstance(traces, Iterable) and not isinstance(traces, (TraceSet, str)) and not is_frame:
        listed = list(traces)
        if not all(isinstance(t, Trace) for t in listed):
            other = next(t for t in listed if not isinstance(t, Trace))
            msg = f"traces holds a {type(other).__name__}; it must be traces, a set that at.search gives, or a frame"
            raise OptionError(msg)
        traces = TraceSet(listed)
    return _frame_of_traces(traces, by, case, notes) if isinstance(traces, TraceSet) else traces


def _frame_of_traces(traces: TraceSet, by: str, case: str | None, notes: list[str]) -> pd.DataFrame:
    if traces.truncated:
        notes.append(f"only the newest {len(traces)} traces were read, and there are more: raise limit= of at.search")
    frame = traces.traces()
    own = {name for name in (RETRY_OF, WITHIN_TRACE) if any(name in t.tags for t in traces)}
    for name in {by, case or by, *own} - set(TRACE_COLUMNS):
        frame[name] = [_label(t, name) for t in traces]
    partly = [_cost_is_partial(t) for t in traces]
    if any(partly):
        frame.loc[partly, "cost_usd"] = None
        who = counted(sum(partly), "run has calls without a price: its", "runs have calls without a price: their")
        notes.append(f"{who} cost is unknown, not the sum of the rest")
    return frame


def _label(trace: Trace, name: str) -> str | None:
    if name in trace.tags:
        return trace.tags[name]
    if name == "model":
        return " + ".join(sorted({s.model for s in trace.spans if s.kind is SpanKind.LLM and s.model})) or None
    value = getattr(trace, name, None) if name in ("session", "user", "name") else trace.metadata.get(name)
    return None if value is None else str(value)


def _cost_is_partial(trace: Trace) -> bool:
    calls = [s for s in trace.spans if s.kind is SpanKind.LLM and s.output_tokens is not None]
    return any(s.cost_usd is None for s in calls) and any(s.cost_usd is not None for s in calls)


def _with_completed(columns: Columns, notes: list[str]) -> list[Metric]:
    """Return the metrics; where nobody said of any run whether it succeeded, completing stands in for success."""
    if not columns.length:
        msg = "there are no runs to compare; at.search(...) says what there is"
        raise OptionError(msg)
    asked = {m.name: m for m in columns.metrics}
    is_said = "success" not in asked or any(value is not None for value in columns.of["success"])
    if is_said or not any(status is not None for status in columns.statuses):
        return columns.metrics
    stands_in = metrics_of("completed", ("status",), ())[0]
    notes.append("success was not said of any run; shown is which completed without error instead")
    return list({m.name: m for m in (stands_in if m.name == "success" else m for m in columns.metrics)}.values())


def _table(columns: Columns, metrics: list[Metric], notes: list[str]) -> RunTable:
    """Return a row for each trace whose group is known."""
    figures = {m.name: figures_of(m, columns, notes) for m in metrics}
    if "success" in columns.of and "success" not in figures:
        figures["success"] = success_of(columns)
    group, case, trial = (Labels.of(columns.texts(name)) for name in (columns.by, columns.case, "trial"))
    whole = RunTable(group, case, trial, Labels.of(columns.statuses), np.array(columns.ids, dtype=object), figures)
    rows = np.flatnonzero(group.codes >= 0)
    if not rows.size:
        msg = (
            f"by={columns.by!r}: no run has this tag; run with %%trace_agents --{columns.by} NAME, or name another tag"
        )
        raise OptionError(msg)
    if gone := columns.length - rows.size:
        by = columns.by
        notes.append(counted(gone, f"run has no {by} and is left out", f"runs have no {by} and are left out"))
        columns.keep(rows)
    return whole.only(rows)


# ---------------------------------------------------------------------------------------------------- whole runs


def _by_run(table: RunTable, columns: Columns, metrics: list[Metric], notes: list[str]) -> RunTable:
    """Add up the traces of one run."""
    run_ids = columns.texts("run_id")
    if len({one for one in run_ids if one is not None}) == len(run_ids):
        return table
    rows_of: dict[tuple[int, str], list[int]] = {}
    for row, (group, run_id) in enumerate(zip(table.group.codes.tolist(), run_ids, strict=True)):
        if run_id is not None:
            rows_of.setdefault((group, run_id), []).append(row)
    several = [rows for rows in rows_of.values() if len(rows) > 1]
    rates = {m.name for m in metrics if m.scale is Scale.RATE} | {"success"}
    for first, *others in several:
        for name, of in table.figures.items():
            add = _adding_rates if name in rates else float.__add__  # unknown and something is unknown
            of[first] = reduce(add, of[[first, *others]].tolist())
        bad = [row for row in others if table.status[row] != "ok"]
        table.status.codes[first] = table.status.codes[bad[-1] if bad else first]
        table.more[str(table.ids[first])] = [str(table.ids[row]) for row in (first, *others)]
    if not several:
        return table
    who = counted(len(several), "run has several traces: its", "runs have several traces each: their")
    notes.append(f"{who} figures were added up")
    kept = np.setdiff1d(np.arange(len(table)), [row for _, *others in several for row in others])
    columns.keep(kept)
    return table.only(kept)


def _adding_rates(a: float, b: float) -> float:
    """Success is said of the run, so it is the same in all its traces; a run completed if all of them did."""
    return b if math.isnan(a) else a if math.isnan(b) else min(a, b)


def _last_tries(table: RunTable, columns: Columns, notes: list[str]) -> RunTable:
    """Leave out what was made again because of a rate limit."""
    again = {one for said in columns.texts(RETRY_OF) if said is not None for one in said.split()}
    if not again:
        return table
    kept = np.array([row for row in range(len(table)) if again.isdisjoint(table.traces(row))], dtype=np.int64)
    if gone := len(table) - kept.size:
        who = counted(gone, "run met a rate limit and was", "runs met a rate limit and were")
        notes.append(f"{who} made again: the last time counts")
    return table.only(kept)


def _ended(table: RunTable, notes: list[str]) -> RunTable:
    counts = {name: int((table.status.codes == code).sum()) for code, name in enumerate(table.status.names)}
    how = {name: count for name, count in counts.items() if name in NOT_ENDED and count}
    if not how:
        return table
    gone = sum(how.values())
    said = ", ".join(f"{count} {status}" for status, count in how.items())
    who, left = counted(gone, "run did not come to its", "runs did not come to their"), "is" if gone == 1 else "are"
    notes.append(f"{who} end ({said}) and {left} left out")
    out = [table.status.names.index(name) for name in how]
    return table.only(np.flatnonzero(~np.isin(table.status.codes, out)))


def _say_repeated(table: RunTable, notes: list[str]) -> None:
    repeated = table.repeated().tolist()
    named = [row for row in repeated if table.trial[row] is not None]
    if named:
        group, case, trial = (column[named[0]] for column in (table.group, table.case, table.trial))
        more = f" and {counted(len(named) - 1, 'other', 'others')}" if len(named) > 1 else ""
        were = "were" if more else "was"
        notes.append(
            f"case {case}, trial {trial} of {group}{more} {were} recorded more than once: each counts as a trial"
        )
    if bare := len({table.case[row] for row in repeated if table.trial[row] is None}):
        who = counted(bare, "case was", "cases were")
        notes.append(f"{who} run more than once without the number of a trial: each run counts as a trial")


def _groups(table: RunTable, by: str, baseline: str | None) -> list[str]:
    groups = [table.group.names[code] for code in np.unique(table.group.codes)]
    if baseline is not None and str(baseline) not in groups:
        msg = f"baseline={baseline!r} is not there; {by} is one of {', '.join(groups)}."
        raise OptionError(msg + did_you_mean(str(baseline), groups))
    if len(groups) < 2:  # noqa: PLR2004 - a comparison has two sides
        only = f"all have {by} {groups[0]}" if groups else "none of them came to its end"
        msg = f"there is nothing to compare: of {len(table)} runs {only}; by= may name another tag"
        raise OptionError(msg)
    if len(groups) > _MOST_GROUPS:
        msg = (
            f"by={by!r} has {len(groups)} values, more than the {_MOST_GROUPS} that can be compared at once; "
            "select some of them first"
        )
        raise OptionError(msg)
    return sorted(groups, key=lambda group: (group != str(baseline), group)) if baseline is not None else groups
