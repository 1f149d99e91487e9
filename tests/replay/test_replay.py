"""A recording answers as the model did, and says so clearly when it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from agents import Agent, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from capture.recording import recording

from agenttrace_nb.replay import replay, save_recording
from agenttrace_nb.replay.provider import ReplayMissError
from agenttrace_nb.replay.recording import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from agents import Model


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def team(model: Model) -> Agent[None]:
    return Agent(name="Adder", instructions="Add.", model=model, tools=[add])


@pytest.fixture
async def recorded(tmp_path: Path) -> Path:
    model = ScriptedModel(
        [[function_call("add", {"a": 2, "b": 3}, call_id="c1")], [assistant_message("2 + 3 is 5")]], emit_traces=False
    )
    with recording(tmp_path) as rec:
        await Runner.run(team(model), "What is 2 + 3?")
        return save_recording(rec.traces, tmp_path / "adder.json")


async def test_a_recording_answers_as_the_model_did(recorded: Path) -> None:
    result = await Runner.run(team(replay(recorded).get_model()), "What is 2 + 3?")
    assert result.final_output == "2 + 3 is 5"


async def test_a_streamed_run_gets_the_same_answer_word_by_word(recorded: Path) -> None:
    result = Runner.run_streamed(team(replay(recorded).get_model()), "What is 2 + 3?")
    deltas = [
        e.data.delta
        async for e in result.stream_events()
        if getattr(getattr(e, "data", None), "type", "") == "response.output_text.delta"
    ]
    assert "".join(deltas) == result.final_output == "2 + 3 is 5"
    assert len(deltas) > 1


async def test_a_recording_can_be_played_any_number_of_times(recorded: Path) -> None:
    provider = replay(recorded)
    answers = [(await Runner.run(team(provider.get_model()), "What is 2 + 3?")).final_output for _ in range(3)]
    assert answers == ["2 + 3 is 5"] * 3


async def test_another_question_is_a_miss_that_says_what_to_do(recorded: Path) -> None:
    with pytest.raises(ReplayMissError, match=r"(?s)What is 4 \+ 4\?.*at\.save_recording"):
        await Runner.run(team(replay(recorded).get_model()), "What is 4 + 4?")


async def test_a_replayed_run_records_the_same_again(recorded: Path, tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        await Runner.run(team(replay(recorded).get_model()), "What is 2 + 3?")
        again = save_recording(rec.traces, tmp_path / "again.json")

    def questions(path: Path) -> list[object]:
        return [call["input"] for call in json.loads(path.read_text())["calls"]]

    assert questions(again) == questions(recorded)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no recording .*none\.json"):
        replay(tmp_path / "none.json")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"format": "agenttrace-recording/9", "calls": []}')
    with pytest.raises(RecordingError, match="agenttrace-recording/9"):
        replay(tmp_path / "x.json")


def test_traces_without_answers_are_refused() -> None:
    with pytest.raises(RecordingError, match="nothing to replay"):
        replay([])
