"""What must not be recorded, and what is recorded rarely: secrets, switches, speech, spans of unknown kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import ModelSettings, RunConfig, RunContextWrapper, Runner, function_tool, trace
from agents.tracing import get_trace_provider, speech_group_span, speech_span, transcription_span
from agents.tracing.span_data import SpanData

from bench.models import Kind
from bench.scenarios.flows import CONVERSATION, add, assistant
from bench.scenarios.registry import Outcome, scenario
from bench.script import call, say, use

if TYPE_CHECKING:
    from bench.models import Bench

TWO_TURNS = {"assistant": [use(call("add", a=2, b=3)), say("2 + 3 = 5")]}

# Shaped like the real things, so that a redactor that knows shapes finds them; invented, so that they open nothing.
CONTEXT_KEY = "sk-proj-" + "c0ntextcanary" * 4
HEADER_TOKEN = "eyJhbGciOiJIUzI1NiJ9." + "h3adercanary" * 3 + ".c2lnbmF0dXJl"
ARGUMENT_KEY = "sk-" + "argumentcanary00" * 3
RESULT_TOKEN = "ghp_" + "r3sultcanary" * 3


@dataclass
class Customer:
    """A context object with a secret in it, as users have."""

    name: str
    api_key: str = CONTEXT_KEY


@function_tool
async def login(context: RunContextWrapper[Customer], api_key: str) -> str:
    """Log in with a key the model knows; answer with a token."""
    assert context.context.api_key == CONTEXT_KEY
    return f"logged in {context.context.name}, token {RESULT_TOKEN}"


@scenario(
    {"assistant": [use(call("login", api_key=ARGUMENT_KEY)), say("You are logged in.")]},
    secrets=(CONTEXT_KEY, HEADER_TOKEN, ARGUMENT_KEY, RESULT_TOKEN),
    answer="You are logged in.",
)
async def secret_canaries(bench: Bench) -> Outcome:
    """Secrets in the context object, in request headers, in a tool's arguments and in its result."""
    settings = ModelSettings(extra_headers={"Authorization": f"Bearer {HEADER_TOKEN}", "x-api-key": CONTEXT_KEY})
    result = await Runner.run(
        assistant(bench, login), "Log me in.", context=Customer("Ada"), run_config=RunConfig(model_settings=settings)
    )
    return Outcome(result.final_output, [result])


@scenario(TWO_TURNS, content=False, answer="2 + 3 = 5")
async def no_sensitive_data(bench: Bench) -> Outcome:
    """RunConfig(trace_include_sensitive_data=False): the tree, without anything that was said."""
    result = await Runner.run(
        assistant(bench, add), "What is 2 + 3?", run_config=RunConfig(trace_include_sensitive_data=False)
    )
    return Outcome(result.final_output, [result])


@scenario(TWO_TURNS, traced=False, traces=0, answer="2 + 3 = 5")
async def tracing_disabled(bench: Bench) -> Outcome:
    """RunConfig(tracing_disabled=True): nothing is recorded."""
    result = await Runner.run(assistant(bench, add), "What is 2 + 3?", run_config=RunConfig(tracing_disabled=True))
    return Outcome(result.final_output, [result])


@scenario(TWO_TURNS, group_id=CONVERSATION, answer="2 + 3 = 5")
async def named_workflow(bench: Bench) -> Outcome:
    """RunConfig names the workflow and gives a group id, metadata and a trace id of its own."""
    config = RunConfig(
        workflow_name="Arithmetic",
        group_id=CONVERSATION,
        trace_metadata={"customer": "c-9"},
        trace_id=f"trace_{'5eed' * 7}{ord(bench.kind.value):04x}",  # all kinds may be played into one store
    )
    result = await Runner.run(assistant(bench, add), "What is 2 + 3?", run_config=config)
    return Outcome(result.final_output, [result])


@scenario({"assistant": [say("Forty-two.", reasoning="They want the answer.")]}, answer="Forty-two.")
async def reasoning_item(bench: Bench) -> Outcome:
    """The answer has a reasoning item before the message (Chat Completions have no such thing)."""
    result = await Runner.run(assistant(bench), "The answer?")
    return Outcome(result.final_output, [result])


@scenario({}, kinds=frozenset({Kind.BARE}))
async def speech(bench: Bench) -> Outcome:
    """The spans of a voice pipeline."""
    with trace("Voice"):
        with transcription_span(input="UklGRg==", output="hello", model="gpt-4o-transcribe"):
            pass
        with speech_group_span(input="Hello. How are you?"):
            for sentence in ("Hello.", "How are you?"):
                with speech_span(input=sentence, output="UklGRg==", model="gpt-4o-mini-tts"):
                    pass
    return Outcome()


class WeatherSpanData(SpanData):
    """A kind of span that no version of the SDK has."""

    type = "weather"
    name = "forecast"

    def export(self) -> dict[str, Any]:
        return {"type": self.type, "name": self.name, "city": "Oslo"}


@scenario({"assistant": [say("Sun.")]}, answer="Sun.")
async def unknown_span(bench: Bench) -> Outcome:
    """A span of a type that nobody knows yet, around a run."""
    with trace("Forecast"), get_trace_provider().create_span(WeatherSpanData()):
        result = await Runner.run(assistant(bench), "The weather?")
    return Outcome(result.final_output, [result])
