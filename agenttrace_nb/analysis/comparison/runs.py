"""Runs as they are compared: read from traces or any frame, with everything that was left out and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.comparison.columns import (
    NOT_ENDED,
    RETRY_OF,
    Columns,
    figures_of,
    read_columns,
    status_of,
    success_of,
)
from agenttrace_nb.analysis.comparison.metrics import Metric, Scale, metrics_of
from agenttrace_nb.analysis.comparison.scores import add_scores
from agenttrace_nb.analysis.comparison.words import counted
from agenttrace_nb.analysis.trace_set import TRACE_COLUMNS, TraceSet
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store.around import WITHIN_TRACE
from agenttrace_nb.spans import SpanKind, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

_MOST_GROUPS = 20


@dataclass(slots=True)
class Run:
    """One run: its group, its case, and what is known of it. What is not known is NaN."""

    group: str
    case: str | None
    trial: str | None
    status: str | None
    traces: list[str]
    figures: dict[str, float]


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
    runs
        The runs that ended.
    notes
        What was left out, added up or taken together, each in a sentence.
    """

    by: str
    metrics: list[Metric]
    groups: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    runs = Runs(by, columns.metrics, notes=notes)
    rows = _rows(columns, runs)
    runs.runs = _ended(_last_tries(_by_run(rows, runs), columns, runs), runs)
    # An engine gives its rows in any order; what is drawn at random must not depend on it.
    runs.runs.sort(key=lambda run: (run.group, run.case or "", run.trial or "", run.traces))
    _say_repeated(runs)
    runs.groups = _groups(runs, baseline)
    return runs


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


def _rows(columns: Columns, into: Runs) -> list[tuple[str | None, Run]]:
    """Return the id and the content of each row whose group is known."""
    if not columns.length:
        msg = "there are no runs to compare; at.search(...) says what there is"
        raise OptionError(msg)
    trials, run_ids, ids = (columns.texts(name) for name in ("trial", "run_id", "trace_id"))
    groups, cases = columns.texts(columns.by), columns.texts(columns.case)
    columns.of["status"] = statuses = [status_of(value) for value in columns.of.get("status", [None] * len(groups))]
    figures = {m.name: figures_of(m, columns, into.notes) for m in _with_completed(columns, into)}
    if "success" in columns.of and "success" not in figures:
        figures["success"] = success_of(columns)
    each = [dict(zip(figures, of, strict=True)) for of in zip(*(f.tolist() for f in figures.values()), strict=True)]
    found = [
        (run_ids[i], Run(group, cases[i], trials[i], statuses[i], [ids[i] or run_ids[i] or f"row {i}"], each[i]))
        for i, group in enumerate(groups)
        if group is not None
    ]
    if not found:
        msg = (
            f"by={columns.by!r}: no run has this tag; run with %%trace_agents --{columns.by} NAME, or name another tag"
        )
        raise OptionError(msg)
    if len(found) < columns.length:
        gone, by = columns.length - len(found), columns.by
        into.notes.append(counted(gone, f"run has no {by} and is left out", f"runs have no {by} and are left out"))
    return found


def _with_completed(columns: Columns, into: Runs) -> list[Metric]:
    """Return the metrics; where nobody said of any run whether it succeeded, completing stands in for success."""
    asked = {m.name for m in into.metrics}
    if (
        "success" in asked
        and all(v is None for v in columns.of["success"])
        and any(s is not None for s in columns.of["status"])
    ):
        stands_in = metrics_of("completed", columns.of, ())[0]
        into.metrics = list(
            {m.name: m for m in [stands_in if m.name == "success" else m for m in into.metrics]}.values()
        )
        into.notes.append("success was not said of any run; shown is which completed without error instead")
    return into.metrics


# ---------------------------------------------------------------------------------------------------- whole runs


def _by_run(rows: list[tuple[str | None, Run]], into: Runs) -> list[Run]:
    """Add up the traces of one run."""
    whole: dict[tuple[str, str], Run] = {}
    found: list[Run] = []
    several: set[str] = set()
    add = {m.name: _adding(m) for m in into.metrics} | {"success": _adding_rates}
    for run_id, row in rows:
        first = whole.get((row.group, run_id)) if run_id else None
        if first is None:
            found.append(row)
            if run_id:
                whole[row.group, run_id] = row
            continue
        several.add(str(run_id))
        first.traces += row.traces
        first.figures = {name: add[name](first.figures[name], value) for name, value in row.figures.items()}
        if row.status != "ok":
            first.status = row.status
    if several:
        who = counted(len(several), "run has several traces: its", "runs have several traces each: their")
        into.notes.append(f"{who} figures were added up")
    return found


def _adding(metric: Metric) -> Callable[[float, float], float]:
    return _adding_rates if metric.scale is Scale.RATE else float.__add__  # unknown and something is unknown


def _adding_rates(a: float, b: float) -> float:
    """Success is said of the run, so it is the same in all its traces; a run completed if all of them did."""
    return b if math.isnan(a) else a if math.isnan(b) else min(a, b)


def _last_tries(runs: list[Run], columns: Columns, into: Runs) -> list[Run]:
    """Leave out what was made again because of a rate limit."""
    again = {one for said in columns.of.get(RETRY_OF, ()) if said is not None for one in str(said).split()}
    kept = [run for run in runs if again.isdisjoint(run.traces)]
    if len(kept) < len(runs):
        who = counted(len(runs) - len(kept), "run met a rate limit and was", "runs met a rate limit and were")
        into.notes.append(f"{who} made again: the last time counts")
    return kept


def _ended(runs: list[Run], into: Runs) -> list[Run]:
    kept = [run for run in runs if run.status not in NOT_ENDED]
    if len(kept) < len(runs):
        how = Counter(run.status for run in runs if run.status in NOT_ENDED)
        said = ", ".join(f"{count} {status}" for status, count in sorted(how.items(), key=str))
        gone = len(runs) - len(kept)
        who, left = counted(gone, "run did not come to its", "runs did not come to their"), "is" if gone == 1 else "are"
        into.notes.append(f"{who} end ({said}) and {left} left out")
    return kept


def _say_repeated(into: Runs) -> None:
    known = Counter((run.group, run.case, run.trial) for run in into.runs if run.case is not None)
    repeated = [key for key, count in known.items() if count > 1]
    named = [key for key in repeated if key[2] is not None]
    if named:
        group, case, trial = named[0]
        more = f" and {counted(len(named) - 1, 'other', 'others')}" if len(named) > 1 else ""
        were = "were" if more else "was"
        into.notes.append(
            f"case {case}, trial {trial} of {group}{more} {were} recorded more than once: each counts as a trial"
        )
    if bare := len({case for _, case, trial in repeated if trial is None}):
        who = counted(bare, "case was", "cases were")
        into.notes.append(f"{who} run more than once without the number of a trial: each run counts as a trial")


def _groups(runs: Runs, baseline: str | None) -> list[str]:
    groups = sorted({run.group for run in runs.runs})
    if baseline is not None and str(baseline) not in groups:
        msg = f"baseline={baseline!r} is not there; {runs.by} is one of {', '.join(groups)}."
        raise OptionError(msg + did_you_mean(str(baseline), groups))
    if len(groups) < 2:  # noqa: PLR2004 - a comparison has two sides
        only = f"all have {runs.by} {groups[0]}" if groups else "none of them came to its end"
        msg = f"there is nothing to compare: of {len(runs.runs)} runs {only}; by= may name another tag"
        raise OptionError(msg)
    if len(groups) > _MOST_GROUPS:
        msg = (
            f"by={runs.by!r} has {len(groups)} values, more than the {_MOST_GROUPS} that can be compared at once; "
            "select some of them first"
        )
        raise OptionError(msg)
    return sorted(groups, key=lambda group: (group != str(baseline), group)) if baseline is not None else groups
