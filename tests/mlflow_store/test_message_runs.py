"""A nested run for each agent message: what it holds, and that it is there once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow_store.journals import (
    end_run,
    end_span,
    end_trace,
    record_run,
    record_trace,
    start_run,
    start_span,
    start_trace,
)
from mlflow_store.samples import START_NS, booking
from mlflow_store.test_exactly_once import Killed, kill_at

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.mlflow_store.message_runs import MessageRunWriter
from agenttrace_nb.mlflow_store.stores import Stores
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter
from agenttrace_nb.spans import Span, SpanError, SpanKind, Status

if TYPE_CHECKING:
    from mlflow.entities import Run


def deliver(journal: Journal, told: list[dict], steps: int = 4, **options: Any) -> None:
    stores = Stores(told.append)
    traces = TraceWriter(journal.path, stores, told.append, **options)
    messages = MessageRunWriter(journal.path, stores, traces, told.append)
    try:
        for _ in range(steps):
            traces.step(hurry=True)
        for _ in range(steps):
            messages.step()
    finally:
        messages.close()
        traces.close()


def written(client: mlflow.MlflowClient) -> tuple[dict[str, Run], list[Run]]:
    """The cell runs by key, and the message runs in order."""
    found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    cells = {r.data.tags["agenttrace.key"]: r for r in found if "agenttrace.trace_id" not in r.data.tags}
    messages = [r for r in found if "agenttrace.trace_id" in r.data.tags]
    messages.sort(key=lambda r: (r.data.tags["agenttrace.trace_id"], int(r.data.tags["index"])))
    return cells, messages


def file_of(client: mlflow.MlflowClient, run: Run, tmp_path: Path) -> dict[str, Any]:
    return json.loads(
        Path(client.download_artifacts(run.info.run_id, "message.json", str(tmp_path))).read_text("utf-8")
    )


def test_each_message_is_a_nested_run_with_prompt_answer_and_calls(
    journal: Journal, uri: str, cwd: Path, told: list[dict], client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    trace = booking()
    llm, tool = trace.spans[3], trace.spans[4]
    tool.status, tool.error = Status.ERROR, SpanError(type="OSError", message="no route")
    trace.spans.append(
        Span(
            trace_id=trace.trace_id, span_id="3" * 16, parent_id=tool.span_id, kind=SpanKind.OTHER, name="inside",
            start_ns=tool.start_ns + 1, end_ns=tool.start_ns + 2, status=Status.OK,
        )
    )  # fmt: skip
    record_run(journal, "k1", uri, cwd, trace)
    deliver(journal, told)

    cells, (first, second) = written(client)
    tags = first.data.tags
    assert tags["mlflow.parentRunId"] == cells["k1"].info.run_id
    assert (tags["agent"], tags["role"], tags["index"]) == ("Triage", "planner", "0")
    assert tags["timestamp"] == "2026-09-21T14:13:20+00:00"
    assert tags["agenttrace.trace_id"] == f"tr-{trace.trace_id}"
    assert tags["agenttrace.span_id"] == llm.span_id
    assert first.data.metrics == {
        "latency_s": 0.5, "ttft_s": 0.1, "input_tokens": 100, "output_tokens": 10, "cached_tokens": 8, "tool_calls": 1,
    }  # fmt: skip
    assert (first.info.status, first.info.run_name) == ("FINISHED", "000 Triage")
    assert first.info.start_time == llm.start_ns // 1_000_000
    assert first.info.end_time == llm.end_ns // 1_000_000
    told_file = file_of(client, first, tmp_path)
    assert told_file["prompt"] == llm.input
    assert told_file["answer"] == llm.output
    (call,) = told_file["calls"]
    assert (call["kind"], call["name"], call["arguments"]) == ("tool", "get_weather", '{"city":"Oslo"}')
    assert (call["result"], call["status"], call["error"]) == ('{"sky": "clear"}', "error", "OSError: no route")
    assert call["duration_s"] == 0.5
    assert [step["name"] for step in call["steps"]] == ["inside"]
    assert file_of(client, second, tmp_path)["answer_text"] == "Sunny."


def test_they_can_be_switched_off_for_one_run(
    journal: Journal, uri: str, cwd: Path, told: list[dict], client: mlflow.MlflowClient
) -> None:
    record_run(journal, "k1", uri, cwd, booking(1), message_runs=False)
    record_run(journal, "k2", uri, cwd, booking(2))
    deliver(journal, told)
    cells, messages = written(client)
    assert {m.data.tags["mlflow.parentRunId"] for m in messages} == {cells["k2"].info.run_id}
    assert len(messages) == 2


def test_they_come_after_the_trace(journal: Journal, uri: str, cwd: Path, told: list[dict]) -> None:
    stores = Stores(told.append)
    record_run(journal, "k1", uri, cwd)
    traces = TraceWriter(journal.path, stores, told.append)
    messages = MessageRunWriter(journal.path, stores, traces, told.append)
    for _ in range(3):
        messages.step()
    assert not messages.is_done()
    assert written(mlflow.MlflowClient(uri)) == ({}, [])
    traces.step(hurry=True)
    messages.step()
    assert messages.is_done()
    assert len(written(mlflow.MlflowClient(uri))[1]) == 2
    messages.close()
    traces.close()


def test_a_cancelled_message_is_killed_and_one_without_tokens_has_none(
    journal: Journal, uri: str, cwd: Path, told: list[dict], client: mlflow.MlflowClient
) -> None:
    trace = booking(calls=1)
    llm = trace.spans[3]
    llm.status, llm.input_tokens, llm.output_tokens = Status.CANCELLED, None, None
    llm.cached_tokens = llm.ttft_s = llm.content_out = None
    record_run(journal, "k1", uri, cwd, trace)
    deliver(journal, told)
    _, (message,) = written(client)
    assert message.info.status == "KILLED"
    assert message.data.metrics == {"latency_s": 0.5, "tool_calls": 0}


def test_messages_of_a_resumed_trace_go_on_counting_under_the_run_they_were_said_in(
    journal: Journal, uri: str, cwd: Path, told: list[dict], client: mlflow.MlflowClient
) -> None:
    trace = booking(calls=2)
    first, second = trace.spans[:5], trace.spans[5:]
    trace.spans = first
    record_run(journal, "k1", uri, cwd, trace)
    deliver(journal, told)
    start_run(journal, "k2", uri, cwd)
    body = {"resumed": True}
    journal.append(EventKind.TRACE_START, run_key="k2", trace_id=trace.trace_id, time_ns=second[0].start_ns, body=body)
    for span in second:
        start_span(journal, "k2", span)
        end_span(journal, "k2", span)
    end_trace(journal, "k2", trace)
    end_run(journal, "k2")
    deliver(journal, told)
    cells, messages = written(client)
    assert [m.data.tags["index"] for m in messages] == ["0", "1"]
    assert [m.data.tags["mlflow.parentRunId"] for m in messages] == [cells["k1"].info.run_id, cells["k2"].info.run_id]


def test_a_trace_that_began_without_them_and_goes_on_with_them_has_those_of_its_second_part_whole(
    journal: Journal, uri: str, cwd: Path, told: list[dict], client: mlflow.MlflowClient
) -> None:
    trace = booking(calls=2)
    first, second = trace.spans[:5], trace.spans[5:]
    start_run(journal, "k1", uri, cwd, message_runs=False)
    start_trace(journal, "k1", trace)
    for span in first:
        start_span(journal, "k1", span)
    start_run(journal, "k2", uri, cwd)
    for span in second:
        start_span(journal, "k2", span)
        end_span(journal, "k2", span)
    for span in first:
        end_span(journal, "k1", span)
    end_trace(journal, "k2", trace)
    end_run(journal, "k1")
    end_run(journal, "k2")
    deliver(journal, told)
    cells, (message,) = written(client)
    assert message.data.tags["mlflow.parentRunId"] == cells["k2"].info.run_id
    assert (message.data.tags["agent"], message.data.tags["index"]) == ("Triage", "1")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_point_and_started_again_each_is_there_once(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, told: list[dict], after: bool
) -> None:
    def run(name: str, number: int) -> tuple[list[Any], int]:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(empty_database, folder / "mlflow.db")
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        journal = Journal(folder / "one.journal")
        record_run(journal, "k1", uri, folder, booking(1), booking(2, calls=1))
        stores = Stores(told.append)
        traces = TraceWriter(journal.path, stores, told.append)
        for _ in range(3):
            traces.step(hurry=True)
        with monkeypatch.context() as patch:
            calls = kill_at(patch, number, after=after)
            messages = MessageRunWriter(journal.path, stores, traces, told.append)
            try:
                for _ in range(3):
                    messages.step()
            except Killed:
                pass
            messages.close()
        traces.close()
        deliver(journal, told)
        journal.close()
        client = mlflow.MlflowClient(uri)
        found = []
        for message in written(client)[1]:
            tags = {k: v for k, v in message.data.tags.items() if k != "mlflow.parentRunId"}
            histories = {k: len(client.get_metric_history(message.info.run_id, k)) for k in message.data.metrics}
            text = file_of(client, message, folder)
            found.append((message.info.status, tags, message.data.metrics, histories, text))
        return found, calls[0]

    whole, calls = run("whole", 0)
    assert len(whole) == 3
    assert calls == 12
    for number in range(1, calls + 1):
        assert run(f"killed-{number}", number)[0] == whole, f"killed at call {number}"


def test_what_a_tool_said_cannot_leave_the_file(
    journal: Journal, uri: str, cwd: Path, told: list[dict], client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    trace = booking()
    trace.spans[4].content_out = 'x"}],"answer":"forged"\ud800'
    for span in trace.spans:
        span.agent = span.agent and f"{span.agent} \ud83d"
    start_run(journal, "k1", uri, cwd)
    record_trace(journal, "k1", trace)
    end_run(journal, "k1", START_NS)
    deliver(journal, told)
    first = written(client)[1][0]
    assert file_of(client, first, tmp_path)["calls"][0]["result"] == 'x"}],"answer":"forged"\ud800'
