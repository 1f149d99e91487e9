"""The difference of two traces: every step in exactly one class, in the order in which they are read."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.trace_diff.align import align, moved
from agenttrace_nb.analysis.trace_diff.tree import Node, Tree, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.spans import Span, Trace


class Class(StrEnum):
    """What became of a step from a to b."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a step that is not as it was: ``arguments``, ``result``, ``prompt``, ``answer``, ``error`` ..."""

    part: str
    before: str | None
    after: str | None


@dataclass(slots=True, eq=False)
class Step:
    """A step of either trace or of both.

    Attributes
    ----------
    kind
        What became of it.
    a, b
        The step in either trace; None where it is not there.
    depth
        How many steps it lies below the top, turns not counted.
    changes
        What is not as it was; a moved step can have changed too.
    """

    kind: Class
    a: Span | None
    b: Span | None
    depth: int
    changes: list[Change] = field(default_factory=list)

    @property
    def span(self) -> Span:
        """The step, in b where it is in both."""
        found = self.b if self.b is not None else self.a
        assert found is not None  # noqa: S101 - a step is in one of the two
        return found

    def delta(self, name: str) -> float | None:
        """Return by how much a figure (``duration_s``, ``input_tokens``, ``cost_usd`` ...) grew; None if unknown."""
        before, after = (None if s is None else getattr(s, name) for s in (self.a, self.b))
        if (self.a is not None and before is None) or (self.b is not None and after is None):
            return None
        return float(after or 0) - float(before or 0)


@dataclass(slots=True)
class StepDiff:
    """The difference of two traces.

    Attributes
    ----------
    a, b
        The traces.
    steps
        All steps but turns, in reading order: those of b, with the ones only in a where they were.
    turns
        The turns, classed by the steps in them.
    """

    a: Trace
    b: Trace
    steps: list[Step]
    turns: list[Step]

    @property
    def first(self) -> Step | None:
        """The first step that is not the same; None if all are."""
        return next((step for step in self.steps if step.kind is not Class.SAME), None)

    def counts(self) -> dict[Class, int]:
        """Return how many steps there are of each class, turns not counted."""
        of = Counter(step.kind for step in self.steps)
        return {kind: of[kind] for kind in Class}


def diff_steps(a: Trace, b: Trace) -> StepDiff:
    """Return the difference of two traces. ``diff_steps(b, a)`` is its mirror."""
    tree_a, tree_b = tree_of(a), tree_of(b)
    # Ties are broken in one order of the two, whichever way they were given.
    if _order(tree_a) <= _order(tree_b):
        pairs, shifted = _pairs(tree_a, tree_b)
        turns = _turns(tree_a, tree_b, [*pairs, *shifted])
    else:
        back, back_shifted = _pairs(tree_b, tree_a)
        pairs, shifted = [(y, x) for x, y in back], [(y, x) for x, y in back_shifted]
        turns = [_mirrored(step) for step in _turns(tree_b, tree_a, [*back, *back_shifted])]
    return StepDiff(a, b, list(_steps(tree_a, tree_b, pairs, shifted)), turns)


def _mirrored(turn: Step) -> Step:
    kind = Class.ADDED if turn.b is None else Class.REMOVED if turn.a is None else turn.kind
    return Step(kind, turn.b, turn.a, turn.depth)


def _order(tree: Tree) -> tuple[int, bytes]:
    return len(tree.nodes), hashlib.blake2b(b"".join(node.whole for node in tree.roots)).digest()


def _pairs(a: Tree, b: Tree) -> tuple[list[tuple[Node, Node]], list[tuple[Node, Node]]]:
    """Return which steps are the same ones in order, and which are elsewhere."""
    found: list[tuple[Node, Node]] = []
    stack = [(a.roots, b.roots)]
    while stack:
        for one, other in align(*stack.pop()):
            found.append((one, other))
            stack.append((one.below, other.below))
    used = {id(node) for pair in found for node in pair}
    left_a, left_b = ([n for n in tree.nodes if id(n) not in used] for tree in (a, b))
    return found, moved(left_a, left_b)


def _steps(a: Tree, b: Tree, pairs: list[tuple[Node, Node]], shifted: list[tuple[Node, Node]]) -> Iterator[Step]:
    """Give the steps of b in order, and those only in a before the first later step of a that is in both."""
    kind_of = {id(y): (x, Class.SAME) for x, y in pairs} | {id(y): (x, Class.MOVED) for x, y in shifted}
    gone = {id(x) for x, _ in (*pairs, *shifted)}
    in_order = {id(x) for x, _ in pairs}
    depth_a, depth_b = _depths(a), _depths(b)
    waiting = 0

    def before(place: int) -> Iterator[Step]:
        nonlocal waiting
        while waiting < place:
            node = a.nodes[waiting]
            waiting += 1
            if id(node) not in gone:
                yield Step(Class.REMOVED, node.span, None, depth_a[id(node)])

    for node in b.nodes:
        partner, kind = kind_of.get(id(node), (None, Class.ADDED))
        if partner is not None and id(partner) in in_order:
            yield from before(partner.number)
        changes = [] if partner is None else _changes(partner, node)
        if changes and kind is Class.SAME:
            kind = Class.CHANGED
        yield Step(kind, partner.span if partner else None, node.span, depth_b[id(node)], changes)
    yield from before(len(a.nodes))


def _depths(tree: Tree) -> dict[int, int]:
    depths: dict[int, int] = {}
    for node in tree.nodes:
        depths[id(node)] = 0 if node.parent is None else depths[id(node.parent)] + 1
    return depths


def _changes(a: Node, b: Node) -> list[Change]:
    found = []
    if a.span.name != b.span.name and a.content.signature[1] != b.content.signature[1]:
        found.append(Change("name", a.span.name, b.span.name))
    if a.span.agent != b.span.agent:
        found.append(Change("agent", a.span.agent, b.span.agent))
    before, after = a.content.parts, b.content.parts
    if before != after:
        names = dict.fromkeys([*before, *after])
        found += [Change(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]
    return found


def _turns(a: Tree, b: Tree, pairs: list[tuple[Node, Node]]) -> list[Step]:
    """Class the turns: they are the same by the first step in them that is in both; empty ones by name and order."""
    partner: dict[str, Span] = {}
    taken: set[str] = set()
    for one, other in sorted(pairs, key=lambda pair: pair[1].number):
        x, y = one.turn, other.turn
        if x is not None and y is not None and x.span_id not in taken and y.span_id not in partner:
            partner[y.span_id] = x
            taken.add(x.span_id)
    full = {node.turn.span_id for tree in (a, b) for node in tree.nodes if node.turn is not None}
    empty: dict[str, list[Span]] = {}
    for x in reversed(a.turns):
        if x.span_id not in full:
            empty.setdefault(x.name, []).append(x)
    for y in b.turns:
        if y.span_id not in full and empty.get(y.name):
            partner[y.span_id] = empty[y.name].pop()
            taken.add(partner[y.span_id].span_id)
    steps = [Step(Class.SAME if y.span_id in partner else Class.ADDED, partner.get(y.span_id), y, 0) for y in b.turns]
    return steps + [Step(Class.REMOVED, x, None, 0) for x in a.turns if x.span_id not in taken]
