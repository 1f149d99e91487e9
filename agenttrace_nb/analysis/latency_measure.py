"""One trace, or all traces of a run, measured. Light: loads neither pandas nor NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.analysis import latency_steps
from agenttrace_nb.analysis.latency_savings import groups_of, savings
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.latency_savings import Group
    from agenttrace_nb.analysis.latency_steps import Segment, Steps
    from agenttrace_nb.spans import Span

WRAPPERS = frozenset({SpanKind.WORKFLOW, SpanKind.AGENT, SpanKind.TURN})
"""Steps that only hold others: their own time is the SDK's, the caller's code, or waiting."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One trace, measured. Times in ns.

    Attributes
    ----------
    steps
        Its spans as a clipped tree.
    self_ns, critical_ns
        What each span took by itself, and how much of the critical path that is; ``None`` where not known.
    path
        The critical path, in order of time; empty where the trace has no end.
    groups
        Numbers of the spans of each agent, tool and model.
    saved
        For each group its part of the critical path, and what would be saved without it.
    """

    spans: Sequence[Span]
    steps: Steps
    self_ns: list[int | None]
    critical_ns: list[int | None]
    path: list[Segment]
    groups: dict[Group, list[int]]
    saved: dict[Group, tuple[int, int | None]]

    @property
    def total_ns(self) -> int | None:
        """From the start of the first span to the end of the last one at the top."""
        return self.steps.total_ns

    def waits(self, step: int) -> bool:
        """Tell whether a step's own time is waiting: nothing was recorded that it could be for."""
        whole = step == self.steps.whole
        return whole or (self.spans[step].kind in WRAPPERS and step in self.steps.below)


def timed(spans: Sequence[Span], parents: Sequence[int] | None = None) -> Timed:
    """Measure spans, of one trace or of all traces of a run.

    Parameters
    ----------
    spans
        The spans, in any order.
    parents
        For each span the number of its parent, -1 for none; worked out from the spans' ids where it is not given.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> trace = Trace.from_messages([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
    >>> timed(trace.spans).critical_ns
    [1, 1]
    """
    steps = _laid_out(spans, parents)
    path = latency_steps.critical_path(steps)
    groups = groups_of(spans)
    return Timed(
        spans=spans,
        steps=steps,
        self_ns=latency_steps.self_times(steps),
        critical_ns=latency_steps.on_path(steps, path),
        path=path,
        groups=groups,
        saved=savings(steps, path, groups) if path else {},
    )


def own_times(spans: Sequence[Span]) -> tuple[list[int | None], list[int | None]]:
    """Return for each span of a trace what it took by itself, and how much of the critical path that is, in ns."""
    steps = _laid_out(spans, None)
    return latency_steps.self_times(steps), latency_steps.on_path(steps, latency_steps.critical_path(steps))


def _laid_out(spans: Sequence[Span], parents: Sequence[int] | None) -> Steps:
    starts, ends = [s.start_ns for s in spans], [s.end_ns for s in spans]
    return latency_steps.lay_out(starts, ends, latency_steps.parents_of(spans) if parents is None else parents)
