"""By how much one side lies above the other: Hodges-Lehmann estimates and the intervals that belong to their tests."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agenttrace_nb.analysis.statistics.paired import null_of_signed_sum

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

_EXACT_CASES = 100
_EXACT_PAIRS = 2_500
_SORTED_PAIRS = 250_000
_BISECTIONS = 42  # to a part in 4e12 of the range


class Shift(NamedTuple):
    """An estimate and its interval; an end that the data do not bound is infinite."""

    value: float
    low: float
    high: float


def hodges_lehmann(differences: ArrayLike, level: float = 0.95) -> Shift:
    """Return the typical difference of pairs, with the interval that Wilcoxon's signed-rank test gives.

    The interval holds every shift that the two-sided test does not reject, so it leaves out 0 when the test does.

    Notes
    -----
    The median of all averages of two differences: Hodges and Lehmann (1963), Ann. Math. Stat. 34, 598; the interval
    in Hollander, Wolfe and Chicken (2014), Nonparametric Statistical Methods, 3.3. Exact up to 100 cases, then normal.

    Examples
    --------
    >>> hodges_lehmann([1, 2, 3, 4, 5, 6])
    Shift(value=3.5, low=1.0, high=6.0)
    """
    x = np.sort(np.asarray(differences, dtype=float))
    pairs = x.size * (x.size + 1) // 2
    if not pairs:
        return Shift(math.nan, math.nan, math.nan)
    if pairs <= _SORTED_PAIRS:
        i, j = np.triu_indices(x.size)
        return _from_order(_Sorted(np.sort((x[i] + x[j]) / 2)), pairs, _signed_rank_cut(x.size, level))

    def count(t: float) -> int:
        both = int(np.searchsorted(x, 2 * t - x, side="right").sum())
        return (both + int(np.searchsorted(x, t, side="right"))) // 2

    return _from_order(_Counted(count, float(x[0]), float(x[-1])), pairs, _signed_rank_cut(x.size, level))


def two_sample_shift(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Shift:
    """Return by how much b typically lies above a where nothing is paired, with the interval of the Mann-Whitney test.

    Notes
    -----
    The median of all differences b - a: Hodges and Lehmann (1963), Ann. Math. Stat. 34, 598; the interval in
    Hollander, Wolfe and Chicken (2014), Nonparametric Statistical Methods, 4.3. Exact up to 2,500 pairs, then normal.

    Examples
    --------
    >>> two_sample_shift([1, 2, 3, 4], [11, 12, 13, 14]).value
    10.0
    """
    x, y = np.sort(np.asarray(a, dtype=float)), np.sort(np.asarray(b, dtype=float))
    pairs = x.size * y.size
    if not pairs:
        return Shift(math.nan, math.nan, math.nan)
    cut = _rank_sum_cut(x.size, y.size, level)
    if pairs <= _SORTED_PAIRS:
        return _from_order(_Sorted(np.sort((y[:, None] - x).ravel())), pairs, cut)

    def count(t: float) -> int:
        return int(np.searchsorted(y, x + t, side="right").sum())

    return _from_order(_Counted(count, float(y[0] - x[-1]), float(y[-1] - x[0])), pairs, cut)


class _Sorted:
    """The k-th smallest of a list, from 0."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._values = values

    def __call__(self, k: int) -> float:
        return float(self._values[k])


class _Counted:
    """The k-th smallest of so many values that they are counted below a bound and never listed."""

    def __init__(self, count: Callable[[float], int], low: float, high: float) -> None:
        self._count, self._low, self._high = count, low, high

    def __call__(self, k: int) -> float:
        low, high = self._low, self._high
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if self._count(middle) > k:
                high = middle
            else:
                low = middle
        return high


def _from_order(at: Callable[[int], float], pairs: int, cut: int) -> Shift:
    """Return the median of ordered values and the cut-th from either end; ``cut`` 0 means no interval."""
    # Among hundreds of thousands of pairs the two middle ones are neighbours: one of them will do.
    middle = at(pairs // 2) if pairs > _SORTED_PAIRS else (at((pairs - 1) // 2) + at(pairs // 2)) / 2
    if cut < 1:
        return Shift(middle, -math.inf, math.inf)
    return Shift(middle, at(cut - 1), at(pairs - cut))


@lru_cache(maxsize=1024)
def _signed_rank_cut(n: int, level: float) -> int:
    tail = (1 - level) / 2
    if n <= _EXACT_CASES:
        below = np.cumsum(null_of_signed_sum(range(1, n + 1)))
        return int(np.searchsorted(below, tail * (1 + 1e-12), side="right"))
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return max(int(n * (n + 1) / 4 - _normal(level) * spread), 0)


@lru_cache(maxsize=1024)
def _rank_sum_cut(n: int, m: int, level: float) -> int:
    tail = (1 - level) / 2
    if n * m <= _EXACT_PAIRS:
        below = np.cumsum(_null_of_rank_sum(n, m))
        return int(np.searchsorted(below, tail * (1 + 1e-12), side="right"))
    return max(int(n * m / 2 - _normal(level) * math.sqrt(n * m * (n + m + 1) / 12)), 0)


def _null_of_rank_sum(n: int, m: int) -> NDArray[np.float64]:
    """Return the distribution of the Mann-Whitney count: coefficients of the Gaussian binomial, as probabilities."""
    pmf = np.zeros(n * m + 1)
    pmf[0] = 1.0
    for i in range(1, n + 1):
        # times (1 - q^(m+i)) over (1 - q^i); each step keeps the sum at 1 by the factor i / (m + i)
        grown = pmf.copy()
        grown[m + i :] -= pmf[: max(pmf.size - m - i, 0)]
        for start in range(i):
            grown[start::i] = np.cumsum(grown[start::i])
        pmf = grown * (i / (m + i))
    return pmf


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))
