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
    SQLiteSession,
    custom_span,
    trace,
)
from agents.exceptions import InputGuardrailTripwireTriggered
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import assistant
from bench.scenarios.limits import REASON
from bench.scenarios.state import SESSION
from bench.scenarios.streams import read_to_the_end
from bench.script import Script, say

from agenttrace_nb.capture.active import ACTIVE
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.spans import Status
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
