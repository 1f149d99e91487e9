"""Traces: names, sessions, metadata, statuses, spans of every kind, and runs that go on later or elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    GuardrailFunctionOutput,
    InputGuardrail,
    OutputGuardrail,
    RunConfig,
    Runner,
    RunState,
    SQLiteSession,
    custom_span,
    function_tool,
    trace,
)
from agents.exceptions import InputGuardrailTripwireTriggered
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.limits import REASON
from bench.scenarios.state import SESSION, send_money
from bench.scenarios.streams import read_to_the_end
from bench.script import Script, call, say, use

from agenttrace_nb.capture import state
from agenttrace_nb.capture.active import ACTIVE
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


# ---------------------------------------------------------------------------------------- names, sessions, metadata


@pytest.mark.parametrize("kind", Kind)
async def test_name_group_and_metadata_of_a_run_are_kept(kind: Kind, tmp_path: Path) -> None:
    (one,) = (await recorded("named_workflow", kind, tmp_path)).traces
    assert (one.name, one.session, one.metadata) == ("Arithmetic", "conversation-17", {"customer": "c-9"})
    assert one.trace_id.startswith("5eed" * 7)


@pytest.mark.parametrize("kind", Kind)
async def test_group_and_metadata_of_the_sdks_trace_are_kept(kind: Kind, tmp_path: Path) -> None:
    (one,) = (await recorded("plan_execute_evaluate_in_trace", kind, tmp_path)).traces
    assert (one.name, one.session) == ("Planning", "conversation-17")
    assert one.metadata == {"customer": "c-9", "attempt": "1"}


@pytest.mark.parametrize("kind", Kind)
async def test_the_session_of_a_run_is_the_one_of_its_memory(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("session_two_runs", kind, tmp_path)
    assert [one.session for one in rec.traces] == [SESSION, SESSION]


async def test_a_group_goes_before_the_memory_and_the_memory_before_the_cell(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("a"), say("b"), say("c")]})) as bench:
        agent, memory = assistant(bench), SQLiteSession("memory")
        with recording(tmp_path) as rec:
            recorder = ACTIVE.get()
            assert recorder is not None
            recorder.session = "cell"
            await Runner.run(agent, "1", session=memory, run_config=RunConfig(group_id="group"))
            await Runner.run(agent, "2", session=memory)
            await Runner.run(agent, "3")
        memory.close()
    assert [one.session for one in rec.traces] == ["group", "memory", "cell"]


@pytest.mark.parametrize("kind", Kind)
async def test_input_and_answer_of_a_run_stand_at_its_root_and_at_its_agents(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("triage_with_handoffs", kind, tmp_path)
    root, agents = rec.one("workflow"), rec.all("agent")
    question, answer = "I want my money back for order A-17.", "Your refund is on its way."
    assert (root.input, root.output) == (question, answer)
    assert [span.input for span in agents] == [question, None, None]
    assert [span.output for span in agents] == [None, None, answer]
    handoffs = [(span.name, span.attributes["from_agent"], span.attributes["to_agent"]) for span in rec.all("handoff")]
    assert handoffs == [("Triage → Billing", "Triage", "Billing"), ("Billing → Refunds", "Billing", "Refunds")]


@pytest.mark.parametrize("kind", Kind)
async def test_an_agent_used_as_a_tool_has_its_own_question_and_answer(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("agents_as_tools", kind, tmp_path)
    asked = {span.agent: (span.input, span.output) for span in rec.all("agent")}
    assert {name: answer for name, (_, answer) in asked.items()} == {
        "Editor": "Chairs are sillas.", "Researcher": "The word is sillas.", "Translator": "sillas",
    }  # fmt: skip
    assert asked["Editor"][0] == "Write about chairs."
    assert "chairs in Spanish" in json.dumps(asked["Researcher"][0])
    assert rec.one("workflow").output == "Chairs are sillas."


async def test_a_structured_answer_is_kept_as_an_object(tmp_path: Path) -> None:
    rec = await recorded("structured_output", Kind.BARE, tmp_path)
    assert rec.one("workflow").output == {"city": "Oslo", "degrees": -3}


# ------------------------------------------------------------------------------------------------- spans of any kind


async def test_custom_spans_keep_name_and_data(tmp_path: Path) -> None:
    rec = await recorded("custom_spans", Kind.BARE, tmp_path)
    found = {span.name: span.attributes for span in rec.all("other")}
    assert found == {
        "prepare": {"type": "custom", "data": {"rows": 3}},
        "clean": {"type": "custom", "data": {}},
        "sort": {"type": "custom", "data": {"by": "date"}},
        "answer": {"type": "custom", "data": {}},
    }


async def test_data_that_a_custom_span_comes_to_know_is_kept(tmp_path: Path) -> None:
    with recording(tmp_path) as rec, trace("t"), custom_span("count", {"rows": 1}) as span:
        span.span_data.data["rows"] = 2
    assert rec.one("other").attributes["data"] == {"rows": 2}


async def test_a_failed_custom_span_says_why(tmp_path: Path) -> None:
    with recording(tmp_path) as rec, trace("t"):
        with pytest.raises(LookupError), custom_span("find"):
            raise LookupError("nowhere")
        with custom_span("tolerated") as span:
            span.set_error({"message": "not so bad", "data": None})
    find, tolerated = rec.all("other")
    assert (find.status, str(find.error)) == (Status.ERROR, "LookupError: nowhere")
    assert (tolerated.status, str(tolerated.error)) == (Status.ERROR, "not so bad")
    assert rec.traces[0].status is Status.OK


async def test_a_span_of_a_type_that_nobody_knows_keeps_name_and_data(tmp_path: Path) -> None:
    rec = await recorded("unknown_span", Kind.BARE, tmp_path)
    span = rec.one("other")
    assert (span.name, span.attributes) == ("forecast", {"type": "weather", "data": {"city": "Oslo"}})


async def test_speech_keeps_what_was_heard_and_said(tmp_path: Path) -> None:
    rec = await recorded("speech", Kind.BARE, tmp_path)
    heard, group, first, second = rec.all("speech")
    assert (heard.name, heard.model, heard.input, heard.output) == (
        "transcription", "gpt-4o-transcribe", {"data": "UklGRg==", "format": "pcm"}, "hello",
    ) or (heard.name, heard.model, heard.output) == ("transcription", "gpt-4o-transcribe", "hello")  # fmt: skip
    assert (group.name, group.input) == ("speech_group", "Hello. How are you?")
    assert [(span.input, span.model) for span in (first, second)] == [
        ("Hello.", "gpt-4o-mini-tts"), ("How are you?", "gpt-4o-mini-tts"),
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------------------- guardrails


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("name", "reason", "error"),
    [
        ("input_guardrail_trips", REASON, "InputGuardrailTripwireTriggered"),
        ("input_guardrail_trips_first", REASON, "InputGuardrailTripwireTriggered"),
        ("output_guardrail_trips", {"reason": "digits"}, "OutputGuardrailTripwireTriggered"),
    ],
)
async def test_a_tripped_guardrail_says_why(
    name: str, reason: dict[str, Any], error: str, kind: Kind, tmp_path: Path
) -> None:
    span = (await recorded(name, kind, tmp_path)).one("guardrail")
    assert span.attributes == {"triggered": True, "output_info": reason}
    assert span.status is Status.ERROR
    assert span.error is not None
    assert span.error.type == error
    assert str(reason["reason"]) in span.error.message


@pytest.mark.parametrize("kind", Kind)
async def test_a_guardrail_that_lets_pass_keeps_what_it_found(kind: Kind, tmp_path: Path) -> None:
    first, second = (await recorded("guardrails_pass", kind, tmp_path)).all("guardrail")
    assert (first.name, first.attributes) == ("no_homework", {"triggered": False, "output_info": REASON})
    assert (second.name, second.attributes) == ("no_numbers", {"triggered": False, "output_info": {"reason": "digits"}})
    assert (first.status, second.status) == (Status.OK, Status.OK)


def checks(*names: str, trips: str | None = None) -> list[InputGuardrail[Any]]:
    async def check(name: str, _: Any, __: Any, given: Any) -> GuardrailFunctionOutput:
        await asyncio.sleep(0.02 if name == trips else 0)
        return GuardrailFunctionOutput(output_info=f"{name} read {given}", tripwire_triggered=name == trips)

    def named(name: str) -> InputGuardrail[Any]:
        async def one(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
            return await check(name, context, agent, given)

        return InputGuardrail(one, name=name)

    return [named(name) for name in names]


async def test_beside_a_tripped_guardrail_those_that_let_pass_keep_what_they_found(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi", delay_s=30, lost=True)]})) as bench:
        agent = assistant(bench, input_guardrails=checks("polite", "short", "legal", trips="legal"))
        with recording(tmp_path) as rec:
            with pytest.raises(InputGuardrailTripwireTriggered):
                await Runner.run(agent, "question")
            await completed(rec)
    found = {
        span.name: (span.attributes["triggered"], span.attributes.get("output_info")) for span in rec.all("guardrail")
    }
    assert found == {
        "polite": (False, "polite read question"), "short": (False, "short read question"),
        "legal": (True, "legal read question"),
    }  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
async def test_guardrails_of_runs_side_by_side_in_one_trace_keep_their_own_findings(
    streamed: bool, tmp_path: Path
) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi", delay_s=0.05) for _ in range(3)]})) as bench:
        agent = assistant(bench, input_guardrails=checks("polite"))

        async def ask(question: str) -> None:
            if streamed:
                await read_to_the_end(Runner.run_streamed(agent, question))
            else:
                await Runner.run(agent, question)

        with recording(tmp_path) as rec:
            with trace("all"):
                await asyncio.gather(*(ask(question) for question in ("one", "two", "three")))
            await completed(rec)
    spans = {span.span_id: span for span in rec.spans}
    for guardrail in rec.all("guardrail"):
        above = spans[str(guardrail.parent_id)]
        while above.kind != "agent":
            above = spans[str(above.parent_id)]
        assert above.input in ("one", "two", "three")
        assert above.input in guardrail.attributes["output_info"]


async def test_the_finding_of_a_guardrail_of_a_run_without_content_is_not_kept(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi", delay_s=30, lost=True)]})) as bench:
        agent = assistant(bench, input_guardrails=checks("legal", trips="legal"))
        with recording(tmp_path) as rec:
            with pytest.raises(InputGuardrailTripwireTriggered):
                await Runner.run(agent, "canary", run_config=RunConfig(trace_include_sensitive_data=False))
            await completed(rec)
    span = rec.one("guardrail")
    assert span.attributes == {"triggered": True}
    assert "canary" not in str(span.error)


async def test_a_guardrail_that_breaks_has_failed_with_its_own_error(tmp_path: Path) -> None:
    async def broken(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        raise OSError("no judge")

    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        with recording(tmp_path) as rec, pytest.raises(OSError, match="no judge"):
            await Runner.run(assistant(bench, output_guardrails=[OutputGuardrail(broken)]), "hello")
    span = rec.one("guardrail")
    assert (span.status, str(span.error)) == (Status.ERROR, "OSError: no judge")


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
