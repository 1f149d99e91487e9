"""The whole comparison: every group, every pair, adjusted for everything that is shown, with verdicts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.comparison.cases import Group, grouped, is_case
from agenttrace_nb.analysis.comparison.estimates import Estimate, OverTrials, estimate, over_trials
from agenttrace_nb.analysis.comparison.metrics import DEFAULT, SCORE, Metric, Scale
from agenttrace_nb.analysis.comparison.pairs import Pair, compare_pair
from agenttrace_nb.analysis.comparison.runs import Runs, read_runs
from agenttrace_nb.analysis.comparison.words import Verdict, counted, effect, verdict
from agenttrace_nb.analysis.statistics import paired, sizing
from agenttrace_nb.analysis.statistics.multiplicity import holm
from agenttrace_nb.config import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

_RANK_EFFICIENCY = 3 / math.pi  # of Wilcoxon's test against the t-test, for normal data
_FEWEST_BLOCKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """Whether several groups differ at all by one metric, over the cases that all of them have."""

    metric: Metric
    cases: int
    test: str
    statistic: float
    p: float
    p_adjusted: float = math.nan


@dataclass(kw_only=True)
class Findings:
    """Everything that a comparison found.

    Attributes
    ----------
    by
        The tag that tells the groups apart.
    groups
        The groups by name, the baseline first.
    metrics
        What they were compared by.
    pairs
        Each pair by each metric.
    overall
        For three groups or more: whether they differ at all.
    verdicts
        One for each pair.
    notes
        What was left out, and what to know when reading the figures.
    alpha, power
        As they were asked for.
    has_baseline, has_margin
        Whether a baseline and a margin were given.
    """

    by: str
    groups: dict[str, Group]
    metrics: list[Metric]
    alpha: float
    power: float | None = None
    has_baseline: bool = False
    has_margin: bool = False
    pairs: list[Pair] = field(default_factory=list)
    overall: list[Overall] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def estimates(self) -> list[Estimate]:
        """Each group by each metric."""
        return [estimate(group, m, 1 - self.alpha) for m in self.metrics for group in self.groups.values()]

    @cached_property
    def trials(self) -> list[OverTrials]:
        """pass^k and pass@k, where cases were tried several times."""
        rates = [m for m in self.metrics if m.scale is Scale.RATE][:1]
        return [row for m in rates for group in self.groups.values() for row in over_trials(group, m, 1 - self.alpha)]


def compare_runs(
    traces: Any,
    *,
    by: str = "arch",
    metrics: Sequence[str] | str = DEFAULT,
    case: str | None = "case",
    baseline: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    alpha: float = 0.05,
    power: float | None = None,
) -> Findings:
    """Compare groups of runs; see `agenttrace_nb.compare`, which shows what this finds."""
    _check_share("alpha", alpha, 0.5)
    if power is not None:
        _check_share("power", power, 1.0)
    runs = read_runs(traces, by, metrics, case, baseline)
    groups = grouped(runs.table, runs.groups)
    chosen = [_scaled(m, runs) for m in runs.metrics]
    margins = _margins(margin, chosen)
    found = Findings(
        by=by, groups=groups, metrics=chosen, alpha=alpha, power=power, has_baseline=baseline is not None,
        has_margin=margin is not None, notes=runs.notes,
    )  # fmt: skip
    sides = list(itertools.combinations(groups.values(), 2))
    if baseline is not None:
        sides = [(a, b) for a, b in sides if a.name == str(baseline)]
    found.pairs = [compare_pair(m, a, b, alpha=alpha, margin=margins.get(m.name)) for m in chosen for a, b in sides]
    found.overall = [o for m in chosen if (o := _overall(m, list(groups.values())))]
    compared = _adjust(found)
    _size(found, margins, compared)
    found.verdicts = [verdict(pair, alpha, 1 - alpha, compared=compared) for pair in found.pairs]
    _note_cases(found)
    _note_failures(found)
    return found


def _check_share(name: str, value: Any, below: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < below:
        msg = f"{name}={value!r} is not allowed; it must be a number between 0 and {below:g}"
        raise OptionError(msg)


def _margins(margin: Any, metrics: list[Metric]) -> dict[str, float]:
    names = [m.name for m in metrics]
    given = dict.fromkeys(names, margin) if not isinstance(margin, Mapping) else dict(margin)
    for name, value in given.items():
        if name not in names:
            msg = f"margin names {name!r}, which is not compared; there are {', '.join(names)}."
            raise OptionError(msg + did_you_mean(str(name), names))
        if value is not None:
            _check_share("margin" if not isinstance(margin, Mapping) else f"margin[{name!r}]", value, 1.0)
    return {name: float(value) for name, value in given.items() if value is not None}


def _scaled(metric: Metric, runs: Runs) -> Metric:
    """Return the metric as these runs allow it: amounts that can be 0 have no ratio, shares have no other values."""
    figures = runs.table.figures[metric.name]
    known = np.unique(figures[~np.isnan(figures)])
    if metric.scale is Scale.RATIO and known.size and known[0] <= 0:
        runs.notes.append(f"{metric.label} is 0 in some runs: differences are compared, not ratios")
        return replace(metric, scale=Scale.DIFFERENCE)
    if metric.scale is Scale.RATE and not np.isin(known, (0.0, 1.0)).all():
        odd = known[~np.isin(known, (0.0, 1.0))][0]
        msg = f"{metric.name} holds {odd:g}; it must be true, false or unknown"
        raise OptionError(msg)
    if (
        metric.scale is Scale.DIFFERENCE
        and not metric.unit
        and metric.columns == (metric.name,)
        and (known.tolist() == [0.0, 1.0] or (metric.name.startswith(SCORE) and np.isin(known, (0.0, 1.0)).all()))
    ):
        return replace(metric, scale=Scale.RATE, unit="share")  # a score of pass or fail
    return metric


def _overall(metric: Metric, groups: list[Group]) -> Overall | None:
    if len(groups) < 3 or metric.scale is Scale.PER_SUCCESS:  # noqa: PLR2004 - two groups are a pair
        return None
    of = [group.values(metric) for group in groups]
    shared = sorted(case for case in set.intersection(*(set(values) for values in of)) if is_case(case))
    if len(shared) < _FEWEST_BLOCKS:
        return None
    table = np.array([[values[case] for values in of] for case in shared])
    is_plain = metric.scale is Scale.RATE and set(np.unique(table)) <= {0.0, 1.0}
    statistic, p = paired.cochran_q(table) if is_plain else paired.friedman(table)
    return Overall(
        metric=metric, cases=len(shared), test="Cochran Q" if is_plain else "Friedman", statistic=statistic, p=p
    )


def _adjust(found: Findings) -> int:
    """Adjust every p-value that is shown for all the others (Holm); return how many comparisons there are."""
    usable = [math.nan if pair.cases < pair.needs else pair.p for pair in found.pairs]
    same = [math.nan if pair.cases < pair.needs else pair.p_equivalent for pair in found.pairs]
    pairs = len(found.pairs)
    labels = [*range(pairs), *range(pairs), *range(pairs, pairs + len(found.overall))]
    adjusted = holm([*usable, *same, *(o.p for o in found.overall)], at_most_one_true=labels)
    found.pairs = [
        replace(pair, p_adjusted=float(adjusted[i]), p_equivalent_adjusted=float(adjusted[pairs + i]))
        for i, pair in enumerate(found.pairs)
    ]
    found.overall = [replace(o, p_adjusted=float(adjusted[2 * pairs + i])) for i, o in enumerate(found.overall)]
    return sum(not math.isnan(p) for p in usable) + len(found.overall)


def _size(found: Findings, margins: dict[str, float], compared: int) -> None:
    """Say how many cases would be needed, at the level that is left to one comparison among all."""
    if found.power is None:
        return
    alpha = found.alpha / max(compared, 1)
    sized = []
    for pair in found.pairs:
        if not pair.spread > 0:  # nothing known of it, or no two cases differ
            sized.append(pair)
            continue
        is_ratio = pair.metric.scale is Scale.RATIO
        spread = pair.spread / _RANK_EFFICIENCY if is_ratio else pair.spread
        delta = math.log(pair.estimate) if is_ratio else pair.estimate
        if (margin := margins.get(pair.metric.name)) is not None and pair.metric.scale is not Scale.DIFFERENCE:
            delta = math.log1p(margin) if is_ratio else margin
        needed = sizing.cases_needed(delta, spread, alpha=alpha, power=found.power)
        least = sizing.detectable(pair.cases, spread, alpha=alpha, power=found.power)
        sized.append(replace(pair, cases_needed=needed, detectable=math.exp(least) if is_ratio else least))
    found.pairs = sized


def _note_cases(found: Findings) -> None:
    for group in found.groups.values():
        if group.caseless:
            have = "has" if group.caseless == 1 else "have"
            who = f"{group.caseless:,} of {counted(len(group), 'run', 'runs')} of {group.name}"
            found.notes.append(f"{who} {have} no case: not paired")
    told = set()
    for pair in found.pairs:
        if (pair.a, pair.b) in told or pair.metric.scale is Scale.PER_SUCCESS:
            continue
        told.add((pair.a, pair.b))
        a, b = (set(filter(is_case, found.groups[g].sizes)) for g in (pair.a, pair.b))
        lone = [
            f"{len(cases)} only in {g} ({_some(cases)})" for g, cases in ((pair.a, a - b), (pair.b, b - a)) if cases
        ]
        if a & b and lone:
            found.notes.append(f"unpaired cases, left out: {', '.join(lone)}")
        elif a and b and not a & b:
            found.notes.append(f"{pair.a} and {pair.b} share no case: they are compared as independent groups")
    for metric in (m for m in found.metrics if m.scale is not Scale.PER_SUCCESS):
        for group in found.groups.values():
            known = group.known(metric).size
            if 0 < known < len(group):
                unknown = counted(len(group) - known, "run", "runs")
                found.notes.append(f"{metric.label} of {unknown} of {group.name} is unknown: left out")


def _some(cases: set[str]) -> str:
    first = sorted(cases)[:3]
    return ", ".join(first) + (", ..." if len(cases) > len(first) else "")


def _note_failures(found: Findings) -> None:
    """Say what failed runs do to figures in which they count with what they took until they failed."""
    counts = {name: group.failed for name, group in found.groups.items()}
    amounts = [m for m in found.metrics if m.scale is Scale.RATIO]
    if not any(counts.values()) or not amounts:
        return
    who = ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
    found.notes.append(f"failed runs ({who}) count with what they took until they failed")
    for pair in found.pairs:
        if pair.metric.scale is not Scale.RATIO or not pair.is_paired or not (counts[pair.a] or counts[pair.b]):
            continue
        a, b = (found.groups[g].values_without_failed(pair.metric) for g in (pair.a, pair.b))
        ratios = [b[case] / a[case] for case in a.keys() & b.keys()]
        if ratios and not math.isnan(pair.estimate):
            without = effect(pair.metric, float(np.median(ratios)))
            found.notes.append(
                f"{pair.metric.label} of {pair.b} against {pair.a}: {effect(pair.metric, pair.estimate)} with failed "
                f"runs, {without} in the middle case without them"
            )
