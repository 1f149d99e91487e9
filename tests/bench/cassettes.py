"""Recorded HTTP of the OpenAI API replayed through the real client and the SDK's real models.

Each recording was made by a small program; :data:`PROGRAMS` are such programs. The answers come from the recording; the
requests are compared with it, because an answer to another question proves nothing.
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
from agents import (
    Agent,
    FileSearchTool,
    GuardrailFunctionOutput,
    InputGuardrail,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
)
from agents.mcp import MCPServerStdio

from bench.script import TokenUsage
from bench.shared_data import folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

DATA_SET = "openai_cassettes"
MODEL = "gpt-4o"
MCP_SERVER = Path(__file__).with_name("mcp_server.py")


@dataclass
class Cassette:
    """One recording: what was asked and answered, and what is asked now.

    Attributes
    ----------
    exchanges
        ``{"method", "uri", "request", "status", "response"}``, in order.
    sent
        The bodies of the requests made in the replay.
    """

    name: str
    exchanges: list[dict[str, Any]]
    sent: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, name: str, data: Path) -> Cassette:
        return cls(name, json.loads((data / f"test_{name}.json").read_text(encoding="utf-8")))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[openai.AsyncOpenAI]:
        """Give a real client whose transport is the recording."""
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        async with openai.AsyncOpenAI(api_key="recorded", max_retries=0, http_client=http) as client:
            yield client

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self.exchanges[len(self.sent)]
        assert (request.method, str(request.url)) == (exchange["method"], exchange["uri"])
        self.sent.append(json.loads(request.content))
        return httpx2.Response(exchange["status"]["code"], json=exchange["response"])

    @property
    def usage(self) -> TokenUsage:
        """Tokens as the API counted them, over all answers."""
        return sum((_usage_of(exchange["response"]["usage"]) for exchange in self.exchanges), start=TokenUsage(0, 0))

    @property
    def last_text(self) -> str:
        """The text of the last answer."""
        response = self.exchanges[-1]["response"]
        if "choices" in response:
            return str(response["choices"][0]["message"]["content"])
        return "".join(part["text"] for part in response["output"][-1]["content"])

    def changed_questions(self) -> list[tuple[Any, Any]]:
        """Return the conversation items that are not asked as they were recorded, ``(recorded, now)``."""
        questions = ((exchange["request"], sent) for exchange, sent in zip(self.exchanges, self.sent, strict=True))
        pairs = (
            pair
            for recorded, now in questions
            for pair in zip(_conversation(recorded), _conversation(now), strict=True)
        )
        return [(recorded, now) for recorded, now in pairs if recorded != now]


def _usage_of(usage: dict[str, Any]) -> TokenUsage:
    words = ("prompt", "completion") if "prompt_tokens" in usage else ("input", "output")
    given, made = (usage[f"{word}_tokens"] for word in words)
    cached = usage[f"{words[0]}_tokens_details"]["cached_tokens"]
    return TokenUsage(given, made, cached, usage[f"{words[1]}_tokens_details"]["reasoning_tokens"])


def _conversation(request: dict[str, Any]) -> list[Any]:
    items: list[Any] = request["input"] if "input" in request else request["messages"]
    return items


@function_tool
def random_number() -> int:
    """Return a number that is not random."""
    return 4


@function_tool(name_override="tool")
def failing_tool() -> None:
    """Raise what the recorded tool raised."""
    raise RuntimeError("Ouch, don't do that again!")


async def _always_fine(context: object, agent: object, given: object) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="fine", tripwire_triggered=False)


def _model(client: openai.AsyncOpenAI) -> OpenAIResponsesModel:
    return OpenAIResponsesModel(MODEL, client)


async def responses(client: openai.AsyncOpenAI) -> Any:
    """One answer asks for a tool and a handoff."""
    second = Agent(name="agent2", instructions="Return double the number", model=_model(client))
    first = Agent(name="agent1", model=_model(client), tools=[random_number], handoffs=[second])
    return await Runner.run(first, "Generate a random number then, hand off to agent2.")


async def _two_questions(agent: Agent, first: str, second: str) -> Any:
    result = await Runner.run(agent, first)
    return await Runner.run(agent, [*result.to_input_list(), {"role": "user", "content": second}])


async def responses_simple(client: openai.AsyncOpenAI) -> Any:
    """Two questions, the second with the first answer as history."""
    return await _two_questions(Agent(name="simple", model=_model(client)), "2+2?", "4?")


async def file_search(client: openai.AsyncOpenAI) -> Any:
    """A tool that the provider hosts."""
    tool = FileSearchTool(max_num_results=1, vector_store_ids=["vs_67cd9e6afeb4819198cbffafab95d8ba"])
    return await _two_questions(Agent(name="searcher", model=_model(client), tools=[tool]), "Who made Logfire?", "2+2?")


async def function_tool_exception(client: openai.AsyncOpenAI) -> Any:
    """A tool raises."""
    return await Runner.run(Agent(name="caller", model=_model(client), tools=[failing_tool]), "Call the tool.")


async def input_guardrails(client: openai.AsyncOpenAI) -> Any:
    """An input guardrail lets pass."""
    agent = Agent(name="guarded", model=_model(client), input_guardrails=[InputGuardrail(_always_fine)])
    return await Runner.run(agent, "1+1?")


async def mcp(client: openai.AsyncOpenAI) -> Any:
    """A tool of an MCP server."""
    async with MCPServerStdio({"command": sys.executable, "args": [str(MCP_SERVER)]}, name="numbers") as server:
        settings = ModelSettings(parallel_tool_calls=False)
        agent = Agent(name="gambler", model=_model(client), mcp_servers=[server], model_settings=settings)
        return await Runner.run(agent, "Give me a random number")


async def chat_completions(client: openai.AsyncOpenAI) -> Any:
    """The other API."""
    agent = Agent(name="chatter", model=OpenAIChatCompletionsModel(MODEL, client))
    return await Runner.run(agent, "1+1?")


PROGRAMS: dict[str, Callable[[openai.AsyncOpenAI], Awaitable[Any]]] = {
    program.__name__: program
    for program in (
        responses,
        responses_simple,
        file_search,
        function_tool_exception,
        input_guardrails,
        mcp,
        chat_completions,
    )
}


async def play(cassette: Cassette) -> Any:
    """Run the program of a recording against it; return the last run's result."""
    async with cassette.client() as client:
        return await PROGRAMS[cassette.name](client)


def data() -> Path | None:
    """Return the folder of the data set, or None where it is not at hand."""
    return folder(DATA_SET)
