"""One line on what a step did, and the kernel's search in contents."""

from __future__ import annotations

import json
import threading
import time
from array import array
from typing import Any

import pytest
from growth import cpu_s
from views.hostile import LARGE, hostile_run
from views.sample_runs import Build, planner_executor
from views.test_wire import decode, feed_of

from agenttrace_nb.spans import SpanError, SpanKind
from agenttrace_nb.views import feed as feeds
from agenttrace_nb.views import search
from agenttrace_nb.views.content import PREVIEW_LIMIT_CHARACTERS, gist, preview
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.safe_text import plain
from agenttrace_nb.views.search import ContentSearch, holds

ITEM = {"role": "assistant", "content": [{"type": "output_text", "text": "I look for"}, {"text": "flights."}]}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, ""),
        ("two\n  lines", "two lines"),
        ({"origin": "JFK", "n": 1, "flex": True, "none": None}, "origin: JFK, n: 1, flex: True"),
        ([1, "a", [2]], "1, a, 2"),
        ([ITEM], "I look for flights."),
        ([{"type": "function_call", "name": "find", "arguments": '{"a":1}'}], 'find {"a":1}'),
        ([{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "go", "arguments": "{}"}}]}],
         "go {}"),
        ([{"type": "function_call_output", "call_id": "c", "output": "42"}], "42"),
        ({"a": {"b": {"c": {"d": 1}}}}, ""),
        (object(), ""),
    ],
)  # fmt: skip
def test_a_value_is_said_on_one_line(value: Any, line: str) -> None:
    assert preview(value) == line


def test_a_line_is_short_and_cheap_whatever_is_behind_it() -> None:
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]
    all_of_it_s = cpu_s(json.dumps, LARGE)
    for value in (LARGE, [LARGE] * 50, {"k" * 10_000_000: LARGE}, deep, [{"role": "user", "content": LARGE}]):
        assert len(preview(value)) <= PREVIEW_LIMIT_CHARACTERS
        assert cpu_s(preview, value) < all_of_it_s


def test_no_hostile_text_acts_on_a_line() -> None:
    _, traces = hostile_run()
    for span in traces[0].spans:
        line = gist(span)
        assert len(line) <= PREVIEW_LIMIT_CHARACTERS
        assert line == plain(line)
        assert "\n" not in line


def test_a_failed_step_says_why_a_tool_what_it_was_given_and_a_model_what_it_answered() -> None:
    _, (trace,) = planner_executor()
    lines = {span.name: gist(span) for span in trace.spans}
    assert lines["book_flight"] == "TimeoutError: flights-api did not answer in 2.0 s (POST /v2/bookings)"
    assert lines["get_user"] == "user_id: mia_li_3668"
    assert lines["gpt-4o"] == "I could not rebook it."


def test_lines_come_with_the_frames_and_again_only_when_they_change() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "find", 0, 1, content_in="first")
    feed = feed_of(b)
    feed.pull(work_s=None)
    header, columns = decode(feed.patch() or b"")
    assert list(columns["preview_row"]) == [0]
    assert [header["strings"][number] for number in columns["preview"]] == ["first"]
    b.trace.spans[0].error = SpanError("no")
    feed._source._spans = list(b.trace.spans)
    feed.pull(work_s=None)
    header, columns = decode(feed.patch() or b"")
    assert header["strings"][columns["preview"][0] - header["strings_at"]] == "no"


def test_lines_are_at_most_so_many_characters_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PREVIEWS_LIMIT_CHARACTERS", 1_000)
    b = Build()
    for at in range(100):
        b.add(SpanKind.TOOL, "find", at, at + 1, content_in=f"{at:3} " + "x" * 96)
    feed = feed_of(b)
    feed.pull(work_s=None)
    _, columns = decode(feed.patch() or b"")
    assert len(columns["preview_row"]) == 11


# ------------------------------------------------------------------------------------------------------- full content


@pytest.mark.parametrize(
    ("value", "needle", "found"),
    [
        ([{"role": "user", "content": [{"type": "input_text", "text": "To BOSTON"}]}], "boston", True),
        ([{"role": "user", "content": "hi"}], "user", False),
        ({"status": "booked", "id": 42}, "booked", True),
        ({"status": "booked", "id": 42}, "42", True),
        (None, "none", False),
        ({"flag": True}, "true", False),
    ],
)
def test_values_are_looked_through_as_the_browser_does(value: Any, needle: str, found: bool) -> None:
    assert holds(value, needle) is found


class Answers:
    """What a search answers, as it comes."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, Any], list[int]]] = []
        self.came = threading.Condition()

    def __call__(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        with self.came:
            self.messages.append((message, list(array("I", buffers[0]))))
            self.came.notify_all()

    def wait(self, count: int) -> list[tuple[dict[str, Any], list[int]]]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.messages) >= count, timeout=10)
        return self.messages


def searched(feed: Feed, *texts: str) -> list[tuple[dict[str, Any], list[int]]]:
    answers = Answers()
    content = ContentSearch(feed, answers)
    for number, text in enumerate(texts, 1):
        content.ask(number, text)
    return answers.wait(len(texts))


def test_content_of_any_size_is_found_in_input_output_error_and_attributes() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "a", 0, 1, content_in="x" * 1_000_000 + "Zanzibar")
    b.add(SpanKind.TOOL, "b", 1, 2, content_out={"to": "zanzibar"})
    b.add(SpanKind.TOOL, "c", 2, 3, error=SpanError("m", chain=("NoSeat: to ZANZIBAR",)))
    b.add(SpanKind.TOOL, "zanzibar", 3, 4, attributes={"where": "elsewhere"})
    feed = feed_of(b)
    feed.pull()
    ((message, rows), (_, none)) = searched(feed, "zanziBAR", "nowhere")
    assert message == {"kind": "found", "id": 1, "text": "zanziBAR", "whole": True}
    assert rows == [0, 1, 2], "names are the browser's to search"
    assert none == []


def test_content_that_cannot_be_read_does_not_end_the_search() -> None:
    run, (trace,) = planner_executor()

    class Broken:
        def lower(self) -> str:
            raise RuntimeError

    class BrokenText(str):
        __slots__ = ()

        def lower(self) -> str:
            raise RuntimeError

    trace.spans[1].content_in = BrokenText("x")
    trace.spans[2].content_in = Broken()
    feed = Feed(Finished(run, [trace]))
    feed.pull()
    ((message, rows),) = searched(feed, "mia_li")
    assert message["whole"]
    assert 5 in rows


def test_an_answer_is_capped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FOUND_LIMIT_ROWS", 3)
    b = Build()
    for at in range(10):
        b.add(SpanKind.TOOL, "find", at, at + 1, content_in="same")
    feed = feed_of(b)
    feed.pull()
    ((message, rows),) = searched(feed, "same")
    assert (message["whole"], rows) == (False, [0, 1, 2])


def test_a_search_whose_time_is_up_looks_at_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[object] = []
    monkeypatch.setattr(search, "TIME_LIMIT_S", 0.0)
    monkeypatch.setattr(search, "_span_holds", lambda span, needle: looked_at.append(span) or time.sleep(0.001))
    b = Build()
    for at in range(3_000):
        b.add(SpanKind.TOOL, "find", at, at + 1)
    feed = feed_of(b)
    feed.pull()
    ((message, _),) = searched(feed, "y")
    assert message["whole"] is False
    assert len(looked_at) == 1


def test_of_many_questions_the_latest_are_answered() -> None:
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.pull()
    answers = Answers()
    content = ContentSearch(feed, answers)
    with feed.lock:
        content.ask(1, "a")
        time.sleep(0.05)
        for number, text in enumerate("bcdefghij", 2):
            content.ask(number, text)
    assert [message["text"] for message, _ in answers.wait(5)] == ["a", "g", "h", "i", "j"]


def test_an_answer_that_cannot_be_sent_is_told_and_the_next_one_is_given(caplog: pytest.LogCaptureFixture) -> None:
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.pull()
    answers = Answers()

    def answer(message: dict[str, Any], buffers: list[bytes]) -> None:
        if message["text"] == "first":
            msg = "no comm"
            raise OSError(msg)
        answers(message, buffers)

    content = ContentSearch(feed, answer)
    content.ask(1, "first")
    content.ask(2, "second")
    answers.wait(1)
    assert "content could not be searched: OSError: no comm" in caplog.text
