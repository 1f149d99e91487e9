"""However a program ends, what happened in it reaches MLflow."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from end_to_end.stored import Stored, restored, wait_until, wait_until_delivered

from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from end_to_end.programs import Program, Running
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
    ("code", "open_kind"), [(IN_A_TOOL, SpanKind.TOOL), (IN_AN_LLM_CALL, SpanKind.LLM)], ids=["tool", "llm"]
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


@pytest.mark.parametrize(
    ("inside", "after", "status", "ended"),
    [
        ("pass", "", 0, "FINISHED"),
        ("sys.exit()", "", 0, "FINISHED"),
        ("sys.exit(3)", "", 3, "FAILED"),
        ("raise KeyError('here')", "", 1, "FAILED"),
        ("pass", "os._exit(4)", 4, "FINISHED"),
        ("os._exit(5)", "", 5, "KILLED"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "", -15, "KILLED"),
        ("raise KeyboardInterrupt", "", -2, "KILLED"),
    ],
    ids=[
        "at the end",
        "sys.exit(0)",
        "sys.exit(3)",
        "exception",
        "os._exit after",
        "os._exit inside",
        "SIGTERM",
        "interrupt",
    ],
)
def test_nothing_is_lost_however_a_program_ends(
    inside: str, after: str, status: int, ended: str, program: Program
) -> None:
    program.run(BLOCK.format(inside=inside, after=after), "x", status=status)
    wait_until(
        lambda: [r.info.status for r in Stored(program.uri).cell_runs(EXPERIMENT).values()] == [ended], 60, ended
    )
    program.wait_for_writers()
    wait_until_delivered(program.state)
    run, (trace,), stored = the_run(program)
    assert trace.status is Status.OK
    assert [span.kind.value for span in trace.spans].count("llm") == 2
    assert [message.data.tags["index"] for message in stored.message_runs(EXPERIMENT, run.info.run_id)] == ["0", "1"]
