"""`compare`: is one architecture really better than another, and how to see it."""

from __future__ import annotations

import math
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.analysis.comparison.metrics import DEFAULT
from agenttrace_nb.analysis.comparison.words import word_of
from agenttrace_nb.analysis.search import stored
from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.views import comparison_text
from agenttrace_nb.views.comparison_cases import case_records
from agenttrace_nb.views.comparison_runs import cases_of, trace_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import altair as alt
    import pandas as pd

    from agenttrace_nb.analysis.comparison import Findings, Verdict

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TYPES = {bool: "boolean", int: "Int64", float: "Float64", str: "string"}
_CHARTS = ("forest", "ecdf", "pareto", "cases")


def compare(
    traces: Any,
    *,
    by: str = "arch",
    metrics: Sequence[str] | str = DEFAULT,
    case: str | None = "case",
    baseline: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    alpha: float = 0.05,
    power: float | None = None,
) -> Comparison:
    """Compare architectures, models, prompts or any other tag over the cases that they share.

    Cases are paired by their id and never by order; trials of one case are taken together. Amounts (latency, cost,
    tokens) are compared as ratios of per-case medians by Wilcoxon's signed-rank test, success by McNemar's exact test
    or, with several trials, by flipping signs over cases, counts and scores by flipping signs. Groups that share no
    case are compared as independent ones. All p-values are adjusted together (Holm).

    Parameters
    ----------
    traces
        What `agenttrace_nb.search` gives, traces, or a frame (pandas, Polars, DuckDB, Spark and whatever else Narwhals
        knows) with one row for each trace and columns as `TraceSet.traces` has them, of which only those that are used
        need be there; or with one row for each span, as `TraceSet.to_parquet` writes them. Spans are gathered by the
        engine that holds them, and one row for each trace is read.
    by
        Tag or column that tells the groups apart: ``arch``, ``model``, a tag of your own.
    metrics
        ``success``, ``completed``, ``latency``, ``cost``, ``tokens``, ``input_tokens``, ``output_tokens``, ``turns``,
        ``llm_calls``, ``tool_calls``, ``errors``, ``handoffs``, ``cost_per_success``; numeric columns of the frame, or
        ``score:NAME``, a metric of the runs or an assessment of the traces in MLflow (what `run_cases`,
        ``mlflow.genai.evaluate`` or people said), for which more is better; ``-name`` says that less is. Each one more
        costs the others some power.
    case
        Tag or column with the id of the task; ``None`` if nothing is to be paired.
    baseline
        Group that the others are set against; without it each against each.
    margin
        Largest difference that does not matter, as a share: 0.05 is 5 points of success and 5 % of anything else. One
        number for all metrics, or by name. With it, "equivalent within the margin" can be shown.
    alpha
        Largest chance of any false verdict among all that are shown.
    power
        Such as 0.8: say how many cases would be needed for this chance to see the margin, or without one a
        difference as large as the one observed.

    Returns
    -------
    Comparison
        It shows itself; ``.table``, ``.pairs`` and ``.verdicts`` hold the figures.

    Raises
    ------
    OptionError
        If there is nothing to compare, or an argument names what is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame(
    ...     {
    ...         "arch": ["plain"] * 8 + ["planner"] * 8,
    ...         "case": [f"task-{n}" for n in range(8)] * 2,
    ...         "latency_s": [2.0, 3.1, 2.5, 4.0, 2.2, 3.3, 2.9, 3.6, 1.2, 1.9, 1.4, 2.1, 1.3, 1.7, 1.8, 2.0],
    ...     }
    ... )
    >>> verdict = compare(runs, metrics="latency", baseline="plain").verdicts[0]
    >>> verdict.word.value, verdict.evidence
    ('better', '...')
    """
    found = compare_runs(
        traces, by=by, metrics=metrics, case=case, baseline=baseline, margin=margin, alpha=alpha, power=power
    )
    if isinstance(traces, (list, tuple)):  # of traces: of anything else there is no comparison
        traces = TraceSet(traces)
    return Comparison(found, traces)


class Comparison:
    """What `compare` found. Print it, show it in a notebook, write it as a page, or take its figures.

    Attributes
    ----------
    findings
        Everything, as data.
    """

    def __init__(self, findings: Findings, given: Any = None) -> None:
        self.findings = findings
        self._given = given

    @property
    def verdicts(self) -> list[Verdict]:
        """Verdict on each pair by each metric: ``.word``, ``.metric``, ``.a``, ``.b``, ``.evidence``; prints itself."""
        return self.findings.verdicts

    @property
    def notes(self) -> list[str]:
        """What was left out and why, and what to know when reading the figures."""
        return self.findings.notes

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each group by each metric.

        Columns: the tag, ``metric``, ``runs``, ``cases``, ``unknown`` (runs of which it is not known), ``statistic``,
        ``value``, ``low``, ``high``, ``p95``, ``p95_low``, ``p95_high``; in seconds, dollars, tokens or shares.
        """
        fields = ("runs", "cases", "unknown", "statistic", "value", "low", "high", "p95", "p95_low", "p95_high")
        by = self.findings.by
        rows = [
            {by: e.group, "metric": e.metric.name} | {field: getattr(e, field) for field in fields}
            for e in self.findings.estimates
        ]
        return _frame(rows)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """One row for each pair by each metric; its columns are the fields of `Pair`, and ``verdict``, ``scale``.

        ``estimate``, ``low`` and ``high`` are b against a: a ratio where ``scale`` is ``ratio`` or ``per success``,
        else a difference.
        """
        rows = []
        for pair in self.findings.pairs:
            row: dict[str, Any] = {name: getattr(pair, name) for name in type(pair).__slots__}
            verdict = word_of(pair, self.findings.alpha).value
            rows.append(row | {"metric": pair.metric.name, "scale": pair.metric.scale.value, "verdict": verdict})
        return _frame(rows)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """pass^k (all of k trials succeed) and pass@k (one does) of each group; empty where nothing was repeated."""
        names = ("group", "k", "cases", "all_of_k", "all_low", "all_high", "one_of_k", "one_low", "one_high")
        return _frame([{name: getattr(t, name) for name in names} for t in self.findings.trials], names)

    def cases(self, metric: str | None = None, a: str | None = None, b: str | None = None) -> pd.DataFrame:
        """Return who won which case, with the traces to look at; where b gains most comes first.

        Parameters
        ----------
        metric
            The first one by default.
        a, b
            The groups; the first pair by default.

        Raises
        ------
        OptionError
            If they were not compared.
        """
        from agenttrace_nb.views.comparison_charts import pair_of

        names = [m.name for m in self.findings.metrics]
        wanted = names[0] if metric is None else metric
        if wanted not in names:
            msg = f"metric={metric!r} was not compared; there are {', '.join(names)}.{did_you_mean(wanted, names)}"
            raise OptionError(msg)
        columns = ("case", "a", "b", "difference", "winner", "traces_a", "traces_b")
        return _frame(case_records(self.findings, pair_of(self.findings, wanted, a, b)), columns)

    def runs(self, case: str) -> TraceSet:
        """Return the runs of a case, of all groups; in a notebook they show themselves as a list to open them from.

        Raises
        ------
        OptionError
            If there is no such case, or a frame was compared whose traces are not in MLflow.
        """
        known = cases_of(self.findings)
        if case not in known:
            some = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")  # noqa: PLR2004 - as many as are shown
            msg = f"case={case!r} was not compared; there are {some or 'none'}.{did_you_mean(str(case), known)}"
            raise OptionError(msg)
        ids = trace_ids(self.findings, case)
        if isinstance(self._given, TraceSet):
            return self._given.only(ids)
        found = stored(one for one in ids if _TRACE_ID.fullmatch(one))
        if not len(found):
            msg = f"the runs of case {case!r} are not in MLflow: a frame was compared that tells no trace ids of it"
            raise OptionError(msg)
        return found

    def chart(
        self, kind: str = "forest", *, metric: str | None = None, a: str | None = None, b: str | None = None
    ) -> alt.TopLevelMixin:
        """Return an Altair chart, which notebooks show as a picture and which is yours to change.

        Parameters
        ----------
        kind
            ``forest`` (differences with intervals), ``ecdf`` (distributions), ``pareto`` (cost against quality) or
            ``cases`` (who won which case).
        metric
            For ``ecdf`` and ``cases``: of what; the first that fits by default.
        a, b
            For ``cases``: the groups; the first pair by default.

        Raises
        ------
        OptionError
            If there is no such chart, or nothing to draw.
        """
        from agenttrace_nb.analysis.pictures import as_picture
        from agenttrace_nb.views import comparison_charts as charts

        draw: dict[str, Any] = {
            "forest": lambda: charts.forest(self.findings),
            "ecdf": lambda: charts.ecdf(self.findings, metric),
            "pareto": lambda: charts.pareto(self.findings),
            "cases": lambda: charts.cases(self.findings, metric, a, b),
        }
        if kind not in draw:
            msg = f"chart {kind!r} does not exist; there are {', '.join(_CHARTS)}.{did_you_mean(str(kind), _CHARTS)}"
            raise OptionError(msg)
        chart: alt.TopLevelMixin = as_picture(draw[kind]())
        return chart

    def to_html(self, path: str | Path) -> Path:
        """Write everything, with pictures and the cases of each pair, as one file that needs nothing else.

        Returns
        -------
        Path
            The file's absolute path.
        """
        from agenttrace_nb.views.comparison_html import write_page

        return write_page(path, self.findings)

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        return comparison_text.markdown(self.findings)

    def to_latex(self) -> str:
        """Return the tables as LaTeX, for the package booktabs."""
        return comparison_text.latex(self.findings)

    def __repr__(self) -> str:
        """Return everything as text."""
        return comparison_text.text(self.findings)

    def _repr_html_(self) -> str:
        from agenttrace_nb.views.comparison_html import part

        return part(self.findings)

    def _ipython_display_(self) -> None:
        from agenttrace_nb.views import notebook

        if not notebook.in_kernel(notebook.shell()):
            notebook.write_text(repr(self))
            return
        notebook.publish(self._repr_html_(), repr(self))
        # A picture is an output of its own: where one holds both HTML and a picture, front ends show only one of them.
        notebook.quietly("the picture of the comparison", self._show_picture)
        if isinstance(self._given, TraceSet):
            notebook.quietly("the cases of the comparison", self._show_cases)

    def _show_cases(self) -> None:
        from agenttrace_nb.views import comparison_grid, notebook

        grid = comparison_grid.grid(self.findings)
        if grid is None:
            return
        from IPython.display import display

        from agenttrace_nb.views.heatmap_widget import HeatmapWidget

        notebook.publish(comparison_grid.static(grid), comparison_grid.text(grid))
        cases = grid["cases"]
        display(HeatmapWidget(grid, lambda cell: self.runs(cases[grid["cells"][cell][0]])))

    def _show_picture(self) -> None:
        from IPython.display import display

        try:
            chart = self.chart()
        except OptionError:
            return  # nothing to draw, and the tables say why
        display(chart)


def _frame(rows: list[dict[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return rows as a frame in which what is unknown is null and columns keep their types."""
    import pandas as pd

    frame = pd.DataFrame()
    for name in columns if columns is not None else rows[0] if rows else ():
        values = [None if isinstance(row[name], float) and math.isnan(row[name]) else row[name] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        frame[name] = pd.array(values, dtype=_TYPES.get(kinds.pop(), "object") if len(kinds) == 1 else "object")
    return frame
