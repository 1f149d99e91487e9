"""A real JupyterLab in headless Chromium, in which a cell is run and the time until its rows are painted is taken."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import ROOT

sys.path.append(str(ROOT / "tests"))
from lab.jupyter_server import chromium_browser, jupyter, notebook, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.jupyter_server import NotebookPage
    from playwright.sync_api import Browser

LIMIT_MS = 90_000

# From the command to run the cell until the frame in which its rows stand is handed over; -1 where that takes too long.
TIMED = """async ([code, selector, limit]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content, run = window.jupyterapp.commands;
  notebook.activeCellIndex = 1; notebook.deselectAll();
  await run.execute("notebook:clear-cell-output");
  notebook.widgets[1].model.sharedModel.setSource(code);
  const cell = notebook.widgets[1].node;
  const frame = () => new Promise(requestAnimationFrame);
  const painted = async () => { await frame(); await new Promise((done) => {
    const { port1, port2 } = new MessageChannel(); port1.onmessage = done; port2.postMessage(0); }); };
  await frame();
  const began = performance.now();
  let ended = -1;
  run.execute("notebook:run-cell").then(() => { ended = performance.now() - began; });
  while (!(typeof selector === "string" && cell.querySelector(selector)?.offsetHeight)) {
    if (performance.now() - began > limit) return { rows: -1, ended, nodes: -1 };
    await frame();
  }
  await painted();
  const rows = performance.now() - began;
  while (ended < 0 && performance.now() - began < limit) await frame();
  return { rows, ended, nodes: cell.querySelectorAll(".agtr-live *, .traceview *").length };
}"""


class Lab:
    """A notebook of two cells: one that prepares, one that is timed."""

    def __init__(self, page: NotebookPage) -> None:
        self._page = page

    def run(self, code: str) -> str:
        """Run code and return what it printed."""
        self._page.page.evaluate(
            "(code) => window.jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource(code)", code
        )
        self._page.run(0)
        said = self._page.page.locator(".jp-Cell").nth(0).locator(".jp-OutputArea").inner_text()
        if "Traceback" in said:
            raise RuntimeError(said)
        return said

    def value(self, code: str) -> Any:
        """Run code that prints JSON on one line, whatever else is said; return that."""
        said = self.run(code)
        for line in reversed(said.splitlines()):
            with contextlib.suppress(ValueError):
                return json.loads(line)
        raise RuntimeError(f"no result: {said}")

    def timed(self, code: str, selector: str, limit_ms: int = LIMIT_MS) -> dict[str, float]:
        """Run code; return ms until an element of this kind is painted, until the cell ended, and the cell's nodes."""
        return dict(self._page.page.evaluate(TIMED, [code, selector, limit_ms]))

    def until_text(self, code: str, address: str, text: str) -> float:
        """Run code that shows a frame of this address; return ms until a text is seen in it, -1 where it never is."""
        began = time.perf_counter()
        self.page.evaluate(
            """(code) => { const notebook = window.jupyterapp.shell.currentWidget.content;
                 notebook.widgets[1].model.sharedModel.setSource(code); notebook.activeCellIndex = 1;
                 window.jupyterapp.commands.execute("notebook:run-cell"); }""",
            code,
        )
        while (left := LIMIT_MS - 1000 * (time.perf_counter() - began)) > 0:
            for frame in self.page.frames:
                if address in frame.url:
                    with contextlib.suppress(Exception):
                        frame.get_by_text(text, exact=True).first.wait_for(timeout=left, state="visible")
                        return 1000 * (time.perf_counter() - began)
            self.page.wait_for_timeout(5)
        return -1

    @property
    def page(self) -> Any:
        """The browser's page."""
        return self._page.page


@contextlib.contextmanager
def lab_in_chromium(folder: Path, chromium: Path, setup: str) -> Iterator[tuple[Lab, Browser]]:
    """Start JupyterLab and a browser, open a notebook and run its first cell."""
    with jupyter(folder, "lab") as server, chromium_browser(chromium) as browser:
        server.write("bench.ipynb", notebook(setup, ""))
        with opened(browser, server, "bench.ipynb") as page:
            lab = Lab(page)
            lab.run(setup)
            yield lab, browser
