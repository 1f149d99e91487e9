"""The list of runs in a real browser: on a page with a model that stands in for the kernel, in its own page, in Lab."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from lab.harness import AXE, Harness
from lab.jupyter_server import NotebookPage, Server, notebook, opened
from playwright.sync_api import expect
from views.sample_lists import hostile, many, small

from agenttrace_nb.views.run_list import RunList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

    from agenttrace_nb.analysis.trace_set import TraceSet

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

IMPORT = "from views.sample_lists import many, small"
# What the host does when one widget shows another.
MANAGER = """() => { harness.model.widget_manager = {
  get_model: async (id) => id,
  create_view: async (id) => ({ el: Object.assign(document.createElement("p"), { textContent: `view of ${id}` }),
    remove() { this.el.remove(); } }) }; }"""
MORE = "more = many(250)\nmore"


def start(harness: Harness, found: TraceSet, **options: object) -> None:
    harness.start(RunList(found).frame(), widget="run_list", **options)
    expect(harness.page.locator("#a [role=grid]")).to_be_visible()


def rows(harness: Harness) -> Locator:
    return harness.page.locator("#a .agtr-run-rows [role=row]")


def column(harness: Harness, name: str) -> list[str]:
    return harness.page.evaluate(
        """(name) => [...document.querySelectorAll("#a .agtr-run-rows [role=row]")]
             .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
             .map((row) => row.querySelector(`.agtr-c-${name}`).innerText.trim().split("\\n")[0])""",
        name,
    )


def test_what_is_not_known_is_a_dash_and_never_zero(harness: Harness) -> None:
    start(harness, small())
    imported = rows(harness).nth(5)
    cells = imported.locator("[role=gridcell]").all_inner_texts()
    assert [cell.split()[0] for cell in cells[3:]] == ["—"] * 10
    assert "0" not in "".join(cells)
    assert column(harness, "errors") == ["0", "1", "1", "0", "0", "—"]


def test_a_head_sorts_by_its_column_and_says_so(harness: Harness) -> None:
    start(harness, small())
    head = harness.page.locator("#a [role=columnheader]", has_text="latency")
    seen = []
    for _ in range(3):
        head.get_by_role("button").click()
        seen.append((head.get_attribute("aria-sort"), column(harness, "latency")[0]))
    assert seen == [("descending", "8.00 s"), ("ascending", "2.00 s"), ("none", "2.00 s")]
    assert column(harness, "latency")[-2:] == ["—", "—"]


def test_the_filter_lists_what_matches_counts_it_and_tells_what_it_does_not_know(harness: Harness) -> None:
    start(harness, many(200))
    field = harness.page.locator("#a .agtr-filter")
    head = harness.page.locator("#a .agtr-list-head b")
    expect(head).to_have_text("200 runs")
    field.fill("arch:triage status:error")
    expect(head).to_have_text(re.compile(r"^\d+ of 200 runs$"))
    assert set(column(harness, "arch")) == {"triage"}
    assert set(column(harness, "status")) == {"✕error"} or all("error" in s for s in column(harness, "status"))
    field.fill("archh:triage")
    expect(harness.page.locator("#a .agtr-list-note")).to_contain_text('no field "archh"')


def test_an_architecture_is_chosen_by_a_click_on_its_figures(harness: Harness) -> None:
    start(harness, many(30))
    group = harness.page.locator("#a .agtr-group", has_text="single agent")
    expect(group).to_contain_text("10 runs")
    group.click()
    assert set(column(harness, "arch")) == {"single agent"}
    harness.page.locator("#a .agtr-group").click()
    assert len(set(column(harness, "arch"))) == 3


def test_everything_can_be_done_with_the_keyboard_from_one_tab_stop(harness: Harness) -> None:
    start(harness, many(30))
    harness.page.evaluate(MANAGER)
    page = harness.page
    grid = page.locator("#a [role=grid]")
    assert page.locator("#a [role=grid] :is(a, button, [tabindex]):not([tabindex='-1'])").count() == 0
    grid.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#a [aria-selected=true]").get_attribute("aria-rowindex") == "2"
    page.keyboard.press("ArrowUp")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#a [aria-sort=descending]").inner_text().startswith("latency")
    assert page.locator(f"#{grid.get_attribute('aria-activedescendant')}").inner_text().startswith("latency")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    chosen = page.locator("#a [aria-selected=true]")
    assert chosen.get_attribute("aria-rowindex") == "31"
    expect(chosen).to_be_in_viewport()
    page.keyboard.press("/")
    page.keyboard.type("case:case-7")
    page.keyboard.press("Enter")
    assert grid.evaluate("(e) => e === document.activeElement")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    harness.page.wait_for_function("() => harness.model.sent.length")
    assert harness.sent() == [{"kind": "open", "row": 6}]
    harness.page.evaluate("() => harness.model.hear('msg:custom', { kind: 'opened', row: 6, model: 'm' }, [])")
    expect(page.locator("#a .agtr-place")).to_have_text("view of m")
    page.keyboard.press("Escape")
    expect(grid).to_be_focused()
    harness.page.wait_for_function("() => harness.model.sent.length === 2")
    assert harness.sent()[-1] == {"kind": "close", "row": 6}


def test_a_front_end_that_cannot_show_a_run_in_place_says_so(harness: Harness) -> None:
    harness.start(RunList(small()).frame(), widget="run_list")
    rows(harness).first.click()
    expect(harness.page.locator("#a .agtr-opened")).to_contain_text("at.show(id)")


@pytest.mark.parametrize("width", [700, 2000])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(harness: Harness, width: int, *, dark: bool) -> None:
    harness.page.set_viewport_size({"width": width + 24, "height": 760})
    start(harness, small(), dark=dark)
    harness.page.locator("#a .agtr-list-help").click()
    harness.page.locator("#a [role=grid]").focus()
    harness.page.keyboard.press("ArrowDown")
    assert AXE.exists()
    assert harness.axe() == []
    wide = harness.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def test_hostile_texts_do_not_run_or_break_the_rows(harness: Harness) -> None:
    start(harness, hostile())
    assert harness.page.evaluate("() => window.agtrHacked") is None
    assert harness.page.locator("#a :is(script, img, iframe, a, math, form)").count() == 0
    heights = rows(harness).evaluate_all("(rows) => [...new Set(rows.map((row) => row.offsetHeight))]")
    assert heights == [28]


def test_ten_thousand_runs_are_sorted_filtered_and_scrolled_without_freezing(harness: Harness) -> None:
    start(harness, many(10_000))
    assert harness.page.locator("#a [role=grid] *").count() < 1_500
    took = harness.page.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          const timed = async (what) => { const began = performance.now(); what(); await frame();
            return performance.now() - began; };
          const input = document.querySelector("#a .agtr-filter"), grid = document.querySelector("#a [role=grid]");
          const type = (text) => { input.value = text; input.dispatchEvent(new Event("input", { bubbles: true })); };
          const head = (name) => [...document.querySelectorAll("#a [role=columnheader] button")]
            .find((b) => b.textContent.startsWith(name)).click();
          const found = [];
          found.push(await timed(() => head("case")), await timed(() => head("latency")));
          found.push(await timed(() => type("arch:tri")), await timed(() => type("case-7 status:error")));
          found.push(await timed(() => type("")), await timed(() => { grid.scrollTop = grid.scrollHeight; }));
          return found; }"""
    )
    # About 30 ms each on an idle machine; one row after the other in the document would take many seconds.
    assert max(took) < 4_000, took


# ---------------------------------------------------------------------------------------------------- in its own page


def test_in_its_page_small_runs_can_be_opened_and_it_asks_for_nothing(harness: Harness, tmp_path: Path) -> None:
    path = small().to_html(tmp_path / "runs.html")
    harness.page.goto(path.as_uri())
    harness.complaints[:] = [c for c in harness.complaints if c != f"request: {path.as_uri()}"]
    harness.page.locator("[role=row]", has_text="two").first.click()
    expect(harness.page.locator("[role=treegrid]")).to_be_visible()
    expect(harness.page.locator(".agtr-place")).to_contain_text("LookupError: seat 14A is taken")
    harness.page.get_by_role("button", name="All runs").click()
    expect(harness.page.locator("[role=grid]")).to_be_visible()
    assert not harness.page.locator(".agtr-static").is_visible(), "the twin is for pages without scripts"


def test_without_scripts_its_page_shows_the_table(browser: Browser, tmp_path: Path) -> None:
    with Harness.opened(browser, java_script_enabled=False) as harness:
        harness.page.goto(small().to_html(tmp_path / "runs.html").as_uri())
        expect(harness.page.locator(".agtr-static tbody tr")).to_have_count(6)


# ------------------------------------------------------------------------------------------------------- in notebooks


@pytest.fixture(scope="module")
def lab_page(browser: Browser, lab: Server) -> Iterator[NotebookPage]:
    lab.write("runs.ipynb", notebook(IMPORT, "small()", MORE))
    with opened(browser, lab, "runs.ipynb") as page:
        page.run(0)
        yield page
        assert page.errors == []


def cell(page: NotebookPage, at: int) -> Locator:
    return page.page.locator(".jp-Notebook .jp-Cell").nth(at)


def test_in_jupyterlab_a_run_opens_in_place_of_the_list_and_escape_comes_back(lab_page: NotebookPage) -> None:
    lab_page.run(1)
    shown = cell(lab_page, 1)
    expect(shown.locator("[role=grid]")).to_be_visible(timeout=20_000)
    assert not shown.locator(".agtr-static").is_visible()
    shown.locator("[role=row]", has_text="two").first.click()
    tree = shown.locator("[role=treegrid]")
    expect(tree).to_be_visible(timeout=20_000)
    expect(shown.locator(".agtr-place")).to_contain_text("LookupError: seat 14A is taken")
    tree.focus()
    lab_page.page.keyboard.press("Escape")
    expect(shown.locator("[role=grid]")).to_be_focused()
    expect(tree).to_have_count(0)


@pytest.fixture(scope="module")
def saved_list(lab: Server, lab_page: NotebookPage) -> dict[str, Any]:
    """A notebook with two lists, as it was saved."""
    lab_page.run(1)
    lab_page.run(2)
    expect(cell(lab_page, 2).locator("[role=grid]")).to_be_visible(timeout=20_000)
    lab_page.save()
    found = lab.saved("runs.ipynb")
    assert len(json.dumps(found)) < 300_000
    return found


def alone(page: NotebookPage) -> None:
    """Each list is one table, and no line tells of a missing widget."""
    expect(cell(page, 2).locator(".agtr-static tbody tr")).to_have_count(200, timeout=20_000)
    expect(cell(page, 2)).to_contain_text("50 more runs were left out here")
    assert "Error displaying widget" not in " ".join(text for text, seen in page.outputs() if seen)


def test_reopened_in_jupyterlab_without_a_kernel_a_list_shows_its_table_alone(
    browser: Browser, lab: Server, saved_list: dict[str, Any]
) -> None:
    lab.write("runs_again.ipynb", saved_list)
    with opened(browser, lab, "runs_again.ipynb", kernel=False) as page:
        alone(page)
        assert len([text for text, seen in page.outputs() if seen]) == 2


def test_reopened_in_notebook_7_a_list_shows_its_table_alone_though_it_is_not_trusted_there(
    browser: Browser, notebook7: Server, saved_list: dict[str, Any]
) -> None:
    notebook7.write("runs.ipynb", saved_list)  # saved by another server: not signed by this one
    with opened(browser, notebook7, "runs.ipynb", kernel=False) as page:
        alone(page)
        assert page.page.locator(".agtr-static style").count() == 0, "styles are taken out: it is not trusted"
        texts = cell(page, 1).locator(".agtr-static tbody tr").first.locator("td")
        assert texts.nth(1).evaluate("(e) => getComputedStyle(e).textAlign") == "left"
