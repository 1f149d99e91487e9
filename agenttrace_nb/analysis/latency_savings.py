"""What would be saved if some steps took no time: the recorded run, played again with them gone.

Who waits for whom is read from the recording: a step began when the last of its siblings that had ended before it had
ended, plus what its parent then took by itself; that gap stays. A saving is therefore what is achievable, not a share:
where another step runs beside, its end becomes the one that is waited for. A step never waits for fewer siblings than
it seems to, so savings are rather too small than too large.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agenttrace_nb.analysis.latency_steps import Segment, Steps
    from agenttrace_nb.spans import Span

WORK_LIMIT_STEPS = 500_000
Group = tuple[str, str]
"""What a group of steps has in common: ``agent``, ``tool`` or ``model``, and its name."""


@dataclass(slots=True)
class _Bunch:
    """Steps under one parent that overlap, or are held together by ones that do: waited for as a whole.

    ``members`` are by start. Before each, ``heard[i]`` of ``ending``, the members by end, had ended; it began as much
    after the last of them as to make, with what it took, ``taken[i]``. Empty where none had ended before another began.
    """

    members: list[int]
    begin: int
    end: int
    ending: list[int] | None = None
    heard: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)


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
        # In the replay a step is known by its place in the order of reading: what holds it has a smaller one.
        order = steps.order
        self._place = place = [0] * (steps.whole + 1)
        for at, step in enumerate(order, 1):
            place[step] = at
        self._up = [0, *(place[steps.parent[step]] for step in order)]
        self._start = [steps.start[steps.whole], *(steps.start[step] for step in order)]
        self._end = [steps.end[steps.whole], *(steps.end[step] for step in order)]
        self._bunch = self._bunches()

    def saving(self, gone: Iterable[int]) -> int:
        """Return how many ns sooner the whole would end if these steps, with all that is in them, took no time."""
        up, start, end, bunch_of, place = self._up, self._start, self._end, self._bunch, self._place
        absent = {place[step] for step in gone}
        touched = {0}
        for at in absent:
            above = at
            while above not in touched:
                touched.add(above)
                above = up[above]
        self.work += len(touched)
        shorter = dict.fromkeys(touched, 0)
        changed: dict[int, dict[int, _Bunch]] = {}
        for at in sorted(touched, reverse=True):
            if at in absent:
                less = end[at] - start[at]
            else:
                less = shorter[at]
                if at in changed:  # bunches do not overlap, so what each gains adds up
                    less += sum(self._gain(bunch, shorter) for bunch in changed[at].values())
            shorter[at] = less
            if less and at:
                bunch = bunch_of.get(at)
                if bunch is None:  # one after the other, as nearly always
                    shorter[up[at]] += less
                else:
                    changed.setdefault(up[at], {})[bunch.begin] = bunch
        return shorter[0]

    def _bunches(self) -> dict[int, _Bunch]:
        found: dict[int, _Bunch] = {}
        start, end, place = self._start, self._end, self._place
        for inner in self._steps.below.values():
            if len(inner) < 2:  # noqa: PLR2004 - alone, or given up to the top
                continue
            bunch: list[int] = []
            begin = reach = start[place[inner[0]]]
            for at in (*map(place.__getitem__, inner), 0):
                if at == 0 or start[at] >= reach:
                    if len(bunch) > 1:
                        found.update(dict.fromkeys(bunch, _Bunch(bunch, begin, reach)))
                    bunch, begin, reach = [], start[at], end[at]
                bunch.append(at)
                reach = max(reach, end[at])
        return found

    def _gain(self, bunch: _Bunch, shorter: Mapping[int, int]) -> int:
        self.work += len(bunch.members)
        if bunch.ending is None:
            self._hear(bunch)
        if not bunch.heard:
            end = self._end
            return bunch.end - max([end[at] - shorter.get(at, 0) for at in bunch.members])
        new_end: dict[int, int] = {}
        latest = after = bunch.begin  # the last end that a step could have waited for
        told, ending = 0, bunch.ending or []
        for at, heard, taken in zip(bunch.members, bunch.heard, bunch.taken, strict=True):
            while told < heard:
                after = max(after, new_end[ending[told]])
                told += 1
            new_end[at] = ended = after + taken - shorter.get(at, 0)
            latest = max(latest, ended)
        return bunch.end - latest

    def _hear(self, bunch: _Bunch) -> None:
        start, end = self._start, self._end
        bunch.ending = ending = sorted(bunch.members, key=end.__getitem__)
        if end[ending[0]] > start[bunch.members[-1]]:
            return
        begun: set[int] = set()
        before, told = bunch.begin, 0
        for at in bunch.members:
            while end[ending[told]] <= start[at] and ending[told] in begun:
                before = max(before, end[ending[told]])
                told += 1
            begun.add(at)
            bunch.heard.append(told)
            bunch.taken.append(end[at] - before)


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
