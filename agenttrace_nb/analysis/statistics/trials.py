"""Success over repeated trials of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def pass_hat_k(successes: ArrayLike, trials: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return for each case the chance that k trials drawn from it all succeed; their mean is pass^k.

    Parameters
    ----------
    successes, trials
        Counts for each case.
    k
        How many trials must all succeed.

    Returns
    -------
    numpy.ndarray
        C(c, k) / C(n, k), with NaN (undefined, not 0) for cases with fewer than k trials.

    Notes
    -----
    Yao, Shinn, Razavi and Narasimhan (2024), tau-bench, arXiv:2406.12045.

    Examples
    --------
    >>> pass_hat_k([4, 2, 1], [4, 4, 1], 2).round(3).tolist()
    [1.0, 0.167, nan]
    """
    return _chosen(np.asarray(successes, dtype=float), np.asarray(trials, dtype=float), k)


def pass_at_k(successes: ArrayLike, trials: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return for each case the chance that at least one of k trials drawn from it succeeds; their mean is pass@k.

    Parameters
    ----------
    successes, trials
        Counts for each case.
    k
        Of how many trials one must succeed.

    Returns
    -------
    numpy.ndarray
        1 - C(n - c, k) / C(n, k), with NaN (undefined, not 0) for cases with fewer than k trials.

    Notes
    -----
    Chen et al. (2021), Evaluating Large Language Models Trained on Code, arXiv:2107.03374.

    Examples
    --------
    >>> pass_at_k([4, 2, 0], [4, 4, 4], 2).round(3).tolist()
    [1.0, 0.833, 0.0]
    """
    n = np.asarray(trials, dtype=float)
    return 1 - _chosen(n - np.asarray(successes, dtype=float), n, k)


def _chosen(some: NDArray[np.float64], of: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    from scipy.special import comb

    with np.errstate(divide="ignore", invalid="ignore"):
        share: NDArray[np.float64] = comb(some, k) / comb(of, k)
    return np.where(of >= k, share, np.nan)
