"""What `compare` says over simulated studies: no false verdicts beyond the level, intervals that cover, power.

The short form; the long one is ``make stats``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.analysis.comparison.words import Word
from analysis import simulated
from analysis.simulated import METRICS, claims_anything, study

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.analysis.comparison import Findings

FEW = 100


def share(studies: int, made: Callable[[np.random.Generator], Any], says: Callable[[Any], float]) -> float:
    return float(np.mean([says(made(np.random.default_rng(seed))) for seed in range(studies)]))


def test_no_difference_is_not_called_a_win() -> None:
    # What a level of 5 % exceeds once in a thousand times, by chance alone
    wrong = sum(simulated.false_claim("clustered", seed) for seed in range(FEW))
    assert wrong / FEW <= 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / FEW)


def test_intervals_cover_what_was_put_in() -> None:
    held = [simulated.covers({"groups": 2, "cases": 30, "trials": 1}, seed) for seed in range(FEW)]
    for name in simulated.COVERED:
        assert np.mean([of[name] for of in held]) > 0.95 - 3.1 * math.sqrt(0.95 * 0.05 / FEW), name


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
