"""The rivals, fetched into a throw-away folder from where their users get them: PyPI and npm."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

TRACE_VIEW = ("wigglystuff==0.5.36", "drawdata")  # it imports the second and needs nothing else of its requirements
SPEEDSCOPE = "speedscope@1.25.0"
FETCH_S = 180
LIMIT_MS = 90_000


def fetch_trace_view(folder: Path) -> Path | None:
    """Put wigglystuff into a folder of its own, beside what is installed; nothing where no registry has it."""
    target = folder / "trace_view"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), *TRACE_VIEW]
    return target if _worked(command, folder) else None


def fetch_speedscope(folder: Path) -> Path | None:
    """Fetch speedscope's release; nothing where no registry has it."""
    command = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder),
        SPEEDSCOPE,
    ]
    release = folder / "node_modules" / "speedscope" / "dist" / "release"
    return release if _worked(command, folder) and release.is_dir() else None


def _worked(command: list[str], folder: Path) -> bool:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_S)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"not measured: {command[-1]} could not be fetched ({type(error).__name__})")
        return False
    return True


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# The name of the profile stands above its chart once that is drawn.
DRAWN = """async (name) => {
  const frame = () => new Promise(requestAnimationFrame);
  while (!(document.body?.innerText.includes(name) && document.querySelector("canvas"))) await frame();
  await frame(); await frame();
  return performance.now();
}"""


def speedscope_ms(browser: Browser, release: Path, profile: dict[str, Any], rounds: int) -> list[float]:
    """Return ms from the request of the page to the drawn chart; the page itself comes from the browser's cache."""
    name = profile["profiles"][0]["name"]
    (release / "benchmark.json").write_text(json.dumps(profile), "utf-8")
    found = []
    with (
        served(release) as address,
        contextlib.closing(browser.new_context(viewport={"width": 1300, "height": 900})) as at,
    ):
        for number in range(rounds + 1):
            page = at.new_page()
            page.set_default_timeout(LIMIT_MS)
            page.goto(f"{address}/index.html#profileURL={address}/benchmark.json", wait_until="commit")
            found.append(float(page.evaluate(DRAWN, name)))
            if number == 0:
                page.screenshot(path=str(release / "seen.png"))
            page.close()
    return found[1:]
