"""The stretches of time that a dashboard can show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from agenttrace_nb.analysis.monitor_rules import duration_s
from agenttrace_nb.config import OptionError

DEFAULT = "1h"


@dataclass(frozen=True, slots=True)
class Window:
    """The last so many seconds; ``None`` for all."""

    name: str
    words: str
    length_s: float | None


STANDARD = (
    Window("15m", "15 min", 15 * 60),
    Window("1h", "1 h", 3600),
    Window("24h", "24 h", 24 * 3600),
    Window("all", "all", None),
)


def windows(wanted: str | timedelta | None) -> tuple[list[Window], str]:
    """Return the windows to choose from, in order of length, and the name of the one that is shown first.

    Parameters
    ----------
    wanted
        ``15m``, ``1h``, ``24h``, ``all``, another length such as ``6h``, or a ``timedelta``; an hour by default.

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> windows("90m")[1], [w.name for w in windows("90m")[0]]
    ('90m', ['15m', '1h', '90m', '24h', 'all'])
    """
    if wanted is None:
        return list(STANDARD), DEFAULT
    given = f"{wanted.total_seconds():g}s" if isinstance(wanted, timedelta) else str(wanted)
    length = duration_s(given)
    if given != "all" and not length:
        msg = f"window={wanted!r} is not allowed; it must be 15m, 1h, 24h, all, a length such as 6h, or a timedelta"
        raise OptionError(msg)
    known = next((w for w in STANDARD if w.length_s == length), None)
    if known is not None:
        return list(STANDARD), known.name
    own = Window(given, _words(given), length)
    return sorted([*STANDARD, own], key=lambda w: float("inf") if w.length_s is None else w.length_s), own.name


def _words(length: str) -> str:
    number, unit = re.fullmatch(r"\s*([\d.]+)\s*(\w+)\s*", length).groups()  # type: ignore[union-attr] # it is a duration
    return f"{number} {'min' if unit == 'm' else unit}"
