"""How many cases a paired comparison needs, what it can see, and whether it shows two sides to be the same."""

from __future__ import annotations

import math


def cases_needed(delta: float, variance: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return how many cases show a mean difference; round up for use.

    Parameters
    ----------
    delta
        The difference that is to be seen.
    variance
        Of the differences of the cases: between cases, plus what trials add (s_A^2 / K_A + s_B^2 / K_B).
    alpha
        Two-sided level.
    power
        Chance to see it.

    Notes
    -----
    Miller (2024), Adding Error Bars to Evals, arXiv:2411.00640, equation 9.

    Examples
    --------
    >>> round(cases_needed(0.03, 1 / 9), 3)
    968.997
    """
    return (_reach(alpha, power) / delta) ** 2 * variance if delta else math.inf


def detectable(n: int, variance: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest mean difference that so many cases show with this power.

    Examples
    --------
    >>> round(detectable(969, 1 / 9), 3)
    0.03
    """
    return _reach(alpha, power) * math.sqrt(variance / n) if n else math.inf


def tost(estimate: float, error: float, degrees: float, margin: float) -> float:
    """Return the p-value of two one-sided t-tests that the true difference lies within the margin on either side.

    Notes
    -----
    Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657.

    Examples
    --------
    >>> round(tost(0.0, 0.01, 40, 0.03), 4)
    0.0023
    """
    from scipy.special import stdtr

    if error == 0:
        return 0.0 if abs(estimate) < margin else 1.0
    return float(max(stdtr(degrees, -(estimate + margin) / error), stdtr(degrees, (estimate - margin) / error)))


def _reach(alpha: float, power: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
