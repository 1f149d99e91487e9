"""A trace as the tree that is compared: children in order, turns opened up, one hash for each subtree."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.trace_diff.content import Content, content_of
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span, Trace


@dataclass(eq=False, slots=True)
class Node:
    """A step with its steps below it."""

    span: Span
    content: Content
    number: int
    parent: Node | None = None
    turn: Span | None = None
    below: list[Node] = field(default_factory=list)
    size: int = 1
    whole: bytes = b""


@dataclass(slots=True)
class Tree:
    """A trace's steps in reading order. Turns are no nodes: they only wrap, and are kept apart."""

    roots: list[Node]
    nodes: list[Node]
    turns: list[Span]


def tree_of(trace: Trace) -> Tree:
    """Return a trace as a tree; what hangs in a loop or below nothing is a root."""
    spans = sorted(trace.spans, key=lambda s: s.start_ns)  # stable: as recorded where several began at once
    by_id = {s.span_id: s for s in spans}
    wraps = {s.span_id: s for s in spans if s.kind is SpanKind.TURN}
    nodes = {s.span_id: Node(s, content_of(s), 0) for s in spans if s.span_id not in wraps}
    roots = []
    for node in nodes.values():
        above, node.turn = _above(node.span, by_id, wraps)
        if above is None:
            roots.append(node)
        else:
            node.parent = nodes[above.span_id]
            node.parent.below.append(node)
    ordered = _in_order(roots)
    if len(ordered) < len(nodes):  # loops
        reached = {node.span.span_id for node in ordered}
        lost = [node for node in nodes.values() if node.span.span_id not in reached]
        for node in lost:
            node.parent, node.below = None, []
        roots += lost
        ordered = _in_order(roots)
    for number, node in enumerate(ordered):
        node.number = number
    _hash(ordered)
    return Tree(roots, ordered, list(wraps.values()))


def _above(span: Span, by_id: dict[str, Span], wraps: dict[str, Span]) -> tuple[Span | None, Span | None]:
    """Return the nearest step above that is no turn, and the turn directly above."""
    turn = wraps.get(span.parent_id or "")
    seen = {span.span_id}
    above = by_id.get(span.parent_id or "")
    while above is not None and above.span_id in wraps and above.span_id not in seen:
        seen.add(above.span_id)
        above = by_id.get(above.parent_id or "")
    return (None if above is None or above.span_id in seen else above), turn


def _in_order(roots: list[Node]) -> list[Node]:
    ordered, stack, seen = [], list(reversed(roots)), set[int]()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        ordered.append(node)
        stack += reversed(node.below)
    return ordered


def _hash(ordered: list[Node]) -> None:
    for node in reversed(ordered):  # children come after their parents
        node.size = 1 + sum(child.size for child in node.below)
        parts = [node.content.digest, *(child.whole for child in node.below)]
        node.whole = hashlib.blake2b(b"".join(parts), digest_size=16).digest()
