"""Agents that do their work: alone, handing over, as tools of one another, in loops, side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agents import Agent, Runner, custom_span, function_tool, trace

from bench.scenarios.registry import Outcome, scenario
from bench.script import call, handoff, say, use

if TYPE_CHECKING:
    from bench.models import Bench

CONVERSATION = "conversation-17"


@function_tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@function_tool
def lookup_order(order_id: str) -> str:
    """Look an order up (a synchronous tool, so the SDK runs it in a thread)."""
    return f"order {order_id}: 2 chairs, delivered"


def assistant(bench: Bench, *tools: object, name: str = "Assistant", **options: object) -> Agent:
    """Return an agent that plays the script of its own name in lower case."""
    return Agent(
        name=name, instructions=f"You help. [[{name.lower()}]]", model=bench.model(), tools=list(tools), **options
    )


@scenario({"assistant": [use(call("add", a=2, b=3)), say("2 + 3 = 5")]}, answer="2 + 3 = 5")
async def single_agent_with_tool(bench: Bench) -> Outcome:
    """One agent calls one tool."""
    result = await Runner.run(assistant(bench, add), "What is 2 + 3?")
    return Outcome(result.final_output, [result])


@scenario(
    {
        "assistant": [
            use(call("add", a=1, b=1), call("add", a=2, b=2), call("lookup_order", order_id="A-1")),
            say("2, 4 and chairs"),
        ]
    },
    answer="2, 4 and chairs",
)
async def parallel_tools(bench: Bench) -> Outcome:
    """One answer asks for three tools, which run side by side."""
    result = await Runner.run(assistant(bench, add, lookup_order), "Do all three.")
    return Outcome(result.final_output, [result])


@scenario(
    {
        "triage": [use(handoff("Billing"))],
        "billing": [use(handoff("Refunds"))],
        "refunds": [use(call("lookup_order", order_id="A-17")), say("Your refund is on its way.")],
    },
    answer="Your refund is on its way.",
)
async def triage_with_handoffs(bench: Bench) -> Outcome:
    """A triage agent hands over, the next one hands over again, the third uses a tool and answers."""
    refunds = assistant(bench, lookup_order, name="Refunds")
    billing = assistant(bench, name="Billing", handoffs=[refunds])
    triage = assistant(bench, name="Triage", handoffs=[billing])
    result = await Runner.run(triage, "I want my money back for order A-17.")
    assert result.last_agent is refunds
    return Outcome(result.final_output, [result])


@scenario(
    {
        "editor": [use(call("research", input="chairs in Spanish")), say("Chairs are sillas.")],
        "researcher": [use(call("translate", input="chairs")), say("The word is sillas.")],
        "translator": [say("sillas")],
    },
    answer="Chairs are sillas.",
)
async def agents_as_tools(bench: Bench) -> Outcome:
    """An agent uses an agent as a tool, which uses another one: two deep."""
    translator = assistant(bench, name="Translator")
    researcher = assistant(bench, translator.as_tool("translate", "Translate a word."), name="Researcher")
    editor = assistant(bench, researcher.as_tool("research", "Research a question."), name="Editor")
    result = await Runner.run(editor, "Write about chairs.")
    return Outcome(result.final_output, [result])


PLAN = {
    "planner": [say("1. add the numbers")],
    "executor": [use(call("add", a=20, b=22)), say("41"), say("42")],
    "evaluator": [say("wrong, do it again"), say("right")],
}


async def _plan_execute_evaluate(bench: Bench) -> Outcome:
    planner, evaluator = assistant(bench, name="Planner"), assistant(bench, name="Evaluator")
    executor = assistant(bench, add, name="Executor")
    results = [await Runner.run(planner, "What is 20 + 22?")]
    verdict = ""
    while verdict != "right":
        answer = await Runner.run(executor, f"{results[0].final_output}\n{verdict}")
        judged = await Runner.run(evaluator, answer.final_output)
        results += [answer, judged]
        verdict = judged.final_output
    return Outcome(results[-2].final_output, results)


@scenario(PLAN, traces=5, answer="42")
async def plan_execute_evaluate(bench: Bench) -> Outcome:
    """Planner, executor and evaluator in a plain loop: each run is a trace of its own."""
    return await _plan_execute_evaluate(bench)


@scenario(PLAN, group_id=CONVERSATION, answer="42")
async def plan_execute_evaluate_in_trace(bench: Bench) -> Outcome:
    """The same loop inside the SDK's trace(), with a group id and metadata: one trace."""
    with trace("Planning", group_id=CONVERSATION, metadata={"customer": "c-9", "attempt": "1"}):
        return await _plan_execute_evaluate(bench)


WORKERS = 10


@scenario(
    {f"worker{n}": [use(call("add", a=n, b=n), delay_s=0.03), say(f"twice {n} is {2 * n}")] for n in range(WORKERS)},
    traces=WORKERS,
    answer=[f"twice {n} is {2 * n}" for n in range(WORKERS)],
)
async def gather_ten(bench: Bench) -> Outcome:
    """Ten runs side by side under asyncio.gather."""
    agents = [assistant(bench, add, name=f"Worker{n}") for n in range(WORKERS)]
    results = await asyncio.gather(*(Runner.run(agent, "Double it.") for agent in agents))
    return Outcome([result.final_output for result in results], list(results))


@scenario({f"worker{n}": [say(f"part {n}", delay_s=0.03)] for n in range(3)}, answer=["part 0", "part 1", "part 2"])
async def gather_in_trace(bench: Bench) -> Outcome:
    """Three runs side by side inside one trace()."""
    agents = [assistant(bench, name=f"Worker{n}") for n in range(3)]
    with trace("Map"):
        results = await asyncio.gather(*(Runner.run(agent, "Go.") for agent in agents))
    return Outcome([result.final_output for result in results], list(results))


@scenario({"assistant": [say("done")]}, answer="done")
async def custom_spans(bench: Bench) -> Outcome:
    """The user's own spans: nested, and around a run."""
    with trace("Pipeline"):
        with custom_span("prepare", {"rows": 3}), custom_span("clean"), custom_span("sort", {"by": "date"}):
            pass
        with custom_span("answer"):
            result = await Runner.run(assistant(bench), "Go.")
    return Outcome(result.final_output, [result])
