"""The run as a text tree: for terminals, for ``print``, and for every front end that shows nothing better."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.headline import headline
from agenttrace_nb.views.rows import line_count, reading_order
from agenttrace_nb.views.safe_text import ELLIPSIS, fit, one_line, width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.spans import CellRun, Trace
    from agenttrace_nb.views.rows import Line, Rows

NARROWEST_COLUMNS = 48
WIDEST_COLUMNS = 120
DEFAULT_COLUMNS = 96
ROW_LIMIT = 5_000
GUIDE_COLUMNS = 3
SHOWN_LEVELS = 16
SEAL_LIMIT = 600


def text_tree(
    run: CellRun | Trace, rows: Rows, *, columns: int | None = None, fold_layers: bool = True, timed: bool = True,
    seal: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Return the whole tree as text, one line for each step.

    Parameters
    ----------
    run
        The cell run, or a trace on its own.
    rows
        Its rows.
    columns
        Width in terminal columns, from 48 to 120; without it 96, whatever the terminal, so that saved outputs do
        not depend on one.
    fold_layers
        Leave out turns and other layers that only wrap steps.
    timed
        Show durations.
    seal
        What the audit log knows of it: see `agenttrace_nb.views.seal`.

    Returns
    -------
    str
        Lines without colours or escape sequences, at most ``columns`` wide.
    """
    columns = min(max(columns or DEFAULT_COLUMNS, NARROWEST_COLUMNS), WIDEST_COLUMNS)
    head = headline(run, rows, timed=timed)
    first = head.title + (f" · {head.about}" if head.about else "")
    standing = f"{labels.MARKS[head.status]} {labels.STATUS_WORDS[head.status]}"
    lines = [_apart(first, standing, columns), fit(head.line(), columns), ""]
    shown = reading_order(rows, fold_layers=fold_layers, limit=ROW_LIMIT)
    for line in shown:
        lines += _lines(rows, line, columns, timed=timed)
    if not shown:
        lines.append("no steps were recorded")
    if len(shown) == ROW_LIMIT and (more := line_count(rows, fold_layers=fold_layers) - ROW_LIMIT):
        lines.append(f"{ELLIPSIS} {more:,} more steps; to_html(path) writes them all")
    if head.why and head.why_row is None:
        lines += ["", fit(f"{labels.MARKS[head.status]} {head.why}", columns)]
    if seal:
        lines += ["", *textwrap.wrap(one_line(f"audit log: {seal['state']}. {seal['why']}", SEAL_LIMIT), columns)]
    return "\n".join(line.rstrip() for line in lines)


def terminal_columns() -> int:
    """Return how wide the terminal is."""
    return shutil.get_terminal_size((DEFAULT_COLUMNS, 24)).columns


def _lines(rows: Rows, line: Line, columns: int, *, timed: bool) -> list[str]:
    span = rows.spans[line.row]
    guides, below = _guides(line)
    left = f"{guides}{labels.MARKS[span.status]} {_what(rows, line.row)}"
    right = labels.tokens(span) if span.kind is SpanKind.LLM else ""
    if timed:
        right = f"{right}  {fmt.seconds(span.duration_s):>8}"
    found = [_apart(left, right, columns)]
    if span.error is not None and not rows.repeats_error(line.row):
        found.append(fit(f"{below}  {labels.failure(span.error)}", columns))
    return found


def _what(rows: Rows, row: int) -> str:
    span = rows.spans[row]
    words = [labels.name(span)]
    if span.kind is not SpanKind.AGENT and not words[0].startswith(span.kind.value):
        words.insert(0, span.kind.value)
    if span.kind is SpanKind.AGENT and span.role:
        words.append(f"({labels.role(span)})")
    # The reason of a failure has a line of its own.
    if span.error is None and (note := labels.note(rows, row)):
        words.append(f"· {note}")
    return " ".join(words)


def _guides(line: Line) -> tuple[str, str]:
    if line.depth == 0:
        return "", "│ " if line.below else "  "
    levels = line.last[1:]
    hidden = line.depth > SHOWN_LEVELS
    # Of a very deep row the guides would fill the line: its depth is said as a number instead.
    before = f"{ELLIPSIS}{line.depth} " if hidden else "".join("   " if last else "│  " for last in levels[:-1])
    at_end = levels[-1] if not hidden else True
    corner = "└─ " if at_end else "├─ "
    under = " " * width(before) if hidden else before
    return before + corner, under + ("   " if at_end else "│  ") + ("│ " if line.below else "  ")


def _apart(left: str, right: str, columns: int) -> str:
    room = columns - width(right) - 2
    left = fit(left, room)
    return left + " " * (columns - width(left) - width(right)) + right
