"""Runs and external metrics on one axis of time, as an Altair chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.pictures import as_picture
from agenttrace_nb.spans import NS_PER_S
from agenttrace_nb.views import chart_style as style
from agenttrace_nb.views.context_measure import end_ns, state
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    from agenttrace_nb.spans import Trace
    from agenttrace_nb.views.context_measure import Line, Panel

WIDTH_PX = 820
NAMED_RUNS = 14
"""So many runs have a row with their name; more of them share rows, without names."""

POINTS_PER_LINE = 1_000
_ROW_PX, _PACKED_ROW_PX, _PANEL_PX = 20, 12, 110
_LEFT_PX = 150
_NAME_CHARS = 26
_COLOURS = {"ok": style.GOOD, "error": style.BAD, "other": style.NEUTRAL}
_WORDS = {"ok": "completed without error", "error": "failed", "other": "stopped or at work"}
_NS_PER_MS = 1_000_000
_CLOCKS = ((600, "%H:%M:%S"), (86_400, "%H:%M"), (float("inf"), "%d %b %H:%M"))
"""How times are written, by how many seconds are shown."""
_LONG_NUMBER = 10_000


def chart(traces: Sequence[Trace], panels: Sequence[Panel]) -> alt.TopLevelMixin:
    """Return runs above, metrics below, all on one axis of time."""
    import altair as alt

    domain = _domain(traces, panels)
    drawn = [panel for panel in panels if panel.lines]
    parts = [_runs(traces, domain, is_last=not drawn)] if traces else []
    parts += [_metric(panel, traces, domain, is_last=panel is drawn[-1]) for panel in drawn]
    # Colours stand for something else in each part
    whole = alt.vconcat(*parts, spacing=14).resolve_scale(color="independent")
    return as_picture(style.styled(whole))


def _domain(traces: Sequence[Trace], panels: Sequence[Panel]) -> list[float]:
    times = [at for trace in traces for at in (trace.start_ns, end_ns(trace))]
    times += [at for panel in panels for line in panel.lines for at in (line.times_ns[0], line.times_ns[-1])]
    first, last = min(times), max(times)
    margin = max((last - first) // 100, NS_PER_S // 10)
    return [(first - margin) / _NS_PER_MS, (last + margin) / _NS_PER_MS]


def _x(name: str, domain: list[float], *, shown: bool) -> Any:
    import altair as alt

    form = next(form for most_s, form in _CLOCKS if domain[1] - domain[0] <= most_s * 1000)
    axis = alt.Axis(
        title="UTC" if shown else None, labels=shown, ticks=shown, domain=shown, grid=True, tickCount=8, format=form
    )
    return alt.X(f"{name}:T", scale=alt.Scale(type="utc", domain=domain, nice=False), axis=axis)


def _y_axis(**more: Any) -> Any:
    import altair as alt

    # As wide in each part, so that the same time is at the same place
    return alt.Axis(title=None, domain=False, ticks=False, minExtent=_LEFT_PX, maxExtent=_LEFT_PX, **more)


# --------------------------------------------------------------------------------------------------------------- runs


def _runs(traces: Sequence[Trace], domain: list[float], *, is_last: bool) -> Any:
    import altair as alt

    rows, count = _rows(traces)
    is_named = len(traces) <= NAMED_RUNS
    bars = [
        {
            "row": row, "from": trace.start_ns / _NS_PER_MS, "to": _visible_end(trace, domain),
            "state": _WORDS[state(trace)],
        }
        for trace, row in zip(traces, rows, strict=True)
    ]  # fmt: skip
    errors = [
        {"row": row, "at": (span.end_ns or span.start_ns) / _NS_PER_MS}
        for trace, row in zip(traces, rows, strict=True)
        for span in trace.errors
    ]
    y = alt.Y("row:N", sort=_unique(rows), axis=_y_axis(labels=is_named, labelLimit=_LEFT_PX - 8))
    known = [kind for kind in _WORDS if any(bar["state"] == _WORDS[kind] for bar in bars)]
    colour = alt.Color(
        "state:N", scale=alt.Scale(domain=[_WORDS[k] for k in known], range=[_COLOURS[k] for k in known]),
        legend=alt.Legend(title=None, orient="top", symbolType="square"),
    )  # fmt: skip
    drawn = alt.Chart(style.rows(bars)).mark_bar(cornerRadius=2, height={"band": 0.7})
    layers = [drawn.encode(x=_x("from", domain, shown=is_last), x2="to:T", y=y, color=colour)]
    if errors:
        marks = alt.Chart(style.rows(errors)).mark_point(shape="diamond", size=70, opacity=1)
        layers.append(
            marks.encode(x=_x("at", domain, shown=is_last), y=y, fill=alt.value("#fff"), stroke=alt.value(style.BAD))
        )
    height = (_ROW_PX if is_named else _PACKED_ROW_PX) * count
    title = alt.TitleParams("Agent runs", subtitle="a diamond is a step in which an error began" if errors else "")
    return alt.layer(*layers).properties(width=WIDTH_PX, height=height, title=title)


def _visible_end(trace: Trace, domain: list[float]) -> float:
    least = (domain[1] - domain[0]) * 3 / WIDTH_PX  # three pixels
    return max(end_ns(trace) / _NS_PER_MS, trace.start_ns / _NS_PER_MS + least)


def _rows(traces: Sequence[Trace]) -> tuple[list[str], int]:
    """Return the row of each run: one of its own while they are few, else the first that is free."""
    if len(traces) <= NAMED_RUNS:
        names = [_named(number, trace) for number, trace in enumerate(traces, 1)]
        return names, len(names)
    free_from: list[int] = []
    rows = []
    for trace in traces:
        row = next((at for at, free in enumerate(free_from) if free <= trace.start_ns), len(free_from))
        free_from[row : row + 1] = [end_ns(trace)]
        rows.append(f"{row:03d}")
    return rows, len(free_from)


def _named(number: int, trace: Trace) -> str:
    return f"{number} {one_line(trace.tags.get('arch') or trace.name, _NAME_CHARS)}"


def _unique(rows: list[str]) -> list[str]:
    return sorted(set(rows)) if rows and rows[0].isdigit() else list(dict.fromkeys(rows))


# ------------------------------------------------------------------------------------------------------------ metrics


def _metric(panel: Panel, traces: Sequence[Trace], domain: list[float], *, is_last: bool) -> Any:
    import altair as alt

    several = len(panel.lines) > 1
    names = _apart([line.name or "–" for line in panel.lines])
    points = [
        {"at": at_ns / _NS_PER_MS, "value": value, "series": name}
        for name, line in zip(names, panel.lines, strict=True)
        for at_ns, value in _thinned(line)
    ]
    legend = None
    if several:
        legend = alt.Legend(
            title=None,
            orient="top",
            columns=3,
            labelLimit=250,
            symbolType="stroke",
            symbolOpacity=1,
            symbolStrokeWidth=2,
        )
    colour = alt.Color("series:N", scale=alt.Scale(domain=names, range=list(style.GROUPS[: len(names)])), legend=legend)
    y = alt.Y(
        "value:Q",
        axis=_y_axis(tickCount=4, format="~s" if _most(panel) >= _LONG_NUMBER else ".4~r"),
        scale=alt.Scale(zero=True, nice=True),
    )
    lines = alt.Chart(style.rows(points)).mark_line(strokeWidth=1.6, interpolate="linear")
    layers = [lines.encode(x=_x("at", domain, shown=is_last), y=y, color=colour)]
    if traces:
        layers.insert(0, _shades(traces, domain, is_last=is_last))
    return alt.layer(*layers).properties(width=WIDTH_PX, height=_PANEL_PX, title=panel.title)


def _apart(names: list[str]) -> list[str]:
    """Return names of which no two are the same: long ones may have been cut to the same text."""
    return [name if names.index(name) == at else f"{name} ({at + 1})" for at, name in enumerate(names)]


def _most(panel: Panel) -> float:
    return max(abs(value) for line in panel.lines for value in line.values)


def _shades(traces: Sequence[Trace], domain: list[float], *, is_last: bool) -> Any:
    import altair as alt

    shades: list[dict[str, Any]] = []
    for kind, colour_of in _COLOURS.items():
        # Runs side by side are one stretch: laid over one another they would grow darker
        stretch: dict[str, Any] = {}
        for trace in traces:
            start, end = trace.start_ns / _NS_PER_MS, _visible_end(trace, domain)
            if state(trace) != kind:
                continue
            if stretch and start <= stretch["to"]:
                stretch["to"] = max(stretch["to"], end)
            else:
                shades.append(stretch := {"from": start, "to": end, "colour": colour_of})
    drawn = alt.Chart(style.rows(shades)).mark_rect(fillOpacity=0.14)
    colour = alt.Fill("colour:N", scale=None)
    return drawn.encode(x=_x("from", domain, shown=is_last), x2="to:T", fill=colour)


def _thinned(line: Line) -> list[tuple[int, float]]:
    """Return a series with as many points as can be seen: of each stretch the lowest and the highest."""
    points = list(zip(line.times_ns, line.values, strict=True))
    if len(points) <= POINTS_PER_LINE:
        return points
    size = -(-len(points) * 2 // POINTS_PER_LINE)
    kept = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        kept += sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])})
    return kept
