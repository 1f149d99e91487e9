"""Streamed runs: consumed, broken off, cancelled, never consumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
from agents import ModelSettings, Runner

from bench.scenarios.flows import add, assistant
from bench.scenarios.limits import asked
from bench.scenarios.registry import Outcome, scenario
from bench.script import call, fail, say, use

if TYPE_CHECKING:
    from agents.result import RunResultStreaming

    from bench.models import Bench

TWO_TURNS = {"assistant": [use(call("add", a=2, b=3)), say("2 + 3 = 5")]}
LONG_TEXT = "one two three four five six seven eight nine ten " * 20
SHORT_ANSWER = {"assistant": [say("one two three four", token_delay_s=0.02)]}
LONG_ANSWER = say(LONG_TEXT, token_delay_s=0.02, lost=True)


async def read_to_the_end(result: RunResultStreaming) -> str:
    """Consume the stream; return the text that came in pieces."""
    text = ""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
    return text


async def first_words(result: RunResultStreaming) -> None:
    """Consume the stream up to its first piece of text."""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            return


async def finished(result: RunResultStreaming) -> None:
    """Wait for the run itself, without reading its stream."""
    assert result.run_loop_task is not None
    await result.run_loop_task


@scenario(TWO_TURNS, streamed=True, answer="2 + 3 = 5")
async def stream_consumed(bench: Bench) -> Outcome:
    """A streamed run, read to its end."""
    result = Runner.run_streamed(assistant(bench, add), "What is 2 + 3?")
    assert await read_to_the_end(result) == "2 + 3 = 5"
    return Outcome(result.final_output, [result])


@scenario(TWO_TURNS, streamed=True, include_usage=True, answer="2 + 3 = 5")
async def stream_with_usage(bench: Bench) -> Outcome:
    """A streamed run with ModelSettings(include_usage=True)."""
    agent = assistant(bench, add, model_settings=ModelSettings(include_usage=True))
    result = Runner.run_streamed(agent, "What is 2 + 3?")
    assert await read_to_the_end(result) == "2 + 3 = 5"
    return Outcome(result.final_output, [result])


@scenario({"assistant": [LONG_ANSWER]}, streamed=True)
async def stream_broken_off(bench: Bench) -> Outcome:
    """The reader leaves the loop at the first word; the program ends while the model is still speaking."""
    result = Runner.run_streamed(assistant(bench), "Count.")
    bench.left_running(result)
    await first_words(result)
    return Outcome(None, [result])


@scenario(SHORT_ANSWER, streamed=True, answer="one two three four")
async def stream_broken_off_early(bench: Bench) -> Outcome:
    """The reader leaves the loop at the first word; the SDK finishes the run behind the reader's back."""
    result = Runner.run_streamed(assistant(bench), "Count.")
    await first_words(result)
    await finished(result)
    return Outcome(result.final_output, [result])


@scenario({"assistant": [LONG_ANSWER]}, streamed=True)
async def stream_cancelled(bench: Bench) -> Outcome:
    """result.cancel() at the first word, then the rest of the stream is read."""
    result = Runner.run_streamed(assistant(bench), "Count.")
    await first_words(result)
    result.cancel()
    await read_to_the_end(result)
    return Outcome(result.final_output, [result])


@scenario({"assistant": [use(call("add", a=2, b=3))]}, streamed=True)
async def stream_cancelled_after_turn(bench: Bench) -> Outcome:
    """result.cancel(mode="after_turn"): the turn with its tool ends regularly, the next one never begins."""
    result = Runner.run_streamed(assistant(bench, add), "What is 2 + 3?")
    async for event in result.stream_events():
        if event.type == "raw_response_event":
            result.cancel(mode="after_turn")
    return Outcome(result.final_output, [result])


@scenario(TWO_TURNS, streamed=True, answer="2 + 3 = 5")
async def stream_never_consumed(bench: Bench) -> Outcome:
    """run_streamed is called and nobody reads; the run goes on in the background to its end."""
    result = Runner.run_streamed(assistant(bench, add), "What is 2 + 3?")
    await finished(result)
    return Outcome(result.final_output, [result])


@scenario({"assistant": [LONG_ANSWER]}, streamed=True)
async def stream_left_running(bench: Bench) -> Outcome:
    """run_streamed is called and nobody reads; the program ends while the model is still speaking."""
    result = Runner.run_streamed(assistant(bench), "Count.")
    bench.left_running(result)
    await asked(bench, 1)
    return Outcome(None, [result])


@scenario({"assistant": [fail(429)]}, streamed=True, raises=openai.RateLimitError)
async def stream_model_429(bench: Bench) -> Outcome:
    """The model refuses a streamed call with HTTP 429."""
    result = Runner.run_streamed(assistant(bench), "Hello.")
    await read_to_the_end(result)
    return Outcome(result.final_output, [result])
