"""Capture is put in place at the right moment, stays in place, and is taken away without leaving anything."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import openai.resources.chat.completions as chat
import pytest
from agents import Runner, SQLiteSession, add_trace_processor, set_trace_processors
from agents.mcp import MCPServerStdio
from agents.run import AgentRunner, get_default_agent_runner, set_default_agent_runner
from agents.tracing import TracingProcessor, get_trace_provider
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.state import MCP_SERVER
from bench.script import Script, call, say, use
from openai.resources import responses

from agenttrace_nb.capture import install
from agenttrace_nb.capture.processor import JournalProcessor
from agenttrace_nb.capture.runner import JournalRunner
from capture.recording import recording

TESTS = Path(__file__).parents[1]
CLIENTS = [(chat, "Completions"), (chat, "AsyncCompletions"), (responses, "Responses"), (responses, "AsyncResponses")]


class Listener(TracingProcessor):
    """A processor of the user's own."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_trace_start(self, trace: Any) -> None:
        """Nothing."""

    def on_trace_end(self, trace: Any) -> None:
        self.ended.append(trace.name)

    def on_span_start(self, span: Any) -> None:
        """Nothing."""

    def on_span_end(self, span: Any) -> None:
        """Nothing."""

    def shutdown(self) -> None:
        """Nothing."""

    def force_flush(self) -> None:
        """Nothing."""


def processors() -> list[Any]:
    return list(get_trace_provider()._multi_processor._processors)


def as_found() -> dict[str, Any]:
    """Return everything that installing touches."""
    multi = get_trace_provider()._multi_processor
    return {
        "processors": processors(),
        "holder": sorted(vars(multi)),
        "runner": get_default_agent_runner(),
        "clients": [vars(getattr(module, name))["create"] for module, name in CLIENTS],
        "meta path": list(sys.meta_path),
    }


async def one_run(folder: Path) -> int:
    """Run an agent inside a recording; return how many spans were recorded."""
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        with recording(folder) as rec:
            await Runner.run(assistant(bench), "hello")
    assert rec.notes == []
    return len(rec.spans)


async def test_uninstalling_leaves_the_sdk_exactly_as_it_was_found(tmp_path: Path) -> None:
    first, second = Listener(), Listener()
    set_trace_processors([first, second])
    before = as_found()
    for _ in range(3):
        install.install()
        assert isinstance(processors()[0], JournalProcessor)
        assert await one_run(tmp_path) == 4
        install.uninstall()
        assert as_found() == before
    assert first.ended == second.ended == ["Agent workflow"] * 3


def test_installing_twice_is_installing_once() -> None:
    before = as_found()
    install.install()
    once = as_found()
    install.install()
    install.ensure()
    assert as_found() == once
    assert [type(processor) for processor in processors()].count(JournalProcessor) == 1
    install.uninstall()
    install.uninstall()
    assert as_found() == before


async def test_sessions_and_mcp_servers_are_left_as_they_were_found(tmp_path: Path) -> None:
    async with (
        Bench(Kind.BARE, Script({"assistant": [use(call("count_letters", text="ab")), say("2")]})) as bench,
        MCPServerStdio({"command": sys.executable, "args": [str(MCP_SERVER)]}, name="letters") as server,
    ):
        session = SQLiteSession("memory")

        async def own_get_items(*args: Any, **kwargs: Any) -> Any:
            return await SQLiteSession.get_items(session, *args, **kwargs)

        session.get_items = own_get_items  # an attribute of the user's own
        before = dict(vars(session)), dict(vars(server))
        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, mcp_servers=[server]), "hello", session=session)
        assert rec.notes == []
        assert session.get_items is not own_get_items
        install.uninstall()
        after = dict(vars(session)), dict(vars(server))
        session.close()
    assert after[0] == before[0]
    assert {name: after[1].get(name) for name in ("call_tool", "list_tools")} == {"call_tool": None, "list_tools": None}
    assert set(after[1]) == set(before[1])


# ------------------------------------------------------------------------------------------------------ it stays there


async def test_a_cell_that_empties_the_list_of_processors_is_recorded(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        with recording(tmp_path) as rec:
            set_trace_processors([])
            await Runner.run(assistant(bench), "hello")
    assert len(rec.spans) == 4


async def test_a_processor_added_later_hears_everything_too(tmp_path: Path) -> None:
    listener = Listener()
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        with recording(tmp_path) as rec:
            add_trace_processor(listener)
            await Runner.run(assistant(bench), "hello")
    assert (len(rec.spans), listener.ended) == (4, ["Agent workflow"])
    install.uninstall()
    assert processors() == [listener]


async def test_a_processor_of_the_users_own_that_breaks_harms_nobody(tmp_path: Path) -> None:
    class Broken(Listener):
        def on_trace_start(self, trace: Any) -> None:
            raise RuntimeError

    set_trace_processors([Broken()])
    assert await one_run(tmp_path) == 4


async def test_a_cell_that_sets_the_default_runner_is_recorded_from_the_next_cell_on(tmp_path: Path) -> None:
    assert await one_run(tmp_path) == 4
    set_default_agent_runner(None)
    assert await one_run(tmp_path) == 4
    assert isinstance(get_default_agent_runner(), JournalRunner)


async def test_after_uninstalling_nothing_is_recorded(tmp_path: Path) -> None:
    async with Bench(Kind.RESPONSES, Script({"assistant": [say("hi")]})) as bench:
        with recording(tmp_path) as rec:
            install.uninstall()
            await Runner.run(assistant(bench), "hello")
    assert rec.spans == []


# ----------------------------------------------------------------------------------------------- a runner of the user's


class CountingRunner(AgentRunner):
    """A runner of the user's own."""

    def __init__(self, inner: Any = None) -> None:
        self.inner, self.calls, self.flavour = inner, [], "counting"

    async def run(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        self.calls.append(("run", starting_agent.name, input))
        return await (self.inner.run if self.inner else super().run)(starting_agent, input, **kwargs)

    def run_streamed(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        self.calls.append(("run_streamed", starting_agent.name, input))
        return (self.inner.run_streamed if self.inner else super().run_streamed)(starting_agent, input, **kwargs)


@pytest.fixture(autouse=True)
def nothing_installed() -> None:
    """Tests of other files may leave it installed, as a user's session does."""
    install.uninstall()


@pytest.fixture
def the_sdks_runner() -> Any:
    found = get_default_agent_runner()
    yield found
    set_default_agent_runner(found)


async def test_a_runner_of_the_users_own_is_kept_called_and_given_back(tmp_path: Path, the_sdks_runner: Any) -> None:
    own = CountingRunner()
    set_default_agent_runner(own)
    assert await one_run(tmp_path) == 4
    assert own.calls == [("run", "Assistant", "hello")]
    assert get_default_agent_runner().flavour == "counting"
    install.uninstall()
    assert get_default_agent_runner() is own


async def test_a_runner_of_the_users_own_put_around_ours_records_once(tmp_path: Path, the_sdks_runner: Any) -> None:
    install.install()
    own = CountingRunner(get_default_agent_runner())
    set_default_agent_runner(own)
    one = SCENARIOS["single_agent_with_tool"]
    async with Bench(Kind.BARE, one.script()) as bench:
        with recording(tmp_path) as rec:
            await play(one, bench)
    assert rec.notes == []
    assert [span.kind.value for span in rec.spans] == ["workflow", "agent", "turn", "llm", "tool", "turn", "llm"]
    assert len(own.calls) == 1
    install.uninstall()
    assert get_default_agent_runner() is own


# --------------------------------------------------------------------------------------------------- before the import


def run_program(program: str, folder: Path) -> str:
    """Run a program in a process of its own, in which the SDK is not imported yet."""
    head = f"""
        import asyncio, pathlib, sys
        from agenttrace_nb.capture import install
        from agenttrace_nb.capture.active import ACTIVE, Recorder
        from agenttrace_nb.journal.append import Journal
        from agenttrace_nb.journal.events import EventKind
        from agenttrace_nb.journal.live import LiveFold
        from agenttrace_nb.journal.redact import Redactor
        before = list(sys.meta_path)
        journal = Journal(pathlib.Path({str(folder)!r}) / "one.journal")
        live = LiveFold(journal, "run")
        recorder = Recorder(journal, "run", Redactor(), note=print)
        recorder.append(EventKind.RUN_START, body={{"name": "test"}}, urgent=True)
        assert "agents" not in sys.modules
    """
    text = textwrap.dedent(head) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ASK = """
        async def ask():
            from agents import Agent, Runner
            from agents.testing import ScriptedModel, assistant_message
            await Runner.run(Agent(name="A", model=ScriptedModel([[assistant_message("hello")]])), "hi")
"""


def test_an_sdk_first_imported_inside_the_cell_is_recorded(tmp_path: Path) -> None:
    program = f"""
        install.install()
        ACTIVE.set(recorder)
        assert "agents" not in sys.modules
        {ASK}
        asyncio.run(ask())
        print([span.kind.value for trace in live.traces for span in trace.spans])
        import agents
        install.uninstall()
        print(sys.meta_path == before, vars(agents.__spec__.loader).get("exec_module"), "mlflow" in sys.modules)
    """
    assert run_program(program, tmp_path) == "['workflow', 'agent', 'turn', 'llm']\nTrue None False\n"


def test_asking_whether_the_sdk_is_there_does_not_spoil_it(tmp_path: Path) -> None:
    program = f"""
        import importlib.util
        install.install()
        ACTIVE.set(recorder)
        assert importlib.util.find_spec("agents") is not None
        assert importlib.util.find_spec("agents") is not None
        assert "agents" not in sys.modules
        {ASK}
        asyncio.run(ask())
        install.uninstall()
        print(len(live.traces), sys.meta_path == before)
    """
    assert run_program(program, tmp_path) == "1 True\n"


def test_the_clients_modules_are_not_imported_before_they_are_needed_and_watched_from_then_on(tmp_path: Path) -> None:
    program = f"""
        import agents
        places = ["openai.resources.responses.responses", "openai.resources.chat.completions.completions"]
        install.install()
        ACTIVE.set(recorder)
        {ASK}
        asyncio.run(ask())
        import openai.resources.responses
        import openai.resources.chat.completions
        print([place in sys.modules for place in places])
        from openai import AsyncOpenAI
        client = AsyncOpenAI(api_key="none")
        found = []
        for owner in (client.responses, client.chat.completions):
            found.append(type(owner).create)
        install.uninstall()
        print([type(owner).create is original.__wrapped__ for owner, original in
               zip((client.responses, client.chat.completions), found)])
        print(sys.meta_path == before)
    """
    assert run_program(program, tmp_path) == "[False, False]\n[True, True]\nTrue\n"


def test_an_import_that_waits_can_be_called_off(tmp_path: Path) -> None:
    program = f"""
        import importlib.util
        install.install()
        spec = importlib.util.find_spec("agents")
        install.uninstall()
        assert sys.meta_path == before
        ACTIVE.set(recorder)
        {ASK}
        asyncio.run(ask())
        from agents.run import get_default_agent_runner
        print(len(live.traces), type(get_default_agent_runner()).__name__)
    """
    assert run_program(program, tmp_path) == "0 AgentRunner\n"


def test_without_the_sdk_nothing_happens(tmp_path: Path) -> None:
    program = """
        sys.path = [p for p in sys.path if "site-packages" not in p]
        install.install()
        try:
            import agents
        except ModuleNotFoundError as error:
            print(error.name)
        install.uninstall()
        print(sys.meta_path == before)
    """
    assert run_program(program, tmp_path) == "agents\nTrue\n"


def test_installing_imports_neither_the_sdk_nor_mlflow(tmp_path: Path) -> None:
    program = """
        install.install()
        print(sorted({"agents", "mlflow", "openai", "pandas"} & set(sys.modules)))
    """
    assert run_program(program, tmp_path) == "[]\n"


# -------------------------------------------------------------------------------------------------- other instruments


@pytest.mark.parametrize("switched_on", ["before", "inside"])
async def test_mlflows_autologging_does_not_push_us_out(
    switched_on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        async with Bench(Kind.RESPONSES, SCENARIOS["single_agent_with_tool"].script()) as bench:
            if switched_on == "before":
                mlflow.openai.autolog()
            with recording(tmp_path) as rec:
                if switched_on == "inside":
                    mlflow.openai.autolog()
                await Runner.run(assistant(bench, add), "hello")
        assert rec.notes == []
        assert [span.kind.value for span in rec.spans] == ["workflow", "agent", "turn", "llm", "tool", "turn", "llm"]
    finally:
        mlflow.openai.autolog(disable=True)
        with contextlib.suppress(Exception):
            mlflow.flush_trace_async_logging()
