"""The badge of the audit log in the head of a view: its reason on hover, by keyboard and for screen readers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab.harness import AXE
from playwright.sync_api import expect
from views.sample_runs import planner_executor

from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness

pytestmark = pytest.mark.lab

WHY = "Sealed as entry 12; the last checkpoint is of 41 entries. <b>Sealed</b> is not verified."


def frame(state: str | None) -> bytes:
    feed = Feed(Finished(*planner_executor()))
    feed.pull(work_s=None)
    feed.seal = {"state": state, "why": WHY} if state else None
    return feed.snapshot()


def test_the_badge_says_its_reason_and_is_not_there_while_the_log_is_off(harness: Harness) -> None:
    harness.start(frame("sealed"))
    badge = harness.page.locator("#a .agtr-head").get_by_text("sealed", exact=True)
    expect(badge).to_have_attribute("title", WHY)
    reason = harness.page.locator("#a .agtr-seal").get_by_text(WHY)
    assert not reason.is_visible()
    badge.focus()
    harness.page.keyboard.press("Enter")
    expect(reason).to_be_visible()
    harness.page.add_script_tag(path=AXE)
    found = harness.page.evaluate("async () => (await axe.run('#a')).violations.map((v) => v.id + v.help)")
    assert found == [], json.dumps(found)
    harness.start(frame(None))
    expect(harness.page.locator("#a .agtr-head")).to_be_visible()
    assert harness.page.locator("#a .agtr-seal").count() == 0
    assert harness.complaints == []
