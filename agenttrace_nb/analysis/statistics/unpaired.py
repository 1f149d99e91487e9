"""Tests of two groups of runs that share no cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RESAMPLES = 9_999
_DRAWN_AT_ONCE = 4_000_000
_EXACT_PAIRS = 400


def fisher_exact(a: int, n_a: int, b: int, n_b: int) -> float:
    """Return the two-sided p-value of Fisher's exact test for a of n_a against b of n_b.

    Notes
    -----
    Fisher (1935), J. R. Stat. Soc. 98, 39 (`scipy.stats.fisher_exact`).

    Examples
    --------
    >>> round(fisher_exact(1, 10, 8, 10), 4)
    0.0055
    """
    from scipy import stats

    return float(stats.fisher_exact([[a, n_a - a], [b, n_b - b]]).pvalue)


def mann_whitney(a: ArrayLike, b: ArrayLike, *, above: float | None = None) -> float:
    """Return the p-value of the Mann-Whitney test; exact for few values without ties.

    Parameters
    ----------
    a, b
        Values of the two groups.
    above
        Test one-sidedly whether b lies above a by more than this; two-sided about 0 without it.

    Notes
    -----
    Mann and Whitney (1947), Ann. Math. Stat. 18, 50 (`scipy.stats.mannwhitneyu`).
    """
    from scipy import stats

    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float) - (above or 0.0)
    both = np.concatenate([x, y])
    if np.ptp(both) == 0:
        return 1.0
    few = x.size * y.size <= _EXACT_PAIRS and np.unique(both).size == both.size
    side = "two-sided" if above is None else "greater"
    found = stats.mannwhitneyu(y, x, alternative=side, method="exact" if few else "asymptotic")
    return float(found.pvalue)


def mean_permutation(a: ArrayLike, b: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p-value of the permutation test of a difference of means.

    Notes
    -----
    Labels are dealt anew at random: Pitman (1937), Suppl. J. R. Stat. Soc. 4, 119. The observed deal counts too, so
    the p-value is never below 1 / (resamples + 1).

    Examples
    --------
    >>> mean_permutation([1, 2, 3, 4, 5, 6], [11, 12, 13, 14, 15, 16]) < 0.01
    True
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    both = np.concatenate([x, y])
    both -= both.mean()
    if np.ptp(both) == 0:
        return 1.0
    observed = abs(both[: x.size].sum()) * (1 - 1e-9)  # all sums are of centred values: one side tells the other's
    rng = np.random.default_rng(seed)
    beyond, left = 0, resamples
    while left:
        rows = min(left, max(_DRAWN_AT_ONCE // both.size, 1))
        dealt = rng.permuted(np.broadcast_to(both, (rows, both.size)), axis=1)[:, : x.size]
        beyond += int((np.abs(dealt.sum(axis=1)) >= observed).sum())
        left -= rows
    return (1 + beyond) / (resamples + 1)


def welch_error(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float]:
    """Return the difference of means b - a, its standard error and degrees of freedom.

    Notes
    -----
    Welch (1947), Biometrika 34, 28.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    u, v = x.var(ddof=1) / x.size, y.var(ddof=1) / y.size
    spread = u + v
    degrees = spread**2 / (u**2 / (x.size - 1) + v**2 / (y.size - 1)) if spread else float(x.size + y.size - 2)
    return float(y.mean() - x.mean()), float(np.sqrt(spread)), float(degrees)
