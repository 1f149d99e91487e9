"""Content for the browser: each conversation item travels once, what is new in a prompt is known, large is cut."""

from __future__ import annotations

import json
from typing import Any

from views.sample_runs import Build

from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.payloads import WHOLE_LIMIT_BYTES, Payloads
from agenttrace_nb.views.rows import Rows

SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"type": "function_call", "call_id": "c1", "name": "find", "arguments": '{"q": 1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "found"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


class Calls:
    """LLM calls, one after the other, of one agent run unless another is begun."""

    def __init__(self) -> None:
        self.build = Build()
        self.agent: Any = None

    def begin(self, told: Any = "go", parent: Any = None) -> None:
        self.agent = self.build.add(SpanKind.AGENT, "A", 0, 1, parent, agent="A", content_in=told)

    def call(self, told: Any, said: Any) -> None:
        at = len(self.build.trace.spans)
        self.build.add(SpanKind.LLM, "m", at, at + 1, self.agent, agent="A", content_in=told, content_out=said)

    def sent(self, *, whole: bool = False) -> list[dict[str, Any]]:
        rows = Rows(self.build.trace.spans)
        payloads = Payloads(rows)
        return [json.loads(payloads.make(row, whole=whole).data) for row in range(len(rows))]


def read(sent: list[dict[str, Any]], row: int, side: str = "input") -> list[Any]:
    """A conversation as the browser puts it together."""
    found: list[Any] = []
    for part in sent[row][f"{side}_items"]:
        found += sent[part[0]]["items"][part[1] : part[1] + part[2]] if isinstance(part, list) else [part]
    return found


def new(sent: list[dict[str, Any]], row: int) -> list[Any]:
    prompt = read(sent, row)
    return [item for first, count in sent[row]["fresh"] for item in prompt[first : first + count]]


def conversation() -> Calls:
    calls = Calls()
    calls.begin()
    calls.call([SYSTEM, user("a?")], [CALL])
    calls.call([SYSTEM, user("a?"), CALL, RESULT], [assistant("yes")])
    calls.call([SYSTEM, user("a?"), CALL, RESULT, assistant("yes"), user("b?")], [assistant("no")])
    return calls


def test_each_item_travels_once_and_every_prompt_can_be_read() -> None:
    calls = conversation()
    sent = calls.sent()
    for row, span in enumerate(calls.build.trace.spans):
        if span.kind is SpanKind.LLM:
            assert read(sent, row) == span.input
            assert read(sent, row, "output") == span.output
    carried = [json.dumps(item) for content in sent for item in content.get("items", [])]
    assert len(carried) == len(set(carried)) == 7


def test_what_is_new_in_a_prompt_is_what_was_not_told_and_not_said_before() -> None:
    sent = conversation().sent()
    assert [new(sent, row) for row in (1, 2, 3)] == [[SYSTEM, user("a?")], [RESULT], [user("b?")]]


def test_the_same_words_said_twice_are_new_twice() -> None:
    calls = Calls()
    calls.begin()
    calls.call([user("yes")], [assistant("sure?")])
    calls.call([user("yes"), assistant("sure?"), user("yes")], [assistant("sure?")])
    calls.call([user("yes"), assistant("sure?"), user("yes"), assistant("sure?"), user("yes")], [assistant("ok")])
    sent = calls.sent()
    assert [content["fresh"] for content in sent[1:]] == [[[0, 1]], [[2, 1]], [[4, 1]]]


def test_a_history_that_was_shortened_repeats_nothing() -> None:
    calls = conversation()
    summary = user("Summary: they asked about a.")
    calls.call([SYSTEM, summary, user("b?"), assistant("no"), user("c?")], [assistant("c")])
    sent = calls.sent()
    assert new(sent, 4) == [summary, user("c?")]


def test_marks_of_the_transport_make_no_new_message() -> None:
    calls = Calls()
    calls.begin()
    calls.call([user("a?")], [{**assistant("yes"), "id": "m1", "status": "completed"}])
    calls.call([user("a?"), {"role": "assistant", "content": "yes"}, user("b?")], [assistant("no")])
    assert new(calls.sent(), 2) == [user("b?")]


def test_two_agents_that_are_asked_the_same_are_both_asked() -> None:
    calls = Calls()
    for _ in range(2):
        calls.begin("a?")
        calls.call([SYSTEM, user("a?")], [assistant("yes")])
    sent = calls.sent()
    assert new(sent, 1) == [SYSTEM, user("a?")]
    assert new(sent, 3) == [user("a?")]


def test_an_agent_that_takes_over_is_not_asked_again() -> None:
    calls = conversation()
    calls.begin(None)
    calls.call([user("a?"), user("b?")], [assistant("done")])
    assert calls.sent()[5]["fresh"] == []


def test_a_conversation_read_back_from_a_session_is_new_to_the_run_once() -> None:
    calls = Calls()
    calls.begin()
    old = [user("hi"), assistant("hello")]
    calls.call([SYSTEM, *old, user("a?")], [assistant("yes")])
    calls.begin()
    calls.call([SYSTEM, *old, user("a?"), assistant("yes"), user("b?")], [assistant("no")])
    sent = calls.sent()
    assert sent[1]["fresh"] == [[0, 4]]
    assert new(sent, 3) == [user("b?")]


def test_large_items_keep_their_shape_and_lose_their_length() -> None:
    calls = Calls()
    calls.begin()
    prompt = [{"role": "system", "content": "x" * 20_000}, user("a?")]
    calls.call(prompt, [assistant("yes")])
    calls.call([*prompt, assistant("yes"), user("b?")], [assistant("no")])
    sent = calls.sent()
    assert len(json.dumps(sent[1])) < WHOLE_LIMIT_BYTES
    assert sent[1]["clipped"] > 20_000
    system, asked = read(sent, 1)
    assert system["role"] == "system"
    assert len(system["content"]) == 500
    assert asked == user("a?")
    assert "clipped" not in sent[2], "only what is new counts"


def test_of_very_many_items_the_newest_are_kept_and_all_keep_their_place() -> None:
    calls = Calls()
    calls.begin()
    calls.call([user(f"{at} " + "x" * 100) for at in range(1_000)], [assistant("last")])
    sent = calls.sent()
    prompt = read(sent, 1)
    assert len(prompt) == 1_000
    assert prompt[0] is None
    assert prompt[-1] == user("999 " + "x" * 100)
    assert read(sent, 1, "output") == [assistant("last")]


def test_a_row_that_is_asked_for_needs_no_other_row_and_serves_those_that_need_it() -> None:
    calls = Calls()
    calls.begin()
    prompt = [{"role": "system", "content": "x" * 20_000}, user("a?")]
    calls.call(prompt, [assistant("yes")])
    calls.call([*prompt, assistant("yes"), user("b?")], [assistant("no")])
    rows = Rows(calls.build.trace.spans)
    payloads = Payloads(rows)
    sent = [json.loads(payloads.make(row).data) for row in range(len(rows))]
    answer = json.loads(payloads.whole(2))
    assert read([{}, {}, answer], 2) == calls.build.trace.spans[2].input
    assert answer["fresh"] == [[3, 1]]
    sent[1] = json.loads(payloads.whole(1))
    assert read(sent, 2) == calls.build.trace.spans[2].input


def test_items_of_a_row_that_is_not_kept_travel_with_the_next_one_that_has_them() -> None:
    calls = conversation()
    rows = Rows(calls.build.trace.spans)
    payloads = Payloads(rows)
    payloads.make(1)
    payloads.forget(1)
    sent = json.loads(payloads.make(2).data)
    assert sent["items"][:2] == [SYSTEM, user("a?")]


def test_a_row_that_is_made_again_keeps_its_items_in_their_places() -> None:
    calls = Calls()
    calls.begin()
    calls.call([SYSTEM, user("a?")], None)
    rows = Rows(calls.build.trace.spans)
    payloads = Payloads(rows)
    before = json.loads(payloads.make(1).data)
    rows.spans[1].content_out = [assistant("yes")]
    after = json.loads(payloads.make(1).data)
    assert after["items"] == [*before["items"], assistant("yes")]
    assert after["fresh"] == before["fresh"] == [[0, 2]]


def test_content_that_only_looks_like_a_reference_is_content() -> None:
    calls = Calls()
    calls.begin({"items": [1], "input_items": [[0, 0, 1]]})
    assert calls.sent()[0]["input"] == {"items": [1], "input_items": [[0, 0, 1]]}
