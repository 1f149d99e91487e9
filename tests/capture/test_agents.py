"""Agents: declared once for each trace, with everything that later views and replays need, and nothing secret."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    Agent,
    AgentOutputSchema,
    GuardrailFunctionOutput,
    InputGuardrail,
    ModelSettings,
    RunConfig,
    Runner,
    handoff,
    output_guardrail,
)
from agents.mcp import MCPServerStdio
from bench.models import DEFAULT_MODEL, Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.limits import Weather
from bench.scenarios.state import MCP_SERVER
from bench.script import Script, call, say, use
from openai.types.shared import Reasoning

from agenttrace_nb.capture.active import set_role
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.read import JournalReader
from capture.recording import Recording, completed, recording

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.spans import Agent as Declared


async def recorded(name: str, kind: Kind, folder: Path, **roles: str) -> Recording:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        with recording(folder, **roles) as rec:
            await play(one, bench)
            await completed(rec)
    assert rec.notes == []
    return rec


async def declared(agent: Agent, folder: Path, **options: Any) -> Declared:
    """Run an agent once and return what was declared of it."""
    with recording(folder) as rec:
        await Runner.run(agent, "hello", **options)
    assert rec.notes == []
    return rec.traces[0].agents[agent.name]


def declarations(rec: Recording) -> list[str]:
    """Return the names of the agents in the order in which they were declared in the journal."""
    rec.journal.flush()
    assert rec.journal.path is not None
    reader = JournalReader(rec.journal.path)
    names = [event.body["name"] for event in reader.events() if event.kind is EventKind.AGENT]
    reader.close()
    return names


async def always_fine(*_: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="fine", tripwire_triggered=False)


@output_guardrail
async def no_shouting(*_: Any) -> GuardrailFunctionOutput:
    """Let pass."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)


@pytest.mark.parametrize("kind", Kind)
async def test_each_agent_is_declared_once_in_a_trace(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("plan_execute_evaluate_in_trace", kind, tmp_path)
    assert declarations(rec) == ["Planner", "Executor", "Evaluator"]
    rec = await recorded("agents_as_tools", kind, tmp_path)
    assert declarations(rec) == ["Editor", "Researcher", "Translator"]


async def test_each_trace_declares_the_agents_that_ran_in_it(tmp_path: Path) -> None:
    rec = await recorded("plan_execute_evaluate", Kind.BARE, tmp_path)
    names = ["Planner", "Executor", "Evaluator", "Executor", "Evaluator"]
    assert declarations(rec) == names
    assert [list(trace.agents) for trace in rec.traces] == [[name] for name in names]


async def test_a_declaration_has_instructions_tools_handoffs_guardrails_and_output(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"lead": [say({"city": "Oslo", "degrees": 3})]})) as bench:
        refunds = assistant(bench, name="Refunds Desk")
        special = handoff(assistant(bench, name="Special"), tool_name_override="call_special")
        agent = assistant(
            bench, add, name="Lead", handoffs=[refunds, special], output_type=Weather,
            input_guardrails=[InputGuardrail(always_fine, name="polite")], output_guardrails=[no_shouting],
        )  # fmt: skip
        found = await declared(agent, tmp_path)
    assert found.instructions == "You help. [[lead]]"
    assert found.model == DEFAULT_MODEL
    (tool,) = found.tools
    assert (tool["name"], tool["description"], tool["type"]) == ("add", "Add two numbers.", "FunctionTool")
    assert tool["parameters"] == add.params_json_schema
    assert found.handoffs == [
        {"agent": "Refunds Desk", "tool": "transfer_to_refunds_desk"},
        {"agent": "Special", "tool": "call_special"},
    ]
    assert found.guardrails == [{"name": "polite", "stage": "input"}, {"name": "no_shouting", "stage": "output"}]
    assert found.output_type == "Weather"
    assert found.output_schema is not None
    assert set(found.output_schema["properties"]) == {"city", "degrees"}


@dataclass
class Point:
    """An output type that is no pydantic model."""

    x: int


@pytest.mark.parametrize(
    ("output_type", "answer", "name", "schema_holds"),
    [
        (None, "hi", None, None),
        (str, "hi", "str", None),
        (Point, {"response": {"x": 1}}, "Point", "properties"),
        (list[int], {"response": [1]}, "list", "properties"),
        (
            AgentOutputSchema(dict[str, int], strict_json_schema=False),
            {"a": 1},
            "dict[str, int]",
            "additionalProperties",
        ),
    ],
    ids=["none", "text", "dataclass", "list", "schema"],
)
async def test_every_kind_of_output_type_is_described(
    output_type: Any, answer: Any, name: str | None, schema_holds: str | None, tmp_path: Path
) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say(answer)]})) as bench:
        found = await declared(assistant(bench, output_type=output_type), tmp_path)
    assert found.output_type == name
    if schema_holds is None:
        assert found.output_schema is None
    else:
        assert found.output_schema is not None
        assert schema_holds in found.output_schema


async def test_settings_are_kept_without_anything_that_may_hold_a_key(tmp_path: Path) -> None:
    settings = ModelSettings(
        temperature=0.0, max_tokens=5, tool_choice="auto", reasoning=Reasoning(effort="low"),
        extra_headers={"X-Key": "canary"}, extra_query={"key": "canary"}, extra_body={"key": "canary"},
        extra_args={"key": "canary"}, metadata={"key": "canary"},
    )  # fmt: skip
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        found = await declared(assistant(bench, model_settings=settings), tmp_path)
    expected = {"temperature": 0.0, "max_tokens": 5, "tool_choice": "auto", "reasoning": {"effort": "low"}}
    assert found.model_settings == expected


async def test_instructions_by_function_are_declared_as_they_were_used(tmp_path: Path) -> None:
    def instructions(context: Any, agent: Any) -> str:
        return f"Serve {context.context}. [[assistant]]"

    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        agent = Agent(name="Assistant", instructions=instructions, model=bench.model())
        found = await declared(agent, tmp_path, context="Ada")
    assert found.instructions == "Serve Ada. [[assistant]]"


async def test_tools_of_an_mcp_server_are_declared_with_their_schemas(tmp_path: Path) -> None:
    started = {"command": sys.executable, "args": [str(MCP_SERVER)]}
    async with (
        Bench(Kind.BARE, Script({"assistant": [use(call("count_letters", text="ab")), say("2")]})) as bench,
        MCPServerStdio(started, name="letters", client_session_timeout_seconds=30) as server,
    ):
        found = await declared(assistant(bench, add, mcp_servers=[server]), tmp_path)
    tools = {tool["name"]: tool for tool in found.tools}
    assert list(tools) == ["add", "count_letters", "fail_politely", "random_number"]
    assert tools["count_letters"]["type"] == "MCPTool"
    assert list(tools["count_letters"]["parameters"]["properties"]) == ["text"]


async def test_instructions_of_a_run_without_content_are_not_kept(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        config = RunConfig(trace_include_sensitive_data=False)
        found = await declared(assistant(bench, add), tmp_path, run_config=config)
    assert found.instructions is None
    assert [tool["name"] for tool in found.tools] == ["add"]


@pytest.mark.parametrize("kind", Kind)
async def test_roles_given_by_name_stand_with_everything_the_agent_does(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("agents_as_tools", kind, tmp_path, Editor="planner", Translator="executor")
    roles = {"Editor": "planner", "Researcher": None, "Translator": "executor"}
    assert {name: agent.role for name, agent in rec.traces[0].agents.items()} == roles
    for span in rec.spans:
        if span.agent is not None:
            assert span.role == roles[span.agent], (span.kind, span.name)


async def test_roles_set_on_the_agent_stand_with_everything_it_does(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [use(call("add", a=1, b=2)), say("3")]})) as bench:
        agent = assistant(bench, add)
        set_role(agent, "calculator")
        with recording(tmp_path) as rec:
            await Runner.run(agent, "hello")
    assert {span.kind.value: span.role for span in rec.spans if span.agent} == dict.fromkeys(
        ("agent", "turn", "llm", "tool"), "calculator"
    )
    assert rec.traces[0].agents["Assistant"].role == "calculator"


async def test_a_role_given_for_the_run_goes_before_one_set_on_the_agent(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        agent = assistant(bench)
        set_role(agent, "calculator")
        with recording(tmp_path, Assistant="clerk") as rec:
            await Runner.run(agent, "hello")
    assert rec.traces[0].agents["Assistant"].role == "clerk"


async def test_a_copy_of_an_agent_keeps_the_role_of_its_name(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"copyist": [say("hi")]})) as bench:
        agent = assistant(bench, name="Copyist")
        set_role(agent, "copyist")
        with recording(tmp_path) as rec:
            await Runner.run(agent.clone(), "hello")
    assert rec.one("llm").role == "copyist"


async def test_two_agents_of_one_name_keep_their_own_roles_in_their_own_runs(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi"), say("ho")]})) as bench:
        first, second = assistant(bench), assistant(bench)
        set_role(first, "planner")
        set_role(second, "executor")
        with recording(tmp_path) as rec:
            await Runner.run(first, "hello")
            await Runner.run(second, "hello")
    assert [trace.agents["Assistant"].role for trace in rec.traces] == ["planner", "executor"]


@pytest.mark.parametrize("wrong", [None, "Assistant", object()])
def test_a_role_is_given_to_an_agent(wrong: Any) -> None:
    with pytest.raises(TypeError, match="agent: expected an Agent with a name"):
        set_role(wrong, "planner")


@pytest.mark.parametrize("wrong", [None, "", 3])
def test_a_role_is_a_text(wrong: Any) -> None:
    with pytest.raises(TypeError, match="role: expected a text such as 'planner'"):
        set_role(Agent(name="A"), wrong)
