"""What would be saved if some steps took no time: the recorded run, played again with them gone.

Who waits for whom is read from the recording: a step began when the last of its siblings that had ended before it had
ended, plus what its parent then took by itself; that gap stays. A saving is therefore what is achievable, not a share:
where another step runs beside, its end becomes the one that is waited for. A step never waits for fewer siblings than
it seems to, so savings are rather too small than too large.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agenttrace_nb.analysis.latency_steps import Segment, Steps
    from agenttrace_nb.spans import Span

WORK_LIMIT_STEPS = 500_000
Group = tuple[str, str]
"""What a group of steps has in common: ``agent``, ``tool`` or ``model``, and its name."""


class Replay:
    """A recording that can be played again without some of its steps.

    Attributes
    ----------
    work
        How many steps were looked at so far.

    Examples
    --------
    >>> from agenttrace_nb.analysis.latency_steps import lay_out
    >>> replay = Replay(lay_out([0, 1, 1, 2], [10, 6, 9, 4], [-1, 0, 0, 0]))
    >>> replay.saving([2]), replay.saving([1])
    (3, 0)
    """

    def __init__(self, steps: Steps) -> None:
        self.work = 0
        self._steps = steps
        self._place = [-1] * (steps.whole + 1)
        for place, step in enumerate(steps.order):
            self._place[step] = place
        self._bunches: dict[int, dict[int, list[int]] | None] = {}

    def saving(self, gone: Iterable[int]) -> int:
        """Return how many ns sooner the whole would end if these steps, with all that is in them, took no time."""
        steps, gone = self._steps, set(gone)
        touched = {steps.whole}
        for step in gone:
            above = step
            while above not in touched:
                touched.add(above)
                above = steps.parent[above]
        self.work += len(touched)
        shorter: dict[int, int] = {}  # by how much, for each step that is
        by_parent: dict[int, list[int]] = {}
        for step in sorted(touched, key=self._place.__getitem__, reverse=True):
            less = steps.took(step) if step in gone else self._less(step, by_parent.get(step, ()), shorter)
            if less:
                shorter[step] = less
                by_parent.setdefault(steps.parent[step], []).append(step)
        return shorter.get(steps.whole, 0)

    def _less(self, step: int, changed: Sequence[int], shorter: Mapping[int, int]) -> int:
        if not changed:
            return 0
        bunch_of = self._bunches_in(step)
        if bunch_of is None:  # one after the other, as nearly always
            return sum(shorter[child] for child in changed)
        # Bunches of siblings do not overlap: each is waited for as a whole, so what each gains adds up.
        bunches = {id(bunch_of[child]): bunch_of[child] for child in changed}
        return sum(self._gain(bunch, shorter) for bunch in bunches.values())

    def _bunches_in(self, step: int) -> dict[int, list[int]] | None:
        if step in self._bunches:
            return self._bunches[step]
        start, end = self._steps.start, self._steps.end
        children = self._steps.below[step]
        found: dict[int, list[int]] | None = None
        if any(end[one] > start[other] for one, other in pairwise(children)):
            found, reach = {}, start[children[0]]
            bunch: list[int] = []
            for child in children:
                if start[child] >= reach:
                    bunch = []
                bunch.append(child)
                found[child] = bunch
                reach = max(reach, end[child])
        self._bunches[step] = found
        return found

    def _gain(self, bunch: list[int], shorter: Mapping[int, int]) -> int:
        self.work += len(bunch)
        if len(bunch) == 1:
            return shorter[bunch[0]]
        start, end = self._steps.start, self._steps.end
        ending = sorted(bunch, key=end.__getitem__)
        new_end: dict[int, int] = {}
        before = after = start[bunch[0]]  # the last end that a step could have waited for: recorded, and anew
        at = 0
        for step in bunch:
            while end[ending[at]] <= start[step] and ending[at] in new_end:
                before = max(before, end[ending[at]])
                after = max(after, new_end[ending[at]])
                at += 1
            new_end[step] = after + (start[step] - before) + self._steps.took(step) - shorter.get(step, 0)
        return end[ending[-1]] - max(after, *new_end.values())


def groups_of(spans: Sequence[Span]) -> dict[Group, list[int]]:
    """Return the numbers of the spans of each agent, tool and model: its own spans, not what runs in them."""
    found: dict[Group, list[int]] = {}
    for at, span in enumerate(spans):
        if span.kind is SpanKind.AGENT:
            found.setdefault(("agent", span.agent or span.name), []).append(at)
        elif span.kind is SpanKind.TOOL:
            found.setdefault(("tool", span.name), []).append(at)
        elif span.kind is SpanKind.LLM:
            found.setdefault(("model", span.model or span.name), []).append(at)
    return found


def savings(
    steps: Steps, path: Iterable[Segment], groups: Mapping[Group, list[int]]
) -> dict[Group, tuple[int, int | None]]:
    """Return for each group of steps its part of the critical path, and what would be saved without it, both in ns.

    A group's part of the path, with all that is in its steps, is the most that can be saved. In a very large run the
    groups with the least of it are not played again once `WORK_LIMIT_STEPS` steps were looked at; theirs is ``None``.
    """
    within = [0] * (steps.whole + 1)
    for step, start_ns, end_ns in path:
        within[step] += end_ns - start_ns
    for step in reversed(steps.order):
        within[steps.parent[step]] += within[step]
    part = {name: sum(within[step] for step in outermost(steps, group)) for name, group in groups.items()}
    replay = Replay(steps)
    found: dict[Group, tuple[int, int | None]] = {}
    for name in sorted(groups, key=lambda name: (-part[name], name)):
        saved = 0 if part[name] == 0 else None if replay.work > WORK_LIMIT_STEPS else replay.saving(groups[name])
        found[name] = (part[name], saved)
    return found


def outermost(steps: Steps, group: Iterable[int]) -> list[int]:
    """Return the steps of a group that are not within another one of it."""
    members = set(group)
    if len(members) == 1 or members.isdisjoint(steps.below):
        return list(members)
    inside: dict[int, bool] = {steps.whole: False}
    found = []
    for step in sorted(members):
        above, way = steps.parent[step], []
        while above not in inside and above not in members:
            way.append(above)
            above = steps.parent[above]
        held = above in members or inside[above]
        inside.update(dict.fromkeys(way, held))
        if not held:
            found.append(step)
    return found
