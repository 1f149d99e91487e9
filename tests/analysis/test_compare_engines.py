"""The same comparison on engines that hold more than fits into memory: what they gather is what pandas gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

import agenttrace_nb as at
from agenttrace_nb.config import OptionError
from analysis.span_tables import METRICS, traces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.analysis.trace_set import TraceSet


@pytest.fixture(scope="module")
def runs() -> TraceSet:
    return traces()


@pytest.fixture(scope="module")
def expected(runs: TraceSet) -> at.Comparison:
    return at.compare(runs, metrics=METRICS, baseline="plain")


@pytest.fixture(scope="module")
def folder(runs: TraceSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("spans") / "desk"
    runs.to_parquet(made, partition_by=["arch"], tags="prompt")
    return made


def assert_same(found: at.Comparison, expected: at.Comparison) -> None:
    for mine, theirs in ((found.pairs, expected.pairs), (found.table, expected.table)):
        assert list(mine.columns) == list(theirs.columns)
        for name in mine.columns:
            for a, b in zip(mine[name].astype(object), theirs[name].astype(object), strict=True):
                same = math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) if isinstance(a, float) else str(a) == str(b)
                assert same, (name, a, b)
    assert [str(v) for v in found.verdicts] == [str(v) for v in expected.verdicts]


def duckdb_relation(folder: Path) -> Any:
    import duckdb

    return duckdb.sql(f"FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)")


def polars_lazy(folder: Path) -> Any:
    import polars as pl

    return pl.scan_parquet(folder / "**/*.parquet", hive_partitioning=True)


def pandas_frame(folder: Path) -> Any:
    import pandas as pd

    return pd.read_parquet(folder)


@pytest.mark.parametrize("engine", [duckdb_relation, polars_lazy, pandas_frame])
def test_a_table_of_spans_gives_what_the_traces_give(
    engine: Callable[[Path], Any], folder: Path, expected: at.Comparison
) -> None:
    assert_same(at.compare(engine(folder), metrics=METRICS, baseline="plain"), expected)


@pytest.mark.parametrize("engine", [duckdb_relation, polars_lazy])
def test_only_a_row_for_each_run_is_read(
    engine: Callable[[Path], Any], folder: Path, runs: TraceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import narwhals as nw

    read: list[tuple[int, int]] = []
    collect = nw.LazyFrame.collect

    def counting(frame: Any, *given: Any, **more: Any) -> Any:
        data = collect(frame, *given, **more)
        read.append(data.shape)
        return data

    monkeypatch.setattr(nw.LazyFrame, "collect", counting)
    at.compare(engine(folder), metrics=["latency"])
    assert [rows for rows, _ in read] == [len(runs)]
    assert read[0][1] <= 8, "and only the columns that are needed"


def test_a_table_of_runs_in_a_database_gives_what_pandas_gives(runs: TraceSet, expected: at.Comparison) -> None:
    import duckdb

    frame = runs.traces()
    assert_same(
        at.compare(duckdb.sql("FROM frame"), metrics=METRICS, baseline="plain"),
        at.compare(frame, metrics=METRICS, baseline="plain"),
    )
    assert frame is not None


def test_groups_can_be_told_apart_by_a_tag_that_was_written(folder: Path, runs: TraceSet) -> None:
    found = at.compare(duckdb_relation(folder), by="prompt", metrics="latency")
    assert_same(found, at.compare(runs, by="prompt", metrics="latency"))


def test_plain_spans_say_what_their_topmost_steps_say(runs: TraceSet) -> None:
    found = at.compare(runs.spans(), metrics=["completed", "latency"]).table.set_index(["metric", "arch"])
    exact = at.compare(runs, metrics=["completed", "latency"]).table.set_index(["metric", "arch"])
    medians = [table.loc[("latency", "planner"), "value"] for table in (found, exact)]
    assert medians[0] == pytest.approx(medians[1], rel=0.2), "the cancelled run counts: no step at its top tells"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"by": "model"}, "'model' is said of each span and not of the run"),
        ({"by": "shade"}, "there is no such tag or column"),
        ({"case": "agent"}, "'agent' is said of each span"),
    ],
)
def test_what_spans_cannot_tell_is_told(options: dict[str, str], told: str, runs: TraceSet) -> None:
    with pytest.raises(OptionError, match=told):
        at.compare(runs.spans(), **options)


def test_a_table_of_spans_without_what_is_needed_is_told(runs: TraceSet) -> None:
    with pytest.raises(OptionError, match="a table of spans without parent_id, duration_s"):
        at.compare(runs.spans().drop(columns=["parent_id", "duration_s"]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"partition_by": "arc"}, "partition_by='arc' is neither a column nor a tag; .* Did you mean arch"),
        ({"partition_by": [3]}, r"partition_by=\[3\] is not allowed"),
        ({"tags": [""]}, "tags=.* is not allowed"),
    ],
)
def test_a_partition_that_is_not_there_is_told(
    options: dict[str, Any], told: str, runs: TraceSet, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=told):
        runs.to_parquet(tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


def test_partitions_are_folders(folder: Path) -> None:
    assert sorted(f.name for f in folder.iterdir()) == ["arch=plain", "arch=planner"]
