"""Rate limits of a model's provider: how an error tells of one, and for how long nothing is begun after it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.http_post import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_WAIT_S = 600.0
_FIRST_WAIT_S = 1.0
_MOST_WAIT_S = 60.0
_TOO_MANY_REQUESTS = 429
_LONGEST_CHAIN = 20
_MS_PER_S = 1000
_NOTHING_LEFT = frozenset({"insufficient_quota"})  # OpenAI: an account without credit, which no waiting helps


def wait_asked(error: BaseException, attempt: int, *, now: datetime | None = None) -> float | None:
    """Return for how many seconds an error asks to wait; ``None`` if it is no rate limit, or waiting does not help.

    Parameters
    ----------
    error
        What a case raised. It, or what it was raised from, is a rate limit if it has the HTTP status 429
        (``status_code``, or that of its ``response``), as the errors of the OpenAI client and of others have it.
    attempt
        How often the case was run, this one counted: where the answer says nothing of a time, the wait is 1 second
        after the first, then twice as long each time, up to a minute.
    now
        For an answer that names a time of day.

    Notes
    -----
    The header ``retry-after`` holds seconds or a date: RFC 9110, 10.2.3; ``retry-after-ms`` is of OpenAI.

    Examples
    --------
    >>> error = RuntimeError("slow down")
    >>> error.status_code, error.headers = 429, {"Retry-After": "20"}
    >>> wait_asked(error, 1), wait_asked(ValueError("no"), 1)
    (20.0, None)
    """
    limit = next((one for one in _chain(error) if _status(one) == _TOO_MANY_REQUESTS), None)
    if limit is None or getattr(limit, "code", None) in _NOTHING_LEFT:
        return None
    asked = _retry_after(limit, now or datetime.now(UTC))
    if asked is None:
        return float(min(_FIRST_WAIT_S * 2 ** (attempt - 1), _MOST_WAIT_S))
    return asked if asked <= LONGEST_WAIT_S else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen and len(seen) < _LONGEST_CHAIN:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> Any:
    return getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)


def _retry_after(error: BaseException, now: datetime) -> float | None:
    given = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
    if not isinstance(given, Mapping):
        return None
    headers = {str(name).lower(): str(value).strip() for name, value in given.items()}
    with contextlib.suppress(KeyError, ValueError):
        seconds = float(headers["retry-after-ms"]) / _MS_PER_S
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    return retry_after(headers.get("retry-after"), now)


class Pause:
    """A time until which nothing is begun, for all that are at work on one event loop."""

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def left_s(self) -> float:
        """Seconds that are left of it; 0 if there is none."""
        return max(self._until - time.monotonic(), 0.0)

    def hold(self, seconds: float) -> None:
        """Begin nothing for so many seconds from now; a longer pause that is under way stays."""
        self._until = max(self._until, time.monotonic() + seconds)

    async def over(self) -> None:
        """Wait until it is over, also where it is made longer meanwhile."""
        while left := self.left_s:  # noqa: ASYNC110 - a time is waited for, which may be put off
            await asyncio.sleep(left)
