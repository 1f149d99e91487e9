"""`compare` finds what was put in, pairs by case, says what it left out, and never makes more of it than there is."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from bench.shared_data import folder

import agenttrace_nb as at
from agenttrace_nb.analysis.comparison.words import Word

from .runs_to_compare import runs
from .statistics.oracles import SUCCESSES, TAU

LATENCY = {"metrics": "latency", "baseline": "plain"}


def words(found: at.Comparison) -> dict[str, str]:
    return {v.metric: v.word.value for v in found.verdicts}


# -------------------------------------------------------------------------------------------------- what it finds


def test_a_faster_architecture_is_better_and_nothing_else_is_claimed() -> None:
    found = at.compare(runs(faster={"planner": 0.7}), baseline="plain")
    assert words(found) == {
        "success": Word.NO_EVIDENCE, "latency": Word.BETTER, "cost": Word.NO_EVIDENCE, "tokens": Word.NO_EVIDENCE
    }  # fmt: skip
    row = found.pairs.set_index("metric").loc["latency"]
    assert row["low"] < 0.7 < row["high"] < 1
    assert row["mean_ratio_low"] < 0.7 < row["mean_ratio_high"]
    assert row["shift"] < 0


def test_a_slower_architecture_is_worse() -> None:
    assert words(at.compare(runs(faster={"planner": 1.5}), **LATENCY)) == {"latency": "worse"}


def test_a_surer_architecture_is_better_by_points() -> None:
    found = at.compare(runs(surer={"planner": 0.4}), metrics="success", baseline="plain")
    assert words(found) == {"success": "better"}
    row = found.pairs.iloc[0]
    table = runs(surer={"planner": 0.4}).pivot_table(index="case", columns="arch", values="success", aggfunc="first")
    difference = table["planner"].astype(int) - table["plain"].astype(int)
    assert row["test"] == "exact McNemar"
    assert row["estimate"] == pytest.approx(difference.mean())
    assert (row["wins"], row["losses"]) == ((difference > 0).sum(), (difference < 0).sum())


def test_a_difference_within_the_margin_is_equivalent_and_without_one_it_is_no_evidence() -> None:
    table = runs(cases=80, seed=3)
    assert words(at.compare(table, metrics="tokens"))["tokens"] == Word.NO_EVIDENCE
    assert words(at.compare(table, metrics="tokens", margin=0.1))["tokens"] == Word.EQUIVALENT
    assert words(at.compare(table, metrics="tokens", margin={"tokens": 0.001}))["tokens"] == Word.NO_EVIDENCE


def test_the_order_of_rows_changes_nothing() -> None:
    table = runs(trials=3)
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(at.compare(table).pairs, at.compare(shuffled).pairs)


def test_the_same_comparison_from_the_other_side_is_its_mirror() -> None:
    table = runs(faster={"planner": 0.7})
    one = at.compare(table, metrics="latency", baseline="plain").pairs.iloc[0]
    other = at.compare(table, metrics="latency", baseline="planner").pairs.iloc[0]
    assert other["estimate"] == pytest.approx(1 / one["estimate"])
    assert (other["low"], other["high"]) == pytest.approx((1 / one["high"], 1 / one["low"]))
    assert (one["verdict"], other["verdict"]) == ("better", "worse")


def test_three_groups_are_compared_together_and_each_with_each() -> None:
    found = at.compare(runs(("a", "b", "c"), faster={"c": 0.5}), metrics=("success", "latency"))
    assert len(found.pairs) == 6
    assert [o.test for o in found.findings.overall] == ["Cochran Q", "Friedman"]
    assert found.findings.overall[1].p_adjusted < 0.001
    assert len(at.compare(runs(("a", "b", "c")), metrics="latency", baseline="b").pairs) == 2


def test_everything_that_is_shown_is_adjusted_for() -> None:
    found = at.compare(runs(("a", "b", "c")), metrics=("success", "latency", "cost"))
    p = [*found.pairs["p"], *(o.p for o in found.findings.overall)]
    adjusted = [*found.pairs["p_adjusted"], *(o.p_adjusted for o in found.findings.overall)]
    assert len(p) == 12
    assert min(adjusted) == pytest.approx(min(1, 12 * min(p)))


# ------------------------------------------------------------------------------------------------- real recordings


def tau() -> pd.DataFrame:
    """tau-bench airline, gpt-4o: 50 tasks, 4 trials; without the recordings its table of successes."""
    data = folder("tau_bench_airline")
    if data is None:
        rows = [(c, t, t < n) for c, n in enumerate(SUCCESSES) for t in range(4)]
        return pd.DataFrame(rows, columns=["case", "trial", "success"])
    records = json.loads((data / "gpt-4o-airline.json").read_text("utf-8"))
    return pd.DataFrame(
        [(r["task_id"], r["trial"], r["reward"] == 1) for r in records], columns=["case", "trial", "success"]
    )


def test_trials_of_one_model_taken_for_architectures_show_no_evidence_of_a_difference() -> None:
    table = tau()
    if folder("tau_bench_airline") is None:  # the order of trials within a task is not in the table
        shuffle = np.random.default_rng(0).permuted(np.tile(np.arange(4), (50, 1)), axis=1).ravel()
        table = table.assign(trial=shuffle)
    found = at.compare(table.assign(arch="trial " + table["trial"].astype(str), trial=None), metrics="success")
    assert len(found.verdicts) == 6
    assert {v.word for v in found.verdicts} == {Word.NO_EVIDENCE}
    assert "interval" in found.verdicts[0].evidence
    if folder("tau_bench_airline") is not None:
        by_trial = table.groupby("trial")["success"].mean()
        assert {str(t): rate for t, rate in by_trial.items()} == pytest.approx(TAU["success_by_trial"], abs=1e-9)
        largest = found.pairs.set_index(["a", "b"]).loc[("trial 1", "trial 2")]
        assert largest["p"] == pytest.approx(0.7744140625, abs=1e-12)
        assert (largest["wins"], largest["losses"]) == (5, 7)
        assert min(found.pairs["p"]) == largest["p"]


def test_pass_k_and_the_clustered_interval_are_the_published_ones() -> None:
    table = tau()
    both = pd.concat([table.assign(arch="one"), table.assign(arch="two", success=True)])
    found = at.compare(both, metrics="success")
    one = found.trials[found.trials["group"] == "one"].set_index("k")
    for k in range(1, 5):
        assert one.loc[k, "all_of_k"] == pytest.approx(TAU["pass_hat_k"][str(k)], abs=1e-9)
        assert one.loc[k, "one_of_k"] == pytest.approx(TAU["pass_at_k"][str(k)], abs=1e-9)
    mean = found.table.iloc[0]
    assert mean["value"] == pytest.approx(0.42)
    naive = TAU["wilson95_naive_84_of_200"]
    assert mean["high"] - mean["low"] > 1.4 * (naive[1] - naive[0])
    assert found.pairs.iloc[0]["test"] == "sign-flip over cases"


# --------------------------------------------------------------------------------------------- what is not paired


def test_cases_are_paired_by_their_id_and_the_rest_is_named() -> None:
    table = runs()
    gone = table[~((table["arch"] == "planner") & table["case"].isin(["task-001", "task-002"]))]
    found = at.compare(gone, metrics="latency")
    assert found.pairs.iloc[0]["cases"] == 38
    assert (found.pairs.iloc[0]["only_a"], found.pairs.iloc[0]["only_b"]) == (2, 0)
    assert any("2 only in plain (task-001, task-002)" in note for note in found.notes)


def test_groups_without_a_common_case_are_compared_as_independent_ones() -> None:
    table = runs(faster={"planner": 0.5})
    table.loc[table["arch"] == "planner", "case"] = "other-" + table["case"]
    found = at.compare(table, metrics=("success", "latency"))
    assert list(found.pairs["test"]) == ["Fisher exact", "Mann-Whitney"]
    assert words(found)["latency"] == "better"
    assert any("share no case" in note for note in found.notes)


def test_runs_without_a_case_are_compared_as_independent_ones() -> None:
    found = at.compare(runs(faster={"planner": 0.5}).drop(columns="case"), metrics="latency")
    assert found.pairs.iloc[0]["test"] == "Mann-Whitney"
    assert any("have no case" in note for note in found.notes)


def test_trials_of_a_case_count_as_one_case() -> None:
    found = at.compare(runs(cases=10, trials=6, faster={"planner": 0.7}), metrics=("latency", "success"))
    assert set(found.pairs["cases"]) == {10}
    assert set(found.pairs["runs_a"]) == {60}


# -------------------------------------------------------------------------------------------- what is not known


def test_unknown_cost_is_unknown_and_not_0() -> None:
    table = runs()
    table.loc[table["arch"] == "plain", "cost_usd"] = None
    found = at.compare(table)
    row = found.pairs.set_index("metric").loc["cost"]
    assert row["verdict"] == "too few runs"
    assert row["why_not"] == "cost of plain is unknown"
    assert pd.isna(row["estimate"])
    assert found.table.query("metric == 'cost' and arch == 'plain'")["value"].isna().all()


def test_a_comparison_that_could_not_be_made_costs_the_others_nothing() -> None:
    table = runs(seed=2)
    without = at.compare(table.assign(cost_usd=None), metrics=("latency", "cost"))
    alone = at.compare(table, metrics="latency")
    assert without.pairs["p_adjusted"][0] == alone.pairs["p_adjusted"][0]


def test_a_run_of_which_success_is_unknown_is_left_out_and_counted() -> None:
    table = runs()
    table["success"] = table["success"].astype(object)
    table.loc[table.index[:3], "success"] = None
    found = at.compare(table, metrics="success")
    assert found.pairs.iloc[0]["cases"] == 37
    assert any("success of 3 runs of plain is unknown" in note for note in found.notes)


def test_where_nobody_said_what_succeeded_completing_is_shown_instead() -> None:
    table = runs(success=None)
    table.loc[table.index[:2], "status"] = "error"
    found = at.compare(table, metrics="success")
    assert found.verdicts[0].metric == "completed without error"
    assert found.table["value"].tolist() == pytest.approx([38 / 40, 1.0])
    assert any("not said of any run" in note for note in found.notes)


def test_a_run_that_raised_did_not_succeed() -> None:
    table = runs()
    table["success"] = table["success"].astype(object)
    table.loc[table.index[:5], ["success", "status"]] = [None, "error"]
    assert at.compare(table, metrics="success").table["runs"].tolist() == [40, 40]


def test_failed_runs_stay_in_latency_and_it_is_told_what_they_do_to_it() -> None:
    table = runs()
    quick = table.index[(table["arch"] == "planner")][:15]
    table.loc[quick, ["status", "success", "latency_s"]] = ["error", False, 0.05]
    found = at.compare(table, metrics="latency")
    assert found.table["runs"].tolist() == [40, 40]
    assert any("failed runs (15 of planner) count" in note for note in found.notes)
    assert any("without them" in note for note in found.notes)


def test_runs_that_were_stopped_are_left_out_and_counted() -> None:
    table = runs()
    table.loc[table.index[:3], "status"] = ["cancelled", "interrupted", "running"]
    found = at.compare(table, metrics="latency")
    assert found.pairs.iloc[0]["cases"] == 37
    assert any("3 runs did not come to their end (1 cancelled, 1 interrupted, 1 running)" in n for n in found.notes)


# -------------------------------------------------------------------------------------------------- few or no runs


@pytest.mark.parametrize("cases", [1, 2, 5])
def test_too_few_cases_give_no_verdict_however_clear_they_look(cases: int) -> None:
    found = at.compare(runs(cases=cases, faster={"planner": 0.01}), metrics=("success", "latency"))
    assert {v.word for v in found.verdicts} == {Word.TOO_FEW}
    assert "cannot show a difference" in found.verdicts[0].evidence


def test_a_95th_percentile_needs_59_cases() -> None:
    assert at.compare(runs(cases=58), metrics="latency").table["p95"].isna().all()
    assert at.compare(runs(cases=59), metrics="latency").table["p95_high"].notna().all()


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_constant_data_are_no_evidence_of_a_difference(value: float) -> None:
    found = at.compare(runs(latency_s=value, tool_errors=3), metrics=("latency", "errors"))
    assert {v.word for v in found.verdicts} == {Word.NO_EVIDENCE}
    assert set(found.pairs["p_adjusted"]) == {1.0}


def test_all_failures_are_no_evidence_of_a_difference() -> None:
    found = at.compare(runs(success=False), metrics=("success", "cost_per_success"))
    assert [v.word for v in found.verdicts] == [Word.NO_EVIDENCE, Word.TOO_FEW]
    assert found.pairs["why_not"][1] == "plain and planner never succeeded"


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cases in (1, 2, 7, 12):
            found = at.compare(runs(("a", "b", "c"), cases=cases, trials=2), margin=0.1, power=0.8)
            repr(found)
            found._repr_html_()


# --------------------------------------------------------------------------------------------- cost and own scores


def test_cost_per_success_is_total_cost_over_successes() -> None:
    table = runs(surer={"planner": 0.5})
    found = at.compare(table, metrics="cost_per_success")
    of = table.groupby("arch").agg(cost=("cost_usd", "sum"), n=("success", "sum"))
    expected = of["cost"] / of["n"]
    assert found.table["value"].tolist() == pytest.approx(expected.tolist())
    assert found.pairs.iloc[0]["estimate"] == pytest.approx(expected["planner"] / expected["plain"])
    assert words(found) == {"cost per success": "better"}


def test_any_numeric_column_is_a_score_and_a_minus_says_that_less_is_better() -> None:
    table = runs()
    table["fluency"] = np.where(table["arch"] == "planner", 4.0, 3.0) + np.linspace(0, 1, len(table))
    assert words(at.compare(table, metrics="fluency")) == {"fluency": "better"}
    assert words(at.compare(table, metrics="-fluency")) == {"fluency": "worse"}


def test_a_score_of_pass_or_fail_is_a_rate() -> None:
    found = at.compare(runs(polite=lambda t: (t["arch"] == "planner").astype(int)), metrics="polite")
    assert found.pairs.iloc[0]["test"] == "exact McNemar"
    assert found.pairs.iloc[0]["estimate"] == 1.0


def test_power_says_how_many_cases_would_show_the_margin() -> None:
    row = at.compare(runs(), metrics="success", margin=0.05, power=0.8).pairs.iloc[0]
    expected = (1.959963985 + 0.841621234) ** 2 * row["spread"] / 0.05**2
    assert row["cases_needed"] == pytest.approx(expected, rel=1e-6)
