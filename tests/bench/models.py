"""The four kinds of model a user may have, each playing the same script, and the bench that builds and closes them."""

from __future__ import annotations

import asyncio
import enum
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

import httpx2
import openai
from agents import Model, ModelResponse, OpenAIChatCompletionsModel, OpenAIResponsesModel, Usage
from agents.testing import ModelStep, ScriptedModel
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from bench import dialects
from bench.stub_server import DELTAS, StubServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from agents.result import RunResultStreaming
    from agents.testing.model import ModelCall

    from bench.script import Script, Turn

DEFAULT_MODEL = "gpt-4o-mini"
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_STATUS_ERRORS: dict[int, type[openai.APIStatusError]] = {
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


class Kind(enum.Enum):
    """How the script reaches the SDK."""

    RESPONSES = "R"
    """The real client and ``OpenAIResponsesModel`` over HTTP: response spans with input, output, usage."""
    CHAT = "C"
    """The real client and ``OpenAIChatCompletionsModel`` over HTTP: generation spans."""
    BARE = "B"
    """A hand-written ``Model`` that opens no span, as many custom providers do."""
    SCRIPTED = "E"
    """``agents.testing.ScriptedModel(emit_traces=True)``: generation spans without input, output, model or usage."""

    @property
    def over_http(self) -> bool:
        return self in {Kind.RESPONSES, Kind.CHAT}


def response_of(turn: Turn, model: str = DEFAULT_MODEL) -> Response:
    """Return the turn as the client's own ``Response`` object."""
    return Response.model_validate(dialects.response_body(turn, {"model": model}))


def usage_of(turn: Turn) -> Usage:
    """Return the turn's tokens as the SDK's ``Usage``."""
    usage = Usage(
        requests=1,
        input_tokens=turn.usage.input,
        output_tokens=turn.usage.output,
        total_tokens=turn.usage.total,
    )
    usage.input_tokens_details.cached_tokens = turn.usage.cached
    usage.output_tokens_details.reasoning_tokens = turn.usage.reasoning
    return usage


def status_error(status: int) -> openai.APIStatusError:
    """Return the exception that the real client raises for an HTTP error of the stub."""
    body = dialects.error_body(status)
    request = httpx2.Request("POST", "http://127.0.0.1/v1/responses")
    response = httpx2.Response(status, request=request, json=body)
    message = f"Error code: {status} - {body['error']['message']}"
    return _STATUS_ERRORS[status](message, response=response, body=body["error"])


async def stream_of(turn: Turn, model: str = DEFAULT_MODEL) -> AsyncIterator[Any]:
    """Yield the turn's stream events at the pace of the script."""
    for event in dialects.response_events(turn, {"model": model}):
        yield _EVENT.validate_python(event)
        if event["type"] in DELTAS and turn.step.token_delay_s:
            await asyncio.sleep(turn.step.token_delay_s)


class BareModel(Model):
    """Kind B: a ``Model`` that knows nothing of tracing."""

    def __init__(self, script: Script, model: str = DEFAULT_MODEL) -> None:
        self.script = script
        self.model = model

    async def _next(self, instructions: str | None) -> Turn:
        turn = self.script.take(instructions)
        await asyncio.sleep(turn.step.delay_s)
        if turn.step.http_error is not None:
            raise status_error(turn.step.http_error)
        return turn

    async def get_response(self, system_instructions: str | None, *_args: Any, **_kwargs: Any) -> ModelResponse:
        turn = await self._next(system_instructions)
        return ModelResponse(
            output=response_of(turn, self.model).output,
            usage=usage_of(turn),
            response_id=turn.id("resp"),
            request_id=turn.id("req"),
        )

    async def stream_response(self, system_instructions: str | None, *_args: Any, **_kwargs: Any) -> AsyncIterator[Any]:
        turn = await self._next(system_instructions)
        async for event in stream_of(turn, self.model):
            yield event


def scripted_model(script: Script) -> ScriptedModel:
    """Kind E: the SDK's own test model; each of its steps asks the script what the calling agent's next answer is."""

    async def respond(call: ModelCall) -> ModelStep:
        turn = script.take(call.system_instructions)
        await asyncio.sleep(turn.step.delay_s)
        if turn.step.http_error is not None:
            return ModelStep.raise_error(status_error(turn.step.http_error))
        output = response_of(turn).output
        if call.streamed:
            return ModelStep.stream(lambda _call: stream_of(turn), output=output, usage=usage_of(turn))
        return ModelStep(output=output, usage=usage_of(turn), response_id=turn.id("resp"))

    return ScriptedModel([ModelStep.respond(respond) for _ in script.all_turns], emit_traces=True)


class Bench:
    """Builds models of one kind for one script; an async context manager that closes what it opened.

    Attributes
    ----------
    script
        What the models answer, and what they were asked so far.
    """

    def __init__(self, kind: Kind, script: Script) -> None:
        self.kind = kind
        self.script = script
        self._stack = AsyncExitStack()
        self._server: StubServer | None = None
        self._client: openai.AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def server(self) -> StubServer:
        """The loopback server, started when first needed."""
        if self._server is None:
            self._server = self._stack.enter_context(StubServer(self.script))
        return self._server

    @property
    def async_client(self) -> openai.AsyncOpenAI:
        """A real client that talks to the stub and never tries twice."""
        if self._client is None:
            # Without TLS to set up a client is made in 1 ms instead of 25.
            http = openai.DefaultAsyncHttpxClient(verify=False, trust_env=False)
            client = openai.AsyncOpenAI(base_url=self.server.base_url, api_key="stub", max_retries=0, http_client=http)
            self._client = client
            self._stack.push_async_callback(client.close)
        return self._client

    def client(self) -> openai.OpenAI:
        """Return a real synchronous client; the caller closes it (``with bench.client() as client``)."""
        http = openai.DefaultHttpxClient(verify=False, trust_env=False)
        return openai.OpenAI(base_url=self.server.base_url, api_key="stub", max_retries=0, http_client=http)

    def left_running(self, result: RunResultStreaming) -> None:
        """Note a streamed run that the scenario does not wait for; leaving the bench cancels it.

        ``asyncio.run`` does the same to whatever still runs at the end of a program. Without it a forgotten run would
        go on into the next test.
        """
        self._stack.push_async_callback(_cancel, result)

    def model(self, name: str = DEFAULT_MODEL) -> Model:
        """Return a model of this bench's kind."""
        match self.kind:
            case Kind.RESPONSES:
                return OpenAIResponsesModel(name, self.async_client)
            case Kind.CHAT:
                return OpenAIChatCompletionsModel(name, self.async_client)
            case Kind.BARE:
                return BareModel(self.script, name)
            case Kind.SCRIPTED:
                return scripted_model(self.script)

    @property
    def problems(self) -> list[str]:
        """What the script could not answer and steps nobody asked for; empty after a scenario that went as planned."""
        unasked = [f"never asked: {turn.key}[{turn.index}]" for turn in self.script.left]
        return (self._server.problems if self._server else []) + unasked


async def _cancel(result: RunResultStreaming) -> None:
    task = result.run_loop_task
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task})
