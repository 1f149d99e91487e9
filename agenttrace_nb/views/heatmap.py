"""Errors as a heatmap: what is wrong where, in how many runs, and which runs they are."""

from __future__ import annotations

import hashlib
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
from agenttrace_nb.views.format import plural
from agenttrace_nb.views.plain_page import plain_page, write
from agenttrace_nb.views.safe_text import escaped, one_line
from agenttrace_nb.views.static_html import framed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import altair as alt
    import pandas as pd

FEW_RUNS = 5
"""Below so many runs a rate is drawn pale: it says little."""

CELL_PX = 62
NAME_LIMIT = 60
SHOWN_ROWS = 40
SHOWN_COLUMNS = 24
LISTED_RUNS = 20
LISTED_CELLS = 100
_FAINT_OPACITY = 0.35
_NOTE = f"Runs with it, of those in the row. * fewer than {FEW_RUNS} runs: the share says little."
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
        Shows itself as a table, whose cells can be clicked for the runs behind them; ``.chart()`` draws it.

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
        return write(path, plain_page("Errors", f"{style.svg(self.chart())}\n{self._static(None)}"))

    def _ipython_display_(self) -> None:
        from agenttrace_nb.views import notebook

        if not notebook.in_kernel(notebook.shell()):
            notebook.write_text(self.text())
            return
        notebook.publish(self._static(self._key()), self.text())
        if self._counted.cells:
            notebook.quietly("the heatmap", self._show_widget)

    def _show_widget(self) -> None:
        from IPython.display import display

        from agenttrace_nb.views.heatmap_widget import HeatmapWidget

        grid = self._grid()
        named = [(self._counted.rows[row], self._counted.columns[column]) for row, column, *_ in grid["cells"]]
        display(HeatmapWidget(grid, lambda cell: self.cell(*named[cell])))

    def _grid(self) -> dict[str, Any]:
        """Return what the widget shows: see ``js/src/heatmap/grid.ts``."""
        found = self._counted
        rows, columns = found.rows[:SHOWN_ROWS], found.columns[:SHOWN_COLUMNS]
        cells = []
        for at, row in enumerate(rows):
            for across, column in enumerate(columns):
                cell = found.cells[row, column]
                if cell.runs:
                    few = ", fewer than five: the share says little" if cell.of < FEW_RUNS else ""
                    where = f"{one_line(row, NAME_LIMIT)}, {one_line(column, NAME_LIMIT)}"
                    words = f"{where}: {len(cell.runs)} of {cell.of} runs{few}. Show them"
                    cells.append([at, across, round(_strength(cell), 3), _words(cell), words])
        return {
            "key": self._key(), "title": one_line(self._about(), 200), "note": _NOTE, "more": self._left_out(),
            "across": self.columns, "down": self.rows, "rows": [one_line(row, NAME_LIMIT) for row in rows],
            "columns": [one_line(column, NAME_LIMIT) for column in columns], "cells": cells,
        }  # fmt: skip

    def _key(self) -> str:
        shown = (self.rows, self.columns, self._counted.rows, self._counted.columns, [t.trace_id for t in self._traces])
        return "h" + hashlib.sha256(repr(shown).encode("utf-8", "surrogatepass")).hexdigest()[:8]

    def _left_out(self) -> str | None:
        rows, columns = len(self._counted.rows) - SHOWN_ROWS, len(self._counted.columns) - SHOWN_COLUMNS
        left = [f"{count} more {what}" for count, what in ((rows, "rows"), (columns, "columns")) if count > 0]
        return f"{' and '.join(left)}; .table has them." if left else None

    def _datum(self, row: str, column: str) -> dict[str, Any]:
        cell = self._counted.cells[row, column]
        return {
            "row": one_line(row, NAME_LIMIT), "column": one_line(column, NAME_LIMIT), "runs": len(cell.runs),
            "of": cell.of, "rate": cell.rate,
            "strength": _strength(cell),
            "shown": f"{len(cell.runs)}/{cell.of}" if cell.runs else "",
        }  # fmt: skip

    def _about(self) -> str:
        source = "reported errors" if self.from_reports else "likely causes"
        return f"{source} by {self.rows} and {self.columns}, in {len(self._traces):,} runs"

    def _repr_html_(self) -> str:
        return self._static(None)

    def _static(self, key: str | None) -> str:
        """Return the table as it is without a kernel; with a key, a live view beside it hides it."""
        found = self._counted
        if not found.cells:
            return f"<p>{escaped(self.text())}</p>"
        columns = found.columns[:SHOWN_COLUMNS]
        heads = "".join(f"<th>{escaped(one_line(column, NAME_LIMIT))}</th>" for column in columns)
        body = "".join(self._html_row(row, columns) for row in found.rows[:SHOWN_ROWS])
        left = self._left_out()
        more = f"<p><em>{left}</em></p>" if left else ""
        inner = (
            f"<p><strong>{escaped(self._about())}</strong></p>\n<table>\n<thead><tr><th>{escaped(self.rows)}</th>{heads}"
            f"</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{more}<p><em>{_NOTE}</em></p>\n{self._behind()}"
        )
        return framed(key, inner)

    def _html_row(self, row: str, columns: list[str]) -> str:
        cells = "".join(_html_cell(self._counted.cells[row, column]) for column in columns)
        return f'<tr><th style="text-align:left">{escaped(one_line(row, NAME_LIMIT))}</th>{cells}</tr>\n'

    def _behind(self) -> str:
        """Return which runs stand behind each cell, folded: for those who read without a kernel."""
        by_id = {trace.trace_id: trace for trace in self._traces}
        filled = [(*name, cell.runs) for name, cell in self._counted.cells.items() if cell.runs]
        parts = []
        for row, column, runs in filled[:LISTED_CELLS]:
            lines = "".join(f"<li>{_html_run(by_id[run])}</li>" for run in runs[:LISTED_RUNS])
            if len(runs) > LISTED_RUNS:
                lines += f"<li><em>{len(runs) - LISTED_RUNS:,} more: .cell(row, column) has them all</em></li>"
            where = f"{one_line(row, NAME_LIMIT)}, {one_line(column, NAME_LIMIT)}"
            name = f"{where}: {len(runs):,} {plural(len(runs), 'run')}"
            parts.append(f"<details><summary>{escaped(name)}</summary><ul>{lines}</ul></details>\n")
        if left := len(filled) - LISTED_CELLS:
            parts.append(f"<p><em>{left:,} more cells are left out here.</em></p>" if left > 0 else "")
        return f"<details><summary>The runs behind each cell</summary>\n{''.join(parts)}</details>"

    def __repr__(self) -> str:
        """Return the table in plain text."""
        return self.text()


def _strength(cell: counting.Cell) -> float:
    return (cell.rate or 0) * (1 if cell.of >= FEW_RUNS else _FAINT_OPACITY)


def _words(cell: counting.Cell) -> str:
    return f"{len(cell.runs)} of {cell.of}{' *' if cell.of < FEW_RUNS else ''}"


def _html_run(trace: Trace) -> str:
    took = "" if trace.duration_s is None else f", {trace.duration_s:.2f} s"
    labels = ", ".join(f"{name} {trace.tags[name]}" for name in ("arch", "case", "trial") if trace.tags.get(name))
    about = f"{one_line(trace.name, NAME_LIMIT)}, {trace.status.value}{took}" + (f", {labels}" if labels else "")
    return f"<code>{escaped(trace.trace_id[:8])}</code> {escaped(one_line(about, 200))}"


def _html_cell(cell: counting.Cell) -> str:
    if not cell.runs or cell.rate is None:
        return "<td></td>"
    shade = f"background:rgba(217,83,74,{0.12 + 0.6 * _strength(cell):.2f})"
    return f'<td style="text-align:center;{shade}">{_words(cell)}</td>'
