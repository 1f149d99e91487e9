"""Errors as a heatmap: what is wrong where, in how many runs, and which runs they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.analysis import heatmap as counting
from agenttrace_nb.analysis.pictures import as_picture
from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.config import OptionError
from agenttrace_nb.mlflow_store import target
from agenttrace_nb.mlflow_store.feedback import read_reports
from agenttrace_nb.spans import Trace
from agenttrace_nb.views import chart_style as style
from agenttrace_nb.views.plain_page import plain_page, write
from agenttrace_nb.views.safe_text import escaped, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    import altair as alt
    import pandas as pd

FEW_RUNS = 5
"""Below so many runs a rate is drawn pale: it says little."""

CELL_PX = 62
NAME_LIMIT = 60
SHOWN_ROWS = 40
_FAINT_OPACITY = 0.35
_PALE, _ON_COLOUR = "#f4d8d5", "#2b2f36"


def error_heatmap(
    traces: Iterable[Trace], rows: str = "agent", columns: str = "category", *, reports: Any = None
) -> Heatmap:
    """Return in how many runs there is which error where.

    Errors are those that were reported (`report_error`, ratings, or ``reports``); where none was reported of these
    traces, the likely cause of each run by the rules of `attribute_failure`, with its side as the category.

    Parameters
    ----------
    traces
        A `TraceSet` or traces.
    rows, columns
        ``agent``, ``tool``, ``step``, ``arch``, ``case``, ``day``, ``category``, ``side``, ``rule`` or ``error_type``.
    reports
        Reports from elsewhere: the path of a CSV file, or a frame of any library, with ``trace_id``, ``category`` and
        perhaps ``span_id``, ``comment``, ``user``. By default they are read from MLflow.

    Returns
    -------
    Heatmap
        Shows itself as a table; ``.chart()`` draws it.

    Raises
    ------
    OptionError
        If a value is not allowed.

    Examples
    --------
    >>> trace = Trace.from_messages([{"agent": "Clerk", "content": "It costs 5."}])
    >>> found = error_heatmap([trace], reports=[{"trace_id": trace.trace_id, "category": "wrong price"}])
    >>> found.table[["row", "column", "runs", "of"]].to_dict("list")
    {'row': ['–'], 'column': ['wrong price'], 'runs': [1], 'of': [1]}
    """
    listed: list[Any] = list(traces)
    if wrong := next((t for t in listed if not isinstance(t, Trace)), None):
        msg = f"traces: a {type(wrong).__name__} is not allowed in it; it must hold Traces (a TraceSet does)"
        raise OptionError(msg)
    counting.check_axis("rows", rows)
    counting.check_axis("columns", columns)
    told = counting.reports_from(reports) if reports is not None else _stored_reports(listed)
    faults = counting.reported(listed, told)
    from_reports = bool(faults) or reports is not None
    if not from_reports:
        faults = counting.found_causes(listed)
    counted = counting.count(listed, faults, rows=rows, columns=columns)
    return Heatmap(traces, listed, counted, rows, columns, from_reports=from_reports)


def _stored_reports(traces: list[Trace]) -> list[Any]:
    if not any(trace.run_id for trace in traces):
        return []  # none of them is in MLflow
    uri = target.tracking_uri(Path.cwd(), config.current().tracking_uri)
    try:
        return list(read_reports(uri, [trace.trace_id for trace in traces]))
    except ConnectionError:
        return []


class Heatmap:
    """In how many runs there is which error where. Made by `error_heatmap`."""

    def __init__(
        self, given: Any, traces: list[Trace], counted: counting.Counted, rows: str, columns: str, *, from_reports: bool
    ) -> None:
        self._given = given
        self._traces = traces
        self._counted = counted
        self.rows, self.columns = rows, columns
        self.from_reports = from_reports

    @property
    def table(self) -> pd.DataFrame:
        """One row for each cell.

        ``runs`` with such an error, ``of`` as many runs that the row's agent, tool ... took part in; ``rate`` with its
        95 % interval (Wilson) ``low`` to ``high``.
        """
        return self._counted.frame()

    def cell(self, row: str, column: str) -> TraceSet:
        """Return the runs behind a cell.

        Raises
        ------
        OptionError
            If there is no such row or column.
        """
        for name, value, known in (("row", row, self._counted.rows), ("column", column, self._counted.columns)):
            if value not in known:
                msg = f"{name}={value!r} is not in this heatmap; it has {', '.join(known) or 'none'}."
                raise OptionError(msg + config.did_you_mean(str(value), known))
        ids = set(self._counted.cells[row, column].runs)
        chosen = [trace for trace in self._traces if trace.trace_id in ids]
        said = getattr(self._given, "success", None)
        success = {t.run_id: said(t) for t in chosen if t.run_id} if callable(said) else None
        return TraceSet(chosen, success=success)

    def text(self) -> str:
        """Return the heatmap as a table in plain text: runs of runs."""
        found = self._counted
        if not found.cells:
            return f"{self._about()}: none"
        width = max(len(self.rows), *(len(one_line(row, NAME_LIMIT)) for row in found.rows))
        heads = [one_line(column, NAME_LIMIT) for column in found.columns]
        lines = [self._about(), self.rows.ljust(width) + "".join(f"  {head.rjust(6)}" for head in heads)]
        for row in found.rows:
            parts = [one_line(row, NAME_LIMIT).ljust(width)]
            for head, column in zip(heads, found.columns, strict=True):
                cell = found.cells[row, column]
                parts.append((f"{len(cell.runs)} of {cell.of}" if cell.runs else ".").rjust(max(len(head), 6)))
            lines.append("  ".join(parts))
        return "\n".join(lines)

    def chart(self) -> alt.TopLevelMixin:
        """Return the heatmap as an Altair chart: colour is the rate, paler where fewer than five runs stand behind it.

        Without a browser library or a network it shows itself as a picture.
        """
        import altair as alt

        cells = [self._datum(row, column) for row in self._counted.rows for column in self._counted.columns]
        size = {"width": CELL_PX * max(1, len(self._counted.columns)), "height": 34 * max(1, len(self._counted.rows))}
        axis = alt.Axis(labelLimit=240, labelAngle=-30, domain=False, ticks=False)
        x = alt.X("column:N", sort=None, title=self.columns, axis=axis)
        y = alt.Y("row:N", sort=None, title=self.rows, axis=alt.Axis(labelLimit=240, domain=False, ticks=False))
        base = alt.Chart(style.rows(cells)).encode(x=x, y=y)
        scale = alt.Scale(domain=[0, 1], range=[_PALE, style.BAD], interpolate="rgb")
        squares = (
            base.transform_filter("datum.runs > 0")
            .mark_rect(cornerRadius=3)
            .encode(
                color=alt.Color("strength:Q", scale=scale, legend=None),
                tooltip=["row:N", "column:N", "runs:Q", "of:Q", alt.Tooltip("rate:Q", format=".0%")],
            )
        )
        numbers = base.mark_text(fontSize=11).encode(text="shown:N", color=alt.value(_ON_COLOUR))
        subtitle = f"runs with it, of those in the row; pale: fewer than {FEW_RUNS} runs"
        title = alt.TitleParams(self._about(), subtitle=subtitle)
        return as_picture(style.styled(alt.layer(squares, numbers).properties(title=title, **size)))

    def to_html(self, path: str | Path) -> Path:
        """Write the heatmap as one HTML file that needs nothing else; return its absolute path."""
        return write(path, plain_page("Errors", f"{style.svg(self.chart())}\n{self._repr_html_()}"))

    def _datum(self, row: str, column: str) -> dict[str, Any]:
        cell = self._counted.cells[row, column]
        return {
            "row": one_line(row, NAME_LIMIT), "column": one_line(column, NAME_LIMIT), "runs": len(cell.runs),
            "of": cell.of, "rate": cell.rate,
            "strength": (cell.rate or 0) * (1 if cell.of >= FEW_RUNS else _FAINT_OPACITY),
            "shown": f"{len(cell.runs)}/{cell.of}" if cell.runs else "",
        }  # fmt: skip

    def _about(self) -> str:
        source = "reported errors" if self.from_reports else "likely causes"
        return f"{source} by {self.rows} and {self.columns}, in {len(self._traces):,} runs"

    def _repr_html_(self) -> str:
        found = self._counted
        if not found.cells:
            return f"<p>{escaped(self.text())}</p>"
        heads = "".join(f"<th>{escaped(one_line(column, NAME_LIMIT))}</th>" for column in found.columns)
        body = "".join(self._html_row(row) for row in found.rows[:SHOWN_ROWS])
        left = len(found.rows) - SHOWN_ROWS
        more = f"<p><em>{left} more rows; .table has them.</em></p>" if left > 0 else ""
        note = (
            f"<p><em>Runs with it, of those in the row. * fewer than {FEW_RUNS} runs: the share says little.</em></p>"
        )
        return (
            f"<p><strong>{escaped(self._about())}</strong></p>\n<table>\n<thead><tr><th>{escaped(self.rows)}</th>{heads}"
            f"</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{more}{note}"
        )

    def _html_row(self, row: str) -> str:
        cells = "".join(_html_cell(self._counted.cells[row, column]) for column in self._counted.columns)
        return f'<tr><th style="text-align:left">{escaped(one_line(row, NAME_LIMIT))}</th>{cells}</tr>\n'

    def __repr__(self) -> str:
        """Return the table in plain text."""
        return self.text()


def _html_cell(cell: counting.Cell) -> str:
    if not cell.runs or cell.rate is None:
        return "<td></td>"
    few = cell.of < FEW_RUNS
    strength = cell.rate * (_FAINT_OPACITY if few else 1)
    shade = f"background:rgba(217,83,74,{0.12 + 0.6 * strength:.2f})"
    return f'<td style="text-align:center;{shade}">{len(cell.runs)} of {cell.of}{" *" if few else ""}</td>'
