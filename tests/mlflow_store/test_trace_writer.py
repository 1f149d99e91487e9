"""From a journal into MLflow: what is written, once, in what order, and what happens when MLflow does not take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from mlflow_store.written import PRICED, problems, runs, write

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanError, SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path

    import mlflow

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores


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
