"""Which step of one tree is which of the other: children aligned in order, bounded for very many of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from agenttrace_nb.analysis.trace_diff.tree import Node

_COMPARED_PAIRS = 40_000
_LOOK_AHEAD = 40
_LEAST = 1.0  # below it two steps are not the same one

Pairs = list[tuple["Node", "Node"]]


def align(a: Sequence[Node], b: Sequence[Node]) -> Pairs:
    """Return which steps of two lists are the same ones, in order; a step stands in one pair at most.

    Steps that are alike whole and occur once on either side are anchors. Between anchors every step is compared with
    every other one (Needleman and Wunsch 1970, J. Mol. Biol. 48, 443), unless that were too many: then each goes to
    the next one that has its kind, name and agent.
    """
    start = _equal_run(a, b)
    end = _equal_run(a[start:][::-1], b[start:][::-1])
    pairs = list(zip(a[:start], b[:start], strict=True))
    inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
    anchors = _anchors(inner_a, inner_b)
    at, bt = 0, 0
    for i, j in [*anchors, (len(inner_a), len(inner_b))]:
        pairs += _between(inner_a[at:i], inner_b[bt:j])
        if i < len(inner_a):
            pairs.append((inner_a[i], inner_b[j]))
        at, bt = i + 1, j + 1
    if end:
        pairs += zip(a[-end:], b[-end:], strict=True)
    return pairs


def moved(a: Sequence[Node], b: Sequence[Node]) -> Pairs:
    """Return which steps that found no partner in order are the same ones elsewhere, by what they were given."""
    pairs: Pairs = []
    used: set[int] = set()
    for key in (_whole, _given):
        waiting: dict[Hashable, list[Node]] = {}
        for node in reversed(b):
            if id(node) not in used:
                waiting.setdefault(key(node), []).append(node)
        for node in a:
            if id(node) in used or not waiting.get(key(node)):
                continue
            other = waiting[key(node)].pop()
            pairs.append((node, other))
            used |= {id(node), id(other)}
    return pairs


def _whole(node: Node) -> Hashable:
    return node.whole


def _given(node: Node) -> Hashable:
    parts = node.content.parts
    given = next((parts[name] for name in ("arguments", "to", "input") if name in parts), None)
    # A step without content of its own is told by what is below it only; without that it is any step of its name.
    kind, name, _ = node.content.signature  # another agent may have done it
    return (kind, name, given) if given is not None else (node.content.signature, node.whole)


def _equal_run(a: Sequence[Node], b: Sequence[Node]) -> int:
    length = 0
    for one, other in zip(a, b, strict=False):
        if one.whole != other.whole:
            break
        length += 1
    return length


def _anchors(a: Sequence[Node], b: Sequence[Node]) -> list[tuple[int, int]]:
    """Return places of steps that occur once on both sides, in the order that keeps most of them."""
    once_a, once_b = (Counter(node.whole for node in side) for side in (a, b))
    place = {node.whole: j for j, node in enumerate(b) if once_b[node.whole] == 1}
    both = [(i, place[node.whole]) for i, node in enumerate(a) if once_a[node.whole] == 1 and node.whole in place]
    # Longest increasing run of places, by patience sorting.
    tops: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for n, (_, j) in enumerate(both):
        pile = bisect_left(tops, j)
        tops[pile : pile + 1] = [j]
        last[pile : pile + 1] = [n]
        before.append(last[pile - 1] if pile else -1)
    found = []
    n = last[-1] if last else -1
    while n >= 0:
        found.append(both[n])
        n = before[n]
    return found[::-1]


def _between(a: Sequence[Node], b: Sequence[Node]) -> Pairs:
    if not a or not b:
        return []
    return _best(a, b, _score) if len(a) * len(b) <= _COMPARED_PAIRS else _next_of_its_kind(a, b)


def _best(a: Sequence[Node], b: Sequence[Node], score: Callable[[Node, Node], float]) -> Pairs:
    """Return the pairs in order whose scores add up to most."""
    n, m = len(a), len(b)
    scores = [[score(one, other) for other in b] for one in a]
    total = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        row, below = total[i], total[i + 1]
        for j in range(m - 1, -1, -1):
            s = scores[i][j]
            row[j] = max(below[j], row[j + 1], below[j + 1] + s if s >= _LEAST else 0.0)
    pairs: Pairs = []
    i = j = 0
    while i < n and j < m:
        s = scores[i][j]
        if s >= _LEAST and total[i][j] == total[i + 1][j + 1] + s:
            pairs.append((a[i], b[j]))
            i, j = i + 1, j + 1
        elif total[i][j] == total[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _score(one: Node, other: Node) -> float:
    """Return how much two steps are one and the same; below 1 they are not."""
    kind, name, agent = one.content.signature
    other_kind, other_name, other_agent = other.content.signature
    if kind != other_kind or (name != other_name and one.span.kind.value != "workflow"):
        return 0.0
    if one.whole == other.whole:
        return 5.0
    alike = one.content.likeness(other.content)
    sizes = min(one.size, other.size) / max(one.size, other.size)
    return 1.0 + (agent == other_agent) + 2 * alike + 0.5 * sizes


def _next_of_its_kind(a: Sequence[Node], b: Sequence[Node]) -> Pairs:
    pairs: Pairs = []
    at = 0
    for node in a:
        near = range(at, min(at + _LOOK_AHEAD, len(b)))
        found = next((j for j in near if b[j].content.signature == node.content.signature), None)
        if found is not None:
            pairs.append((node, b[found]))
            at = found + 1
    return pairs
