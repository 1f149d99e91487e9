"""Intervals, trials, multiplicity and sizes against their published values, SciPy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from agenttrace_nb.analysis.statistics.bootstrap import bca, bca_mean, bootstrap_quantile
from agenttrace_nb.analysis.statistics.multiplicity import benjamini_hochberg, holm
from agenttrace_nb.analysis.statistics.proportions import (
    clopper_pearson,
    clustered_error,
    design_effect,
    intraclass_correlation,
    newcombe,
    paired_rate_interval,
    t_interval,
    wilson,
)
from agenttrace_nb.analysis.statistics.quantiles import order_pair, quantile, smallest_n
from agenttrace_nb.analysis.statistics.shift import hodges_lehmann, two_sample_shift
from agenttrace_nb.analysis.statistics.sizing import cases_needed, detectable, tost
from agenttrace_nb.analysis.statistics.trials import pass_at_k, pass_hat_k
from agenttrace_nb.analysis.statistics.unpaired import fisher_exact, mann_whitney, mean_permutation, welch_error

from .oracles import ORACLES, RUNS, SUCCESSES, TAU, TRIALS

CASES = np.repeat(np.arange(len(SUCCESSES)), TRIALS)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_pass_k_is_the_published_value(k: int) -> None:
    assert pass_hat_k(SUCCESSES, [TRIALS] * 50, k).mean() == pytest.approx(TAU["pass_hat_k"][str(k)], abs=1e-9)
    assert pass_at_k(SUCCESSES, [TRIALS] * 50, k).mean() == pytest.approx(TAU["pass_at_k"][str(k)], abs=1e-9)


def test_pass_k_of_too_few_trials_is_undefined_and_not_0() -> None:
    assert np.isnan(pass_hat_k([1], [1], 2)).all()
    assert np.isnan(pass_at_k([1], [1], 2)).all()


def test_clustered_errors_are_the_published_values() -> None:
    runs = RUNS.ravel()
    assert clustered_error(runs, CASES, corrected=False) == pytest.approx(TAU["se_cluster_miller"], abs=1e-9)
    assert clustered_error(runs, CASES) == pytest.approx(TAU["se_cluster_inspect"], abs=1e-9)
    assert RUNS.mean(axis=1).std(ddof=1) / math.sqrt(50) == pytest.approx(clustered_error(runs, CASES), abs=1e-12)
    found = t_interval(0.42, clustered_error(runs, CASES), 49)
    assert found == pytest.approx(TAU["t95_cluster_inspect_df49"], abs=1e-9)


def test_the_table_of_successes_is_the_one_that_was_published() -> None:
    counts = {str(k): int((k == SUCCESSES).sum()) for k in range(TRIALS + 1)}
    assert counts == TAU["tasks_by_number_of_successes"]
    assert (len(SUCCESSES), TRIALS, RUNS.size) == (TAU["n_tasks"], TAU["n_trials_per_task"], TAU["n_runs"])
    assert (RUNS.sum(), RUNS.size - RUNS.sum(), RUNS.mean()) == (TAU["n_success"], TAU["n_fail"], TAU["mean"])


def test_errors_of_runs_that_are_taken_for_independent_are_the_published_values() -> None:
    # As if each run were a case of its own: what clustering is set against
    runs = RUNS.ravel()
    assert clustered_error(runs, range(runs.size)) == pytest.approx(TAU["se_naive_ddof1"], abs=1e-9)
    assert clustered_error(runs, range(runs.size), corrected=False) == pytest.approx(TAU["se_binomial"], abs=1e-9)
    assert clustered_error(runs, CASES) > 1.4 * TAU["se_naive_ddof1"]


def test_clustered_error_agrees_with_statsmodels() -> None:
    from statsmodels.api import OLS

    fit = OLS(RUNS.ravel(), np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": CASES, "use_correction": False})
    assert clustered_error(RUNS.ravel(), CASES, corrected=False) == pytest.approx(fit.bse[0], abs=1e-12)


def test_correlation_and_design_effect_are_the_published_values() -> None:
    assert intraclass_correlation(RUNS) == pytest.approx(TAU["icc1"], abs=1e-9)
    assert design_effect(intraclass_correlation(RUNS), TRIALS) == pytest.approx(TAU["design_effect"], abs=1e-9)


def test_intervals_of_a_rate_are_the_published_values() -> None:
    assert wilson(84, 200) == pytest.approx(TAU["wilson95_naive_84_of_200"], abs=1e-9)
    assert clopper_pearson(84, 200) == pytest.approx(TAU["clopper_pearson95_84_of_200"], abs=1e-9)


def test_bootstrap_over_cases_comes_close_to_the_published_interval() -> None:
    oracle = TAU["monte_carlo"]["cluster_bootstrap95_mean"]
    found = bca_mean(RUNS.mean(axis=1), resamples=9_999)
    # ours is a little wider on purpose: Student's quantiles
    assert (found.low, found.high) == pytest.approx(oracle["value"], abs=2 * oracle["abs_tolerance"])
    oracle = TAU["monte_carlo"]["cluster_bootstrap95_pass_hat_4"]
    found = bca_mean(pass_hat_k(SUCCESSES, [TRIALS] * 50, 4))
    assert (found.low, found.high) == pytest.approx(oracle["value"], abs=oracle["abs_tolerance"] + 0.01)


def test_bca_of_many_cases_agrees_with_scipy() -> None:
    data = np.random.default_rng(7).gamma(2, 1, 400)
    expected = stats.bootstrap((data,), np.mean, n_resamples=9_999, rng=np.random.default_rng(1)).confidence_interval
    found = bca_mean(data, resamples=9_999)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.015)


def test_bca_of_a_ratio_of_totals() -> None:
    rng = np.random.default_rng(8)
    cost, successes = rng.gamma(2, 1, 300), rng.integers(0, 2, 300).astype(float)
    found = bca(np.column_stack([cost, successes]), lambda t: t[..., 0] / t[..., 1])
    expected = stats.bootstrap(
        (cost, successes), lambda c, s, axis: c.sum(axis) / s.sum(axis), paired=True, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx(cost.sum() / successes.sum())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.08)


def test_bootstrap_is_the_same_each_time_and_says_when_it_cannot() -> None:
    assert bca_mean([1, 2, 3, 5, 8]) == bca_mean([1, 2, 3, 5, 8])
    for alike in ([2.0, 2.0, 2.0], [2.0]):
        found = bca_mean(alike)
        assert found.value == 2.0
        assert math.isnan(found.low), "no spread is seen, which is not to say that there is none"
        assert math.isnan(found.high)


@pytest.mark.parametrize("seed", range(5))
def test_bootstrap_does_not_hang_on_rounding(seed: int) -> None:
    # Scores with few values: many draws come to the very mean, but for rounding, which differs from engine to engine.
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=25).round(1)
    noisy = scores * (1 + rng.uniform(-1, 1, scores.size) * 1e-15)
    assert bca_mean(noisy) == pytest.approx(bca_mean(scores), abs=1e-12)


def test_quantile_over_drawn_cases_is_wider_than_over_runs_that_are_alike() -> None:
    rng = np.random.default_rng(9)
    of_cases = [np.full(5, level) for level in rng.lognormal(0, 1, 80)]
    found = bootstrap_quantile(of_cases, 0.5)
    naive = quantile(np.concatenate(of_cases), 0.5)
    assert found.value == naive.value
    assert found.high - found.low > 1.5 * (naive.high - naive.low)


@pytest.mark.parametrize("case", ORACLES["quantile_confidence_interval"]["cases"], ids=str)
def test_pairs_of_order_statistics_are_the_published_ones(case: dict) -> None:
    found = order_pair(case["n"], case["p"])
    assert found is not None
    assert found[:2] == (case["l"], case["u"])
    assert found.coverage == pytest.approx(case["coverage"], abs=1e-9)


@pytest.mark.parametrize(("name", "p"), [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)])
def test_a_quantile_has_an_interval_from_the_published_number_on(name: str, p: float) -> None:
    least = ORACLES["quantile_confidence_interval"]["smallest_n_for_two_sided_95"][name]
    assert smallest_n(p) == least
    at, before = quantile(np.arange(least), p), quantile(np.arange(least - 1), p)
    assert math.isfinite(at.low)
    assert math.isfinite(at.high)
    assert math.isinf(before.low) or math.isinf(before.high)


def test_adjusted_p_values_are_the_published_ones() -> None:
    oracle = ORACLES["multiplicity"]
    assert holm(oracle["p"]) == pytest.approx(oracle["holm"], abs=1e-12)
    # Bonferroni's factor is what Holm gives the smallest p-value, whichever of them that is
    alike = [holm([p, 1.0, 1.0, 1.0, 1.0])[0] for p in oracle["p"]]
    assert alike == pytest.approx(oracle["bonferroni"], abs=1e-12)
    assert benjamini_hochberg(oracle["p"]) == pytest.approx(oracle["benjamini_hochberg"], abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_holm_agrees_with_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.5, 2, 1 + seed).round(2)  # with ties
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_what_could_not_be_compared_counts_for_nothing() -> None:
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)


def test_hypotheses_that_exclude_each_other_count_as_one() -> None:
    p = [0.01, 0.9, 0.02, 0.8]
    assert holm(p, at_most_one_true=["x", "x", "y", "y"])[:1] == pytest.approx([0.02])
    assert holm(p)[:1] == pytest.approx([0.04])


def test_hodges_lehmann_has_the_interval_of_the_wilcoxon_test() -> None:
    rng = np.random.default_rng(10)
    for n in (6, 9, 25, 80):
        x = rng.normal(0.5, 1, n)
        found = hodges_lehmann(x)
        for end in (found.low, found.high):
            inside, outside = end + 1e-9 * np.sign(found.value - end), end - 1e-9 * np.sign(found.value - end)
            assert stats.wilcoxon(x - inside, method="exact").pvalue > 0.05
            assert stats.wilcoxon(x - outside, method="exact").pvalue <= 0.05


def test_two_sample_shift_has_the_interval_of_the_mann_whitney_test() -> None:
    rng = np.random.default_rng(11)
    for n, m in ((4, 4), (7, 12), (20, 25)):
        x, y = rng.normal(0, 1, n), rng.normal(1, 1, m)
        found = two_sample_shift(x, y)
        assert found.value == pytest.approx(np.median(y[:, None] - x))
        for end in (found.low, found.high):
            inside, outside = end + 1e-9 * np.sign(found.value - end), end - 1e-9 * np.sign(found.value - end)
            assert stats.mannwhitneyu(y - inside, x, method="exact").pvalue > 0.05
            assert stats.mannwhitneyu(y - outside, x, method="exact").pvalue <= 0.05


def test_shifts_of_many_values_are_counted_and_not_listed() -> None:
    rng = np.random.default_rng(12)
    x, y = rng.normal(0, 1, 900), rng.normal(0.3, 1, 900)
    i, j = np.triu_indices(900)
    assert hodges_lehmann(x).value == pytest.approx(np.median((x[i] + x[j]) / 2), abs=1e-5)
    assert two_sample_shift(x, y).value == pytest.approx(np.median(y[:, None] - x), abs=1e-5)


def test_too_few_values_have_no_interval() -> None:
    assert math.isinf(hodges_lehmann([1, 2, 3, 4, 5]).low)
    assert math.isinf(two_sample_shift([1, 2, 3], [4, 5, 6]).high)


def test_unpaired_tests_agree_with_scipy() -> None:
    rng = np.random.default_rng(13)
    x, y = rng.normal(0, 1, 30), rng.normal(0.5, 1.5, 40)
    assert mann_whitney(x, y) == pytest.approx(stats.mannwhitneyu(y, x, method="asymptotic").pvalue)
    assert fisher_exact(1, 10, 8, 10) == pytest.approx(stats.fisher_exact([[1, 9], [8, 2]]).pvalue)
    estimate, error, degrees = welch_error(x, y)
    expected = stats.ttest_ind(y, x, equal_var=False)
    assert (estimate / error, degrees) == pytest.approx((expected.statistic, expected.df))
    by_labels = stats.permutation_test(
        (y, x), lambda u, v, axis: u.mean(axis) - v.mean(axis), rng=np.random.default_rng(1)
    )
    assert mean_permutation(x, y) == pytest.approx(by_labels.pvalue, abs=0.01)


def test_newcombe_agrees_with_statsmodels() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    expected = confint_proportions_2indep(56, 70, 48, 80, method="newcomb")
    assert newcombe(48, 80, 56, 70) == pytest.approx(expected, abs=1e-9)


def test_number_of_cases_is_the_published_one() -> None:
    assert cases_needed(0.03, 1 / 9) == pytest.approx(968.997, abs=5e-4)
    assert math.ceil(cases_needed(0.03, 1 / 9)) == 969
    assert detectable(969, 1 / 9) == pytest.approx(0.03, abs=1e-5)
    assert math.isinf(cases_needed(0, 1))


def test_equivalence_agrees_with_statsmodels() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    d = np.random.default_rng(14).normal(0.02, 0.1, 50)
    expected = DescrStatsW(d).ttost_mean(-0.06, 0.06)[0]
    assert tost(d.mean(), d.std(ddof=1) / math.sqrt(50), 49, 0.06) == pytest.approx(expected, abs=1e-12)


def covered(cases: int, only_b: float, only_a: float) -> float:
    """How often the interval holds the true difference, exactly: over all that so many cases can come to."""
    b, a = (counts.ravel() for counts in np.meshgrid(np.arange(cases + 1), np.arange(cases + 1)))
    b, a = b[a + b <= cases], a[a + b <= cases]
    chance = stats.multinomial.pmf(
        np.stack([b, a, cases - a - b], axis=1), cases, [only_b, only_a, 1 - only_a - only_b]
    )
    likely = chance > 1e-9
    held = [
        low <= only_b - only_a <= high
        for low, high in (
            paired_rate_interval(np.repeat([1, -1, 0], [wins, losses, cases - wins - losses]))
            for wins, losses in zip(b[likely], a[likely], strict=True)
        )
    ]
    return float(chance[likely][held].sum())


@pytest.mark.parametrize(("only_b", "only_a"), [(0.2577, 0.1077), (0.1538, 0.1538), (0.3, 0.05)])
@pytest.mark.parametrize("cases", [40, 100])
def test_the_interval_of_paired_rates_covers_as_often_as_it_says(cases: int, only_b: float, only_a: float) -> None:
    assert 0.95 <= covered(cases, only_b, only_a) <= 0.97


def test_no_observed_difference_is_not_taken_for_certainty() -> None:
    low, high = paired_rate_interval([0] * 40)
    assert low < -0.05
    assert high > 0.05
