"""The same comparison on Spark, from a folder of Parquet files: what it gathers is what pandas gives."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

import agenttrace_nb as at
from analysis.span_tables import METRICS, traces
from analysis.test_compare_engines import assert_same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Spark's Python part does not close what it opens
pytestmark = [pytest.mark.spark, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    pyspark = pytest.importorskip("pyspark.sql", reason="make test-spark installs it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = pyspark.SparkSession.builder.master("local[2]").appName("compare")
        for name, value in {"ui.enabled": "false", "sql.shuffle.partitions": "2", "driver.memory": "1g"}.items():
            builder = builder.config(f"spark.{name}", value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.mark.parametrize("by", ["arch", "prompt"])
def test_a_folder_of_spans_gives_what_the_traces_give(spark: Any, tmp_path: Path, by: str) -> None:
    runs = traces()
    runs.to_parquet(tmp_path / "desk", partition_by="arch", tags="prompt")
    found = at.compare(spark.read.parquet(str(tmp_path / "desk")), by=by, metrics=METRICS)
    assert_same(found, at.compare(runs, by=by, metrics=METRICS))


def test_a_table_of_runs_gives_what_pandas_gives(spark: Any, tmp_path: Path) -> None:
    frame = traces().traces()
    frame.to_parquet(tmp_path / "runs.parquet")
    found = at.compare(spark.read.parquet(str(tmp_path / "runs.parquet")), metrics=METRICS)
    assert_same(found, at.compare(frame, metrics=METRICS))
