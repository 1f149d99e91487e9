"""Bootstrap over cases: whole cases are drawn again, with all their trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    OfTotals = Callable[[NDArray[np.float64]], NDArray[np.float64]]

RESAMPLES = 4_999
_DRAWN_AT_ONCE = 4_000_000
_BLOCKS = 50  # a product of matrices is about so many times as fast, for each value, as picking values out
_CLOSE = 1e-9
_LEAST_RESAMPLES = 999
_CASES_TIMES_RESAMPLES = 4_000_000


class Bootstrapped(NamedTuple):
    """An estimate and its interval; NaN where the data give none."""

    value: float
    low: float
    high: float


def bca(
    rows: ArrayLike, of_totals: OfTotals, *, level: float = 0.95, resamples: int | None = None, seed: int = 0
) -> Bootstrapped:
    """Return the bias-corrected and accelerated bootstrap interval of a figure made of totals over cases.

    Parameters
    ----------
    rows
        Shape (cases, quantities): what each case adds to the totals.
    of_totals
        The figure, from arrays of totals of shape (..., quantities).
    level
        Coverage.
    resamples
        How often the cases are drawn; by default 4,999, fewer where there are thousands of cases.
    seed
        Of the draws.

    Notes
    -----
    Efron (1987), J. Am. Stat. Assoc. 82, 171; cases as clusters: Field and Welsh (2007), J. R. Stat. Soc. B 69, 369.
    The percentiles are widened from the normal's to Student's with one degree less than cases, times
    sqrt(n / (n - 1)), since small samples are too sure of themselves: Hesterberg (2015), Am. Stat. 69, 371. Cases that
    are all alike have no interval: they show no spread, which is not to say that there is none.

    Examples
    --------
    >>> data = [[1.0], [2.0], [4.0], [3.0], [5.0], [2.0], [3.0], [4.0]]
    >>> found = bca(data, lambda totals: totals[..., 0] / 8)
    >>> found.value, found.low < 3 < found.high
    (3.0, True)
    """
    from scipy.special import ndtr, ndtri

    data = np.asarray(rows, dtype=float)
    n = data.shape[0]
    total = data.sum(axis=0)
    with np.errstate(all="ignore"):
        value = float(of_totals(total))
        drawn = of_totals(_drawn(data, resamples or _enough(n), seed)) if n > 1 else np.empty(0)
        left_out = of_totals(total - data) if n > 1 else np.empty(0)
    drawn, left_out = drawn[np.isfinite(drawn)], left_out[np.isfinite(left_out)]
    has_spread = drawn.size >= _LEAST_RESAMPLES * 9 // 10 and np.ptp(drawn) > 0
    if not math.isfinite(value) or left_out.size < max(n, 2) or not has_spread:
        return Bootstrapped(value, math.nan, math.nan)
    # Draws that come to the very value do so but for rounding, which differs with the order of sums.
    close = _CLOSE * max(abs(value), float(np.abs(drawn).max()))
    below = (np.mean(drawn < value - close) + np.mean(drawn <= value + close)) / 2
    bias = float(ndtri(np.clip(below, 1 / drawn.size, 1 - 1 / drawn.size)))
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum()) ** 1.5
    acceleration = float((pull**3).sum()) / (6 * spread) if spread else 0.0
    ends = []
    for side in (-1, 1):
        z = bias + side * _reach(n, level)
        ends.append(float(ndtr(bias + z / (1 - acceleration * z))))
    low, high = np.quantile(drawn, np.clip(ends, 0.0, 1.0))
    return Bootstrapped(value, float(low), float(high))


def bca_mean(values: ArrayLike, *, level: float = 0.95, resamples: int | None = None, seed: int = 0) -> Bootstrapped:
    """Return the mean over cases with its BCa interval."""
    column = np.asarray(values, dtype=float)[:, None]
    return bca(column, lambda totals: totals[..., 0] / column.size, level=level, resamples=resamples, seed=seed)


def bootstrap_quantile(
    of_cases: list[NDArray[np.float64]], p: float, *, level: float = 0.95, resamples: int = 1_999, seed: int = 0
) -> Bootstrapped:
    """Return a quantile over all runs with a percentile interval from drawing cases with all their trials.

    Parameters
    ----------
    of_cases
        The values of each case's trials.
    p
        The quantile.
    level, resamples, seed
        As for `bca`.

    Notes
    -----
    BCa is not used: a quantile is no smooth function of the data, and leaving out one case tells nothing of it.
    """
    rng = np.random.default_rng(seed)
    values = np.concatenate(of_cases)
    owner = np.repeat(np.arange(len(of_cases)), [len(v) for v in of_cases])
    order = np.argsort(values, kind="stable")
    values, at = values[order], _Places(owner[order], len(of_cases))
    drawn: list[NDArray[np.float64]] = []
    left = resamples
    while left:
        rows = min(left, max(_DRAWN_AT_ONCE // len(of_cases), 1))
        picks = rng.integers(0, len(of_cases), (rows, len(of_cases)))
        drawn.append(values[at.quantile(_counted(picks, len(of_cases)), p)])
        left -= rows
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Bootstrapped(float(np.quantile(values, p)), float(low), float(high))


class _Places:
    """Where a quantile lies among sorted values that count as often as their cases were drawn.

    Found in two steps, first the block of values and then the place in it: a sum over all values for each draw took
    seconds where cases have a hundred trials.

    Parameters
    ----------
    owner
        The case of each value, in the order of the values.
    cases
        How many cases there are.
    """

    def __init__(self, owner: NDArray[np.int64], cases: int) -> None:
        blocks = max(round(math.sqrt(_BLOCKS * owner.size / cases)), 1)
        self._size = -(-owner.size // blocks)
        blocks = -(-owner.size // self._size)
        self._owner = np.append(owner, np.full(blocks * self._size - owner.size, cases))  # of no case, never drawn
        of_block = np.repeat(np.arange(blocks), self._size)
        self._in_block = np.bincount(self._owner * blocks + of_block, minlength=(cases + 1) * blocks)
        self._in_block = self._in_block.reshape(cases + 1, blocks)[:cases].astype(float)

    def quantile(self, counts: NDArray[np.float64], p: float) -> NDArray[np.int64]:
        """Return for each row of counts, of shape (draws, cases), the place of the p-quantile."""
        rows = np.arange(len(counts))
        up_to = np.cumsum(counts @ self._in_block, axis=1)
        wanted = p * up_to[:, -1] - _CLOSE
        block = (up_to >= wanted[:, None]).argmax(axis=1)
        before = np.where(block > 0, up_to[rows, block - 1], 0.0)
        places = block[:, None] * self._size + np.arange(self._size)
        padded = np.append(counts, np.zeros((len(counts), 1)), axis=1)
        within = np.cumsum(padded[rows[:, None], self._owner[places]], axis=1) + before[:, None]
        found: NDArray[np.int64] = block * self._size + (within >= wanted[:, None]).argmax(axis=1)
        return found


def _reach(n: int, level: float) -> float:
    from scipy.special import stdtrit

    return math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, (1 + level) / 2))


def _enough(n: int) -> int:
    return int(np.clip(_CASES_TIMES_RESAMPLES // n, _LEAST_RESAMPLES, RESAMPLES))


def _drawn(data: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    n, totals, left = data.shape[0], [], resamples
    while left:
        rows = min(left, max(_DRAWN_AT_ONCE // n, 1))
        picks = rng.integers(0, n, (rows, n), dtype=np.int32)
        totals.append(np.stack([column[picks].sum(axis=1) for column in data.T], axis=1))
        left -= rows
    return np.concatenate(totals)


def _counted(picks: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Return how often each case was drawn, for each row of draws."""
    rows = picks.shape[0]
    flat = (picks + np.arange(rows)[:, None] * n).ravel()
    return np.bincount(flat, minlength=rows * n).reshape(rows, n).astype(float)
