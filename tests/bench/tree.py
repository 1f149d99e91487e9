"""Golden trees: a call tree as indented text, in the words of the design, and how one is compared.

    workflow "Agent workflow" ok
      agent Triage ok
        turn 1 ok
          llm gpt-4o-mini ok
          handoff Triage → Billing ok

A line is *kind name status*. A trace is a ``workflow``, named as the trace; what the SDK calls a task is no line of its
own, its children hang under its parent. The agent of a span is the nearest agent above it.

Statuses: a span is ``error`` if an exception left it or if that which it stands for failed (a tool that raised or timed
out, although the model was told politely and the run went on; a guardrail that tripped); ``cancelled`` if its caller
stopped it; else ``ok``.

Marks before the kind: ``~`` began at the same time as its neighbours, so that the order among the siblings is free;
``+`` the SDK opens no span for it.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE = re.compile(r'(?P<indent> *)(?P<marks>[~+ ]*)(?P<kind>\w+) (?P<name>"[^"]*"|.+?) (?P<status>\w+)')
INDENT = 2
STATUSES = frozenset({"ok", "error", "cancelled"})
Columns = tuple[Literal["status", "agent"], ...]


@dataclass
class Node:
    """One line of a golden tree with what hangs below it."""

    kind: str
    name: str
    status: str
    agent: str | None = None
    children: list[Node] = field(default_factory=list)
    any_order: bool = False
    beyond_sdk: bool = False

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, from the top down."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(text: str) -> list[Node]:
    """Read a golden text.

    Raises
    ------
    ValueError
        If a line is not *kind name status* or is indented by something that is not there.
    """
    roots: list[Node] = []
    path: list[Node] = []
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(line)
        depth = len(match["indent"]) // INDENT if match else -1
        if match is None or match["status"] not in STATUSES or len(match["indent"]) % INDENT or depth > len(path):
            raise ValueError(f"not a line of a golden tree: {line!r}")
        del path[depth:]
        name = match["name"].strip('"')
        above = path[-1].agent if path else None
        node = Node(match["kind"], name, match["status"], name if match["kind"] == "agent" else above)
        node.any_order, node.beyond_sdk = "~" in match["marks"], "+" in match["marks"]
        (path[-1].children if path else roots).append(node)
        path.append(node)
    return roots


def render(nodes: Iterable[Node], depth: int = 0, columns: Columns = ("status",)) -> str:
    """Write trees as golden text without marks; ``columns`` says what stands behind kind and name."""
    lines = []
    for node in nodes:
        name = f'"{node.name}"' if node.kind == "workflow" else node.name
        shown = {"status": f" {node.status}", "agent": f" @{node.agent}" if node.agent else ""}
        lines.append(" " * INDENT * depth + f"{node.kind} {name}" + "".join(shown[c] for c in columns) + "\n")
        lines.append(render(node.children, depth + 1, columns))
    return "".join(lines)


def build(rows: Iterable[tuple[str, str | None, str, str, str | None, str]]) -> list[Node]:
    """Build trees from recorded spans in the order of their start.

    Parameters
    ----------
    rows
        ``(span id, parent's id, kind, name, agent, status)``. A span whose parent is not among them is a root.
    """
    nodes: dict[str, Node] = {}
    roots: list[Node] = []
    for span_id, parent_id, kind, name, agent, status in rows:
        node = nodes[span_id] = Node(kind, name, status, agent)
        parent = nodes.get(parent_id) if parent_id else None
        (parent.children if parent else roots).append(node)
    return roots


def without(nodes: Iterable[Node], kinds: Iterable[str]) -> list[Node]:
    """Return the trees without spans of some kinds and what is below them."""
    unwanted = frozenset(kinds)
    return [replace(node, children=without(node.children, unwanted)) for node in nodes if node.kind not in unwanted]


def difference(expected: str | list[Node], actual: Iterable[Node], columns: Columns = ("status", "agent")) -> str:
    """Return how recorded trees differ from a golden tree as a unified diff; empty if they do not.

    Where the golden tree leaves the order free, both sides are sorted before they are compared.
    """
    golden = parse(expected) if isinstance(expected, str) else expected
    wanted, got = _aligned(golden, list(actual), columns)
    before, after = (render(nodes, columns=columns).splitlines(keepends=True) for nodes in (wanted, got))
    return "".join(difflib.unified_diff(before, after, "expected", "recorded"))


def _aligned(golden: list[Node], actual: list[Node], columns: Columns) -> tuple[list[Node], list[Node]]:
    if any(node.any_order for node in golden):
        golden = sorted(golden, key=lambda node: render([node], columns=columns))
        actual = sorted(actual, key=lambda node: render([node], columns=columns))
    pairs = [_aligned(wanted.children, got.children, columns) for wanted, got in zip(golden, actual, strict=False)]
    wanted = [replace(node, children=pair[0]) for node, pair in zip(golden, pairs, strict=False)]
    got = [replace(node, children=pair[1]) for node, pair in zip(actual, pairs, strict=False)]
    return wanted + golden[len(pairs) :], got + actual[len(pairs) :]
