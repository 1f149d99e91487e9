"""The live view in real notebooks: while a cell runs, after it, saved, reopened and reloaded."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from lab.jupyter_server import NotebookPage, Server, notebook, opened
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

IMPORT = """
from agenttrace_nb.views.live import LiveView, display_trace
from agenttrace_nb.spans import SpanKind
from views.bus_source import Recorded
from views.sample_runs import Build, planner_executor
"""
PLAY = """
recorded = Recorded()
view = LiveView(recorded.live)
view.show()
recorded.play(speed={speed})
view.finish()
"""
SLEEP = """
import asyncio
recorded = Recorded()
view = LiveView(recorded.live)
view.show()
try:
    await asyncio.sleep(60)
finally:
    view.finish()
"""
PAUSE = """
import time
recorded = Recorded()
view = LiveView(recorded.live)
view.show()
recorded.play(until=0.6)
time.sleep(5)
recorded.play()
view.finish()
"""
LARGE = """
b = Build()
b.add(SpanKind.TOOL, "large", 0, 1, content_in="x" * 2_500_000 + "the end")
display_trace(b.close(1))
"""
IDLE = "() => [...document.querySelectorAll('.jp-InputPrompt')].every((p) => !p.textContent.includes('*'))"
# Four calls that repeat one another are one row.
ROWS = 13
NAMES = ["Planner", "travel-only", "gpt-4o-mini", "get_user", "gpt-4o-mini", "handoff", "Executor"]


Open = Callable[..., NotebookPage]


@pytest.fixture
def open_notebook(browser: Browser) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_one(server: Server, name: str, *cells: str, **options: object) -> NotebookPage:
            if cells:
                server.write(name, notebook(IMPORT, *cells))
            page = stack.enter_context(opened(browser, server, name, **options))
            if cells:
                page.run(0)
            return page

        yield open_one


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Server) -> Iterator[NotebookPage]:
    """One notebook for all tests that leave it as it is: opening one takes long."""
    lab.write("shared.ipynb", notebook(IMPORT, PLAY.format(speed=1), LARGE, SLEEP, PAUSE))
    with opened(browser, lab, "shared.ipynb") as shared:
        shared.run(0)
        yield shared
        assert shared.errors == []


def view_of(page: NotebookPage, cell: int = 1) -> Locator:
    return page.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".agtr-live")


def names(view: Locator) -> list[str]:
    return view.locator("[role=row] .agtr-label").all_inner_texts()


def static_of(page: NotebookPage, cell: int = 1) -> Locator:
    return page.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".agtr-static")


def test_the_tree_grows_while_a_cell_that_never_awaits_is_running(page: NotebookPage) -> None:
    page.run(1, wait=False)
    view = view_of(page)
    expect(view).to_be_visible(timeout=20_000)
    seen: list[int] = []
    while page.busy():
        seen.append(view.locator("[role=row]").count())
        time.sleep(0.15)
    assert len(set(seen)) > 3, f"rows were added one after the other: {seen}"
    # Calls that turn out to repeat one another become one row: three less one, at once.
    assert all(after >= before - 2 for before, after in pairwise(seen))
    expect(view.locator("[role=row]")).to_have_count(ROWS)
    assert names(view)[:7] == NAMES
    assert not static_of(page).is_visible()


def test_every_tab_opens_while_a_cell_that_never_awaits_is_running(page: NotebookPage) -> None:
    page.run(4, wait=False)
    view = view_of(page, 4)
    expect(view.locator("[role=row]").first).to_be_visible(timeout=20_000)
    for tab in ("Messages", "Graph", "Latency"):
        view.get_by_role("tab", name=tab).click()
        expect(view.locator(f".agtr-{tab.lower()}")).to_be_visible(timeout=2_000)
    assert page.busy(), "the kernel could not have been asked"
    expect(view.locator(".agtr-latency")).to_contain_text("Is worked out when the run ends")
    page.page.wait_for_function(IDLE)
    expect(view.locator(".agtr-latency")).not_to_contain_text("Is worked out when the run ends")


def test_a_saved_notebook_is_small_and_shows_the_static_twin_alone_when_it_is_opened_without_a_kernel(
    lab: Server, open_notebook: Open
) -> None:
    page = open_notebook(lab, "saved.ipynb", PLAY.format(speed=None))
    page.run(1)
    expect(view_of(page)).to_be_visible()
    page.save()
    page.page.close()
    saved = lab.saved("saved.ipynb")
    assert len(json.dumps(saved)) < 60_000
    twin, widget = saved["cells"][1]["outputs"]
    assert "├─ ✓ llm gpt-4o-mini" in "".join(twin["data"]["text/plain"])
    assert widget["data"]["text/plain"] in ("", [], [""])
    lab.end_kernels("saved.ipynb")
    again = open_notebook(lab, "saved.ipynb", kernel=False)
    expect(static_of(again)).to_be_visible(timeout=20_000)
    expect(static_of(again)).to_contain_text("✕ book_flight tool · TimeoutError")
    shown = [text for text, seen in again.outputs() if seen]
    assert len(shown) == 1, "and nothing beside it, such as a line about a missing widget"
    assert "Error displaying widget" not in shown[0]


def assert_it_comes_back(page: NotebookPage, limit_s: float) -> None:
    """The live view is there before long, and until then the twin stands in its place."""
    rows = view_of(page).locator("[role=row]")
    until = time.monotonic() + limit_s
    while rows.count() != ROWS:
        assert time.monotonic() < until, (rows.count(), view_of(page).count(), page.outputs())
        # Between the looks the view may come.
        shown = view_of(page).count() > 0 or static_of(page).count() == 0 or static_of(page).is_visible()
        assert shown or view_of(page).count() > 0
        time.sleep(0.1)
    assert not static_of(page).is_visible()


def seen_outputs(page: NotebookPage) -> int:
    return len([text for text, seen in page.outputs() if seen])


def test_after_a_reload_of_the_page_the_live_view_is_back(lab: Server, open_notebook: Open) -> None:
    page = open_notebook(lab, "reload.ipynb", PLAY.format(speed=None), PAUSE)
    page.run(1)
    expect(view_of(page)).to_be_visible()
    page.save()
    page.reload()
    # A busy kernel misses the four seconds in which ipywidgets asks it for all widgets at once; ipywidgets then asks
    # for each, and waits. The page may come before its outputs do.
    assert_it_comes_back(page, 40)
    assert seen_outputs(page) == 1
    page.run(2, wait=False)
    expect(view_of(page, 2)).to_be_visible(timeout=20_000)
    page.save()
    assert page.busy()
    page.reload()
    expect(view_of(page, 2).locator("[role=row]")).to_have_count(ROWS, timeout=40_000)
    assert_it_comes_back(page, 20)
    assert seen_outputs(page) == 2


def test_content_of_megabytes_comes_when_it_is_looked_at(page: NotebookPage) -> None:
    page.run(2)
    view = view_of(page, 2)
    view.locator("[role=row]").click()
    expect(view.locator(".agtr-detail")).to_contain_text("more of 2\u202f500\u202f007 characters", timeout=20_000)


def test_keys_in_the_tree_do_not_edit_the_notebook(page: NotebookPage) -> None:
    page.run(1)
    view = view_of(page)
    cells = page.page.locator(".jp-Notebook .jp-Cell").count()
    view.locator("[role=treegrid]").focus()
    for key in ("Home", "ArrowDown", "x", "d", "d", "b", "ArrowDown"):
        page.page.keyboard.press(key)
    assert view.locator("[aria-selected=true] .agtr-label").inner_text() == "gpt-4o-mini"
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_stop_ends_an_awaiting_cell_at_once(page: NotebookPage) -> None:
    page.run(3, wait=False)
    expect(view_of(page, 3)).to_be_visible(timeout=20_000)
    began = time.monotonic()
    page.command("notebook:interrupt-kernel")
    while page.busy():
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"])
def test_the_view_follows_the_theme_of_jupyterlab(page: NotebookPage, theme: str) -> None:
    page.run(2)
    page.command("apputils:change-theme", {"theme": theme})
    try:
        wanted = "dark" if "Dark" in theme else "light"
        expect(view_of(page, 2)).to_have_attribute("data-agtr-theme", wanted, timeout=20_000)
        shade = view_of(page, 2).evaluate("(e) => getComputedStyle(e).backgroundColor")
        channels = [int(value) for value in re.findall(r"\d+", shade)[:3]]
        assert (max(channels) < 60) == (wanted == "dark")
    finally:
        page.command("apputils:change-theme", {"theme": "JupyterLab Light"})


def test_in_notebook_7_the_view_is_live_and_its_twin_is_kept(notebook7: Server, open_notebook: Open) -> None:
    page = open_notebook(notebook7, "seven.ipynb", PLAY.format(speed=None))
    page.run(1)
    expect(view_of(page).locator("[role=row]")).to_have_count(ROWS, timeout=20_000)
    assert not static_of(page).is_visible()
    page.save()
    page.page.close()
    notebook7.end_kernels()
    again = open_notebook(notebook7, "seven.ipynb", kernel=False)
    expect(static_of(again)).to_be_visible(timeout=20_000)
    shown = [text for text, seen in again.outputs() if seen]
    assert len(shown) == 1
    assert "book_flight" in shown[0]


def test_a_notebook_that_is_not_trusted_still_reads_well(lab: Server, open_notebook: Open) -> None:
    page = open_notebook(lab, "mine.ipynb", PLAY.format(speed=None))
    page.run(1)
    expect(view_of(page)).to_be_visible()
    page.save()
    page.page.close()
    lab.end_kernels("mine.ipynb")
    saved = lab.saved("mine.ipynb")
    saved["cells"][1]["outputs"].append({"output_type": "stream", "name": "stdout", "text": ["changed elsewhere\n"]})
    lab.write("foreign.ipynb", saved)
    again = open_notebook(lab, "foreign.ipynb", kernel=False)
    expect(static_of(again)).to_contain_text("✕ book_flight tool · TimeoutError", timeout=20_000)
    assert again.page.locator(".agtr-static style").count() == 0, "styles are taken out: it is not trusted"
    cells = static_of(again).locator("tr", has_text="book_flight").locator("td")
    align = [cells.nth(at).evaluate("(e) => getComputedStyle(e).textAlign") for at in (0, 3)]
    assert align == ["left", "left"], "the tree and the bars need the left edge"
    assert "Error displaying widget" not in " ".join(text for text, seen in again.outputs() if seen)


def test_a_traced_cell_of_the_quickstart_shows_its_agents_live(
    lab: Server, open_notebook: Open, pytestconfig: pytest.Config
) -> None:
    folder = pytestconfig.rootpath / "notebooks"
    cells = json.loads((folder / "01_quickstart.ipynb").read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    traced = next(at for at, source in enumerate(sources) if source.startswith("%%trace_agents"))
    shutil.copytree(folder / "recordings", lab.root / "recordings")
    page = open_notebook(lab, "quickstart.ipynb", *sources[: traced + 1])
    for at in range(1, traced + 1):
        page.run(at)
    page.run(traced + 1, wait=False)
    view = view_of(page, traced + 1)
    expect(view.get_by_text("Triage", exact=True)).to_be_visible(timeout=30_000)
    assert page.busy(), "the first agent is seen while the cell is running"
    expect(view.get_by_text("Policy expert", exact=True)).to_be_visible(timeout=30_000)
    expect(view.locator(".agtr-why")).to_contain_text("LookupError: seat 14A", timeout=30_000)
    expect(view.locator(".agtr-figures")).to_contain_text("3 agents", timeout=30_000)
    assert page.errors == []
