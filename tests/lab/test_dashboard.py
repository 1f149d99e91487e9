"""The dashboard in a real browser: on a page with a model that stands in for the kernel, and in JupyterLab."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lab.harness import Harness
from lab.jupyter_server import NotebookPage, Server, notebook, opened
from playwright.sync_api import expect
from views.sample_dashboards import NOW_MS, FixedFeed, feed, hostile, hours, run

from agenttrace_nb.analysis.monitor import Standing
from agenttrace_nb.analysis.monitor_board import CALL_LIMIT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

# What the host does when one widget shows another.
MANAGER = """() => { harness.model.widget_manager = {
  get_model: async (id) => id,
  create_view: async (id) => ({ el: Object.assign(document.createElement("p"), { textContent: `view of ${id}` }),
    remove() { this.el.remove(); } }) }; }"""


def start(harness: Harness, of: FixedFeed, **options: object) -> None:
    harness.start(of.snapshot(), widget="dashboard", **options)
    expect(harness.page.locator("#a .agtr-tile").first).to_be_visible()


def send(harness: Harness, of: FixedFeed) -> None:
    frame = of.patch()
    assert frame is not None
    harness.patch(frame)
    harness.settle()


def tiles(harness: Harness, view: str = "a") -> dict[str, str]:
    """Label and figure of each tile."""
    found = harness.page.locator(f"#{view} .agtr-tile").evaluate_all(
        """(tiles) => tiles.map((tile) => [tile.querySelector(".agtr-tile-label").textContent,
             tile.querySelector("strong").firstChild.textContent])"""
    )
    return dict(found)


def test_tiles_move_with_every_frame_and_an_alert_says_since_when(harness: Harness) -> None:
    of = feed([run(at, NOW_MS - 60_000 + at) for at in range(9)], rules=())
    start(harness, of)
    assert tiles(harness)["Runs"] == "9"
    assert tiles(harness)["Success rate"].startswith("100")
    of.take([run(9, NOW_MS - 5000, took_s=None)])
    send(harness, of)
    runs = harness.page.locator("#a .agtr-tile").first
    expect(runs).to_contain_text("1 in flight")
    of.take([run(9, NOW_MS - 5000, took_s=4.0, standing=Standing.ERROR, why="TimeoutError: no answer", arch="triage")])
    of.alerts = [
        {"rule": "errors > 0 in 1h", "state": "firing", "says": "now 1 of 10 runs", "since": NOW_MS - 1000, "fired": 1}
    ]
    send(harness, of)
    assert (tiles(harness)["Runs"], tiles(harness)["Errors"], tiles(harness)["Success rate"]) == (
        "10",
        "1",
        "90\u202f%",
    )
    expect(runs).not_to_contain_text("in flight")
    expect(harness.page.locator("#a .agtr-firing")).to_contain_text("errors > 0 in 1h")
    expect(harness.page.locator("#a .agtr-firing")).to_contain_text("since")
    expect(harness.page.locator("#a [role=alert]")).to_have_text("Alert: errors > 0 in 1h.")
    expect(harness.page.locator("#a .agtr-last li")).to_contain_text("TimeoutError: no answer")


def test_after_a_reload_in_the_middle_and_in_a_second_view_the_figures_are_the_same(browser: Browser) -> None:
    of = feed(hours(count=200), rules=())
    seen = []
    with Harness.opened(browser) as harness:
        start(harness, of)
        of.take([run(500, NOW_MS - 1000)])
        send(harness, of)
        harness.page.evaluate("() => harness.show('b')")
        harness.settle()
        assert tiles(harness, "b") == tiles(harness)
        harness.page.locator("#b").get_by_role("button", name="all runs").click()
        assert tiles(harness, "b")["Runs"] != tiles(harness)["Runs"], "each view has its own window"
        of.take([run(501, NOW_MS - 500)])
        # The page is loaded again before the next frame is sent: state first, then a frame with what it holds already.
        with Harness.opened(browser) as again:
            start(again, of)
            frame = of.patch()
            assert frame is not None
            for page in (harness, again):
                page.patch(frame)
                page.settle()
                seen.append(tiles(page))
                assert page.complaints == []
            assert {"kind": "resync"} not in again.sent()
    assert seen[0] == seen[1]


def test_a_frame_that_was_missed_is_asked_for_again(harness: Harness) -> None:
    of = feed(rules=())
    start(harness, of)
    of.take([run(900, NOW_MS)])
    of.patch()
    of.take([run(901, NOW_MS)])
    send(harness, of)
    harness.page.wait_for_function("() => harness.model.sent.some((message) => message.kind === 'resync')")
    assert harness.sent().count({"kind": "resync"}) == 1
    harness.patch(of.snapshot())
    harness.settle()
    assert tiles(harness)["Runs"] == "351"


def test_a_stretch_that_is_drawn_or_chosen_by_keys_is_what_all_figures_are_of(harness: Harness) -> None:
    start(harness, feed(rules=()))
    page = harness.page
    whole = tiles(harness)
    plot = page.locator("#a .agtr-plot").first
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
    page.mouse.up()
    drawn = tiles(harness)
    assert 40 < int(drawn["Runs"]) < 110 < int(whole["Runs"])
    page.locator("#a .agtr-brushed").click()
    assert tiles(harness) == whole
    plot.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#a .agtr-dash-legend").first).to_contain_text("p50")
    page.keyboard.press("Enter")
    assert int(tiles(harness)["Runs"]) < 25
    plot.focus()
    page.keyboard.press("Escape")
    assert tiles(harness) == whole


def test_what_needs_attention_stands_first_and_leads_to_its_runs(harness: Harness) -> None:
    start(harness, feed(rules=()))
    page = harness.page
    page.evaluate(MANAGER)
    page.get_by_role("tab", name="Agents").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Architectures")).to_be_focused()
    names = page.locator("#a .agtr-dash-name").all_inner_texts()
    assert set(names[:2]) == {"planner-executor", "triage"}
    notes = page.locator("#a .agtr-attention").all_inner_texts()
    assert len(notes) == 2
    assert any("more errors:" in note for note in notes)
    assert any("slower:" in note for note in notes)
    page.locator("#a .agtr-dash-name", has_text="triage").click()
    expect(page.locator("#a .agtr-last h3")).to_have_text("Last runs with triage")
    page.locator("#a .agtr-open").first.click()
    page.wait_for_function("() => harness.model.sent.some((message) => message.kind === 'open')")
    asked = [message for message in harness.sent() if message["kind"] == "open"]
    assert len(asked) == 1
    assert len(asked[0]["row"]) == 32
    answer = {"kind": "opened", "row": asked[0]["row"], "model": "m"}
    page.evaluate("(answer) => harness.model.hear('msg:custom', answer, [])", answer)
    expect(page.locator("#a .agtr-place")).to_have_text("view of m")
    page.get_by_role("button", name="next").click()
    page.wait_for_function("() => harness.model.sent.filter((message) => message.kind === 'open').length === 2")
    page.keyboard.press("Escape")
    expect(page.locator("#a .agtr-open").nth(1)).to_be_focused()


@pytest.mark.parametrize(("dark", "width"), [(False, 1180), (True, 380)], ids=["light", "dark and narrow"])
def test_axe_finds_nothing_and_nothing_sticks_out(harness: Harness, width: int, *, dark: bool) -> None:
    harness.page.set_viewport_size({"width": width + 24, "height": 900})
    start(harness, feed(), dark=dark)
    assert harness.axe() == []
    sticking = harness.page.locator("#a *").evaluate_all(
        """(all) => { const edge = document.querySelector("#a").getBoundingClientRect().right + 1;
             return all.filter((e) => e.getBoundingClientRect().right > edge).map((e) => e.className); }"""
    )
    assert sticking == []
    harness.page.locator("#a .agtr-plot").first.focus()
    harness.page.keyboard.press("ArrowLeft")
    harness.page.locator("#a .agtr-dash-name").first.click()
    assert harness.axe() == []


def test_hostile_texts_do_not_run_or_break_the_page(harness: Harness) -> None:
    start(harness, feed(hostile(), rules=()))
    for tab in ("Tools", "Models", "Architectures", "Agents"):
        harness.page.get_by_role("tab", name=tab).click()
        harness.page.locator("#a .agtr-more").click()
        harness.page.locator("#a .agtr-dash-name").first.click()
    assert harness.page.evaluate("() => window.agtrHacked") is None
    assert harness.page.locator("#a :is(script, img, iframe, a, math, form, details)").count() == 0
    assert harness.page.locator("#a").evaluate("(e) => e.scrollWidth <= e.clientWidth + 1")


def test_as_many_runs_as_are_kept_are_worked_out_without_freezing(harness: Harness) -> None:
    runs = [replace(r, calls=r.calls * 8) for r in hours(count=2500) if r.took_s is not None]
    of = feed(runs, rules=())
    assert CALL_LIMIT / 2 < of.board.calls.n <= CALL_LIMIT
    start(harness, of)
    took = harness.page.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          const found = [];
          for (const name of ["Tools", "Models", "Architectures", "Agents"]) {
            const began = performance.now();
            [...document.querySelectorAll("#a [role=tab]")].find((tab) => tab.textContent === name).click();
            await frame();
            found.push(performance.now() - began);
          }
          return found; }"""
    )
    # Some 40 ms each on an idle machine.
    assert max(took) < 4_000, took


# -------------------------------------------------------------------------------------------------------- in notebooks

IMPORT = """
%config AgentTrace.mlflow = False
import time, uuid
import agenttrace_nb as at
from agenttrace_nb.journal.append import process_journal
from agenttrace_nb.journal.events import EventKind

def play(count, pause=0.0, status="ok"):
    journal = process_journal()
    for _ in range(count):
        ids = {"run_key": uuid.uuid4().hex, "trace_id": uuid.uuid4().hex}
        journal.append(EventKind.RUN_START, run_key=ids["run_key"], body={"name": "run", "arch": "desk"})
        journal.append(EventKind.TRACE_START, **ids, body={"name": "Support"})
        span = {**ids, "span_id": uuid.uuid4().hex[:16]}
        journal.append(EventKind.SPAN_START, **span, body={"kind": "agent", "name": "Desk", "agent": "Desk"})
        time.sleep(pause)
        error = {"error": {"type": "TimeoutError", "message": "the warehouse"}} if status == "error" else {}
        journal.append(EventKind.SPAN_END, **span, body={"status": status, **error})
        journal.append(EventKind.TRACE_END, **ids, body={"status": status})
        journal.append(EventKind.RUN_END, run_key=ids["run_key"], body={"status": status})
"""
SHOW = 'dash = at.dashboard(alerts=["errors > 0 in 1h"])\nfired = []\ndash.on_alert(fired.append)\ndash'


def test_in_jupyterlab_it_moves_while_a_cell_runs_survives_a_reload_and_leaves_its_twin(
    browser: Browser, lab: Server
) -> None:
    more = "import asyncio, pathlib\nn = 0\nwhile not pathlib.Path('enough').exists():\n    play(1)\n    n += 1\n"
    more += "    await asyncio.sleep(0.4)\npathlib.Path('played').write_text(str(n))"
    last = "play(3, status='error')\nfor _ in range(300):\n    if not fired:\n        time.sleep(0.1)\n"
    last += "print([a.rule.text for a in fired]); dash.close()"
    lab.write("dashboard.ipynb", notebook("%load_ext agenttrace_nb\n" + IMPORT, SHOW, "play(10, 0.4)", more, last))
    with opened(browser, lab, "dashboard.ipynb") as page:
        page.run(0)
        page.run(1)
        shown = cell(page, 1)
        expect(shown.locator(".agtr-tile").first).to_be_visible(timeout=20_000)
        assert not shown.locator(".agtr-static").is_visible()
        page.save()
        page.run(2, wait=False)
        seen = counted(shown, 3)
        assert page.busy(), "it moves while a cell runs that never awaits"
        page.run(3, wait=False)
        page.reload(kernel=False)
        expect(cell(page, 1).locator(".agtr-tile").first).to_be_visible(timeout=60_000)
        seen += counted(cell(page, 1), 2)
        assert seen == sorted(seen)
        (lab.root / "enough").touch()
        told, until = lab.root / "played", time.monotonic() + 60
        while not (told.exists() and told.read_text()):
            assert time.monotonic() < until
            time.sleep(0.1)
        played = int(told.read_text())
        expect(cell(page, 1).locator(".agtr-tile strong").first).to_have_text(f"{10 + played}", timeout=60_000)
        page.wait_until_connected()
        page.run(4)
        assert "['errors > 0 in 1h']" in cell(page, 4).inner_text()
        expect(cell(page, 1).locator(".agtr-firing")).to_be_visible(timeout=20_000)
        cell(page, 1).locator(".agtr-open").first.click()
        expect(cell(page, 1).locator("[role=treegrid]")).to_contain_text("Desk", timeout=30_000)
        page.page.keyboard.press("Escape")
        expect(cell(page, 1).locator(".agtr-tile").first).to_be_visible()
        assert page.errors == []
        page.save()
    lab.end_kernels("dashboard.ipynb")
    saved = lab.saved("dashboard.ipynb")
    assert len(json.dumps(saved)) < 60_000
    assert "Success rate" in "".join(saved["cells"][1]["outputs"][0]["data"]["text/plain"])
    with opened(browser, lab, "dashboard.ipynb", kernel=False) as page:
        expect(cell(page, 1).locator(".agtr-static")).to_be_visible(timeout=20_000)
        cell(page, 4).scroll_into_view_if_needed()
        expect(cell(page, 4)).to_contain_text("['errors > 0 in 1h']", timeout=20_000)
        texts = [text for text, seen_ in page.outputs() if seen_]
        assert sum("All runs" in text for text in texts) == 1, "the twin once"
        assert not any("model" in text.lower() and "not found" in text.lower() for text in texts), "no missing widget"


def cell(page: NotebookPage, at: int) -> Locator:
    return page.page.locator(".jp-Notebook .jp-Cell").nth(at)


def counted(shown: Locator, different: int) -> list[int]:
    """Numbers of runs that are shown one after the other, until so many different ones were seen."""
    seen: list[int] = []
    until = time.monotonic() + 60
    while len(set(seen)) < different:
        assert time.monotonic() < until, seen
        seen.append(int(shown.locator(".agtr-tile strong").first.inner_text()))
        time.sleep(0.1)
    return seen
