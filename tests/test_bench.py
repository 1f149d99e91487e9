"""The test bench is right: its doubles do what the real things do, and its expectations follow from the script."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from agents import ModelResponse, ModelSettings, ModelTracing
from agents.exceptions import ModelBehaviorError
from agents.tracing import set_trace_processors
from bench import cassettes, tau
from bench.models import DEFAULT_MODEL, Bench, Kind, status_error
from bench.scenarios import CASE_IDS, CASES, SCENARIOS, play, registry
from bench.script import Script, ScriptError, TokenUsage, call, fail, handoff, say, turn_key, use
from bench.sdk_tree import Recorder, nodes_of
from bench.shared_data import reason_to_skip
from bench.stub_server import StubServer
from bench.tree import Node, build, difference, parse, render, without

HELLO = {"greeter": [say("Hello, dear world!", usage=TokenUsage(11, 7, cached=4, reasoning=2))]}
ASK = {"model": "gpt-4o-mini", "instructions": "[[greeter]]", "input": "Hi."}
CHAT = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "system", "content": "[[greeter]]"}, {"role": "user", "content": "Hi."}],
}


@pytest.fixture(autouse=True)
def no_exporter():
    """Take the SDK's own exporter away; it would send what it sees to its maker."""
    set_trace_processors([])
    yield
    set_trace_processors([])


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    set_trace_processors([recorder])
    return recorder


# ------------------------------------------------------------------------------------------------------------ scenarios


@pytest.mark.parametrize(("one", "kind"), CASES, ids=CASE_IDS)
async def test_scenario_ends_as_expected_and_the_sdk_reports_its_golden_tree(one, kind, recorder, no_mlflow_spans):
    async with Bench(kind, one.script()) as bench:
        outcome = await play(one, bench)
        problems, served = bench.problems, len(bench.script.served)
        requests = len(bench.server.requests) if kind.over_http else served
    assert problems == []
    assert (type(outcome.error) if outcome.error else None) is one.raises
    assert outcome.final_output == one.answer
    assert served == requests == one.expected(kind).llm_calls

    model = "ScriptedModel" if kind is Kind.SCRIPTED else DEFAULT_MODEL
    visible = [] if not one.traced else _visible_to_the_sdk(parse(one.golden(kind)), kind)
    assert difference(visible, nodes_of(recorder, model), columns=()) == ""
    assert len(recorder.traces) == one.traces
    if one.group_id:
        assert {trace.group_id for trace in recorder.traces} == {one.group_id}


def _visible_to_the_sdk(nodes: list[Node], kind: Kind) -> list[Node]:
    """Drop what no SDK span stands for: model calls of a model without spans, the users' own instruments."""
    seen = [node for node in nodes if not node.beyond_sdk]
    for node in seen:
        node.children = _visible_to_the_sdk(node.children, kind)
    return without(seen, ["llm"]) if kind is Kind.BARE else seen


@pytest.fixture
def no_mlflow_spans(request):
    """Let @mlflow.trace do nothing: where MLflow stores its spans is not the bench's matter."""
    if "tool_with_mlflow_span" not in request.node.name:
        yield
        return
    import mlflow

    mlflow.tracing.disable()
    yield
    mlflow.tracing.enable()


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "name", ["single_agent_with_tool", "triage_with_handoffs", "agents_as_tools", "stream_with_usage", "gather_ten"]
)
async def test_sdk_counts_the_tokens_that_the_script_expects(name, kind):
    one = SCENARIOS[name]
    async with Bench(kind, one.script()) as bench:
        outcome = await play(one, bench)
    counted = sum((_tokens_of(result.context_wrapper.usage) for result in outcome.results), TokenUsage(0, 0))
    assert counted == one.expected(kind).tokens


def _tokens_of(usage: Any) -> TokenUsage:
    cached, reasoning = usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens
    return TokenUsage(usage.input_tokens, usage.output_tokens, cached, reasoning)


async def test_tokens_of_a_streamed_chat_are_unknown_unless_asked_for():
    for name, known in (("stream_consumed", False), ("stream_with_usage", True)):
        one = SCENARIOS[name]
        async with Bench(Kind.CHAT, one.script()) as bench:
            outcome = await play(one, bench)
        assert bool(outcome.results[0].context_wrapper.usage.total_tokens) is known
        assert (one.expected(Kind.CHAT).tokens is not None) is known
    assert SCENARIOS["stream_consumed"].expected(Kind.RESPONSES).tokens is not None


@pytest.mark.parametrize(("one", "kind"), CASES, ids=CASE_IDS)
def test_golden_tree_agrees_with_the_script_and_with_what_the_user_sees(one, kind):
    roots = parse(one.golden(kind))
    if not one.traced:
        assert roots == []
        return
    kinds = [node.kind for root in roots for node in root.walk()]
    expected = one.expected(kind)
    assert kinds.count("llm") == expected.llm_calls
    assert kinds.count("tool") == expected.tool_calls + one.approvals
    assert kinds.count("workflow") == one.traces
    assert kinds.count("handoff") == sum(c.is_handoff for steps in one.steps.values() for s in steps for c in s.calls)

    cancels = (asyncio.CancelledError, TimeoutError)
    if one.raises is not None:
        assert [root.status for root in roots] == ["cancelled" if one.raises in cancels else "error"]
    for root in roots:  # a trace never fails all by itself: something in it did
        assert root.status == "ok" or root.status in {node.status for node in root.walk() if node is not root}


def test_every_golden_file_belongs_to_a_scenario():
    assert {path.stem for path in registry.GOLDEN.glob("*.txt")} == set(SCENARIOS)


async def test_play_refuses_another_end_than_the_expected_one():
    one = SCENARIOS["model_429"]
    async with Bench(Kind.BARE, Script({"assistant": [fail(500)]})) as bench:
        with pytest.raises(openai.InternalServerError):
            await play(one, bench)
    async with Bench(Kind.BARE, Script({"assistant": [say("no error at all")]})) as bench:
        with pytest.raises(AssertionError, match="ended without RateLimitError"):
            await play(one, bench)


async def test_run_refuses_a_scenario_that_asks_less_than_its_script():
    one = SCENARIOS["single_agent_with_tool"]
    longer = registry.Scenario("longer", "", one.play, {**one.steps, "nobody": [say("?")]})
    with pytest.raises(AssertionError, match=r"never asked: nobody\[0\]"):
        await registry.run(longer, Kind.BARE)


async def test_secrets_of_the_canary_scenario_really_travel():
    one = SCENARIOS["secret_canaries"]
    async with Bench(Kind.RESPONSES, one.script()) as bench:
        await play(one, bench)
        seen = json.dumps([[request.headers, request.body] for request in bench.server.requests])
    assert [secret in seen for secret in one.secrets] == [True] * len(one.secrets)


async def test_bench_leaves_no_thread_and_no_task():
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    for name in ("stream_left_running", "input_guardrail_trips", "gather_ten"):
        await registry.run(SCENARIOS[name], Kind.RESPONSES)
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    assert {name for name in left if not name.startswith("asyncio_")} == set()  # the loop's own pool stays
    assert asyncio.all_tasks() == tasks


def test_bench_needs_neither_the_package_nor_mlflow():
    code = (
        "import sys, bench.scenarios, bench.tau, bench.cassettes; print({'agenttrace_nb', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
    )
    assert done.stdout.strip() == "set()"


# --------------------------------------------------------------------------------------------------------------- script


def test_script_answers_do_not_depend_on_who_asks_first():
    steps = {"a": [use(call("f", x=1)), say("one")], "b": [say("two")]}
    orders = (["a", "a", "b"], ["b", "a", "a"], ["a", "b", "a"])
    answers = []
    for order in orders:
        script = Script(steps)
        turns = sorted((script.take(f"[[{key}]]") for key in order), key=turn_key)
        answers.append([(turn.id("resp"), turn.usage, turn.step) for turn in turns])
    assert answers[0] == answers[1] == answers[2]
    assert len({usage for _, usage, _ in answers[0]}) == 3


def test_script_hands_each_step_out_once_to_many_threads():
    script = Script({"a": [say(str(n)) for n in range(1000)]})
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda _: script.take("[[a]]").step.text, range(1000)))
    assert sorted(texts, key=int) == [str(n) for n in range(1000)]
    assert script.left == []


@pytest.mark.parametrize(
    ("instructions", "message"),
    [
        (None, "no .* marker in the instructions None; scripts: .'a'."),
        ("help", "no .* marker in the instructions 'help'"),
        ("[[b]]", "script 'b' has no step 0; steps: {'a': 1}"),
    ],
)
def test_script_refuses_what_it_does_not_know(instructions, message):
    with pytest.raises(ScriptError, match=message):
        Script({"a": [say("x")]}).take(instructions)


def test_script_that_runs_out_says_so_and_begins_anew_when_asked():
    script = Script({"a": [say("x")]})
    script.take("[[a]]")
    with pytest.raises(ScriptError, match="script 'a' has no step 1"):
        script.take("[[a]]")
    assert script.fresh().take("[[a]]").step.text == "x"


def test_script_counts_only_answers_that_arrive():
    script = Script(
        {
            "a": [
                use(call("f"), handoff("B"), usage=TokenUsage(1, 2)),
                fail(429, usage=TokenUsage(10, 20)),
                say("x", lost=True, usage=TokenUsage(100, 200)),
                say("y", usage=TokenUsage(1000, 2000, cached=5, reasoning=6)),
            ]
        }
    )
    assert script.answered_usage() == TokenUsage(1001, 2002, cached=5, reasoning=6)
    assert [made.name for made in script.tool_calls()] == ["f"]


# ----------------------------------------------------------------------------------------------------------- the server


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


# --------------------------------------------------------------------------------------------------------- golden trees

TREE = """\
workflow "Agent workflow" error
  agent Triage ok
    turn 1 ok
      ~ llm gpt-4o ok
      ~ guardrail no swearing ok
      + handoff Triage → Refunds ok
  agent Refunds error
"""


def test_golden_text_is_read_with_names_agents_and_marks():
    (root,) = parse(TREE)
    nodes = {node.kind: node for node in root.walk()}
    assert (root.name, root.agent, [child.name for child in root.children]) == (
        "Agent workflow",
        None,
        ["Triage", "Refunds"],
    )
    assert (nodes["guardrail"].name, nodes["guardrail"].agent, nodes["guardrail"].any_order) == (
        "no swearing",
        "Triage",
        True,
    )
    assert (nodes["handoff"].name, nodes["handoff"].beyond_sdk) == ("Triage → Refunds", True)
    assert render([root]) == TREE.replace("~ ", "").replace("+ ", "")


@pytest.mark.parametrize(
    "line", ["agent Triage fine", "agent ok", "   agent Triage ok", "workflow X ok\n    agent Deep ok", "agent  ok?"]
)
def test_golden_text_with_a_bad_line_is_refused(line):
    with pytest.raises(ValueError, match="not a line of a golden tree"):
        parse(line)


ROWS = [
    ("t", None, "workflow", "Agent workflow", None, "error"),
    ("a", "t", "agent", "Triage", "Triage", "ok"),
    ("1", "a", "turn", "1", "Triage", "ok"),
    ("g", "1", "guardrail", "no swearing", "Triage", "ok"),
    ("l", "1", "llm", "gpt-4o", "Triage", "ok"),
    ("h", "1", "handoff", "Triage → Refunds", "Triage", "ok"),
    ("b", "t", "agent", "Refunds", "Refunds", "error"),
]


def test_recorded_tree_equals_the_golden_one_in_any_order_it_allows():
    assert difference(TREE, build(ROWS)) == ""


@pytest.mark.parametrize(
    ("changed", "shows"),
    [
        (ROWS[:-1], "-  agent Refunds error @Refunds"),
        ([*ROWS, ("x", "b", "tool", "add", "Refunds", "ok")], "+    tool add ok @Refunds"),
        ([*ROWS[:4], ("l", "1", "llm", "gpt-4o", "Triage", "error"), *ROWS[5:]], "+      llm gpt-4o error @Triage"),
        ([*ROWS[:4], ("l", "1", "llm", "gpt-4o", "Refunds", "ok"), *ROWS[5:]], "+      llm gpt-4o ok @Refunds"),
        ([*ROWS[:4], ("l", "a", "llm", "gpt-4o", "Triage", "ok"), *ROWS[5:]], "+    llm gpt-4o ok @Triage"),
        ([ROWS[0], ROWS[-1], *ROWS[1:-1]], "+  agent Refunds error @Refunds"),
        ([*ROWS[:4], ("l", "gone", "llm", "gpt-4o", "Triage", "ok"), *ROWS[5:]], "+llm gpt-4o ok @Triage"),
    ],
    ids=["missing", "one too many", "status", "agent", "parent", "order", "orphan"],
)
def test_recorded_tree_that_differs_is_shown(changed, shows):
    assert shows in difference(TREE, build(changed)).splitlines()


def test_golden_lines_can_hold_for_some_kinds_only():
    text = "workflow W ok\n  [RC] llm MODEL ok\n  [E] llm MODEL error\n"
    assert registry.for_kind(text, Kind.CHAT) == "workflow W ok\n  llm gpt-4o-mini ok\n"
    assert registry.for_kind(text, Kind.BARE) == "workflow W ok\n"
    assert registry.for_kind(text, Kind.SCRIPTED) == "workflow W ok\n  llm ScriptedModel error\n"


# ----------------------------------------------------------------------------------------------------------- recordings


@pytest.fixture(scope="module")
def tau_data() -> Path:
    data = tau.data()
    if data is None:
        pytest.skip(reason_to_skip(tau.DATA_SET))
    return data


@pytest.mark.timeout(120)
async def test_sdk_rebuilds_all_200_recorded_conversations_byte_for_byte(tau_data):
    records, tools = tau.load_records(tau_data), tau.load_tools(tau_data)
    different = []
    for index, record in enumerate(records):
        history = await tau.replay(record, tools)
        if tau.as_bytes(tau.rebuilt(history)) != tau.as_bytes(tau.transcript(record)):
            different.append(index)
    assert (len(records), different) == (200, [])


async def test_sdk_rebuilds_streamed_conversations_byte_for_byte(tau_data):
    records, tools = tau.load_records(tau_data)[::20], tau.load_tools(tau_data)
    for record in records:
        history = await tau.replay(record, tools, streamed=True)
        assert tau.as_bytes(tau.rebuilt(history)) == tau.as_bytes(tau.transcript(record))


def test_comparison_of_conversations_sees_one_changed_byte(tau_data):
    record = tau.load_records(tau_data)[0]
    entries = tau.transcript(record)
    changed = [*entries[:-1], (entries[-1][0], entries[-1][1] + " ")]
    assert tau.as_bytes(changed) != tau.as_bytes(entries)


def _call_ids(messages: list[Any]) -> list[str]:
    return [made["id"] for message in messages for made in message.get("tool_calls") or []]


def test_ids_that_49_recordings_use_twice_are_made_unique(tau_data):
    recordings = [record["traj"] for record in tau.load_records(tau_data)]
    assert sum(len(set(_call_ids(messages))) < len(_call_ids(messages)) for messages in recordings) == 49
    for messages in recordings:
        repaired = tau.with_unique_ids(messages)
        assert len(set(_call_ids(repaired))) == len(_call_ids(messages))
        results = [message["tool_call_id"] for message in repaired if message["role"] == "tool"]
        assert results == _call_ids(repaired)


async def test_sdk_refuses_16_recordings_whose_ids_are_left_as_they_are(tau_data, monkeypatch):
    records, tools = tau.load_records(tau_data), tau.load_tools(tau_data)
    monkeypatch.setattr(tau, "with_unique_ids", lambda messages: messages)
    refused = 0
    for record in records:
        exchanges = tau.split(record["traj"])[1]
        if any(len(set(ids)) < len(ids) for ids in (_call_ids(exchange.answers) for exchange in exchanges)):
            with pytest.raises(ModelBehaviorError, match="reused a completed tool call ID"):
                await tau.replay(record, tools)
            refused += 1
    assert refused == 16


@pytest.fixture(scope="module")
def cassette_data() -> Path:
    data = cassettes.data()
    if data is None:
        pytest.skip(reason_to_skip(cassettes.DATA_SET))
    return data


CHANGED_SINCE = {"responses": 1, "function_tool_exception": 1, "mcp": 1}
"""Tool results that today's SDK words otherwise than the one that made the recording."""


@pytest.mark.parametrize("name", cassettes.PROGRAMS)
async def test_recorded_http_plays_through_the_real_models(name, cassette_data):
    cassette = cassettes.Cassette.load(name, cassette_data)
    result = await cassettes.play(cassette)
    assert result.final_output == cassette.last_text
    assert len(cassette.sent) == len(cassette.exchanges)
    changed = cassette.changed_questions()
    assert len(changed) == CHANGED_SINCE.get(name, 0)
    assert {item["type"] for pair in changed for item in pair} <= {"function_call_output"}


def test_every_recording_has_a_program(cassette_data):
    assert {path.stem.removeprefix("test_") for path in cassette_data.glob("*.json")} == set(cassettes.PROGRAMS)
