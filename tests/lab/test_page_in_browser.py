"""What ``to_html`` writes, opened from the disk in a real browser; and the static twin with scripts switched off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from analysis.runs_to_compare import runs
from lab.harness import Harness
from playwright.sync_api import expect
from views.hostile import hostile_run
from views.sample_runs import planner_executor

import agenttrace_nb as at
from agenttrace_nb.spans import Span, SpanKind
from agenttrace_nb.views.page import write_page
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.static_html import static_twin

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.lab


def open_file(harness: Harness, path: Path) -> None:
    harness.page.goto(path.as_uri())
    # The page itself is the one request there is.
    harness.complaints[:] = [c for c in harness.complaints if c != f"request: {path.as_uri()}"]


def test_a_page_opens_from_the_disk_and_asks_for_nothing(harness: Harness, tmp_path: Path) -> None:
    open_file(harness, write_page(tmp_path / "run.html", *planner_executor()))
    expect(harness.page.locator("[role=row]")).to_have_count(13)
    harness.page.get_by_text("gpt-4o-mini").first.click()
    expect(harness.page.locator(".agtr-detail")).to_contain_text("Rebook my flight to Boston")
    assert not harness.page.locator(".agtr-static").is_visible(), "the twin is for pages without scripts"


def test_in_a_page_every_panel_is_there_without_a_kernel(harness: Harness, tmp_path: Path) -> None:
    open_file(harness, write_page(tmp_path / "run.html", *planner_executor()))
    for tab in ("Messages", "Graph", "Latency"):
        harness.page.get_by_role("tab", name=tab).click()
        expect(harness.page.locator(f".agtr-{tab.lower()}")).to_be_visible()
    expect(harness.page.locator(".agtr-detail").get_by_role("button", name="JSON").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_comparison_is_readable_on_light_and_dark_screens(
    harness: Harness, tmp_path: Path, scheme: str
) -> None:
    table = runs(faster={"planner": 0.7}, surer={"planner": 0.4}, tool_errors=lambda t: (t["arch"] == "planner") * 1)
    found = at.compare(table, metrics=("success", "latency", "cost", "errors"), baseline="plain", margin={"cost": 0.2})
    harness.page.emulate_media(color_scheme=scheme)
    open_file(harness, found.to_html(tmp_path / "comparison.html"))
    words = {"better", "worse", "same"}
    assert words == {kind for kind in words if harness.page.locator(f"td.agtr-{kind}").count()}
    assert harness.axe("body") == []


def test_what_is_printed_is_whole(harness: Harness, tmp_path: Path) -> None:
    run, (trace,) = planner_executor()
    start_ns = trace.spans[-1].start_ns
    for i in range(100):
        ids = {"trace_id": trace.trace_id, "span_id": f"{i + 2**60:016x}", "parent_id": trace.spans[0].span_id}
        call = Span(
            **ids, kind=SpanKind.LLM, name="gpt-4o", agent="Executor", start_ns=start_ns + i, end_ns=start_ns + i
        )
        trace.spans.append(replace(call, content_out=f"reply {i}"))
    open_file(harness, write_page(tmp_path / "run.html", run, [trace]))
    rows = harness.page.locator(".agtr-rows [role=row]")
    expect(rows.first).to_be_visible()
    assert rows.count() < 100, "on screen only what is in sight is drawn"
    harness.page.emulate_media(media="print")
    expect(rows.filter(has_text="reply")).to_have_count(100)
    in_full = "(e) => e.scrollHeight <= e.clientHeight + 1"
    assert harness.page.locator(".agtr-tree").evaluate(in_full)
    harness.page.emulate_media(media="screen")
    harness.page.get_by_role("tab", name="Messages").click()
    harness.page.emulate_media(media="print")
    expect(harness.page.locator(".agtr-messages article").filter(has_text="reply")).to_have_count(100)
    assert harness.page.locator(".agtr-messages").evaluate(in_full)


def test_on_a_page_that_reads_from_the_right_the_view_stays_in_order(harness: Harness, tmp_path: Path) -> None:
    open_file(harness, write_page(tmp_path / "run.html", *planner_executor()))
    harness.page.evaluate("document.documentElement.dir = 'rtl'")
    name = harness.page.locator(".agtr-row .agtr-name").first.bounding_box()
    bars = harness.page.locator(".agtr-bars").bounding_box()
    assert name["x"] + name["width"] <= bars["x"], "the bars stand beside the names"


def test_without_scripts_a_page_shows_its_static_twin(browser: Browser, tmp_path: Path) -> None:
    with Harness.opened(browser, java_script_enabled=False) as harness:
        harness.page.goto(write_page(tmp_path / "run.html", *planner_executor()).as_uri())
        expect(harness.page.locator(".agtr-static table")).to_be_visible()
        expect(harness.page.locator(".agtr-static")).to_contain_text("book_flight")


@pytest.mark.parametrize("trusted", [True, False], ids=["with its styles", "styles taken out"])
def test_hostile_text_in_the_static_twin_does_not_run_or_stick_out(harness: Harness, *, trusted: bool) -> None:
    run, (trace,) = hostile_run()
    html = static_twin(run, Rows(trace.spans)).replace("<details>", "<details open>")
    if not trusted:
        before, _, after = html.partition("<style>")
        html = before + after.partition("</style>")[2]
    harness.page.set_content(f"<!doctype html><body>{html}</body>")
    harness.settle()
    assert harness.page.evaluate("() => window.agtrHacked") is None
    assert harness.page.locator(":is(script, img, iframe, svg, a, math, form)").count() == 0
    positions = harness.page.evaluate(
        "() => [...new Set([...document.querySelectorAll('*')].map((e) => getComputedStyle(e).position))]"
    )
    assert positions == ["static"], "nothing leaves its place"
