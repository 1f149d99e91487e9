"""The agents that the benchmarks run: scripted, offline, twenty spans a run, with content of an ordinary size.

One run is six turns: the model asks for one tool in each of the first four, for two in the fifth, and answers in the
last. The model opens a generation span with its full prompt and answer, as the SDK's own chat models do, so that
every tracer is given the same content.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, generation_span
from agents.testing import assistant_message, function_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLS = (1, 1, 1, 1, 2, 0)
"""Tool calls that each turn's answer asks for."""
MESSAGES = len(CALLS)
MODEL = "gpt-4o-mini"
ANSWER = "Your flight to Oslo is changed to the fifth of May; the difference in price is 21 dollars."
POLICY = (
    "You are the agent of an airline. You may book, change and cancel flights. Before you act, list what you are "
    "going to do and wait for a yes. One tool call at a time; do not make up what no tool has told you. "
) * 9


class AirlineModel(Model):
    """Answers from the script, by the number of tool calls that it is shown.

    Parameters
    ----------
    delay_s
        How long each answer takes.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the SDK's name for it
        *_args: Any,
        **_kwargs: Any,
    ) -> ModelResponse:
        await asyncio.sleep(self.delay_s)
        said = [{"role": "user", "content": input}] if isinstance(input, str) else list(input)
        asked = sum(item.get("type") == "function_call" for item in said)
        turn = next(n for n in range(MESSAGES) if sum(CALLS[:n]) == asked)
        prompt = [{"role": "system", "content": system_instructions}, *said]
        usage = Usage(requests=1, input_tokens=900 + 120 * turn, output_tokens=31, total_tokens=931 + 120 * turn)
        output = _answer(turn)
        with generation_span(
            input=prompt,
            output=[item.model_dump(exclude_none=True) for item in output],
            model=MODEL,
            model_config={"temperature": 0.0},
            usage={"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        ):
            return ModelResponse(output=output, usage=usage, response_id=None)

    def stream_response(self, *_args: Any, **_kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


def _answer(turn: int) -> list[Any]:
    if not CALLS[turn]:
        return [assistant_message(ANSWER)]
    asked = {"origin": "JFK", "destination": "OSL"}
    return [
        function_call("search_direct_flight", {**asked, "date": f"2024-05-{turn + 1:02d}"}, call_id=f"call_{turn}_{n}")
        for n in range(CALLS[turn])
    ]


@function_tool
def search_direct_flight(origin: str, destination: str, date: str) -> str:
    """Search direct flights between two airports on a date."""
    flights = [
        {"flight": f"HAT{n:03d}", "from": origin, "to": destination, "day": date, "leaves": f"{6 + n:02d}:15"}
        for n in range(8)
    ]
    return json.dumps(flights)


def planner(delay_s: float = 0.0) -> Agent[Any]:
    """Return the agent that every run of a benchmark uses; its model answers after so many seconds."""
    return Agent(name="Planner", instructions=POLICY, model=AirlineModel(delay_s), tools=[search_direct_flight])


async def run_once(agent: Agent[Any], number: int) -> None:
    """Run the agent once."""
    result = await Runner.run(agent, f"I want to fly to Oslo two days later ({number}).")
    assert result.final_output == ANSWER


async def run_many(runs: int) -> None:
    """Run the agent so many times, one after the other."""
    agent = planner()
    for number in range(runs):
        await run_once(agent, number)
