"""Tests of paired values: one difference for each case."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

RESAMPLES = 9_999
_ENUMERATED_CASES = 13  # 8,192 ways to flip the signs
_EXACT_RANKS_CASES = 100
_GRID_POINTS = 200_000
_GRID_WORK = 400_000_000
_DENOMINATOR = 720  # trials of a case up to 6, 8, 9, 10, 12 ... stand on this grid
_DRAWN_AT_ONCE = 4_000_000
_CLOSE = 1e-9


def mcnemar_exact(b: int, c: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Parameters
    ----------
    b, c
        Cases that only the one, and only the other architecture solved.

    Notes
    -----
    The smaller count is binomial with n = b + c and 1/2 if neither is better: McNemar (1947), Psychometrika 12, 153;
    exact form in Fagerland, Lydersen and Laake (2013), BMC Med. Res. Methodol. 13, 91.

    Examples
    --------
    >>> mcnemar_exact(6, 0)
    0.03125
    """
    from scipy.stats import binomtest

    return float(binomtest(min(b, c), b + c).pvalue) if b + c else 1.0


def sign_flip(differences: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p-value of the sign-flip permutation test of the mean difference.

    Exact where the differences stand on a grid (rates over a few trials, counts) or are few; else by random flips,
    where the p-value counts the observed flip too and so is never below 1 / (resamples + 1).

    Parameters
    ----------
    differences
        One value for each case.
    resamples
        Random flips, where the test cannot be exact.
    seed
        Of the random flips.

    Notes
    -----
    If both architectures have the same distribution in each case, a difference is as likely as its negative: Fisher
    (1935), The Design of Experiments, 21; random flips after Phipson and Smyth (2010), Stat. Appl. Genet. 9, 39.

    Examples
    --------
    >>> sign_flip([1, 1, 1, 1, 1, 1, 0])
    0.03125
    """
    values = np.asarray(differences, dtype=float)
    values = values[values != 0]
    if not values.size:
        return 1.0
    weights = _on_a_grid(values)
    if weights is not None:
        return _exact(np.abs(weights), abs(int(weights.sum())))
    observed = abs(values.sum()) - _CLOSE * np.abs(values).sum()
    if values.size <= _ENUMERATED_CASES:
        flips = 1 - 2 * ((np.arange(2**values.size)[:, None] >> np.arange(values.size)) & 1)
        return float(np.mean(np.abs(flips @ values) >= observed))
    return _by_random_flips(values, observed, resamples, seed)


def wilcoxon(differences: ArrayLike, *, above: float | None = None) -> float:
    """Return the p-value of Wilcoxon's signed-rank test; exact up to 100 cases, also with ties.

    Parameters
    ----------
    differences
        One value for each case; zeros are left out, as Wilcoxon did.
    above
        Test one-sidedly whether the differences lie above this; two-sided about 0 without it.

    Notes
    -----
    Wilcoxon (1945), Biometrics Bull. 1, 80. Given the ties, signs are flipped over midranks; beyond 100 cases the
    normal approximation with corrections for ties and continuity (`scipy.stats.wilcoxon`).

    Examples
    --------
    >>> wilcoxon([0.3, 0.1, 0.7, 0.2, 0.5, 0.4])
    0.03125
    """
    from scipy import stats

    values = np.asarray(differences, dtype=float) - (above or 0.0)
    values = values[values != 0]
    if not values.size:
        return 1.0
    if values.size > _EXACT_RANKS_CASES:
        side = "two-sided" if above is None else "greater"
        return float(stats.wilcoxon(values, alternative=side, method="approx", correction=True).pvalue)
    # Values that differ by rounding only are ties.
    ranks = np.rint(2 * stats.rankdata(np.round(np.abs(values), 12))).astype(int)
    signed = ranks * np.sign(values).astype(int)
    total = int(signed.sum())
    return _exact(ranks, abs(total)) if above is None else _exact_above(ranks, total)


def cochran_q(successes: ArrayLike) -> tuple[float, float]:
    """Return Cochran's Q and its p-value for several architectures solving equally many cases.

    Parameters
    ----------
    successes
        Zeros and ones, shape (cases, architectures).

    Notes
    -----
    Cochran (1950), Biometrika 37, 256; chi-squared with one degree of freedom less than architectures.

    Examples
    --------
    >>> q, p = cochran_q([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]])
    >>> round(q, 3), round(p, 3)
    (7.6, 0.022)
    """
    from scipy.stats import chi2

    table = np.asarray(successes, dtype=float)
    groups = table.shape[1]
    by_group, by_case = table.sum(axis=0), table.sum(axis=1)
    spread = float((by_case * (groups - by_case)).sum())
    if spread == 0:
        return 0.0, 1.0
    q = groups * (groups - 1) * float(((by_group - by_group.mean()) ** 2).sum()) / spread
    return q, float(chi2.sf(q, groups - 1))


def friedman(values: ArrayLike) -> tuple[float, float]:
    """Return Friedman's chi-squared and its p-value for several architectures ranking alike over the cases.

    Parameters
    ----------
    values
        Shape (cases, architectures), three architectures or more.

    Notes
    -----
    Friedman (1937), J. Am. Stat. Assoc. 32, 675; corrected for ties (`scipy.stats.friedmanchisquare`).
    """
    from scipy.stats import friedmanchisquare

    table = np.round(np.asarray(values, dtype=float), 12)
    if np.all(table == table[:, :1]):
        return 0.0, 1.0
    found = friedmanchisquare(*table.T)
    return float(found.statistic), float(found.pvalue)


def null_of_signed_sum(weights: Sequence[int] | NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities of 0, 1, 2 ... as the sum of those weights that a fair coin picks.

    Examples
    --------
    >>> null_of_signed_sum([1, 2]).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    sizes = [int(w) for w in weights]
    pmf = np.zeros(sum(sizes) + 1)
    pmf[0] = 1.0
    top = 0
    for weight in sizes:
        half = pmf[: top + 1] / 2
        pmf[: top + 1] = half
        pmf[weight : weight + top + 1] += half
        top += weight
    return pmf


def _exact(weights: NDArray[Any], observed: int) -> float:
    pmf = null_of_signed_sum(weights)
    sums = 2 * np.arange(pmf.size) - (pmf.size - 1)
    return min(float(pmf[np.abs(sums) >= observed].sum()), 1.0)


def _exact_above(weights: NDArray[Any], observed: int) -> float:
    pmf = null_of_signed_sum(weights)
    sums = 2 * np.arange(pmf.size) - (pmf.size - 1)
    return min(float(pmf[sums >= observed].sum()), 1.0)


def _on_a_grid(values: NDArray[np.float64]) -> NDArray[Any] | None:
    """Return the values as whole multiples of a common step, if there is one and the exact test is affordable."""
    distinct = np.unique(np.abs(values))
    if distinct.size > _DENOMINATOR or distinct[-1] > _GRID_POINTS:
        return None
    parts = [Fraction(float(v)).limit_denominator(_DENOMINATOR) for v in distinct]
    if any(abs(float(part) - v) > _CLOSE * max(v, 1.0) for part, v in zip(parts, distinct, strict=True)):
        return None
    scale = math.lcm(*(part.denominator for part in parts))
    weights = np.rint(values * scale)
    points = float(np.abs(weights).sum())
    if points > _GRID_POINTS or points * values.size > _GRID_WORK:
        return None
    return weights.astype(np.int64)


def _by_random_flips(values: NDArray[np.float64], observed: float, resamples: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    total, beyond, left = values.sum(), 0, resamples
    while left:
        rows = min(left, max(_DRAWN_AT_ONCE // values.size, 1))
        sums = total - 2 * (_coins(rng, rows, values.size) @ values)
        beyond += int((np.abs(sums) >= observed).sum())
        left -= rows
    return (1 + beyond) / (resamples + 1)


def swap_within_cases(a: ArrayLike, b: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p-value of the permutation test of a ratio of totals, such as cost per success.

    Parameters
    ----------
    a, b
        Shape (cases, 2): what each case adds to numerator and denominator of either side.
    resamples, seed
        Of the random swaps; all are tried where the cases are few.

    Notes
    -----
    As `sign_flip`, for a figure that is no mean: the two sides change places within cases. A swap that leaves a side
    without a denominator counts as more extreme than what was observed.

    Examples
    --------
    >>> swap_within_cases([[1.0, 1.0]] * 6, [[2.0, 1.0]] * 6)
    0.03125
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    n, change, total = len(x), y - x, (x + y).sum(axis=0)

    def distance(of_a: NDArray[np.float64]) -> NDArray[np.float64]:
        of_b = total - of_a
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.abs(np.log(of_b[..., 0] * of_a[..., 1] / (of_b[..., 1] * of_a[..., 0])))
        return np.where(np.isnan(found), np.inf, found)

    observed = float(distance(x.sum(axis=0))) - _CLOSE
    if n <= _ENUMERATED_CASES:
        swaps = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(distance(x.sum(axis=0) + swaps @ change) >= observed))
    rng = np.random.default_rng(seed)
    beyond, left = 0, resamples
    while left:
        rows = min(left, max(_DRAWN_AT_ONCE // n, 1))
        beyond += int((distance(x.sum(axis=0) + _coins(rng, rows, n) @ change) >= observed).sum())
        left -= rows
    return (1 + beyond) / (resamples + 1)


def _coins(rng: np.random.Generator, rows: int, n: int) -> NDArray[np.float64]:
    bits = np.unpackbits(rng.integers(0, 256, (rows, -(-n // 8)), dtype=np.uint8), axis=1)
    return bits[:, :n].astype(np.float64)
