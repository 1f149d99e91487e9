"""The writing process as the kernel sees it: nothing waits for it, nothing is in its way; it outlives the kernel."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import UserDict
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow_store.journals import end_run, record_run, record_trace, say, start_run
from mlflow_store.samples import booking
from mlflow_store.test_message_runs import written

from agenttrace_nb.journal import companion
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.mlflow_store.delivery import Delivery
from agenttrace_nb.mlflow_store.feedback import read_reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(240)
PATIENCE_S = 120


@pytest.fixture
def delivery(journal: Journal) -> Iterator[Delivery]:
    made = Delivery(journal.path)
    yield made
    made.close()
    process = made.companion.process
    if process is not None:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        assert eventually(lambda: process.stdout.closed, 5)


def eventually(true: Callable[[], object], patience_s: float = PATIENCE_S) -> object:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if answer := true():
            return answer
        time.sleep(0.1)
    return true()


def log_of(journal: Journal) -> str:
    path = journal.path.with_suffix(".mlflow.log")
    return path.read_text("utf-8") if path.exists() else ""


def test_a_run_arrives_with_traces_and_messages_and_the_caller_waits_for_nothing(
    journal: Journal, delivery: Delivery, uri: str, cwd: Path
) -> None:
    costs: list[dict] = []
    delivery.on_costs(costs.append)
    began = time.perf_counter()
    delivery.start()
    start_run(journal, "k1", uri, cwd)
    delivery.nudge()
    assert time.perf_counter() - began < 3
    run_id = delivery.run_id("k1", PATIENCE_S)
    assert run_id is not None, log_of(journal)
    trace = booking()
    record_trace(journal, "k1", trace)
    end_run(journal, "k1")
    answer = delivery.wait("k1", PATIENCE_S)
    assert (bool(answer), answer.run_id, answer.problem) == (True, run_id, None), log_of(journal)

    client = mlflow.MlflowClient(uri)
    cells, messages = written(client)
    assert cells["k1"].info.run_id == run_id
    assert cells["k1"].info.status == "FINISHED"
    assert len(messages) == 2
    (found,) = client.search_traces(run_id=run_id, locations=[cells["k1"].info.experiment_id])
    assert found.info.trace_id == f"tr-{trace.trace_id}"
    assert [sorted(c[trace.trace_id].values()) for c in costs] == [pytest.approx([2.04e-5, 2.055e-5])]
    assert not list(cwd.rglob("traces.json"))

    say(journal, "k1", success=True)
    assert delivery.wait("k1", PATIENCE_S)
    assert client.get_run(run_id).data.tags["agenttrace.success"] == "true"


def test_waiting_for_a_run_is_waiting_for_what_was_said_of_it(
    journal: Journal, delivery: Delivery, uri: str, cwd: Path
) -> None:
    trace = booking()
    # Said before the trace is there, and of a trace that never will be: that one holds nothing up.
    for key, trace_id in (("k1", trace.trace_id), ("k2", "f" * 32)):
        body = {
            "key": key, "trace_id": trace_id, "span_id": None, "name": "error", "value": "wrong amount",
            "comment": None, "user": "me", "time_ns": time.time_ns(), "cwd": str(cwd), "tracking_uri": uri,
        }  # fmt: skip
        journal.append(EventKind.FEEDBACK, body=body, urgent=True)
    record_run(journal, "k1", uri, cwd, trace)
    delivery.start()
    assert delivery.wait("k1", PATIENCE_S), log_of(journal)
    assert [said.category for said in read_reports(uri, [trace.trace_id])] == ["wrong amount"]
    again = {**body, "key": "k3", "trace_id": trace.trace_id, "name": "rating", "value": True}
    journal.append(EventKind.FEEDBACK, body=again, urgent=True)
    assert delivery.wait("k1", PATIENCE_S), log_of(journal)
    assert [said.ok for said in read_reports(uri, [trace.trace_id])] == [None, True]


def test_old_journals_that_are_delivered_are_cleared_away(
    journal: Journal, delivery: Delivery, uri: str, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Journal(journal.path.parent / "20250101T000000-1-left.journal")
    record_run(left, "old", uri, cwd, booking(1))
    left.close()
    monkeypatch.setenv("AGENTTRACE_JOURNAL_KEEP_DAYS", "0")
    delivery.start()
    assert eventually(lambda: not list(left.path.parent.glob("*left*"))), log_of(journal)
    assert list(written(mlflow.MlflowClient(uri))[0]) == ["old"], "nothing goes before it is in MLflow"
    assert journal.path.exists()


def test_an_unknown_run_id_costs_no_more_than_its_timeout(delivery: Delivery) -> None:
    began = time.perf_counter()
    assert delivery.run_id("k1", 0.2) is None
    assert not delivery.wait("k1", 0.2)
    assert time.perf_counter() - began < 10


def test_a_server_that_is_down_is_told_to_the_user_and_waiting_ends_in_time(
    journal: Journal, delivery: Delivery, cwd: Path
) -> None:
    told: list[str] = []
    delivery.on_problem(told.append)
    record_run(journal, "k1", "http://127.0.0.1:9", cwd)
    delivery.start()
    assert eventually(lambda: told), log_of(journal)
    answer = delivery.wait("k1", 1)
    assert not answer
    assert "http://127.0.0.1:9" in str(answer.problem)
    assert len(told) == 1
    assert "kept in the journal" in told[0]


def test_a_run_that_cannot_be_delivered_says_so_at_once(journal: Journal, delivery: Delivery, cwd: Path) -> None:
    record_run(journal, "k1", "databricks", cwd)
    delivery.start()
    answer = delivery.wait("k1", PATIENCE_S)
    assert not answer
    assert "Databricks" in str(answer.problem)
    assert delivery.run_id("k1", 60) is None


def test_variables_that_are_set_later_reach_the_process(
    journal: Journal, delivery: Delivery, cwd: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery.start()
    assert eventually(lambda: delivery.companion.process)
    sent: list[dict] = []
    monkeypatch.setattr(companion.json, "dumps", lambda m: sent.append(m) or json.JSONEncoder().encode(m))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    delivery.nudge()
    assert eventually(lambda: any(m.get("env", {}).get("MLFLOW_TRACKING_USERNAME") == "me" for m in sent), 20)


def test_a_process_that_ends_early_is_started_again_and_goes_on(
    journal: Journal, delivery: Delivery, uri: str, cwd: Path
) -> None:
    record_run(journal, "k1", uri, cwd, booking(1))
    delivery.start()
    assert delivery.wait("k1", PATIENCE_S), log_of(journal)
    first = delivery.companion.process
    assert first is not None
    first.kill()
    record_run(journal, "k2", uri, cwd, booking(2))
    assert eventually(lambda: delivery.companion.process is not first)
    assert delivery.wait("k2", PATIENCE_S), log_of(journal)
    cells, messages = written(mlflow.MlflowClient(uri))
    assert sorted(cells) == ["k1", "k2"]
    assert len(messages) == 4


def test_an_interrupt_of_the_kernel_does_not_reach_the_process(journal: Journal, delivery: Delivery) -> None:
    delivery.start()
    process = eventually(lambda: delivery.companion.process)
    assert os.getpgid(process.pid) != os.getpgid(0)


KERNEL = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.mlflow_store.delivery import Delivery
from mlflow_store.journals import *
from mlflow_store.samples import booking

journal = Journal(Path({journal!r}))
delivery = Delivery(journal.path)
delivery.start()
record_run(journal, "k1", {uri!r}, Path({cwd!r}), booking(1))
start_run(journal, "k2", {uri!r}, Path({cwd!r}))
trace = booking(2)
start_trace(journal, "k2", trace)
for span in trace.spans[:4]:
    start_span(journal, "k2", span)
journal.flush()
delivery.companion.launched.wait(60)  # one that is killed before has left its journal to the next start
print(delivery.companion.process.pid, flush=True)
{then}
"""


@pytest.mark.parametrize("then", ["time.sleep(600)", "pass"])
def test_a_kernel_that_dies_leaves_nothing_behind_undelivered(tmp_path: Path, uri: str, cwd: Path, then: str) -> None:
    path = tmp_path / "journals" / "20260101T000000-1-dead.journal"
    path.parent.mkdir()
    code = KERNEL.format(
        tests=str(Path(__file__).parents[1]), journal=str(path), uri=uri, cwd=str(cwd), then=textwrap.dedent(then)
    )
    kernel = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    kernel.stdout.readline()
    if then != "pass":
        kernel.send_signal(signal.SIGKILL)
    kernel.wait(60)
    kernel.stdout.close()
    client = mlflow.MlflowClient(uri)

    def ended() -> object:
        cells = written(client)[0]
        return len(cells) == 2 and all(run.info.status != "RUNNING" for run in cells.values())

    assert eventually(ended), path.with_suffix(".mlflow.log").read_text("utf-8")
    cells, _ = written(client)
    assert cells["k2"].info.status == "KILLED"
    assert cells["k2"].data.tags["agenttrace.status"] == "interrupted"
    (trace,) = client.search_traces(run_id=cells["k2"].info.run_id, locations=[cells["k2"].info.experiment_id])
    assert trace.info.state == "ERROR"
    assert {s.status.status_code.name for s in trace.data.spans} == {"ERROR"}
    assert eventually(lambda: len(written(client)[1]) == 3)


def test_the_next_start_delivers_what_an_earlier_process_left(
    journal: Journal, delivery: Delivery, uri: str, cwd: Path
) -> None:
    left = Journal(journal.path.parent / "20250101T000000-1-left.journal")
    record_run(left, "old", uri, cwd, booking(1))
    start_run(left, "open", uri, cwd)
    left.close()
    delivery.start()
    assert eventually(lambda: len(written(mlflow.MlflowClient(uri))[0]) == 2), log_of(journal)
    assert eventually(lambda: written(mlflow.MlflowClient(uri))[0]["open"].info.status == "KILLED")
    assert eventually(lambda: len(written(mlflow.MlflowClient(uri))[1]) == 2)
    shutil.rmtree(left.path.parent / "none", ignore_errors=True)


class Fleeting(UserDict[str, str]):
    """Variables one of which is gone when it is asked for: the user's code deletes it at that moment."""

    def __iter__(self) -> Iterator[str]:
        return iter([*self.data, "AGENTTRACE_GONE", "MLFLOW_GONE"])


def test_a_variable_that_is_deleted_meanwhile_does_no_harm(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", Fleeting({"PATH": "here", "MLFLOW_X": "1"}))
    assert companion.variables()["PATH"] == "here"
    assert Delivery(journal.path).companion.changed_variables() == {"MLFLOW_X": "1"}
