"""With MLflow's own autologging switched on as well, each run is recorded once: here, and not by MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import pytest
from agents import Agent, Runner, set_trace_processors
from agents.testing import ScriptedModel, assistant_message
from bench import tree
from bench.models import Kind
from bench.scenarios import SCENARIOS, run

from capture.recording import recording, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = (
    "triage_with_handoffs",
    "agents_as_tools",
    "plan_execute_evaluate_in_trace",
    "tool_calls_openai",
    "tool_calls_openai_chat",
    "tool_with_mlflow_span",
    "stream_consumed",
    "custom_spans",
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("autolog")
    yield
    mlflow.openai.autolog(disable=True)
    set_trace_processors([])


def stored_by_mlflow() -> list[str]:
    mlflow.flush_trace_async_logging()
    return [trace.info.trace_id for trace in mlflow.search_traces(return_type="list")]


@pytest.mark.parametrize("switched_on", ["before", "inside"])
@pytest.mark.parametrize("kind", [Kind.RESPONSES, Kind.CHAT, Kind.BARE])
async def test_each_run_is_recorded_once(switched_on: str, kind: Kind, tmp_path: Path) -> None:
    for name in NAMES:
        if switched_on == "before":
            mlflow.openai.autolog()
        with recording(tmp_path) as rec:
            if switched_on == "inside":
                mlflow.openai.autolog()
            await run(SCENARIOS[name], kind)
            problem = tree.difference(SCENARIOS[name].golden(kind), tree.build(rows(rec.traces)))
            assert not problem, f"{name}: {problem}"
            assert rec.notes == []
        mlflow.openai.autolog(disable=True)
    assert stored_by_mlflow() == []


async def test_outside_a_recording_autologging_works_as_ever(tmp_path: Path) -> None:
    mlflow.openai.autolog()
    with recording(tmp_path):
        pass
    model = ScriptedModel([[assistant_message("hi")]], emit_traces=True)
    await Runner.run(Agent(name="A", model=model), "hello")
    assert len(stored_by_mlflow()) == 1
