"""Intervals for rates, and what repeated trials of a case do to them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

Interval = tuple[float, float]


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for a rate of independent runs.

    Notes
    -----
    Wilson (1927), J. Am. Stat. Assoc. 22, 209, without continuity correction.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(84, 200)]
    [0.3537, 0.4893]
    """
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the exact interval for a rate of independent runs; at least as wide as it need be.

    Notes
    -----
    Clopper and Pearson (1934), Biometrika 26, 404.

    Examples
    --------
    >>> [round(end, 4) for end in clopper_pearson(84, 200)]
    [0.3507, 0.4917]
    """
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(level, method="exact")
    return float(found.low), float(found.high)


def clustered_error(values: ArrayLike, cases: Sequence[object], *, corrected: bool = True) -> float:
    """Return the standard error of a mean over runs whose trials of one case are not independent.

    Parameters
    ----------
    values
        One value for each run.
    cases
        The case of each run.
    corrected
        Multiply by sqrt(C / (C - 1)) for C cases, as Inspect does; Miller's formula without it.

    Notes
    -----
    Miller (2024), Adding Error Bars to Evals, arXiv:2411.00640, equation 4; Liang and Zeger (1986), Biometrika 73, 13.

    Examples
    --------
    >>> round(clustered_error([1, 1, 0, 0], ["a", "a", "b", "b"]), 4)
    0.5
    """
    y = np.asarray(values, dtype=float)
    _, which = np.unique(np.asarray([str(c) for c in cases]), return_inverse=True)
    sums = np.bincount(which, weights=y - y.mean())
    error = math.sqrt(float((sums**2).sum())) / y.size
    return error * math.sqrt(sums.size / (sums.size - 1)) if corrected else error


def t_interval(estimate: float, error: float, degrees: float, level: float = 0.95) -> Interval:
    """Return Student's interval about an estimate."""
    from scipy.special import stdtrit

    half = float(stdtrit(degrees, (1 + level) / 2)) * error
    return estimate - half, estimate + half


def intraclass_correlation(successes: ArrayLike) -> float:
    """Return ICC(1) of cases with equally many trials each: how much alike the trials of one case are.

    Parameters
    ----------
    successes
        Shape (cases, trials).

    Notes
    -----
    One-way analysis of variance: Shrout and Fleiss (1979), Psychol. Bull. 86, 420.
    """
    table = np.asarray(successes, dtype=float)
    cases, trials = table.shape
    means = table.mean(axis=1)
    between = trials * float(((means - table.mean()) ** 2).sum()) / (cases - 1)
    within = float(((table - means[:, None]) ** 2).sum()) / (cases * (trials - 1))
    spread = between + (trials - 1) * within
    return (between - within) / spread if spread else 0.0


def design_effect(correlation: float, trials: int) -> float:
    """Return by what factor the variance of a mean grows because trials of a case are alike.

    Notes
    -----
    Kish (1965), Survey Sampling: 1 + (trials - 1) ICC.
    """
    return 1 + (trials - 1) * correlation


def paired_rate_interval(differences: ArrayLike, trials: int = 1, level: float = 0.95) -> Interval:
    """Return the interval for the mean difference of paired rates.

    Parameters
    ----------
    differences
        Difference of the two rates of success for each case, from -1 to 1.
    trials
        The fewest trials of a case; 1 for plain successes and failures.
    level
        Coverage.

    Notes
    -----
    Bonett and Price (2012), J. Educ. Behav. Stat. 37, 479: one case is added that speaks for each side, so that no
    observed difference is not taken for certainty. With several trials it weighs as one trial of a case. Student's t
    in place of the normal, over cases: Miller (2024), arXiv:2411.00640.

    Examples
    --------
    >>> [round(end, 2) for end in paired_rate_interval([0] * 40)]
    [-0.07, 0.07]
    """
    mean, error, n = paired_rate_error(differences, trials)
    low, high = t_interval(mean, error, n, level)
    return max(low, -1.0), min(high, 1.0)


def paired_rate_error(differences: ArrayLike, trials: int = 1) -> tuple[float, float, int]:
    """Return centre, standard error and degrees of freedom of `paired_rate_interval`."""
    d = np.append(np.asarray(differences, dtype=float), [1 / trials, -1 / trials])
    mean = float(d.mean())
    return mean, math.sqrt(float(((d - mean) ** 2).mean()) / d.size), d.size - 2


def newcombe(a: int, n_a: int, b: int, n_b: int, level: float = 0.95) -> Interval:
    """Return the interval for b / n_b - a / n_a of independent runs.

    Notes
    -----
    Newcombe (1998), Stat. Med. 17, 873, method 10: the Wilson intervals of both, combined.

    Examples
    --------
    >>> [round(end, 3) for end in newcombe(48, 80, 56, 70)]
    [0.052, 0.334]
    """
    p, q = a / n_a, b / n_b
    (low_a, high_a), (low_b, high_b) = wilson(a, n_a, level), wilson(b, n_b, level)
    return (
        q - p - math.hypot(q - low_b, high_a - p),
        q - p + math.hypot(high_b - q, p - low_a),
    )
