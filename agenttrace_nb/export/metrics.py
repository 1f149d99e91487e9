"""What ended, as metrics with bounded series: durations, tokens, cost, runs and errors.

A handler of metrics keeps a `MetricBook` and gives it every batch::

    book.take(batch)  # an item that comes twice is counted once
    now = book.snapshot()  # since the book was opened: what Prometheus and cumulative OTLP want
    since = now.since(self._sent)  # what was added after an earlier snapshot: delta OTLP, statsd
    ...  # send it
    self._sent = now  # only once it arrived: what did not is in the next difference

Labels are taken from a short list, none of which is an id or a text that somebody wrote for reading. A label has at
most 200 values and a metric at most 2,000 series; what comes after that is counted under ``_other``.
"""

from __future__ import annotations

import bisect
import math
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agenttrace_nb.export.handler import Moment
from agenttrace_nb.export.prices import cost_of
from agenttrace_nb.spans import NS_PER_S, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agenttrace_nb.export.handler import Item
    from agenttrace_nb.spans import Span

BOUNDS_S = tuple(0.01 * 2**n for n in range(14))
"""Upper bounds of the buckets of a duration, in seconds: 0.01 to 81.92, doubling. A last bucket takes the rest."""

MAX_VALUES = 200
"""So many values a label has at most."""

MAX_SERIES = 2_000
"""So many series a metric has at most."""

OTHER = "_other"
"""The value of a label that has no room for another one."""

UNTYPED = "_OTHER"
"""The type of an error of which no type is known; OpenTelemetry's word."""

_REMEMBERED = 200_000
_VALUE_CHARS = 100
_TYPE = re.compile(r"[A-Za-z_][\w.]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured.

    Attributes
    ----------
    name
        In OpenTelemetry's form, with dots. The GenAI ones are of its conventions, the others are ours.
    unit
        In UCUM, as OpenTelemetry has it: ``s``, ``{token}``, ``{run}`` ...
    labels
        Names of the labels, in order.
    """

    name: str
    kind: Literal["counter", "histogram"]
    unit: str
    about: str
    labels: tuple[str, ...]


AGENT_DURATION = Metric(
    "gen_ai.invoke_agent.duration", "histogram", "s", "Duration of an agent's turn at work", ("agent", "arch", "status")
)
TOOL_DURATION = Metric(
    "gen_ai.execute_tool.duration", "histogram", "s", "Duration of a tool call", ("tool", "agent", "arch", "status")
)
CALL_DURATION = Metric(
    "gen_ai.client.operation.duration", "histogram", "s", "Duration of a model call",
    ("model", "agent", "arch", "status"),
)  # fmt: skip
RUN_DURATION = Metric("agenttrace.run.duration", "histogram", "s", "Duration of a traced cell", ("arch", "status"))
RUNS = Metric("agenttrace.runs", "counter", "{run}", "Traced cells that ended", ("arch", "status"))
TOKENS = Metric(
    "agenttrace.tokens", "counter", "{token}",
    "Tokens of model calls; kinds cached and reasoning are parts of input and output",
    ("kind", "model", "agent", "arch"),
)  # fmt: skip
COST = Metric("agenttrace.cost", "counter", "USD", "Cost of model calls where it is known", ("model", "agent", "arch"))
ERRORS = Metric(
    "agenttrace.errors", "counter", "{error}", "Steps in which an error began",
    ("kind", "agent", "tool", "type", "arch"),
)  # fmt: skip
TESTS = Metric("agenttrace.tests", "counter", "{item}", "Items that a user sent to see whether they arrive", ())

METRICS = (AGENT_DURATION, TOOL_DURATION, CALL_DURATION, RUN_DURATION, RUNS, TOKENS, COST, ERRORS, TESTS)

_DURATIONS = {SpanKind.AGENT: AGENT_DURATION, SpanKind.TOOL: TOOL_DURATION, SpanKind.LLM: CALL_DURATION}
_TOKEN_FIELDS = {
    "input": "input_tokens", "output": "output_tokens", "cached": "cached_tokens", "reasoning": "reasoning_tokens",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was measured: an amount for a counter, a value for a histogram."""

    metric: Metric
    labels: tuple[str, ...]
    value: float
    time_ns: int
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation behind a number: where to look."""

    value: float
    trace_id: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Point:
    """A series at one moment.

    Attributes
    ----------
    value
        The amount of a counter; the sum of a histogram.
    counts
        How many values of a histogram fell into each bucket of `BOUNDS_S`, the last into none of them; empty for a
        counter.
    exemplars
        The last observation behind a counter, or behind each bucket that has one, by its place.
    """

    value: float
    counts: tuple[int, ...] = ()
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many values a histogram has."""
        return sum(self.counts)

    def minus(self, earlier: Point) -> Point | None:
        """Return what was added, ``None`` if nothing was."""
        counts = tuple(now - before for now, before in zip(self.counts, earlier.counts, strict=True))
        value = self.value - earlier.value
        if not any(counts) and not value:
            return None
        new = {at: e for at, e in self.exemplars.items() if earlier.exemplars.get(at) != e}
        return Point(value, counts, new)


Series = dict[tuple[str, ...], Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All series at one moment.

    Attributes
    ----------
    start_ns, time_ns
        The time that it stands for, nanoseconds since the Unix epoch.
    series
        Points by metric and by the values of its labels; ``""`` is a value that is not known.
    """

    start_ns: int
    time_ns: int
    series: Mapping[Metric, Series]

    def since(self, earlier: Snapshot | None) -> Snapshot:
        """Return what was added after an earlier snapshot of the same book; all of it if there is none."""
        if earlier is None:
            return self
        added: dict[Metric, Series] = {}
        for metric, series in self.series.items():
            before = earlier.series.get(metric, {})
            for labels, point in series.items():
                new = point.minus(before[labels]) if labels in before else point
                if new is not None:
                    added.setdefault(metric, {})[labels] = new
        return Snapshot(start_ns=earlier.time_ns, time_ns=self.time_ns, series=added)


@dataclass(slots=True)
class _Running:
    value: float = 0.0
    counts: list[int] = field(default_factory=list)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def add(self, seen: Observation) -> None:
        self.value += seen.value
        at = 0
        if seen.metric.kind == "histogram":
            self.counts = self.counts or [0] * (len(BOUNDS_S) + 1)
            at = bisect.bisect_left(BOUNDS_S, seen.value)
            self.counts[at] += 1
        if seen.trace_id is not None:
            self.exemplars[at] = Exemplar(seen.value, seen.trace_id, seen.time_ns)

    def point(self) -> Point:
        return Point(self.value, tuple(self.counts), dict(self.exemplars))


class MetricBook:
    """Counts what ended. Safe to read from other threads while it takes.

    Attributes
    ----------
    refused
        How many amounts were left out because they are no finite number from 0.

    Examples
    --------
    >>> from agenttrace_nb.export.handler import Item
    >>> from agenttrace_nb.spans import CellRun
    >>> run = CellRun(key="k", name="cell", start_ns=0, end_ns=NS_PER_S, status=Status.OK, arch="triage")
    >>> book, item = MetricBook(), Item(moment=Moment.RUN, event_id="run:k", run=run)
    >>> taken = book.take((item, item))
    >>> book.snapshot().series[RUNS]
    {('triage', 'ok'): Point(value=1.0, counts=(), exemplars={})}
    """

    def __init__(self) -> None:
        self._start_ns = time.time_ns()
        self._series: dict[Metric, dict[tuple[str, ...], _Running]] = {metric: {} for metric in METRICS}
        self._values: dict[str, set[str]] = {}
        self._seen: dict[int, None] = {}
        self._explained: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self.refused = 0

    def take(self, batch: Iterable[Item]) -> list[Observation]:
        """Count what is in a batch; return what was new in it, with its labels as they were bounded."""
        taken = []
        # Before anybody is kept waiting: the first price takes seconds
        costs = [(item, cost_of(item.span) if item.span is not None else None) for item in batch]
        with self._lock:
            for item, cost_usd in costs:
                if self._is_new(item.event_id):
                    for seen in self._observed(item, cost_usd):
                        if math.isfinite(seen.value) and seen.value >= 0:
                            taken.append(self._count(seen))
                        else:
                            self.refused += 1
        return taken

    def snapshot(self) -> Snapshot:
        """Return all series as they are now."""
        with self._lock:
            series = {
                metric: {labels: running.point() for labels, running in found.items()}
                for metric, found in self._series.items()
                if found
            }
            return Snapshot(start_ns=self._start_ns, time_ns=time.time_ns(), series=series)

    # -- what an item tells ------------------------------------------------------------------------------------

    def _is_new(self, event_id: str) -> bool:
        mark = hash(event_id)  # 64 bits: as good as the text, and small
        if mark in self._seen:
            return False
        self._seen[mark] = None
        _forget_first(self._seen)
        return True

    def _observed(self, item: Item, cost_usd: float | None) -> Iterator[Observation]:
        if item.moment is Moment.TEST:
            yield Observation(TESTS, (), 1.0, time.time_ns())
        elif item.moment is Moment.ALERT:
            return  # its rule is free text: no label, and no step of an agent
        elif item.moment is Moment.RUN and item.run is not None:
            run = item.run
            end_ns, labels = run.end_ns or run.start_ns, (run.arch or "", run.status.value)
            trace_id = run.trace_ids[-1] if run.trace_ids else None
            yield Observation(RUNS, labels, 1.0, end_ns, trace_id)
            yield Observation(RUN_DURATION, labels, (end_ns - run.start_ns) / NS_PER_S, end_ns, trace_id)
        elif item.span is not None:
            arch = item.run.arch if item.run else item.trace.tags.get("arch") if item.trace else None
            yield from self._of_span(item.span, arch or "", cost_usd)

    def _of_span(self, span: Span, arch: str, cost_usd: float | None) -> Iterator[Observation]:
        end_ns = span.end_ns if span.end_ns is not None else span.start_ns
        agent, model = span.agent or "", span.model or ""
        if span.kind in _DURATIONS:
            whose = {SpanKind.AGENT: (agent or span.name,), SpanKind.TOOL: (span.name, agent)}
            labels = (*whose.get(span.kind, (model, agent)), arch, span.status.value)
            seconds = (end_ns - span.start_ns) / NS_PER_S
            yield Observation(_DURATIONS[span.kind], labels, seconds, end_ns, span.trace_id)
        if span.kind is SpanKind.LLM:
            for kind, name in _TOKEN_FIELDS.items():
                if amount := getattr(span, name):
                    yield Observation(TOKENS, (kind, model, agent, arch), float(amount), end_ns, span.trace_id)
            if cost_usd:
                yield Observation(COST, (model, agent, arch), cost_usd, end_ns, span.trace_id)
        if span.status is Status.ERROR and self._begins_here(span):
            tool = span.name if span.kind is SpanKind.TOOL else ""
            labels = (span.kind.value, agent, tool, _error_type(span), arch)
            yield Observation(ERRORS, labels, 1.0, end_ns, span.trace_id)

    def _begins_here(self, span: Span) -> bool:
        """Tell whether an error began in a span: a failure that only passes through it was counted below."""
        below = self._explained.pop((span.trace_id, span.span_id), None)
        here = span.error.type if span.error else None
        if span.parent_id is not None:
            self._explained[span.trace_id, span.parent_id] = here or below or UNTYPED
            _forget_first(self._explained)
        return below is None or (here is not None and below not in {here, UNTYPED})

    # -- bounds ------------------------------------------------------------------------------------------------

    def _count(self, seen: Observation) -> Observation:
        labels = tuple(map(self._bounded, seen.metric.labels, seen.labels))
        series = self._series[seen.metric]
        if labels not in series and len(series) >= MAX_SERIES:
            labels = (OTHER,) * len(labels)
        bounded = Observation(seen.metric, labels, seen.value, seen.time_ns, seen.trace_id)
        series.setdefault(labels, _Running()).add(bounded)
        return bounded

    def _bounded(self, label: str, value: str) -> str:
        value = value.encode("utf-8", "replace").decode("utf-8")[:_VALUE_CHARS]
        known = self._values.setdefault(label, set())
        if value and value not in known:
            if len(known) >= MAX_VALUES:
                return OTHER
            known.add(value)
        return value


def _error_type(span: Span) -> str:
    """Return the class of an error; anything else that stands there could be any text."""
    known = span.error.type if span.error else None
    return known if known and _TYPE.fullmatch(known) else UNTYPED


def _forget_first(remembered: dict[int, None] | dict[tuple[str, str], str]) -> None:
    if len(remembered) > _REMEMBERED:
        del remembered[next(iter(remembered))]  # type: ignore[arg-type] # the first of its own keys
