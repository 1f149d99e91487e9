"""Pictures of durations: quantiles by group, distributions, and how they went over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from agenttrace_nb.views.chart_style import GROUPS, INK, cumulative, rows, styled
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from agenttrace_nb.analysis.durations import QuantileRow
    from agenttrace_nb.views.durations import Durations

_WIDTH_PX = 430
_SHOWN_GROUPS = 20
_NAME_CHARACTERS = 40
_STEPS = 300
_BINS = 30


def groups(of: Durations) -> alt.TopLevelMixin:
    """Return the quantiles of each group with their intervals."""
    listed = [
        {"group": _name(row.group), "quantile": f"p{100 * row.p:g}", "value": row.value,
         **_ends(row)}
        for row in of.rows
        if row.group in _shown(of) and math.isfinite(row.value)
    ]  # fmt: skip
    y = alt.Y("group:N", title=None, sort=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False))
    x = alt.X("value:Q", title="seconds", scale=alt.Scale(zero=True))
    colour = alt.Color("quantile:N", title=None, scale=alt.Scale(domain=["p50", "p95", "p99"], range=list(GROUPS[:3])))
    base = alt.Chart(rows(listed))
    lines = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y, color=colour)
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, y=y, color=colour)
    title = alt.TitleParams(
        f"How long, by {_name(of.by)}", subtitle="quantiles with 95 % intervals, where cases suffice"
    )
    return styled(alt.layer(lines, dots).properties(width=_WIDTH_PX, height=26 * len(_shown(of)), title=title))


def ecdf(of: Durations) -> alt.TopLevelMixin:
    """Return the share of durations up to each value, a line for each group."""
    listed: list[dict[str, Any]] = []
    for group in _shown(of)[: len(GROUPS)]:
        steps = cumulative(np.array([one.seconds for one in of.found if one.group == group]), _STEPS)
        listed += [{"group": _name(group), "value": value, "share": share} for value, share in steps]
    chart = alt.Chart(rows(listed), title=f"Distribution, by {_name(of.by)}").mark_line(interpolate="step-after")
    x = alt.X("value:Q", title="seconds", scale=alt.Scale(zero=False, nice=False), sort=None)  # as they are listed
    y = alt.Y("share:Q", title="% at or below", scale=alt.Scale(domain=[0, 100]))
    return styled(chart.encode(x=x, y=y, color=_colour(of)).properties(width=_WIDTH_PX, height=220))


def histogram(of: Durations) -> alt.TopLevelMixin:
    """Return how many took how long, a row for each group."""
    edges = np.linspace(0, max(one.seconds for one in of.found) or 1.0, _BINS + 1)
    listed: list[dict[str, Any]] = []
    shown = _shown(of)[: len(GROUPS)]
    for group in shown:
        counts, _ = np.histogram([one.seconds for one in of.found if one.group == group], edges)
        listed += [
            {"group": _name(group), "from": float(edges[i]), "to": float(edges[i + 1]), "count": int(n)}
            for i, n in enumerate(counts)
        ]
    head = alt.Header(labelColor=INK, labelAngle=0, labelAlign="left", labelOrient="top", labelAnchor="start")
    bars = (
        alt.Chart(rows(listed))
        .mark_bar()
        .encode(
            x=alt.X("from:Q", title="seconds", bin="binned"),
            x2="to:Q",
            y=alt.Y("count:Q", title="count"),
            color=_colour(of, legend=False),
            row=alt.Row("group:N", title=None, sort=[_name(g) for g in shown], header=head),
        )
    )
    return styled(bars.properties(width=_WIDTH_PX, height=70, title=f"Durations, by {_name(of.by)}"))


def over_time(of: Durations) -> alt.TopLevelMixin:
    """Return the median of each group over time, with its interval."""
    shown = _shown(of)[: len(GROUPS)]
    listed = [
        {"group": _name(group), "at": at.isoformat(), "value": row.value,
         **_ends(row)}
        for at, group, row in of.over_time()
        if group in shown
    ]  # fmt: skip
    base = alt.Chart(rows(listed))
    x = alt.X("at:T", title="time, UTC", scale=alt.Scale(type="utc", padding=8))
    y = alt.Y("value:Q", title="median, seconds", scale=alt.Scale(zero=True))
    band = base.mark_area(opacity=0.2, color=INK).encode(x=x, y="low:Q", y2="high:Q", detail="group:N")
    line = base.mark_line(point=True, strokeWidth=2).encode(x=x, y=y, color=_colour(of))
    title = alt.TitleParams(f"Over time, by {_name(of.by)}", subtitle="medians with 95 % intervals")
    return styled(alt.layer(band, line).properties(width=_WIDTH_PX, height=220, title=title))


def _ends(row: QuantileRow) -> dict[str, float]:
    """Return the ends of an interval; where there is none, or no bound, the value itself."""
    low, high = (end if math.isfinite(end) else row.value for end in (row.low, row.high))
    return {"low": low, "high": high}


def _shown(of: Durations) -> list[str]:
    return list(dict.fromkeys(row.group for row in of.rows))[:_SHOWN_GROUPS]


def _colour(of: Durations, *, legend: bool = True) -> alt.Color:
    names = [_name(group) for group in _shown(of)[: len(GROUPS)]]
    scale = alt.Scale(domain=names, range=list(GROUPS[: len(names)]))
    return alt.Color("group:N", title=_name(of.by), scale=scale, legend=alt.Legend() if legend else None)


def _name(text: str) -> str:
    return one_line(text, _NAME_CHARACTERS)
