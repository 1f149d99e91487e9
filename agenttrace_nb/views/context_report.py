"""External metrics beside agent runs, on one page: what coincides, and no word of why."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import NS_PER_S
from agenttrace_nb.views import chart_style as style
from agenttrace_nb.views.context_chart import chart
from agenttrace_nb.views.context_measure import (
    Coincidence,
    Found,
    Panel,
    coincidences,
    end_ns,
    panels_of,
    range_of,
    state,
    traces_of,
)
from agenttrace_nb.views.format import plural, seconds
from agenttrace_nb.views.plain_page import plain_page, write
from agenttrace_nb.views.safe_text import AS_WRITTEN, escaped, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import altair as alt

    from agenttrace_nb.spans import Trace

LISTED_RUNS = 40
CAVEAT = "That two things happened at the same time does not say that one caused the other."
_WIDTH_PX = 1060
_NAME_CHARS = 40
_NAMED_AT_ONCE = 3
_WHILE = {
    "error": "during failed runs",
    "ok": "during runs without error",
    "other": "during stopped or unfinished runs",
}
_OURS = ".agtr-context.agtr-context"
_STYLE = (
    f"{_OURS}{{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums}}"
    f"{_OURS} p{{margin:0 0 6px}}{_OURS} ul{{margin:2px 0 8px;padding-left:18px}}{_OURS} small{{opacity:.75}}"
    f"{_OURS} h2{{font:600 14px/1.4 inherit;font-size:14px;margin:16px 0 4px}}"
    f"{_OURS} .agtr-wide{{overflow-x:auto}}{_OURS} img{{max-width:none;display:block}}"
    f"{_OURS} table{{border-collapse:collapse;margin:4px 0 8px;font:inherit}}"
    f"{_OURS} :is(thead,tr,td,th){{border:0!important;background:none!important}}"
    f"{_OURS} :is(th,td){{padding:2px 18px 2px 0;text-align:left;white-space:nowrap;font-weight:400}}"
    f"{_OURS} td:last-child{{white-space:normal;min-width:13em}}{_OURS} th{{opacity:.7;font-size:11.5px}}"
)


def context_report(runs: Any, *, metrics: Any) -> ContextReport:
    """Return one page with external metrics, such as CPU or queue depth, beside agent runs.

    Parameters
    ----------
    runs
        A `TraceSet`, traces, or runs.
    metrics
        A frame as `pull` gives it, a list of them, or frames by title.

    Returns
    -------
    ContextReport
        Shows itself in a notebook; ``.to_html(path)`` writes a page that needs nothing else.

    Raises
    ------
    OptionError
        If something else is given.

    Examples
    --------
    >>> import pandas as pd
    >>> from agenttrace_nb.spans import Status, Trace
    >>> run = Trace(trace_id="a" * 32, name="triage", start_ns=0, end_ns=4 * NS_PER_S, status=Status.OK)
    >>> cpu = pd.DataFrame({"time": pd.to_datetime([2, 9], unit="s", utc=True), "value": [0.9, 0.1]})
    >>> print(context_report([run], metrics={"CPU": cpu}))
    1 run beside 1 metric, 1970-01-01 00:00:00 to 00:00:09 UTC
    CPU
      median 0.9 during runs without error (1 value, 1 run), 0.1 between runs (1 value); highest 0.9 at 00:00:02, during run 1
    That two things happened at the same time does not say that one caused the other.
    """  # noqa: E501
    return ContextReport(traces_of(runs), panels_of(metrics))


class ContextReport:
    """External metrics beside agent runs. Made by `context_report`."""

    def __init__(self, traces: list[Trace], panels: list[Panel]) -> None:
        self._traces = traces
        self._panels = panels
        self._numbers = {trace.trace_id: number for number, trace in enumerate(traces, 1)}
        self._found = [(panel, coincidences(panel, traces)) for panel in panels]

    def chart(self) -> alt.TopLevelMixin:
        """Return runs and metrics on one axis of time, as an Altair chart."""
        return chart(self._traces, self._panels)

    def text(self) -> str:
        """Return what coincides, in plain text."""
        lines = [self._headline()]
        for panel, found in self._found:
            lines.append(panel.title)
            lines += [f"  {note}" for note in _notes(panel)]
            lines += [f"  {_sentence(one, self._numbers)}" for one in found]
        return "\n".join([*lines, CAVEAT])

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file that needs nothing else; return its absolute path."""
        return write(path, plain_page("Agent runs and their surroundings", self._inner(), width_px=_WIDTH_PX))

    # -- parts -------------------------------------------------------------------------------------------------

    def _headline(self) -> str:
        count, panels = len(self._traces), len(self._panels)
        head = f"{count} {plural(count, 'run')} beside {panels} {plural(panels, 'metric')}"
        times = [at for trace in self._traces for at in (trace.start_ns, end_ns(trace))]
        times += [at for panel in self._panels for line in panel.lines for at in (line.times_ns[0], line.times_ns[-1])]
        if not times:
            return f"{head}: there is nothing to show"
        return f"{head}, {_date(min(times))} {_clock(min(times))} to {_until(min(times), max(times))} UTC"

    def _inner(self) -> str:
        parts = [f"<p>{escaped(self._headline())}</p>", self._figure()]
        if any(every for _, every in self._found):
            parts.append(_coinciding(self._found, self._numbers))
        parts += [self._run_by_run(), f"<p><small>{escaped(CAVEAT)}</small></p>"]
        inner = "\n".join(filter(None, parts))
        return f'<div class="agtr-context {AS_WRITTEN}"><style>{_STYLE}</style>\n{inner}\n</div>'

    def _figure(self) -> str:
        if not self._traces and not any(panel.lines for panel in self._panels):
            return ""
        data = base64.b64encode(style.svg(self.chart()).encode()).decode()
        alt_text = "Agent runs above, external metrics below, on one axis of time"
        return f'<div class="agtr-wide"><img alt="{alt_text}" src="data:image/svg+xml;base64,{data}"></div>'

    def _run_by_run(self) -> str:
        if not self._traces:
            return ""
        shown = [(panel, line) for panel in self._panels for line in panel.lines[:1]]
        heads = ["", "run", "status", "started", "took", *(panel.title for panel, _ in shown)]
        rows = []
        for number, trace in enumerate(self._traces[:LISTED_RUNS], 1):
            took = seconds(trace.duration_s)
            cells = [str(number), _named(trace), trace.status.value, _clock(trace.start_ns), took]
            cells += [_range(range_of(trace, line, panel.step_ns)) for panel, line in shown]
            rows.append("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in cells) + "</tr>")
        left = len(self._traces) - LISTED_RUNS
        more = f"<p><small>{left} more {plural(left, 'run')}.</small></p>" if left > 0 else ""
        about = "lowest to highest value during each run; of several series, the one with the highest value"
        return f"<h2>Run by run</h2><p><small>{about}</small></p>{_table(heads, rows)}{more}"

    def _repr_html_(self) -> str:
        return self._inner()

    def __repr__(self) -> str:
        """Return what coincides, in plain text."""
        return self.text()


# -------------------------------------------------------------------------------------------------------------- words


def _coinciding(found: Sequence[tuple[Panel, list[Coincidence]]], numbers: dict[str, int]) -> str:
    """Return the medians as a table: one row for each series, one column for each state of the runs."""
    kinds = [kind for kind in _WHILE if any(kind in one.during for _, every in found for one in every)]
    heads = ["metric", *(_WHILE[kind] for kind in kinds), "between runs", "highest"]
    rows, notes = [], []
    for panel, every in found:
        notes += [f"{panel.title}: {note}" for note in _notes(panel)]
        for one in every:
            cells = [_median(one.during.get(kind)) for kind in kinds]
            cells += [_median(one.between), escaped(_highest(one, numbers))]
            name = escaped(": ".join(filter(None, (panel.title, one.line.name))))
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in (name, *cells)) + "</tr>")
    listed = "".join(f"<p><small>{escaped(note)}</small></p>" for note in notes)
    return f"<h2>What coincides</h2><p><small>medians</small></p>{_table(heads, rows)}{listed}"


def _median(found: Found | None) -> str:
    if found is None:
        return "–"
    counted = f"{found.count} {plural(found.count, 'value')}"
    if found.runs:
        counted += f", {found.runs} {plural(found.runs, 'run')}"
    return f"{escaped(_number(found.median))} <small>({counted})</small>"


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escaped(one_line(text, _NAME_CHARS))}</th>" for text in heads)
    body = "\n".join(rows)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return f'<div class="agtr-wide">{table}</div>'


def _notes(panel: Panel) -> list[str]:
    notes = [] if panel.lines else ["there are no values"]
    if panel.left_out:
        notes.append(f"{panel.left_out} more series with lower values are not shown")
    if panel.joined:
        rules = ", ".join(f"{count} by {rule}" for rule, count in sorted(panel.joined.items()))
        notes.append(f"values joined to runs: {rules}; here all are set beside the runs by time")
    return [one_line(note, 300) for note in notes]


def _sentence(one: Coincidence, numbers: dict[str, int]) -> str:
    parts = []
    for kind, words in _WHILE.items():
        if (found := one.during.get(kind)) is not None:
            runs, values = plural(found.runs, "run"), plural(found.count, "value")
            parts.append(f"{_number(found.median)} {words} ({found.count} {values}, {found.runs} {runs})")
    if one.between is not None:
        values = plural(one.between.count, "value")
        parts.append(f"{_number(one.between.median)} between runs ({one.between.count} {values})")
    name = f"{one.line.name}: " if one.line.name else ""
    return f"{name}median {', '.join(parts)}; highest {_highest(one, numbers)}"


def _highest(one: Coincidence, numbers: dict[str, int]) -> str:
    value, at_ns, traces = one.highest
    return f"{_number(value)} at {_clock(at_ns)}, {_during(traces, numbers)}"


def _during(traces: tuple[Trace, ...], numbers: dict[str, int]) -> str:
    if not traces:
        return "between runs"
    names = [f"run {numbers[t.trace_id]}{' (failed)' if state(t) == 'error' else ''}" for t in traces[:_NAMED_AT_ONCE]]
    left = len(traces) - _NAMED_AT_ONCE
    return f"during {', '.join(names)}{f' and {left} more' if left > 0 else ''}"


def _named(trace: Trace) -> str:
    arch = trace.tags.get("arch")
    return one_line(f"{trace.name} ({arch})" if arch and arch != trace.name else trace.name, _NAME_CHARS)


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e9 else f"{value:.3g}"  # noqa: PLR2004 - digits enough to compare


def _range(found: tuple[float, float] | None) -> str:
    if found is None:
        return "–"
    low, high = map(_number, found)
    return low if low == high else f"{low} to {high}"


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / NS_PER_S, UTC)


def _date(at_ns: int) -> str:
    return _moment(at_ns).strftime("%Y-%m-%d")


def _clock(at_ns: int) -> str:
    return _moment(at_ns).strftime("%H:%M:%S")


def _until(first_ns: int, last_ns: int) -> str:
    day = "" if _date(first_ns) == _date(last_ns) else f"{_date(last_ns)} "
    return f"{day}{_clock(last_ns)}"
