"""What is pulled is stored in MLflow at its own times, once; bad arguments are named."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint, EntryPoints
from typing import TYPE_CHECKING, Any, ClassVar

import mlflow
import pytest

import agenttrace_nb as at
from agenttrace_nb.config import OptionError
from agenttrace_nb.sources import Query, Sample, Series, SourceError, registry
from agenttrace_nb.sources.source import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlflow.entities import Metric

ROOT = pathlib.Path(__file__).resolve().parents[2]
START, END = datetime(2026, 1, 31, 9, tzinfo=UTC), datetime(2026, 1, 31, 9, 10, tzinfo=UTC)
START_MS = 1_769_850_000_000
LABELS = ({"host": "a", "zone": "eu"}, {"host": "b/c?", "zone": "eu"}, {"host": "b_c_", "zone": "eu"})


class FixedSource:
    """The same values whenever they are asked for, as a server with a history has them."""

    api_version = API_VERSION
    options: Mapping[str, str] = {"factor": "times this", "key": "reference to a key"}
    required: frozenset[str] = frozenset()
    secrets = frozenset({"key"})
    asked: ClassVar[list[tuple[Query, dict[str, Any]]]] = []

    def read(self, query: Query, options: Mapping[str, Any]) -> Iterator[Series]:
        self.asked.append((query, dict(options)))
        if query.text == "raise":
            raise ZeroDivisionError("my own")
        factor = float(options.get("factor", 1))
        times = range(query.start_ms, query.end_ms + 1, query.step_ms)
        for number, labels in enumerate(LABELS):
            samples = [Sample(ms, factor * (ms % 977 / 7 + number), "tr-" + "c" * 32) for ms in times]
            yield Series(query.text, labels, samples)


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages that bring a source, one of them broken."""
    monkeypatch.setitem(sys.modules, "its_package", sys.modules[__name__])
    found = [
        EntryPoint("fixed", "its_package:FixedSource", registry.KINDS.group),
        EntryPoint("broken", "its_package:NoSuchName", registry.KINDS.group),
        EntryPoint("none", "its_package:Path", registry.KINDS.group),
    ]
    monkeypatch.setattr("agenttrace_nb.plugins.entry_points", lambda **which: EntryPoints(found).select(**which))
    monkeypatch.setattr(sys.modules[__name__], "Path", object, raising=False)
    FixedSource.asked = []


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").get_experiment("0")
    return path


@pytest.fixture
def client(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def history(client: mlflow.MlflowClient, run_id: str) -> dict[str, list[Metric]]:
    return {key: client.get_metric_history(run_id, key) for key in client.get_run(run_id).data.metrics}


def test_mlflow_has_the_same_values_at_the_same_times(client: mlflow.MlflowClient) -> None:
    frame = at.pull("fixed", "load avg", start=START, end=END, step="1s")
    stored = history(client, frame.attrs["run_id"])
    expected = {
        (time.value // 1_000_000, value) for time, value in zip(frame["time"], frame["value"], strict=True)
    }  # fmt: skip
    points = [point for points in stored.values() for point in points]
    assert len(points) == len(frame) == 3 * 601
    assert {(point.timestamp, point.value) for point in points} == expected
    assert all(point.step == point.timestamp // 1000 for point in points)
    first, *twins = sorted(stored)
    assert first == "ext/fixed/load avg/host:a zone:eu"
    assert all(name.startswith("ext/fixed/load avg/host:b") for name in twins)
    assert len(twins) == 2  # though MLflow takes no question mark
    assert set(frame["trace_id"]) == {"c" * 32}


def test_pulling_again_adds_nothing(client: mlflow.MlflowClient) -> None:
    first = at.pull("fixed", "load", start=START, end=END, step="10s")
    before = history(client, first.attrs["run_id"])
    again = at.pull("fixed", "load", start=START, end=END, step="10s")
    overlapping = at.pull("fixed", "load", start=START + timedelta(minutes=5), end=END, step="10s")
    assert again.attrs["run_id"] == overlapping.attrs["run_id"] == first.attrs["run_id"]
    after = history(client, first.attrs["run_id"])
    assert {key: len(points) for key, points in after.items()} == dict.fromkeys(before, 61)
    assert len(client.search_runs(["0"])) == 1


def test_labels_and_query_are_kept_beside_the_values(client: mlflow.MlflowClient, tmp_path: Path) -> None:
    frame = at.pull("fixed", "load", start=START, end=END, step="1m")
    run = client.get_run(frame.attrs["run_id"])
    assert run.info.run_name == "pull fixed load"
    assert run.info.status == "FINISHED"
    (artifact,) = client.list_artifacts(run.info.run_id, "pulled")
    said = json.loads((tmp_path / client.download_artifacts(run.info.run_id, artifact.path)).read_text())
    assert (said["source"], said["query"], said["start_ms"], said["step_ms"]) == ("fixed", "load", START_MS, 60_000)
    assert [one["labels"] for one in said["series"]] == list(LABELS)
    assert {one["key"] for one in said["series"]} == set(run.data.metrics)


def test_a_run_can_be_named(client: mlflow.MlflowClient) -> None:
    run = client.create_run("0")
    for named in (run.info.run_id, run.info):
        assert at.pull("fixed", "load", start=START, end=END, run=named).attrs["run_id"] == run.info.run_id
    assert client.get_run(run.info.run_id).info.status == "RUNNING"  # it is not ours to end
    for wrong in (7, "", object()):
        with pytest.raises(OptionError, match="must be the id of an MLflow run, or have a run_id"):
            at.pull("fixed", "load", start=START, end=END, run=wrong)


def test_a_store_that_does_not_take_it_costs_no_frame(client: mlflow.MlflowClient, monkeypatch) -> None:
    with pytest.warns(UserWarning, match="the values were not stored: .*not found") as warned:
        frame = at.pull("fixed", "load", start=START, end=END, run="f" * 32)
    assert "journal" not in str(warned[0].message)
    assert len(frame)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.warns(UserWarning, match="not stored: MLflow at http://127.0.0.1:9 does not answer"):
        frame = at.pull("fixed", "load", start=START, end=END)
    assert len(frame)
    assert frame.attrs["run_id"] is None


def test_nothing_is_stored_where_that_is_not_wanted(client: mlflow.MlflowClient) -> None:
    frame = at.pull("fixed", "load", start=START, end=END, store=False)
    assert frame.attrs["run_id"] is None
    assert not client.search_runs(["0"])


def test_times_are_understood_and_a_step_is_chosen() -> None:
    at.pull("fixed", "load", start="2026-01-31T09:00", end="2026-01-31T10:10:00+01:00", store=False)
    query, _ = FixedSource.asked[-1]
    assert (query.start_ms, query.end_ms, query.step_ms) == (START_MS, START_MS + 600_000, 5000)
    at.pull("fixed", "load", start=timedelta(hours=1), store=False)
    query, _ = FixedSource.asked[-1]
    now_ms = datetime.now(UTC).timestamp() * 1000
    assert query.end_ms - query.start_ms == 3_600_000
    assert abs(query.end_ms - now_ms) < 60_000


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"source": "promethous"},
            "there is no kind of source 'promethous'; there are prometheus, .*Did you mean prometheus?",
        ),
        ({"source": "broken"}, "'broken' of the package .* cannot be loaded: AttributeError"),
        (
            {"source": "none"},
            "the source 'none' of the package .* cannot be used: it has no read, options, required, secrets",
        ),
        ({"query": " "}, "query=' ' is not allowed"),
        ({"query": None}, "query=None is not allowed"),
        ({"start": "yesterday"}, "start='yesterday' is not allowed; it must be a time such as '2026-01-31T09:00'"),
        ({"start": 5}, "start=5 is not allowed"),
        ({"end": "?"}, r"end='\?' is not allowed"),
        ({"end": START}, "start must be before end"),
        ({"step": "soon"}, "step='soon' is not allowed; it must be seconds"),
        ({"step": 0}, "step=0 is not allowed"),
        ({"step": -1}, "step=-1 is not allowed"),
        ({"step": True}, "step=True is not allowed"),
        ({"step": "1ms"}, "step='1ms' makes 600,001 points for each series, and 500,000 is the most"),
        ({"factr": 2}, "there is no option 'factr' for this source; there are factor, key. Did you mean factor"),
        ({"key": "invented"}, "key: a secret is given by reference"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], words: str) -> None:
    known: dict[str, Any] = {"source": "fixed", "query": "load", "start": START, "end": END, "store": False}
    with pytest.raises(ValueError, match=words):
        at.pull(**{**known, **given})


def test_a_plugin_that_raises_is_named_and_its_error_kept() -> None:
    with pytest.raises(SourceError, match="the source 'fixed' failed: ZeroDivisionError: my own") as raised:
        at.pull("fixed", "raise", start=START, end=END)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_a_plugin_gets_its_options_with_secrets_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "invented")
    at.pull("fixed", "load", start=START, end=END, factor=2, key="env:SOME_KEY", store=False)
    _, options = FixedSource.asked[-1]
    assert options["factor"] == 2
    assert options["key"].reveal() == "invented"
    assert "invented" not in repr(options)


def test_the_source_in_the_docs_works(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "sources.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module: dict[str, Any] = {}
    exec(block, module)  # noqa: S102 - our own words
    monkeypatch.setattr(sys.modules[__name__], "Turbine", module["Turbine"], raising=False)
    found = [EntryPoint("turbine", "its_package:Turbine", registry.KINDS.group)]
    monkeypatch.setattr("agenttrace_nb.plugins.entry_points", lambda **which: EntryPoints(found).select(**which))
    frame = at.pull("turbine", "rpm", start=START, end=END, step="1m", place="north", store=False)
    assert frame["value"].tolist() == [50.0 + (START_MS // 60_000 + n) % 7 for n in range(11)]
    assert set(frame["place"]) == {"north"}


def test_a_label_with_the_name_of_a_column_keeps_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"time": "noon", "value": "high", "joined": "x"}
    found = [Series("up", labels, [Sample(START_MS, 1.0)])]
    monkeypatch.setattr(FixedSource, "read", lambda *_: found)
    frame = at.pull("fixed", "up", start=START, end=END, store=False)
    assert frame[["label time", "label value", "label joined"]].iloc[0].tolist() == ["noon", "high", "x"]
    assert frame["value"].tolist() == [1.0]
