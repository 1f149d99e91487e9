"""Exceptions as data: what failed, with which HTTP status, and what lay behind it."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

from agenttrace_nb.spans import Status

_MAX_CHAIN = 8
_MAX_FRAMES = 12
_MAX_MESSAGE = 20_000
WITHHELD = "[withheld: trace_include_sensitive_data is off]"


def describe(error: BaseException, *, sensitive: bool = True) -> dict[str, Any]:
    """Return an exception as the journal keeps it.

    Parameters
    ----------
    error
        The exception.
    sensitive
        Whether texts may be kept; without it only types and HTTP status are.

    Returns
    -------
    dict
        ``type``, ``message`` and, where known, ``http_status``, ``chain``, ``traceback``.

    Examples
    --------
    >>> describe(ValueError("no"))["type"]
    'ValueError'
    """
    found: dict[str, Any] = {"type": type(error).__name__, "message": text_of(error) if sensitive else WITHHELD}
    chain: list[str] = []
    status = http_status(error)
    seen = {id(error)}
    cause = _behind(error)
    while cause is not None and id(cause) not in seen and len(chain) < _MAX_CHAIN:
        seen.add(id(cause))
        chain.append(f"{type(cause).__name__}: {text_of(cause)}" if sensitive else type(cause).__name__)
        status = status if status is not None else http_status(cause)
        cause = _behind(cause)
    if chain:
        found["chain"] = chain
    if status is not None:
        found["http_status"] = status
    if sensitive and error.__traceback__ is not None:
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        found["traceback"] = "".join(traceback.format_list(frames))
    return found


def text_of(error: BaseException) -> str:
    """Return an exception's own text, also if asking for it fails."""
    try:
        return str(error)[:_MAX_MESSAGE]
    except Exception:
        return f"[the text of this {type(error).__name__} cannot be shown]"


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status that an exception stands for, if it carries one."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:  # noqa: PLR2004
                return value
    return None


def status_of(error: BaseException | None) -> Status:
    """Return the status of what ended with this exception.

    Examples
    --------
    >>> status_of(asyncio.CancelledError()).value, status_of(None).value
    ('cancelled', 'ok')
    """
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return Status.OK  # sys.exit() and sys.exit(0) say that all is well
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)):
        return Status.CANCELLED
    return Status.ERROR


def _behind(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
