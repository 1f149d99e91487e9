"""One HTML file around something that only has to be read: it runs nothing and fetches nothing."""

from __future__ import annotations

from pathlib import Path

from agenttrace_nb.views.safe_text import escaped

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 0; padding: 24px; background: #fff; color: #1d2127; }}
main {{ max-width: {width_px}px; margin: 0 auto; }}
h1 {{ font: 600 20px/1.3 system-ui, sans-serif; margin: 0 0 12px; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16181c; color: #e7e9ec; }} {dark} }}
</style>
</head>
<body><main>
<h1>{title}</h1>
{inner}
</main></body>
</html>
"""


def plain_page(title: str, inner: str, *, width_px: int = 1100, dark: str = "") -> str:
    """Return a page.

    Parameters
    ----------
    title
        Its title, as text.
    inner
        What it holds, as HTML that is safe.
    width_px
        How wide it becomes at most.
    dark
        Styles for a dark screen.

    Examples
    --------
    >>> "<h1>a &lt; b</h1>" in plain_page("a < b", "<p>less</p>")
    True
    """
    return _PAGE.format(policy=escaped(_POLICY), title=escaped(title), inner=inner, width_px=width_px, dark=dark)


def write(path: str | Path, page: str) -> Path:
    """Write a page; return its absolute path."""
    target = Path(path).expanduser().absolute()
    target.write_text(page, encoding="utf-8")
    return target
