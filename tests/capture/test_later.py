"""Approvals, resumed runs, and what goes on after a trace or began before it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    RunConfig,
    Runner,
    RunState,
    custom_span,
    function_tool,
    trace,
)
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.state import send_money
from bench.scenarios.streams import read_to_the_end
from bench.script import Script, call, say, use

from agenttrace_nb.capture import state
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.spans import Span, Status
from capture.recording import Recording, completed, recording

if TYPE_CHECKING:
    from pathlib import Path


async def recorded(name: str, kind: Kind, folder: Path) -> Recording:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        with recording(folder) as rec:
            await play(one, bench)
            await completed(rec)
    assert rec.notes == []
    return rec


def trace_events(rec: Recording) -> list[tuple[str, dict[str, Any]]]:
    """Return the starts and ends of traces as they stand in the journal."""
    rec.journal.flush()
    assert rec.journal.path is not None
    reader = JournalReader(rec.journal.path)
    kinds = {EventKind.TRACE_START, EventKind.TRACE_END}
    found = [(event.kind.value, event.body) for event in reader.events() if event.kind in kinds]
    reader.close()
    return found


# ---------------------------------------------------------------------------------------------------------- approvals


@pytest.mark.parametrize("kind", Kind)
async def test_a_tool_that_waits_for_approval_is_marked_and_so_is_the_run(kind: Kind, tmp_path: Path) -> None:
    async with Bench(kind, Script({"assistant": [SCENARIOS["approval_granted"].steps["assistant"][0]]})) as bench:
        with recording(tmp_path) as rec:
            result = await Runner.run(assistant(bench, send_money), "Send 100 to Ada.")
    tool, root = rec.one("tool"), rec.one("workflow")
    assert len(result.interruptions) == 1
    assert (tool.status, tool.output) == (Status.OK, None)
    assert tool.input == json.dumps({"amount": 100, "to": "Ada"})
    assert tool.attributes == {"approval": "pending", "call_id": result.interruptions[0].raw_item.call_id}
    assert root.attributes["pending_approvals"] == 1


@pytest.mark.parametrize("kind", Kind)
async def test_a_granted_tool_runs_in_a_span_of_its_own(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("approval_granted", kind, tmp_path)
    asked, ran = rec.all("tool")
    assert (asked.attributes["approval"], ran.attributes["approval"]) == ("pending", "granted")
    assert asked.attributes["call_id"] == ran.attributes["call_id"]
    assert ran.output == "sent 100 to Ada"
    assert rec.one("workflow").attributes["pending_approvals"] == 0
    assert rec.one("workflow").output == "Done."


@pytest.mark.parametrize("kind", Kind)
async def test_a_refused_tool_is_marked_with_what_the_model_was_told(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("approval_refused", kind, tmp_path)
    tool = rec.one("tool")
    assert (tool.status, tool.error) == (Status.OK, None)
    assert tool.attributes["approval"] == "refused"
    assert tool.output == "Too much money."
    assert rec.one("workflow").attributes["pending_approvals"] == 0


async def test_without_content_a_waiting_tool_is_still_marked(tmp_path: Path) -> None:
    config = RunConfig(trace_include_sensitive_data=False)
    async with Bench(Kind.BARE, SCENARIOS["approval_refused"].script()) as bench:
        agent = assistant(bench, send_money)
        with recording(tmp_path) as rec:
            first = await Runner.run(agent, "Send 100 to Ada.", run_config=config)
            assert rec.one("tool").attributes["approval"] == "pending"
            saved = first.to_state()
            saved.reject(saved.get_interruptions()[0], rejection_message="canary")
            await Runner.run(agent, saved, run_config=config)
    tool = rec.one("tool")
    assert (tool.attributes["approval"], tool.input, tool.output) == ("refused", None, None)


async def test_a_tool_refused_once_and_for_all_is_refused_without_being_asked_for(tmp_path: Path) -> None:
    pay = SCENARIOS["approval_refused"].steps["assistant"][0]
    async with Bench(Kind.BARE, Script({"assistant": [pay, pay, say("As you wish.")]})) as bench:
        agent = assistant(bench, send_money)
        with recording(tmp_path) as rec:
            saved = (await Runner.run(agent, "Send 100 to Ada.")).to_state()
            saved.reject(saved.get_interruptions()[0], always_reject=True, rejection_message="Never.")
            await Runner.run(agent, saved)
    tools = rec.all("tool")
    assert [(span.attributes["approval"], span.status, span.error) for span in tools] == [
        ("refused", Status.OK, None)
    ] * 2
    assert [span.output for span in tools] == ["Never."] * 2
    assert len({span.attributes["call_id"] for span in tools}) == 2


# ------------------------------------------------------------------------------------- what goes on later or elsewhere


async def test_a_resumed_run_is_the_same_trace_which_ends_twice(tmp_path: Path) -> None:
    rec = await recorded("approval_granted", Kind.BARE, tmp_path)
    events = trace_events(rec)
    assert [kind for kind, _ in events] == ["trace-start", "trace-end"] * 2
    assert [body.get("resumed") for kind, body in events if kind == "trace-start"] == [None, True]
    assert {body["name"] for kind, body in events if kind == "trace-start"} == {"Agent workflow"}


async def test_a_run_resumed_in_another_cell_belongs_to_both(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, SCENARIOS["approval_refused"].script()) as bench:
        agent = assistant(bench, send_money)
        with recording(tmp_path) as asking:
            saved = (await Runner.run(agent, "Send 100 to Ada.")).to_state()
        saved.reject(saved.get_interruptions()[0], rejection_message="No.")
        with recording(tmp_path, journal=asking.journal, run_key="later") as answering:
            await Runner.run(agent, saved)
    assert asking.traces[0].trace_id == answering.traces[0].trace_id
    assert trace_events(asking)[2] == (
        "trace-start", {"session": None, "metadata": {}, "name": "Agent workflow", "resumed": True}
    )  # fmt: skip


async def test_a_run_resumed_in_another_process_says_what_it_knows(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, SCENARIOS["approval_refused"].script()) as bench:
        agent = assistant(bench, send_money)
        with recording(tmp_path):
            saved = (await Runner.run(agent, "Send 100 to Ada.")).to_state()
        state.forget_all()  # as another process would not know of it
        resumed = await RunState.from_json(agent, saved.to_json())
        resumed.reject(resumed.get_interruptions()[0], rejection_message="No.")
        with recording(tmp_path) as rec:
            await Runner.run(agent, resumed)
    (one,), tool = rec.traces, rec.one("tool")
    assert (one.name, one.status) == ("Agent workflow", Status.OK)
    assert (tool.name, tool.input) == ("send_money", json.dumps({"amount": 100, "to": "Ada"}))
    assert (tool.attributes["approval"], tool.output, tool.status) == ("refused", "No.", Status.OK)
    assert rec.one("workflow").output == "As you wish."


async def test_a_trace_that_was_open_before_the_cell_is_recorded_from_there(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("a"), say("b"), say("c")]})) as bench:
        with trace("Day", group_id="g", metadata={"k": "v"}):
            await Runner.run(assistant(bench), "before")
            with recording(tmp_path) as rec:
                await Runner.run(assistant(bench), "first")
                await Runner.run(assistant(bench), "second")
    (one,) = rec.traces
    assert (one.name, one.session, one.metadata, one.status) == ("Day", "g", {"k": "v"}, Status.OK)
    assert [span.input for span in rec.all("agent")] == ["first", "second"]
    assert {span.parent_id for span in rec.all("agent")} == {rec.one("workflow").span_id}
    assert all(span.status is Status.OK for span in rec.spans)


async def test_a_failure_after_a_success_is_seen_in_a_trace_that_was_open_before(tmp_path: Path) -> None:
    async with Bench(
        Kind.BARE, Script({"assistant": [say("a"), SCENARIOS["model_429"].steps["assistant"][0]]})
    ) as bench:
        with trace("Day"), recording(tmp_path) as rec:
            await Runner.run(assistant(bench), "first")
            with pytest.raises(Exception, match="Rate limit"):
                await Runner.run(assistant(bench), "second")
    assert rec.traces[0].status is Status.ERROR


async def test_what_a_tool_leaves_running_is_recorded_after_the_end(tmp_path: Path) -> None:
    left: list[asyncio.Task[None]] = []
    over = asyncio.Event()

    async def tidy_up() -> None:
        await over.wait()
        with custom_span("tidy up"):
            await asyncio.sleep(0)

    @function_tool
    async def begin() -> str:
        """Leave something running."""
        left.append(asyncio.create_task(tidy_up()))
        return "begun"

    async with Bench(Kind.BARE, Script({"assistant": [use(call("begin")), say("done")]})) as bench:
        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, begin), "Go.")
            assert rec.traces[0].status is Status.OK
        over.set()
        await left[0]
    late = rec.one("other")
    assert (late.name, late.status, late.parent_id) == ("tidy up", Status.OK, rec.one("tool").span_id)
    assert rec.traces[0].status is Status.OK
    assert [kind for kind, _ in trace_events(rec)] == ["trace-start", "trace-end", "trace-end"]


async def test_what_comes_late_does_not_mend_a_failed_trace(tmp_path: Path) -> None:
    left: list[asyncio.Task[None]] = []
    over = asyncio.Event()

    async def late() -> None:
        await over.wait()
        with custom_span("late"):
            pass

    def doomed() -> None:
        with trace("Doomed"), custom_span("begin"):
            left.append(asyncio.create_task(late()))
            raise LookupError("nothing")

    with recording(tmp_path) as rec:
        with pytest.raises(LookupError):
            doomed()
        over.set()
        await left[0]
    assert rec.traces[0].status is Status.ERROR
    assert [body["status"] for kind, body in trace_events(rec) if kind == "trace-end"] == ["error", "error"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_without_task_and_turn_spans_nothing_else_is_missing(streamed: bool, tmp_path: Path) -> None:
    config = RunConfig(tracing={"include_task_and_turn_spans": False})
    async with Bench(Kind.RESPONSES, SCENARIOS["single_agent_with_tool"].script()) as bench:
        with recording(tmp_path) as rec:
            if streamed:
                await read_to_the_end(Runner.run_streamed(assistant(bench, add), "What is 2 + 3?", run_config=config))
            else:
                await Runner.run(assistant(bench, add), "What is 2 + 3?", run_config=config)
            await completed(rec)
    assert [span.kind.value for span in rec.spans] == ["workflow", "agent", "llm", "tool", "llm"]
    agent = rec.one("agent")
    assert {span.parent_id for span in rec.spans[2:]} == {agent.span_id}
    assert (agent.input, agent.output) == ("What is 2 + 3?", "2 + 3 = 5")
    assert (rec.one("workflow").input, rec.one("workflow").output) == ("What is 2 + 3?", "2 + 3 = 5")


async def test_a_saved_run_resumed_without_task_spans_ends_too(tmp_path: Path) -> None:
    config = RunConfig(tracing={"include_task_and_turn_spans": False})
    async with Bench(Kind.BARE, SCENARIOS["approval_granted"].script()) as bench:
        agent = assistant(bench, send_money)
        with recording(tmp_path) as rec:
            saved = (await Runner.run(agent, "Send 100 to Ada.", run_config=config)).to_state()
            saved.approve(saved.get_interruptions()[0])
            await Runner.run(agent, saved, run_config=config)
    assert {span.status for span in rec.spans} == {Status.OK}
    assert rec.traces[0].status is Status.OK


async def test_two_runs_of_one_trace_id_are_one_trace(tmp_path: Path) -> None:
    config = RunConfig(trace_id="trace_" + "ab" * 16)
    async with Bench(Kind.BARE, Script({"assistant": [say("a"), say("b")]})) as bench:
        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench), "1", run_config=config)
            await Runner.run(assistant(bench), "2", run_config=config)
    (one,) = rec.traces
    assert one.trace_id == "ab" * 16
    assert len(rec.all("agent")) == 2
    assert one.status is Status.OK


async def test_an_id_of_the_users_own_making_is_kept_by_its_hash(tmp_path: Path) -> None:
    with recording(tmp_path) as rec, trace("t", trace_id="my own id"):
        pass
    assert rec.traces[0].trace_id == "a01932a9a3c84c54d473ec20182faff1"


async def test_a_run_by_a_runner_taken_before_is_recorded_by_its_spans(tmp_path: Path) -> None:
    from agents.run import get_default_agent_runner

    runner = get_default_agent_runner()
    async with Bench(Kind.RESPONSES, SCENARIOS["single_agent_with_tool"].script()) as bench:
        with recording(tmp_path) as rec:
            await runner.run(assistant(bench, add), "What is 2 + 3?")
    assert [span.kind.value for span in rec.spans] == ["workflow", "agent", "turn", "llm", "tool", "turn", "llm"]
    spans: list[Span] = rec.all("llm")
    assert [span.output[0]["type"] for span in spans] == ["function_call", "message"]
    assert rec.one("tool").input == '{"a": 2, "b": 3}'
    assert all(span.status is Status.OK for span in rec.spans)
