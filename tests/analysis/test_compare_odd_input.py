"""Odd tables of runs get the same clear answer, or the same clear error, from whatever holds them."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import agenttrace_nb as at
from agenttrace_nb.analysis.comparison.words import Word
from analysis.span_tables import traces

from .runs_to_compare import runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def as_pandas(table: pd.DataFrame) -> Any:
    return table


def as_polars(table: pd.DataFrame) -> Any:
    import polars as pl

    return pl.from_pandas(table, nan_to_null=False)


def as_duckdb(table: pd.DataFrame) -> Any:
    import duckdb

    return duckdb.from_df(table)


@pytest.fixture(params=[as_pandas, as_polars, as_duckdb])
def held(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    return request.param


def told(table: Any, **options: Any) -> at.Comparison:
    """Compare, show it in every way, and see that nothing warns and no p-value is nonsense."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = at.compare(table, **options)
        assert repr(found)
        assert found._repr_html_()
        assert found.to_markdown()
        assert found.to_latex()
    for pair in found.findings.pairs:
        assert math.isnan(pair.p) or 0 <= pair.p <= 1
        assert pair.why_not or pair.test
    return found


def words(found: at.Comparison) -> set[str]:
    return {v.word.value for v in found.verdicts}


def test_no_tag_is_told(held: Callable[[pd.DataFrame], Any]) -> None:
    with pytest.raises(at.OptionError, match="by='arch': no run has this tag; run with %%trace_agents --arch NAME"):
        at.compare(held(runs(cases=3, arch=None)))


def test_one_group_is_told(held: Callable[[pd.DataFrame], Any]) -> None:
    with pytest.raises(at.OptionError, match="there is nothing to compare: of 3 runs all have arch plain"):
        at.compare(held(runs(cases=3).query("arch == 'plain'")))


@pytest.mark.parametrize("missing", [None, "", " "])
def test_runs_without_a_tag_are_left_out_and_counted(held: Callable[[pd.DataFrame], Any], missing: str | None) -> None:
    table = runs(cases=8)
    table.loc[table.index[0], "arch"] = missing
    found = told(held(table), metrics="latency")
    assert "1 run has no arch and is left out" in found.notes
    assert found.pairs["cases"][0] == 7


def test_a_group_without_cases_is_compared_as_an_independent_one(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=8)
    table.loc[table["arch"] == "planner", "case"] = None
    found = told(held(table), metrics="latency")
    assert found.pairs["test"][0] == "Mann-Whitney"
    assert "8 of 8 runs of planner have no case: not paired" in found.notes


def test_a_case_and_trial_recorded_twice_is_told(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=8, trials=2)
    found = told(held(pd.concat([table, table.iloc[:1]])), metrics="latency")
    assert "case task-000, trial 0 of plain was recorded more than once: each counts as a trial" in found.notes
    bare = runs(cases=8)
    found = told(held(pd.concat([bare, bare.iloc[:2]])), metrics="latency")
    assert "2 cases were run more than once without the number of a trial: each run counts as a trial" in found.notes


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2026-01-01T10:00:00Z", "2026-01-01T12:00:00Z"] * 8, utc=True),
        [pd.Timestamp("2026-01-01", tz="Europe/Berlin"), pd.Timestamp("2026-01-01", tz="Asia/Tokyo")] * 8,
        [pd.Timestamp("2026-01-01", tz="Europe/Berlin"), pd.Timestamp("2026-01-01")] * 8,
        ["2026-01-01T10:00:00+02:00", "2026-01-01T10:00:00"] * 8,
    ],
    ids=["utc", "two zones", "with and without a zone", "texts"],
)
@pytest.mark.parametrize("held", [as_pandas, as_duckdb])
def test_time_zones_change_nothing(held: Callable[[pd.DataFrame], Any], times: Any) -> None:
    table = runs(cases=8)
    pd.testing.assert_frame_equal(told(held(table.assign(started_at=times))).pairs, told(table).pairs)


def test_durations_that_cannot_be_are_unknown_and_counted(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=12)
    table.loc[table.index[:5], "latency_s"] = [-1.0, math.nan, math.inf, -math.inf, 1e300]
    found = told(held(table), metrics="latency")
    assert found.pairs["cases"][0] == 7
    assert "1 run has a negative latency: it counts as unknown" in found.notes
    assert "latency of 5 runs of plain is unknown: left out" in found.notes


@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf])
def test_durations_none_of_which_can_be_give_no_verdict(held: Callable[[pd.DataFrame], Any], value: float) -> None:
    found = told(held(runs(cases=8, latency_s=value)), metrics="latency")
    assert words(found) == {Word.TOO_FEW}
    assert found.pairs["why_not"][0] == "latency of plain and planner is unknown"


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_constant_data_are_no_evidence(held: Callable[[pd.DataFrame], Any], value: float) -> None:
    found = told(held(runs(cases=8, latency_s=value)), metrics="latency", margin=0.1, power=0.8)
    assert words(found) <= {Word.NO_EVIDENCE, Word.EQUIVALENT}
    assert found.pairs["p"][0] == 1.0


def test_constant_counts_and_scores_are_no_certainty(held: Callable[[pd.DataFrame], Any]) -> None:
    found = told(held(runs(cases=8, tool_errors=3)), metrics="errors")
    assert found.table["value"].tolist() == [3.0, 3.0]
    assert found.table["low"].isna().all(), "an interval of no width would say that more is known than is"
    assert found.pairs[["low", "high"]].isna().all(axis=None)


def test_what_differs_by_rounding_only_is_the_same(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=40)
    table["cost_usd"] = np.where(table["arch"] == "plain", 0.1 + 0.2, 0.3)  # the same prices, added up otherwise
    found = told(held(table), metrics="cost")
    assert words(found) == {Word.NO_EVIDENCE}
    assert (found.pairs["ties"][0], found.pairs["p"][0]) == (40, 1.0)
    table["case"] = table["arch"] + table["case"]
    assert told(held(table), metrics="cost").pairs["p"][0] == 1.0, "unpaired too"


def test_all_failures_are_no_evidence(held: Callable[[pd.DataFrame], Any]) -> None:
    found = told(held(runs(cases=8, success=False, status="error")), metrics=("success", "cost_per_success"))
    assert [v.word for v in found.verdicts] == [Word.NO_EVIDENCE, Word.TOO_FEW]


def test_two_runs_are_too_few(held: Callable[[pd.DataFrame], Any]) -> None:
    found = told(held(runs(cases=1)))
    assert words(found) == {Word.TOO_FEW}
    assert found.table["low"].isna().sum() == len(found.table) - 2, "one run has an interval of its success only"


def test_numbers_written_as_text_are_numbers(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=8)
    found = told(held(table.assign(latency_s=table["latency_s"].map(repr))), metrics="latency")
    pd.testing.assert_frame_equal(found.pairs, told(table, metrics="latency").pairs)
    with pytest.raises(at.OptionError, match="column 'latency_s' holds '1,5'; to compare by it, it must hold numbers"):
        at.compare(held(table.assign(latency_s="1,5")), metrics="latency")


@pytest.mark.parametrize("words", [("true", "false"), ("yes", "no"), ("Pass", "Fail"), ("1", "0"), (1, 0)])
def test_success_may_be_said_in_words(held: Callable[[pd.DataFrame], Any], words: tuple[Any, Any]) -> None:
    table = runs(cases=8)
    said = table.assign(success=[words[0] if ok else words[1] for ok in table["success"]])
    pd.testing.assert_frame_equal(told(held(said), metrics="success").pairs, told(table, metrics="success").pairs)


def test_cases_are_the_same_whether_numbers_or_texts() -> None:
    table = runs(cases=8)
    plain = told(table, metrics="latency").pairs
    for numbers in ([*range(8)], [float(n) for n in range(8)]):
        mixed = table.assign(case=pd.Series([*numbers, *map(str, range(8))], dtype=object))
        assert told(mixed, metrics="latency").pairs["cases"][0] == 8
        pd.testing.assert_frame_equal(told(mixed, metrics="latency").pairs, plain)


@pytest.mark.parametrize(("names", "baseline"), [((1, 2), 1), ((1, 2), "2"), ((0.1, 0.2), 0.1), ((True, False), True)])
def test_groups_may_be_numbers(held: Callable[[pd.DataFrame], Any], names: tuple[Any, Any], baseline: Any) -> None:
    table = runs(cases=8)
    table["arch"] = [names[0]] * 8 + [names[1]] * 8
    assert told(held(table), metrics="latency", baseline=baseline).pairs["a"][0] == str(baseline)


def test_statuses_are_read_as_mlflow_writes_them_and_others_are_told(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=8)
    table["status"] = ["OK"] * 6 + ["ERROR", "IN_PROGRESS"] + ["ok"] * 8
    found = told(held(table), metrics="completed")
    assert found.table["value"].tolist() == [pytest.approx(6 / 7), 1.0]
    assert "1 run did not come to its end (1 running) and is left out" in found.notes
    with pytest.raises(at.OptionError, match="column 'status' holds 'done'; it must be ok, error, cancelled"):
        at.compare(held(runs(cases=3, status="done")), metrics="completed")


def test_what_a_duration_is_not_is_told(held: Callable[[pd.DataFrame], Any]) -> None:
    table = runs(cases=3)
    with pytest.raises(at.OptionError, match=r"column 'latency_s' holds .*; to compare by it, it must hold numbers"):
        at.compare(held(table.assign(latency_s=pd.to_timedelta(table["latency_s"], unit="s"))), metrics="latency")


def test_nan_in_a_table_of_spans_is_unknown_in_every_engine(tmp_path: Path) -> None:
    import duckdb
    import polars as pl

    spans = traces().spans().drop(columns="started_at")
    for name in ("duration_s", "ttft_s", "cost_usd"):
        spans[name] = spans[name].astype("float64")  # which has NaN where nothing is known
    rng = np.random.default_rng(0)
    for value in (math.nan, -1.0):
        spans.loc[spans.index[rng.choice(len(spans), 12, replace=False)], "duration_s"] = value
    table = pl.from_pandas(spans, nan_to_null=False)
    assert table["cost_usd"].is_nan().any()
    table.write_parquet(tmp_path / "spans.parquet")
    metrics = ("latency", "cost", "tokens", "errors", "turns")
    expected = told(spans, metrics=metrics)
    stored = str(tmp_path / "spans.parquet")
    for other in (table, pl.scan_parquet(stored), duckdb.read_parquet(stored)):
        found = told(other, metrics=metrics)
        pd.testing.assert_frame_equal(found.pairs, expected.pairs, rtol=1e-9, atol=1e-12)
        assert found.notes == expected.notes
