"""Makes the pictures of the README and the docs from real runs in a real JupyterLab, in light and in dark.

The quickstart's call tree, and the dashboard over a morning at the support desk.

.venv/bin/python docs/make_screenshots.py
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from lab.jupyter_server import chromium_browser, jupyter, opened  # noqa: E402 - from the tests, just added
from requirements_met import chromium  # noqa: E402 - as above

if TYPE_CHECKING:
    from lab.jupyter_server import NotebookPage, Server
    from playwright.sync_api import Browser

MONITOR = ROOT / "notebooks" / "06_monitor.ipynb"
QUICKSTART = ROOT / "notebooks" / "01_quickstart.ipynb"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
LIMIT_S = 120


def main() -> None:
    """Run the notebook once for each theme and write the pictures."""
    with tempfile.TemporaryDirectory() as folder, chromium_browser(chromium()) as browser:
        for name, theme in THEMES.items():
            settings = {"@jupyterlab/apputils-extension": {"themes": {"theme": theme}}}
            with jupyter(Path(folder) / name, settings=settings) as server:
                images = ROOT / "docs" / "img"
                shutil.copytree(QUICKSTART.parent / "recordings", server.root / "recordings")
                _picture(server, browser, images / f"trace_view_{name}.png")
                _dashboard(server, browser, images / f"dashboard_{name}.png")


def _picture(server: Server, browser: Browser, target: Path) -> None:
    shutil.copy(QUICKSTART, server.root)
    sources = ["".join(cell["source"]) for cell in json.loads(QUICKSTART.read_text("utf-8"))["cells"]]
    traced = next(at for at, source in enumerate(sources) if source.startswith("%%trace_agents"))
    with opened(browser, server, QUICKSTART.name, device_scale_factor=2) as page:
        page.command("application:toggle-left-area")
        # Twice: the first run in a kernel also loads what the SDK needs.
        for at in (*range(traced + 1), traced):
            page.run(at, wait=False)
        _wait(page)
        cell = page.page.locator(".jp-Notebook .jp-Cell").nth(traced)
        cell.locator(".agtr-row").first.wait_for()
        # Neither a mark of the active cell nor one of the pointer belongs into the picture.
        page.page.locator(".jp-Notebook .jp-Cell").nth(len(sources) - 1).click()
        page.page.mouse.move(0, 0)
        cell.scroll_into_view_if_needed()
        time.sleep(1)
        cell.screenshot(path=target)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


def _dashboard(server: Server, browser: Browser, target: Path) -> None:
    for module in ("support_desk.py", "warehouse_metrics.py"):
        shutil.copy(MONITOR.parent / module, server.root)
    content = json.loads(MONITOR.read_text("utf-8"))
    sources = ["".join(cell["source"]) for cell in content["cells"]]
    # Slower than the notebook, so that there is something to see over time.
    for cell, source in zip(content["cells"], sources, strict=True):
        cell["source"] = source.replace("pace=0.05", "pace=1").replace('window="5m"', 'window="2m"')
    server.write(MONITOR.name, content)
    shown, failing = (next(at for at, s in enumerate(sources) if word in s) for word in ("at.dashboard(", "overloaded"))
    with opened(browser, server, MONITOR.name, device_scale_factor=2) as page:
        page.page.set_viewport_size({"width": 1300, "height": 1200})
        page.command("application:toggle-left-area")
        for at in range(failing + 1):
            page.run(at, wait=False)
        _wait(page)
        cell = page.page.locator(".jp-Notebook .jp-Cell").nth(shown)
        cell.locator(".agtr-firing").wait_for()
        page.page.locator(".jp-Notebook .jp-Cell").nth(len(sources) - 1).click()
        page.page.mouse.move(0, 0)
        cell.scroll_into_view_if_needed()
        # It is read when no cell has run for a moment, and knows the costs.
        cell.locator(".agtr-foot", has_text="ago").wait_for(timeout=LIMIT_S * 1000)
        time.sleep(1)
        cell.locator(".agtr-live").screenshot(path=target)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


def _wait(page: NotebookPage) -> None:
    until = time.monotonic() + LIMIT_S
    time.sleep(1)
    while page.busy():
        if time.monotonic() > until:
            msg = f"the notebook did not end within {LIMIT_S} s"
            raise TimeoutError(msg)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
