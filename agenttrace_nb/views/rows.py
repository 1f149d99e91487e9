"""Spans to display rows: which row a span is, which row it hangs under, and the order in which people read them.

A row keeps its number for ever: rows are numbered as their spans arrive, so that a later change can name a row by
its number. The reading order is worked out anew whenever it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from agenttrace_nb.spans import Span, SpanKind, Status
from agenttrace_nb.views.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agenttrace_nb.spans import Agent, Trace

TOP = -1
GUIDE_LIMIT = 40


class Rows:
    """The rows of one cell run, of all its traces.

    Attributes
    ----------
    spans
        The span of each row.
    tally
        What the rows come to.
    parents
        The row that each row hangs under; `TOP` for the root of a trace and for a span whose parent is not known.
    agents
        By trace id what its agents were declared to be, as far as that is known: by it, arguments of tools are checked.
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.tally = Tally()
        self.spans: list[Span] = []
        self.parents: list[int] = []
        self.agents: dict[str, dict[str, Agent]] = {}
        self._row_of: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], list[int]] = {}
        self._above_others: set[int] = set()
        self._failed: set[int] = set()
        self._repeating: set[int] | None = None
        self.take(spans)

    @classmethod
    def of_traces(cls, traces: Iterable[Trace]) -> Self:
        """Return the rows of traces, with what their agents were declared to be."""
        listed = list(traces)
        rows = cls(span for trace in listed for span in trace.spans)
        rows.agents = {trace.trace_id: trace.agents for trace in listed}
        return rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.spans)

    def take(self, spans: Iterable[Span]) -> list[int]:
        """Add new spans as rows, and return all rows that are new or changed, in order of number."""
        changed: set[int] = set()
        self._repeating = None
        for span in spans:
            key = (span.trace_id, span.span_id)
            row = self._row_of.get(key)
            if row is None:
                row = self._row_of[key] = len(self.spans)
                self.spans.append(span)
                self.parents.append(TOP)
                if key in self._waiting:
                    changed.update(self._adopt(key, row))
            self.spans[row] = span
            self._hang(row, span)
            self.tally.put(row, span)
            if span.error is not None or span.status is Status.ERROR:
                self._failed.add(row)
            else:
                self._failed.discard(row)
            changed.add(row)
        return sorted(changed)

    def row(self, span: Span) -> int:
        """Return the number of a span's row."""
        return self._row_of[span.trace_id, span.span_id]

    def _hang(self, row: int, span: Span) -> None:
        if span.parent_id is None:
            self.parents[row] = TOP
            return
        key = (span.trace_id, span.parent_id)
        parent = self._row_of.get(key)
        if parent is None:
            waiting = self._waiting.setdefault(key, [])
            if row not in waiting:
                waiting.append(row)
        elif parent != self.parents[row]:
            self.parents[row] = TOP if self._hangs_under(parent, row) else parent
            self._above_others.add(parent)

    def _adopt(self, key: tuple[str, str], row: int) -> list[int]:
        children = [child for child in self._waiting.pop(key, []) if child != row]
        for child in children:
            self.parents[child] = row
            self._above_others.add(row)
        return children

    def _hangs_under(self, row: int, above: int) -> bool:
        # Spans read from a foreign store may name each other as parents; a ring would never end. A row that nothing
        # hangs under yet, as nearly always here, cannot close one.
        if above not in self._above_others:
            return row == above
        while row != TOP:
            if row == above:
                return True
            row = self.parents[row]
        return False

    def children(self) -> dict[int, list[int]]:
        """Return the rows under each row, in order of start, then of arrival."""
        found: dict[int, list[int]] = {}
        for row, parent in enumerate(self.parents):
            found.setdefault(parent, []).append(row)
        for rows in found.values():
            rows.sort(key=lambda r: self.spans[r].start_ns)
        return found

    def error_origins(self) -> list[int]:
        """Return the rows in which an error began: failed, and no failed row below them explains it."""
        failed = [row for row in sorted(self._failed) if self.spans[row].status is Status.ERROR]
        explained: set[int] = set()
        for row in failed:
            above = self.parents[row]
            while above != TOP and above not in explained:
                explained.add(above)
                above = self.parents[above]
        return [row for row in failed if row not in explained]

    def repeats_error(self, row: int) -> bool:
        """Tell whether a row's error is of the same type as that of a failed row under it: it need not be said."""
        if self._repeating is None:
            self._repeating = self._find_repeating()
        return row in self._repeating

    def _find_repeating(self) -> set[int]:
        found = set()
        for row in self._failed:
            error, parent = self.spans[row].error, self.parents[row]
            above = None if parent == TOP else self.spans[parent].error
            if error is not None and above is not None and above.type == error.type:
                found.add(parent)
        return found


@dataclass(slots=True)
class Line:
    """One row in reading order.

    Attributes
    ----------
    row
        Its number.
    depth
        Levels above it, as shown.
    last
        For each level from the top down to this row, whether it is the last at that level: what guides are drawn
        from. At most `GUIDE_LIMIT` levels.
    below
        Lines under it, at any depth, of those that are listed.
    """

    row: int
    depth: int
    last: tuple[bool, ...]
    below: int = 0


def reading_order(rows: Rows, *, fold_layers: bool = True, limit: int | None = None) -> list[Line]:
    """Return the rows as people read them: each above its children, siblings in order of start.

    With ``fold_layers`` the layers that say nothing are left out and their children stand in their place: turns, and
    a workflow that is the only thing at the top. A row in which an error began is never left out. With ``limit`` at
    most so many lines are made: of a hundred thousand rows, a thousand take a tenth of the time.
    """
    children = rows.children()
    hidden = set(_layers(rows, children)) if fold_layers else set()
    lines: list[Line] = []
    above: list[int] = []  # for each line, the line that it hangs under
    # Depth first with a stack of our own: a trace of hostile depth must not end in a recursion error.
    stack = [(row, TOP, is_last) for row, is_last in _with_last(_shown(TOP, children, hidden))][::-1]
    while stack and (limit is None or len(lines) < limit):
        row, parent, is_last = stack.pop()
        guides = () if parent == TOP else lines[parent].last
        depth = 0 if parent == TOP else lines[parent].depth + 1
        here = len(lines)
        lines.append(Line(row=row, depth=depth, last=(*guides, is_last)[:GUIDE_LIMIT]))
        above.append(parent)
        stack.extend((c, here, end) for c, end in reversed(_with_last(_shown(row, children, hidden))))
    for line, parent in zip(reversed(lines), reversed(above), strict=True):
        if parent != TOP:
            lines[parent].below += line.below + 1
    return lines


def line_count(rows: Rows, *, fold_layers: bool = True) -> int:
    """Return how many lines there are in reading order."""
    return len(rows) - sum(1 for _ in _layers(rows, rows.children())) if fold_layers else len(rows)


def _layers(rows: Rows, children: dict[int, list[int]]) -> Iterator[int]:
    origins = set(rows.error_origins())
    top = children.get(TOP, [])
    for row, span in enumerate(rows.spans):
        if row in origins or not children.get(row):
            continue
        if span.kind is SpanKind.TURN or (span.kind is SpanKind.WORKFLOW and top == [row]):
            yield row


def _shown(row: int, children: dict[int, list[int]], hidden: set[int]) -> list[int]:
    found: list[int] = []
    stack = children.get(row, [])[::-1]
    while stack:
        child = stack.pop()
        if child in hidden:
            stack.extend(reversed(children.get(child, [])))
        else:
            found.append(child)
    return found


def _with_last(rows: list[int]) -> list[tuple[int, bool]]:
    return [(row, at == len(rows) - 1) for at, row in enumerate(rows)]
