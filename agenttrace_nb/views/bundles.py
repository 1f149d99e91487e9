"""The built files of the widgets. Their sources are in ``js/``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def bundle(name: str) -> str:
    """Return a built file, such as ``trace_view.js``."""
    return (files("agenttrace_nb.views") / "static" / name).read_text("utf-8")
