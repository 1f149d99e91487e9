"""How steps stand to those beside them: how much later one could end, and its share of a time that it had with others.

Pure and light: loads neither pandas nor NumPy.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.latency_steps import Steps


def slack(steps: Steps) -> list[int | None]:
    """Return how much later each step could have ended without moving the end of the whole, in ns.

    Who waits for whom is read from the recording, as for savings: a step began when the last of its siblings that had
    ended before it had ended, and what its parent then took by itself stays. ``None`` where it is not known, because
    the step, what holds it, or the whole has no end.

    Examples
    --------
    >>> from agenttrace_nb.analysis.latency_steps import lay_out
    >>> slack(lay_out([0, 1, 1, 2], [10, 6, 9, 4], [-1, 0, 0, 0]))
    [0, 3, 0, 5]
    """
    found: list[int | None] = [None] * (steps.whole + 1)
    if steps.total_ns is None:
        return found[: steps.whole]
    found[steps.whole] = 0
    for step in (steps.whole, *steps.order):
        above, inner = found[step], steps.below.get(step)
        if inner is None or above is None:
            continue
        here = _beside(steps, inner) if _overlap(steps, inner) else [0] * len(inner)
        for child, more in zip(inner, here, strict=True):
            if steps.ended[child]:
                found[child] = above + more
    return found[: steps.whole]


def _overlap(steps: Steps, inner: Sequence[int]) -> bool:
    start, end = steps.start, steps.end
    return any(end[one] > start[other] for one, other in pairwise(inner))


def _beside(steps: Steps, inner: Sequence[int]) -> list[int]:
    """Return how much later each of the steps of one parent could end without moving the end of the last."""
    starts, ends = [steps.start[s] for s in inner], [steps.end[s] for s in inner]
    before = _waited_for(starts, ends)
    last = max(ends)
    found = [0] * len(inner)
    must = [last] * (len(inner) + 1)  # when all before a step must have ended, for it and each after it
    for at in reversed(range(len(inner))):
        follower = bisect_left(starts, ends[at], lo=at + 1)
        found[at] = must[follower] - ends[at]
        must[at] = min(must[at + 1], before[at] + found[at])
    return found


def _waited_for(starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """Return for each step the last end, of those before it, that is not after its start."""
    by_end = sorted(range(len(ends)), key=ends.__getitem__)
    found: list[int] = []
    last, told = starts[0], 0
    for at, start in enumerate(starts):
        while told < at and ends[by_end[told]] <= start and by_end[told] < at:
            last = max(last, ends[by_end[told]])
            told += 1
        found.append(last)
    return found


def equal_split(steps: Steps) -> list[float | None]:
    """Return each step's equal share of the time that it had together with its siblings, in ns.

    Each instant is divided equally among the steps of one parent that run then, so their shares sum to the time in
    which any of them ran. ``None`` where an end is not known, its own or a sibling's.

    Examples
    --------
    >>> from agenttrace_nb.analysis.latency_steps import lay_out
    >>> [round(6 * share) for share in equal_split(lay_out([0, 1, 1, 2], [10, 6, 9, 4], [-1, 0, 0, 0]))]
    [60, 13, 31, 4]
    """
    found: list[float | None] = [None] * (steps.whole + 1)
    for inner in steps.below.values():
        if not all(steps.ended[child] for child in inner):
            continue
        if not _overlap(steps, inner):
            for child in inner:
                found[child] = float(steps.took(child))
            continue
        # How long one that runs all the while would have had of the parent's time up to each moment.
        moments = sorted({m for child in inner for m in (steps.start[child], steps.end[child])})
        change = dict.fromkeys(moments, 0)
        for child in inner:
            change[steps.start[child]] += 1
            change[steps.end[child]] -= 1
        had: dict[int, float] = {}
        running, so_far, last = 0, 0.0, moments[0]
        for moment in moments:
            if running:
                so_far += (moment - last) / running
            had[moment] = so_far
            running += change[moment]
            last = moment
        for child in inner:
            found[child] = had[steps.end[child]] - had[steps.start[child]]
    return found[: steps.whole]
