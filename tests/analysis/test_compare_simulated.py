"""What `compare` says over many simulated studies: no false verdicts beyond the level, intervals that cover, power.

Each study is drawn from a seed. The short form runs with every check; the long form, 2,000 studies of each kind, with
``make check-all``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.analysis.comparison.words import Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.analysis.comparison import Findings

FEW, MANY = 100, 2_000
ALPHA = 0.05
METRICS = ("success", "latency", "cost", "errors")
CLAIMS = {Word.BETTER, Word.WORSE}


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


def share(studies: int, made: Callable[[np.random.Generator], Any], says: Callable[[Any], float]) -> float:
    return float(np.mean([says(made(np.random.default_rng(seed))) for seed in range(studies)]))


def claims_anything(found: Findings) -> float:
    named = any(v.word in CLAIMS for v in found.verdicts)
    return float(named or any(o.p_adjusted <= found.alpha for o in found.overall))


def above_chance(level: float, studies: int) -> float:
    """The share that a true level of this size exceeds once in a thousand times, by chance alone."""
    return level + 3.1 * math.sqrt(level * (1 - level) / studies)


NULLS = {
    "paired": {"groups": 2, "cases": 30, "trials": 1},
    "few cases": {"groups": 2, "cases": 8, "trials": 1},
    "clustered": {"groups": 2, "cases": 20, "trials": 4},
    "three groups": {"groups": 3, "cases": 25, "trials": 2},
    "unpaired": {"groups": 2, "cases": 30, "trials": 1, "paired": False},
    "unpaired, clustered": {"groups": 2, "cases": 20, "trials": 3, "paired": False},
}


def false_verdicts(kind: str, studies: int) -> float:
    return share(
        studies, lambda rng: compare_runs(study(rng, **NULLS[kind]), metrics=METRICS, alpha=ALPHA), claims_anything
    )


def test_no_difference_is_not_called_a_win() -> None:
    assert false_verdicts("clustered", FEW) <= above_chance(ALPHA, FEW)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", NULLS)
def test_false_verdicts_stay_at_the_level_over_thousands_of_studies(kind: str) -> None:
    rate = false_verdicts(kind, MANY)
    print(f"{kind}: {rate:.4f}")
    assert rate <= above_chance(ALPHA, MANY)


def claims_sameness(found: Findings) -> float:
    return float(any(v.word is Word.EQUIVALENT for v in found.verdicts))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_difference_as_large_as_the_margin_is_not_called_equivalent() -> None:
    margin = 0.15

    def made(rng: np.random.Generator) -> Findings:
        table = study(rng, 2, 30, 1)
        table.loc[table["arch"] == "g1", "latency_s"] *= 1 + margin
        return compare_runs(table, metrics="latency", margin=margin)

    assert share(MANY, made, claims_sameness) <= above_chance(ALPHA, MANY)


# -------------------------------------------------------------------------------------------------------- coverage


def covered(kind: dict[str, Any], studies: int) -> dict[str, float]:
    """How often each interval holds the true effect of a shift of 0.3."""
    shift, hits = 0.3, dict.fromkeys(("success", "latency", "mean_ratio"), 0)
    for seed in range(studies):
        found = compare_runs(study(np.random.default_rng(seed), shift=shift, **kind), metrics=("success", "latency"))
        rate, latency = found.pairs
        # a success of chance e becomes one of e + 0.3 (1 - e), and the mean of e is one half
        hits["success"] += rate.low <= shift / 2 <= rate.high
        hits["latency"] += latency.low <= math.exp(shift) <= latency.high
        hits["mean_ratio"] += latency.mean_ratio_low <= math.exp(shift) <= latency.mean_ratio_high
    return {name: count / studies for name, count in hits.items()}


def test_intervals_cover_what_was_put_in() -> None:
    for name, rate in covered({"groups": 2, "cases": 30, "trials": 1}, FEW).items():
        assert rate > 0.95 - 3.1 * math.sqrt(0.95 * 0.05 / FEW), name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [(40, 1), (40, 4), (100, 1)], ids=str)
def test_intervals_cover_93_to_97_percent_over_thousands_of_studies(kind: tuple[int, int]) -> None:
    cases, trials = kind
    rates = covered({"groups": 2, "cases": cases, "trials": trials}, MANY)
    print(kind, rates)
    by_chance = 2 * math.sqrt(0.97 * 0.03 / MANY)
    assert all(0.93 - by_chance <= rate <= 0.97 + by_chance for rate in rates.values()), rates


# ----------------------------------------------------------------------------------------------------------- power


def test_a_real_difference_is_found() -> None:
    def made(rng: np.random.Generator) -> Findings:
        return compare_runs(study(rng, 2, 40, 2, shift=0.5), metrics=METRICS)

    def finds(found: Findings) -> float:
        of = {v.metric: v.word for v in found.verdicts}
        return float(of["success"] is Word.BETTER and of["latency"] is Word.WORSE)

    assert share(20, made, finds) >= 0.8


def test_the_number_of_cases_that_is_said_to_be_needed_is_enough() -> None:
    shift, power = 0.15, 0.8
    pilot = [
        compare_runs(study(np.random.default_rng(s), 2, 60, 1, shift=shift), metrics="latency", power=power,
                     margin=math.expm1(shift)).pairs[0].cases_needed
        for s in range(20)
    ]  # fmt: skip
    cases = math.ceil(float(np.mean(pilot)))

    def made(rng: np.random.Generator) -> Findings:
        return compare_runs(study(rng, 2, cases, 1, shift=shift), metrics="latency")

    assert share(FEW, made, claims_anything) == pytest.approx(power, abs=0.13)
