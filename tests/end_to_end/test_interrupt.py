"""The Stop button in a real kernel, while an agent waits for its model: what the user sees, and what MLflow holds."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from end_to_end.programs import TESTS
from end_to_end.stored import Stored, restored, wait_until
from magics.real_kernel import Kernel

from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

EXPERIMENT = "stops"

SETUP = """
%load_ext agenttrace_nb
import asyncio, pathlib
import agenttrace_nb as at
from agents import Agent, Runner, function_tool, set_trace_processors
from bench.models import Bench, Kind
from bench.script import Script, call, say, use
set_trace_processors([])

@function_tool
def mark(name: str) -> str:
    "Leave a mark."
    pathlib.Path(name).touch()
    return "marked"

script = Script({"marker": [use(call("mark", name="seen")), say("done", delay_s=120)]})
bench = Bench(Kind.RESPONSES, script)
agent = Agent(name="Marker", instructions="[[marker]]", model=bench.model(), tools=[mark])
"""

CELL = (
    f"%%trace_agents --arch stopped --experiment {EXPERIMENT} --role Marker=planner\nawait Runner.run(agent, 'Mark.')"
)


def test_stop_ends_a_cell_that_waits_for_a_model_at_once_and_mlflow_says_cancelled(
    tmp_path: Path, empty_database: Path
) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    with Kernel(tmp_path, AGENTTRACE_STATE_DIR=str(tmp_path / "state"), PYTHONPATH=path) as kernel:
        assert kernel.run(SETUP).status == "ok"
        sent = kernel.send(CELL, stop_on_error=False)
        wait_until((tmp_path / "seen").exists, 60, "the agent has used its tool")
        time.sleep(1)  # the second call of the model is on its way
        stopped_ns = time.time_ns()
        kernel.interrupt_when(tmp_path / "seen")
        answer = kernel.receive(sent)
        assert (answer.status, answer.reply["ename"]) == ("error", "CancelledError")
        assert "Marker (planner)" in answer.shown
        assert kernel.run("1 + 1").values == ["2"]
        assert kernel.value("at.last().wait(60)") is True

    stored = Stored(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = stored.cell_runs(EXPERIMENT).values()
    assert (run.info.status, run.data.tags["agenttrace.status"]) == ("KILLED", "cancelled")
    assert "success" not in run.data.metrics
    (found,) = stored.traces(EXPERIMENT, run_id=run.info.run_id).values()
    assert found.info.state.value == "ERROR"
    trace = restored(found)
    assert trace.status is Status.CANCELLED
    answered, waiting = [span for span in trace.spans if span.kind is SpanKind.LLM]
    assert (answered.status, answered.input_tokens is not None) == (Status.OK, True)
    assert (waiting.status, waiting.output, waiting.input is not None) == (Status.CANCELLED, None, True)
    # What the cell takes beyond that is IPython writing a traceback of hundreds of lines, traced or not.
    assert trace.end_ns - stopped_ns < 1e9
    messages = stored.message_runs(EXPERIMENT, run.info.run_id)
    assert [message.info.status for message in messages] == ["FINISHED", "KILLED"]
