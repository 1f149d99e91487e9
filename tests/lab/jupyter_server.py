"""A real JupyterLab or Notebook 7 in a real browser: start it, open a notebook, run its cells, look at its outputs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext, Page

TOKEN = "token-of-the-test-server"
START_S = 60
STOP_S = 10
CELL_MS = 60_000
QUIET_SETTINGS = {"notification": {"fetchNews": "false", "checkForUpdates": False}}


def notebook(*cells: str) -> dict[str, Any]:
    """A notebook with these code cells."""
    made = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for i, source in enumerate(cells)
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}


@dataclass
class Server:
    """A running Jupyter server; ``app`` is ``lab`` or ``notebook``."""

    url: str
    root: Path
    app: str

    def api(self, path: str, method: str = "GET") -> Any:
        """Call the server's REST API."""
        request = urllib.request.Request(f"{self.url}/api/{path}?token={TOKEN}", method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def end_kernels(self, notebook_name: str | None = None) -> None:
        """End the kernel of a notebook, as a restart of the machine would; without a name those of all."""
        for session in self.api("sessions"):
            if notebook_name in (None, session["path"]):
                self.api(f"kernels/{session['kernel']['id']}", "DELETE")

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Put a notebook into the server's folder."""
        (self.root / name).write_text(json.dumps(content), "utf-8")

    def saved(self, name: str) -> dict[str, Any]:
        """Read a notebook as it was saved."""
        return json.loads((self.root / name).read_text("utf-8"))

    def page(self, name: str) -> str:
        """Address of a notebook."""
        if self.app != "lab":
            return f"{self.url}/notebooks/{name}?token={TOKEN}"
        # A workspace of its own: in a shared one, a page that is loaded again shows what another has open, too.
        workspace = name.removesuffix(".ipynb").replace("/", "-")
        return f"{self.url}/lab/workspaces/{workspace}/tree/{name}?token={TOKEN}&reset"


@contextmanager
def jupyter(folder: Path, app: str = "lab", settings: dict[str, dict[str, Any]] | None = None) -> Iterator[Server]:
    """Start a server of its own: own settings, workspaces and kernels' state, nothing of the user's."""
    root = folder / "notebooks"
    root.mkdir(parents=True)
    for package, plugins in (settings or {}).items():
        for plugin, values in plugins.items():
            _set(folder, package, plugin, values)
    for plugin, values in QUIET_SETTINGS.items():
        _set(folder, "@jupyterlab/apputils-extension", plugin, values)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "AGENTTRACE_STATE_DIR": "state",
    }  # fmt: skip
    command = [
        sys.executable, "-m", f"jupyter{app}" if app == "lab" else app, "--no-browser", "--allow-root",
        "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={root}", "--LabApp.news_url=None", "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = folder / "server.log"
    # Kernels find the runs that tests play.
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    env |= {name: str(folder / part) for name, part in places.items()}
    with log.open("wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as process:
        server = Server(f"http://127.0.0.1:{port}", root, app)
        try:
            _wait_until_up(server, process, log)
            yield server
        finally:
            _end(server, process)


def _set(folder: Path, package: str, plugin: str, values: dict[str, Any]) -> None:
    file = folder / "settings" / package / f"{plugin}.jupyterlab-settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values), "utf-8")


def _end(server: Server, process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        server.end_kernels()
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:  # it waits for a kernel that has gone already
        process.kill()


def _wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            server.api("")
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    msg = f"Jupyter did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}"
    raise RuntimeError(msg)


class NotebookPage:
    """A notebook open in a browser."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page = page
        self.server = server
        self.name = name
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, *, kernel: bool = True) -> None:
        """Load the notebook; with ``kernel`` wait until one is connected."""
        self.page.goto(self.server.page(self.name))
        self._wait(kernel=kernel)

    def reload(self, *, kernel: bool = True) -> None:
        """Load the page again; the kernel lives on. One that runs a cell says that it is there when the cell ends."""
        self.page.reload()
        self._wait(kernel=kernel)

    def run(self, cell: int, *, wait: bool = True) -> None:
        """Run a cell as the user would; wait until it has ended, or only until it was asked for."""
        self.page.evaluate(
            """async ([index, wait]) => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              notebook.activeCellIndex = index; notebook.deselectAll();
              const done = window.jupyterapp.commands.execute("notebook:run-cell");
              if (wait) await done; }""",
            [cell, wait],
        )

    def command(self, name: str, args: dict[str, Any] | None = None) -> None:
        """Execute one of the application's commands, such as ``docmanager:save``."""
        self.page.evaluate(
            "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args) }", [name, args or {}]
        )

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def busy(self) -> bool:
        """Whether a cell is running."""
        return bool(
            self.page.evaluate(
                """() => [...document.querySelectorAll(".jp-InputPrompt")].some((p) => p.textContent.includes("*"))"""
            )
        )

    def outputs(self) -> list[tuple[str, bool]]:
        """Text of each output of the notebook, and whether it is to be seen."""
        return [
            (text, seen)
            for text, seen in self.page.evaluate(
                """() => Array.from(document.querySelectorAll(".jp-OutputArea-child"))
                     .map(o => [o.innerText, getComputedStyle(o).display !== "none" && o.offsetHeight > 0])"""
            )
        ]

    def _wait(self, *, kernel: bool) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=CELL_MS)
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=CELL_MS)
        if kernel:
            self.wait_until_connected()

    def wait_until_connected(self) -> None:
        """Wait until a kernel answers."""
        # The toolbar says "idle" before there is a kernel, and a cell that is run then is lost without a trace.
        self.page.evaluate(
            """async () => { const context = window.jupyterapp.shell.currentWidget.sessionContext;
                 await context.ready; await context.session.kernel.info; }"""
        )


@contextmanager
def chromium_browser(program: Path, arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """Start the system's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *arguments])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, server: Server, name: str, *, kernel: bool = True, **options: Any
) -> Iterator[NotebookPage]:
    """Open a notebook in a browser profile of its own."""
    context: BrowserContext = browser.new_context(viewport={"width": 1300, "height": 900}, **options)
    try:
        page = NotebookPage(context.new_page(), server, name)
        page.open(kernel=kernel)
        yield page
    finally:
        context.close()
