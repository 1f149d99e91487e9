"""Quantiles with the interval that their order statistics allow, or none."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_ROUNDING = 1e-15


class OrderPair(NamedTuple):
    """Two order statistics, counted from 1, and the chance that the quantile lies between them."""

    lower: int
    upper: int
    coverage: float


class Quantile(NamedTuple):
    """A quantile by linear interpolation, and its interval; an end that the data do not bound is infinite."""

    value: float
    low: float
    high: float


@lru_cache(maxsize=4096)
def order_pair(n: int, p: float, level: float = 0.95, *, bounded: bool = False) -> OrderPair | None:
    """Return the shortest pair of order statistics that holds the p-quantile with at least this coverage.

    Parameters
    ----------
    n
        Number of independent values.
    p
        The quantile, between 0 and 1.
    level
        Coverage.
    bounded
        Only pairs of values; without it 0 and n + 1 take part and stand for no bound.

    Returns
    -------
    OrderPair or None
        Of equally short pairs the one with the higher coverage. None if there is none.

    Notes
    -----
    The number of values below the quantile is binomial: David and Nagaraja (2003), Order Statistics, 7.1.

    Examples
    --------
    >>> order_pair(100, 0.95)
    OrderPair(lower=91, upper=100, coverage=0.9658911766162497)
    """
    from scipy.stats import binom

    below = np.concatenate([[0.0], binom.cdf(np.arange(n + 1), n, p)])  # below[j] = P(fewer than j values below)
    best: OrderPair | None = None
    first, last = (1, n) if bounded else (0, n + 1)
    for lower in range(first, n + 1):
        # Fewer than `upper` and at least `lower` values below it.
        upper = int(np.searchsorted(below, below[lower] + level - _ROUNDING, side="left"))
        if upper > last or (lower == 0 and upper == n + 1):
            continue
        found = OrderPair(lower, upper, float(below[upper] - below[lower]))
        length = upper - lower
        if best is None or (length, -found.coverage) < (best.upper - best.lower, -best.coverage):
            best = found
    return best


def smallest_n(p: float, level: float = 0.95) -> int:
    """Return from how many values on a two-sided interval for the p-quantile exists.

    Notes
    -----
    From smallest to largest value the coverage is 1 - p^n - (1 - p)^n.

    Examples
    --------
    >>> smallest_n(0.5), smallest_n(0.95), smallest_n(0.99)
    (6, 59, 299)
    """
    n = 1
    while 1 - p**n - (1 - p) ** n < level:
        n += 1
    return n


def quantile(values: ArrayLike, p: float, level: float = 0.95) -> Quantile:
    """Return the p-quantile of independent values, with its interval; bounded from `smallest_n` values on.

    Examples
    --------
    >>> quantile(range(1, 101), 0.95)
    Quantile(value=95.05, low=91.0, high=100.0)
    """
    x = np.sort(np.asarray(values, dtype=float))
    if not x.size:
        return Quantile(math.nan, math.nan, math.nan)
    pair = order_pair(x.size, p, level, bounded=True) or order_pair(x.size, p, level)
    low, high = (-math.inf, math.inf) if pair is None else (_at(x, pair.lower), _at(x, pair.upper))
    return Quantile(float(np.quantile(x, p)), low, high)


def _at(x: np.ndarray, rank: int) -> float:
    return -math.inf if rank == 0 else math.inf if rank > x.size else float(x[rank - 1])
