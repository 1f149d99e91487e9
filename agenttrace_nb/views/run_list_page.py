"""A list of runs as one self-contained HTML file, in which small runs can be opened."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.page import Document, document
from agenttrace_nb.views.run_list import RunList
from agenttrace_nb.views.run_list_html import static_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.trace_set import TraceSet
    from agenttrace_nb.spans import Trace

RUN_LIMIT_BYTES = 1_000_000
PAGE_LIMIT_BYTES = 20_000_000


def list_page(found: TraceSet) -> str:
    """Return a set of traces as one HTML file that needs nothing else and asks for nothing else.

    Each run of up to 1 MB can be opened in it, with all its content, until the page holds 20 MB of them; the page says
    of how many only the line is there.
    """
    listed = RunList(found)
    frames = dict(_frames(listed.traces))
    if left := len(listed.lines) - len(frames):
        listed.notes.append(
            f"{left:,} {fmt.plural(left, 'run')} of more than {RUN_LIMIT_BYTES / 1e6:g} MB, or beyond the first "
            f"{PAGE_LIMIT_BYTES / 1e6:g} MB, cannot be opened here; to_html of the trace writes a page of its own."
        )
    data = {"agtr-list": listed.frame(openable=frames)}
    data |= {f"agtr-frame-{row}": frame for row, frame in frames.items()}
    return document(
        Document(
            title=f"{listed.total:,} {fmt.plural(listed.total, 'run')}",
            css=bundle("trace_view.css") + bundle("run_list.css"),
            twin=static_list(listed),
            data={name: base64.b64encode(frame).decode() for name, frame in data.items()},
            # The first two make the view of one run known to the third.
            scripts=tuple(bundle(f"{name}.js") for name in ("trace_panels", "trace_page", "run_list_page")),
        )
    )


def write_list_page(path: str | Path, found: TraceSet) -> Path:
    """Write a set of traces as one HTML file; return its absolute path."""
    target = Path(path).expanduser().absolute()
    target.write_text(list_page(found), encoding="utf-8")
    return target


def _frames(traces: list[Trace]) -> Iterator[tuple[int, bytes]]:
    spent = 0
    for row, trace in enumerate(traces):
        feed = Feed(Finished(trace, [trace]), keep_all=True)
        feed.pull(work_s=None)
        feed.measure()
        frame = feed.snapshot()
        if len(frame) <= RUN_LIMIT_BYTES and spent + len(frame) <= PAGE_LIMIT_BYTES:
            spent += len(frame)
            yield row, frame
