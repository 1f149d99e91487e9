"""Several comparisons at once: p-values adjusted so that one lucky one is not taken for a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray


def holm(p: ArrayLike, *, at_most_one_true: Sequence[Hashable] | None = None) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values: the chance of any false finding stays below the level.

    Parameters
    ----------
    p
        The p-values; NaN stands for a comparison that could not be made and counts for nothing.
    at_most_one_true
        A label for each hypothesis. Of those with one label at most one can be true, such as "no difference" and
        "a difference beyond the margin" of the same pair; they count as one until all of them are rejected.

    Notes
    -----
    Holm (1979), Scand. J. Stat. 6, 65; for hypotheses that exclude each other Shaffer (1986), J. Am. Stat. Assoc. 81,
    826.

    Examples
    --------
    >>> holm([0.01, 0.02, 0.03, 0.04, 0.05]).round(2).tolist()
    [0.05, 0.08, 0.09, 0.09, 0.09]
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    labels: Sequence[Any] = range(values.size) if at_most_one_true is None else at_most_one_true
    order = [int(i) for i in np.argsort(values, kind="stable") if not np.isnan(values[i])]
    left: dict[Any, int] = {}
    for i in order:
        left[labels[i]] = left.get(labels[i], 0) + 1
    worst = 0.0
    for i in order:
        worst = max(worst, min(values[i] * len(left), 1.0))
        adjusted[i] = worst
        left[labels[i]] -= 1
        if not left[labels[i]]:
            del left[labels[i]]
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Return adjusted p-values that bound the share of false findings among all findings.

    Notes
    -----
    Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57, 289 (`scipy.stats.false_discovery_control`). For lists that
    are looked through, not for verdicts.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.03, 0.04, 0.05]).round(2).tolist()
    [0.05, 0.05, 0.05, 0.05, 0.05]
    """
    from scipy.stats import false_discovery_control

    found: NDArray[np.float64] = false_discovery_control(np.asarray(p, dtype=float), method="bh")
    return found
