"""What a dashboard says of runs: the one place where its figures are defined. ``js/src/dashboard`` computes the same.

A *run* is a trace. It belongs to a stretch of time by when it started, as in `agenttrace_nb.search` and in MLflow.
Steps belong to the stretch of their run. What is not known is ``None`` and counts nowhere; how many runs that is
stands beside the figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agenttrace_nb.spans import NS_PER_S, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.monitor_board import Board
    from agenttrace_nb.spans import Span, Trace

QUANTILES = (0.5, 0.95, 0.99)
NEEDED = {0.5: 6, 0.95: 59, 0.99: 299}
"""From how many runs on a quantile has a 95 % interval: `agenttrace_nb.analysis.statistics.quantiles.smallest_n`."""

TRIPS = frozenset(
    {"GuardrailTripwireTriggered"}
    | {f"{stage}GuardrailTripwireTriggered" for stage in ("Input", "Output", "ToolInput", "ToolOutput")}
)
MS_PER_MINUTE = 60_000
_NS_PER_MS = 1_000_000


class Standing(StrEnum):
    """How a run or a step stands: `Status`, but that a run which a guardrail turned away is no error."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    GUARDRAIL = "guardrail"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


STANDINGS = {standing: number for number, standing in enumerate(Standing)}

KINDS = {SpanKind.AGENT: 0, SpanKind.TOOL: 1, SpanKind.LLM: 2}
"""The steps that are counted: agents, tools and calls of a model."""


@dataclass(frozen=True, slots=True)
class Call:
    """One step that ended: an agent's turn of work, a tool call, a call of a model."""

    kind: SpanKind
    name: str
    agent: str | None
    standing: Standing
    took_s: float | None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What is kept of a run.

    Attributes
    ----------
    took_s
        From its start to its end; ``None`` while it runs.
    success
        What was said of it; ``None`` where nothing was.
    why, where
        What the error was, and the step in which it began.
    """

    trace_id: str
    name: str
    arch: str | None
    case: str | None
    standing: Standing
    start_ms: float
    took_s: float | None
    success: bool | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    why: str | None = None
    where: str | None = None
    calls: tuple[Call, ...] = ()


class Stretch(NamedTuple):
    """A stretch of time, ms since the epoch: with its beginning, without its end."""

    from_ms: float = -math.inf
    to_ms: float = math.inf

    def before(self) -> Stretch | None:
        """Return the stretch of the same length just before it; ``None`` where it has no beginning or no end."""
        length = self.to_ms - self.from_ms
        return Stretch(self.from_ms - length, self.from_ms) if math.isfinite(length) else None


class Quantile(NamedTuple):
    """A quantile by linear interpolation, of so many runs; ``enough`` of them for it to have an interval."""

    value_s: float | None
    of: int
    needed: int

    @property
    def enough(self) -> bool:
        """Whether there are runs enough."""
        return self.of >= self.needed


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a stretch of time.

    Attributes
    ----------
    runs
        Runs that ended, however they did; those that still run are ``in_flight``.
    success_rate
        ``ok / (ok + errors)``: runs that were turned away by a guardrail, cancelled or interrupted are neither.
    said, said_of
        Runs that were said to be successful, and runs of which success was said either way.
    latency_sum_s, latency
        Over all runs that ended.
    cost_usd, no_cost
        Of the runs whose cost is known; how many there are whose cost is not.
    tokens_in, tokens_out, no_tokens
        As above.
    per_minute
        Runs that ended, by the minutes of the stretch; without a beginning, by those since the first run.
    """

    runs: int
    in_flight: int
    ok: int
    errors: int
    guardrail: int
    cancelled: int
    interrupted: int
    success_rate: float | None
    said: int
    said_of: int
    latency_sum_s: float | None
    latency: dict[float, Quantile]
    tokens_in: int | None
    tokens_out: int | None
    no_tokens: int
    cost_usd: float | None
    no_cost: int
    per_minute: float | None


def measure(trace: Trace, *, arch: str | None = None, case: str | None = None, success: bool | None = None) -> Measured:
    """Return what is kept of a trace.

    Parameters
    ----------
    trace
        The trace, ended or not.
    arch, case
        What its cell run says, where the trace has no tag of its own.
    success
        What was said of its run.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> measure(Trace(trace_id="a" * 32, name="t", start_ns=0, end_ns=1_500_000_000, status=Status.OK)).took_s
    1.5
    """
    standing = _standing(trace)
    over = standing is not Standing.RUNNING
    first = next(iter(trace.errors), None) if standing is Standing.ERROR else None
    if standing is Standing.GUARDRAIL:
        first = next((span for span in trace.spans if span.kind is SpanKind.GUARDRAIL and span.error), None)
    return Measured(
        trace_id=trace.trace_id,
        name=trace.name,
        arch=trace.tags.get("arch") or arch,
        case=trace.tags.get("case") or case,
        standing=standing,
        start_ms=trace.start_ns / _NS_PER_MS,
        took_s=trace.duration_s if over else None,
        success=success,
        tokens_in=_whole(trace.total("input_tokens")),
        tokens_out=_whole(trace.total("output_tokens")),
        cost_usd=trace.total("cost_usd"),
        why=str(first.error) if first is not None and first.error is not None else None,
        where=first.name if first is not None else None,
        calls=tuple(_calls(trace.spans)) if over else (),
    )


def figures(board: Board, stretch: Stretch, now_ms: float) -> Figures:
    """Return the figures of a stretch of time.

    Parameters
    ----------
    board
        The runs.
    stretch
        When they started.
    now_ms
        The time; a stretch that has no end ends now.

    Examples
    --------
    >>> from agenttrace_nb.analysis.monitor_board import Board
    >>> figures(Board(), Stretch(), 0).success_rate is None
    True
    """
    inside = in_stretch(board, stretch)
    standing = board.runs["standing"][inside]
    count = np.bincount(standing, minlength=len(STANDINGS))
    of = {one: int(count[number]) for one, number in STANDINGS.items()}
    ended = standing != STANDINGS[Standing.RUNNING]
    took = board.runs["took_s"][inside]
    took = np.sort(took[~np.isnan(took)])
    judged = of[Standing.OK] + of[Standing.ERROR]
    said = board.runs["success"][inside][ended]
    cost = board.runs["cost_usd"][inside][ended]
    into, out = (_known(board.runs[name][inside][ended]) for name in ("tokens_in", "tokens_out"))
    runs = int(ended.sum())
    return Figures(
        runs=runs, in_flight=of[Standing.RUNNING], ok=of[Standing.OK], errors=of[Standing.ERROR],
        guardrail=of[Standing.GUARDRAIL], cancelled=of[Standing.CANCELLED], interrupted=of[Standing.INTERRUPTED],
        success_rate=of[Standing.OK] / judged if judged else None,
        said=int((said == 2).sum()), said_of=int((said > 0).sum()),  # noqa: PLR2004 - see `Board`
        latency_sum_s=math.fsum(took) if took.size else None,
        latency={p: Quantile(quantile(took, p), int(took.size), NEEDED[p]) for p in QUANTILES},
        tokens_in=int(into.sum()) if into.size else None, tokens_out=int(out.sum()) if out.size else None,
        no_tokens=runs - int(max(into.size, out.size)),
        cost_usd=math.fsum(cost[~np.isnan(cost)]) if (~np.isnan(cost)).any() else None,
        no_cost=int(np.isnan(cost).sum()),
        per_minute=_per_minute(board, inside, stretch, runs, now_ms),
    )  # fmt: skip


def in_stretch(board: Board, stretch: Stretch) -> np.ndarray:
    """Return which runs started in a stretch of time, one boolean for each."""
    start = board.runs["start_ms"]
    found: np.ndarray = (start >= stretch.from_ms) & (start < stretch.to_ms)
    return found


def quantile(ordered: np.ndarray, p: float) -> float | None:
    """Return the p-quantile of ordered values: linear between neighbours, by the formula that MLflow has.

    Examples
    --------
    >>> quantile(np.array([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    if not ordered.size:
        return None
    at = p * (ordered.size - 1)
    low = int(at)
    a, b = float(ordered[low]), float(ordered[min(low + 1, ordered.size - 1)])
    return a + (at - low) * (b - a)


def _per_minute(board: Board, inside: np.ndarray, stretch: Stretch, runs: int, now_ms: float) -> float | None:
    if not runs:
        return None
    first = stretch.from_ms if math.isfinite(stretch.from_ms) else float(board.runs["start_ms"][inside].min())
    length = min(stretch.to_ms, now_ms) - first
    return runs * MS_PER_MINUTE / length if length > 0 else None


def _known(counts: np.ndarray) -> np.ndarray:
    return counts[counts >= 0]


def _standing(trace: Trace) -> Standing:
    if trace.status is Status.ERROR and any(
        span.parent_id is None and span.error is not None and span.error.type in TRIPS for span in trace.spans
    ):
        return Standing.GUARDRAIL
    return Standing(trace.status.value)


def _calls(spans: list[Span]) -> Iterator[Call]:
    for span in spans:
        if span.kind not in KINDS or span.end_ns is None:
            continue
        standing = Standing(span.status.value)
        if standing is Standing.ERROR and span.error is not None and span.error.type in TRIPS:
            standing = Standing.GUARDRAIL
        yield Call(
            kind=span.kind,
            name=(span.model if span.kind is SpanKind.LLM else None) or span.name,
            agent=span.agent,
            standing=standing,
            took_s=(span.end_ns - span.start_ns) / NS_PER_S,
            tokens_in=span.input_tokens if span.kind is SpanKind.LLM else None,
            tokens_out=span.output_tokens if span.kind is SpanKind.LLM else None,
            cost_usd=span.cost_usd if span.kind is SpanKind.LLM else None,
        )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
