"""Steps on one clock: what each took by itself, and the critical path. Pure, exact in nanoseconds, no pandas.

Every step counts within what holds it: times outside its parent's are clipped. A step without an end counts as far as
it is known to have gone, to the end of the last step in it; its own time is then not known, nor that of its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.spans import Span

TOP = -1


class Segment(NamedTuple):
    """A piece of the critical path: from ``start_ns`` to ``end_ns`` everything waited for ``step``.

    ``step`` is its number; the number after the last step stands for the whole: time between steps at the top.
    """

    step: int
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class Steps:
    """Steps in a tree, clipped.

    Attributes
    ----------
    whole
        The number that stands for all of them together: one more than that of the last step.
    parent
        What holds each step; `whole` for those at the top, `TOP` for the whole itself.
    start, end
        Clipped times in ns, for each step and the whole.
    ended
        Whether the end is known.
    below
        The steps right under a step, by start, then by end.
    order
        All steps, each after what holds it.
    """

    whole: int
    parent: list[int]
    start: list[int]
    end: list[int]
    ended: list[bool]
    below: dict[int, list[int]]
    order: list[int]

    @property
    def total_ns(self) -> int | None:
        """From the start of the first step to the end of the last; ``None`` while that is not known."""
        tops = self.below.get(self.whole)
        if not tops or not all(self.ended[top] for top in tops):
            return None
        return self.end[self.whole] - self.start[self.whole]

    def took(self, step: int) -> int:
        """Return a step's duration, clipped, in ns."""
        return self.end[step] - self.start[step]


def parents_of(spans: Sequence[Span]) -> list[int]:
    """Return the number of each span's parent; `TOP` where it has none among these."""
    number: dict[str, int] = {}
    for at, span in enumerate(spans):
        number.setdefault(span.span_id, at)
    return [TOP if s.parent_id is None else number.get(s.parent_id, TOP) for s in spans]


def lay_out(starts: Sequence[int], ends: Sequence[int | None], parents: Sequence[int]) -> Steps:
    """Put steps into a tree and clip them.

    Parameters
    ----------
    starts, ends
        Times in ns; an end is ``None`` while it is not known. One before its start counts as that.
    parents
        For each step the number of the one that holds it; `TOP` for none. Rings are opened at their first step.

    Examples
    --------
    >>> steps = lay_out([0, 5], [10, 14], [TOP, 0])
    >>> steps.end[1], steps.total_ns
    (10, 10)
    """
    whole = len(starts)
    known = [s if e is None or e < s else e for s, e in zip(starts, ends, strict=True)]
    by_start = sorted(sorted(range(whole), key=known.__getitem__), key=starts.__getitem__)
    below: dict[int, list[int]] = {}
    parent = [whole if above == TOP else above for above in parents]
    for step in by_start:
        below.setdefault(parent[step], []).append(step)
    order = _reading(below, parent, whole)
    if None in ends:  # as far as each is known to have gone
        for step in reversed(order):
            above = parent[step]
            if above != whole and ends[above] is None and known[step] > known[above]:
                known[above] = known[step]
    tops = below.get(whole, [])
    start = [*starts, min((starts[top] for top in tops), default=0)]
    end = [*known, max((known[top] for top in tops), default=0)]
    for step in order:
        above = parent[step]
        low, high = start[above], end[above]
        # Without min and max: half the time, and every step comes by here.
        begun, over = start[step], end[step]
        if begun < low or over > high:
            start[step] = begun = low if begun < low else min(begun, high)
            end[step] = begun if over < begun else min(over, high)
    ended = [e is not None for e in ends]
    return Steps(whole, [*parent, TOP], start, end, [*ended, all(ended[top] for top in tops)], below, order)


def _reading(below: dict[int, list[int]], parent: list[int], whole: int) -> list[int]:
    order: list[int] = []
    stack = below.get(whole, [])[::-1]
    at = 0
    while True:
        while stack:
            step = stack.pop()
            order.append(step)
            if inner := below.get(step):
                stack.extend(reversed(inner))
        if len(order) == whole:
            return order
        # Steps that hold each other in a ring: the first of them goes to the top.
        seen = bytearray(whole)
        for step in order:
            seen[step] = 1
        while seen[at]:
            at += 1
        below[parent[at]].remove(at)
        parent[at] = whole
        below.setdefault(whole, []).append(at)
        stack.append(at)


def self_times(steps: Steps) -> list[int | None]:
    """Return what each step took by itself, in ns: its duration less the time in which a step under it ran.

    ``None`` where it is not known, because the step or one right under it has no end.

    Examples
    --------
    >>> self_times(lay_out([0, 1, 1, 2], [10, 6, 9, 4], [TOP, 0, 0, 0]))
    [2, 5, 8, 2]
    """
    start, end, ended = steps.start, steps.end, steps.ended
    found: list[int | None] = [e - s if known else None for s, e, known in zip(start, end, ended, strict=True)]
    for step, inner in steps.below.items():
        own = found[step]
        if own is None:
            continue
        reach = start[step]
        for child in inner:
            if not ended[child]:
                own = None
                break
            until = end[child]
            if until > reach:
                own -= until - max(start[child], reach)
                reach = until
        found[step] = own
    del found[steps.whole]
    return found


def critical_path(steps: Steps) -> list[Segment]:
    """Return the chain of steps that the end waited for, in order of time. It covers the whole without a gap.

    From the end of a step back to the step in it that ended last, into that one, on from its start; what lies between
    is the step's own. Nothing if the end of the whole is not known.

    Examples
    --------
    >>> critical_path(lay_out([0, 0, 4], [10, 3, 9], [TOP, 0, 0]))  # doctest: +NORMALIZE_WHITESPACE
    [Segment(step=1, start_ns=0, end_ns=3), Segment(step=0, start_ns=3, end_ns=4),
     Segment(step=2, start_ns=4, end_ns=9), Segment(step=0, start_ns=9, end_ns=10)]
    """
    if steps.total_ns is None:
        return []
    start, end, below = steps.start, steps.end, steps.below
    path: list[Segment] = []
    stack = [(steps.whole, _by_end(steps, steps.whole))]
    cursor = end[steps.whole]
    while stack:
        step, ending = stack[-1]
        while ending and end[ending[-1]] > cursor:
            ending.pop()
        if ending:
            last = ending.pop()
            if end[last] < cursor:
                path.append(Segment(step, end[last], cursor))
            cursor = end[last]
            if last in below:
                stack.append((last, _by_end(steps, last)))
            else:
                path.append(Segment(last, start[last], cursor))
                cursor = start[last]
            continue
        if start[step] < cursor:
            path.append(Segment(step, start[step], cursor))
        cursor = start[step]
        stack.pop()
    return path[::-1]


def _by_end(steps: Steps, step: int) -> list[int]:
    # A moment holds nobody up. Of those that end together the longest comes first, at the end of the list.
    start, end = steps.start, steps.end
    lasting = [child for child in steps.below[step] if start[child] < end[child]]
    if len(lasting) > 1:
        lasting.reverse()
        lasting.sort(key=end.__getitem__)
    return lasting


def on_path(steps: Steps, path: Sequence[Segment]) -> list[int | None]:
    """Return for each step how much of the critical path is its own, in ns; ``None`` throughout without a path."""
    if not path:
        return [None] * steps.whole
    found = [0] * (steps.whole + 1)
    for step, start_ns, end_ns in path:
        found[step] += end_ns - start_ns
    return list(found[: steps.whole])


def concurrency(spans: Sequence[tuple[int, int]]) -> float | None:
    """Return how many of these periods (start and end, ns) ran at once, in the mean over the time in which any did.

    Examples
    --------
    >>> concurrency([(1, 6), (1, 9), (2, 4)])
    1.875
    """
    together, reach = 0, None
    for start, end in sorted(spans):
        if reach is None or end > reach:
            together += end - (start if reach is None else max(start, reach))
            reach = end
    return sum(end - start for start, end in spans) / together if together else None
