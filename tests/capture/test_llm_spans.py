"""LLM spans: each call once, with the prompt, the answer and the numbers of the script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import Agent, ModelSettings, RunConfig, Runner, Usage, function_tool
from agents.exceptions import ModelTimeoutError
from agents.models.interface import Model, ModelProvider
from agents.retry import ModelRetrySettings, retry_policies
from agents.testing import ModelStep, ScriptedModel, assistant_message
from bench import dialects
from bench.models import DEFAULT_MODEL, Bench, Kind
from bench.scenarios import SCENARIOS, play
from bench.scenarios.flows import add, assistant
from bench.scenarios.streams import read_to_the_end
from bench.script import Script, TokenUsage, call, fail, say, use

from agenttrace_nb.spans import Status
from capture import expected
from capture.recording import Recording, completed, recording

if TYPE_CHECKING:
    from pathlib import Path

    from bench.script import Turn

SEQUENTIAL = [
    "single_agent_with_tool",
    "triage_with_handoffs",
    "agents_as_tools",
    "plan_execute_evaluate",
    "parallel_tools",
    "session_two_runs",
    "reasoning_item",
    "structured_output",
    "stream_consumed",
    "stream_with_usage",
    "stream_never_consumed",
]
"""Scenarios in which one model call follows the other, so that the n-th span is the n-th turn served."""


async def recorded(name: str, kind: Kind, folder: Path) -> tuple[Recording, list[Turn], Bench]:
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        with recording(folder) as rec:
            await play(one, bench)
            await completed(rec)
    assert rec.notes == []
    return rec, bench.script.served, bench


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", SEQUENTIAL)
async def test_every_call_is_recorded_once_as_the_script_served_it(name: str, kind: Kind, tmp_path: Path) -> None:
    rec, served, _ = await recorded(name, kind, tmp_path)
    one, spans = SCENARIOS[name], rec.all("llm")
    assert [expected.said(span.output) for span in spans] == [expected.answered(turn, kind) for turn in served]
    if kind is not Kind.CHAT:  # byte for byte what the provider sent; chat answers are rewritten by the SDK
        assert [span.output for span in spans] == [dialects.response_output(turn) for turn in served]
    for span, turn in zip(spans, served, strict=True):
        tokens = (span.input_tokens, span.output_tokens, span.cached_tokens, span.reasoning_tokens)
        usage = turn.usage
        known = (usage.input, usage.output, usage.cached, usage.reasoning)
        assert tokens == (known if one.usage_known(kind) else (None,) * 4)
        assert span.attributes["response_id"] == expected.response_id(turn, kind)
        assert span.agent is not None
        assert span.agent.lower() == turn.key
        assert span.status is Status.OK
        assert (span.ttft_s is None) is not one.streamed
        if span.ttft_s is not None:
            assert span.duration_s is not None
            assert 0 < span.ttft_s <= span.duration_s


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", SEQUENTIAL)
async def test_a_prompt_is_the_system_prompt_and_all_that_was_said_before(
    name: str, kind: Kind, tmp_path: Path
) -> None:
    rec, served, bench = await recorded(name, kind, tmp_path)
    if not kind.over_http:
        requests = [_as_chat(span.input) for span in rec.all("llm")]
        assert [request[0][1] for request in requests] == [f"You help. [[{turn.key}]]" for turn in served]
        return
    for span, request in zip(rec.all("llm"), bench.server.requests, strict=True):
        if kind is Kind.RESPONSES:
            assert span.input[0] == {"role": "system", "content": request.body["instructions"]}
            assert span.input[1:] == request.body["input"]
        else:
            assert _as_chat(span.input) == _as_chat(request.body["messages"])


def _as_chat(items: list[Any]) -> list[tuple[Any, ...]]:
    """Return items of either API as they would stand in a chat: calls beside the answer that they are part of."""
    found: list[tuple[Any, ...]] = []
    for item in items:
        if item.get("role") == "tool":
            found.append(("result", item["tool_call_id"], item["content"]))
        elif item.get("type") is None and item.get("role") == "assistant":
            found += [("assistant", item["content"])] if item.get("content") else []
            for asked in item.get("tool_calls") or []:
                found.append(("call", asked["id"], asked["function"]["name"], asked["function"]["arguments"]))
        else:
            found += [entry for entry in expected.said([item]) if entry[0] != "reasoning"]
    return found


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["single_agent_with_tool", "stream_consumed"])
async def test_what_was_asked_for_and_what_answered_are_told_apart(name: str, kind: Kind, tmp_path: Path) -> None:
    rec, served, _ = await recorded(name, kind, tmp_path)
    # A Model without spans tells the SDK nothing of its provider's answer, unless it streams it.
    told = kind.over_http or SCENARIOS[name].streamed
    for span, turn in zip(rec.all("llm"), served, strict=True):
        if kind is Kind.SCRIPTED:
            assert span.name == "ScriptedModel"
            assert "requested_model" not in span.attributes
        else:
            assert span.name == span.attributes["requested_model"] == DEFAULT_MODEL
        if told:
            assert span.model == expected.ANSWERED_MODEL
            assert span.attributes["finish_reason"] == expected.finish_reason(turn, kind)
        else:
            assert span.model == (None if kind is Kind.SCRIPTED else DEFAULT_MODEL)
            assert "finish_reason" not in span.attributes


@pytest.mark.parametrize("kind", Kind)
async def test_nothing_that_was_made_up_for_lack_of_an_id_is_kept_as_one(kind: Kind, tmp_path: Path) -> None:
    for name in ("single_agent_with_tool", "stream_consumed"):
        rec, _, _ = await recorded(name, kind, tmp_path)
        assert "__fake_id__" not in [span.attributes.get("response_id") for span in rec.spans]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["gather_ten", "gather_in_trace"])
async def test_calls_side_by_side_keep_their_own_content(name: str, kind: Kind, tmp_path: Path) -> None:
    rec, served, _ = await recorded(name, kind, tmp_path)
    by_answer = {tuple(expected.answered(turn, kind)): turn for turn in served}
    spans = rec.all("llm")
    assert len(spans) == len(served) == len(by_answer)
    for span in spans:
        turn = by_answer[tuple(expected.said(span.output))]
        assert span.agent is not None
        assert span.agent.lower() == turn.key
        assert expected.said(span.input)[0] == ("system", f"You help. [[{turn.key}]]")
        assert span.input_tokens == turn.usage.input


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["model_429", "stream_model_429"])
async def test_a_refused_call_keeps_its_prompt_and_the_true_error(name: str, kind: Kind, tmp_path: Path) -> None:
    rec, _, _ = await recorded(name, kind, tmp_path)
    span = rec.one("llm")
    assert expected.said(span.input) == [("system", "You help. [[assistant]]"), ("user", "Hello.")]
    assert span.output is None
    assert span.input_tokens is None
    assert span.status is Status.ERROR
    assert span.error is not None
    assert (span.error.type, span.error.http_status) == ("RateLimitError", 429)
    assert "Rate limit reached for the scripted model" in span.error.message


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["task_cancelled", "wait_for_times_out", "input_guardrail_trips"])
async def test_a_cancelled_call_keeps_its_prompt_and_has_no_answer(name: str, kind: Kind, tmp_path: Path) -> None:
    rec, _, _ = await recorded(name, kind, tmp_path)
    span = rec.all("llm")[-1]
    assert span.status is Status.CANCELLED
    assert span.input[0]["content"] == "You help. [[assistant]]"
    assert (span.output, span.error, span.input_tokens, span.cost_usd) == (None, None, None, None)


class Forgetful(Model):
    """A model that says nothing of itself and counts no tokens."""

    async def get_response(self, *_args: Any, **_kwargs: Any) -> Any:
        from agents import ModelResponse

        return ModelResponse(output=[assistant_message("hm")], usage=Usage(), response_id=None)

    def stream_response(self, *_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError


async def test_tokens_that_nobody_counted_are_unknown_and_not_zero(tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        await Runner.run(Agent(name="A", model=Forgetful()), "hi")
    span = rec.one("llm")
    assert span.name == "Forgetful"
    assert span.model is None
    assert (span.input_tokens, span.output_tokens, span.cached_tokens, span.reasoning_tokens) == (None,) * 4
    assert "response_id" not in span.attributes
    assert rec.traces[0].total("input_tokens") is None


class OneModel(ModelProvider):
    """Gives the same model whatever it is asked for."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def get_model(self, model_name: str | None) -> Model:
        return self.model


async def test_a_call_of_the_default_model_is_named_by_its_answer(tmp_path: Path) -> None:
    async with Bench(Kind.RESPONSES, Script({"assistant": [say("hi")]})) as bench:
        with recording(tmp_path) as rec:
            config = RunConfig(model_provider=OneModel(bench.model()))
            await Runner.run(Agent(name="Assistant", instructions="[[assistant]]"), "hello", run_config=config)
    span = rec.one("llm")
    assert span.name == span.model == expected.ANSWERED_MODEL
    assert "requested_model" not in span.attributes


async def test_the_runs_own_model_and_settings_go_before_the_agents(tmp_path: Path) -> None:
    async with Bench(Kind.BARE, Script({"assistant": [say("hi")]})) as bench:
        with recording(tmp_path) as rec:
            agent = Agent(
                name="Assistant", instructions="[[assistant]]", model="some-model",
                model_settings=ModelSettings(temperature=0.1, top_p=0.5),
            )  # fmt: skip
            config = RunConfig(model=bench.model("another-model"), model_settings=ModelSettings(temperature=0.9))
            await Runner.run(agent, "hello", run_config=config)
    span = rec.one("llm")
    assert (span.name, span.model) == ("another-model", "another-model")
    assert span.attributes["model_settings"] == {"temperature": 0.9, "top_p": 0.5}


async def test_a_call_that_is_tried_again_is_one_call(tmp_path: Path) -> None:
    script = Script({"assistant": [fail(500), fail(500), say("at last", usage=TokenUsage(7, 3))]})
    async with Bench(Kind.RESPONSES, script) as bench:
        with recording(tmp_path) as rec:
            retry = ModelRetrySettings(
                max_retries=5, backoff={"initial_delay": 0.001}, policy=retry_policies.http_status([500])
            )
            agent = assistant(bench, model_settings=ModelSettings(retry=retry))
            result = await Runner.run(agent, "hello")
    assert result.final_output == "at last"
    span = rec.one("llm")
    assert span.status is Status.OK
    assert span.error is None
    assert span.attributes["attempts"] == 3
    assert (span.input_tokens, span.output_tokens) == (7, 3)


@pytest.mark.parametrize("kind", Kind)
async def test_a_model_that_is_too_slow_has_failed_and_was_not_cancelled(kind: Kind, tmp_path: Path) -> None:
    async with Bench(kind, Script({"assistant": [say("late", delay_s=30, lost=True)]})) as bench:
        with recording(tmp_path) as rec:
            agent = assistant(bench, model_settings=ModelSettings(timeout=0.1))
            with pytest.raises(ModelTimeoutError):
                await Runner.run(agent, "hello")
            await completed(rec)
    assert [span.status for span in rec.spans] == [Status.ERROR] * 4
    error = rec.one("llm").error
    assert error is not None
    assert "0.1" in error.message


async def test_a_streamed_call_of_two_turns_has_a_first_token_in_each(tmp_path: Path) -> None:
    script = Script({"assistant": [use(call("add", a=2, b=3)), say("one two three", token_delay_s=0.05)]})
    async with Bench(Kind.BARE, script) as bench:
        with recording(tmp_path) as rec:
            result = Runner.run_streamed(assistant(bench, add), "What is 2 + 3?")
            assert await read_to_the_end(result) == "one two three"
            await completed(rec)
    first, second = rec.all("llm")
    assert first.ttft_s is not None
    assert second.ttft_s is not None
    assert second.duration_s is not None
    assert second.ttft_s < second.duration_s - 0.1  # two of the three pauses come after the first token


async def test_a_model_called_by_hand_inside_a_tool_is_recorded_under_it(tmp_path: Path) -> None:
    inner = ScriptedModel([ModelStep(output=[assistant_message("42")])], emit_traces=True)

    @function_tool
    async def ask(question: str) -> str:
        """Ask a model directly."""
        from agents import ModelTracing

        answer = await inner.get_response(
            "Be short.", question, ModelSettings(), [], None, [], ModelTracing.ENABLED,
            previous_response_id=None, conversation_id=None, prompt=None,
        )  # fmt: skip
        return str(answer.output[0].content[0].text)

    async with Bench(Kind.BARE, Script({"assistant": [use(call("ask", question="6 x 7")), say("42")]})) as bench:
        with recording(tmp_path) as rec:
            await Runner.run(assistant(bench, ask), "What is 6 x 7?")
    tool = rec.one("tool")
    assert [span.parent_id == tool.span_id for span in rec.all("llm")] == [False, True, False]
