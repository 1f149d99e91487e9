"""The panels of a view in a real browser: they come after its base, late, never, or not as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from views.sample_runs import planner_executor

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness
    from playwright.sync_api import Locator

pytestmark = pytest.mark.lab

TABS = ("Messages", "Graph", "Latency")
COUNT_MODULES = """() => {
  const make = URL.createObjectURL;
  window.made = 0;
  URL.createObjectURL = (blob) => { window.made++; return make.call(URL, blob); };
}"""


def sample() -> bytes:
    feed = Feed(Finished(*planner_executor()))
    feed.pull(work_s=None)
    feed.measure()
    return feed.snapshot()


def panel(harness: Harness) -> Locator:
    return harness.page.locator("#a [role=tabpanel] > :first-child")


def test_without_the_panels_the_tree_works_and_what_was_said_is_there_as_text(harness: Harness) -> None:
    harness.start(sample(), panels=False)
    expect(harness.grid.locator("[role=row]").first).to_be_visible()
    harness.row("gpt-4o-mini").click()
    expect(harness.detail.locator(".agtr-text").first).to_contain_text("Rebook my flight to Boston")
    assert harness.axe() == []


@pytest.mark.parametrize("tab", TABS)
def test_panels_that_come_late_appear_in_the_tab_that_waits_for_them(harness: Harness, tab: str) -> None:
    harness.start(sample(), panels=False)
    harness.page.get_by_role("tab", name=tab).click()
    expect(panel(harness)).to_have_text("This part of the view comes when the kernel answers.")
    harness.panels()
    shown = harness.page.locator(f"#a .agtr-{tab.lower()}")
    expect(shown).to_be_visible()
    assert shown.evaluate("(e) => getComputedStyle(e).overflowY") in ("auto", "hidden auto"), "with their styles"
    expect(harness.detail.get_by_role("button", name="JSON").first).to_be_visible()


def test_a_view_asks_for_panels_that_do_not_come_once_and_not_at_once(harness: Harness) -> None:
    harness.start(sample(), panels=False)
    assert {"kind": "code"} not in harness.sent()
    harness.page.wait_for_function("() => harness.model.sent.some((m) => m.kind === 'code')")
    harness.page.wait_for_timeout(700)
    assert harness.sent().count({"kind": "code"}) == 1


def test_a_view_that_has_its_panels_asks_for_none(harness: Harness) -> None:
    harness.start(sample())
    harness.page.wait_for_timeout(700)
    assert {"kind": "code"} not in harness.sent()


@pytest.mark.parametrize("tab", TABS)
def test_where_the_panels_never_come_the_view_says_so_and_what_has_them(harness: Harness, tab: str) -> None:
    harness.start(panels=False)
    harness.page.evaluate("() => { harness.model.send = () => { throw new Error('no kernel'); }; }")
    harness.page.evaluate("() => harness.cleanups.a()")
    harness.page.evaluate("() => harness.show('a')")
    harness.patch(sample())
    harness.page.get_by_role("tab", name=tab).click()
    expect(panel(harness)).to_have_text("This part of the view was not kept here. A page that to_html writes has it.")
    harness.page.get_by_role("tab", name="Tree").click()
    expect(harness.grid).to_be_visible()


def test_panels_of_another_version_are_not_used(harness: Harness) -> None:
    harness.start(sample(), panels=False)
    harness.page.get_by_role("tab", name="Graph").click()
    harness.page.evaluate("() => harness.panels('(globalThis.agtrPanels??={}).old=()=>{throw 1}')")
    expect(panel(harness)).to_have_text("This part of the view could not be loaded: the kernel has another version.")


def test_panels_that_are_no_code_are_refused_in_words(harness: Harness) -> None:
    harness.start(sample(), panels=False)
    harness.page.get_by_role("tab", name="Graph").click()
    harness.page.evaluate("() => harness.panels('<html>')")
    expect(panel(harness)).to_contain_text("This part of the view could not be loaded: ")


def test_two_views_of_a_run_and_a_second_run_read_the_panels_once(harness: Harness) -> None:
    harness.start(sample(), panels=False)
    harness.page.evaluate("() => harness.show('b')")
    harness.page.evaluate(COUNT_MODULES)
    harness.panels()
    # As for a second cell: a base of its own, with libraries of its own.
    harness.page.evaluate(
        """async ([base, panels]) => {
          const { model } = harness;
          const listeners = {};
          const other = { ...model, on: (e, c) => { (listeners[e] ??= []).push(c); }, off() {}, send() {} };
          const url = "data:text/javascript;charset=utf-8," + encodeURIComponent(base);
          const widget = (await import(url)).default();
          widget.initialize({ model: other });
          document.getElementById("b").replaceChildren();
          const place = document.getElementById("b").appendChild(document.createElement("div"));
          widget.render({ model: other, el: place });
          const { buffer } = new TextEncoder().encode(panels);
          for (const hear of listeners["msg:custom"]) hear({ kind: "code" }, [new DataView(buffer)]);
        }""",
        [bundle("trace_view.js"), bundle("trace_panels.js")],
    )
    for view in ("a", "b"):
        harness.page.locator(f"#{view}").get_by_role("tab", name="Graph").click()
        expect(harness.page.locator(f"#{view} .agtr-graph")).to_be_visible()
    assert harness.page.evaluate("() => window.made") == 1
    assert harness.page.locator("style[id^=agtr-panels]").count() == 1
