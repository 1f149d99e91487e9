"""Ten runs of a small shop's desk, each broken in one place. Agents and tools are real; models say their lines.

Nothing here needs a key or a network. ``BROKEN`` maps a name to what is wrong, whose fault it is, and how to play it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
import openai
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    Model,
    ModelResponse,
    Runner,
    Usage,
    function_tool,
    set_trace_processors,
)
from agents.exceptions import AgentsException
from agents.testing import assistant_message, function_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

set_trace_processors([])  # the SDK would also send traces to OpenAI, and say that there is no key for it

REQUEST = "I want my money back for order A-4417."
ORDER = {"order": "A-4417", "items": ["chair"], "paid": 120}
SORRY = ("say", "I am sorry, I could not do this.")
LOOK = ("use", "get_order", {"order_id": "A-4417"})
PAY = ("use", "refund", {"order_id": "A-4417", "amount": 120})
DONE = ("say", "You get 120 back.")


class Lines(Model):
    """A model that says its lines one after the other."""

    def __init__(self, *lines: tuple[Any, ...]) -> None:
        self.left = deque(lines)
        self.said = 0

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        """Say the next line."""
        self.said += 1
        kind, what, *more = self.left.popleft()
        if kind == "refuse":
            raise _too_many_requests()
        if kind == "say":
            item = assistant_message(what)
        else:
            name = f"transfer_to_{what.lower()}" if kind == "to" else what
            arguments = more[0] if more and isinstance(more[0], str) else json.dumps(more[0] if more else {})
            item = function_call(name, arguments, call_id=f"{name}_{self.said}")
        usage = Usage(requests=1, input_tokens=60, output_tokens=12, total_tokens=72)
        return ModelResponse(output=[item], usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Lines are not streamed."""
        raise NotImplementedError


def _too_many_requests() -> openai.RateLimitError:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/responses")
    return openai.RateLimitError("slow down", response=httpx2.Response(429, request=request), body=None)


def tools(look: Any = ORDER, pay: Any = "refunded") -> list[Any]:
    """Return the desk's two tools; what they give back, or raise, or how long they sleep, is given."""

    async def give(what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        if isinstance(what, float):
            await asyncio.sleep(what)
        return what

    @function_tool(timeout=0.1)
    async def get_order(order_id: str) -> Any:  # noqa: ARG001 - whatever is asked for
        """Get an order."""
        return await give(look)

    @function_tool(timeout=0.1)
    async def refund(order_id: str, amount: int) -> Any:  # noqa: ARG001 - as above
        """Pay money back."""
        return await give(pay)

    return [get_order, refund]


class Broken(NamedTuple):
    """One broken run: what is wrong, whose fault that is, what the model says, and what the desk is made of."""

    what: str
    side: str
    lines: tuple[tuple[Any, ...], ...]
    options: dict[str, Any]


def _no_refunds(*_: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="refunds are off today", tripwire_triggered=True)


BROKEN = {
    "1": Broken("the orders' backend is down", "external tool", (LOOK, SORRY),
                {"tools": tools(ConnectionError("orders-db does not answer"))}),
    "2": Broken("the refund takes too long", "external tool", (LOOK, PAY, SORRY), {"tools": tools(pay=5.0)}),
    "3": Broken("an error inside a result", "external tool", (LOOK, PAY, DONE),
                {"tools": tools(pay='{"status": 502, "message": "upstream failed"}')}),
    "4": Broken("a tool returns nothing", "external tool", (LOOK, SORRY), {"tools": tools(look="")}),
    "5": Broken("an amount that is no number", "agent reasoning",
                (LOOK, ("use", "refund", {"order_id": "A-4417", "amount": "all of it"}), SORRY), {"tools": tools()}),
    "6": Broken("a tool that does not exist", "agent reasoning", (LOOK, ("use", "refunds", {})), {"tools": tools()}),
    "7": Broken("an order number that nobody named", "agent reasoning",
                (("use", "get_order", {"order_id": "B-90210"}), SORRY), {"tools": tools("Error: no such order")}),
    "8": Broken("the same question again and again", "agent reasoning", (LOOK, LOOK, LOOK, LOOK, SORRY),
                {"tools": tools()}),
    "9": Broken("the model's service is overloaded", "model service", (LOOK, ("refuse", 429)), {"tools": tools()}),
    "10": Broken("a guardrail says no", "policy", (), {
        "tools": tools(),
        "input_guardrails": [InputGuardrail(_no_refunds, name="no_refunds", run_in_parallel=False)],
    }),
}  # fmt: skip


async def play(broken: Broken) -> str | None:
    """Run the desk once; return its answer, or None where it came to none."""
    agent = Agent(name="Desk", instructions="You pay money back.", model=Lines(*broken.lines), **broken.options)
    try:
        result = await Runner.run(agent, REQUEST)
    except (AgentsException, openai.APIError):
        return None
    return str(result.final_output)
