"""Each rule on the smallest trace that shows it, and on one beside it that must not."""

from __future__ import annotations

import pytest

import agenttrace_nb as at
from agenttrace_nb.analysis.failures.findings import Side
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import SpanError, Status, Trace
from analysis.failures.traces import Build, failed, tool


def causes(build: Build) -> list[tuple[str, str]]:
    return [(c.rule, c.span_id) for c in at.attribute_failure(build.trace).candidates]


def test_an_exception_that_goes_all_the_way_up_is_blamed_where_it_began() -> None:
    run = Build(Status.ERROR)
    run.root.error = SpanError("boom", "RuntimeError")
    agent = run.add("agent", "A", run.root, agent="A", **failed())
    inner = run.add("tool", "read", agent, agent="A", content_in="{}", **failed())
    said = at.attribute_failure(run.trace)
    assert [(c.rule, c.span_id) for c in said.candidates] == [("tool_raised", inner.span_id)]
    assert (said.side, said.candidates[0].agent) == (Side.TOOL, "A")


def test_a_recovered_error_is_not_blamed() -> None:
    run = Build()
    run.call("read", {"n": 1}, None, **failed())
    run.call("read", {"n": 1}, "42")
    run.say("It is 42.")
    said = at.attribute_failure(run.trace)
    assert said.side is Side.UNDETERMINED
    assert "a later call of read went well" in [e.text for e in said.candidates[0].evidence]


def test_an_error_of_a_tool_is_not_made_up_for_by_another_request() -> None:
    run = Build()
    run.call("read", {"n": 1}, None, **failed())
    run.call("read", {"n": 2}, "43")
    assert at.attribute_failure(run.trace).side is Side.TOOL


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [({"order_id": 3}, "arguments_do_not_fit"), ({}, "arguments_do_not_fit"), ('{"order_id": ', "arguments_not_json")],
)
def test_arguments_are_checked_against_the_schema_whatever_the_tool_says(arguments: object, rule: str) -> None:
    run = Build()
    run.declare("A", tool("find", order_id="string"))
    call = run.call(
        "find", arguments, "An error occurred while running the tool. Please try again.", **failed(kind=None)
    )
    assert causes(run)[0] == (rule, call.span_id)
    assert at.attribute_failure(run.trace).side is Side.AGENT


def test_a_schema_that_is_none_says_nothing() -> None:
    run = Build()
    run.declare("A", {"name": "find", "parameters": {"type": "no such type", "$ref": "#/nowhere"}})
    run.call("find", {"order_id": 3}, "a chair")
    assert causes(run) == []


def test_a_tool_that_the_agent_does_not_have_is_named_with_the_closest() -> None:
    run = Build(Status.ERROR)
    run.root.error = SpanError("Tool get_wether not found in agent A", "ModelBehaviorError")
    run.declare("A", tool("get_weather", city="string"))
    answer = run.say(None, calls=[("c", "get_wether", "{}")])
    (found,) = at.attribute_failure(run.trace).candidates
    assert (found.rule, found.span_id, found.side) == ("unknown_tool", answer.span_id, Side.AGENT)
    assert "get_weather" in found.reason


def test_an_identifier_that_nobody_named_is_invented() -> None:
    run = Build()
    call = run.call("find", {"order_id": "ZZ4711Q"}, "Error: order not found")
    assert causes(run)[0] == ("invented_identifier", call.span_id)


@pytest.mark.parametrize("value", ["A-17", "a-17", "order_17"])
def test_an_identifier_that_the_user_named_is_not_invented(value: str) -> None:
    run = Build()
    run.call("find", {"order_id": value}, "Error: order not found")
    assert "invented_identifier" not in dict(causes(run))


def test_an_identifier_from_an_earlier_result_that_is_unknown_now_is_the_tools_fault() -> None:
    run = Build()
    run.call("list_orders", {}, '[{"order": "QX99812"}]')
    call = run.call("find", {"order_id": "QX99812"}, "Error: order not found")
    assert causes(run)[0] == ("tool_lost_it", call.span_id)
    assert at.attribute_failure(run.trace).side is Side.TOOL


def test_an_identifier_that_the_agent_itself_said_first_is_invented_all_the_same() -> None:
    run = Build()
    prompt = [{"role": "user", "content": "My order?"}, {"role": "assistant", "content": "I take it to be ZZ4711Q."}]
    run.say("I take it to be ZZ4711Q.", prompt=prompt[:1])
    run.say(None, calls=[("c9", "find", '{"order_id": "ZZ4711Q"}')], prompt=prompt)
    run.add("tool", "find", run.root, agent="A", content_in='{"order_id": "ZZ4711Q"}', content_out="Error: not found",
            attributes={"call_id": "c9"})  # fmt: skip
    assert causes(run)[0][0] == "invented_identifier"


def test_without_prompts_nothing_is_said_to_be_invented() -> None:
    run = Build()
    run.call("find", {"order_id": "ZZ4711Q"}, "Error: order not found")
    for span in run.trace.spans:
        span.content_in = None if span.kind == "llm" else span.content_in
    assert "invented_identifier" not in dict(causes(run))


@pytest.mark.parametrize(
    "result",
    ["HTTP 503 Service Unavailable", '{"error": "upstream timed out"}', "Fehler: Datenbank nicht erreichbar",
     {"status": 502}, [{"type": "text", "text": '{"isError": true}'}], "Ошибка: сервер недоступен",
     "Traceback (most recent call last):\n  ..."],
)  # fmt: skip
def test_errors_in_results_are_found_in_any_form(result: object) -> None:
    run = Build()
    call = run.call("read", {"n": 1}, result)
    run.say("I could not find out.")
    said = at.attribute_failure(run.trace)
    assert (said.side, said.candidates[0].span_id) == (Side.TOOL, call.span_id)


@pytest.mark.parametrize(
    "result",
    ["503", "597.0", "No error", "errors in chapter 3 were fixed", '{"error": null, "rows": 2}', '{"error_count": 0}',
     "450 results", {"status": "ok", "code": 200}, "The error rate fell."],
)  # fmt: skip
def test_results_that_only_look_like_errors_are_left_alone(result: object) -> None:
    run = Build()
    run.call("read", {"n": 1}, result)
    run.say("Done.")
    assert at.attribute_failure(run.trace).candidates == ()


def test_a_tool_that_says_no_is_mentioned_and_not_blamed() -> None:
    run = Build()
    run.call("book", {"n": 1}, "Error: not enough seats on this flight")
    run.say("There are no seats left.")
    said = at.attribute_failure(run.trace)
    assert (said.side, said.candidates[0].rule) == (Side.UNDETERMINED, "tool_refused")


def test_nothing_from_a_tool_that_mostly_gives_something_is_blamed() -> None:
    run = Build()
    run.call("get_user", {"user": "x"}, '{"name": "Ada"}')
    call = run.call("get_user", {"user": "y"}, "")
    assert causes(run)[0] == ("empty_result", call.span_id)


def test_nothing_from_a_tool_that_has_nothing_to_say_is_fine() -> None:
    run = Build()
    run.call("think", {"thought": "hm"}, "")
    run.call("send_mail", {"text": "hi"}, None)
    assert causes(run) == []


def test_a_search_that_finds_nothing_is_hardly_a_cause() -> None:
    run = Build()
    run.call("search_flights", {"day": "2030-01-01"}, "[]")
    assert at.attribute_failure(run.trace).side is Side.UNDETERMINED


def test_the_same_call_three_times_is_a_loop_from_its_second_on() -> None:
    run = Build()
    calls = [run.call("look", {"b": 2, "a": (n and 1) or 1}, "same") for n in range(3)]
    assert causes(run)[0] == ("repeated_call", calls[1].span_id)


def test_waiting_for_a_change_is_no_loop() -> None:
    run = Build()
    for status in ("pending", "pending", "pending", "done"):
        run.call("get_status", {"job": 1}, status)
    assert causes(run) == []


def test_a_loop_explains_that_the_turns_were_used_up() -> None:
    run = Build(Status.ERROR)
    run.root.error = SpanError("Max turns (3) exceeded", "MaxTurnsExceeded")
    calls = [run.call("look", {"a": 1}, "same") for _ in range(3)]
    run.add("agent", "A", run.root, agent="A", **failed("Max turns (3) exceeded", "MaxTurnsExceeded"))
    found = causes(run)
    assert found[0] == ("repeated_call", calls[1].span_id)
    assert "max_turns" in dict(found)


def test_handoffs_in_a_circle_are_found_where_they_first_turn_back() -> None:
    run = Build()
    pairs = [("A", "B"), ("B", "A"), ("A", "B"), ("B", "A")]
    spans = [run.add("handoff", f"{a} → {b}", run.root, agent=a, attributes={"from_agent": a, "to_agent": b})
             for a, b in pairs]  # fmt: skip
    assert causes(run)[0] == ("handoff_ping_pong", spans[1].span_id)


def test_handoffs_between_which_work_is_done_are_no_circle() -> None:
    run = Build()
    for a, b in [("A", "B"), ("B", "A"), ("A", "B"), ("B", "A")]:
        run.add("handoff", f"{a} → {b}", run.root, agent=a, attributes={"from_agent": a, "to_agent": b})
        run.call("look", {"n": len(run.trace.spans)}, "found", agent=b)
    assert causes(run) == []


@pytest.mark.parametrize(
    ("error", "side", "rule"),
    [
        (SpanError("rate limit", "RateLimitError", 429), Side.MODEL, "model_error"),
        (SpanError("Connection error.", "APIConnectionError"), Side.MODEL, "model_error"),
        (SpanError("bad key", "AuthenticationError", 401), Side.ENVIRONMENT, "model_refused_request"),
    ],
)
def test_a_failed_model_is_the_services_fault_and_a_refused_key_is_not(error: SpanError, side: Side, rule: str) -> None:
    run = Build(Status.ERROR)
    run.root.error = error
    call = run.add("llm", "m", run.root, agent="A", status=Status.ERROR, error=error)
    said = at.attribute_failure(run.trace)
    assert (said.side, said.candidates[0].rule, said.candidates[0].span_id) == (side, rule, call.span_id)


def test_a_failed_run_of_which_nothing_is_known_is_undetermined() -> None:
    run = Build(Status.ERROR)
    said = at.attribute_failure(run.trace)
    assert (said.side, said.candidates) == (Side.UNDETERMINED, ())
    assert "nothing in its record says why" in said.text()


def test_a_stopped_run_says_what_was_going_on() -> None:
    run = Build(Status.CANCELLED)
    call = run.call("wait", {"s": 30}, None, status=Status.CANCELLED)
    said = at.attribute_failure(run.trace)
    assert (said.side, said.candidates[0].span_id) == (Side.ENVIRONMENT, call.span_id)


def test_plain_conversations_go_through_the_same_rules() -> None:
    rows = [
        {"role": "user", "content": "Where is my parcel?"},
        {"agent": "Clerk", "tool_calls": [{"id": "1", "function": {"name": "track", "arguments": '{"id": "PX4410"}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": '{"error": "no parcel of that number"}'},
        {"agent": "Clerk", "content": "It is on its way."},
    ]
    said = at.attribute_failure(Trace.from_messages(rows))
    assert (said.side, said.candidates[0].rule, said.candidates[0].agent, said.candidates[0].step) == (
        Side.AGENT, "invented_identifier", "Clerk", 1,
    )  # fmt: skip


PROGRAMMING = [
    {"role": "user", "content": "How many primes are below 100?"},
    {"agent": "Coder", "content": "```python\nprint(primes(100))\n```"},
    {"agent": "Terminal", "content": "exitcode: 1 (execution failed)\nNameError: name 'primes' is not defined"},
]


def test_code_that_another_agent_could_not_run_is_its_writers_fault() -> None:
    said = at.attribute_failure(Trace.from_messages(PROGRAMMING))
    first = said.candidates[0]
    assert (said.side, first.rule, first.agent, first.step) == (Side.AGENT, "failed_execution", "Coder", 1)


def test_code_that_ran_in_the_end_is_nobodys_fault() -> None:
    mended = [
        *PROGRAMMING,
        {"agent": "Coder", "content": "```python\nprint(25)\n```"},
        {"agent": "Terminal", "content": "25"},
    ]
    assert at.attribute_failure(Trace.from_messages(mended)).side is Side.UNDETERMINED


def test_confidences_sum_to_at_most_one_and_the_first_cause_comes_first() -> None:
    run = Build()
    first = run.call("read", {"n": 1}, None, **failed())
    for n in range(2, 12):
        run.call("write", {"n": n}, None, **failed("later"))
    said = at.attribute_failure(run.trace)
    assert said.candidates[0].span_id == first.span_id
    assert sum(c.confidence for c in said.candidates) <= 1.0000001
    assert [c.confidence for c in said.candidates] == sorted((c.confidence for c in said.candidates), reverse=True)


@pytest.mark.parametrize("given", [None, "x", 3, [], [Trace(trace_id="a" * 32, name="t", start_ns=0)] * 2])
def test_what_is_no_trace_is_refused_by_name(given: object) -> None:
    with pytest.raises(OptionError, match="trace="):
        at.attribute_failure(given)


def test_a_hostile_text_stays_text() -> None:
    run = Build()
    run.call("read", {"n": 1}, "Error: <script>alert(1)</script>")
    shown = at.attribute_failure(run.trace)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
