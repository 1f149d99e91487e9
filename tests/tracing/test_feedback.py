"""Rating and reporting from a notebook: at once, through the journal, with errors that name what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import agenttrace_nb as at
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Trace
from agenttrace_nb.tracing import feedback
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE = Trace.from_messages([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
SPAN = TRACE.spans[-1].span_id


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is appended to the journal, and nothing else: no process that writes is started."""
    bodies: list[dict[str, Any]] = []

    class Journal:
        path = None

        def append(self, kind: Any, *, body: dict[str, Any], urgent: bool, redactor: Any) -> None:
            assert (kind.value, urgent) == ("feedback", True)
            bodies.append(body)

    monkeypatch.setattr(feedback, "process_journal", Journal)
    return bodies


def test_a_rating_says_who_and_what_of_which_trace(said: list[dict[str, Any]]) -> None:
    at.rate(TRACE, True, comment="right")
    at.rate("tr-" + TRACE.trace_id, False)
    assert [(b["trace_id"], b["name"], b["value"], b["comment"]) for b in said] == [
        (TRACE.trace_id, "rating", True, "right"), (TRACE.trace_id, "rating", False, None),
    ]  # fmt: skip
    assert all(b["user"] and b["time_ns"] and b["tracking_uri"] for b in said)


def test_the_same_report_has_the_same_key_and_another_has_not(said: list[dict[str, Any]]) -> None:
    for category in ("wrong amount", "wrong amount", "rude"):
        at.report_error(TRACE, span_id=SPAN, category=category)
    keys = [body["key"] for body in said]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at.rate(TRACE, 1), "ok=1 is not allowed; it must be True or False"),
        (lambda: at.rate(None, True), "trace: a NoneType is not allowed"),
        (lambda: at.rate("x", True), "trace='x' is no trace id"),
        (lambda: at.rate(TRACE, True, span_id="f" * 16), "is not in trace"),
        (lambda: at.rate(TRACE, True, comment=3), "comment=3 is not allowed"),
        (lambda: at.report_error(TRACE, category=" "), "category=' ' is not allowed"),
        (lambda: at.report_error(TRACE, category=None), "category=None is not allowed"),
    ],
)
def test_what_is_not_allowed_is_named_and_not_recorded(
    call: Callable[[], None], message: str, said: list[dict[str, Any]]
) -> None:
    with pytest.raises(OptionError, match=message):
        call()
    assert said == []


def test_what_is_said_in_the_view_of_a_step_is_of_that_step_and_of_the_first_of_all(said: list[dict[str, Any]]) -> None:
    feed = Feed(Finished(TRACE, [TRACE]))
    feed.feedback = feedback.take
    feed.pull()
    last = len(feed.rows) - 1
    assert feed.take_feedback(0, {"kind": "rate", "row": 0, "ok": True}) is None
    assert feed.take_feedback(last, {"kind": "report", "row": last, "category": "rude", "comment": ""}) is None
    assert [(b["span_id"], b["name"], b["value"], b["comment"]) for b in said] == [
        (None, "rating", True, None), (TRACE.spans[last].span_id, "error", "rude", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "wrong", "told"),
    [
        (0, {"kind": "rate", "ok": "yes"}, "ok='yes' is not allowed"),
        (0, {"kind": "report"}, "category=None is not allowed"),
        (99, {"kind": "rate", "ok": True}, "nobody takes ratings here"),
    ],
)
def test_what_a_view_may_not_say_is_answered_in_words(
    row: int, wrong: dict[str, Any], told: str, said: list[dict[str, Any]]
) -> None:
    feed = Feed(Finished(TRACE, [TRACE]))
    feed.feedback = feedback.take
    feed.pull()
    assert told in str(feed.take_feedback(row, wrong))
    assert said == []
