"""Studies drawn from a seed, whose truth is known, and what `compare` says of one: for tests and for ``make stats``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.analysis.comparison.words import Word

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison import Findings

ALPHA = 0.05
METRICS = ("success", "latency", "cost", "errors")
CLAIMS = {Word.BETTER, Word.WORSE}
SHIFT, MARGIN = 0.3, 0.15
COVERED = ("success", "latency", "mean_ratio")
NULLS = {
    "paired": {"groups": 2, "cases": 30, "trials": 1},
    "few cases": {"groups": 2, "cases": 8, "trials": 1},
    "clustered": {"groups": 2, "cases": 20, "trials": 4},
    "three groups": {"groups": 3, "cases": 25, "trials": 2},
    "unpaired": {"groups": 2, "cases": 30, "trials": 1, "paired": False},
    "unpaired, clustered": {"groups": 2, "cases": 20, "trials": 3, "paired": False},
}
SHIFTED: dict[str, dict[str, int]] = {
    "40 cases": {"groups": 2, "cases": 40, "trials": 1},
    "40 cases, 4 trials": {"groups": 2, "cases": 40, "trials": 4},
    "100 cases": {"groups": 2, "cases": 100, "trials": 1},
}


def study(
    rng: np.random.Generator, groups: int, cases: int, trials: int, *, paired: bool = True, shift: float = 0.0
) -> pd.DataFrame:
    """Runs of architectures that differ by the last one's shift only; cases differ widely, as tasks do."""
    parts = []
    easy, base = rng.beta(0.8, 0.8, cases), rng.lognormal(1, 0.6, cases)
    for group in range(groups):
        if not paired:
            easy, base = rng.beta(0.8, 0.8, cases), rng.lognormal(1, 0.6, cases)
        of = np.repeat(np.arange(cases), trials)
        moved = shift if group == groups - 1 else 0.0
        parts.append(
            pd.DataFrame(
                {
                    "arch": f"g{group}",
                    "case": [f"{c}" if paired else f"{group}/{c}" for c in of],
                    "success": rng.random(of.size) < np.clip(easy[of] * (1 - moved) + moved, 0, 1),
                    "latency_s": base[of] * rng.lognormal(moved, 0.4, of.size),
                    "cost_usd": base[of] * rng.exponential(1, of.size),  # heavy tails
                    "tool_errors": rng.poisson(0.5 * base[of] * (1 + moved)),
                }
            )
        )
    return pd.concat(parts)


def claims_anything(found: Findings) -> float:
    named = any(v.word in CLAIMS for v in found.verdicts)
    return float(named or any(o.p_adjusted <= found.alpha for o in found.overall))


def false_claim(kind: str, seed: int) -> bool:
    """Whether anything is claimed of a study in which nothing differs."""
    table = study(np.random.default_rng(seed), **NULLS[kind])
    return bool(claims_anything(compare_runs(table, metrics=METRICS, alpha=ALPHA)))


def false_sameness(seed: int) -> bool:
    """Whether two groups that differ by as much as the margin are called equivalent."""
    table = study(np.random.default_rng(seed), 2, 30, 1)
    table.loc[table["arch"] == "g1", "latency_s"] *= 1 + MARGIN
    found = compare_runs(table, metrics="latency", margin=MARGIN)
    return any(v.word is Word.EQUIVALENT for v in found.verdicts)


def covers(kind: dict[str, Any], seed: int) -> dict[str, bool]:
    """Whether each interval holds the true effect of a shift."""
    found = compare_runs(study(np.random.default_rng(seed), shift=SHIFT, **kind), metrics=("success", "latency"))
    rate, latency = found.pairs
    return {
        # a success of chance e becomes one of e + 0.3 (1 - e), and the mean of e is one half
        "success": rate.low <= SHIFT / 2 <= rate.high,
        "latency": latency.low <= math.exp(SHIFT) <= latency.high,
        "mean_ratio": latency.mean_ratio_low <= math.exp(SHIFT) <= latency.mean_ratio_high,
    }
