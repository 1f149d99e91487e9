"""The built widget on an empty page, with a model that stands in for the kernel: fast, and every message is in hand."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.views.bundles import bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"

# Answered by the test itself.
STATE_ADDRESS = "http://harness.invalid/state"

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>harness</title>
<style>body {{ margin: 12px; background: {background}; }}</style><style>{css}</style></head>
<body data-jp-theme-light="{light}">
<main><div id="a" style="width: {width}"></div><div id="b"></div></main></body></html>"""

BOOT = """async (source) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = (text) => new DataView(bytes(text).buffer);
  const listeners = {};
  const model = {
    sent: [], snapshot: undefined,
    get(name) { return name === "_snapshot" ? this.snapshot : undefined; },
    on(event, callback) { (listeners[event] ??= []).push(callback); },
    off(event, callback) { listeners[event] = (listeners[event] ?? []).filter((c) => c !== callback); },
    send(message) { this.sent.push(message); },
    hear(event, ...args) { for (const callback of listeners[event] ?? []) callback(...args); },
    listening() { return Object.values(listeners).flat().length; },
  };
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const widget = (await import(url)).default();
  window.harness = {
    model, widget, bytes, view, cleanups: {},
    show(id) { this.cleanups[id] = widget.render({ model, el: document.getElementById(id) }); },
    async start(address) {
      if (address) model.snapshot = new DataView(await (await fetch(address)).arrayBuffer());
      this.end = widget.initialize({ model });
      this.show("a");
    },
    hear(message, data) { model.hear("msg:custom", message, [view(data)]); },
    panels(text) {
      const { buffer } = new TextEncoder().encode(text);
      model.hear("msg:custom", { kind: "code" }, [new DataView(buffer)]);
    },
  };
}"""


class Harness:
    """A page with the widget. ``complaints`` are errors, dialogs and requests: there must be none."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda m: self.complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        page.on("request", self._note_request)

    @classmethod
    @contextmanager
    def opened(cls, browser: Browser, **options: Any) -> Iterator[Harness]:
        context = browser.new_context(viewport={"width": 1240, "height": 760}, **options)
        try:
            yield cls(context.new_page())
        finally:
            context.close()

    def start(
        self,
        snapshot: bytes | None = None,
        *,
        dark: bool = False,
        width: str = "auto",
        styles: bool = True,
        widget: str = "trace_view",
        panels: bool = True,
    ) -> None:
        """Put a widget on the page; its state is this frame. The panels follow, as the kernel sends them."""
        look = {"light": json.dumps(not dark), "background": "#111" if dark else "#fff"}
        css = bundle(f"{widget}.css") if styles else ""
        self.page.set_content(PAGE.format(css=css, width=width, **look))
        self.page.evaluate(BOOT, bundle(f"{widget}.js"))
        if snapshot is not None:
            # Not through the debugger's protocol, which takes seconds for megabytes.
            answer = {"body": snapshot, "headers": {"access-control-allow-origin": "*"}}
            self.page.route(STATE_ADDRESS, lambda route: route.fulfill(**answer))
        self.page.evaluate("(address) => harness.start(address)", STATE_ADDRESS if snapshot is not None else None)
        if panels and widget == "trace_view":
            self.panels()

    def panels(self) -> None:
        """Send the panels as the kernel would, and wait until they are in place."""
        self.page.evaluate("(text) => harness.panels(text)", bundle("trace_panels.js"))
        self.page.wait_for_function("() => globalThis.agtrPanels")
        self.settle()

    def add_styles(self) -> None:
        """Add the widget's styles, late."""
        self.page.add_style_tag(content=bundle("trace_view.css"))

    def patch(self, frame: bytes) -> None:
        """Send a frame as the kernel would."""
        self.page.evaluate("(data) => harness.hear({ kind: 'patch' }, data)", _text(frame))

    def content(self, row: int, part: int, parts: int, data: bytes) -> None:
        """Send a piece of a row's content as the kernel would."""
        self.hear({"kind": "payload", "row": row, "part": part, "parts": parts}, data)

    def hear(self, message: dict[str, Any], data: bytes) -> None:
        """Send any message with a buffer as the kernel would."""
        self.page.evaluate("([message, data]) => harness.hear(message, data)", [message, _text(data)])

    def sent(self) -> list[dict[str, Any]]:
        """What the widget has sent to the kernel."""
        return self.page.evaluate("() => harness.model.sent")

    @property
    def grid(self) -> Locator:
        return self.page.locator("#a [role=treegrid]")

    @property
    def detail(self) -> Locator:
        return self.page.locator("#a .agtr-detail")

    def row(self, name: str) -> Locator:
        """The first row with this name."""
        return self.page.locator("#a [role=row]", has=self.page.get_by_text(name, exact=True)).first

    def names(self, view: str = "a") -> list[str]:
        """Names of the rows in the document, from top to bottom, indented by level."""
        found = self.page.evaluate(
            """(id) => [...document.querySelectorAll(`#${id} [role=row]`)]
                 .sort((a, b) => a.getAttribute("aria-rowindex") - b.getAttribute("aria-rowindex"))
                 .map((row) => ".".repeat(row.getAttribute("aria-level") - 1)
                    + row.querySelector(".agtr-label").textContent)""",
            view,
        )
        return list(found)

    def chosen(self, view: str = "a") -> str | None:
        """Name of the chosen row."""
        return self.page.evaluate(
            "(id) => document.querySelector(`#${id} [aria-selected=true] .agtr-label`)?.textContent ?? null", view
        )

    def settle(self) -> None:
        """Wait until what was asked for is on screen."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def axe(self, where: str = "#a") -> list[str]:
        """What axe-core finds in the widget, or in another part of the page."""
        self.page.evaluate(AXE.read_text("utf-8"))
        report = self.page.evaluate("async (where) => (await axe.run(where)).violations", where)
        return [f"{v['id']}: {v['help']}: {v['nodes'][0]['html']}" for v in report]

    def bar_colours(self, name: str) -> set[str]:
        """The colours that a row's bar is drawn in, as hex, without those of edges."""
        return set(
            self.page.evaluate(
                """(name) => {
                  const label = [...document.querySelectorAll("#a .agtr-label")].find((l) => l.textContent === name);
                  const row = label.closest("[role=row]");
                  const canvas = document.querySelector("#a .agtr-bars canvas");
                  const box = canvas.getBoundingClientRect(), scale = canvas.height / box.height;
                  const y = row.getBoundingClientRect().top + 13 - box.top;
                  const { data } = canvas.getContext("2d").getImageData(0, Math.round(y * scale), canvas.width, 1);
                  const count = {};
                  for (let i = 0; i < data.length; i += 4) {
                    if (data[i + 3] < 60) continue;
                    const hex = "#" + [0, 1, 2].map((k) => data[i + k].toString(16).padStart(2, "0")).join("");
                    count[hex] = (count[hex] ?? 0) + 1;
                  }
                  return Object.keys(count).filter((hex) => count[hex] > 2);
                }""",
                name,
            )
        )

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith(("data:", "blob:", "about:", STATE_ADDRESS)):
            self.complaints.append(f"request: {request.url}")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
