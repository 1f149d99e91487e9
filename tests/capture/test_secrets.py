"""What must not be stored is in no byte of the journal, in no event of the bus, in nothing that is read from them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agents import Agent, ModelSettings, RunConfig, Runner, custom_span, function_tool, set_tracing_disabled, trace
from bench import dialects
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.extras import ARGUMENT_KEY, CONTEXT_KEY, HEADER_TOKEN, RESULT_TOKEN
from bench.scenarios.flows import add, assistant
from bench.scenarios.limits import REASON
from bench.scenarios.streams import read_to_the_end
from bench.script import Script, call, say, use

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.follow import checkpoint
from agenttrace_nb.journal.redact import Redactor
from capture.recording import Recording, completed, recording

if TYPE_CHECKING:
    from collections import deque

    from agenttrace_nb.journal.events import Event

TESTS = Path(__file__).parents[1]


def everything_kept(rec: Recording, published: deque[Event]) -> bytes:
    """Return all bytes of the journal's files, before and after a checkpoint, and all that went over the bus."""
    rec.journal.flush()
    path = rec.journal.path
    assert path is not None
    kept = b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.stem}*")))
    checkpoint(path)
    kept += b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.stem}*")))
    assert b"span-start" in kept  # the files are the ones that hold the record
    kept += "".join(repr(event) for event in published).encode()
    return kept + json.dumps([[span.input, span.output] for span in rec.spans], default=repr).encode()


async def kept_of(name: str, kind: Kind, folder: Path) -> tuple[bytes, Recording]:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        with recording(folder) as rec:
            published = rec.journal.bus.subscribe()
            await play(one, bench)
            await completed(rec)
    assert rec.notes == []
    return everything_kept(rec, published), rec


# ------------------------------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize("kind", Kind)
async def test_secrets_in_context_headers_arguments_and_results_are_nowhere(kind: Kind, tmp_path: Path) -> None:
    kept, rec = await kept_of("secret_canaries", kind, tmp_path)
    for secret in (CONTEXT_KEY, HEADER_TOKEN, ARGUMENT_KEY, RESULT_TOKEN):
        assert secret.encode() not in kept
    for part in (b"c0ntextcanary", b"h3adercanary", b"argumentcanary", b"r3sultcanary"):
        assert part not in kept
    assert json.loads(rec.one("tool").input) == {"api_key": "[redacted]"}
    assert rec.one("tool").output == "logged in Ada, token [redacted]"


async def test_neither_context_nor_run_configuration_are_kept_in_any_form(tmp_path: Path) -> None:
    canaries = {name: f"plain-{name}-canary" for name in ("context", "header", "query", "body", "args", "provider")}

    class Context:
        name = canaries["context"]

        def __repr__(self) -> str:
            return canaries["context"]

    settings = ModelSettings(
        extra_headers={"X-Note": canaries["header"]}, extra_query={"q": canaries["query"]},
        extra_body={"b": canaries["body"]}, extra_args={"a": canaries["args"]},
    )  # fmt: skip
    async with Bench(Kind.BARE, Script({"assistant": [use(call("add", a=1, b=2)), say("3")]})) as bench:
        with recording(tmp_path) as rec:
            published = rec.journal.bus.subscribe()
            agent = assistant(bench, add, model_settings=settings)
            await Runner.run(agent, "hi", context=Context(), run_config=RunConfig(model_settings=settings))
    kept = everything_kept(rec, published)
    assert [name for name, canary in canaries.items() if canary.encode() in kept] == []


async def test_objects_of_the_users_own_do_not_live_on_in_what_is_kept(tmp_path: Path) -> None:
    class Vault:
        def __repr__(self) -> str:
            return "canary"

    with recording(tmp_path) as rec:
        published = rec.journal.bus.subscribe()
        data: dict[str, Any] = {"vault": Vault(), "rows": [1]}
        with trace("t", metadata={"vault": Vault()}), custom_span("note", data):
            pass
        data["rows"].append(2)
    assert b"canary" not in everything_kept(rec, published)
    assert rec.one("other").attributes["data"]["rows"] == [1]
    assert "Vault" in rec.traces[0].metadata["vault"]


async def test_secrets_in_errors_names_metadata_and_custom_data_are_nowhere(tmp_path: Path) -> None:
    def key(where: str) -> str:
        return f"sk-{where}canary{'0' * 24}"

    @function_tool(name_override="probe")
    async def probe() -> str:
        """Fail with a key in the text."""
        raise PermissionError(f"key {key('error')} was refused") from OSError(key("cause"))

    with recording(tmp_path) as rec:
        published = rec.journal.bus.subscribe()
        async with Bench(
            Kind.BARE, Script({"assistant": [use(call("probe")), say(f"It was {key('answer')}.")]})
        ) as bench:
            with (
                trace(f"Work {key('name')}", metadata={"note": key("metadata"), "api_key": "plain-by-name-canary"}),
                custom_span("note", {"text": key("data")}),
            ):
                await Runner.run(assistant(bench, probe), f"My key is {key('prompt')}.")
    kept = everything_kept(rec, published)
    assert re.findall(rb"sk-\w+canary", kept) == []
    assert b"plain-by-name-canary" not in kept
    assert rec.one("tool").error is not None
    assert "PermissionError: key [redacted] was refused" in str(rec.one("tool").error)


async def test_rules_of_the_users_own_are_applied_before_anything_is_kept(tmp_path: Path) -> None:
    redactor = Redactor([r"A-\d+", lambda text: text.replace("chairs", "[furniture]")])
    one = SCENARIOS["triage_with_handoffs"]
    async with Bench(Kind.RESPONSES, one.script()) as bench:
        with recording(tmp_path, redactor) as rec:
            published = rec.journal.bus.subscribe()
            outcome = await play(one, bench)
    kept = everything_kept(rec, published)
    assert b"A-17" not in kept
    assert b"chairs" not in kept
    assert rec.one("workflow").input == "I want my money back for order [redacted]."
    assert rec.one("tool").output == "order [redacted]: 2 [furniture], delivered"
    # The agents saw everything.
    assert "order A-17: 2 chairs, delivered" in json.dumps(outcome.results[0].to_input_list())


async def test_a_rule_that_breaks_lets_nothing_through(tmp_path: Path) -> None:
    def broken(text: str) -> str:
        raise RuntimeError(text)

    async with Bench(Kind.BARE, Script({"assistant": [say("canary")]})) as bench:
        with recording(tmp_path, Redactor([broken])) as rec:
            published = rec.journal.bus.subscribe()
            result = await Runner.run(assistant(bench), "canary")
    assert result.final_output == "canary"
    assert b"canary" not in everything_kept(rec, published)


# ----------------------------------------------------------------------------------------- what the SDK's switches say


def texts_of(name: str) -> list[str]:
    """Return everything that is said in a scenario, from its script and its source."""
    one = SCENARIOS[name]
    said = ["What is 2 + 3?", "You help.", "[[assistant]]"]
    for turn in one.script().all_turns:
        said += [turn.step.text] if turn.step.text else []
        said += [made.arguments for made in turn.step.calls]
        assert dialects.response_output(turn)
    return said


@pytest.mark.parametrize("kind", Kind)
async def test_without_sensitive_data_nothing_that_was_said_is_kept(kind: Kind, tmp_path: Path) -> None:
    kept, rec = await kept_of("no_sensitive_data", kind, tmp_path)
    for text in texts_of("no_sensitive_data"):
        assert text.encode() not in kept
        assert json.dumps(text)[1:-1].encode() not in kept
    assert {(span.input, span.output) for span in rec.spans} == {(None, None)}
    tokens = SCENARIOS["no_sensitive_data"].expected(kind).tokens
    assert tokens is not None
    assert rec.traces[0].total("input_tokens") == tokens.input  # the numbers stay


async def said_nothing(folder: Path, agent_options: dict[str, Any], script: dict[str, Any], **options: Any) -> bytes:
    """Run without sensitive data, in whatever way it ends, and return all that was kept."""
    config = RunConfig(trace_include_sensitive_data=False)
    streamed = options.pop("streamed", False)
    async with Bench(Kind.RESPONSES, Script(script)) as bench:
        with recording(folder) as rec:
            published = rec.journal.bus.subscribe()
            agent = Agent(name="Assistant", instructions="[[assistant]] canary", model=bench.model(), **agent_options)
            try:
                if streamed:
                    await read_to_the_end(Runner.run_streamed(agent, "canary", run_config=config, **options))
                else:
                    await Runner.run(agent, "canary", run_config=config, **options)
            except Exception as error:
                rec.notes.append(type(error).__name__)
            await completed(rec)
    return everything_kept(rec, published)


@function_tool
async def failing(text: str) -> str:
    """Fail with what was given."""
    raise ValueError(text)


@function_tool(failure_error_function=None)
async def failing_through(text: str) -> str:
    """Fail with what was given, and end the run."""
    raise ValueError(text) from LookupError(text)


@function_tool(timeout=0.01, timeout_error_function=lambda context, error: "canary")
async def slow(text: str) -> str:
    """Take too long."""
    import asyncio

    await asyncio.sleep(5)
    return text


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "answer": ({}, {"assistant": [say("canary")]}, {}),
    "stream": ({}, {"assistant": [say("canary canary")]}, {"streamed": True}),
    "tool fails": ({"tools": [failing]}, {"assistant": [use(call("failing", text="canary")), say("canary")]}, {}),
    "run fails": ({"tools": [failing_through]}, {"assistant": [use(call("failing_through", text="canary"))]}, {}),
    "tool too slow": ({"tools": [slow]}, {"assistant": [use(call("slow", text="canary")), say("canary")]}, {}),
    "unknown tool": ({}, {"assistant": [use(call("canary"))]}, {}),
    "bad output": ({"output_type": list[int]}, {"assistant": [say('{"response": "canary"}')]}, {}),
    "too many turns": (
        {"tools": [add]}, {"assistant": [use(call("add", a=1, b=2)), use(call("add", a=1, b=2))]}, {"max_turns": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_without_sensitive_data_failures_say_nothing_either(name: str, tmp_path: Path) -> None:
    agent_options, script, options = CASES[name]
    assert b"canary" not in await said_nothing(tmp_path, agent_options, script, **options)


async def test_data_of_custom_spans_inside_a_run_without_sensitive_data_is_not_kept(tmp_path: Path) -> None:
    @function_tool
    async def note(text: str) -> str:
        """Note something in a span."""
        with custom_span("note", {"text": text}):
            return text

    script = {"assistant": [use(call("note", text="canary")), say("canary")]}
    assert b"canary" not in await said_nothing(tmp_path, {"tools": [note]}, script)


@pytest.mark.parametrize("kind", Kind)
async def test_a_run_with_tracing_disabled_leaves_nothing(kind: Kind, tmp_path: Path) -> None:
    one = SCENARIOS["tracing_disabled"]
    async with Bench(kind, one.script()) as bench:
        with recording(tmp_path) as rec:
            await play(one, bench)
    rec.journal.flush()
    assert rec.traces == []
    assert rec.notes == []  # the user said so in this very call
    assert rec.journal.path is not None
    assert rec.journal._seq == 1, "only the beginning of the cell's own run"


async def test_a_run_with_tracing_disabled_inside_a_recorded_tool_leaves_nothing(tmp_path: Path) -> None:
    script = Script({"assistant": [use(call("ask", question="6 x 7")), say("42")], "hidden": [say("canary")]})
    async with Bench(Kind.RESPONSES, script) as bench:
        hidden = assistant(bench, name="Hidden")

        @function_tool
        async def ask(question: str) -> str:
            """Ask in secret."""
            result = await Runner.run(hidden, "canary", run_config=RunConfig(tracing_disabled=True))
            assert result.final_output == "canary"
            return "42"

        with recording(tmp_path) as rec:
            published = rec.journal.bus.subscribe()
            await Runner.run(assistant(bench, ask), "What is 6 x 7?")
    assert b"canary" not in everything_kept(rec, published)
    assert [span.kind.value for span in rec.spans] == ["workflow", "agent", "turn", "llm", "tool", "turn", "llm"]


async def test_with_the_sdks_tracing_switched_off_the_user_is_told_once(tmp_path: Path) -> None:
    set_tracing_disabled(True)
    try:
        async with Bench(Kind.BARE, Script({"assistant": [say("a"), say("b")]})) as bench:
            with recording(tmp_path) as rec:
                assert (await Runner.run(assistant(bench), "hi")).final_output == "a"
                assert (await Runner.run(assistant(bench), "hi")).final_output == "b"
    finally:
        set_tracing_disabled(False)
    assert rec.traces == []
    (note,) = rec.notes
    assert "Nothing is recorded: the SDK's tracing is switched off" in note


def test_the_environment_variable_of_the_sdk_is_heeded(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib
from agents import Agent, Runner
from agents.testing import ScriptedModel, assistant_message
from capture.recording import recording

async def main():
    with recording(pathlib.Path({str(tmp_path)!r})) as rec:
        result = await Runner.run(Agent(name="A", model=ScriptedModel([[assistant_message("hello")]])), "hi")
        print(result.final_output, len(rec.traces), rec.notes)

asyncio.run(main())
"""
    env = {**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1", "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('hello 0 ["Nothing is recorded')


@pytest.mark.parametrize("name", ["input_guardrail_trips"])
async def test_what_a_guardrail_found_is_kept_only_with_sensitive_data(name: str, tmp_path: Path) -> None:
    kept, _ = await kept_of(name, Kind.BARE, tmp_path)
    assert REASON["reason"].encode() in kept


def test_the_search_for_secrets_finds_one_that_is_there(tmp_path: Path) -> None:
    with recording(tmp_path, Redactor(default=False)) as rec, trace("t"):
        published = rec.journal.bus.subscribe()
        with custom_span("note", {"text": ARGUMENT_KEY}):
            pass
    assert everything_kept(rec, published).count(ARGUMENT_KEY.encode()) >= 2
    kinds = [event.kind for event in published]
    assert EventKind.SPAN_END in kinds
