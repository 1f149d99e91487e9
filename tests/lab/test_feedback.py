"""Ratings and reports of errors, given in the view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from views.sample_runs import planner_executor

from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness

pytestmark = pytest.mark.lab

REASON = "Rate it in the notebook: at.rate(trace, True), at.report_error(trace, category=\u2026)"


def frame(*, taken: bool) -> bytes:
    feed = Feed(Finished(*planner_executor()))
    if taken:
        feed.feedback = lambda *_: None
    feed.pull(work_s=None)
    return feed.snapshot()


def test_where_nobody_takes_ratings_the_way_to_give_them_is_told(harness: Harness) -> None:
    harness.start(frame(taken=False))
    button = harness.detail.get_by_role("button", name="rate good")
    reason = harness.detail.get_by_text(REASON)
    assert not reason.is_visible()
    button.focus()
    expect(reason).to_be_visible()
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_accessible_description(REASON)
    button.click(force=True)
    assert harness.sent() == []


def test_a_rating_is_sent_and_what_became_of_it_is_told(harness: Harness) -> None:
    harness.start(frame(taken=True))
    harness.row("get_user").click()
    harness.detail.get_by_role("button", name="rate bad").click()
    (sent,) = [message for message in harness.sent() if message["kind"] == "rate"]
    assert sent["ok"] is False
    told = harness.detail.get_by_role("status")
    expect(told).to_have_text("sent; kept when the kernel answers")
    harness.hear({"kind": "said", "row": sent["row"], "problem": None}, b"")
    expect(told).to_have_text("kept; it goes to MLflow")
    harness.row("handoff").click()
    expect(told).to_have_count(0)


def test_an_error_is_reported_with_its_kind_and_a_refusal_is_shown(harness: Harness) -> None:
    harness.start(frame(taken=True))
    harness.row("book_flight").click()
    harness.detail.get_by_role("button", name="report an error").click()
    kind = harness.detail.get_by_label("Kind of error")
    kind.press("Enter")  # not without a kind
    kind.fill("wrong flight")
    harness.detail.get_by_label("More about it").fill("<b>HAT136</b>, not HAT204")
    kind.press("Enter")
    (sent,) = [message for message in harness.sent() if message["kind"] == "report"]
    assert (sent["category"], sent["comment"]) == ("wrong flight", "<b>HAT136</b>, not HAT204")
    expect(kind).to_have_count(0)
    harness.hear({"kind": "said", "row": sent["row"], "problem": "<i>no</i>"}, b"")
    expect(harness.detail.get_by_role("status")).to_have_text("<i>no</i>")
    assert harness.axe() == []


def test_keys_in_the_form_are_not_those_of_the_tree(harness: Harness) -> None:
    harness.start(frame(taken=True))
    harness.row("book_flight").click()
    harness.detail.get_by_role("button", name="report an error").click()
    kind = harness.detail.get_by_label("Kind of error")
    kind.press_sequentially("e?/")
    expect(kind).to_have_value("e?/")
    assert harness.chosen() == "book_flight"
    kind.press("Escape")
    expect(kind).to_have_count(0)
