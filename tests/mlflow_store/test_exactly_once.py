"""The writer killed, refused, put off: what it wrote is there once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mlflow_store.journals import (
    end_run,
    end_trace,
    record_run,
    record_trace,
    say,
    start_run,
    start_trace,
)  # fmt: skip
from mlflow_store.samples import START_NS, as_plain, booking
from mlflow_store.written import PRICED, problems, runs, write

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.follow import FollowerBusyError
from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import stores as stores_module
from agenttrace_nb.mlflow_store.store import Store, StoreRefusedError
from agenttrace_nb.mlflow_store.stores import Stores
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter
from agenttrace_nb.spans import Span, SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path

    import mlflow
    from mlflow_store.conftest import Gate, Server


# ------------------------------------------------------------------------------------------------ exactly once


class Killed(BaseException):
    """The process is killed here."""


CALLS = ("experiment_id", "create_run", "log", "log_text", "log_file", "finish_run", "log_traces", "link")


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> list[int]:
    """Kill the process at the call of this number, before it or after it was carried out."""
    count = [0]

    def wrapped(original):
        def call(self, *args, **kwargs):
            count[0] += 1
            if count[0] == number and not after:
                raise Killed
            answer = original(self, *args, **kwargs)
            if count[0] == number:
                raise Killed
            return answer

        return call

    for name in CALLS:
        monkeypatch.setattr(Store, name, wrapped(getattr(Store, name)))
    return count


def content(client: mlflow.MlflowClient) -> dict[str, Any]:
    """Everything that is in MLflow, but for the ids that it gives out itself."""
    found: dict[str, Any] = {"runs": [], "traces": {}}
    for run in runs(client):
        tags = {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"}
        history = {
            key: sorted((p.step, p.timestamp, p.value) for p in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
        }
        found["runs"].append((run.info.status, tags, run.data.params, history))
        for trace in client.search_traces(run_id=run.info.run_id, locations=[run.info.experiment_id]):
            spans = sorted(
                (s.span_id, s.name, s.start_time_ns, s.end_time_ns, s.status.status_code) for s in trace.data.spans
            )
            linked = found["traces"].setdefault(trace.info.trace_id, {"runs": [], "spans": spans})
            linked["runs"].append(run.data.tags["agenttrace.key"])
    found["runs"].sort(key=lambda r: r[1]["agenttrace.key"])
    return found


def record_a_lot(journal: Journal, uri: str, cwd: Path) -> None:
    record_run(journal, "k1", uri, cwd, booking(1), booking(2))
    start_run(journal, "k2", uri, cwd, parent_key="k1")
    say(journal, "k2", metric={"key": "quality", "value": 0.5})
    record_trace(journal, "k2", booking(3))
    end_run(journal, "k2")
    say(journal, "k2", success=True)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_point_and_started_again_it_writes_the_same(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, told: list[dict], after: bool
) -> None:
    import shutil

    import mlflow

    def deliver(name: str, number: int) -> tuple[dict[str, Any], int]:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(empty_database, folder / "mlflow.db")
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        journal = Journal(folder / "one.journal")
        record_a_lot(journal, uri, folder)
        with monkeypatch.context() as patch:
            calls = kill_at(patch, number, after=after)
            writer = TraceWriter(journal.path, Stores(told.append), told.append)
            try:
                for _ in range(4):
                    writer.step(hurry=True)
            except Killed:
                pass
            writer.close()
        again = TraceWriter(journal.path, Stores(told.append), told.append)
        for _ in range(4):
            again.step(hurry=True)
        again.close()
        journal.close()
        return content(mlflow.MlflowClient(uri)), calls[0]

    whole, calls = deliver("whole", 0)
    assert len(whole["runs"]) == 2
    assert len(whole["traces"]) == 3
    assert calls > 10
    for number in range(1, calls + 1):
        assert deliver(f"killed-{number}", number)[0] == whole, f"killed at call {number}"


def test_only_one_process_writes_a_journal(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict]
) -> None:
    record_run(journal, "k1", uri, cwd)
    writer = TraceWriter(journal.path, stores, told.append)
    with pytest.raises(FollowerBusyError, match="another process"):
        TraceWriter(journal.path, stores, told.append)
    writer.close()


def test_the_cursor_passes_what_is_delivered_and_nothing_else(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict]
) -> None:
    record_run(journal, "k1", uri, cwd)
    writer = write(journal, stores, told)
    after_first = journal._seq
    assert writer._follower.cursor == after_first
    start_run(journal, "k2", uri, cwd)
    start_trace(journal, "k2", booking(2))
    journal.flush()
    writer = write(journal, stores, told)
    assert writer._follower.cursor == after_first
    end_trace(journal, "k2", booking(2))
    end_run(journal, "k2")
    writer = write(journal, stores, told)
    assert writer._follower.cursor == journal._seq


# -------------------------------------------------------------------------------------- when MLflow does not take it


@pytest.mark.timeout(240)
def test_a_server_that_is_down_is_named_once_and_gets_everything_when_it_is_up(
    journal: Journal, gate: Gate, cwd: Path, told: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setattr(stores_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    stores = Stores(lambda text: told.append({"problem": text}))
    traces = record_run(journal, "k1", gate.uri, cwd, booking(101), booking(102), experiment="behind a gate")
    record_run(journal, "k2", gate.uri, cwd, booking(103), experiment="behind a gate")
    writer = TraceWriter(journal.path, stores, told.append)
    for _ in range(5):
        writer.step(hurry=True)
    assert len(problems(told)) == 1
    assert gate.uri in problems(told)[0]
    assert "kept in the journal" in problems(told)[0]
    assert writer._follower.cursor == 0

    gate.open()
    for _ in range(200):
        writer.step(hurry=True)
        if writer.is_done():
            break
    writer.close()
    client = mlflow.MlflowClient(gate.uri)
    number = client.get_experiment_by_name("behind a gate").experiment_id
    written = client.search_runs([number], order_by=["attributes.created"])
    assert sorted(run.data.tags["agenttrace.key"] for run in written) == ["k1", "k2"]
    found = [stores.get(gate.uri, None).find_trace(trace.trace_id) for trace in traces]
    assert [as_plain(t, but=PRICED) for t in found if t] == [as_plain(t, but=PRICED) for t in traces]
    assert "takes data again" in problems(told)[-1]
    assert len(problems(told)) == 2


def test_a_deleted_experiment_parks_its_runs_and_no_others_until_it_is_restored(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    number = client.create_experiment("gone")
    client.delete_experiment(number)
    record_run(journal, "k1", uri, cwd, experiment="gone")
    record_run(journal, "k2", uri, cwd)
    write(journal, stores, told)
    assert [run.data.tags["agenttrace.key"] for run in runs(client)] == ["k2"]
    (told_once,) = problems(told)
    assert f"mlflow experiments restore --experiment-id {number}" in told_once
    assert "agenttrace-nb recover" in told_once
    write(journal, stores, told)
    assert len(problems(told)) == 1, "what is parked is not tried again unasked"

    client.restore_experiment(number)
    write(journal, Stores(told.append), told, retry_parked=True)
    assert sorted(run.data.tags["agenttrace.key"] for run in runs(client)) == ["k1", "k2"]
    assert len(content(client)["traces"]) == 2


@pytest.mark.parametrize(
    ("bad", "step"),
    [
        ("file:///tmp/mlruns", "sqlite:///mlflow.db"),
        ("databricks", "MLFLOW_TRACKING_URI"),
        ("s3://x", "may begin with"),
    ],
)
def test_a_store_that_cannot_hold_traces_is_refused_with_the_next_step(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient,
    bad: str, step: str,
) -> None:  # fmt: skip
    record_run(journal, "k1", bad, cwd)
    record_run(journal, "k2", uri, cwd)
    write(journal, stores, told)
    (text,) = problems(told)
    assert bad in text
    assert step in text
    assert len(runs(client)) == 1


def test_a_server_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "server_version", lambda uri: (3, 3))
    with pytest.raises(StoreRefusedError, match=r"version 3\.3.*3\.4 or newer"):
        Store("http://127.0.0.1:9")


def test_a_trace_that_mlflow_refuses_does_not_take_others_with_it(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    good, bad, other = record_run(journal, "k1", uri, cwd, booking(1), booking(2), booking(3))
    original = adapter.log_spans

    def picky(uri: str, experiment_id: str, records) -> None:
        if any(record.trace_id == bad.trace_id for record in records):
            raise ValueError("a number too large")
        original(uri, experiment_id, records)

    with monkeypatch.context() as patch:
        patch.setattr(adapter, "log_spans", picky)
        write(journal, stores, told)
    assert set(content(client)["traces"]) == {f"tr-{t.trace_id}" for t in (good, other)}
    assert runs(client)[0].info.status == "FINISHED"
    assert [bad.trace_id in text for text in problems(told)] == [True]
    write(journal, stores, told, retry_parked=True)
    assert len(content(client)["traces"]) == 3


def test_an_event_that_makes_no_sense_is_left_out_and_reported(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    start_run(journal, "k1", uri, cwd)
    trace = booking()
    journal.append(
        EventKind.SPAN_START, run_key="k1", trace_id=trace.trace_id, span_id="1" * 16, body={"kind": "nonsense"}
    )
    record_trace(journal, "k1", trace)
    end_run(journal, "k1")
    write(journal, stores, told)
    assert len(content(client)["traces"]) == 1
    assert len(problems(told)) == 1


@pytest.mark.timeout(240)
def test_a_whole_run_goes_through_a_real_server(
    journal: Journal, shared_server: Server, cwd: Path, stores: Stores, told: list[dict]
) -> None:
    import mlflow

    traces = [booking(f"through-http {n}") for n in range(30)]
    traces[0].spans.insert(
        1,
        Span(
            trace_id=traces[0].trace_id, span_id="2" * 16, kind=SpanKind.OTHER, name="x", start_ns=START_NS,
            end_ns=START_NS + 1, status=Status.OK, parent_id=traces[0].spans[0].span_id,
            content_in={"n": [1, 2.5, None, True, "1", '{"a": 1}']}, content_out='["text"]',
        ),
    )  # fmt: skip
    record_run(journal, "through-http", shared_server.uri, cwd, *traces, experiment="through-a-server")
    write(journal, stores, told)
    client = mlflow.MlflowClient(shared_server.uri)
    assert problems(told) == []
    run = next(r for r in runs(client) if r.data.tags["agenttrace.key"] == "through-http")
    assert len(client.search_traces(run_id=run.info.run_id, locations=[run.info.experiment_id])) == 30
    for trace in traces:
        back = stores.get(shared_server.uri, None).find_trace(trace.trace_id)
        assert back is not None
        assert as_plain(back, but=PRICED) == as_plain(trace, but=PRICED)
