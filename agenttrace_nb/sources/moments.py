"""Times and steps as users give them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from agenttrace_nb.config import OptionError

POINTS_WANTED = 250
MAX_POINTS = 500_000
_NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_STEP = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNIT_MS = {"ms": 1, "s": 1000, None: 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def moment_ms(name: str, value: Any, now: datetime) -> int:
    """Return a time in milliseconds since the Unix epoch.

    Parameters
    ----------
    name
        The argument, for messages.
    value
        A time (without a zone: UTC), an ISO text, or a ``timedelta`` before now.

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> moment_ms("start", "1970-01-01T00:00:01.5", datetime.now(UTC))
    1500
    """
    moment = now - value if isinstance(value, timedelta) else value
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime) or moment != moment:  # noqa: PLR0124 - pandas' NaT is a datetime
        msg = f"{name}={value!r} is not allowed; it must be a time such as '2026-01-31T09:00', or a timedelta"
        raise OptionError(msg)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1))


def step_ms(value: Any, start_ms: int, end_ms: int) -> int:
    """Return the time from one point to the next in milliseconds; without one, such that there are about 250 points.

    Raises
    ------
    OptionError
        If it is not a time above zero, or there would be too many points.

    Examples
    --------
    >>> step_ms("1m", 0, 3_600_000), step_ms(None, 0, 3_600_000)
    (60000, 15000)
    """
    if value is None:
        wanted_s = (end_ms - start_ms) / 1000 / POINTS_WANTED
        return next((nice for nice in _NICE_S if nice >= wanted_s), _NICE_S[-1]) * 1000
    step = _given_ms(value)
    if step < 1:
        msg = f"step={value!r} is not allowed; it must be seconds, a timedelta, or a text such as '15s', '1m' or '1h'"
        raise OptionError(msg)
    if (points := (end_ms - start_ms) // step + 1) > MAX_POINTS:
        msg = f"step={value!r} makes {points:,} points for each series, and {MAX_POINTS:,} is the most: take a longer"
        raise OptionError(msg)
    return step


def _given_ms(value: Any) -> int:
    if isinstance(value, timedelta):
        return round(value / timedelta(milliseconds=1))
    if isinstance(value, bool):
        return 0
    match = _STEP.fullmatch(str(value).strip().lower())
    return round(float(match[1]) * _UNIT_MS[match[2]]) if match else 0
