"""What handlers have to say to the user: to the run that began last, or the log where there is none."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("agenttrace_nb")
_listener: Callable[[str], None] | None = None


def on_notice(listener: Callable[[str], None]) -> None:
    """Have a function called with each line; the last function given is the one that is called."""
    global _listener  # noqa: PLW0603 - one user
    _listener = listener


def say(text: str) -> None:
    """Say something to the user."""
    if _listener is None:
        _log.warning(text)
        return
    with contextlib.suppress(Exception):
        _listener(text)
