"""What belongs to which cell: tasks, threads, cells side by side, and code that runs while an error is handled."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from agents import Agent, Runner, custom_span, function_tool, trace
from agents.testing import ScriptedModel, assistant_message, function_call
from bench import tree
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.streams import read_to_the_end
from bench.script import Script, call, say, use

from agenttrace_nb.spans import Status
from capture.recording import completed, recording, rows

if TYPE_CHECKING:
    from pathlib import Path


async def test_cells_side_by_side_keep_apart(tmp_path: Path) -> None:
    async def cell(name: str, answer: str) -> list[Any]:
        async with Bench(
            Kind.BARE, Script({"assistant": [use(call("add", a=1, b=2)), say(answer, delay_s=0.02)]})
        ) as bench:
            with recording(tmp_path, run_key=name) as rec:
                results = await asyncio.gather(*(Runner.run(assistant(bench, add), f"{name} {n}") for n in range(1)))
                await asyncio.sleep(0)
        assert results[0].final_output == answer
        return [rec.spans, rec.notes]

    found = await asyncio.gather(*(cell(f"cell {n}", f"answer {n}") for n in range(5)))
    for n, (spans, notes) in enumerate(found):
        assert notes == []
        assert [span.kind.value for span in spans] == ["workflow", "agent", "turn", "llm", "tool", "turn", "llm"]
        assert (spans[0].input, spans[0].output) == (f"cell {n} 0", f"answer {n}")


async def test_a_cell_inside_a_cell_records_its_own(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("a"), say("b"), say("c")]})) as bench:
        with recording(tmp_path, run_key="outer") as outer:
            await Runner.run(assistant(bench), "1")
            with recording(tmp_path, run_key="inner") as inner:
                await Runner.run(assistant(bench), "2")
            await Runner.run(assistant(bench), "3")
    assert [span.input for span in outer.all("workflow")] == ["1", "3"]
    assert [span.input for span in inner.all("workflow")] == ["2"]


async def test_a_task_left_running_belongs_to_the_cell_that_began_it(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def later(bench: Bench) -> None:
        await go_on.wait()
        await Runner.run(assistant(bench), "late")

    async with Bench(Kind.BARE, Script({"assistant": [say("a"), say("b")]})) as bench:
        with recording(tmp_path, run_key="first") as first:
            task = asyncio.create_task(later(bench))
        with recording(tmp_path, run_key="second") as second:
            await Runner.run(assistant(bench), "now")
            go_on.set()
            await task
    assert [span.input for span in first.all("workflow")] == ["late"]
    assert [span.input for span in second.all("workflow")] == ["now"]
    assert {span.status for span in first.spans} == {Status.OK}


async def test_a_run_left_in_the_background_goes_on_being_recorded(tmp_path: Path) -> None:
    async with Bench(Kind.RESPONSES, SCENARIOS["stream_consumed"].script()) as bench:
        with recording(tmp_path) as rec:
            result = Runner.run_streamed(assistant(bench, add), "What is 2 + 3?")
        assert rec.spans == []
        await read_to_the_end(result)
        traces = await completed(rec)
    assert tree.difference(SCENARIOS["stream_consumed"].golden(Kind.RESPONSES), tree.build(rows(traces))) == ""


# ------------------------------------------------------------------------------------------------------------ threads


def scripted(*answers: Any) -> ScriptedModel:
    return ScriptedModel([[answer] for answer in answers], emit_traces=True)


def run_sync(agent: Agent[Any]) -> Any:
    """Run an agent synchronously and close the loop that the SDK leaves open for a next time."""
    try:
        return Runner.run_sync(agent, "hi")
    finally:
        asyncio.get_event_loop_policy().get_event_loop().close()


def test_a_synchronous_run_is_recorded(tmp_path: Path) -> None:
    agent = Agent(
        name="A",
        model=scripted(function_call("add", '{"a": 1, "b": 2}', call_id="c"), assistant_message("3")),
        tools=[add],
    )
    with recording(tmp_path) as rec:
        assert run_sync(agent).final_output == "3"
    assert [span.kind.value for span in rec.spans] == ["workflow", "agent", "turn", "llm", "tool", "turn", "llm"]
    assert {span.status for span in rec.spans} == {Status.OK}


async def test_a_synchronous_run_in_a_thread_that_has_the_context_is_recorded(tmp_path: Path) -> None:
    agent = Agent(name="A", model=scripted(assistant_message("hello")))
    with recording(tmp_path) as rec:
        result = await asyncio.to_thread(run_sync, agent)
        other = agent.clone(model=scripted(assistant_message("ho")))
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(contextvars.copy_context().run, run_sync, other)
            assert again.result().final_output == "ho"
    assert result.final_output == "hello"
    assert len(rec.traces) == 2
    assert {span.status for span in rec.spans} == {Status.OK}


def test_a_thread_without_the_context_is_another_place(tmp_path: Path) -> None:
    agent = Agent(name="A", model=scripted(assistant_message("hello")))
    with recording(tmp_path) as rec:
        thread = threading.Thread(target=run_sync, args=(agent,))
        thread.start()
        thread.join()
    assert rec.spans == []
    assert rec.notes == []


async def test_spans_of_a_synchronous_tool_are_below_it(tmp_path: Path) -> None:
    @function_tool
    def outside(city: str) -> str:
        """Look outside, in a thread of the SDK's."""
        with custom_span("look", {"thread": threading.current_thread() is threading.main_thread()}):
            return f"rain in {city}"

    async with Bench(Kind.BARE, Script({"assistant": [use(call("outside", city="Oslo")), say("rain")]})) as bench:
        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, outside), "hello")
    look, tool = rec.one("other"), rec.one("tool")
    assert look.parent_id == tool.span_id
    assert look.attributes["data"] == {"thread": False}
    assert tool.output == "rain in Oslo"


async def test_a_synchronous_tool_that_outlives_its_cancelled_run_ends_too(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    @function_tool
    def stubborn() -> str:
        """Work on whatever happens."""
        with custom_span("work"):
            began.set()
            go_on.wait(20)
        return "done"

    async with Bench(Kind.BARE, Script({"assistant": [use(call("stubborn"))]})) as bench:
        with recording(tmp_path) as rec:
            task = asyncio.create_task(Runner.run(assistant(bench, stubborn), "hello"))
            await asyncio.to_thread(began.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            await completed(rec)
    statuses = {span.name: span.status for span in rec.spans}
    assert statuses["work"] is Status.OK
    assert statuses["stubborn"] is Status.CANCELLED
    assert rec.traces[0].status is Status.CANCELLED


async def test_many_threads_and_tasks_at_once_lose_nothing(tmp_path: Path) -> None:
    count = 8

    @function_tool
    def twice(n: int) -> int:
        """Double, in a thread."""
        return 2 * n

    script = {f"worker{n}": [use(call("twice", n=n), call("twice", n=n + 1)), say(f"{n}")] for n in range(count)}
    async with Bench(Kind.BARE, Script(script)) as bench:
        with recording(tmp_path) as rec:
            agents = [assistant(bench, twice, name=f"Worker{n}") for n in range(count)]
            await asyncio.gather(*(Runner.run(agent, str(n)) for n, agent in enumerate(agents)))
    assert rec.notes == []
    assert len(rec.traces) == count
    for one in rec.traces:
        kinds = [span.kind.value for span in one.spans]
        assert sorted(kinds) == sorted(["workflow", "agent", "turn", "llm", "tool", "tool", "turn", "llm"])
        n = int(one.spans[0].input)
        assert {span.output for span in one.spans if span.kind == "tool"} == {2 * n, 2 * n + 2}
        assert {span.status for span in one.spans} == {Status.OK}


# -------------------------------------------------------------------------------------------- while an error is handled


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "name", ["single_agent_with_tool", "agents_as_tools", "plan_execute_evaluate_in_trace", "stream_consumed"]
)
async def test_agents_that_run_while_an_error_is_handled_have_not_failed(name: str, kind: Kind, tmp_path: Path) -> None:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        with recording(tmp_path) as rec:
            try:
                raise LookupError("handled by the cell")  # noqa: TRY301
            except LookupError:
                await play(one, bench)
                traces = await completed(rec)
    assert tree.difference(one.golden(kind), tree.build(rows(traces))) == ""


async def test_an_error_inside_is_told_from_the_one_that_is_handled(tmp_path: Path) -> None:
    one = SCENARIOS["model_429"]
    async with Bench(Kind.BARE, one.script()) as bench:
        with recording(tmp_path) as rec:
            try:
                raise LookupError("handled by the cell")  # noqa: TRY301
            except LookupError:
                await play(one, bench)
    assert {str(span.error).split(":")[0] for span in rec.spans} == {"RateLimitError"}
    assert rec.one("llm").error is not None
    assert rec.one("llm").error.http_status == 429


async def test_agents_that_run_in_the_handler_of_their_own_errors_are_right(tmp_path: Path) -> None:
    async with Bench(
        Kind.BARE, Script({"assistant": [*SCENARIOS["model_429"].steps["assistant"], say("hi")]})
    ) as bench:
        with recording(tmp_path) as rec, trace("try twice"):
            try:
                await Runner.run(assistant(bench), "first")
            except Exception:
                await Runner.run(assistant(bench), "second")
    assert [span.status for span in rec.all("llm")] == [Status.ERROR, Status.OK]
    assert [span.status for span in rec.all("agent")] == [Status.ERROR, Status.OK]
    assert rec.traces[0].status is Status.OK


async def test_a_tool_that_runs_an_agent_while_it_handles_an_error_is_right(tmp_path: Path) -> None:
    script = Script({"assistant": [use(call("rescue")), say("saved")], "helper": [say("help")]})
    async with Bench(Kind.BARE, script) as bench:
        helper = assistant(bench, name="Helper")

        @function_tool
        async def rescue() -> str:
            """Ask another agent when in trouble."""
            try:
                raise OSError("trouble")  # noqa: TRY301
            except OSError:
                return str((await Runner.run(helper, "help")).final_output)

        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, rescue), "hello")
    assert rec.one("tool").output == "help"
    assert {span.status for span in rec.spans} == {Status.OK}
    assert [span.parent_id for span in rec.all("agent")] == [rec.one("workflow").span_id, rec.one("tool").span_id]
