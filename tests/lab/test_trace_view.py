"""The built widget in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab.harness import AXE
from playwright.sync_api import expect
from requirements_met import require_or_skip
from views.bus_source import Recorded
from views.hostile import hostile_run
from views.sample_runs import START_NS, Build, planner_executor

from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness

    from agenttrace_nb.spans import CellRun, Trace

pytestmark = pytest.mark.lab

FOLDED = [
    "Planner", ".travel-only", ".gpt-4o-mini", ".get_user", ".gpt-4o-mini", ".handoff", "Executor", ".gpt-4o",
    ".search_flights", ".book_flight", ".gpt-4o", ".evaluate", "..Evaluator",
]  # fmt: skip


def frame(run: CellRun, traces: list[Trace], *, keep_all: bool = False) -> bytes:
    feed = Feed(Finished(run, traces), keep_all=keep_all)
    feed.pull(work_s=None)
    return feed.snapshot()


def sample() -> bytes:
    return frame(*planner_executor())


def flat(count: int, **more: object) -> bytes:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, count)
    for at in range(count):
        b.add(SpanKind.TOOL, f"step {at}", at, at + 1, agent, **more)
    return frame(*_alone(b, count))


def _alone(b: Build, end: float) -> tuple[CellRun, list[Trace]]:
    run, _ = planner_executor()
    trace = b.close(end)
    run.end_ns = trace.end_ns
    return run, [trace]


# ---------------------------------------------------------------------------------------------------- what is shown


def test_a_run_is_shown_with_kind_agent_role_status_duration_and_tokens(harness: Harness) -> None:
    harness.start(sample())
    assert harness.names() == FOLDED
    planner = harness.row("Planner")
    expect(planner).to_contain_text("planner")
    expect(planner).to_contain_text("2.0k tok")
    expect(planner).to_contain_text("1.12 s")
    expect(harness.row("gpt-4o-mini")).to_contain_text("812 → 96 tok")
    expect(harness.row("book_flight")).to_contain_text("tool, error")
    expect(harness.row("book_flight")).to_contain_text("TimeoutError")
    expect(harness.page.locator(".agtr-head")).to_contain_text("planner-executor")
    expect(harness.page.locator(".agtr-figures")).to_have_text(
        "4.21 s3 agents5 turns7 tool calls7.7k tokens$0.031 1 error"
    )


def test_bars_have_the_colour_of_their_kind_and_failed_ones_that_of_failure(harness: Harness) -> None:
    harness.start(sample())
    harness.settle()
    assert "#bf2a21" in harness.bar_colours("book_flight")
    assert "#8a4fc7" in harness.bar_colours("gpt-4o")
    assert "#0b7a6f" in harness.bar_colours("get_user")


def test_bars_have_colours_also_where_the_styles_come_late(harness: Harness) -> None:
    harness.start(sample(), styles=False)
    harness.settle()
    harness.add_styles()
    harness.settle()
    harness.settle()
    assert "#8a4fc7" in harness.bar_colours("gpt-4o")


def test_when_a_run_has_failed_the_step_that_failed_is_chosen(harness: Harness) -> None:
    harness.start(sample())
    expect(harness.page.locator("#a [aria-selected=true] .agtr-label")).to_have_text("book_flight")
    expect(harness.detail).to_contain_text("TimeoutError: flights-api did not answer in 2.0 s (POST /v2/bookings)")
    expect(harness.detail).to_contain_text("caused by ReadTimeout: timed out")
    expect(harness.detail).to_contain_text("mia_li_3668")


def test_a_chosen_call_shows_its_conversation(harness: Harness) -> None:
    harness.start(sample())
    harness.row("gpt-4o-mini").click()
    expect(harness.detail.locator("h3")).to_contain_text("gpt-4o-mini")
    expect(harness.detail.locator(".agtr-r-user")).to_have_text("userRebook my flight to Boston")
    expect(harness.detail.locator(".agtr-r-tool-call")).to_contain_text("get_user")
    expect(harness.detail).to_contain_text("first token after 0.21 s")


def test_the_title_shows_the_run_itself(harness: Harness) -> None:
    harness.start(sample())
    harness.page.locator(".agtr-title").click()
    assert harness.chosen() is None
    expect(harness.detail.locator("h3")).to_contain_text("Rebook a flight")


def test_turns_are_shown_when_asked_for(harness: Harness) -> None:
    harness.start(sample())
    harness.page.get_by_label("fold turns").uncheck()
    names = harness.names()
    assert len(names) == 19, "with three calls under one that they repeat"
    assert names[:4] == ["Rebook a flight", ".Planner", "..travel-only", "..turn 1"]


def test_a_click_on_the_errors_goes_to_the_next_one(harness: Harness) -> None:
    harness.start(sample())
    harness.row("Planner").click()
    harness.page.get_by_title("Next error").click()
    assert harness.chosen() == "book_flight"


def test_a_traceback_is_there_when_asked_for(harness: Harness) -> None:
    harness.start(sample())
    expect(harness.detail).not_to_contain_text("Traceback (most recent call last)")
    harness.detail.get_by_role("button", name="traceback").click()
    expect(harness.detail).to_contain_text("Traceback (most recent call last)")


# --------------------------------------------------------------------------------------------------------- keyboard


def test_the_tree_is_one_tab_stop_and_arrows_move_in_it(harness: Harness) -> None:
    harness.start(sample())
    harness.grid.focus()
    press = harness.page.keyboard.press
    press("Home")
    assert harness.chosen() == "Planner"
    active = harness.grid.get_attribute("aria-activedescendant")
    assert harness.page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    press("ArrowDown")
    assert harness.chosen() == "travel-only"
    press("ArrowLeft")
    assert harness.chosen() == "Planner"
    press("ArrowLeft")
    assert harness.row("Planner").get_attribute("aria-expanded") == "false"
    assert harness.names()[:2] == ["Planner", "Executor"]
    press("ArrowRight")
    assert harness.names() == FOLDED
    press("Enter")
    assert harness.names()[:2] == ["Planner", "Executor"]
    press("Enter")
    press("End")
    assert harness.chosen() == "Evaluator"
    press("Home")
    press("e")
    assert harness.chosen() == "book_flight"
    focused = harness.page.evaluate("() => document.activeElement.getAttribute('role')")
    assert focused == "treegrid", "the focus never leaves the tree"
    press("Tab")
    assert harness.page.evaluate("() => document.activeElement.className") == "agtr-detail"


def test_plain_keys_do_not_reach_the_notebook_and_its_own_do(harness: Harness) -> None:
    harness.start(sample())
    harness.page.evaluate("() => { window.heard = []; document.addEventListener('keydown', (e) => heard.push(e.key)) }")
    harness.grid.focus()
    for key in ("ArrowDown", "Enter", "End", "x", "d", "d", "Shift+Enter", "Control+s", "Escape"):
        harness.page.keyboard.press(key)
    harness.detail.focus()
    harness.page.keyboard.press("x")
    assert harness.page.evaluate("() => heard") == ["Shift", "Enter", "Control", "s", "Escape"]


def test_the_chosen_row_is_kept_in_sight(harness: Harness) -> None:
    harness.start(flat(500))
    harness.grid.focus()
    for key, name in (("End", "step 499"), ("PageUp", None), ("Home", "agent")):
        harness.page.keyboard.press(key)
        harness.settle()
        chosen = harness.page.locator("#a [role=row][aria-selected=true]")
        expect(chosen).to_be_in_viewport(ratio=1)
        if name:
            assert harness.chosen() == name


# ------------------------------------------------------------------------------------------------------------- live


def test_a_run_grows_while_it_goes_on(harness: Harness) -> None:
    recorded = Recorded(zero_ns=START_NS)
    now = [0.1]
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + int(now[0] * 1e9))
    harness.start(feed.snapshot())
    expect(harness.page.locator(".agtr-head")).to_contain_text("planner-executor")
    assert harness.names() == []
    grown = []
    for part, at in ((0.2, 0.5), (0.5, 1.6), (0.8, 3.2)):
        recorded.play(until=part)
        now[0] = at
        feed.pull(work_s=None)
        harness.patch(feed.patch() or b"")
        grown.append(len(harness.names()))
    assert grown == sorted(grown)
    assert grown[0] < grown[-1]
    running = harness.row("Executor")
    expect(running).to_contain_text("agent, running")
    first = running.locator(".agtr-took").inner_text()
    expect(running.locator(".agtr-took")).not_to_have_text(first)
    recorded.play()
    feed.pull(work_s=None)
    harness.patch(feed.patch() or b"")
    assert harness.names() == FOLDED
    expect(harness.row("Executor")).to_contain_text("3.09 s")
    assert harness.sent() == []


def test_while_it_goes_on_the_newest_row_stays_in_sight_until_the_reader_scrolls(harness: Harness) -> None:
    b = Build()
    run, traces = _alone(b, 1)
    run.end_ns = None

    def grow(to: int) -> bytes:
        while len(b.trace.spans) < to:
            b.add(SpanKind.TOOL, f"step {len(b.trace.spans)}", len(b.trace.spans), None)
        return frame(run, traces)

    harness.start(grow(10))
    harness.patch(grow(60))
    expect(harness.row("step 59")).to_be_in_viewport()
    harness.page.evaluate("() => { document.querySelector('.agtr-tree').scrollTop = 0 }")
    harness.settle()
    harness.patch(grow(90))
    harness.settle()
    expect(harness.row("step 0")).to_be_in_viewport()


@pytest.mark.parametrize("scrolled", [False, True])
def test_a_run_that_ended_is_read_from_its_beginning_unless_the_reader_is_elsewhere(
    harness: Harness, scrolled: bool
) -> None:
    b = Build()
    run, traces = _alone(b, 1)
    run.end_ns = None
    for number in range(60):
        b.add(SpanKind.TOOL, f"step {number}", number, number + 1)
        if number == 9:
            harness.start(frame(run, traces))
    harness.patch(frame(run, traces))
    expect(harness.row("step 59")).to_be_in_viewport()
    if scrolled:
        harness.page.evaluate("() => { document.querySelector('.agtr-tree').scrollTop = 26 * 20 }")
        harness.settle()
    run.end_ns = run.start_ns + 61_000_000_000
    harness.patch(frame(run, traces))
    harness.settle()
    expect(harness.row("step 25" if scrolled else "step 0")).to_be_in_viewport()
    expect(harness.row("step 0" if scrolled else "step 25")).not_to_be_in_viewport()


def test_a_lost_frame_is_noticed_and_healed(harness: Harness) -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live)
    frames = []
    for part in (0.5, 0.55, 0.6):
        recorded.play(until=part)
        feed.pull(work_s=None)
        frames.append(feed.patch() or b"")
    harness.start(frames[0])
    before = harness.names()
    harness.patch(frames[2])
    assert harness.sent() == [{"kind": "resync"}]
    assert harness.names() == before, "what does not fit is not shown"
    harness.patch(feed.snapshot())
    assert len(harness.names()) > len(before)


def test_two_views_of_one_run_do_not_disturb_each_other(harness: Harness) -> None:
    harness.start(sample())
    harness.page.evaluate("() => harness.show('b')")
    harness.row("Planner").click()
    assert (harness.chosen("a"), harness.chosen("b")) == ("Planner", "book_flight")
    harness.page.evaluate("() => harness.cleanups.a()")
    assert harness.page.locator("#a *").count() == 0
    assert harness.names("b") == FOLDED
    harness.page.evaluate("() => { harness.cleanups.b(); harness.end() }")
    assert harness.page.evaluate("() => harness.model.listening()") == 0


def test_large_content_is_asked_for_when_it_is_looked_at(harness: Harness) -> None:
    b = Build()
    b.add(SpanKind.TOOL, "large", 0, 1, content_in="x" * 9_000 + "the end", content_out="ok")
    harness.start(frame(*_alone(b, 1)))
    harness.row("large").click()
    expect(harness.detail).to_contain_text("The beginning. The whole (9 kB) comes when the kernel answers.")
    assert harness.sent() == [{"kind": "want", "rows": [0]}]
    whole = json.dumps({"input": "the whole", "output": "ok"}).encode()
    harness.content(0, 0, 2, whole[:10])
    harness.content(0, 1, 2, whole[10:])
    expect(harness.detail).to_contain_text("the whole")
    expect(harness.detail).not_to_contain_text("The beginning")


def test_notes_of_the_run_are_shown(harness: Harness) -> None:
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.notes.append("MLflow does not answer; the run is kept and delivered later.")
    feed.pull()
    harness.start(feed.snapshot())
    expect(harness.page.locator(".agtr-note")).to_have_text(feed.notes[0])


# ----------------------------------------------------------------------------------------------- size, theme, access


def test_a_hundred_thousand_steps_need_few_elements_and_scroll_to_the_end(harness: Harness) -> None:
    harness.start(flat(100_000))
    harness.settle()
    assert harness.page.evaluate("() => document.querySelectorAll('*').length") < 3_000
    harness.page.evaluate("() => { const t = document.querySelector('.agtr-tree'); t.scrollTop = t.scrollHeight }")
    expect(harness.row("step 99999")).to_be_in_viewport()


@pytest.mark.parametrize("width", ["1600px", "1000px", "760px", "520px", "360px"])
def test_at_no_width_does_anything_stick_out(harness: Harness, width: str) -> None:
    harness.start(frame(*hostile_run()), width=width)
    harness.settle()
    out = harness.page.evaluate(
        """() => { const edge = document.querySelector("#a").getBoundingClientRect().right + 1;
             return [...document.querySelectorAll("#a *")].filter((e) => {
               let clip = e; while (clip && getComputedStyle(clip).overflowX === "visible") clip = clip.parentElement;
               return clip?.getBoundingClientRect().right > edge;
             }).map((e) => e.className); }"""
    )
    assert out == []
    assert harness.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth || innerWidth < 1600")


def test_the_theme_of_the_notebook_is_followed_at_once(harness: Harness) -> None:
    harness.start(sample())
    view = harness.page.locator("#a")
    expect(view).to_have_attribute("data-agtr-theme", "light")
    harness.page.evaluate("() => { document.body.dataset.jpThemeLight = 'false' }")
    expect(view).to_have_attribute("data-agtr-theme", "dark")
    harness.settle()
    assert "#ff7a70" in harness.bar_colours("book_flight"), "the bars too"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("what", ["finished", "running", "hostile", "narrow"])
def test_axe_finds_nothing(harness: Harness, what: str, dark: bool) -> None:
    require_or_skip(AXE.exists(), "needs axe-core: npm ci in js/")
    if what == "running":
        recorded = Recorded(zero_ns=START_NS)
        recorded.play(until=0.6)
        feed = Feed(recorded.live, clock_ns=lambda: START_NS + 2_000_000_000)
        feed.pull(work_s=None)
        harness.start(feed.snapshot(), dark=dark)
    elif what == "hostile":
        harness.start(frame(*hostile_run()), dark=dark)
        harness.grid.focus()
        harness.page.keyboard.press("End")
    else:
        harness.start(sample(), dark=dark, width="500px" if what == "narrow" else "auto")
    harness.settle()
    assert harness.axe() == []
