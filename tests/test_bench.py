"""The scenarios of the test bench are right: they end as they say, with the calls, tokens and trees they say."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import openai
import pytest
from agents.tracing import set_trace_processors
from bench.models import DEFAULT_MODEL, Bench, Kind
from bench.scenarios import CASE_IDS, CASES, SCENARIOS, Scenario, play, registry
from bench.script import Script, TokenUsage, fail, say
from bench.sdk_tree import Recorder, nodes_of
from bench.tree import Node, difference, parse, without


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


@pytest.mark.parametrize(("one", "kind"), CASES, ids=CASE_IDS)
async def test_scenario_ends_as_expected_and_the_sdk_reports_its_golden_tree(one, kind, recorder):
    async with Bench(kind, one.script()) as bench:
        with _without_mlflow_spans(one):
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


def _without_mlflow_spans(one: Scenario) -> AbstractContextManager[Any]:
    """Let @mlflow.trace do nothing: where MLflow stores its spans is not the bench's matter."""
    if one.name != "tool_with_mlflow_span":
        return nullcontext()
    import mlflow

    return mlflow.tracing.context(enabled=False)


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
