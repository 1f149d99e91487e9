"""The graph and the latency of a run, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from views.bus_source import Recorded
from views.hostile import hostile_run
from views.sample_runs import START_NS, Build, planner_executor

from agenttrace_nb.spans import Agent, SpanError, SpanKind
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness
    from playwright.sync_api import Locator

    from agenttrace_nb.spans import CellRun, Trace

pytestmark = pytest.mark.lab


def frame(run: CellRun | Trace, traces: list[Trace]) -> bytes:
    feed = Feed(Finished(run, traces))
    feed.pull(work_s=None)
    feed.measure()
    return feed.snapshot()


def opened(harness: Harness, tab: str, data: bytes, **look: Any) -> Locator:
    harness.start(data, **look)
    harness.page.get_by_role("tab", name=tab).click()
    harness.settle()
    return harness.page.locator(f"#a .agtr-{tab.lower()}")


def sample() -> bytes:
    return frame(*planner_executor())


def desk() -> bytes:
    """Triage hands over to two agents and back; some of what was declared is not used; a tool fails."""
    b = Build()
    root = b.add(SpanKind.WORKFLOW, "w", 0, 100)
    at = 0

    def turn(agent: str, tool: str | None, to: str | None, **more: Any) -> None:
        nonlocal at
        span = b.add(SpanKind.AGENT, agent, at, at + 10, root, agent=agent)
        b.add(SpanKind.LLM, "m", at, at + 4, span, agent=agent, model="gpt-4o")
        if tool:
            b.add(SpanKind.TOOL, tool, at + 4, at + 8, span, agent=agent, **more)
        if to:
            b.add(SpanKind.HANDOFF, f"{agent} → {to}", at + 9, at + 9, span, agent=agent)
        at += 10

    turn("Triage", None, "Flights")
    turn("Flights", "book", "Triage", error=SpanError("no seats", "ValueError"))
    turn("Triage", None, "Refunds")
    turn("Refunds", "refund", None)
    trace = b.close(100)
    trace.agents = {
        "Triage": Agent(name="Triage", handoffs=[{"agent": n} for n in ("Flights", "Refunds", "Hotels")]),
        "Flights": Agent(name="Flights", tools=[{"name": "book", "description": "Books a seat."}, {"name": "cancel"}]),
    }
    return frame(trace, [trace])


BEYOND = "(e) => e.scrollWidth - e.clientWidth"


def resize(harness: Harness, width: int) -> None:
    harness.page.evaluate("(w) => { document.getElementById('a').style.width = `${w}px`; }", width)
    harness.settle()
    harness.settle()


# ------------------------------------------------------------------------------------------------------------ graph


def test_the_graph_shows_what_ran_over_what_was_declared(harness: Harness) -> None:
    graph = opened(harness, "Graph", desk())
    boxes = graph.locator(".agtr-box")
    expect(boxes).to_have_count(4)
    expect(graph.get_by_role("button", name="book , 1 time, 1 failed")).to_contain_text("✕1 ×1")
    expect(graph.get_by_role("button", name="cancel , not used")).to_have_class("agtr-item agtr-k-tool agtr-unused")
    expect(graph.locator(".agtr-box.agtr-unused")).to_contain_text("Hotels")
    expect(graph.locator(".agtr-edge")).to_have_count(4)
    expect(graph.get_by_role("button", name="Triage hands over to Hotels , not used")).to_be_visible()
    expect(graph.locator(".agtr-entry")).to_have_count(1)


def test_a_part_of_the_graph_shows_its_first_step_then_the_next_and_looks_for_all(harness: Harness) -> None:
    graph = opened(harness, "Graph", sample())
    part = graph.get_by_role("button", name="search_flights , 4 times")
    part.click()
    assert "search_flights" in harness.detail.inner_text()
    first = harness.detail.inner_text()
    part.click()
    expect(harness.detail).not_to_have_text(first)
    expect(harness.page.locator("#a input").first).to_have_value('kind:tool agent:"Executor" "search_flights"')


def test_the_graph_is_one_tab_stop_and_arrows_move_in_it(harness: Harness) -> None:
    graph = opened(harness, "Graph", sample())
    assert graph.locator("button[tabindex='0']").count() == 1
    graph.locator("button[tabindex='0']").focus()
    press = harness.page.keyboard.press
    focused = "() => document.activeElement.textContent"
    assert harness.page.evaluate(focused).startswith("Planner")
    press("ArrowDown")
    assert "travel-only" in harness.page.evaluate(focused)
    press("End")
    assert "Planner hands over to Executor" in harness.page.evaluate(focused)
    press("ArrowUp")
    press("Enter")
    expect(harness.detail.locator("h3")).to_contain_text("Evaluator")
    assert graph.locator("button[tabindex='0']").count() == 1


def test_the_graph_is_told_in_a_table_too(harness: Harness) -> None:
    graph = opened(harness, "Graph", desk())
    rows = graph.locator("table tr").all_text_contents()
    assert "Triageagent2 times, runs begin with it: 1" in rows
    assert "booktool of Flights1 time, 1 failed" in rows
    assert "Triagehands over to Hotelsnot used" in rows


def test_the_graph_grows_while_the_run_goes_on(harness: Harness) -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + 10**9)
    recorded.play(until=0.3)
    feed.pull(work_s=None)
    graph = opened(harness, "Graph", feed.snapshot())
    expect(graph.locator(".agtr-box")).to_have_count(1)
    recorded.play()
    feed.pull(work_s=None)
    feed.measure()
    harness.patch(feed.snapshot())
    expect(graph.locator(".agtr-box")).to_have_count(3)


def test_nothing_in_the_graph_lies_upon_anything_at_any_width(harness: Harness) -> None:
    harness.page.set_viewport_size({"width": 2040, "height": 900})
    graph = opened(harness, "Graph", desk())
    for width in (680, 1000, 1900):
        resize(harness, width)
        overlaps = harness.page.evaluate(
            """() => {
              const parts = document.querySelectorAll("#a .agtr-box, #a .agtr-edge");
              const all = [...parts].map((e) => e.getBoundingClientRect());
              return all.flatMap((a, i) => all.slice(i + 1).filter((b) =>
                a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)).length;
            }"""
        )
        assert overlaps == 0
        assert graph.evaluate(BEYOND) <= 0


# ---------------------------------------------------------------------------------------------------------- latency


def test_latency_shows_the_critical_path_savings_and_self_time(harness: Harness) -> None:
    latency = opened(harness, "Latency", sample())
    expect(latency.locator(".agtr-facts").first).to_contain_text("4.21 s from the first step to the end · tools 48 %")
    path = latency.locator(".agtr-path tbody tr")
    expect(path).to_have_count(8)
    expect(path.nth(5)).to_have_text("✕book_flightExecutor1.48 s35 %")
    expect(latency.locator(".agtr-savings tbody tr").nth(1)).to_have_text("tool book_flight4.21 s → 2.73 s35 %")
    latency.get_by_role("button", name="tool", exact=True).click()
    expect(latency.locator(".agtr-chart").last.locator("tbody tr").nth(1)).to_have_text(
        "search_flights1.37 s32 %40.34 s0.52 s"
    )


def test_all_pieces_of_the_path_are_there_when_asked_for(harness: Harness) -> None:
    latency = opened(harness, "Latency", sample())
    latency.get_by_role("button", name="all 18").click()
    expect(latency.locator(".agtr-path tbody tr")).to_have_count(18)
    width = "(all) => all.map((rect) => parseFloat(rect.getAttribute('width')))"
    shares = latency.locator(".agtr-ribbon rect").evaluate_all(width)
    assert sum(shares) == pytest.approx(100)


def test_a_piece_of_the_path_shows_its_step_by_click_and_by_key(harness: Harness) -> None:
    latency = opened(harness, "Latency", sample())
    latency.get_by_role("button", name="search_flights").first.press("Enter")
    expect(harness.detail.locator("h3")).to_contain_text("search_flights")
    latency.locator(".agtr-ribbon rect.agtr-s-error").click()
    expect(harness.detail.locator("h3")).to_contain_text("book_flight")


def test_calls_are_gone_through_from_the_quickest_to_the_slowest(harness: Harness) -> None:
    latency = opened(harness, "Latency", sample())
    latency.get_by_role("button", name="tool", exact=True).click()
    latency.get_by_role("button", name="search_flights").last.click()
    spread = latency.get_by_role("slider")
    expect(spread).to_have_attribute("aria-valuetext", "none chosen")
    for key, said in (("Home", "1 of 4, 0.17 s"), ("ArrowRight", "2 of 4, 0.29 s"), ("End", "4 of 4, 0.52 s")):
        spread.press(key)
        expect(spread).to_have_attribute("aria-valuetext", said)
    expect(harness.detail.locator("h3")).to_contain_text("search_flights")


def test_a_single_call_is_not_drawn_as_a_distribution(harness: Harness) -> None:
    latency = opened(harness, "Latency", sample())
    expect(latency.get_by_role("slider")).to_have_count(0)


def test_while_the_run_goes_on_what_is_not_known_yet_is_said(harness: Harness) -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + 10**9)
    recorded.play(until=0.4)
    feed.pull(work_s=None)
    latency = opened(harness, "Latency", feed.snapshot())
    expect(latency).to_contain_text("Is worked out when the run ends")
    expect(latency).to_contain_text("So far: LLM and tool calls")
    expect(latency.locator("table")).to_have_count(1)
    recorded.play()
    feed.pull(work_s=None)
    feed.patch()
    feed.measure()
    harness.patch(feed.snapshot())
    expect(latency).to_contain_text("What could be saved")


def test_a_run_without_an_end_has_no_path(harness: Harness) -> None:
    b = Build()
    b.add(SpanKind.AGENT, "A", 0, None, agent="A")
    latency = opened(harness, "Latency", frame(b.close(10), [b.trace]))
    expect(latency).to_contain_text("Not known: a step has no end")


# ------------------------------------------------------------------------------------------------------- both of them


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(harness: Harness, *, dark: bool) -> None:
    opened(harness, "Graph", desk(), dark=dark)
    assert harness.axe() == []
    harness.page.get_by_role("tab", name="Latency").click()
    assert harness.axe() == []


@pytest.mark.parametrize("tab", ["Graph", "Latency"])
def test_hostile_names_are_text(harness: Harness, tab: str) -> None:
    panel = opened(harness, tab, frame(*hostile_run()))
    expect(panel).to_contain_text("<script>")
    for button in panel.locator("button").all()[:40]:
        button.dispatch_event("click")
    harness.settle()
    assert harness.page.evaluate("() => window.agtrHacked") is None


def test_latency_keeps_within_its_width(harness: Harness) -> None:
    harness.page.set_viewport_size({"width": 2040, "height": 900})
    latency = opened(harness, "Latency", sample())
    for width in (690, 1000, 2000):
        resize(harness, width)
        assert latency.evaluate(BEYOND) <= 0
