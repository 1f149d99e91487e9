"""A support desk with forty customers: three ways to build it out of agents, and who was helped."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from agents import Agent, RunConfig, Runner, function_tool, set_trace_processors

if TYPE_CHECKING:
    from agents import ModelProvider

set_trace_processors([])  # the SDK would also send traces to OpenAI, and say that there is no key for it

_KINDS = {
    "late": ("My parcel {order} should have been here a week ago. Where is it?", "reship"),
    "damaged": ("Order {order} arrived broken. I would like my money back.", "refund"),
    "wrong": ("You sent me something else than I ordered, {order}. Please send the right thing.", "reship"),
    "too late": ("I no longer like what I bought in {order}. Please refund it.", "refuse"),
}


def _cases() -> dict[str, dict[str, str]]:
    dice, found = random.Random(7), {}  # noqa: S311 - the same forty customers each time
    for number in range(1, 41):
        kind = dice.choice([*_KINDS])
        words, action = _KINDS[kind]
        order = f"P{dice.randrange(10_000, 99_999)}"
        days = dice.randrange(40, 90) if kind == "too late" else dice.randrange(3, 25)
        found[f"customer-{number:02d}"] = {
            "order": order, "question": words.format(order=order), "kind": kind, "action": action, "days": str(days)
        }  # fmt: skip
    return found


CASES = _cases()
_DAYS = {case["order"]: case["days"] for case in CASES.values()}


def tools(done: list[str]) -> dict[str, Any]:
    """Return the desk's tools; what they do to an order is added to ``done``."""

    @function_tool
    def get_order(order: str) -> str:
        """Look an order up."""
        return f"order {order}: delivered or due {_DAYS[order]} days ago"

    @function_tool
    def read_policy(topic: str) -> str:  # noqa: ARG001 - the policy is short
        """Read the shop's policy on a topic."""
        return "Refunds within 30 days; later only for what was broken or wrong. Late parcels are sent again."

    @function_tool
    def refund(order: str) -> str:
        """Pay the price of an order back."""
        done.append("refund")
        return f"the price of {order} was paid back"

    @function_tool
    def reship(order: str) -> str:
        """Send an order once more."""
        done.append("reship")
        return f"{order} was sent again"

    return {tool.name: tool for tool in (get_order, read_policy, refund, reship)}


def single(models: ModelProvider, of: dict[str, Any]) -> Agent:
    """Give one agent every tool but the policy."""
    return Agent(
        name="Desk",
        instructions="Help the customer: look the order up, then refund it, send it again, or say why not.",
        model=models.get_model("gpt-4o-mini"),
        tools=[of["get_order"], of["refund"], of["reship"]],
    )


def planner_executor(models: ModelProvider, of: dict[str, Any]) -> Agent:
    """Plan with a large model that reads order and policy; act with a small one."""
    executor = Agent(
        name="Executor",
        instructions="Do what the plan says and tell the customer.",
        model=models.get_model("gpt-4o-mini"),
        tools=[of["refund"], of["reship"]],
    )
    return Agent(
        name="Planner",
        instructions="Look the order and the policy up, write a plan in one sentence, hand over to the executor.",
        model=models.get_model("gpt-4o"),
        tools=[of["get_order"], of["read_policy"]],
        handoffs=[executor],
    )


def team(models: ModelProvider, of: dict[str, Any]) -> Agent:
    """Hand over to a specialist for money or for parcels."""
    model = models.get_model("gpt-4o-mini")
    money = Agent(
        name="Money",
        instructions="You decide on refunds. Look the order up first.",
        model=model,
        tools=[of["get_order"], of["refund"]],
    )
    parcels = Agent(
        name="Parcels",
        instructions="You decide what is sent again. Look the order up first.",
        model=model,
        tools=[of["get_order"], of["reship"]],
    )
    return Agent(
        name="Triage",
        instructions="Hand the customer over to Money or to Parcels.",
        model=model,
        handoffs=[money, parcels],
    )


ARCHITECTURES = {"single": single, "planner-executor": planner_executor, "team": team}


def desk(arch: str, models: ModelProvider) -> Any:
    """Return a function that serves one customer with this architecture and returns what was done to the order."""

    async def serve(case: dict[str, str]) -> list[str]:
        done: list[str] = []
        agent = ARCHITECTURES[arch](models, tools(done))
        await Runner.run(agent, case["question"], run_config=RunConfig(workflow_name="Support"))
        return done

    return serve


def was_helped(done: list[str], case: dict[str, str]) -> bool:
    """Tell whether exactly the right thing was done to the order."""
    return done == ([] if case["action"] == "refuse" else [case["action"]])
