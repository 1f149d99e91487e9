"""When a part of recording breaks, it is told once and the agents do not notice."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import ModelSettings, Runner
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, Outcome, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.state import send_money
from bench.script import Script, call, say, use

from agenttrace_nb.capture import (
    approvals,
    declared,
    guardrails,
    hooks,
    install,
    llm,
    mlflow_spans,
    openai_calls,
    openai_streams,
    processor,
    runner,
    state,
    tools,
)
from agenttrace_nb.capture.active import Recorder
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.redact import Redactor
from capture.recording import Recording, recording

if TYPE_CHECKING:
    from pathlib import Path


def as_bytes(outcome: Outcome) -> bytes:
    """Return everything that a user can see of the results."""
    seen: list[Any] = [repr(outcome.final_output), repr(outcome.error)]
    for result in outcome.results:
        if not hasattr(result, "new_items"):
            continue
        seen.append(repr(result.final_output))
        seen.append([(type(item).__name__, item.agent.name, _dumped(item.raw_item)) for item in result.new_items])
        seen.append([_dumped(response) for response in result.raw_responses])
        seen.append(result.to_input_list())
        usage = result.context_wrapper.usage
        seen.append(_dumped(usage))
        seen.append([repr(check.output) for check in result.input_guardrail_results])
        seen.append([item.name for item in result.interruptions])
        seen.append(result.last_agent.name)
    return json.dumps(seen, default=repr).encode()


def _dumped(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_unset=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _dumped(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_dumped(item) for item in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------------------------------- when recording breaks


class OnPurposeError(Exception):
    """A fault of ours."""


def _break(*_: Any, **__: Any) -> Any:
    raise OnPurposeError("broken on purpose")


PARTS: dict[str, tuple[Any, str]] = {
    "append": (Journal, "append"),
    "redact": (Redactor, "clean"),
    "call": (runner, "_call"),
    "events": (runner, "_watch_events"),
    "ensure": (install, "ensure"),
    "hooks": (hooks, "here"),
    "declare": (hooks, "declare"),
    "describe": (declared, "describe_agent"),
    "start llm": (llm, "start_llm"),
    "end llm": (llm, "end_llm"),
    "fail llm": (llm, "fail_llm"),
    "sdk span": (llm, "take_sdk_span"),
    "answer": (llm, "answer_fields"),
    "announce": (processor, "_announce"),
    "open": (processor, "_open"),
    "names": (processor, "_names"),
    "end span": (processor, "_end_span"),
    "end task": (processor, "_end_task"),
    "end trace": (processor, "_end_trace"),
    "retire": (state.OpenTrace, "retire"),
    "ending": (state.OpenTrace, "ending"),
    "role": (processor, "role_of"),
    "watch errors": (tools, "watch_errors"),
    "describe error": (tools, "describe"),
    "start tool": (tools, "start_tool"),
    "timeout": (tools, "look_for_timeout"),
    "conclude tool": (tools, "_did_not_start"),
    "guardrail": (guardrails, "_explain"),
    "waiting": (approvals, "waiting_in"),
    "refusals": (approvals, "note_refusals"),
    "pending": (approvals, "note_pending"),
    "mlflow tool": (mlflow_spans, "enter_tool"),
    "mlflow": (mlflow_spans, "_is_loaded"),
    "client": (openai_calls, "_begin_span"),
    "client here": (openai_calls, "here"),
    "stream": (openai_calls, "watch_stream"),
    "stream watch": (openai_streams, "_AsyncWatched"),
}
COVERING = [
    ("single_agent_with_tool", Kind.RESPONSES),
    ("stream_consumed", Kind.CHAT),
    ("tool_raises", Kind.BARE),
    ("tool_calls_openai", Kind.RESPONSES),
    ("guardrails_pass", Kind.BARE),
    ("approval_refused", Kind.BARE),
    ("approval_granted", Kind.BARE),
    ("model_429", Kind.BARE),
    ("tool_guardrail_rejects", Kind.BARE),
    ("session_two_runs", Kind.BARE),
]


async def results_of(name: str, kind: Kind) -> bytes:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        return as_bytes(await play(one, bench))


@pytest.fixture(scope="module")
def untraced_results() -> dict[tuple[str, Kind], bytes]:
    return {}


@pytest.mark.parametrize("part", PARTS)
async def test_a_fault_in_any_part_is_told_once_and_reaches_no_agent(
    part: str, untraced_results: dict[Any, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in COVERING:
        if case not in untraced_results:
            untraced_results[case] = await results_of(*case)
    owner, name = PARTS[part]
    with recording(tmp_path) as rec:
        monkeypatch.setattr(owner, name, _break)
        for case in COVERING:
            assert await results_of(*case) == untraced_results[case]
    monkeypatch.undo()
    assert len(rec.notes) == 1, rec.notes
    assert "broken on purpose. Your agents are not affected." in rec.notes[0]


async def test_a_view_that_cannot_show_a_note_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untraced = await results_of("single_agent_with_tool", Kind.BARE)
    with recording(tmp_path) as rec:
        monkeypatch.setattr(Journal, "append", _break)
        monkeypatch.setattr(Recorder, "report_once", _break)
        assert await results_of("single_agent_with_tool", Kind.BARE) == untraced
    monkeypatch.undo()
    assert rec.notes == []


async def test_an_error_without_a_text_is_told_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise OnPurposeError

    def fail(*_: Any, **__: Any) -> None:
        raise SilentError

    with recording(tmp_path) as rec:
        monkeypatch.setattr(Journal, "append", fail)
        await results_of("single_agent_with_tool", Kind.BARE)
    monkeypatch.undo()
    assert len(rec.notes) == 1
    assert "SilentError" in rec.notes[0]


# ------------------------------------------------------------------------------------------- results nobody asked for


async def test_no_agent_no_tool_and_no_model_is_touched(tmp_path: Path) -> None:
    async def left_behind() -> list[list[str]]:
        async with Bench(Kind.BARE, Script({"assistant": [use(call("add", a=1, b=2)), say("3")]})) as bench:
            agent = assistant(bench, add, send_money, model_settings=ModelSettings(temperature=0.5))
            values = dict(vars(agent))
            await Runner.run(agent, "Go.")
            assert all(vars(agent)[name] is value for name, value in values.items())
            return [sorted(vars(touched)) for touched in (agent, add, send_money, agent.model, agent.model_settings)]

    untraced = await left_behind()
    with recording(tmp_path):
        assert await left_behind() == untraced


async def test_a_streams_events_arrive_in_the_same_order(tmp_path: Path) -> None:
    async def events() -> list[str]:
        async with Bench(Kind.CHAT, SCENARIOS["stream_consumed"].script()) as bench:
            result = Runner.run_streamed(assistant(bench, add), "What is 2 + 3?")
            return [
                getattr(event, "data", event).type if event.type == "raw_response_event" else event.name
                async for event in result.stream_events()
                if event.type != "agent_updated_stream_event"
            ]

    expected = await events()
    with recording(tmp_path):
        assert await events() == expected
    assert "response.output_text.delta" in expected


def recorded_nothing(rec: Recording) -> bool:
    return rec.spans == [] and rec.traces == []


async def test_outside_a_cell_nothing_is_recorded(tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        pass
    await results_of("single_agent_with_tool", Kind.RESPONSES)
    await results_of("tool_calls_openai", Kind.RESPONSES)
    assert recorded_nothing(rec)
    assert state.TRACES == {}
