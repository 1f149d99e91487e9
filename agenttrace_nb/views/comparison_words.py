"""What a comparison says, as small tables of words; every form of it (text, HTML, Markdown, LaTeX) shows these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale
from agenttrace_nb.analysis.comparison.words import effect, p_value, span, word_of
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.comparison import Findings, Pair
    from agenttrace_nb.analysis.comparison.estimates import Estimate

NAME_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of words: heads, rows, how many columns from the left are text, and perhaps what each row is of."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    texts: int = 1
    keys: Sequence[str] = ()


def amount(metric: Metric, value: float) -> str:
    """Return a figure of one group, in its unit."""
    if math.isnan(value):
        return fmt.UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if metric.unit == "share":
        return f"{100 * value:.1f} %"
    forms = {"s": fmt.seconds, "usd": fmt.usd, "tokens": fmt.count}
    return forms[metric.unit](value) if metric.unit in forms else f"{value:.3g}".replace("-", "−")


def name(text: str) -> str:
    """Return a name that a user gave, fit for one line."""
    return one_line(text, NAME_LIMIT)


def headline(findings: Findings) -> str:
    """Return what was compared, in one line."""
    groups = " · ".join(f"{name(g.name)} {len(g)} {fmt.plural(len(g), 'run')}" for g in findings.groups.values())
    return f"{len(findings.groups)} values of {name(findings.by)}: {groups}"


def group_sheet(findings: Findings) -> Sheet:
    """Return one row for each group, one column for each metric."""
    of = {(e.group, e.metric.name): e for e in findings.estimates}
    heads = [name(findings.by), "runs", "cases"]
    heads += [f"{name(m.label)}, {_statistic(findings, m)}" for m in findings.metrics]
    rows = []
    for group in findings.groups.values():
        row = [name(group.name), str(len(group)), str(len(group.sizes))]
        rows.append(row + [_estimate(of[group.name, m.name]) for m in findings.metrics])
    title = f"Estimates with {100 * (1 - findings.alpha):g} % intervals"
    return Sheet(title, heads, rows)


def _statistic(findings: Findings, metric: Metric) -> str:
    said = next(e.statistic for e in findings.estimates if e.metric.name == metric.name)
    return "total over total" if said == "total" else "mean of cases" if said == "mean" else said


def _estimate(one: Estimate) -> str:
    if math.isnan(one.value):
        return "unknown"
    value = amount(one.metric, one.value)
    return (
        f"{value} ({_between(one)})"
        if math.isfinite(one.low) and math.isfinite(one.high)
        else f"{value} (too few runs)"
    )


def _between(one: Estimate) -> str:
    low, high = amount(one.metric, one.low), amount(one.metric, one.high)
    shared = low.rpartition(" ")[2]
    if " " in low and high.endswith(f" {shared}"):
        low = low.rpartition(" ")[0]  # the unit once
    return f"{low} to {high}"


def tail_sheet(findings: Findings) -> Sheet | None:
    """Return the 95th percentiles of amounts; None where no group has cases enough for one."""
    listed = [e for e in findings.estimates if e.statistic == "median"]
    if not any(math.isfinite(e.p95_high) for e in listed):
        return None
    rows = []
    for one in listed:
        has = math.isfinite(one.p95_high)
        said = (
            f"{amount(one.metric, one.p95)} ({amount(one.metric, one.p95_low)} to {amount(one.metric, one.p95_high)})"
        )
        rows.append([name(one.metric.label), name(one.group), said if has else "too few runs"])
    return Sheet(
        "95th percentile of the runs (its interval needs 59 cases)", ["metric", name(findings.by), "p95"], rows, 2
    )


def pair_sheet(findings: Findings) -> Sheet:
    """Return one row for each pair by each metric."""
    heads = ["metric", "pair", "verdict", "difference", f"{100 * (1 - findings.alpha):g} % interval", "p adjusted"]
    heads += ["better in", "cases", "test"]
    if findings.power is not None:
        heads += ["cases needed"]
    rows = [_pair(pair, findings) for pair in findings.pairs]
    return Sheet("Each pair, case by case", heads, rows, 3)


def _pair(pair: Pair, findings: Findings) -> list[str]:
    known = not math.isnan(pair.estimate)
    wins = (
        f"{pair.wins} of {pair.cases}"
        if known and pair.is_paired and pair.wins + pair.ties + pair.losses
        else fmt.UNKNOWN
    )
    row = [
        name(pair.metric.label),
        f"{name(pair.b)} against {name(pair.a)}",
        word_of(pair, findings.alpha).value,
        effect(pair.metric, pair.estimate) if known else fmt.UNKNOWN,
        _interval(pair),
        p_value(pair.p_adjusted).removeprefix("p ").removeprefix("= ")
        if not math.isnan(pair.p_adjusted)
        else fmt.UNKNOWN,
        wins,
        str(pair.cases),
        pair.test or fmt.UNKNOWN,
    ]
    if findings.power is not None:
        row.append(fmt.grouped(math.ceil(pair.cases_needed)) if math.isfinite(pair.cases_needed) else fmt.UNKNOWN)
    return row


def _interval(pair: Pair) -> str:
    bounded = math.isfinite(pair.low) and math.isfinite(pair.high)
    return span(pair.metric, pair.low, pair.high) if bounded else fmt.UNKNOWN


def trial_sheet(findings: Findings) -> Sheet | None:
    """Return success over repeated trials; None where no case was tried twice."""
    if not findings.trials:
        return None
    rows = [
        [
            name(t.group),
            str(t.k),
            f"{100 * t.all_of_k:.1f} % ({100 * t.all_low:.1f} to {100 * t.all_high:.1f} %)",
            f"{100 * t.one_of_k:.1f} % ({100 * t.one_low:.1f} to {100 * t.one_high:.1f} %)",
        ]
        for t in findings.trials
    ]
    return Sheet(
        "Over k trials of a case", [name(findings.by), "k", "all succeed, pass^k", "one succeeds, pass@k"], rows
    )


def overall_sheet(findings: Findings) -> Sheet | None:
    """Return whether the groups differ at all; None for two groups."""
    if not findings.overall:
        return None
    rows = []
    for one in findings.overall:
        word = "they differ" if one.p_adjusted <= findings.alpha else "no evidence of a difference"
        p = p_value(one.p_adjusted).removeprefix("p ").removeprefix("= ")
        rows.append([name(one.metric.label), word, p, str(one.cases), one.test])
    return Sheet("All together", ["metric", "verdict", "p adjusted", "cases", "test"], rows, 2)


def sheets(findings: Findings) -> list[Sheet]:
    """Return all tables, in reading order."""
    found = [group_sheet(findings), pair_sheet(findings), overall_sheet(findings), trial_sheet(findings)]
    return [sheet for sheet in found if sheet is not None]


def how_to_read(findings: Findings) -> list[str]:
    """Return what to know about the figures, the same for every comparison."""
    level = f"{100 * (1 - findings.alpha):g} %"
    counted = f"the chance of any false one is at most {findings.alpha:g}"
    said = [
        f"Verdicts count every comparison that is shown (Holm): {counted}. An interval is for one comparison, {level}."
    ]
    if any(p.metric.scale in (Scale.RATIO, Scale.PER_SUCCESS) for p in findings.pairs):
        said.append("Percent are how much more or less than the other side; points are differences of percentages.")
    if any(e.statistic == "median" for e in findings.estimates) and tail_sheet(findings) is None:
        said.append("The 95th percentile has an interval from 59 cases on: too few runs for it here.")
    return said
