"""The vendor's own client reads the stub server, and the models without HTTP say the same."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import openai
import pytest
from agents import ModelResponse, ModelSettings, ModelTracing

from bench.models import Bench, Kind, status_error
from bench.script import Script, TokenUsage, call, fail, say, use
from bench.stub_server import StubServer

HELLO = {"greeter": [say("Hello, dear world!", usage=TokenUsage(11, 7, cached=4, reasoning=2))]}
ASK = {"model": "gpt-4o-mini", "instructions": "[[greeter]]", "input": "Hi."}
CHAT = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "system", "content": "[[greeter]]"}, {"role": "user", "content": "Hi."}],
}


@pytest.fixture
def server():
    with StubServer(Script(HELLO)) as server:
        yield server


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="stub", max_retries=0) as client:
        yield client


def test_real_client_reads_a_response(server, client):
    answer = client.responses.create(**ASK)
    assert answer.output_text == "Hello, dear world!"
    assert (answer.id, answer.model, answer.status) == ("resp_greeter_0_0", "gpt-4o-mini-2024-07-18", "completed")
    assert answer._request_id == "req_greeter_0_0"
    assert answer.usage.model_dump() == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0, "cache_write_tokens_details": None},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }
    (request,) = server.requests
    assert (request.path, request.streamed, request.body["input"]) == ("/v1/responses", False, "Hi.")
    assert request.headers["authorization"] == "Bearer stub"


def test_real_client_reads_a_streamed_response(client):
    with client.responses.stream(**ASK) as stream:
        events = list(stream)
        final = stream.get_final_response()
    words = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert words == ["Hello, ", "dear ", "world!"]
    assert [event.sequence_number for event in events if event.type.startswith("response.")][-1] > len(words)
    assert (final.output_text, final.usage.total_tokens) == ("Hello, dear world!", 18)


def test_real_client_reads_a_chat_completion(client):
    answer = client.chat.completions.create(**CHAT)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello, dear world!", "stop")
    assert (answer.id, answer._request_id) == ("chatcmpl_greeter_0_0", "req_greeter_0_0")
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 7, 18)
    assert (usage.prompt_tokens_details.cached_tokens, usage.completion_tokens_details.reasoning_tokens) == (4, 2)


@pytest.mark.parametrize("include_usage", [False, True])
def test_real_client_reads_a_streamed_chat_completion(client, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(client.chat.completions.create(**CHAT, stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Hello, dear world!"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([18] if include_usage else [])


@pytest.mark.parametrize("streamed", [False, True])
def test_real_client_reads_tool_calls_of_both_apis(streamed):
    steps = [use(call("add", a=1), call("sub", b=2))] * 2
    with (
        StubServer(Script({"greeter": steps})) as server,
        openai.OpenAI(base_url=server.base_url, api_key="stub", max_retries=0) as client,
    ):
        if streamed:
            with client.responses.stream(**ASK) as responses, client.chat.completions.stream(**CHAT) as chat:
                output = responses.get_final_response().output
                message = chat.get_final_completion().choices[0].message
        else:
            output = client.responses.create(**ASK).output
            message = client.chat.completions.create(**CHAT).choices[0].message
    expected = [("add", '{"a": 1}'), ("sub", '{"b": 2}')]
    assert [(item.name, item.arguments) for item in output] == expected
    assert [(made.function.name, made.function.arguments) for made in message.tool_calls] == expected
    assert len({item.call_id for item in output} | {made.id for made in message.tool_calls}) == 4


@pytest.mark.parametrize(("status", "kind"), [(429, openai.RateLimitError), (500, openai.InternalServerError)])
def test_real_client_raises_the_same_error_as_models_without_http(status, kind):
    with (
        StubServer(Script({"greeter": [fail(status)]})) as server,
        openai.OpenAI(base_url=server.base_url, api_key="stub", max_retries=0) as client,
        pytest.raises(kind) as caught,
    ):
        client.responses.create(**ASK)
    double = status_error(status)
    assert type(double) is kind
    assert str(double) == str(caught.value)
    assert (double.status_code, double.body) == (caught.value.status_code, caught.value.body)


def test_client_that_may_retry_asks_again_after_429():
    with (
        StubServer(Script({"greeter": [fail(429), say("now")]})) as server,
        openai.OpenAI(base_url=server.base_url, api_key="stub", max_retries=1) as client,
    ):
        assert client.responses.create(**ASK).output_text == "now"
        assert len(server.requests) == 2


def test_request_without_a_script_is_answered_400_and_remembered(server, client):
    with pytest.raises(openai.BadRequestError, match="no step 0"):
        client.responses.create(**ASK | {"instructions": "[[nobody]]"})
    assert server.problems == ["script 'nobody' has no step 0; steps: {'greeter': 1}"]


@pytest.mark.parametrize("step", [say("late", delay_s=60), say("slow " * 50, token_delay_s=60)])
def test_server_closes_at_once_in_the_middle_of_an_answer(step):
    failed: list[BaseException] = []

    def ask(url: str) -> None:
        with openai.OpenAI(base_url=url, api_key="stub", max_retries=0) as client:
            try:
                list(client.responses.create(**ASK, stream=True))
            except Exception as error:  # the client's, or in the middle of a stream the transport's own
                failed.append(error)

    with StubServer(Script({"greeter": [step]})) as server:
        thread = threading.Thread(target=ask, args=(server.base_url,))
        thread.start()
        while not server.script.served:
            time.sleep(0.005)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert len(failed) == 1


def test_two_servers_do_not_share_anything():
    with StubServer(Script(HELLO)) as first, StubServer(Script({"greeter": [say("other")]})) as second:
        texts = []
        for server in (first, second):
            with openai.OpenAI(base_url=server.base_url, api_key="stub", max_retries=0) as client:
                texts.append(client.responses.create(**ASK).output_text)
        assert texts == ["Hello, dear world!", "other"]
        assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_all_kinds_of_model_give_the_same_answer():
    steps = {"greeter": [say("Hello!"), use(call("add", a=1))]}
    answers: dict[Kind, list[Any]] = {}
    for kind in Kind:
        async with Bench(kind, Script(steps)) as bench:
            model = bench.model()
            answers[kind] = [_content(await _ask(model)) for _ in range(2)]
    assert answers[Kind.RESPONSES] == ["Hello!", ("add", '{"a": 1}')]
    assert len({json.dumps(answer) for answer in answers.values()}) == 1


async def _ask(model: Any) -> ModelResponse:
    return await model.get_response(
        "[[greeter]]",
        "Hi.",
        ModelSettings(),
        [],
        None,
        [],
        ModelTracing.DISABLED,
        previous_response_id=None,
        conversation_id=None,
        prompt=None,
    )


def _content(answer: ModelResponse) -> Any:
    (item,) = answer.output
    return item.content[0].text if item.type == "message" else (item.name, item.arguments)
