"""The run of the mean: where in a run each step lies and how long it takes, over all runs that have it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from agenttrace_nb.spans import NS_PER_S, SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agenttrace_nb.spans import Span, Trace

DRAWN = (SpanKind.AGENT, SpanKind.LLM, SpanKind.TOOL, SpanKind.MCP, SpanKind.HANDOFF, SpanKind.GUARDRAIL)


@dataclass(frozen=True, slots=True)
class MeanStep:
    """One step over many runs. Means are over the runs that have it.

    Attributes
    ----------
    name
        The agent, the tool or the model.
    nth
        Whether it is the first, second ... step of that name and agent in its run.
    runs, of
        How many runs have it, of how many.
    start_s
        Mean time from the start of the run.
    duration_s
        Mean duration.
    """

    kind: SpanKind
    name: str
    agent: str | None
    nth: int
    runs: int
    of: int
    start_s: float
    duration_s: float

    @property
    def label(self) -> str:
        """What it is, in words."""
        return self.name + (f" ({self.nth})" if self.nth > 1 else "")


def mean_steps(traces: Iterable[Trace]) -> list[MeanStep]:
    """Return the steps of a mean run in order of their mean start; only steps that ended, of runs that did.

    Steps are told apart by kind, name, agent and which of them it is in its run: the second search of one run is set
    beside the second search of another.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> rows = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    >>> [(step.label, step.runs, step.of) for step in mean_steps([Trace.from_messages(rows)] * 2)]
    [('llm', 2, 2)]
    """
    listed = [trace for trace in traces if trace.end_ns is not None]
    found: dict[tuple[SpanKind, str, str | None, int], list[tuple[float, float]]] = defaultdict(list)
    for trace in listed:
        seen: Counter[tuple[SpanKind, str, str | None]] = Counter()
        for span in sorted(trace.spans, key=lambda span: span.start_ns):
            if span.kind not in DRAWN or span.duration_s is None:
                continue
            what = (span.kind, _name(span), span.agent)
            seen[what] += 1
            after_s = max(0.0, (span.start_ns - trace.start_ns) / NS_PER_S)
            found[*what, seen[what]].append((after_s, max(0.0, span.duration_s)))
    steps = [
        MeanStep(*what, len(times), len(listed), fmean(at for at, _ in times), fmean(took for _, took in times))
        for what, times in found.items()
    ]
    return sorted(steps, key=lambda step: (step.start_s, -step.duration_s, step.label))


def _name(span: Span) -> str:
    return (span.model if span.kind is SpanKind.LLM else None) or span.name
