"""What the views need of the place they are shown in: whether it is a notebook, and how outputs get there."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("agenttrace_nb")


def shell() -> Any:
    """Return IPython's shell; ``None`` where IPython is not loaded: it is not loaded to find that out."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return get_ipython()


def in_kernel(of: Any) -> bool:
    """Tell whether a shell is that of a notebook's kernel."""
    return getattr(of, "kernel", None) is not None


def publish(html: str, text: str, display_id: str | None = None, *, update: bool = False) -> None:
    """Show a static output below the running cell, or replace the one of this id."""
    from IPython.display import publish_display_data

    transient = {"display_id": display_id} if display_id else None
    publish_display_data({"text/html": html, "text/plain": text}, transient=transient, update=update)


def write_text(text: str) -> None:
    """Print a text."""
    sys.stdout.write(text + "\n")


def quietly(what: str, work: Callable[[], None]) -> None:
    """Do something that must not raise into the user's cell; report what it raises."""
    try:
        work()
    except Exception as error:
        _log.warning("%s failed; the run is recorded: %s: %s", what, type(error).__name__, error)
