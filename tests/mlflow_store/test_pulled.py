"""Series of another system are kept in MLflow: on a database, and on a tracking server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import mlflow
import pytest

from agenttrace_nb.mlflow_store.limits import NAME_CHARS
from agenttrace_nb.mlflow_store.pulled import PulledSeries, key_of, write_pulled

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_store.conftest import Server

START_MS = 1_769_850_000_125
ABOUT = {"query": "load", "step_ms": 250}


def series(count: int, **labels: str) -> PulledSeries:
    samples = [(START_MS + 250 * n, math.sin(n) * 10 ** (n % 19 - 9)) for n in range(count)]
    return PulledSeries(metric="load", labels=labels, samples=samples)


def write(uri: str, cwd: Path, found: list[PulledSeries], **more: Any) -> str:
    return write_pulled(uri, str(cwd), source="prometheus", series=found, step_ms=250, about=ABOUT, **more)


def stored(uri: str, run_id: str, key: str) -> list[tuple[int, float, int]]:
    history = mlflow.MlflowClient(uri).get_metric_history(run_id, key)
    return sorted((point.timestamp, point.value, point.step) for point in history)


def check(uri: str, cwd: Path) -> None:
    found = [series(1500, host="a"), series(700, host="b")]
    run_id = write(uri, cwd, found)
    assert write(uri, cwd, found) == run_id
    for one in found:
        expected = [(time_ms, value, time_ms // 250) for time_ms, value in one.samples]
        assert stored(uri, run_id, key_of("prometheus", one)) == expected


def test_a_database_has_each_value_once_to_the_last_digit(uri: str, cwd: Path) -> None:
    check(uri, cwd)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_tracking_server_has_each_value_once_to_the_last_digit(shared_server: Server, cwd: Path) -> None:
    check(shared_server.uri, cwd)


def test_another_query_has_a_run_of_its_own(uri: str, cwd: Path) -> None:
    first = write(uri, cwd, [series(3)])
    other = write_pulled(
        uri, str(cwd), source="prometheus", series=[series(3)], step_ms=250, about={"query": "other", "step_ms": 250}
    )
    assert first != other


@pytest.mark.parametrize("odd", ["a" * 400, "é", "a?b", "../../x", "", "a//b", "\ud800", "a\nb", "100%"])
def test_any_label_makes_a_name_that_mlflow_takes(uri: str, cwd: Path, odd: str) -> None:
    found = [series(2, host=odd), series(2, host=f"{odd}?")]
    keys = {key_of("prometheus", one) for one in found}
    assert len(keys) == 2
    assert all(len(key) <= NAME_CHARS for key in keys)
    run_id = write(uri, cwd, found)
    assert set(mlflow.MlflowClient(uri).get_run(run_id).data.metrics) == keys
