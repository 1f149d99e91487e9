"""Tool spans: exact arguments and results, and the true reason why a tool failed, which the SDK keeps to itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from agents import RunConfig, Runner, function_tool
from agents.exceptions import ToolTimeoutError
from bench.models import Bench, Kind, status_error
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import assistant
from bench.script import Call, Script, call, say, use

from agenttrace_nb.spans import Span, Status
from capture.recording import Recording, completed, recording

if TYPE_CHECKING:
    from pathlib import Path


async def recorded(name: str, kind: Kind, folder: Path) -> Recording:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        with recording(folder) as rec:
            await play(one, bench)
            await completed(rec)
    assert rec.notes == []
    return rec


async def with_tool(tool: Any, made: Call, folder: Path, **options: Any) -> tuple[Recording, Any]:
    """Run an agent that makes one tool call and then says goodbye."""
    async with Bench(Kind.BARE, Script({"assistant": [use(made), say("bye")]})) as bench:
        with recording(folder) as rec:
            try:
                result = await Runner.run(assistant(bench, tool), "Go.", **options)
            except Exception as error:
                result = error
            await completed(rec)
    assert rec.notes == []
    return rec, result


def told_to_the_model(rec: Recording) -> str:
    """Return the tool's result as it stands in the prompt that follows."""
    (answer,) = [item for item in rec.all("llm")[1].input if item.get("type") == "function_call_output"]
    return str(answer["output"])


@pytest.mark.parametrize("kind", Kind)
async def test_arguments_are_kept_to_the_letter_and_results_as_they_are(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("parallel_tools", kind, tmp_path)
    asked = SCENARIOS["parallel_tools"].steps["assistant"][0].calls
    tools = {(span.name, span.input): span for span in rec.all("tool")}
    assert set(tools) == {(made.name, made.arguments) for made in asked}
    results = [tools[made.name, made.arguments].output for made in asked]
    assert results == [2, 4, "order A-1: 2 chairs, delivered"]
    turn = SCENARIOS["parallel_tools"].turn_of("assistant", 0)
    ids = [tools[made.name, made.arguments].attributes["call_id"] for made in asked]
    assert ids == [turn.id("call", part) for part in range(3)]
    assert {span.agent for span in rec.all("tool")} == {"Assistant"}


@pytest.mark.parametrize(
    "arguments",
    [
        '{"text": "a\\u0000b \\ud83d\\ude00 <script>"}',
        '{ "text" :\n"spaces stay" }',
        '{"text": "' + "long " * 400 + '"}',
    ],
    ids=["escapes", "spaces", "long"],
)
async def test_arguments_are_not_reformatted(arguments: str, tmp_path: Path) -> None:
    @function_tool
    async def echo(text: str) -> str:
        """Echo."""
        return text

    rec, _ = await with_tool(echo, Call("echo", arguments), tmp_path)
    assert rec.one("tool").input == arguments
    assert rec.one("tool").output == json.loads(arguments)["text"]


async def test_arguments_are_seen_while_the_tool_still_works(tmp_path: Path) -> None:
    seen: list[Span] = []

    @function_tool
    async def look(at: str) -> str:
        """Look at the record from inside."""
        seen.append(rec.one("tool"))
        assert rec.one("tool").input == '{"at": "this"}'
        assert rec.one("tool").status is Status.RUNNING
        return "seen"

    async with Bench(Kind.BARE, Script({"assistant": [use(call("look", at="this")), say("bye")]})) as bench:
        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, look), "Go.")
    assert len(seen) == 1
    assert rec.one("tool").output == "seen"


@dataclass
class Weather:
    """A result that is no JSON."""

    city: str


async def test_a_result_that_is_no_json_is_kept_as_the_model_sees_it(tmp_path: Path) -> None:
    @function_tool
    async def weather(city: str) -> Weather:
        """Return an object."""
        return Weather(city)

    rec, _ = await with_tool(weather, call("weather", city="Oslo"), tmp_path)
    assert rec.one("tool").output == told_to_the_model(rec)


@pytest.mark.parametrize("kind", Kind)
async def test_the_true_exception_of_a_failed_tool_is_kept(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("tool_raises", kind, tmp_path)
    tool = rec.one("tool")
    assert tool.status is Status.ERROR
    assert tool.error is not None
    assert (tool.error.type, tool.error.message) == ("BackendError", "no weather station in Oslo")
    assert tool.error.http_status == 503
    assert tool.error.traceback is not None
    assert "_ask_the_backend" in tool.error.traceback


@pytest.mark.parametrize("kind", Kind)
async def test_the_model_is_told_of_a_failed_tool_exactly_what_it_is_told_without_us(
    kind: Kind, tmp_path: Path
) -> None:
    one = SCENARIOS["tool_raises"]
    async with Bench(kind, one.script()) as bench:
        untraced = (await play(one, bench)).results[0]
    async with Bench(kind, one.script()) as bench:
        with recording(tmp_path) as rec:
            traced = (await play(one, bench)).results[0]
    assert traced.to_input_list() == untraced.to_input_list()
    assert told_to_the_model(rec) == traced.to_input_list()[2]["output"] == rec.one("tool").output
    assert "Oslo" not in told_to_the_model(rec)


def _httpx() -> Exception:
    request = httpx2.Request("GET", "http://127.0.0.1/weather")
    return httpx2.HTTPStatusError("418 teapot", request=request, response=httpx2.Response(418, request=request))


def _wrapped() -> Exception:
    outer, refused = LookupError("no weather"), status_error(429)
    outer.__cause__, refused.__cause__ = refused, OSError("wire cut")
    return outer


@pytest.mark.parametrize(
    ("make", "kind", "status", "chain"),
    [
        (_httpx, "HTTPStatusError", 418, ()),
        (lambda: status_error(500), "InternalServerError", 500, ()),
        (
            _wrapped,
            "LookupError",
            429,
            (
                "RateLimitError: Error code: 429 - Rate limit reached for the scripted model",
                "OSError: wire cut",
            ),
        ),
        (ValueError, "ValueError", None, ()),
        (lambda: KeyError("key"), "KeyError", None, ()),
    ],
    ids=["httpx", "openai", "chain", "empty", "key"],
)
async def test_http_status_and_causes_are_kept(
    make: Any, kind: str, status: int | None, chain: tuple[str, ...], tmp_path: Path
) -> None:
    @function_tool
    async def weather(city: str) -> str:
        """Fail."""
        raise make()

    rec, result = await with_tool(weather, call("weather", city="Oslo"), tmp_path)
    assert result.final_output == "bye"
    error = rec.one("tool").error
    assert error is not None
    assert (error.type, error.message) == (kind, str(make()))
    assert (error.http_status, error.chain) == (status, chain)


class UnspeakableError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


async def test_an_exception_without_a_text_is_still_recorded(tmp_path: Path) -> None:
    @function_tool
    async def weather(city: str) -> str:
        """Fail."""
        raise UnspeakableError

    rec, _ = await with_tool(weather, call("weather", city="Oslo"), tmp_path)
    tool = rec.one("tool")
    assert tool.error is not None
    assert tool.error.type == "UnspeakableError"
    assert "cannot be shown" in tool.error.message


@pytest.mark.parametrize("kind", Kind)
async def test_an_exception_that_ends_the_run_is_the_tools_own_in_the_tool(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("tool_raises_through", kind, tmp_path)
    tool, (root,) = rec.one("tool"), rec.all("workflow")
    assert tool.error is not None
    assert root.error is not None
    assert (tool.error.type, tool.error.http_status) == ("BackendError", 503)
    assert (root.error.type, root.error.http_status) == ("UserError", 503)
    assert root.error.chain == ("BackendError: no weather station in Oslo",)
    assert [span.span_id for span in rec.traces[0].errors] == [tool.span_id]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["tool_times_out", "tool_times_out_through"])
async def test_a_tool_that_runs_out_of_time_has_failed(name: str, kind: Kind, tmp_path: Path) -> None:
    tool = (await recorded(name, kind, tmp_path)).one("tool")
    assert tool.status is Status.ERROR
    assert tool.error is not None
    assert tool.error.type == "ToolTimeoutError"
    assert tool.error.message == str(ToolTimeoutError(tool_name=tool.name, timeout_seconds=0.05))


async def test_a_timeout_told_in_the_users_own_words_has_failed_as_well(tmp_path: Path) -> None:
    @function_tool(timeout=0.02, timeout_error_function=lambda context, error: "try again tomorrow")
    async def slow(city: str) -> str:
        """Take too long."""
        await asyncio.sleep(5)
        return city

    rec, _ = await with_tool(slow, call("slow", city="Oslo"), tmp_path)
    tool = rec.one("tool")
    assert tool.output == told_to_the_model(rec) == "try again tomorrow"
    assert tool.error is not None
    assert tool.error.type == "ToolTimeoutError"


async def test_a_tool_that_answers_in_time_has_not_failed(tmp_path: Path) -> None:
    @function_tool(timeout=20, timeout_error_function=lambda context, error: "late")
    async def quick(city: str) -> str:
        """Answer in time."""
        return city

    rec, _ = await with_tool(quick, call("quick", city="Oslo"), tmp_path)
    assert rec.one("tool").status is Status.OK


@pytest.mark.parametrize("kind", Kind)
async def test_a_tool_that_returns_an_error_text_has_not_failed(kind: Kind, tmp_path: Path) -> None:
    tool = (await recorded("tool_returns_error", kind, tmp_path)).one("tool")
    assert (tool.status, tool.error) == (Status.OK, None)
    assert tool.output == "Error: no weather station in Oslo"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("name", "arguments"), [("invalid_arguments", '{"a": "two", "b": 3}'), ("arguments_not_json", '{"a": 2, "b":')]
)
async def test_arguments_that_do_not_fit_are_kept_with_the_failure(
    name: str, arguments: str, kind: Kind, tmp_path: Path
) -> None:
    tool = (await recorded(name, kind, tmp_path)).one("tool")
    assert tool.input == arguments
    assert tool.error is not None
    assert tool.error.type == "ModelBehaviorError"


@pytest.mark.parametrize("kind", Kind)
async def test_an_mcp_tool_that_fails_has_failed_though_the_sdk_passes_on_a_text(kind: Kind, tmp_path: Path) -> None:
    rec = await recorded("mcp_over_stdio", kind, tmp_path)
    good, bad = rec.all("tool")
    assert (good.name, good.status) == ("count_letters", Status.OK)
    assert good.attributes["mcp"] == {"server": "letters"}
    assert (bad.name, bad.status) == ("fail_politely", Status.ERROR)
    assert bad.error is not None
    assert bad.error.type == "MCPToolError"
    assert "fail_politely" in bad.error.message
    assert [span.attributes["server"] for span in rec.all("mcp")] == ["letters"] * 3
    assert rec.all("mcp")[0].output == ["count_letters", "fail_politely", "random_number"]


@pytest.mark.parametrize("kind", Kind)
async def test_a_tool_guardrail_that_rejects_is_told_from_a_tool_that_ran(kind: Kind, tmp_path: Path) -> None:
    tool = (await recorded("tool_guardrail_rejects", kind, tmp_path)).one("tool")
    assert (tool.status, tool.output) == (Status.OK, "Numbers above 9 are not allowed.")
    assert tool.attributes["rejected_by"] == "guardrail"
    assert tool.attributes["call_id"] == SCENARIOS["tool_guardrail_rejects"].turn_of("assistant", 0).id("call")


@pytest.mark.parametrize("kind", [Kind.BARE, Kind.RESPONSES])
@pytest.mark.parametrize("name", ["tool_calls_openai", "tool_calls_openai_chat"])
async def test_a_call_of_the_client_inside_a_tool_is_an_llm_span_below_it(
    name: str, kind: Kind, tmp_path: Path
) -> None:
    rec = await recorded(name, kind, tmp_path)
    tool, turn = rec.one("tool"), SCENARIOS[name].turn_of("helper", 0)
    (llm,) = [span for span in rec.all("llm") if span.parent_id == tool.span_id]
    assert (llm.name, llm.model, llm.agent) == ("gpt-4o", "gpt-4o-2024-07-18", "Assistant")
    assert llm.input[0] == {"role": "system", "content": "Summarise. [[helper]]"}
    assert llm.input[1]["content"] == "a long text"
    assert "short" in json.dumps(llm.output)
    assert (llm.input_tokens, llm.output_tokens) == (turn.usage.input, turn.usage.output)
    assert (llm.cached_tokens, llm.reasoning_tokens) == (turn.usage.cached, turn.usage.reasoning)


async def test_the_asynchronous_chat_client_inside_a_tool_is_recorded_too(tmp_path: Path) -> None:
    script = Script({"assistant": [use(call("ask", text="hi")), say("bye")], "helper": [say("hello")]})
    async with Bench(Kind.BARE, script) as bench:

        @function_tool
        async def ask(text: str) -> str:
            """Ask with a client."""
            messages = [{"role": "system", "content": "[[helper]]"}, {"role": "user", "content": text}]
            answer = await bench.async_client.chat.completions.create(model="gpt-4o", messages=messages)
            return str(answer.choices[0].message.content)

        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, ask), "Go.")
    (llm,) = [span for span in rec.all("llm") if span.parent_id == rec.one("tool").span_id]
    assert llm.output[0]["content"] == "hello"
    assert llm.attributes["finish_reason"] == "stop"
    assert llm.input_tokens == script.all_turns[2].usage.input


async def test_a_failed_call_of_the_client_inside_a_tool_is_recorded_and_raises_as_ever(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [use(call("ask", text="hi")), say("bye")]})) as bench:

        @function_tool
        async def ask(text: str) -> str:
            """Ask with a client, in vain."""
            with pytest.raises(openai.BadRequestError, match="marker") as caught:
                await bench.async_client.responses.create(model="gpt-4o", input=text)
            return str(caught.value.status_code)

        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, ask), "Go.")
    (llm,) = [span for span in rec.all("llm") if span.parent_id == rec.one("tool").span_id]
    assert (rec.one("tool").status, rec.one("tool").output) == (Status.OK, "400")
    assert llm.status is Status.ERROR
    assert llm.error is not None
    assert (llm.error.type, llm.error.http_status) == ("BadRequestError", 400)


async def test_tools_of_a_run_without_content_have_no_arguments_and_no_results(tmp_path: Path) -> None:
    @function_tool
    async def shout(text: str) -> str:
        """Fail with what was given."""
        raise ValueError(text)

    config = RunConfig(trace_include_sensitive_data=False)
    rec, _ = await with_tool(shout, call("shout", text="canary"), tmp_path, run_config=config)
    tool = rec.one("tool")
    assert (tool.input, tool.output, tool.status) == (None, None, Status.ERROR)
    assert tool.error is not None
    assert tool.error.type == "ValueError"
    assert "canary" not in str(tool.error)
