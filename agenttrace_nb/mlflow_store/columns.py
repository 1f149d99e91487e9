"""The spans of many traces as columns: what a frame of them is made of, without an object for each span."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agenttrace_nb.spans import Span, Trace

FIELDS = (
    "span_id", "parent_id", "kind", "name", "agent", "role", "status", "error_type", "start_ns", "end_ns", "ttft_s",
    "input_tokens", "output_tokens", "cost_usd", "model",
)  # fmt: skip


@dataclass(slots=True)
class SpanColumns:
    """The spans of traces, one trace after the other.

    Attributes
    ----------
    traces
        The traces. Their own list of spans may be empty.
    sizes
        How many spans each has.
    of
        The values of all spans by the name of a field, as in `FIELDS`: kinds and statuses as texts, ``error_type``
        the type of the error.
    """

    traces: list[Trace] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    of: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in FIELDS})

    @classmethod
    def of_traces(cls, traces: Iterable[Trace]) -> SpanColumns:
        """Return the spans of traces that are there whole."""
        made = cls()
        for trace in traces:
            made.add_trace(trace)
        return made

    def add_trace(self, trace: Trace) -> None:
        """Add a trace that is there whole."""
        self.add(trace, [_values(span) for span in trace.spans])

    def add(self, trace: Trace, spans: Sequence[tuple[Any, ...]]) -> None:
        """Add a trace, with the values of each of its spans in the order of `FIELDS`."""
        self.traces.append(trace)
        self.sizes.append(len(spans))
        for values, column in zip(zip(*spans, strict=True), self.of.values(), strict=False):
            column.extend(values)

    def add_from(self, others: SpanColumns, trace: Trace, spans: slice) -> None:
        """Add a trace of others, whose spans are in this place there."""
        self.traces.append(trace)
        self.sizes.append(spans.stop - spans.start)
        for name, column in self.of.items():
            column.extend(others.of[name][spans])

    def last(self) -> slice:
        """Return the place of the spans of the trace that was added last."""
        end = len(self.of["span_id"])
        return slice(end - self.sizes[-1], end)

    def each(self) -> Iterable[tuple[Trace, slice]]:
        """Give each trace with the place of its spans in the columns."""
        at = 0
        for trace, size in zip(self.traces, self.sizes, strict=True):
            yield trace, slice(at, at + size)
            at += size


def _values(span: Span) -> tuple[Any, ...]:
    return (
        span.span_id, span.parent_id, span.kind.value, span.name, span.agent, span.role, span.status.value,
        span.error.type if span.error else None, span.start_ns, span.end_ns, span.ttft_s, span.input_tokens,
        span.output_tokens, span.cost_usd, span.model,
    )  # fmt: skip
