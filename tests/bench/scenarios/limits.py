"""Runs that are ended by a guardrail, the model, the SDK's limits or the caller."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import openai
from agents import (
    GuardrailFunctionOutput,
    InputGuardrail,
    OutputGuardrail,
    Runner,
    ToolGuardrailFunctionOutput,
    function_tool,
    tool_input_guardrail,
)
from agents.exceptions import (
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelBehaviorError,
    OutputGuardrailTripwireTriggered,
)
from pydantic import BaseModel

from bench.scenarios.flows import add, assistant
from bench.scenarios.registry import Outcome, scenario
from bench.script import call, fail, say, use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.models import Bench

REASON = {"reason": "asks for homework", "score": 0.93}
UNANSWERED_S = 30.0
"""A delay no test waits for: the answer is cancelled before."""


def no_homework(bench: Bench, *, after_calls: int = 0) -> Callable[..., Awaitable[GuardrailFunctionOutput]]:
    """Return a check that trips if homework is asked for, once the model was called so often.

    The reason is in ``output_info``.
    """

    async def check(context: object, agent: object, given: object) -> GuardrailFunctionOutput:
        await asked(bench, after_calls)
        return GuardrailFunctionOutput(output_info=REASON, tripwire_triggered="homework" in str(given))

    return check


async def no_numbers(context: object, agent: object, output: object) -> GuardrailFunctionOutput:
    """Trip if the answer has digits in it."""
    return GuardrailFunctionOutput(
        output_info={"reason": "digits"}, tripwire_triggered=any(map(str.isdigit, str(output)))
    )


@scenario({"assistant": [say("Gladly.", delay_s=UNANSWERED_S, lost=True)]}, raises=InputGuardrailTripwireTriggered)
async def input_guardrail_trips(bench: Bench) -> Outcome:
    """An input guardrail trips while the model is answering; the model call is cancelled."""
    agent = assistant(bench, input_guardrails=[InputGuardrail(no_homework(bench, after_calls=1), name="no_homework")])
    result = await Runner.run(agent, "Do my homework.")
    return Outcome(result.final_output, [result])


@scenario({}, raises=InputGuardrailTripwireTriggered)
async def input_guardrail_trips_first(bench: Bench) -> Outcome:
    """A blocking input guardrail trips before the model is asked."""
    agent = assistant(
        bench, input_guardrails=[InputGuardrail(no_homework(bench), run_in_parallel=False, name="no_homework")]
    )
    result = await Runner.run(agent, "Do my homework.")
    return Outcome(result.final_output, [result])


@scenario({"assistant": [say("The answer is 42.")]}, raises=OutputGuardrailTripwireTriggered)
async def output_guardrail_trips(bench: Bench) -> Outcome:
    """An output guardrail trips on the final answer."""
    agent = assistant(bench, output_guardrails=[OutputGuardrail(no_numbers)])
    result = await Runner.run(agent, "Say something.")
    return Outcome(result.final_output, [result])


@scenario({"assistant": [say("A fine day.", delay_s=0.15)]}, answer="A fine day.")
async def guardrails_pass(bench: Bench) -> Outcome:
    """An input and an output guardrail look and let pass."""
    agent = assistant(
        bench,
        input_guardrails=[InputGuardrail(no_homework(bench), name="no_homework")],
        output_guardrails=[OutputGuardrail(no_numbers)],
    )
    result = await Runner.run(agent, "Say something.")
    return Outcome(result.final_output, [result])


@tool_input_guardrail
def small_numbers_only(data: object) -> ToolGuardrailFunctionOutput:
    """Refuse a tool call and tell the model why."""
    return ToolGuardrailFunctionOutput.reject_content("Numbers above 9 are not allowed.", output_info={"limit": 9})


@function_tool(tool_input_guardrails=[small_numbers_only])
async def add_small(a: int, b: int) -> int:
    """Add two small numbers."""
    return a + b


@scenario(
    {"assistant": [use(call("add_small", a=20, b=22)), say("That is not allowed.")]}, answer="That is not allowed."
)
async def tool_guardrail_rejects(bench: Bench) -> Outcome:
    """A tool's input guardrail refuses the call; the model is told and the run goes on."""
    result = await Runner.run(assistant(bench, add_small), "What is 20 + 22?")
    return Outcome(result.final_output, [result])


@scenario({"assistant": [fail(429)]}, raises=openai.RateLimitError)
async def model_429(bench: Bench) -> Outcome:
    """The model refuses with HTTP 429."""
    result = await Runner.run(assistant(bench), "Hello.")
    return Outcome(result.final_output, [result])


@scenario({"assistant": [use(call("add", a=2, b=3)), fail(500)]}, raises=openai.InternalServerError)
async def model_500(bench: Bench) -> Outcome:
    """The model fails with HTTP 500 in the second turn."""
    result = await Runner.run(assistant(bench, add), "What is 2 + 3?")
    return Outcome(result.final_output, [result])


@scenario({"assistant": [use(call("add", a=n, b=1)) for n in range(3)]}, raises=MaxTurnsExceeded)
async def max_turns_exceeded(bench: Bench) -> Outcome:
    """The agent never comes to an end."""
    result = await Runner.run(assistant(bench, add), "Count.", max_turns=3)
    return Outcome(result.final_output, [result])


class Weather(BaseModel):
    """A structured answer."""

    city: str
    degrees: int


@scenario({"assistant": [say({"city": "Oslo", "degrees": -3})]}, answer=Weather(city="Oslo", degrees=-3))
async def structured_output(bench: Bench) -> Outcome:
    """The answer is an object of a declared type."""
    result = await Runner.run(assistant(bench, output_type=Weather), "The weather in Oslo?")
    return Outcome(result.final_output, [result])


@scenario({"assistant": [say({"city": "Oslo", "degrees": "cold"})]}, raises=ModelBehaviorError)
async def structured_output_invalid(bench: Bench) -> Outcome:
    """The answer does not fit the declared type; the run ends."""
    result = await Runner.run(assistant(bench, output_type=Weather), "The weather in Oslo?")
    return Outcome(result.final_output, [result])


@scenario(
    {"assistant": [use(call("add", a=2, b=3)), say("5", delay_s=UNANSWERED_S, lost=True)]},
    raises=asyncio.CancelledError,
)
async def task_cancelled(bench: Bench) -> Outcome:
    """The task that runs the agent is cancelled while the model answers."""
    task = asyncio.create_task(Runner.run(assistant(bench, add), "What is 2 + 3?"))
    await asked(bench, 2)
    task.cancel()
    return Outcome((await task).final_output)


@scenario({"assistant": [use(call("wait", seconds=30))]}, raises=asyncio.CancelledError)
async def task_cancelled_in_tool(bench: Bench) -> Outcome:
    """The task that runs the agent is cancelled while a tool runs."""
    started = asyncio.Event()

    @function_tool
    async def wait(seconds: int) -> str:
        """Wait."""
        started.set()
        await asyncio.sleep(seconds)
        return "waited"

    task = asyncio.create_task(Runner.run(assistant(bench, wait), "Wait."))
    await started.wait()
    task.cancel()
    return Outcome((await task).final_output)


@scenario({"assistant": [say("5", delay_s=UNANSWERED_S, lost=True)]}, raises=TimeoutError)
async def wait_for_times_out(bench: Bench) -> Outcome:
    """asyncio.wait_for around the run gives up."""
    task = asyncio.create_task(Runner.run(assistant(bench), "What is 2 + 3?"))
    await asked(bench, 1)
    return Outcome((await asyncio.wait_for(task, 0.05)).final_output)


async def asked(bench: Bench, times: int) -> None:
    """Wait until the script was asked so often."""
    while len(bench.script.served) < times:  # noqa: ASYNC110 - the server's thread knows no event loop
        await asyncio.sleep(0.005)
