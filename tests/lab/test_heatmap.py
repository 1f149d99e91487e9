"""The heatmap in a real browser: cells lead to the runs behind them; without a kernel its table is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from analysis.span_tables import traces
from lab.harness import AXE, Harness
from lab.jupyter_server import Server, notebook, opened
from lab.test_run_list import MANAGER, cell
from playwright.sync_api import expect
from views.sample_heatmaps import desk, hostile_heatmap

import agenttrace_nb as at
from agenttrace_nb.views import comparison_grid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from agenttrace_nb.views.heatmap import Heatmap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


def start(harness: Harness, found: Heatmap, **options: object) -> None:
    harness.start(json.dumps(found._grid()).encode(), widget="heatmap", **options)
    expect(harness.page.locator("#a .agtr-heatmap table")).to_be_visible()


def heat(harness: Harness) -> Locator:
    return harness.page.locator("#a .agtr-heat")


def wait_for(harness: Harness, kind: str, row: int) -> None:
    """Wait until this is the last thing that was sent: that is an effect, after what is seen has changed."""
    is_last = "(sent) => JSON.stringify(harness.model.sent.at(-1)) === JSON.stringify(sent)"
    harness.page.wait_for_function(is_last, arg={"kind": kind, "row": row})


def test_a_cell_shows_the_runs_behind_it_with_the_mouse_and_with_keys(harness: Harness) -> None:
    start(harness, desk())
    page = harness.page
    page.evaluate(MANAGER)
    assert page.locator("#a .agtr-heatmap :is(a, button, [tabindex]):not([tabindex='-1'])").count() == 1
    heat(harness).nth(2).click()
    wait_for(harness, "open", 2)
    assert len(harness.sent()) == 1
    page.evaluate("() => harness.model.hear('msg:custom', { kind: 'opened', row: 2, model: 'runs' }, [])")
    expect(page.locator("#a .agtr-place")).to_have_text("view of runs")
    expect(heat(harness).nth(2)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(heat(harness).nth(2)).to_be_focused()
    wait_for(harness, "close", 2)
    page.keyboard.press("ArrowLeft")
    expect(heat(harness).nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(heat(harness).nth(1)).to_have_attribute("aria-pressed", "true")
    wait_for(harness, "open", 1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(harness: Harness, *, dark: bool) -> None:
    harness.page.set_viewport_size({"width": 500, "height": 760})
    start(harness, desk(), dark=dark)
    heat(harness).first.click()
    assert AXE.exists()
    assert harness.axe() == []
    wide = harness.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_cases_won_and_lost_are_told_apart_and_axe_finds_nothing(harness: Harness, *, dark: bool) -> None:
    grid = comparison_grid.grid(at.compare(traces(), metrics=["latency", "success"]).findings)
    harness.start(json.dumps(grid).encode(), widget="heatmap", dark=dark)
    page = harness.page
    expect(page.locator("#a .agtr-heat-good").first).to_be_visible()
    expect(page.locator("#a .agtr-heat:not(.agtr-heat-good)").first).to_be_visible()
    assert harness.axe() == []


def test_hostile_categories_do_not_run(harness: Harness) -> None:
    start(harness, hostile_heatmap())
    assert harness.page.evaluate("() => window.agtrHacked") is None
    assert harness.page.locator("#a :is(script, img, iframe, a, math, form)").count() == 0


def test_in_jupyterlab_a_click_leads_to_the_runs_and_to_one_of_them(browser: Browser, lab: Server) -> None:
    lab.write("heatmap.ipynb", notebook("from views.sample_heatmaps import desk", "desk()"))
    with opened(browser, lab, "heatmap.ipynb") as page:
        page.run(0)
        page.run(1)
        shown = cell(page, 1)
        expect(shown.locator(".agtr-heatmap table")).to_be_visible(timeout=20_000)
        assert not shown.locator(".agtr-static").is_visible()
        first = shown.locator(".agtr-heat").first
        runs = first.inner_text().split()[0]
        first.click()
        expect(shown.locator(".agtr-list-head b")).to_have_text(f"{runs} runs", timeout=20_000)
        shown.locator(".agtr-run-rows [role=row]").first.click()
        expect(shown.locator("[role=treegrid]")).to_be_visible(timeout=20_000)
        page.save()
        assert page.errors == []
    lab.write("heatmap_again.ipynb", lab.saved("heatmap.ipynb"))
    with opened(browser, lab, "heatmap_again.ipynb", kernel=False) as page:
        static = cell(page, 1).locator(".agtr-static")
        expect(static.locator("tbody tr")).to_have_count(3, timeout=20_000)
        static.locator("summary").first.click()
        expect(static.locator("details details").first).to_be_visible()
