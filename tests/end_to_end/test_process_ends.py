"""However a program ends, what happened in it reaches MLflow."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from end_to_end.programs import Program
from end_to_end.stored import Stored, restored, wait_until, wait_until_delivered

from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from end_to_end.programs import Running
    from mlflow.entities import Run

    from agenttrace_nb.spans import Trace

pytestmark = pytest.mark.timeout(180)

EXPERIMENT = "ends"

IN_A_TOOL = """
@function_tool
async def wait_long(reason: str) -> str:
    "Wait."
    say(inside="a tool")
    await asyncio.sleep(120)
    return "waited"

agent = asking(
    function_call("add", {"a": 1, "b": 2}, call_id="c1"),
    function_call("wait_long", {"reason": "to be ended"}, call_id="c2"),
    tools=(add, wait_long),
)
with at.trace(arch="killed", case="tool", experiment="ends", live=False) as run:
    run.log_param("before", "the end")
    ask(agent)
"""

IN_AN_LLM_CALL = """
from bench.models import Bench, Kind
from bench.script import Script, call, say as says, use

async def main():
    script = Script({"adder": [use(call("add", a=1, b=2)), says("3", delay_s=120)]})
    async with Bench(Kind.RESPONSES, script) as bench:
        agent = Agent(name="Adder", instructions="[[adder]]", model=bench.model(), tools=[add])
        with at.trace(arch="killed", case="llm", experiment="ends", live=False):
            task = asyncio.create_task(Runner.run(agent, "What is 1 + 2?"))
            while len(script.served) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            say(inside="an LLM call")
            await task

asyncio.run(main())
"""


def the_run(program: Program) -> tuple[Run, list[Trace], Stored]:
    """The program's only run and its traces, as ``mlflow.get_trace`` reads them."""
    stored = Stored(program.uri)
    (run,) = stored.cell_runs(EXPERIMENT).values()
    found = stored.traces(EXPERIMENT)
    return run, [restored(stored.trace(trace_id)) for trace_id in found], stored


def is_interrupted(program: Program) -> bool:
    runs = Stored(program.uri).cell_runs(EXPERIMENT).values()
    return [run.info.status for run in runs] == ["KILLED"]


def check_interrupted(program: Program, open_kind: SpanKind) -> None:
    run, (trace,), stored = the_run(program)
    assert run.info.status == "KILLED"
    assert run.data.tags["agenttrace.status"] == "interrupted"
    assert trace.status is Status.INTERRUPTED
    assert stored.trace(trace.trace_id).info.state.value == "ERROR"
    (call, *_) = [span for span in trace.spans if span.kind is SpanKind.LLM]
    assert (call.status, call.input_tokens is not None or call.output is not None) == (Status.OK, True)
    (tool, *_) = [span for span in trace.spans if span.kind is SpanKind.TOOL]
    assert (tool.name, tool.status) == ("add", Status.OK)
    assert (json.loads(tool.input), tool.output) == ({"a": 1, "b": 2}, 3)
    last = [span for span in trace.spans if span.kind is open_kind][-1]
    assert last.status is Status.INTERRUPTED
    assert "ended before" in last.error.message
    assert last.input is not None


@pytest.mark.parametrize(
    ("code", "open_kind"), [(IN_A_TOOL, SpanKind.TOOL), (IN_AN_LLM_CALL, SpanKind.LLM)], ids=["tool", "llm"]
)
def test_killed_in_the_middle_the_writer_tells_what_had_happened(
    code: str, open_kind: SpanKind, program: Program
) -> None:
    running = program.start(code)
    running.hear()
    running.kill()
    wait_until(lambda: is_interrupted(program), 60, "the run is in MLflow as interrupted")
    program.wait_for_writers()
    wait_until_delivered(program.state)
    check_interrupted(program, open_kind)


@pytest.mark.parametrize(
    ("code", "open_kind"),
    [
        pytest.param(IN_A_TOOL, SpanKind.TOOL, id="tool"),
        pytest.param(IN_AN_LLM_CALL, SpanKind.LLM, id="llm", marks=pytest.mark.slow),
    ],
)
def test_killed_with_its_writer_recover_tells_what_had_happened(
    code: str, open_kind: SpanKind, program: Program
) -> None:
    running = program.start(code)
    running.hear()
    kill_both(program, running)
    assert not is_interrupted(program)
    done = program.recover()
    assert done.returncode == 0, done.stderr
    assert "1 run, 1 trace" in done.stdout
    check_interrupted(program, open_kind)
    again = program.recover()
    assert again.returncode == 0, again.stderr
    check_interrupted(program, open_kind)


def kill_both(program: Program, running: Running) -> None:
    """End the writer first, so that it cannot tell the end of the other."""
    wait_until(program.writers, 10, "a writer was started")
    running.process.send_signal(signal.SIGSTOP)  # or it would start another writer
    for writer in program.writers():
        writer.kill()
    running.kill()
    program.wait_for_writers()


def test_the_next_program_delivers_what_a_killed_one_left(program: Program) -> None:
    running = program.start(IN_A_TOOL)
    running.hear()
    kill_both(program, running)
    program.run('with at.trace(arch="next", experiment="other", live=False):\n    ask()')
    wait_until(lambda: is_interrupted(program), 60, "the run is in MLflow as interrupted")
    check_interrupted(program, SpanKind.TOOL)
    program.wait_for_writers()
    (run,) = Stored(program.uri).cell_runs("other").values()
    assert run.info.status == "FINISHED"


# ----------------------------------------------------------------------------------------- regular and other ends

BLOCK = """
with at.trace(arch="ends", case=sys.argv[1], experiment="ends", live=False) as run:
    ask()
    {inside}
{after}
"""

WAYS = {
    "at the end": ("pass", "", 0, "FINISHED"),
    "sys.exit()": ("sys.exit()", "", 0, "FINISHED"),
    "sys.exit(3)": ("sys.exit(3)", "", 3, "FAILED"),
    "exception": ("raise KeyError('here')", "", 1, "FAILED"),
    "os._exit after": ("pass", "os._exit(4)", 4, "FINISHED"),
    "os._exit inside": ("os._exit(5)", "", 5, "KILLED"),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", "", -15, "KILLED"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "", -2, "KILLED"),
}
"""What stands in the block and after it, the program's exit status, and the run's status in MLflow."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Stored]:
    """What programs that end in every way, all at about the same time, leave in MLflow."""
    folder = tmp_path_factory.mktemp("ends")
    shutil.copy(empty_database, folder / "mlflow.db")
    program = Program(folder)
    try:
        for way, (inside, after, *_) in WAYS.items():
            program.start(BLOCK.format(inside=inside, after=after), way)
        for running, (_, _, status, _) in zip(program.started, WAYS.values(), strict=True):
            running.end(status)
        stored = Stored(program.uri)
        wait_until(lambda: len(stored.cell_runs(EXPERIMENT)) == len(WAYS), 90, "all runs are in MLflow")
        program.wait_for_writers(90)
        wait_until_delivered(program.state)
        yield stored
    finally:
        program.clean_up()


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_however_a_program_ends(way: str, ended: Stored) -> None:
    (run,) = [run for run in ended.cell_runs(EXPERIMENT).values() if run.data.tags["case"] == way]
    assert run.info.status == WAYS[way][-1]
    (found,) = ended.traces(EXPERIMENT, run_id=run.info.run_id)
    trace = restored(ended.trace(found))
    assert trace.status is Status.OK
    assert [span.kind.value for span in trace.spans].count("llm") == 2
    assert [message.data.tags["index"] for message in ended.message_runs(EXPERIMENT, run.info.run_id)] == ["0", "1"]


def test_a_program_that_is_over_in_a_moment_is_delivered_too(program: Program) -> None:
    code = 'import agenttrace_nb as at\nwith at.trace(arch="short", experiment="ends", live=False):\n    pass\n'
    for _ in range(3):
        program.start(code, preamble="").end()
    wait_until(lambda: len(Stored(program.uri).cell_runs(EXPERIMENT)) == 3, 60, "three runs are in MLflow")
    program.wait_for_writers()
    wait_until_delivered(program.state)
    assert {run.info.status for run in Stored(program.uri).cell_runs(EXPERIMENT).values()} == {"FINISHED"}


# --------------------------------------------------------------------------------------------------------- children

CHILDREN = """
import multiprocessing

def work(own):
    if own:
        with at.trace(arch="child", experiment="ends", live=False):
            return ask(question="in a block of the child's own")
    return ask(question="in the child")

if __name__ == "__main__":
    with at.trace(arch="parent", experiment="ends", live=False) as run:
        ask(question="before")
        with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
            answers = pool.map(work, [False, True])
        ask(question="after")
    say(answers=answers, arrived=run.wait(60), questions=[t.spans[0].input for t in run.traces])
"""


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_processes_started_in_a_block_harm_nothing_and_their_own_blocks_are_runs(how: str, program: Program) -> None:
    ended = program.run(CHILDREN, how)
    assert (ended.told["answers"], ended.told["arrived"]) == (["3", "3"], True)
    assert "cannot be written" not in ended.stderr
    program.wait_for_writers()
    wait_until_delivered(program.state)
    stored = Stored(program.uri)
    runs = {run.data.tags["arch"]: run for run in stored.cell_runs(EXPERIMENT).values()}
    assert {arch: run.info.status for arch, run in runs.items()} == {"parent": "FINISHED", "child": "FINISHED"}
    # A forked process goes on in the block; a spawned one is a program of its own, that knows of no block.
    in_the_block = ["after", "before"] + (["in the child"] if how == "fork" else [])
    for arch, questions in {"parent": in_the_block, "child": ["in a block of the child's own"]}.items():
        found = stored.traces(EXPERIMENT, run_id=runs[arch].info.run_id)
        assert sorted(trace.info.request_preview for trace in found.values()) == questions
        assert len(stored.message_runs(EXPERIMENT, runs[arch].info.run_id)) == 2 * len(questions)
