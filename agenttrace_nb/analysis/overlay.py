"""Many traces as one graph: which step follows which, how often, and with which success."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agenttrace_nb.spans import Span, Trace

START, END = "start", "end"
_STEPS = frozenset({SpanKind.AGENT, SpanKind.TOOL, SpanKind.GUARDRAIL, SpanKind.MCP})


@dataclass(slots=True)
class Passed:
    """Runs that took a step or a way, and what became of them; unknown success counts in neither."""

    traces: set[str] = field(default_factory=set)
    times: int = 0
    succeeded: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class StepGraph:
    """The graph of many traces.

    Attributes
    ----------
    runs
        How many traces are in it.
    nodes
        What happened at each step, by its label.
    edges
        What happened on each way from one step to the next, by both labels.
    place
        Where on its way a trace comes to a step, as a mean: 0 at the start.
    kinds
        The kind of each step.
    """

    runs: int
    nodes: dict[str, Passed]
    edges: dict[tuple[str, str], Passed]
    place: dict[str, float]
    kinds: dict[str, str]

    def branches(self) -> Iterator[tuple[str, list[tuple[str, Passed]]]]:
        """Give the steps after which runs go different ways, with the ways, most taken first."""
        after: dict[str, list[tuple[str, Passed]]] = defaultdict(list)
        for (one, other), passed in self.edges.items():
            after[one].append((other, passed))
        for step in sorted(after, key=lambda s: (self.place[s], s)):
            if len(after[step]) > 1:
                yield step, sorted(after[step], key=lambda way: (-len(way[1].traces), way[0]))


def step_graph(traces: Iterable[Trace], success: dict[str, bool | None]) -> StepGraph:
    """Return the graph of traces: agents, tools and guardrails, in the order in which they began.

    Parameters
    ----------
    traces
        The traces.
    success
        Whether each of them succeeded, by trace id; None where that is unknown.
    """
    nodes: dict[str, Passed] = defaultdict(Passed)
    edges: dict[tuple[str, str], Passed] = defaultdict(Passed)
    places: dict[str, list[int]] = defaultdict(list)
    kinds = {START: "", END: ""}
    runs = 0
    for trace in traces:
        runs += 1
        steps = [s for s in sorted(trace.spans, key=lambda s: s.start_ns) if s.kind in _STEPS]
        path = [START, *(label(s) for s in steps), END]
        kinds.update({label(s): s.kind.value for s in steps})
        seen = Counter[str]()
        for at, step in enumerate(path):
            if not seen[step]:
                places[step].append(at)
            seen[step] += 1
            _pass(nodes[step], trace, success)
        for way in itertools.pairwise(path):
            _pass(edges[way], trace, success)
    place = {step: sum(of) / len(of) for step, of in places.items()}
    return StepGraph(runs, dict(nodes), dict(edges), place, kinds)


def label(span: Span) -> str:
    """Return the name under which a step stands in the graph: a failed tool call is a step of its own."""
    failed = " ✕" if span.status is Status.ERROR and span.kind is not SpanKind.AGENT else ""
    inside = f"{span.agent}: " if span.agent and span.kind is not SpanKind.AGENT else ""
    return f"{inside}{span.name}{failed}"


def _pass(passed: Passed, trace: Trace, success: dict[str, bool | None]) -> None:
    passed.traces.add(trace.trace_id)
    passed.times += 1
    said = success.get(trace.trace_id)
    if said is not None:
        (passed.succeeded if said else passed.failed).add(trace.trace_id)
