"""Every scenario with every kind of model, played by a program that ends without waiting: what MLflow then holds."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from bench import tree
from bench.models import Kind
from bench.scenarios import CASE_IDS, CASES, SCENARIOS
from end_to_end.play_scenarios import EXPERIMENT, TAGS
from end_to_end.programs import Program
from end_to_end.stored import Stored, message_of, restored, wait_until_delivered

from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.scenarios import Scenario
    from mlflow.entities import Run
    from mlflow.entities import Trace as MlflowTrace

    from agenttrace_nb.spans import Trace

pytestmark = pytest.mark.timeout(300)

# What the agents' model (gpt-4o-mini) costs, in US dollars a token
FRESH, CACHED, ANSWERED = 0.15e-6, 0.075e-6, 0.6e-6
HELPER = "helper"
"""The script of the calls that tools make with clients of their own: no agent speaks there."""

SESSIONS = {name: one.group_id for name, one in SCENARIOS.items()} | {"session_two_runs": "session-4"}
METADATA = {
    "plan_execute_evaluate_in_trace": {"customer": "c-9", "attempt": "1"},
    "named_workflow": {"customer": "c-9"},
}


@dataclass
class Played:
    """One block as the program played it, and what MLflow holds of it."""

    raised: str | None
    trace_ids: list[str]
    run: Run
    messages: list[Run]
    traces: list[Trace]
    in_mlflow: list[MlflowTrace]


@dataclass
class Everything:
    """What the program left behind."""

    program: Program
    stored: Stored
    index: list[dict[str, Any]]
    runs: dict[str, Run]
    messages: dict[str, list[Run]]
    traces: dict[str, MlflowTrace]
    stderr: str

    def of(self, one: Scenario, kind: Kind) -> Played:
        (entry,) = [e for e in self.index if (e["scenario"], e["kind"]) == (one.name, kind.value)]
        run = self.runs[entry["key"]]
        in_mlflow = [self.traces[trace_id] for trace_id in entry["trace_ids"]]
        return Played(
            entry["raised"], entry["trace_ids"], run, self.messages.get(run.info.run_id, []),
            [restored(trace) for trace in in_mlflow], in_mlflow,
        )  # fmt: skip


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("scenarios")
    shutil.copy(empty_database, folder / "mlflow.db")
    program = Program(folder)
    try:
        ended = program.start_module("end_to_end.play_scenarios", str(folder / "index.json")).end(timeout_s=240)
        index = json.loads((folder / "index.json").read_text("utf-8"))
        wait_until_delivered(program.state, 120)
        program.wait_for_writers()
        stored = Stored(program.uri)
        messages: dict[str, list[Run]] = {}
        for run in stored.runs(EXPERIMENT):
            if "index" in run.data.tags:
                messages.setdefault(run.data.tags["mlflow.parentRunId"], []).append(run)
        for below in messages.values():
            below.sort(key=lambda run: (run.data.tags["agenttrace.trace_id"], int(run.data.tags["index"])))
        yield Everything(
            program, stored, index, stored.cell_runs(EXPERIMENT), messages, stored.traces(EXPERIMENT), ended.stderr
        )
    finally:
        program.clean_up()


@pytest.fixture
def played(everything: Everything, one: Scenario, kind: Kind) -> Played:
    return everything.of(one, kind)


every_case = pytest.mark.parametrize(("one", "kind"), CASES, ids=CASE_IDS)


def golden(one: Scenario, kind: Kind) -> list[tree.Node]:
    """All nodes of the golden trees."""
    return [node for root in tree.parse(one.golden(kind)) for node in root.walk()]


def spans_of(played: Played, span_type: str) -> list[Any]:
    return [span for trace in played.in_mlflow for span in trace.data.spans if span.span_type == span_type]


def summed(played: Played, name: str) -> dict[str, float]:
    """A total that MLflow keeps for each trace, summed; empty if no trace has it."""
    total: Counter[str] = Counter()
    for trace in played.in_mlflow:
        total.update(json.loads(trace.info.trace_metadata.get(name, "{}")))
    return dict(total)


# ------------------------------------------------------------------------------------------------------- everything


def test_nothing_is_lost_and_nothing_is_there_twice(everything: Everything) -> None:
    assert len(everything.index) == len(CASES)
    assert everything.runs.keys() == {entry["key"] for entry in everything.index}
    wanted = sorted(trace_id for entry in everything.index for trace_id in entry["trace_ids"])
    assert sorted(everything.traces) == sorted(set(wanted))
    parents = {run.info.run_id for run in everything.runs.values()}
    assert everything.messages.keys() <= parents


def test_the_user_was_told_of_no_trouble(everything: Everything) -> None:
    assert "agenttrace" not in everything.stderr
    assert "trace is missing" not in everything.stderr
    for log in (everything.program.state / "journals").glob("*.log"):
        assert "Traceback" not in log.read_text("utf-8")


def test_mlflow_wrote_no_trace_into_the_folder(everything: Everything) -> None:
    assert list(everything.program.folder.rglob("traces.json")) == []


def test_no_secret_is_in_any_file(everything: Everything) -> None:
    secrets = [secret.encode() for one in SCENARIOS.values() for secret in one.secrets]
    assert secrets
    files = [file for file in everything.program.folder.rglob("*") if file.is_file()]
    assert {".db", ".journal", ".json"} <= {file.suffix for file in files}
    found = [(file.name, secret) for file in files for secret in secrets if secret in file.read_bytes()]
    assert found == []


# ------------------------------------------------------------------------------------------------------- one by one


@every_case
def test_the_trace_read_back_has_the_golden_tree(one: Scenario, kind: Kind, played: Played) -> None:
    rows = [
        (s.span_id, s.parent_id, s.kind.value, s.name.removeprefix("turn "), s.agent, s.status.value)
        for trace in played.traces
        for s in trace.spans
    ]
    assert tree.difference(one.golden(kind), tree.without(tree.build(rows), ["memory"])) == ""
    assert [trace.problem for trace in played.traces] == [None] * len(played.traces)
    assert len(played.trace_ids) == (one.traces if one.traced else 0)


@every_case
def test_mlflow_reads_it_both_ways(one: Scenario, kind: Kind, played: Played, everything: Everything) -> None:
    for trace_id, searched in zip(played.trace_ids, played.in_mlflow, strict=True):
        got = everything.stored.trace(trace_id)
        assert [span.to_dict() for span in got.data.spans] == [span.to_dict() for span in searched.data.spans]
        roots = [span for span in got.data.spans if span.parent_id is None]
        assert len(roots) == 1
        assert all(span.end_time_ns for span in got.data.spans)
        assert got.info.execution_duration is not None


@every_case
def test_each_llm_call_is_there_once_with_its_tokens(one: Scenario, kind: Kind, played: Played) -> None:
    expected = one.expected(kind)
    calls = spans_of(played, "CHAT_MODEL")
    assert len(calls) == (expected.llm_calls if one.traced else 0)
    wanted: dict[str, int] = {}
    if expected.tokens is not None and one.traced:
        wanted = {
            "input_tokens": expected.tokens.input,
            "output_tokens": expected.tokens.output,
            "total_tokens": expected.tokens.total,
            "cache_read_input_tokens": expected.tokens.cached,
        }
    assert summed(played, "mlflow.trace.tokenUsage") == wanted
    metrics = played.run.data.metrics
    assert metrics.get("input_tokens") == wanted.get("input_tokens")
    assert metrics.get("output_tokens") == wanted.get("output_tokens")
    carrying = [s for t in played.in_mlflow for s in t.data.spans if s.get_attribute("mlflow.chat.tokenUsage")]
    assert {span.span_id for span in carrying} <= {span.span_id for span in calls}


def expected_cost(one: Scenario, kind: Kind) -> float | None:
    if kind is Kind.SCRIPTED and not one.streamed:
        return None  # a scripted model has no name to find a price by; a streamed answer says one
    if not one.traced or not one.usage_known(kind):
        return None
    costs = [
        (turn.usage.input - turn.usage.cached) * FRESH + turn.usage.cached * CACHED + turn.usage.output * ANSWERED
        for turn in one.script().all_turns
        if turn.step.answered and turn.key != HELPER  # the stub's helper says that it is a model that nobody has
    ]
    return sum(costs) if costs else None


@every_case
def test_the_cost_is_counted_once(one: Scenario, kind: Kind, played: Played) -> None:
    cost = expected_cost(one, kind)
    wanted = None if cost is None else pytest.approx(cost)
    assert summed(played, "mlflow.trace.cost").get("total_cost") == wanted
    assert played.run.data.metrics.get("cost_usd") == wanted
    spans = [s for t in played.in_mlflow for s in t.data.spans if s.get_attribute("mlflow.llm.cost")]
    assert {span.span_type for span in spans} <= {"CHAT_MODEL"}
    priced = [span.get_attribute("mlflow.llm.cost")["total_cost"] for span in spans]
    assert (sum(priced) if priced else None) == wanted


@every_case
def test_what_failed_or_was_cancelled_is_not_ok(one: Scenario, kind: Kind, played: Played) -> None:
    for trace, stored in zip(played.traces, played.in_mlflow, strict=True):
        assert trace.root is not None
        assert trace.status is trace.root.status
        assert stored.info.state.value == ("OK" if trace.status is Status.OK else "ERROR")
        for span in stored.data.spans:
            ours = span.get_attribute("agenttrace.status")
            assert span.status.status_code.value == ("OK" if ours == "ok" else "ERROR"), span.name
    status = "FINISHED" if one.raises is None else "KILLED" if one.raises is asyncio.CancelledError else "FAILED"
    assert played.raised == (one.raises.__name__ if one.raises else None)
    assert played.run.info.status == status


@every_case
def test_session_and_metadata_are_kept(one: Scenario, kind: Kind, played: Played) -> None:
    for trace, stored in zip(played.traces, played.in_mlflow, strict=True):
        assert stored.info.trace_metadata.get("mlflow.trace.session") == SESSIONS[one.name]
        assert trace.session == SESSIONS[one.name]
        assert trace.metadata == METADATA.get(one.name, {})


@every_case
def test_the_run_tells_how_it_went(one: Scenario, kind: Kind, played: Played) -> None:
    nodes, run = golden(one, kind), played.run
    tags, metrics = run.data.tags, run.data.metrics
    assert TAGS.items() <= tags.items()
    assert (tags["arch"], tags["case"]) == (one.name, kind.value)
    status = "ok" if one.raises is None else "cancelled" if one.raises is asyncio.CancelledError else "error"
    assert tags["agenttrace.status"] == status
    success = {"ok": "true" if one.answer is not None else None, "error": "false", "cancelled": None}[status]
    assert tags.get("agenttrace.success") == success
    assert metrics.get("success") == {"true": 1.0, "false": 0.0, None: None}[success]
    kinds = Counter(node.kind for node in nodes)
    counted = {"turns": "turn", "llm_calls": "llm", "tool_calls": "tool", "handoffs": "handoff"}
    expected = {name: kinds[kind] for name, kind in counted.items()}
    assert {name: metrics[name] for name in counted} == expected
    failed = [node.name for node in nodes if (node.kind, node.status) == ("tool", "error")]
    assert metrics["tool_errors"] == len(failed)
    assert ("agenttrace.failed_tools" in tags) == bool(failed)
    for name in failed:
        assert name in tags["agenttrace.failed_tools"]
        assert name.replace("_", r"\_") in tags["mlflow.note.content"]
    began = [n for n in nodes if n.status == "error" and not any(c.status == "error" for c in [*n.walk()][1:])]
    # A TimeoutError around the run is an error of the cell's own; in the trace there is only a cancelled run.
    assert metrics["errors"] == max(len(began), status == "error")
    assert metrics["latency_s"] > 0


@every_case
def test_the_run_and_its_traces_are_linked(one: Scenario, kind: Kind, played: Played, everything: Everything) -> None:
    run_id = played.run.info.run_id
    assert {trace.run_id for trace in played.traces} <= {run_id}
    for stored in played.in_mlflow:
        assert (stored.info.tags["arch"], stored.info.tags["case"]) == (one.name, kind.value)


def test_mlflow_finds_the_traces_of_a_run(everything: Everything) -> None:
    for name in ("plan_execute_evaluate", "approval_granted", "session_two_runs"):
        played = everything.of(SCENARIOS[name], Kind.BARE)
        found = everything.stored.traces(EXPERIMENT, run_id=played.run.info.run_id)
        assert sorted(found) == sorted(played.trace_ids)


# --------------------------------------------------------------------------------------------------- agent messages


@every_case
def test_each_agent_message_is_a_run(one: Scenario, kind: Kind, played: Played) -> None:
    turns = [turn for turn in one.script().all_turns if turn.key != HELPER]
    assert len(played.messages) == (len(turns) if one.traced else 0)
    said = {}
    for run in played.messages:
        tags = run.data.tags
        said.setdefault(tags["agenttrace.trace_id"], []).append(int(tags["index"]))
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+\+00:00", tags["timestamp"])
        assert run.data.metrics["latency_s"] > 0
        assert run.info.status in {"FINISHED", "FAILED", "KILLED"}
    assert all(sorted(indices) == list(range(len(indices))) for indices in said.values())
    speakers = Counter(run.data.tags["agent"].lower() for run in played.messages)
    assert speakers == (Counter(turn.key for turn in turns) if one.traced else Counter())


@every_case
def test_a_message_holds_prompt_answer_and_exact_calls(one: Scenario, kind: Kind, played: Played) -> None:
    spans = {span.span_id: span for trace in played.traces for span in trace.spans}
    asked: Counter[tuple[str, str]] = Counter()
    for run in played.messages:
        told = message_of(run)
        span = spans[run.data.tags["agenttrace.span_id"]]
        assert (told["agent"], told["prompt"], told["answer"]) == (span.agent, span.input, span.output)
        assert told["status"] == span.status.value
        for call in told["calls"]:
            made = spans[call["span_id"]]
            assert (call["arguments"], call["result"]) == (made.input, made.output)
            if call["kind"] == SpanKind.TOOL.value:
                asked[call["name"], call["arguments"]] += 1
    if not one.traced:
        return
    if not one.content:
        assert all(message_of(run)["prompt"] is None and message_of(run)["answer"] is None for run in played.messages)
        assert all(arguments is None for _, arguments in asked)
    elif not one.secrets:
        wanted = Counter((call.name, call.arguments) for call in one.script().tool_calls())
        if one.approvals:  # the call that was asked for is there, whatever came of it
            assert asked.keys() >= wanted.keys()
        else:
            assert asked == wanted
