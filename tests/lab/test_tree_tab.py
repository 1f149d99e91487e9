"""The tree tab in a real browser: search, zoom and pan, the map, calls that repeat, keys and their help."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from lab.harness import AXE
from lab.test_trace_view import FOLDED, flat, frame, sample
from playwright.sync_api import expect
from requirements_met import require_or_skip
from views.hostile import hostile_run
from views.sample_runs import Build, planner_executor

from agenttrace_nb.spans import SpanError, SpanKind
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness
    from playwright.sync_api import Locator

pytestmark = pytest.mark.lab


def field(harness: Harness) -> Locator:
    return harness.page.get_by_label("Search the steps")


def search(harness: Harness, text: str, count: str) -> None:
    field(harness).fill(text)
    expect(harness.page.locator(".agtr-found")).to_have_text(count)


def marked(harness: Harness) -> list[str]:
    return harness.page.locator("#a .agtr-hit .agtr-label").all_inner_texts()


def focused(harness: Harness) -> str | None:
    return harness.page.evaluate("() => document.activeElement.getAttribute('role') ?? document.activeElement.type")


def ticks(harness: Harness) -> list[str]:
    return [text for text in harness.page.locator(".agtr-axis-bars i").all_inner_texts() if text]


def run_of(b: Build, end: float) -> bytes:
    run, _ = planner_executor()
    trace = b.close(end)
    run.end_ns = trace.end_ns
    return frame(run, [trace])


# ----------------------------------------------------------------------------------------------------------- search


def test_what_is_looked_for_is_marked_and_counted_and_enter_goes_from_one_to_the_next(harness: Harness) -> None:
    harness.start(sample())
    harness.page.locator(".agtr-title").click()
    search(harness, "kind:llm", "4")
    assert marked(harness) == ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o", "gpt-4o"]
    found = harness.page.locator(".agtr-found")
    for key, count in (("Enter", "1 of 4"), ("Enter", "2 of 4"), ("Shift+Enter", "1 of 4"), ("Shift+Enter", "4 of 4")):
        field(harness).press(key)
        expect(found).to_have_text(count)
    assert harness.chosen() == "gpt-4o"
    field(harness).press("Escape")
    assert marked(harness) == []
    expect(field(harness)).to_have_value("")
    field(harness).press("Escape")
    assert focused(harness) == "treegrid"


def test_agents_errors_and_what_went_in_and_out_are_found(harness: Harness) -> None:
    harness.start(sample())
    search(harness, "agent:planner mia_li", "3")
    assert marked(harness) == ["gpt-4o-mini", "get_user", "gpt-4o-mini"], "the second call was told of it"
    search(harness, "timed out", "1 of 1")
    assert marked(harness) == ["book_flight"], "its cause says so, which is in its content only"
    search(harness, '"rebook my flight" -kind:workflow', "4")


def test_matches_that_are_folded_away_are_counted_apart(harness: Harness) -> None:
    harness.start(sample())
    search(harness, "kind:turn", "none")
    expect(harness.page.locator(".agtr-search-hint")).to_have_text("5 more in folded turns")
    harness.page.get_by_label("fold turns").uncheck()
    expect(harness.page.locator(".agtr-found")).to_have_text("5")


def test_a_key_that_does_not_exist_gets_a_hint(harness: Harness) -> None:
    harness.start(sample())
    search(harness, "knid:tool", "none")
    expect(harness.page.locator(".agtr-search-hint")).to_have_text('no key "knid": kind?')


def test_only_matches_are_shown_with_those_above_them(harness: Harness) -> None:
    harness.start(sample())
    harness.row("Executor").click()
    harness.grid.press("ArrowLeft")
    search(harness, "status:error", "1")
    harness.page.get_by_role("button", name="Only matches").click()
    assert harness.names() == ["Executor", ".book_flight"], "though it was closed"
    harness.grid.press("n")
    assert harness.chosen() == "book_flight"
    harness.grid.press("ArrowLeft")
    assert harness.chosen() == "Executor"
    search(harness, "name:nothing", "none")
    expect(harness.page.locator("#a .agtr-tree .agtr-empty")).to_have_text("No step matches.")
    field(harness).press("Escape")
    assert harness.names()[:2] == ["Planner", ".travel-only"]


def test_a_match_in_a_closed_row_is_opened_to(harness: Harness) -> None:
    harness.start(sample())
    harness.grid.press("Shift+ArrowLeft")
    assert harness.names() == ["Planner", "Executor"]
    search(harness, "get_user kind:tool", "1")
    field(harness).press("Enter")
    assert harness.chosen() == "get_user"
    expect(harness.row("get_user")).to_be_in_viewport()


def test_content_that_is_not_here_is_searched_by_the_kernel(harness: Harness) -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 3)
    b.add(SpanKind.TOOL, "large", 0, 1, agent, content_in="x" * 20_000 + "zanzibar")
    b.add(SpanKind.TOOL, "small", 1, 2, agent, content_in="to zanzibar")
    harness.start(run_of(b, 3))
    search(harness, "Zanzibar", "1")
    hint = harness.page.locator(".agtr-search-hint")
    expect(hint).to_have_text("content is searched when the kernel is free")
    (asked,) = harness.sent()
    assert asked == {"kind": "search", "id": 1, "text": "zanzibar"}
    harness.hear({"kind": "found", "id": 1, "text": "zanzibar", "whole": True}, struct.pack("<I", 1))
    expect(harness.page.locator(".agtr-found")).to_have_text("2")
    expect(hint).to_have_count(0)
    assert marked(harness) == ["large", "small"]
    search(harness, "small", "1")
    harness.page.wait_for_timeout(400)
    search(harness, "zanzibar", "2")
    assert [message["text"] for message in harness.sent()] == ["zanzibar", "small"], "an answer is kept"


def test_search_keys_stay_in_the_view_and_those_of_the_notebook_outside_of_it(harness: Harness) -> None:
    harness.start(sample())
    harness.page.evaluate("() => { window.heard = []; document.addEventListener('keydown', (e) => heard.push(e.key)) }")
    harness.page.keyboard.press("/")
    assert focused(harness) != "text", "the focus was not in the view"
    harness.grid.focus()
    harness.page.keyboard.press("/")
    assert focused(harness) == "text"
    harness.page.keyboard.type("a/b?x")
    expect(field(harness)).to_have_value("a/b?x")
    for key in ("Shift+Enter", "Enter", "Escape", "Escape"):
        harness.page.keyboard.press(key)
    for key in ("E", "N", "Shift+ArrowDown", "Shift+M", "+"):
        harness.page.keyboard.press(key)
    assert harness.page.evaluate("() => heard.filter((key) => key !== 'Shift')") == ["/"]


# ------------------------------------------------------------------------------------------------------- zoom and map


def test_the_chosen_step_is_looked_at_closely_and_the_whole_run_again(harness: Harness) -> None:
    harness.start(sample())
    assert ticks(harness) == ["0 s", "1", "2", "3", "4"]
    harness.grid.press("z")
    assert ticks(harness) == ["2 s", "2.5", "3.0", "3.5"]
    expect(harness.page.get_by_role("button", name="1.62 s of 4.21 s")).to_be_visible()
    assert "#bf2a21" in harness.bar_colours("book_flight")
    harness.grid.press("0")
    assert ticks(harness) == ["0 s", "1", "2", "3", "4"]
    for key in ("+", "+", "+", "-", "-", "-"):
        harness.grid.press(key)
    assert ticks(harness) == ["0 s", "1", "2", "3", "4"]


def test_the_wheel_with_ctrl_comes_closer_to_where_the_pointer_is_and_with_shift_goes_along(harness: Harness) -> None:
    harness.start(sample())
    box = harness.page.locator(".agtr-axis-bars").bounding_box()
    assert box
    harness.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    harness.page.keyboard.down("Control")
    harness.page.mouse.wheel(0, -600)
    harness.page.keyboard.up("Control")
    harness.settle()
    close = ticks(harness)
    assert close[0].endswith("s")
    assert 1.5 < float(close[0].split()[0]) < 2.2
    assert harness.page.evaluate("() => visualViewport.scale") == 1
    harness.page.keyboard.down("Shift")
    harness.page.mouse.wheel(0, 200)
    harness.page.keyboard.up("Shift")
    harness.settle()
    assert float(ticks(harness)[0].split()[0]) > float(close[0].split()[0])
    harness.page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 10)
    assert ticks(harness)[0] == "0 s"


def test_the_axis_is_dragged(harness: Harness) -> None:
    harness.start(sample())
    harness.grid.press("z")
    before = float(ticks(harness)[0].split()[0])
    box = harness.page.locator(".agtr-axis-bars").bounding_box()
    assert box
    harness.page.mouse.move(box["x"] + 50, box["y"] + 10)
    harness.page.mouse.down()
    harness.page.mouse.move(box["x"] + 50 + box["width"] / 2, box["y"] + 10, steps=4)
    harness.page.mouse.up()
    harness.settle()
    assert float(ticks(harness)[0].split()[0]) < before


def test_a_long_run_has_a_map_and_a_short_one_has_none(harness: Harness) -> None:
    harness.start(sample())
    assert harness.page.locator(".agtr-map").count() == 0
    harness.start(flat(500))
    strip = harness.page.locator(".agtr-map canvas")
    box = strip.bounding_box()
    assert box
    middle = box["y"] + 12
    harness.page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    harness.page.mouse.down()
    harness.page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=4)
    harness.page.mouse.up()
    harness.settle()
    assert 0.245 <= float(ticks(harness)[0].split()[0]) <= 0.262
    expect(harness.row("step 250")).to_be_in_viewport()
    harness.page.mouse.move(box["x"] + box["width"] * 0.55, middle)
    harness.page.mouse.down()
    harness.page.mouse.move(box["x"] + box["width"] * 0.95, middle, steps=4)
    harness.page.mouse.up()
    harness.settle()
    assert 0.44 <= float(ticks(harness)[0].split()[0]) <= 0.46
    expect(harness.row("step 449")).to_be_in_viewport()


def test_errors_are_on_the_map_however_short_they_are(harness: Harness) -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 10_000)
    for at in range(500):
        b.add(SpanKind.TOOL, f"step {at}", at * 20, at * 20 + 20, agent)
    b.add(SpanKind.TOOL, "bad", 5_000, 5_000, agent, error=SpanError("no"))
    harness.start(run_of(b, 10_000))
    harness.settle()
    red = harness.page.evaluate(
        """() => { const c = document.querySelector(".agtr-map canvas");
          const { data } = c.getContext("2d").getImageData(0, Math.round(c.height * 14 / 30), c.width, 1);
          const red = (x) => data[4 * x] > 180 && data[4 * x + 1] < 60;
          return [...Array(c.width).keys()].filter(red).map((x) => x / c.width); }"""
    )
    assert red
    assert all(0.48 < x < 0.52 for x in red)


# ----------------------------------------------------------------------------------------------------------- repeats


def test_a_call_made_again_and_again_is_one_row_that_opens(harness: Harness) -> None:
    harness.start(sample())
    assert harness.names().count(".search_flights") == 1
    row = harness.row("search_flights")
    expect(row).to_contain_text("\u00d74")
    expect(row).to_contain_text("0.52 s")
    expect(row).to_have_attribute("aria-expanded", "false")
    row.click()
    harness.grid.press("ArrowRight")
    assert harness.names()[8:12] == [".search_flights", "..search_flights", "..search_flights", "..search_flights"]
    assert harness.page.locator(".agtr-times").all_inner_texts() == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    expect(row).to_contain_text("0.17 s")


def test_the_critical_path_is_shown_where_it_is_known(harness: Harness) -> None:
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.pull(work_s=None)
    harness.start(feed.snapshot())
    check = harness.page.get_by_label("critical path")
    expect(check).to_be_disabled()
    assert "known when it has ended" in (harness.page.locator("label", has=check).get_attribute("title") or "")
    feed.measure()
    harness.start(feed.snapshot())
    check.check()
    off = harness.page.locator("#a .agtr-off .agtr-label").all_inner_texts()
    assert "book_flight" not in off
    assert "Executor" not in off, "it holds what is on the path"
    assert "search_flights" not in off, "one of the four is on it"
    assert off == ["travel-only", "handoff"]
    outlined = harness.page.evaluate(
        """() => { const c = document.querySelector(".agtr-bars canvas");
          const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
          let n = 0; for (let i = 0; i < data.length; i += 4)
            if (data[i] === 0xd9 && data[i + 1] === 0x77 && data[i + 2] === 0x1f) n++;
          return n; }"""
    )
    assert outlined > 500


# -------------------------------------------------------------------------------------------------------------- keys


def test_errors_are_gone_through_in_both_directions(harness: Harness) -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 9)
    for at in range(9):
        error = SpanError("no") if at % 3 == 1 else None
        b.add(SpanKind.TOOL, f"step {at}", at, at + 1, agent, error=error)
    harness.start(run_of(b, 9))
    harness.grid.press("Home")
    gone = []
    for key in ("e", "e", "e", "e", "E", "E"):
        harness.grid.press(key)
        gone.append(harness.chosen())
    assert gone == [f"step {at}" for at in (1, 4, 7, 1, 7, 4)]


def test_all_rows_and_those_of_a_level_are_opened_and_closed(harness: Harness) -> None:
    harness.start(sample())
    press = harness.grid.press
    press("Shift+ArrowLeft")
    assert harness.names() == ["Planner", "Executor"]
    press("Home")
    press("*")
    assert harness.names() == FOLDED[:-1], "not what is deeper"
    press("Shift+ArrowRight")
    assert len(harness.names()) == len(FOLDED) + 3, "calls that repeat, too"


def test_the_keys_are_explained_and_the_focus_comes_back(harness: Harness) -> None:
    require_or_skip(AXE.exists(), "needs axe-core: npm ci in js/")
    harness.start(sample())
    harness.grid.focus()
    harness.page.keyboard.press("?")
    box = harness.page.get_by_role("dialog", name="Keys")
    expect(box).to_contain_text("next, previous error")
    assert harness.axe() == []
    harness.page.keyboard.press("Tab")
    assert box.evaluate("(e) => e.contains(document.activeElement)")
    harness.page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    assert focused(harness) == "treegrid"
    harness.page.get_by_label("Keyboard help").click()
    expect(box).to_be_visible()
    box.get_by_label("Close").click()
    expect(box).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_while_something_is_looked_for(harness: Harness, dark: bool) -> None:
    require_or_skip(AXE.exists(), "needs axe-core: npm ci in js/")
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.pull(work_s=None)
    feed.measure()
    harness.start(feed.snapshot(), dark=dark)
    harness.page.get_by_label("critical path").check()
    search(harness, "kind:tool knd:x", "none")
    search(harness, "kind:tool", "6 of 7")
    harness.grid.press("z")
    harness.settle()
    assert harness.axe() == []


def test_two_views_look_for_and_at_different_things(harness: Harness) -> None:
    harness.start(sample())
    harness.page.evaluate("() => harness.show('b')")
    search_b = harness.page.locator("#b input[type=text]")
    search_b.fill("kind:guardrail")
    expect(harness.page.locator("#b .agtr-found")).to_have_text("1")
    harness.grid.press("z")
    assert marked(harness) == []
    assert harness.page.locator("#b .agtr-axis-bars i").first.inner_text() == "0 s"


@pytest.mark.parametrize("what", ["hostile", "flat"])
def test_hostile_and_large_runs_are_searched(harness: Harness, what: str) -> None:
    harness.start(frame(*hostile_run()) if what == "hostile" else flat(20_000))
    field(harness).fill("script" if what == "hostile" else "999")
    expect(harness.page.locator("#a .agtr-found")).not_to_be_empty()
    field(harness).press("Enter")
    field(harness).fill('"\u202e<img src=x onerror=alert(1)>" kind:<b>')
    harness.settle()
    assert harness.page.locator("#a :is(script, img, iframe, svg, a, style, math)").count() == 0
