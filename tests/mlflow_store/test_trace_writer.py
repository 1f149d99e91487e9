"""From a journal into MLflow: what is written, once, in what order, and what happens when MLflow does not take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mlflow_store.journals import (
    end_run,
    end_span,
    end_trace,
    record_run,
    record_trace,
    say,
    start_run,
    start_span,
    start_trace,
)  # fmt: skip
from mlflow_store.samples import START_NS, as_plain, booking

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.follow import FollowerBusyError
from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import stores as stores_module
from agenttrace_nb.mlflow_store.store import Store, StoreRefusedError
from agenttrace_nb.mlflow_store.stores import Stores
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter
from agenttrace_nb.spans import Span, SpanError, SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path

    import mlflow
    from mlflow_store.conftest import Gate, Server

PRICED = frozenset({"cost_usd", "run_id", "tags", "user"})


def write(journal: Journal, stores: Stores, told: list[dict], steps: int = 6, **options) -> TraceWriter:
    """Write everything that a journal holds, in this process."""
    writer = TraceWriter(journal.path, stores, told.append, **options)
    for _ in range(steps):
        writer.step(hurry=True)
    writer.close()
    return writer


def runs(client: mlflow.MlflowClient) -> list:
    found = client.search_experiments()
    return client.search_runs([e.experiment_id for e in found], order_by=["attributes.start_time"])


def test_a_run_and_its_trace_arrive_whole(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    (trace,) = record_run(journal, "k1", uri, cwd, arch="triage", case="demo-1", trial="2", roles={"Triage": "planner"})
    write(journal, stores, told)

    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    tags = run.data.tags
    assert (tags["arch"], tags["case"], tags["trial"], tags["agenttrace.key"]) == ("triage", "demo-1", "2", "k1")
    # OpenAI's prices of November 2026 for a million tokens: 0.15 $ in, 0.075 $ cached, 0.60 $ out
    cost = (201 - 16) * 0.15e-6 + 16 * 0.075e-6 + 20 * 0.6e-6
    assert run.data.metrics == {
        "latency_s": 5.0, "turns": 2, "llm_calls": 2, "tool_calls": 1, "handoffs": 0, "tool_errors": 0, "errors": 0,
        "input_tokens": 201, "output_tokens": 20, "cost_usd": pytest.approx(cost),
        "progress/latency_s": 1.5, "progress/errors": 0, "progress/tokens": 221, "progress/completed_calls": 3,
        "progress/failed_calls": 0,
    }  # fmt: skip
    assert "success" not in run.data.metrics

    (found,) = client.search_traces(run_id=run.info.run_id, locations=[run.info.experiment_id])
    assert found.info.trace_id == f"tr-{trace.trace_id}"
    assert found.info.token_usage["input_tokens"] == 201
    assert found.info.tags["arch"] == "triage"
    assert found.info.request_preview == "Weather in Oslo?"
    back = stores.get(uri, None).find_trace(trace.trace_id)
    assert back is not None
    assert as_plain(back, but=PRICED) == as_plain(trace, but=PRICED)
    assert back.run_id == run.info.run_id
    assert not list(cwd.rglob("traces.json"))


def problems(told: list[dict]) -> list[str]:
    return [message["problem"] for message in told if "problem" in message]


# ------------------------------------------------------------------------------------------------ the run's record


def test_a_failed_tool_is_visible_at_the_top_of_the_run(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    trace = booking()
    tool = next(s for s in trace.spans if s.kind is SpanKind.TOOL)
    tool.status, tool.error = Status.ERROR, SpanError(type="TimeoutError", message="after 2 s *now* <b>")
    record_run(journal, "k1", uri, cwd, trace)
    write(journal, stores, told)
    (run,) = runs(client)
    assert run.data.tags["agenttrace.failed_tools"] == "1: get_weather"
    assert run.data.tags["mlflow.note.content"] == (
        "**1 tool call failed**\n\n- get\\_weather \\(Triage\\): TimeoutError: after 2 s \\*now\\* \\<b\\>"
    )
    assert (run.data.metrics["tool_errors"], run.data.metrics["errors"]) == (1, 1)
    assert run.data.metrics["progress/failed_calls"] == 1
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("status", "shown"), [("error", "FAILED"), ("cancelled", "KILLED"), ("interrupted", "KILLED"), ("ok", "FINISHED")]
)
def test_a_run_ends_in_mlflow_as_it_ended(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient,
    status: str, shown: str,
) -> None:  # fmt: skip
    start_run(journal, "k1", uri, cwd)
    end_run(journal, "k1", status=status, success=False, error={"type": "ValueError", "message": "no"})
    write(journal, stores, told)
    (run,) = runs(client)
    assert (run.info.status, run.data.tags["agenttrace.status"]) == (shown, status)
    assert run.data.tags["agenttrace.error"] == "ValueError: no"
    assert (run.data.metrics["success"], run.data.tags["agenttrace.success"]) == (0.0, "false")
    assert run.data.metrics["errors"] == (1 if status == "error" else 0)
    assert run.info.end_time == (START_NS + 5_000_000_000) // 1_000_000


def test_what_the_user_says_of_a_run_arrives_also_after_its_end(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    report = tmp_path / "report.txt"
    report.write_text("fine", "utf-8")
    start_run(journal, "k1", uri, cwd)
    say(journal, "k1", metric={"key": "quality", "value": 0.5, "step": 3})
    say(journal, "k1", param={"key": "temperature", "value": "0"})
    say(journal, "k1", artifact={"path": str(report), "name": "report.txt"})
    end_run(journal, "k1")
    write(journal, stores, told)
    say(journal, "k1", tag={"key": "reviewed", "value": "yes"})
    say(journal, "k1", success=True)
    write(journal, stores, told)
    (run,) = runs(client)
    (point,) = client.get_metric_history(run.info.run_id, "quality")
    assert (point.value, point.step, point.timestamp) == (0.5, 3, START_NS // 1_000_000 + 1000)
    assert run.data.params == {"temperature": "0"}
    assert (run.data.tags["reviewed"], run.data.tags["agenttrace.success"]) == ("yes", "true")
    assert run.data.metrics["success"] == 1.0
    assert [a.path for a in client.list_artifacts(run.info.run_id)] == ["report.txt"]
    assert run.info.artifact_uri.startswith(str(cwd))


def test_an_artifact_that_is_gone_is_reported_and_holds_nothing_up(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    start_run(journal, "k1", uri, cwd)
    say(journal, "k1", artifact={"path": "/nowhere/report.txt", "name": "report.txt"})
    end_run(journal, "k1")
    write(journal, stores, told)
    assert runs(client)[0].info.status == "FINISHED"
    assert ["/nowhere/report.txt" in text for text in problems(told)] == [True]


def test_charts_move_while_the_cell_runs_at_the_times_when_it_happened(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    start_run(journal, "k1", uri, cwd)
    record_trace(journal, "k1", booking(calls=3))
    write(journal, stores, told)
    (run,) = runs(client)
    assert run.info.status == "RUNNING"
    history = client.get_metric_history(run.info.run_id, "progress/completed_calls")
    assert [(p.step, p.value) for p in history] == [(n, n) for n in range(1, 6)]
    assert [p.timestamp - START_NS // 1_000_000 for p in history] == [500, 1000, 1500, 2000, 2500]


def test_a_long_run_draws_fewer_points_and_its_last_value_is_right(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    record_run(journal, "k1", uri, cwd, booking(calls=151))
    write(journal, stores, told)
    (run,) = runs(client)
    history = client.get_metric_history(run.info.run_id, "progress/completed_calls")
    assert len(history) < 120
    assert max(history, key=lambda p: p.timestamp).value == run.data.metrics["progress/completed_calls"] == 301


def test_a_run_inside_a_run_is_nested(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    start_run(journal, "outer", uri, cwd)
    start_run(journal, "inner", uri, cwd, parent_key="outer")
    end_run(journal, "inner")
    end_run(journal, "outer")
    write(journal, stores, told)
    by_key = {run.data.tags["agenttrace.key"]: run for run in runs(client)}
    assert by_key["inner"].data.tags["mlflow.parentRunId"] == by_key["outer"].info.run_id


@pytest.mark.parametrize(("wanted", "name"), [(None, "Default"), ("flights", "flights"), ("id:0", "Default")])
def test_a_run_goes_to_the_experiment_that_was_named(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient,
    wanted: str | None, name: str,
) -> None:  # fmt: skip
    start_run(journal, "k1", uri, cwd, experiment=wanted)
    write(journal, stores, told)
    (run,) = runs(client)
    assert client.get_experiment(run.info.experiment_id).name == name


# -------------------------------------------------------------------------------------------------- going on later


def test_a_resumed_trace_is_one_trace_linked_to_both_runs_and_ends_as_its_last_part_did(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    trace = booking(calls=2)
    root, agent, turn, llm, tool, *second = trace.spans
    first = [root, agent, turn, llm, tool]
    trace.spans = first
    record_run(journal, "k1", uri, cwd, trace)
    write(journal, stores, told)

    start_run(journal, "k2", uri, cwd)
    journal.append(
        EventKind.TRACE_START, run_key="k2", trace_id=trace.trace_id, time_ns=second[0].start_ns, body={"resumed": True}
    )
    for span in second:
        start_span(journal, "k2", span)
        end_span(journal, "k2", span)
    end_span(journal, "k2", root, status="error", error={"type": "ValueError", "message": "in the end"})
    end_trace(journal, "k2", trace, status="error")
    end_run(journal, "k2", status="error")
    write(journal, stores, told)

    by_key = {run.data.tags["agenttrace.key"]: run for run in runs(client)}
    for run in by_key.values():
        (found,) = client.search_traces(run_id=run.info.run_id, locations=[run.info.experiment_id])
        assert found.info.trace_id == f"tr-{trace.trace_id}"
    assert (found.info.state, found.info.token_usage["input_tokens"]) == ("ERROR", 201)
    assert len(found.data.spans) == 7
    assert by_key["k1"].data.metrics["llm_calls"] == by_key["k2"].data.metrics["llm_calls"] == 1
    back = stores.get(uri, None).find_trace(trace.trace_id)
    assert back is not None
    assert (back.status, back.spans[0].status, back.spans[0].name) == (Status.ERROR, Status.ERROR, root.name)
    assert [s.span_id for s in back.spans] == [s.span_id for s in [*first, *second]]


def test_a_step_that_ends_after_its_trace_was_written_is_corrected(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], client: mlflow.MlflowClient
) -> None:
    trace = booking(calls=2)
    tool = trace.spans[4]
    start_run(journal, "k1", uri, cwd)
    start_trace(journal, "k1", trace)
    for span in trace.spans:
        start_span(journal, "k1", span)
        if span is not tool:
            end_span(journal, "k1", span)
    end_trace(journal, "k1", trace)
    write(journal, stores, told)
    before = stores.get(uri, None).find_trace(trace.trace_id)
    assert before is not None
    assert (before.spans[4].status, before.spans[4].end_ns) == (Status.RUNNING, None)
    end_span(journal, "k1", tool, status="error", error={"type": "OSError", "message": "late"})
    end_run(journal, "k1")
    write(journal, stores, told)
    after = stores.get(uri, None).find_trace(trace.trace_id)
    assert after is not None
    assert (after.spans[4].status, str(after.spans[4].error)) == (Status.ERROR, "OSError: late")
    assert (after.spans[4].name, after.spans[4].output) == (tool.name, tool.output)
    assert runs(client)[0].data.metrics["tool_errors"] == 1


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


@pytest.mark.timeout(180)
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


@pytest.mark.timeout(180)
def test_a_whole_run_goes_through_a_real_server(
    journal: Journal, shared_server: Server, cwd: Path, stores: Stores, told: list[dict]
) -> None:
    import mlflow

    traces = [booking(n) for n in range(30)]
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
