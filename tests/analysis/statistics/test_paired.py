"""Paired tests against their published values, SciPy and statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agenttrace_nb.analysis.statistics.paired import (
    cochran_q,
    friedman,
    mcnemar_exact,
    null_of_signed_sum,
    sign_flip,
    wilcoxon,
)

from .oracles import ORACLES


@pytest.mark.parametrize("case", ORACLES["mcnemar_exact_two_sided"], ids=str)
def test_mcnemar_is_the_published_value(case: dict) -> None:
    assert mcnemar_exact(case["b"], case["c"]) == pytest.approx(case["p"], abs=1e-12)


@pytest.mark.parametrize(("b", "c"), [(10, 2), (3, 3), (0, 7), (25, 11)])
def test_mcnemar_agrees_with_statsmodels(b: int, c: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    assert mcnemar_exact(b, c) == pytest.approx(mcnemar([[9, b], [c, 4]], exact=True).pvalue, abs=1e-12)


def test_no_discordant_case_is_no_evidence() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert sign_flip([0, 0, 0]) == 1.0
    assert wilcoxon([0.0, 0.0]) == 1.0


@given(st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_sign_flip_of_single_trials_is_mcnemar(b: int, c: int) -> None:
    assert sign_flip([1] * b + [-1] * c + [0] * 3) == pytest.approx(mcnemar_exact(b, c), abs=1e-9)


@pytest.mark.parametrize("step", [1, 0.5, 0.25, 1 / 3, 0.2])
def test_sign_flip_on_a_grid_is_every_flip_counted(step: float) -> None:
    differences = step * np.array([3, -1, 2, 2, 0, -4, 1, 1, 5])
    flips = np.array(list(itertools.product((-1, 1), repeat=differences.size)))
    sums = np.abs(flips @ differences)
    expected = np.mean(sums >= abs(differences.sum()) - 1e-9)
    assert sign_flip(differences) == pytest.approx(expected, abs=1e-12)


def test_sign_flip_by_random_flips_comes_close_to_the_grid() -> None:
    rng = np.random.default_rng(4)
    on_grid = rng.integers(-4, 6, 60)
    off_grid = on_grid * np.pi  # no common step that the exact test would take
    assert sign_flip(off_grid) == pytest.approx(sign_flip(on_grid), abs=0.012)
    assert sign_flip(off_grid) == sign_flip(off_grid)


def test_sign_flip_agrees_with_scipy() -> None:
    differences = np.random.default_rng(2).normal(0.3, 1, 12)
    found = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(differences) == pytest.approx(found.pvalue, abs=1e-12)


@pytest.mark.parametrize("n", [6, 11, 30, 50])
def test_wilcoxon_agrees_with_scipys_exact_test(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.2, 1, n)
    assert wilcoxon(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, abs=1e-12)
    one_sided = stats.wilcoxon(differences + 0.1, method="exact", alternative="greater").pvalue
    assert wilcoxon(differences, above=-0.1) == pytest.approx(one_sided, abs=1e-12)


def test_wilcoxon_with_ties_is_every_flip_counted() -> None:
    differences = np.array([1, 1, -1, 2, 2, 3, -2, 4])
    ranks = stats.rankdata(np.abs(differences))
    flips = np.array(list(itertools.product((-1, 1), repeat=ranks.size)))
    observed = abs((ranks * np.sign(differences)).sum())
    assert wilcoxon(differences) == pytest.approx(np.mean(np.abs(flips @ ranks) >= observed), abs=1e-12)


def test_wilcoxon_of_many_cases_is_scipys_approximation() -> None:
    differences = np.random.default_rng(3).normal(0.1, 1, 400)
    expected = stats.wilcoxon(differences, method="approx", correction=True).pvalue
    assert wilcoxon(differences) == pytest.approx(expected, abs=1e-12)


def test_cochran_q_agrees_with_statsmodels() -> None:
    from statsmodels.stats.contingency_tables import cochrans_q

    table = np.random.default_rng(5).integers(0, 2, (30, 4))
    expected = cochrans_q(table)
    assert cochran_q(table) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-9)


def test_cochran_q_of_two_is_mcnemar_without_correction() -> None:
    table = [[1, 0]] * 10 + [[0, 1]] * 2 + [[1, 1]] * 5
    assert cochran_q(table)[0] == pytest.approx((10 - 2) ** 2 / 12)


def test_constant_data_are_no_evidence() -> None:
    assert cochran_q(np.ones((5, 3))) == (0.0, 1.0)
    assert friedman(np.full((5, 3), 2.5)) == (0.0, 1.0)


def test_friedman_agrees_with_scipy() -> None:
    table = np.random.default_rng(6).normal(size=(20, 3))
    expected = stats.friedmanchisquare(*table.T)
    assert friedman(table) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_null_of_a_signed_sum_is_a_distribution_symmetric_about_its_middle(weights: list[int]) -> None:
    pmf = null_of_signed_sum(weights)
    assert pmf.sum() == pytest.approx(1)
    assert pmf == pytest.approx(pmf[::-1])
