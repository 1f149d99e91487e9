"""A list of runs as a text table: for terminals, ``print``, and front ends that show nothing better."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import NS_PER_S
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.run_list import UNKNOWN, groups
from agenttrace_nb.views.safe_text import fit, width
from agenttrace_nb.views.text import DEFAULT_COLUMNS, NARROWEST_COLUMNS, WIDEST_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agenttrace_nb.views.run_list import RunLine, RunList

LINE_LIMIT = 200
GROUP_LIMIT = 8
TEXT_COLUMNS = ("name", "arch", "case")
# In this order columns give way where there is no room for all.
FIRST_TO_GO = ("trial", "tools", "turns", "name", "cost", "tokens", "when", "errors", "case")
HEADS = ("", "name", "arch", "case", "trial", "when", "latency", "turns", "tools", "tokens", "cost", "errors")
_LEAST_TEXT_COLUMNS = 14
_GAP = 2


def text_table(found: RunList, columns: int | None = None) -> str:
    """Return the list as a table of text, at most 200 runs; it says how many it left out.

    Parameters
    ----------
    found
        The list.
    columns
        Width in terminal columns, from 48 to 120; 96 without it.
    """
    columns = min(max(columns or DEFAULT_COLUMNS, NARROWEST_COLUMNS), WIDEST_COLUMNS)
    lines = [fit(text, columns) for text in summary(found)]
    shown = found.lines[:LINE_LIMIT]
    if shown:
        lines += ["", *_table([cells(line) for line in shown], columns)]
    if left := len(found.lines) - len(shown):
        lines.append(f"… {left:,} more {fmt.plural(left, 'run')}; .traces() is the whole table")
    lines += [fit(note, columns) for note in found.notes]
    return "\n".join(line.rstrip() for line in lines)


def summary(found: RunList) -> list[str]:
    """Return how many runs there are, and one line for each of the largest architectures."""
    count = f"{found.total:,} {fmt.plural(found.total, 'run')}"
    of = groups(found.lines)
    if len(of) == 1 and of[0].arch is None:
        return [count + of[0].line().partition(" · ")[1] + of[0].line().partition(" · ")[2]]
    rest = len(of) - GROUP_LIMIT
    return [
        count,
        *(group.line() for group in of[:GROUP_LIMIT]),
        *([f"and {rest:,} more {fmt.plural(rest, 'architecture')}"] if rest > 0 else []),
    ]


def cells(line: RunLine) -> dict[str, str]:
    """Return what stands in each column for a run; an em dash where nothing is known."""
    return {
        "": labels.MARKS[line.status],
        "name": line.name or UNKNOWN,
        "arch": line.arch or UNKNOWN,
        "case": line.case or UNKNOWN,
        "trial": line.trial or UNKNOWN,
        "when": when(line.start_ns),
        "latency": _known(line.latency_s, fmt.seconds),
        "turns": _known(line.turns, str),
        "tools": _known(line.tools, str),
        "tokens": _known(line.tokens, fmt.count),
        "cost": _known(line.cost_usd, fmt.usd),
        "errors": _known(line.errors, str),
    }


def when(start_ns: int | None) -> str:
    """Return a time in UTC, to the minute.

    Examples
    --------
    >>> when(1_763_800_000_000_000_000), when(None)
    ('2025-11-22 08:26', '—')
    """
    return UNKNOWN if start_ns is None else f"{datetime.fromtimestamp(start_ns / NS_PER_S, UTC):%Y-%m-%d %H:%M}"


def _known(value: Any, words: Callable[[Any], str]) -> str:
    return UNKNOWN if value is None else words(value)


def _table(rows: Sequence[dict[str, str]], columns: int) -> list[str]:
    heads = {name: name if name != "when" else "when (UTC)" for name in HEADS}
    widths = {name: max(width(row[name]) for row in [heads, *rows]) for name in HEADS}
    said_nowhere = [name for name in HEADS if all(row[name] == UNKNOWN for row in rows)]
    for name in dict.fromkeys([*said_nowhere, *FIRST_TO_GO]):
        if _least(widths) <= columns:
            break
        if set(widths) & set(TEXT_COLUMNS) != {name}:  # something must say which run it is
            widths.pop(name, None)
    _share_out(widths, columns)
    return [_line(row, widths) for row in [heads, *rows]]


def _least(widths: dict[str, int]) -> int:
    least = [min(size, _LEAST_TEXT_COLUMNS) if name in TEXT_COLUMNS else size for name, size in widths.items()]
    return sum(least) + _GAP * (len(least) - 1)


def _share_out(widths: dict[str, int], columns: int) -> None:
    """Cut the widest column of text until the line fits."""
    texts = [name for name in TEXT_COLUMNS if name in widths]
    while sum(widths.values()) + _GAP * (len(widths) - 1) > columns:
        widest = max(texts, key=lambda name: widths[name])
        widths[widest] -= 1


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    found = []
    for name, size in widths.items():
        text = fit(row[name], size)
        padding = " " * (size - width(text))
        found.append(text + padding if name in (*TEXT_COLUMNS, "", "trial", "when") else padding + text)
    return (" " * _GAP).join(found)
