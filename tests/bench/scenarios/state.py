"""What outlives one run: sessions, approvals, servers of tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agents import Runner, RunState, SQLiteSession, function_tool
from agents.mcp import MCPServerStdio

from bench.scenarios.flows import add, assistant
from bench.scenarios.registry import Outcome, scenario
from bench.script import Call, call, say, use

if TYPE_CHECKING:
    from agents import Agent, RunResult

    from bench.models import Bench

MCP_SERVER = Path(__file__).parents[1] / "mcp_server.py"
SESSION = "session-4"


@scenario(
    {"assistant": [say("Nice to meet you, Ada."), use(call("add", a=2, b=3)), say("Ada, it is 5.")]},
    traces=2,
    answer="Ada, it is 5.",
)
async def session_two_runs(bench: Bench) -> Outcome:
    """Two runs share a SQLiteSession."""
    agent = assistant(bench, add)
    session = SQLiteSession(SESSION)
    try:
        first = await Runner.run(agent, "I am Ada.", session=session)
        second = await Runner.run(agent, "What is 2 + 3?", session=session)
        assert len(await session.get_items()) == 6
    finally:
        session.close()
    return Outcome(second.final_output, [first, second])


@function_tool(needs_approval=True)
async def send_money(amount: int, to: str) -> str:
    """Send money."""
    return f"sent {amount} to {to}"


PAY = call("send_money", amount=100, to="Ada")


async def _stopped_for_approval(agent: Agent) -> tuple[RunResult, RunState]:
    """Run until the approval is asked for; take the state through JSON, as a program that stops in between would."""
    first = await Runner.run(agent, "Send 100 to Ada.")
    assert [item.name for item in first.interruptions] == ["send_money"]
    return first, await RunState.from_json(agent, first.to_state().to_json())


@scenario({"assistant": [use(PAY), say("Done.")]}, approvals=1, answer="Done.")
async def approval_granted(bench: Bench) -> Outcome:
    """A tool needs approval: the run stops, its state goes through JSON, is approved and resumed."""
    agent = assistant(bench, send_money)
    first, state = await _stopped_for_approval(agent)
    for item in state.get_interruptions():
        state.approve(item)
    second = await Runner.run(agent, state)
    return Outcome(second.final_output, [first, second])


@scenario(
    {"assistant": [use(Call(PAY.name, PAY.arguments, runs=False)), say("As you wish.")]},
    approvals=1,
    answer="As you wish.",
)
async def approval_refused(bench: Bench) -> Outcome:
    """A tool needs approval and does not get it; the model is told why."""
    agent = assistant(bench, send_money)
    first, state = await _stopped_for_approval(agent)
    for item in state.get_interruptions():
        state.reject(item, rejection_message="Too much money.")
    second = await Runner.run(agent, state)
    return Outcome(second.final_output, [first, second])


@scenario(
    {"assistant": [use(call("count_letters", text="chair")), use(call("fail_politely", code=7)), say("5 letters.")]},
    answer="5 letters.",
)
async def mcp_over_stdio(bench: Bench) -> Outcome:
    """Tools of an MCP server in a process of its own, one of which fails."""
    server = MCPServerStdio(
        {"command": sys.executable, "args": [str(MCP_SERVER)]}, name="letters", client_session_timeout_seconds=30
    )
    async with server:
        result = await Runner.run(assistant(bench, mcp_servers=[server]), "How long is 'chair'?")
    return Outcome(result.final_output, [result])
