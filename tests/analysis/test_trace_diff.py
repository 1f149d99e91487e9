"""`diff_steps`: nothing for the same trace, a mirror from the other side, every step in one class, changes found."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
from growth import LINEAR, growth
from hypothesis import given, settings
from hypothesis import strategies as st
from views.hostile import hostile_run
from views.sample_runs import Build, planner_executor

from agenttrace_nb.analysis.trace_diff import Class, StepDiff, diff_steps
from agenttrace_nb.spans import Span, SpanKind, Trace

MIRROR = {Class.ADDED: Class.REMOVED, Class.REMOVED: Class.ADDED}


def agent_run(*calls: tuple[str, Any, Any], name: str = "Agent workflow") -> Trace:
    """A workflow with one agent that makes these tool calls, each in a turn of its own after an LLM call."""
    b = Build(name=name)
    root = b.add(SpanKind.WORKFLOW, name, 0, 1000)
    agent = b.add(SpanKind.AGENT, "Planner", 0, 1000, root, agent="Planner")
    for n, (tool, arguments, result) in enumerate(calls):
        turn = b.add(SpanKind.TURN, f"turn {n + 1}", 10 * n, 10 * n + 9, agent, agent="Planner")
        answer = [{"type": "function_call", "call_id": f"c{id(calls)}{n}", "name": tool, "arguments": arguments}]
        b.add(SpanKind.LLM, "gpt", 10 * n, 10 * n + 3, turn, agent="Planner", model="gpt", content_out=answer)
        b.add(
            SpanKind.TOOL, tool, 10 * n + 4, 10 * n + 8, turn, agent="Planner", content_in=arguments, content_out=result
        )
    return b.close(1000)


def kinds(found: StepDiff) -> dict[str, list[str]]:
    of: dict[str, list[str]] = {}
    for step in found.steps:
        if step.kind is not Class.SAME:
            of.setdefault(step.kind.value, []).append(step.span.name)
    return of


def test_a_trace_does_not_differ_from_itself() -> None:
    for _, (trace,) in (planner_executor(), hostile_run()):
        found = diff_steps(trace, trace)
        assert found.first is None
        assert found.counts()[Class.SAME] == sum(s.kind is not SpanKind.TURN for s in trace.spans)
        assert {turn.kind for turn in found.turns} <= {Class.SAME}


def test_other_ids_and_times_are_no_difference() -> None:
    first = agent_run(("look", '{"a": 1, "b": 2}', "x"), ("book", {"seat": "1A"}, {"id": "r1", "ok": True}))
    second = agent_run(("look", '{"b":2,"a":1}', "x"), ("book", {"seat": "1A"}, {"id": "r9", "ok": True}))
    for span in second.spans:
        span.start_ns += 5_000_000_000
    assert diff_steps(first, second).first is None


def test_changed_arguments_and_answers_are_named_with_what_they_were() -> None:
    found = diff_steps(agent_run(("look", {"a": 1}, "x")), agent_run(("look", {"a": 2}, "y")))
    tool = next(step for step in found.steps if step.span.kind is SpanKind.TOOL)
    assert tool.kind is Class.CHANGED
    assert [(c.part, c.before, c.after) for c in tool.changes] == [
        ("arguments", '{"a": 1}', '{"a": 2}'),
        ("result", "x", "y"),
    ]
    first = found.first
    assert first is not None
    assert (first.span.kind, [c.part for c in first.changes]) == (SpanKind.LLM, ["answer"])


def test_a_step_more_or_less_does_not_shift_the_others() -> None:
    short = agent_run(("look", 1, 1), ("book", 2, 2))
    long = agent_run(("look", 1, 1), ("ask", 3, 3), ("book", 2, 2))
    assert kinds(diff_steps(short, long)) == {"added": ["gpt", "ask"]}
    assert kinds(diff_steps(long, short)) == {"removed": ["gpt", "ask"]}


def test_the_same_call_elsewhere_has_moved() -> None:
    one = agent_run(("look", 1, "a"), ("ask", 2, "b"), ("book", 3, "c"))
    other = agent_run(("ask", 2, "b"), ("book", 3, "c"), ("look", 1, "a"))
    found = diff_steps(one, other)
    assert kinds(found) == {"moved": ["gpt", "look"]}


def test_the_first_divergence_is_the_first_step_that_is_not_the_same() -> None:
    one = agent_run(("look", 1, "a"), ("ask", 2, "b"), ("book", 3, "c"))
    other = agent_run(("look", 1, "a"), ("ask", 2, "different"), ("pay", 3, "c"))
    first = diff_steps(one, other).first
    assert first is not None
    assert first.span.name == "ask"
    assert first.changes[0].part == "result"


def test_another_model_is_a_changed_step() -> None:
    one, other = agent_run(("look", 1, 1)), agent_run(("look", 1, 1))
    for span in other.spans:
        span.model = "bigger" if span.kind is SpanKind.LLM else None
    found = diff_steps(one, other)
    assert [[c.part for c in s.changes] for s in found.steps if s.kind is Class.CHANGED] == [["model"]]


def test_a_later_prompt_that_only_holds_earlier_steps_is_no_change_of_its_own() -> None:
    def with_prompts(result: str) -> Trace:
        trace = agent_run(("look", 1, result), ("book", 2, 2))
        asked = [{"role": "user", "content": "please"}]
        for n, span in enumerate(s for s in trace.spans if s.kind is SpanKind.LLM):
            span.content_in = asked + [{"type": "function_call_output", "output": result}] * n
        return trace

    assert kinds(diff_steps(with_prompts("x"), with_prompts("y"))) == {"changed": ["look"]}


def test_deltas_are_known_only_where_both_sides_are() -> None:
    one, other = agent_run(("look", 1, 1)), agent_run(("look", 1, 1))
    one.spans[3].input_tokens, other.spans[3].input_tokens = 10, 25
    other.spans[3].cost_usd = 0.5
    llm = next(step for step in diff_steps(one, other).steps if step.span.kind is SpanKind.LLM)
    assert llm.delta("input_tokens") == 15
    assert llm.delta("cost_usd") is None
    assert llm.delta("duration_s") == 0


# -------------------------------------------------------------------------------------------------- for any trace


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    b = Build(trace_id=draw(st.sampled_from(["1" * 32, "2" * 32])))
    made: list[Span] = []
    for n in range(draw(st.integers(0, 12))):
        parent = draw(st.sampled_from([None, *made[-4:]]))
        kind = draw(st.sampled_from([SpanKind.AGENT, SpanKind.TURN, SpanKind.LLM, SpanKind.TOOL, SpanKind.HANDOFF]))
        name, content = draw(st.sampled_from("ab")), draw(st.sampled_from([None, "x", {"y": 1}]))
        made.append(b.add(kind, name, n, n + 1, parent, agent=draw(st.sampled_from("PQ")), content_in=content))
    return b.close(20)


@given(traces(), traces())
@settings(max_examples=80, deadline=None)
def test_every_step_is_in_exactly_one_class_and_the_other_side_is_the_mirror(a: Trace, b: Trace) -> None:
    found, mirror = diff_steps(a, b), diff_steps(b, a)
    for side, trace in (("a", a), ("b", b)):
        seen = [getattr(s, side).span_id for s in (*found.steps, *found.turns) if getattr(s, side) is not None]
        assert sorted(seen) == sorted(s.span_id for s in trace.spans)

    def classed(diff: StepDiff, *, swap: bool) -> Counter:
        rows = []
        for s in (*diff.steps, *diff.turns):
            ids = (s.a.span_id if s.a else None, s.b.span_id if s.b else None)
            rows.append((MIRROR.get(s.kind, s.kind), ids[::-1]) if swap else (s.kind, ids))
        return Counter(rows)

    assert classed(found, swap=True) == classed(mirror, swap=False)


@given(traces())
@settings(max_examples=50, deadline=None)
def test_no_trace_differs_from_itself(a: Trace) -> None:
    assert diff_steps(a, copy.deepcopy(a)).first is None


# ----------------------------------------------------------------------------------------------------------- large


@pytest.mark.parametrize("flat", [True, False])
def test_four_times_as_many_steps_take_about_four_times_as_long(flat: bool) -> None:
    def made(odd: int, count: int) -> Trace:
        calls = [(f"tool{n % 7}", {"n": n % 50 + (n % 97 == odd)}, n % 13) for n in range(count)]
        trace = agent_run(*calls)
        if flat:
            top = trace.spans[0].span_id
            for span in trace.spans[1:]:
                span.parent_id = top
        return trace

    small, large = ((made(0, count), made(1, count)) for count in (833, 3_333))
    assert diff_steps(*large).counts()[Class.SAME] > 5_000
    assert growth(lambda pair: diff_steps(*pair), small, large) < 4 * LINEAR


def test_a_loop_of_parents_is_survived() -> None:
    trace = agent_run(("look", 1, 1))
    trace.spans[0].parent_id = trace.spans[1].span_id
    found = diff_steps(trace, agent_run(("look", 1, 1)))
    assert len([s for s in (*found.steps, *found.turns) if s.a]) == len(trace.spans)
