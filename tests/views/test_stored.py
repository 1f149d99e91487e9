"""Where a view says that a run is: never with a password, never anything but an address or a command."""

from __future__ import annotations

import pytest
from views.sample_runs import planner_executor
from views.test_wire import decode

from agenttrace_nb.spans import CellRun, Trace
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.stored import where


def run(uri: str | None, run_id: str | None = None) -> CellRun:
    return CellRun(key="k", name="n", start_ns=0, tracking_uri=uri, run_id=run_id)


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/"),
        ("https://mlflow.example/team/", "https://mlflow.example/team/"),
        ("https://me:secret@mlflow.example:8443/team?token=1#x", "https://mlflow.example:8443/team/"),
        ("http://[::1]:5000", "http://[::1]:5000/"),
    ],
)
def test_a_server_has_an_address_without_anything_secret(uri: str, url: str) -> None:
    assert where(run(uri, "r1")) == {"run_id": "r1", "url": url}


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "http://", "http://host:port", "databricks", "file:///x", None])
def test_anything_else_has_none(uri: str | None) -> None:
    assert where(run(uri)) is None


def test_a_database_has_the_command_that_starts_a_server_on_it() -> None:
    assert where(run("sqlite:///my runs.db", "r1")) == {
        "run_id": "r1",
        "command": "mlflow ui --backend-store-uri 'sqlite:///my runs.db'",
    }


def test_a_trace_on_its_own_has_the_run_it_belongs_to() -> None:
    assert where(Trace(trace_id="a" * 32, name="t", start_ns=0, run_id="r1")) == {"run_id": "r1"}
    assert where(Trace(trace_id="a" * 32, name="t", start_ns=0)) is None


def test_a_trace_that_was_read_back_knows_its_server_and_experiment() -> None:
    place = {"run_id": "r1", "experiment_id": "7", "tracking_uri": "http://127.0.0.1:5000"}
    found = where(Trace(trace_id="a" * 32, name="t", start_ns=0, **place))
    assert found == {"run_id": "r1", "experiment_id": "7", "url": "http://127.0.0.1:5000/"}


def test_the_head_says_it_once_it_is_known_and_a_page_names_no_database() -> None:
    cell, traces = planner_executor()
    cell.tracking_uri = "sqlite:///mlflow.db"
    feed = Feed(Finished(cell, traces))
    feed.pull(work_s=None)
    assert "run_id" not in decode(feed.patch() or b"")[0]["run"]["mlflow"]
    feed.ids = lambda: ("r1", "7")
    said = decode(feed.patch() or b"")[0]["run"]["mlflow"]
    assert (said["run_id"], said["experiment_id"]) == ("r1", "7")
    page = Feed(Finished(cell, traces), keep_all=True)
    assert "mlflow" not in decode(page.snapshot())[0]["run"]
