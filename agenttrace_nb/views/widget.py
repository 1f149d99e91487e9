"""The live view: one widget model for each cell run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.search import ContentSearch

if TYPE_CHECKING:
    from agenttrace_nb.views.feed import Feed

SEARCH_LIMIT_CHARACTERS = 1_000


def _encoded(_: int, widget: TraceWidget) -> memoryview:
    return memoryview(widget.feed.snapshot())


class BesideTwin(anywidget.AnyWidget):
    """A widget without words of its own: its static twin stands before it and says everything."""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        data = found[0] if isinstance(found, tuple) else found
        if data:
            data["text/plain"] = ""
        return found


class TraceWidget(BesideTwin):
    """Shows one run while it goes on and after it.

    Frames go to the browser as messages. The synced state is one number, which is turned into a frame with everything
    whenever a browser asks for it: when it first opens, after a reload of the page, and when widget state is saved.

    What is synced travels with every view and is saved with it. So `_esm` is no more than the base of the view: the
    code of all panels but the tree follows in a message.
    """

    _esm = traitlets.Unicode(bundle("trace_view.js")).tag(sync=True)
    _css = traitlets.Unicode(bundle("trace_view.css")).tag(sync=True)
    _snapshot = traitlets.Int(0).tag(sync=True, to_json=_encoded)
    # Read with the base, which takes no other panels than its own.
    _panels = bundle("trace_panels.js").encode()

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._search = ContentSearch(feed, self.send)
        super().__init__()
        self.on_msg(self._hear)
        # Unasked: a kernel that runs a cell could not be asked.
        self._send_panels()

    def send_patch(self, data: bytes) -> None:
        """Send a frame."""
        self.send({"kind": "patch"}, [data])

    def publish(self) -> None:
        """Bring the synced state up to date: once, when the run is over."""
        self._snapshot += 1

    def _hear(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # Called on whatever thread the kernel has for messages.
        kind = content.get("kind")
        if kind == "resync":
            self.send_patch(self.feed.snapshot())
        elif kind == "code":
            self._send_panels()
        elif kind == "want":
            for row in content.get("rows", [])[:50]:
                self._send_content(int(row))
        elif kind == "search":
            self._search.ask(int(content["id"]), str(content["text"])[:SEARCH_LIMIT_CHARACTERS])
        elif kind in ("rate", "report"):
            row = int(content["row"])
            self.send({"kind": "said", "row": row, "problem": self.feed.take_feedback(row, content)})

    def _send_panels(self) -> None:
        self.send({"kind": "code"}, [self._panels])

    def _send_content(self, row: int) -> None:
        pieces = self.feed.content(row)
        for part, piece in enumerate(pieces):
            self.send({"kind": "payload", "row": row, "part": part, "parts": len(pieces)}, [piece])
