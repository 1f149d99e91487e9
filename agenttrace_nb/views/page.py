"""A view as one self-contained, interactive HTML file."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.safe_text import escaped
from agenttrace_nb.views.static_html import static_twin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agenttrace_nb.spans import CellRun, Trace

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{css}
body {{ margin: 0; background: #eceef1; }}
#agtr-page {{ max-width: 1600px; margin: 0 auto; padding: 16px; }}
#agtr-view:not(:empty) + .agtr-static {{ display: none; }}
@media screen and (min-width: 800px) {{ #agtr-view .agtr-main {{ height: max(calc(100vh - 150px), 420px); }} }}
@media (prefers-color-scheme: dark) {{ body {{ background: #0e0f11; }} }}
</style>
</head>
<body>
<main id="agtr-page">
<div id="agtr-view"></div>
{twin}
</main>
{data}
{scripts}
</body>
</html>
"""


@dataclass(slots=True, frozen=True)
class Document:
    """What a page holds: ``data`` by element id as base64, which has no letter that could end an element."""

    title: str
    css: str
    twin: str
    data: Mapping[str, str]
    scripts: Sequence[str]


def document(of: Document) -> str:
    """Return a page that needs nothing else and asks for nothing else.

    Without scripts its static twin is shown. A security policy in the page allows its own scripts, by their hashes, and
    no request at all.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in of.scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    data = (f'<script type="application/octet-stream" id="{name}">{text}</script>' for name, text in of.data.items())
    return _PAGE.format(
        policy=escaped(policy),
        title=escaped(of.title),
        css=of.css,
        twin=of.twin,
        data="\n".join(data),
        scripts="\n".join(f'<script type="module">{script}</script>' for script in of.scripts),
    )


def page(run: CellRun | Trace, traces: Sequence[Trace]) -> str:
    """Return a run as one HTML file that needs nothing else: all content, whatever its size, and its view.

    Parameters
    ----------
    run
        The cell run, or a trace on its own.
    traces
        Its traces.
    """
    feed = Feed(Finished(run, traces), keep_all=True)
    feed.pull(work_s=None)
    feed.measure()
    return document(
        Document(
            title=feed.headline().title,
            css=bundle("trace_view.css"),
            twin=static_twin(run, feed.rows),
            data={"agtr-frame": base64.b64encode(feed.snapshot()).decode()},
            # The first is there when the second looks for it.
            scripts=(bundle("trace_panels.js"), bundle("trace_page.js")),
        )
    )


def write_page(path: str | Path, run: CellRun | Trace, traces: Sequence[Trace]) -> Path:
    """Write a run as one HTML file; return its absolute path."""
    target = Path(path).expanduser().absolute()
    target.write_text(page(run, traces), encoding="utf-8")
    return target
