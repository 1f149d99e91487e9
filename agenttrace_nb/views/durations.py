"""`durations`: how long runs, agents, tools and models took, as a table and as pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.durations import STEPS, Duration, QuantileRow, collect, quantile_rows
from agenttrace_nb.analysis.mean_steps import MeanStep, mean_steps
from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.spans import NS_PER_S, Trace
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

_CHARTS = ("groups", "ecdf", "histogram", "over_time", "waterfall")


def durations(traces: Any, *, by: str = "arch") -> Durations:
    """Show how long runs took, or their agents, tools or models: quantiles with intervals, and their distribution.

    A quantile has an interval only where there are cases enough for one: from 6 (p50), 59 (p95) and 299 (p99). Where a
    case has several values, as with trials or repeated calls, cases are drawn anew with all their values.

    Parameters
    ----------
    traces
        What `agenttrace_nb.search` or `agenttrace_nb.run_cases` gives, or traces.
    by
        ``agent``, ``tool`` or ``model`` for steps; else a tag of the runs, whose whole duration is taken.

    Returns
    -------
    Durations
        It shows itself; ``.table`` has the quantiles, ``.slowest()`` and ``.runs()`` lead to the runs.

    Raises
    ------
    OptionError
        If there are no traces, or none has such a step or tag.

    Examples
    --------
    >>> durations(search(experiment="desk"), by="tool").chart("ecdf")  # doctest: +SKIP
    """
    listed = list(traces) if isinstance(traces, Iterable) and not isinstance(traces, (str, Trace)) else []
    if not listed or not all(isinstance(t, Trace) for t in listed):
        msg = "traces must be several traces, such as at.search(...) gives; there is none in what was given"
        raise OptionError(msg)
    return Durations(by, collect(listed, by), traces if isinstance(traces, TraceSet) else TraceSet(listed))


class Durations:
    """What `durations` found.

    Attributes
    ----------
    by
        What it was grouped by.
    found
        Every duration.
    """

    def __init__(self, by: str, found: list[Duration], traces: TraceSet) -> None:
        self.by = by
        self.found = found
        self._traces = traces

    @cached_property
    def rows(self) -> list[QuantileRow]:
        """Quantiles of each group, the slowest group first."""
        return quantile_rows(self.found)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each group and quantile: ``count``, ``cases``, ``p``, ``value``, ``low``, ``high``; seconds."""
        import pandas as pd

        fields = ("group", "count", "cases", "p", "value", "low", "high")
        frame = pd.DataFrame([{name: getattr(row, name) for name in fields} for row in self.rows])
        return frame.astype(dict.fromkeys(("value", "low", "high"), "Float64")).rename(columns={"group": self.by})

    @cached_property
    def mean_steps(self) -> pd.DataFrame:
        """The steps of a mean run, a row for each: what the waterfall draws.

        Columns: the tag (``all runs`` where they are not grouped by one), ``kind``, ``name``, ``agent``, ``nth`` (which
        of that name in its run), ``runs`` that have it, ``of`` so many, mean ``start_s`` and ``duration_s`` over those.
        """
        import pandas as pd

        fields = ("kind", "name", "agent", "nth", "runs", "of", "start_s", "duration_s")
        listed = [
            {"group": group, **{name: getattr(step, name) for name in fields}, "kind": step.kind.value}
            for group, steps in self._mean_runs().items()
            for step in steps
        ]
        return pd.DataFrame(listed, columns=["group", *fields]).rename(columns={"group": self.by})

    def _mean_runs(self) -> dict[str, list[MeanStep]]:
        if self.by in STEPS:
            return {"all runs": mean_steps(self._traces)}
        of: dict[str, list[Trace]] = {row.group: [] for row in self.rows}
        for trace in self._traces:
            if (group := trace.tags.get(self.by)) in of:
                of[group].append(trace)
        return {group: mean_steps(traces) for group, traces in of.items()}

    def slowest(self, n: int = 10) -> pd.DataFrame:
        """Return the slowest ones, with the trace and span to look at."""
        import pandas as pd

        top = sorted(self.found, key=lambda one: -one.seconds)[:n]
        fields = ("group", "case", "seconds", "trace_id", "span_id")
        frame = pd.DataFrame([{name: getattr(one, name) for name in fields} for one in top])
        return frame.rename(columns={"group": self.by})

    def runs(self, group: str | None = None, n: int = 10) -> TraceSet:
        """Return the runs with the slowest ones, slowest first; they show themselves as a list to open them from.

        Parameters
        ----------
        group
            One of the groups: of an agent, a tool, a model or a tag; all of them by default.
        n
            How many runs at most.

        Raises
        ------
        OptionError
            If there is no such group.
        """
        groups = [row.group for row in self.rows]
        if group is not None and group not in groups:
            msg = f"group={group!r} is not there; there are {', '.join(dict.fromkeys(groups))}."
            raise OptionError(msg + did_you_mean(str(group), groups))
        of = [one for one in self.found if group in (None, one.group)]
        slowest = dict.fromkeys(one.trace_id for one in sorted(of, key=lambda one: -one.seconds))
        return self._traces.only(list(slowest)[:n])

    def chart(self, kind: str = "groups") -> alt.TopLevelMixin:
        """Return an Altair chart.

        Parameters
        ----------
        kind
            ``groups`` (quantiles with intervals), ``ecdf``, ``histogram``, ``over_time``, or ``waterfall``: the steps
            of a mean run, for each value of the tag.

        Raises
        ------
        OptionError
            If there is no such chart.
        """
        from agenttrace_nb.analysis.pictures import as_picture
        from agenttrace_nb.views import durations_chart, waterfall_chart

        if kind not in _CHARTS:
            msg = f"chart {kind!r} does not exist; there are {', '.join(_CHARTS)}.{did_you_mean(str(kind), _CHARTS)}"
            raise OptionError(msg)
        if kind == "waterfall":
            drawn = waterfall_chart.waterfall(self._mean_runs())
        else:
            drawn = getattr(durations_chart, kind)(self)
        chart: alt.TopLevelMixin = as_picture(drawn)
        return chart

    def over_time(self, bins: int = 12) -> list[tuple[datetime, str, QuantileRow]]:
        """Return the median of each group in stretches of time with equally many of its durations each."""
        found = []
        for group in dict.fromkeys(row.group for row in self.rows):
            of = sorted((one for one in self.found if one.group == group), key=lambda one: one.start_ns)
            for part in np.array_split(np.arange(len(of)), max(min(bins, len(of) // 6), 1)):
                held = [of[i] for i in part]
                middle = held[len(held) // 2].start_ns
                found.append((datetime.fromtimestamp(middle / NS_PER_S, UTC), group, quantile_rows(held)[0]))
        return found

    def __repr__(self) -> str:
        """Return the table as text."""
        lines = [f"{self.by:<30} {'count':>6} {'cases':>6}  p50 · p95 · p99, with 95 % intervals"]
        for start in range(0, len(self.rows), 3):
            three = self.rows[start : start + 3]
            said = " · ".join(_quantile(row) for row in three)
            lines.append(f"{one_line(three[0].group, 30):<30} {three[0].count:>6} {three[0].cases:>6}  {said}")
        return "\n".join(lines)

    def _ipython_display_(self) -> None:
        from agenttrace_nb.views import notebook

        notebook.write_text(repr(self))
        if notebook.in_kernel(notebook.shell()):
            notebook.quietly("the picture of durations", self._show_picture)

    def _show_picture(self) -> None:
        from IPython.display import display

        display(self.chart())


def _quantile(row: QuantileRow) -> str:
    if math.isnan(row.value):
        return "too few"
    if math.isnan(row.low):
        return f"{fmt.seconds(row.value)} (too few for an interval)"
    return f"{fmt.seconds(row.value)} ({fmt.seconds(row.low)} to {fmt.seconds(row.high)})"
