"""Rating and reporting from a notebook: at once, through the journal, with errors that name what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import agenttrace_nb as at
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Trace
from agenttrace_nb.tracing import feedback

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
