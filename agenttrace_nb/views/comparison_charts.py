"""Pictures of a comparison: forest plot, distributions, cost against quality, and who won which case."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import altair as alt

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale
from agenttrace_nb.analysis.comparison.words import Word, effect, word_of
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.views.chart_style import BAD, FAINT, GOOD, GROUPS, INK, NEUTRAL, SAME, cumulative, rows, styled
from agenttrace_nb.views.comparison_words import name

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison import Findings, Pair
    from agenttrace_nb.analysis.comparison.estimates import Estimate

WIDTH_PX = 430
ROW_PX = 24
_STEPS = 400
_MOST_CASES = 400
_COLOURS = {
    Word.BETTER: GOOD, Word.WORSE: BAD, Word.EQUIVALENT: SAME, Word.NO_EVIDENCE: NEUTRAL, Word.TOO_FEW: NEUTRAL
}  # fmt: skip
_UNITS = {"s": "seconds", "usd": "US dollars", "tokens": "tokens", "share": "%"}


# ---------------------------------------------------------------------------------------------------------- forest


def forest(findings: Findings) -> alt.TopLevelMixin:
    """Return every pair by every metric: estimate, interval, verdict."""
    parts = []
    for metric in findings.metrics:
        pairs = [pair for pair in findings.pairs if pair.metric == metric]
        if any(math.isfinite(pair.estimate) for pair in pairs):
            parts.append(_forest_of(metric, pairs, findings.alpha))
    if not parts:
        msg = "there is no figure to draw: nothing that was compared is known of both sides; print(comparison) says why"
        raise OptionError(msg)
    level = f"{100 * (1 - findings.alpha):g} %"
    title = alt.TitleParams(
        "Differences, case by case", subtitle=f"with {level} intervals; verdicts count every comparison"
    )
    return styled(alt.vconcat(*parts, spacing=14, title=title).resolve_scale(x="independent", color="shared"))


def _forest_of(metric: Metric, pairs: list[Pair], alpha: float) -> Any:
    listed = [_forest_row(metric, pair, alpha) for pair in pairs]
    known = [row for row in listed if row["estimate"] is not None]
    low, high = _domain(metric, known)
    data = rows([row | {"low": _within(row["low"], low), "high": _within(row["high"], high)} for row in listed])
    better = "right" if metric.more_is_better else "left"
    unit = {Scale.RATE: "points", Scale.DIFFERENCE: "difference"}.get(metric.scale, "% more or less")
    x = alt.X(
        "estimate:Q", title=f"{unit} ({better} is better)", scale=alt.Scale(domain=[low, high], nice=False, clamp=True)
    )
    y = alt.Y("pair:N", title=None, sort=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False, labelPadding=8))
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=[*_COLOURS], range=[*_COLOURS.values()]), legend=None)
    base = alt.Chart(data).transform_filter("datum.estimate !== null")
    zero = alt.Chart(rows([{}])).mark_rule(color=INK, strokeDash=[3, 3], opacity=0.7).encode(x=alt.datum(0))
    whisker = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour)
    point = base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour)
    said = alt.Chart(data).mark_text(align="left", dx=10, fontSize=11).encode(
        x=alt.value(WIDTH_PX), y=y, text="words:N", color=colour
    )  # fmt: skip
    height = ROW_PX * len(pairs)
    title = alt.TitleParams(name(metric.label), fontSize=12, offset=4)
    return alt.layer(zero, whisker, point, said).properties(width=WIDTH_PX, height=height, title=title)


def _domain(metric: Metric, known: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis: zero, all estimates, and of the intervals what does not squeeze all the rest."""
    ends = [v for row in known for v in (row["low"], row["high"], row["estimate"], 0.0) if v is not None]
    widest = (
        1.5 * max(400.0, *(abs(row["estimate"]) for row in known)) if metric.scale is not Scale.DIFFERENCE else math.inf
    )
    low, high = max(min(ends), -widest), min(max(ends), widest)
    room = 0.06 * (high - low) or 1.0
    floor = -100.0 if metric.scale is not Scale.DIFFERENCE else -math.inf
    return max(low - room, floor), high + room


def _forest_row(metric: Metric, pair: Pair, alpha: float) -> dict[str, Any]:
    word = word_of(pair, alpha)
    known = math.isfinite(pair.estimate)
    return {
        "pair": f"{name(pair.b)} against {name(pair.a)}",
        "estimate": _scaled(metric, pair.estimate) if known else None,
        "low": _scaled(metric, pair.low) if known else None,
        "high": _scaled(metric, pair.high) if known else None,
        "verdict": word.value,
        "words": f"{effect(metric, pair.estimate)} · {word.value}" if known else word.value,
    }


def _scaled(metric: Metric, value: float) -> float | None:
    """Return an effect as it stands on the axis; what has no bound is None."""
    if not math.isfinite(value):
        return None
    if metric.scale is Scale.DIFFERENCE:
        return value
    return 100 * (value if metric.scale is Scale.RATE else value - 1)


def _within(value: float | None, else_value: float) -> float:
    return else_value if value is None else value


# -------------------------------------------------------------------------------------------------- distributions


def ecdf(findings: Findings, metric: str | None = None) -> alt.TopLevelMixin:
    """Return the share of runs up to each value, a line for each group; a higher line has the smaller values."""
    chosen = _metric(findings, metric, amounts=True)
    listed: list[dict[str, Any]] = []
    factor = 100 if chosen.unit == "share" else 1
    for group in findings.groups.values():
        values = group.known(chosen) * factor
        steps = cumulative(values, _STEPS) if values.size else []
        listed += [{"group": name(group.name), "value": value, "share": share} for value, share in steps]
    if not listed:
        msg = f"{chosen.label} is known of no run, so there is no distribution to draw"
        raise OptionError(msg)
    found = [row["value"] for row in listed]
    is_wide = min(found) > 0 and max(found) / min(found) > 30  # noqa: PLR2004 - where a linear axis hides most of it
    unit = _UNITS.get(chosen.unit)
    title = f"{name(chosen.label)}{f', {unit}' if unit else ''}{' (log)' if is_wide else ''}"
    scale = alt.Scale(type="log", nice=False) if is_wide else alt.Scale(zero=False, nice=False)
    chart = alt.Chart(rows(listed), title=f"Distribution of {name(chosen.label)} over runs").mark_line(
        interpolate="step-after", strokeWidth=2
    )
    return styled(
        chart.encode(
            x=alt.X("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6), sort=None),
            y=alt.Y("share:Q", title="% of runs at or below", scale=alt.Scale(domain=[0, 100])),
            color=_by_group(findings),
        ).properties(width=WIDTH_PX, height=220)
    )


def _by_group(findings: Findings) -> alt.Color:
    names = [name(group) for group in findings.groups]
    colours = [GROUPS[i % len(GROUPS)] for i in range(len(names))]
    shown = alt.Legend(title=name(findings.by), orient="right", symbolStrokeWidth=3)
    return alt.Color("group:N", scale=alt.Scale(domain=names, range=colours), legend=shown)


def _metric(findings: Findings, wanted: str | None, *, amounts: bool) -> Metric:
    of = {m.name: m for m in findings.metrics if m.scale is not Scale.PER_SUCCESS}
    if wanted is None:
        first = [m for m in of.values() if m.scale is not Scale.RATE] if amounts else list(of.values())
        known = [m for m in first if any(g.known(m).size for g in findings.groups.values())]
        if not (known or first or of):
            msg = "no metric was compared that has a figure for each run"
            raise OptionError(msg)
        return (known or first or list(of.values()))[0]
    if wanted not in of:
        msg = f"metric={wanted!r} was not compared; there are {', '.join(of)}.{did_you_mean(wanted, of)}"
        raise OptionError(msg)
    return of[wanted]


# ------------------------------------------------------------------------------------------- cost against quality


def pareto(findings: Findings) -> alt.TopLevelMixin:
    """Return cost (else latency, else tokens) against success, with the groups that no other one beats in both."""
    quality = next((m for m in findings.metrics if m.scale is Scale.RATE), None)
    prices = [m for m in findings.metrics if m.scale is Scale.RATIO]
    of = {(e.group, e.metric.name): e for e in findings.estimates}
    whole = [m for m in prices if all(math.isfinite(of[g, m.name].value) for g in findings.groups)]
    price = next((m for wanted in ("cost", "latency", "tokens") for m in whole if m.name == wanted), None)
    if quality is None or price is None:
        msg = (
            "cost against quality needs success, and cost, latency or tokens that are known of every group, in metrics="
        )
        raise OptionError(msg)
    points = [(of[g, price.name], of[g, quality.name]) for g in findings.groups if of[g, quality.name].runs]
    listed = [_point(p, q) for p, q in points]
    front = {row["group"] for row in listed if not any(_beats(other, row) for other in listed)}
    line = sorted((row for row in listed if row["group"] in front), key=lambda row: row["x"])
    data = rows(listed)
    unit = _UNITS.get(price.unit, "")
    is_wide = max(row["x_high"] for row in listed) > 8 * min(row["x_low"] for row in listed)
    scale = alt.Scale(type="log", padding=24, nice=False) if is_wide else alt.Scale(zero=False, padding=24, nice=False)
    log = ", log" if is_wide else ""
    title_x = f"{name(price.label)} of a run, median, {unit}{log} (left is better)"
    x = alt.X("x:Q", title=title_x, scale=scale, axis=alt.Axis(tickCount=6))
    bottom, top = min(row["y_low"] for row in listed), max(row["y_high"] for row in listed)
    in_sight = alt.Scale(domain=[max(bottom - 5, 0), min(top + 5, 100)], nice=False)
    y = alt.Y("y:Q", title=f"{name(quality.label)}, % of cases (up is better)", scale=in_sight)
    colour = _by_group(findings)
    steps = alt.Chart(rows(line)).mark_line(color=INK, strokeDash=[4, 3], interpolate="step-after").encode(x=x, y=y)
    across = (
        alt.Chart(data).mark_rule(strokeWidth=1.5, opacity=0.7).encode(x="x_low:Q", x2="x_high:Q", y=y, color=colour)
    )
    along = (
        alt.Chart(data).mark_rule(strokeWidth=1.5, opacity=0.7).encode(x=x, y="y_low:Q", y2="y_high:Q", color=colour)
    )
    dots = alt.Chart(data).mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=colour)
    title = alt.TitleParams(
        f"{name(price.label).capitalize()} against {name(quality.label)}",
        subtitle="dashed: not beaten in both by any other",
    )
    return styled(alt.layer(steps, across, along, dots).properties(width=WIDTH_PX, height=260, title=title))


def _point(price: Estimate, quality: Estimate) -> dict[str, Any]:
    def end(value: float, instead: float) -> float:
        return value if math.isfinite(value) else instead

    return {
        "group": name(price.group), "x": price.value, "x_low": end(price.low, price.value),
        "x_high": end(price.high, price.value), "y": 100 * quality.value,
        "y_low": 100 * end(quality.low, quality.value), "y_high": 100 * end(quality.high, quality.value),
    }  # fmt: skip


def _beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    no_worse = one["x"] <= other["x"] and one["y"] >= other["y"]
    return bool(no_worse and (one["x"], one["y"]) != (other["x"], other["y"]))


# ----------------------------------------------------------------------------------------------------------- cases


def cases(
    findings: Findings, metric: str | None = None, a: str | None = None, b: str | None = None
) -> alt.TopLevelMixin:
    """Return for one pair how much better or worse b was in each case, the best case first."""
    chosen = _metric(findings, metric, amounts=False)
    pair = pair_of(findings, chosen.name, a, b)
    of_a, of_b = (findings.groups[g].values(chosen) for g in (pair.a, pair.b))
    shared = sorted(of_a.keys() & of_b.keys())
    if not shared or not pair.is_paired:
        msg = f"{pair.a} and {pair.b} have no case in common in which {chosen.label} is known"
        raise OptionError(msg)
    sign = 1 if chosen.more_is_better else -1
    is_ratio = chosen.scale is Scale.RATIO
    change = {c: 100 * (of_b[c] / of_a[c] - 1) if is_ratio else of_b[c] - of_a[c] for c in shared}
    if chosen.scale is Scale.RATE:
        change = {c: 100 * v for c, v in change.items()}
    order = sorted(shared, key=lambda c: -sign * change[c])
    step = max(len(order) // _MOST_CASES, 1)
    listed = [
        {"case": name(c), "place": i, "change": change[c], "side": _side(sign * change[c])} for i, c in enumerate(order)
    ][::step]
    unit = {Scale.RATE: "points", Scale.RATIO: "%"}.get(chosen.scale, name(chosen.label))
    sides = ["better", "same", "worse"]
    data = rows(listed)
    colour = alt.Color("side:N", title=None, scale=alt.Scale(domain=sides, range=[GOOD, NEUTRAL, BAD]))
    x = alt.X(
        "place:O",
        title=f"cases, where {name(pair.b)} gains most first",
        axis=alt.Axis(labels=False, ticks=False, domain=False),
    )
    bars = alt.Chart(data).mark_bar().encode(x=x, y=alt.Y("change:Q", title=f"change, {unit}"), color=colour)
    dots = alt.Chart(data).transform_filter("datum.side === 'same'").mark_point(filled=True, size=16, opacity=1).encode(
        x=x, y="change:Q", color=colour
    )  # fmt: skip
    zero = alt.Chart(rows([{}])).mark_rule(color=FAINT).encode(y=alt.datum(0))
    won = f"better in {pair.wins}, as good in {pair.ties}, worse in {pair.losses} of {pair.cases} cases"
    title = alt.TitleParams(f"{name(chosen.label).capitalize()}: {name(pair.b)} against {name(pair.a)}", subtitle=won)
    return styled(alt.layer(zero, bars, dots).properties(width=WIDTH_PX, height=200, title=title))


def _side(gain: float) -> str:
    return "better" if gain > 0 else "worse" if gain < 0 else "same"


def pair_of(findings: Findings, metric: str, a: str | None, b: str | None) -> Pair:
    """Return the pair of two groups by a metric; without groups the first pair.

    Raises
    ------
    OptionError
        If there is no such pair.
    """
    for what, wanted in (("a", a), ("b", b)):
        if wanted is not None and wanted not in findings.groups:
            groups = list(findings.groups)
            msg = f"{what}={wanted!r} is not there; {findings.by} is one of {', '.join(groups)}."
            raise OptionError(msg + did_you_mean(wanted, groups))
    listed = [pair for pair in findings.pairs if pair.metric.name == metric]
    for pair in listed:
        if a in (None, pair.a) and b in (None, pair.b):
            return pair
    pairs = ", ".join(f"a={pair.a!r} b={pair.b!r}" for pair in listed)
    msg = f"a={a!r} b={b!r} were not compared; there are {pairs}"
    raise OptionError(msg)
