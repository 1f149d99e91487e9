"""Tools and what goes wrong in and around them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agents import RunConfig, Runner, function_tool
from agents.exceptions import ModelBehaviorError, ToolTimeoutError, UserError

from bench.scenarios.flows import add, assistant
from bench.scenarios.registry import Outcome, scenario
from bench.script import Call, call, say, use

if TYPE_CHECKING:
    from bench.models import Bench


class BackendError(RuntimeError):
    """What a user's backend raises; carries a status as HTTP libraries do."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


def _ask_the_backend(city: str) -> str:
    raise BackendError(f"no weather station in {city}", 503)


@function_tool
async def get_weather(city: str) -> str:
    """Fail as a backend does."""
    return _ask_the_backend(city)


@function_tool(failure_error_function=None)
async def get_weather_or_raise(city: str) -> str:
    """Fail, and do not hide it from the run."""
    return _ask_the_backend(city)


async def _ask(bench: Bench, *tools: object, **options: object) -> Outcome:
    result = await Runner.run(assistant(bench, *tools), "How is the weather in Oslo?", **options)
    return Outcome(result.final_output, [result])


@scenario(
    {"assistant": [use(call("get_weather", city="Oslo")), say("I could not find out.")]}, answer="I could not find out."
)
async def tool_raises(bench: Bench) -> Outcome:
    """A tool raises; the SDK tells the model a redacted sentence and the run goes on."""
    return await _ask(bench, get_weather)


@scenario({"assistant": [use(call("get_weather_or_raise", city="Oslo"))]}, raises=UserError)
async def tool_raises_through(bench: Bench) -> Outcome:
    """A tool with failure_error_function=None raises; the run ends."""
    return await _ask(bench, get_weather_or_raise)


@function_tool(timeout=0.05)
async def slow_weather(city: str) -> str:
    """Take longer than allowed."""
    await asyncio.sleep(5)
    return f"sun in {city}"


@function_tool(timeout=0.05, timeout_behavior="raise_exception")
async def slow_weather_or_raise(city: str) -> str:
    """Take longer than allowed, and do not hide it from the run."""
    await asyncio.sleep(5)
    return f"sun in {city}"


@function_tool
async def impatient_weather(city: str) -> str:
    """Give up waiting for a backend by itself."""
    await asyncio.wait_for(asyncio.sleep(5), 0.05)
    return f"sun in {city}"


@scenario(
    {"assistant": [use(call("slow_weather", city="Oslo")), say("It takes too long.")]}, answer="It takes too long."
)
async def tool_times_out(bench: Bench) -> Outcome:
    """The SDK's tool timeout ends a tool; the model is told and the run goes on."""
    return await _ask(bench, slow_weather)


@scenario({"assistant": [use(call("slow_weather_or_raise", city="Oslo"))]}, raises=ToolTimeoutError)
async def tool_times_out_through(bench: Bench) -> Outcome:
    """The SDK's tool timeout ends a tool and the run."""
    return await _ask(bench, slow_weather_or_raise)


@scenario(
    {"assistant": [use(call("impatient_weather", city="Oslo")), say("It takes too long.")]}, answer="It takes too long."
)
async def tool_waits_in_vain(bench: Bench) -> Outcome:
    """asyncio.wait_for inside a tool raises TimeoutError there; the run goes on."""
    return await _ask(bench, impatient_weather)


@function_tool
async def polite_weather(city: str) -> str:
    """Return an error as text, as many tools do."""
    return f"Error: no weather station in {city}"


@scenario(
    {"assistant": [use(call("polite_weather", city="Oslo")), say("There is no station.")]},
    answer="There is no station.",
)
async def tool_returns_error(bench: Bench) -> Outcome:
    """A tool returns a sentence that begins with 'Error:'."""
    return await _ask(bench, polite_weather)


@scenario({"assistant": [use(Call("get_wether", '{"city": "Oslo"}', runs=False))]}, raises=ModelBehaviorError)
async def unknown_tool(bench: Bench) -> Outcome:
    """The model asks for a tool that does not exist; the run ends."""
    return await _ask(bench, get_weather)


@scenario(
    {"assistant": [use(Call("get_wether", '{"city": "Oslo"}', runs=False)), say("I have no such tool.")]},
    answer="I have no such tool.",
)
async def unknown_tool_told(bench: Bench) -> Outcome:
    """The model asks for a tool that does not exist and is told so; the run goes on."""
    return await _ask(bench, get_weather, run_config=RunConfig(tool_not_found_behavior="return_error_to_model"))


@scenario({"assistant": [use(call("add", a="two", b=3)), say("I cannot add that.")]}, answer="I cannot add that.")
async def invalid_arguments(bench: Bench) -> Outcome:
    """The arguments are JSON but do not fit the tool's schema."""
    return await _ask(bench, add)


@scenario({"assistant": [use(Call("add", '{"a": 2, "b":')), say("I cannot add that.")]}, answer="I cannot add that.")
async def arguments_not_json(bench: Bench) -> Outcome:
    """The arguments are not even JSON."""
    return await _ask(bench, add)


@scenario(
    {"assistant": [use(call("summarise", text="a long text")), say("It is short.")], "helper": [say("short")]},
    answer="It is short.",
)
async def tool_calls_openai(bench: Bench) -> Outcome:
    """A tool makes a call with an asynchronous OpenAI client of its own (Responses)."""

    @function_tool
    async def summarise(text: str) -> str:
        """Summarise a text."""
        answer = await bench.async_client.responses.create(
            model="gpt-4o", instructions="Summarise. [[helper]]", input=text
        )
        return answer.output_text

    return await _ask(bench, summarise)


@scenario(
    {"assistant": [use(call("summarise", text="a long text")), say("It is short.")], "helper": [say("short")]},
    answer="It is short.",
)
async def tool_calls_openai_chat(bench: Bench) -> Outcome:
    """A synchronous tool makes a call with a synchronous OpenAI client (Chat Completions), in the SDK's tool thread."""

    @function_tool
    def summarise(text: str) -> str:
        """Summarise a text."""
        messages = [{"role": "system", "content": "Summarise. [[helper]]"}, {"role": "user", "content": text}]
        with bench.client() as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        return str(answer.choices[0].message.content)

    return await _ask(bench, summarise)


@scenario({"assistant": [use(call("area", width=3, height=4)), say("12")]}, answer="12")
async def tool_with_mlflow_span(bench: Bench) -> Outcome:
    """A tool calls a helper that the user decorated with @mlflow.trace."""
    import mlflow

    @mlflow.trace(name="multiply")
    def multiply(a: int, b: int) -> int:
        return a * b

    @function_tool
    async def area(width: int, height: int) -> int:
        """Compute an area."""
        return multiply(width, height)

    return await _ask(bench, area)
