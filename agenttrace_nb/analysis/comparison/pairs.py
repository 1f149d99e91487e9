"""Two groups set against each other by one metric: estimate, interval, test, and who won which case."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.comparison.cases import Group, is_case
from agenttrace_nb.analysis.comparison.metrics import Metric, Scale
from agenttrace_nb.analysis.statistics import paired, proportions, shift, sizing, unpaired
from agenttrace_nb.analysis.statistics.bootstrap import bca, bca_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

UNKNOWN = math.nan
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """How b stands against a by one metric.

    Attributes
    ----------
    metric
        What they are compared by.
    a, b
        The groups; a is the baseline where there is one.
    cases
        Cases on which the figures rest: those that both sides have, or all of both where nothing is paired.
    runs_a, runs_b
        Runs in them.
    only_a, only_b
        Cases that only one side has.
    is_paired
        Whether cases were compared with themselves.
    estimate, low, high
        b against a: difference of shares, how many times as much, or difference; with its interval. NaN is unknown.
    mean_ratio, mean_ratio_low, mean_ratio_high
        Ratio of the geometric means with its bootstrap interval, for amounts.
    shift, shift_low, shift_high
        Typical difference in the metric's own unit, for amounts (Hodges-Lehmann).
    wins, ties, losses
        Cases in which b was better, as good, worse.
    test
        The test that gave ``p``.
    p, p_equivalent
        Of no difference, and of a difference beyond the margin.
    spread
        Variance of the differences of the cases, on the scale of the test.
    needs
        Cases below which the test cannot find anything.
    why_not
        Why they could not be compared.
    p_adjusted, p_equivalent_adjusted
        The same for everything that is shown together.
    cases_needed, detectable
        How many cases would show the margin (or what was observed), and the smallest effect that these cases show.
    """

    metric: Metric
    a: str
    b: str
    cases: int = 0
    runs_a: int = 0
    runs_b: int = 0
    only_a: int = 0
    only_b: int = 0
    is_paired: bool = True
    estimate: float = UNKNOWN
    low: float = UNKNOWN
    high: float = UNKNOWN
    mean_ratio: float = UNKNOWN
    mean_ratio_low: float = UNKNOWN
    mean_ratio_high: float = UNKNOWN
    shift: float = UNKNOWN
    shift_low: float = UNKNOWN
    shift_high: float = UNKNOWN
    wins: int = 0
    ties: int = 0
    losses: int = 0
    test: str = ""
    p: float = UNKNOWN
    p_equivalent: float = UNKNOWN
    spread: float = UNKNOWN
    needs: int = 0
    why_not: str = ""
    p_adjusted: float = UNKNOWN
    p_equivalent_adjusted: float = UNKNOWN
    cases_needed: float = UNKNOWN
    detectable: float = UNKNOWN

    @property
    def is_improvement(self) -> bool:
        """Whether the estimate says that b is the better one."""
        return self._side > 0

    @property
    def is_deterioration(self) -> bool:
        """Whether the estimate says that b is the worse one."""
        return self._side < 0

    @property
    def _side(self) -> float:
        neutral = 1.0 if self.metric.scale in (Scale.RATIO, Scale.PER_SUCCESS) else 0.0
        return (self.estimate - neutral) * (1 if self.metric.more_is_better else -1)


def compare_pair(metric: Metric, a: Group, b: Group, *, alpha: float, margin: float | None) -> Pair:
    """Return how b stands against a; ``margin`` is a share (0.05: 5 points of a rate, 5 % of anything else)."""
    if metric.scale is Scale.PER_SUCCESS:
        return _per_success(metric, a, b, alpha, margin)
    of_a, of_b = a.values(metric), b.values(metric)
    shared = sorted(case for case in of_a.keys() & of_b.keys() if is_case(case))
    pair = Pair(
        metric=metric, a=a.name, b=b.name, is_paired=bool(shared),
        only_a=sum(map(is_case, of_a)) - len(shared), only_b=sum(map(is_case, of_b)) - len(shared),
    )  # fmt: skip
    if unknown := " and ".join(g.name for g, of in ((a, of_a), (b, of_b)) if not of):
        return replace(pair, why_not=f"{metric.label} of {unknown} is unknown")
    x = np.array([of_a[case] for case in shared] if shared else list(of_a.values()))
    y = np.array([of_b[case] for case in shared] if shared else list(of_b.values()))
    keys_a, keys_b = (shared, shared) if shared else (list(of_a), list(of_b))
    if shared:  # what differs by rounding only, such as the same prices added up in another order, is the same
        y = np.where(np.abs(y - x) <= _CLOSE * np.maximum(np.abs(x), np.abs(y)), x, y)
    pair = replace(
        pair, cases=len(shared) or x.size + y.size, needs=_needs(x.size, y.size, alpha, is_paired=bool(shared)),
        runs_a=sum(a.sizes[c] for c in keys_a), runs_b=sum(b.sizes[c] for c in keys_b),
    )  # fmt: skip
    trials = min(a.fewest_trials(metric, keys_a), b.fewest_trials(metric, keys_b))
    single = pair.runs_a == len(keys_a) and pair.runs_b == len(keys_b)
    if shared:
        pair = replace(pair, **_wins(metric, x, y))
        return _paired(pair, x, y, alpha, margin, trials=0 if single else trials)
    return _unpaired(pair, x, y, alpha, margin, single=single)


def _needs(n: int, m: int, alpha: float, *, is_paired: bool) -> int:
    """Return from how many cases on the most extreme outcome could reach the level at all."""
    if is_paired:
        return math.ceil(1 - math.log2(alpha))
    total = n + m
    while min(n, m) and 2 / math.comb(total, min(n, m)) > alpha:
        total += 1
    return total


def _wins(metric: Metric, x: Values, y: Values) -> dict[str, Any]:
    better = (y - x) * (1 if metric.more_is_better else -1)
    wins, losses = int((better > 0).sum()), int((better < 0).sum())
    return {"wins": wins, "losses": losses, "ties": x.size - wins - losses}


# ---------------------------------------------------------------------------------------------------------- paired


def _paired(pair: Pair, x: Values, y: Values, alpha: float, margin: float | None, *, trials: int) -> Pair:
    """Fill in a pair over the same cases; ``trials`` is 0 where each case was run once on each side."""
    level, d = 1 - alpha, y - x
    if pair.metric.scale is Scale.RATIO:
        logs = np.where(x == y, 0.0, np.log(y) - np.log(x))
        return replace(
            pair, test="Wilcoxon", p=paired.wilcoxon(logs), spread=_variance(logs),
            **_ratio(shift.hodges_lehmann(logs, level)),
            **_named("mean_ratio", *(math.exp(v) for v in bca_mean(logs, level=level))),
            **_named("shift", *shift.hodges_lehmann(d, level)),
            p_equivalent=_equivalent_ranks(logs, -logs, margin),
        )  # fmt: skip
    if pair.metric.scale is Scale.RATE:
        low, high = proportions.paired_rate_interval(d, trials or 1, level)
        mean, error, degrees = proportions.paired_rate_error(d, trials or 1)
        plain = not trials and set(np.unique(np.concatenate([x, y]))) <= {0.0, 1.0}
        p = paired.mcnemar_exact(int((d > 0).sum()), int((d < 0).sum())) if plain else paired.sign_flip(d)
        return replace(
            pair, test="exact McNemar" if plain else "sign-flip over cases", p=p, estimate=float(d.mean()),
            low=low, high=high, spread=_variance(d),
            p_equivalent=UNKNOWN if margin is None else sizing.tost(mean, error, degrees, margin),
        )  # fmt: skip
    found = bca_mean(d, level=level)
    return replace(
        pair, test="sign-flip over cases", p=paired.sign_flip(d), estimate=found.value, low=found.low, high=found.high,
        spread=_variance(d), p_equivalent=_equivalent_mean(d, x, margin),
    )  # fmt: skip


def _equivalent_ranks(logs: Values, reversed_logs: Values, margin: float | None) -> float:
    if margin is None:
        return UNKNOWN
    reach = -math.log1p(margin)
    return max(paired.wilcoxon(logs, above=reach), paired.wilcoxon(reversed_logs, above=reach))


def _equivalent_mean(d: Values, baseline: Values, margin: float | None) -> float:
    """Two one-sided t-tests; constant data are no surer than their number allows."""
    if margin is None:
        return UNKNOWN
    reach = margin * abs(float(baseline.mean()))
    if d.size < 2 or not reach:  # noqa: PLR2004 - one case has no spread
        return 1.0
    p = sizing.tost(float(d.mean()), math.sqrt(_variance(d) / d.size), d.size - 1, reach)
    return max(p, 0.5**d.size)


def _variance(d: Values) -> float:
    return float(d.var(ddof=1)) if d.size > 1 else UNKNOWN


def _ratio(found: shift.Shift) -> dict[str, Any]:
    value, low, high = (math.exp(v) if v < 700 else math.inf for v in found)  # noqa: PLR2004 - where exp overflows
    return {"estimate": value, "low": low, "high": high}


def _named(name: str, value: float, low: float, high: float) -> dict[str, Any]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


# -------------------------------------------------------------------------------------------------------- unpaired


def _unpaired(pair: Pair, x: Values, y: Values, alpha: float, margin: float | None, *, single: bool) -> Pair:
    level = 1 - alpha
    if pair.metric.scale is Scale.RATIO:
        u, v = (np.round(np.log(side), 12) for side in (x, y))  # values that differ by rounding only are ties
        reach = None if margin is None else -math.log1p(margin)
        both = (
            ()
            if reach is None
            else (unpaired.mann_whitney(u, v, above=reach), unpaired.mann_whitney(v, u, above=reach))
        )
        return replace(
            pair, test="Mann-Whitney", p=unpaired.mann_whitney(u, v), p_equivalent=max(both, default=UNKNOWN),
            **_ratio(shift.two_sample_shift(u, v, level)), **_named("shift", *shift.two_sample_shift(x, y, level)),
        )  # fmt: skip
    plain = single and pair.metric.scale is Scale.RATE and set(np.unique(np.concatenate([x, y]))) <= {0.0, 1.0}
    if plain:
        sums = int(x.sum()), x.size, int(y.sum()), y.size
        low, high = proportions.newcombe(*sums, level)
        return replace(
            pair, test="Fisher exact", p=unpaired.fisher_exact(*sums), estimate=float(y.mean() - x.mean()),
            low=low, high=high, p_equivalent=UNKNOWN if margin is None else _equivalent_rates(*sums, margin),
        )  # fmt: skip
    if min(x.size, y.size) < 2:  # noqa: PLR2004 - one case has no spread
        return replace(pair, test="permutation", estimate=float(y.mean() - x.mean()))
    estimate, error, degrees = unpaired.welch_error(x, y)
    low, high = proportions.t_interval(estimate, error, degrees, level)
    reach = None if margin is None else margin * (1 if pair.metric.scale is Scale.RATE else abs(float(x.mean())))
    equivalent = (
        UNKNOWN if reach is None else max(sizing.tost(estimate, error, degrees, reach), 0.5 ** min(x.size, y.size))
    )
    return replace(
        pair, test="permutation", p=unpaired.mean_permutation(x, y), estimate=estimate, low=low, high=high,
        p_equivalent=equivalent,
    )  # fmt: skip


def _equivalent_rates(a: int, n_a: int, b: int, n_b: int, margin: float) -> float:
    """Two one-sided tests after one success and one failure were added to each side (Agresti and Caffo 2000)."""
    p, q = (a + 1) / (n_a + 2), (b + 1) / (n_b + 2)
    error = math.sqrt(p * (1 - p) / (n_a + 2) + q * (1 - q) / (n_b + 2))
    return sizing.tost(q - p, error, n_a + n_b - 2, margin)


# ----------------------------------------------------------------------------------------------- cost per success


def _per_success(metric: Metric, a: Group, b: Group, alpha: float, margin: float | None) -> Pair:
    pair = Pair(metric=metric, a=a.name, b=b.name, needs=_needs(0, 0, alpha, is_paired=True))
    of_a, of_b = a.per_success(), b.per_success()
    if of_a is None or of_b is None:
        unknown = " and ".join(g.name for g, of in ((a, of_a), (b, of_b)) if of is None)
        return replace(pair, why_not=f"cost or success of some runs of {unknown} is unknown")
    shared = sorted(case for case in of_a.keys() & of_b.keys() if is_case(case))
    pair = replace(
        pair, cases=len(shared), only_a=len(of_a) - len(shared), only_b=len(of_b) - len(shared),
        runs_a=sum(a.sizes[c] for c in shared), runs_b=sum(b.sizes[c] for c in shared),
    )  # fmt: skip
    if not shared:
        return replace(pair, why_not="cost per success is compared over the same cases, and they share none")
    rows = np.array([[*of_a[case], *of_b[case]] for case in shared])
    cost_a, success_a, cost_b, success_b = rows.sum(axis=0)
    if not min(success_a, success_b) > 0 or not min(cost_a, cost_b) > 0:
        without = " and ".join(g.name for g, n in ((a, success_a), (b, success_b)) if not n > 0)
        why = f"{without} never succeeded" if without else "a total cost is 0"
        return replace(pair, why_not=why)
    found = bca(rows, _log_ratio, level=1 - alpha)
    return replace(
        pair, test="swaps within cases", p=paired.swap_within_cases(rows[:, :2], rows[:, 2:]),
        estimate=math.exp(found.value), low=math.exp(found.low), high=math.exp(found.high),
        p_equivalent=UNKNOWN if margin is None else _equivalent_by_interval(rows, margin),
    )  # fmt: skip


def _log_ratio(totals: Values) -> Values:
    found: Values = np.log(totals[..., 2] * totals[..., 1] / (totals[..., 3] * totals[..., 0]))
    return found


def _equivalent_by_interval(rows: Values, margin: float) -> float:
    """Return the smallest level at which the bootstrap interval of twice that tail lies within the margin."""
    reach, below, above = math.log1p(margin), 0.0005, 0.5
    for _ in range(12):
        alpha = math.sqrt(below * above)
        found = bca(rows, _log_ratio, level=1 - 2 * alpha)
        inside = -reach < found.low and found.high < reach
        below, above = (below, alpha) if inside else (alpha, above)
    return above if above < 0.5 else 1.0  # noqa: PLR2004 - where the search began
