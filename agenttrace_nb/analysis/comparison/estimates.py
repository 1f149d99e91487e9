"""What each group comes to by itself: an estimate with its interval for each metric, and success over trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale
from agenttrace_nb.analysis.statistics import proportions, trials
from agenttrace_nb.analysis.statistics.bootstrap import bca, bca_mean, bootstrap_quantile
from agenttrace_nb.analysis.statistics.quantiles import quantile, smallest_n

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison.cases import Group

_MOST_TRIALS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one group comes to by one metric; NaN is unknown, or an interval that the data do not give.

    Attributes
    ----------
    group, metric
        Whose, and of what.
    runs, cases, unknown
        Runs and cases that it rests on, and runs of which the metric is not known.
    statistic
        ``mean`` (of the cases), ``median`` (of the runs) or ``total`` (over total).
    value, low, high
        The estimate.
    p95, p95_low, p95_high
        The 95th percentile of the runs, where there are cases enough for its interval.
    """

    group: str
    metric: Metric
    runs: int
    cases: int
    unknown: int
    statistic: str
    value: float
    low: float = math.nan
    high: float = math.nan
    p95: float = math.nan
    p95_low: float = math.nan
    p95_high: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTrials:
    """Chance that all of k trials of a case succeed (pass^k), and that at least one does (pass@k)."""

    group: str
    k: int
    cases: int
    all_of_k: float
    all_low: float
    all_high: float
    one_of_k: float
    one_low: float
    one_high: float


def estimate(group: Group, metric: Metric, level: float) -> Estimate:
    """Return what a group comes to by a metric."""
    if metric.scale is Scale.PER_SUCCESS:
        return _per_success(group, metric, level)
    known = group.known(metric)
    of_cases = group.values(metric)
    about: dict[str, Any] = {
        "group": group.name, "metric": metric, "runs": known.size, "cases": len(of_cases),
        "unknown": len(group) - known.size,
    }  # fmt: skip
    if not known.size:
        return Estimate(**about, statistic="mean", value=math.nan)
    if metric.scale is not Scale.RATIO:
        low, high = _mean_interval(group, metric, np.array(list(of_cases.values())), level)
        return Estimate(**about, statistic="mean", value=float(np.mean(list(of_cases.values()))), low=low, high=high)
    middle, tail = (_quantile(group, metric, p, level) for p in (0.5, 0.95))
    return Estimate(
        **about, statistic="median", value=middle[0], low=middle[1], high=middle[2],
        p95=tail[0], p95_low=tail[1], p95_high=tail[2],
    )  # fmt: skip


def _mean_interval(group: Group, metric: Metric, means: np.ndarray, level: float) -> tuple[float, float]:
    if metric.scale is Scale.RATE:
        has_trials = means.size < group.known(metric).size
        if not has_trials and set(np.unique(means)) <= {0.0, 1.0}:
            return proportions.wilson(int(means.sum()), means.size, level)
        if np.ptp(means) == 0:  # all alike, so no spread to go by: as if each case had one trial
            return proportions.wilson(round(float(means.sum())), means.size, level)
    found = bca_mean(means, level=level)
    return found.low, found.high


def _quantile(group: Group, metric: Metric, p: float, level: float) -> tuple[float, float, float]:
    """Return a quantile with its interval; NaN for the ends, beyond the median for all, where there is none."""
    of_cases = group.trials(metric)
    has_interval = len(of_cases) >= smallest_n(p, level)
    values = np.concatenate(of_cases)
    if not has_interval:
        return (float(np.median(values)) if p == 0.5 else math.nan), math.nan, math.nan  # noqa: PLR2004 - the median
    if values.size == len(of_cases):
        return quantile(values, p, level)
    return bootstrap_quantile(of_cases, p, level=level)


def _per_success(group: Group, metric: Metric, level: float) -> Estimate:
    of_cases = group.per_success()
    unknown = group.unknown_per_success()
    about: dict[str, Any] = {"group": group.name, "metric": metric, "unknown": unknown, "statistic": "total"}
    if of_cases is None:
        return Estimate(**about, runs=len(group) - unknown, cases=0, value=math.nan)
    rows = np.array(list(of_cases.values()))
    found = bca(rows, lambda totals: totals[..., 0] / totals[..., 1], level=level)
    value = found.value if math.isfinite(found.value) else math.nan
    return Estimate(**about, runs=len(group), cases=len(rows), value=value, low=found.low, high=found.high)


def over_trials(group: Group, metric: Metric, level: float) -> list[OverTrials]:
    """Return pass^k and pass@k from k = 1 on, as far as every case has trials; nothing where there are no trials."""
    of_cases = group.trials(metric)
    fewest = min((len(of) for of in of_cases), default=0)
    if fewest < 2:  # noqa: PLR2004 - one trial is none
        return []
    wins, tries = [float(of.sum()) for of in of_cases], [len(of) for of in of_cases]
    found = []
    for k in range(1, min(fewest, _MOST_TRIALS) + 1):
        every = bca_mean(trials.pass_hat_k(wins, tries, k), level=level)
        some = bca_mean(trials.pass_at_k(wins, tries, k), level=level)
        found.append(
            OverTrials(
                group=group.name, k=k, cases=len(of_cases), all_of_k=every.value, all_low=every.low,
                all_high=every.high, one_of_k=some.value, one_low=some.low, one_high=some.high,
            )
        )  # fmt: skip
    return found
