"""The magic on the real engine, in a real kernel, with agents of the real SDK."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from magics.real_kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

AGENTS = """
%load_ext agenttrace_nb
import asyncio, pathlib, time
import agenttrace_nb as at
from agents import Agent, Runner, function_tool, set_trace_processors
from agents.testing import ScriptedModel, assistant_message, function_call
set_trace_processors([])

@function_tool
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

@function_tool
async def wait_for(path: str) -> str:
    "Say that it waits, and wait."
    pathlib.Path(path).touch()
    await asyncio.sleep(60)
    return "waited"

def asking(*steps):
    return Agent(name="Adder", model=ScriptedModel([[step] for step in steps]), tools=[add, wait_for])

def adder():
    return asking(function_call("add", {"a": 1, "b": 2}, call_id="c1"), assistant_message("3"))
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("traced"), AGENTTRACE_MLFLOW="off") as started:
        answer = started.run(AGENTS)
        assert answer.status == "ok", answer.traceback
        yield started


def test_an_awaiting_cell_is_recorded_and_its_view_shown(kernel: Kernel) -> None:
    answer = kernel.run(
        "%%trace_agents --arch x --case c1 --role Adder=planner\n"
        "result = await Runner.run(adder(), 'What is 1 + 2?')\nresult.final_output",
        cell_id="cell-1",
    )
    assert answer.values == ["'3'"], answer.traceback
    assert "Adder (planner)" in answer.shown
    assert kernel.value("[(s.kind.value, s.name) for t in at.last().traces for s in t.spans if s.kind == 'tool']") == [
        ("tool", "add")
    ]


def test_the_run_knows_its_cell_and_its_options(kernel: Kernel) -> None:
    answer = kernel.run(
        "%%trace_agents --arch x --case c2 --trial 3 --tag team=blue --session s-1\n"
        "result = await Runner.run(adder(), 'x')",
        cell_id="cell-2",
    )
    run = "at.last()._started().run"
    assert kernel.value(f"({run}.arch, {run}.case, {run}.trial, {run}.tags, {run}.session)") == (
        "x", "c2", "3", {"team": "blue"}, "s-1",
    )  # fmt: skip
    assert kernel.value(f"({run}.cell_id, {run}.execution_count)") == ("cell-2", answer.reply["execution_count"])


def test_an_error_of_the_cell_is_the_runs(kernel: Kernel) -> None:
    answer = kernel.run("%%trace_agents\nraise KeyError('here')")
    assert answer.reply["ename"] == "KeyError"
    assert kernel.value("(at.last().status.value, at.last().success)") == ("error", False)


def test_stop_ends_an_agent_that_awaits_at_once_and_the_run_is_cancelled(kernel: Kernel, tmp_path: Path) -> None:
    seen = tmp_path / "awaiting"
    sent = kernel.send(
        "%%trace_agents\n"
        f"agent = asking(function_call('wait_for', {{'path': {str(seen)!r}}}, call_id='c1'))\n"
        "await Runner.run(agent, 'wait')",
        stop_on_error=False,
    )
    kernel.interrupt_when(seen)
    began = time.monotonic()
    answer = kernel.receive(sent)
    assert time.monotonic() - began < 20  # of the 60 that the tool would sleep
    assert answer.status == "error"
    assert kernel.value("at.last().status.value") == "cancelled"
    assert kernel.value("{s.status.value for t in at.last().traces for s in t.spans if s.kind == 'tool'}") == {
        "cancelled"
    }


def test_stop_ends_a_busy_cell_and_the_run_is_cancelled(kernel: Kernel, tmp_path: Path) -> None:
    seen = tmp_path / "busy"
    sent = kernel.send(f"%%trace_agents\npathlib.Path({str(seen)!r}).touch()\ntime.sleep(60)", stop_on_error=False)
    kernel.interrupt_when(seen)
    assert kernel.receive(sent).reply["ename"] == "KeyboardInterrupt"
    assert kernel.value("at.last().status.value") == "cancelled"


@pytest.mark.parametrize("body", ["asyncio.get_running_loop()", "await Runner.run(adder(), 'x')"])
def test_a_later_cell_is_not_recorded(kernel: Kernel, body: str) -> None:
    kernel.run(f"%%trace_agents --case before\n{body}")
    kernel.run("result = await Runner.run(adder(), 'untraced')")
    assert kernel.value("at.last()._started().run.case") == "before"
    recorded = "sum(len(t.spans) for t in at.last().traces)"
    before = kernel.value(recorded)
    kernel.run("result = await Runner.run(adder(), 'untraced again')")
    assert kernel.value(recorded) == before
    assert kernel.value("__import__('agenttrace_nb.capture.active', fromlist=['x']).ACTIVE.get() is None")


def test_a_block_within_a_traced_cell_is_a_run_within_its_run(kernel: Kernel) -> None:
    answer = kernel.run(
        "%%trace_agents --case outer\nouter = at.last()\n"
        "with at.trace(case='inner', live=False) as inner:\n    await Runner.run(adder(), 'x')\n"
        "await Runner.run(adder(), 'y')"
    )
    assert answer.status == "ok", answer.traceback
    assert kernel.value("(len(outer.traces), len(inner.traces))") == (1, 1)
    assert kernel.value("inner._started().run.parent_key == outer.key")


@pytest.mark.parametrize("magics", ["%%trace_agents --case t\n%%time", "%%time\n%%trace_agents --case t"])
def test_time_may_stand_on_either_side(kernel: Kernel, magics: str) -> None:
    answer = kernel.run(f"{magics}\nx = 1 + 1\nx")
    assert (answer.values, "Wall time" in answer.stdout) == (["2"], True)
    assert kernel.value("(at.last()._started().run.case, at.last().status.value)") == ("t", "ok")


def test_the_last_run_is_shown_again(kernel: Kernel) -> None:
    kernel.run("%%trace_agents --arch shown-again\nawait Runner.run(adder(), 'x')")
    assert "shown-again" in kernel.run("%trace_agents last").shown


def test_every_following_cell_is_traced_until_off(kernel: Kernel) -> None:
    kernel.run("%%trace_agents --case before\npass")
    kernel.run("%trace_agents on --case every")
    assert kernel.run("result = await Runner.run(adder(), 'x')\nresult.final_output").values == ["'3'"]
    kernel.run("%trace_agents off")
    kernel.run("result = await Runner.run(adder(), 'untraced')")
    assert kernel.value("(at.last()._started().run.case, len(at.last().traces))") == ("every", 1)


def test_a_cell_without_agents_waits_for_no_sdk(tmp_path: Path) -> None:
    with Kernel(tmp_path, AGENTTRACE_MLFLOW="off") as fresh:
        assert fresh.run("%load_ext agenttrace_nb").status == "ok"
        assert fresh.run("%%trace_agents\n1 + 1").values == ["2"]
        assert fresh.value("sorted({'agents', 'mlflow', 'pandas'} & set(__import__('sys').modules))") == []
        assert fresh.run("%trace_agents status").status == "ok"


SNAPSHOT = """
import sys
import agents.run, openai.resources.chat.completions as chat, openai.resources.responses as responses
from agents.tracing import get_trace_provider
def snapshot():
    return [
        [type(p).__name__ for p in get_trace_provider()._multi_processor._processors],
        type(agents.run.get_default_agent_runner()).__name__,
        [id(vars(c)[n]) for c in (chat.AsyncCompletions, chat.Completions) for n in ("create", "parse")],
        [id(vars(c)["create"]) for c in (responses.AsyncResponses, responses.Responses)],
        [type(finder).__name__ if not isinstance(finder, type) else finder.__name__ for finder in sys.meta_path],
    ]
before = snapshot()
"""


def test_unloading_leaves_the_sdk_as_it_was_and_loading_again_traces_again(tmp_path: Path) -> None:
    with Kernel(tmp_path, AGENTTRACE_MLFLOW="off") as fresh:
        for cell in (
            SNAPSHOT,
            AGENTS.replace("set_trace_processors([])", ""),
            "%%trace_agents\nawait Runner.run(adder(), 'x')",
        ):
            assert fresh.run(cell).status == "ok"
        assert fresh.value("snapshot() != before")
        assert fresh.run("%unload_ext agenttrace_nb").status == "ok"
        assert fresh.value("snapshot()") == fresh.value("before")
        assert fresh.run("await Runner.run(adder(), 'untraced')").status == "ok"
        fresh.run("%load_ext agenttrace_nb")
        assert fresh.run("%%trace_agents --case again\nawait Runner.run(adder(), 'x')").status == "ok"
        assert fresh.value("(at.last()._started().run.case, len(at.last().traces))") == ("again", 1)


def test_an_idle_kernel_imports_what_the_first_traced_cell_needs_but_no_sdk(tmp_path: Path) -> None:
    with Kernel(tmp_path, AGENTTRACE_MLFLOW="off") as fresh:
        assert fresh.run("%load_ext agenttrace_nb").status == "ok"
        loaded = "{'agenttrace_nb.tracing', 'agenttrace_nb.views.widget'} <= set(__import__('sys').modules)"
        until = time.monotonic() + 60
        while not fresh.value(loaded) and time.monotonic() < until:
            time.sleep(0.2)
        assert fresh.value(loaded)
        assert fresh.value("sorted({'agents', 'mlflow', 'pandas'} & set(__import__('sys').modules))") == []


def test_before_the_first_run_there_is_no_last_one(tmp_path: Path) -> None:
    with Kernel(tmp_path, AGENTTRACE_MLFLOW="off") as fresh:
        fresh.run("%load_ext agenttrace_nb")
        answer = fresh.run("%trace_agents last")
        assert answer.status == "error"
        assert "begin a cell with %%trace_agents" in answer.stderr


def test_where_every_cell_is_traced_those_without_agents_make_no_run_and_show_nothing(kernel: Kernel) -> None:
    kernel.run("%%trace_agents --case before\npass")
    kernel.run("%trace_agents on --case every")
    try:
        plain = kernel.run("import math\nmath.sqrt(4)")
        assert (plain.values, plain.displayed) == (["2.0"], [])
        assert kernel.value("at.last()._started().run.case") == "before"
        answer = kernel.run(
            "time.sleep(0.3)\nresult = await Runner.run(adder(), 'x')\ntime.sleep(0.1)", cell_id="cell-e"
        )
        assert "Adder" in answer.shown
        assert kernel.value("(at.last()._started().run.cell_id, at.last().status.value)") == ("cell-e", "ok")
        took = kernel.value("(lambda r: (r.end_ns - r.start_ns) / 1e9)(at.last()._started().run)")
        assert took > 0.35, "from the beginning of the cell to its end, and not of the agents"
        kernel.run("1 / 0")
        assert kernel.value("at.last()._started().run.cell_id") == "cell-e"
    finally:
        kernel.run("%trace_agents off")


def test_where_every_cell_is_traced_a_task_left_running_may_be_what_begins_the_run(kernel: Kernel) -> None:
    kernel.run("%trace_agents on --case left")
    try:
        kernel.run(
            "go = asyncio.Event()\nasync def later():\n    await go.wait()\n    await Runner.run(adder(), 'x')\n"
            "task = asyncio.create_task(later())",
            cell_id="cell-f",
        )
    finally:
        kernel.run("%trace_agents off")
    kernel.run("go.set()\nawait task")
    assert kernel.value("(at.last()._started().run.cell_id, at.last().status.value)") == ("cell-f", "ok")
    kernel.run(
        "from agenttrace_nb.journal.append import process_journal\nfrom agenttrace_nb.journal.read import JournalReader"
    )
    kinds = "[e.kind.value for e in JournalReader(process_journal().path).events() if e.run_key == at.last().key]"
    kernel.run("process_journal().flush()")
    found = kernel.value(kinds)
    assert (found[:2], found[-1]) == (["run-start", "run-end"], "trace-end")


def test_a_number_logged_in_a_run_that_waits_for_its_first_event_begins_it(kernel: Kernel) -> None:
    kernel.run(
        "run = at.trace(case='logged').start(at_first_event=True)\nprint(run)\nrun.log_metric('m', 1)\nrun.finish()"
    )
    assert kernel.value("at.last()._started().run.case") == "logged"
