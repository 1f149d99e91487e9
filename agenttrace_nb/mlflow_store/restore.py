"""Spans of MLflow back to the trace that was recorded. Pure: no MLflow, no I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.content import ABSENT, undressed
from agenttrace_nb.mlflow_store.foreign import foreign_trace
from agenttrace_nb.mlflow_store.limits import name as limited_name
from agenttrace_nb.mlflow_store.mapping import SYNTHETIC_ROOT
from agenttrace_nb.spans import Agent, Lazy, Span, SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.mlflow_store.records import SpanRecord

_MS_IN_NS = 1_000_000
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_NOT_THE_USERS = ("mlflow.", names.OURS, names.SESSION_ID, names.USER_ID)


@dataclass(slots=True, kw_only=True)
class TraceHead:
    """What MLflow says of a trace as a whole.

    Attributes
    ----------
    state
        ``OK``, ``ERROR``, ``IN_PROGRESS`` or ``STATE_UNSPECIFIED``.
    expected_spans
        How many spans it should have, where MLflow knows.
    """

    trace_id: str
    experiment_id: str
    state: str
    start_ms: int
    duration_ms: int | None = None
    name: str | None = None
    session: str | None = None
    user: str | None = None
    run_id: str | None = None
    expected_spans: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


def head_of(trace_id: str, tags: dict[str, str], metadata: Mapping[str, str], **columns: Any) -> TraceHead:
    """Return a head from MLflow's tags and metadata of a trace, and what else is known of it."""
    told = metadata.get("mlflow.trace.sizeStats")
    sizes = json.loads(told) if told else {}
    return TraceHead(
        trace_id=trace_id, name=tags.get(names.TRACE_NAME), session=metadata.get(names.TRACE_SESSION),
        user=metadata.get(names.TRACE_USER), run_id=metadata.get("mlflow.sourceRun"),
        expected_spans=sizes.get("num_spans"), tags=tags, **columns,
    )  # fmt: skip


def to_trace(head: TraceHead, records: list[SpanRecord]) -> Trace:
    """Return the trace that was recorded; one that others wrote is read as well as it can be.

    Parameters
    ----------
    head
        The trace as a whole.
    records
        Its spans, in any order.
    """
    root = next((r for r in records if names.TRACE in r.attributes), None)
    if root is None:
        trace = foreign_trace(head, records)
        _complete(trace, head, len(records))
        return trace
    known = root.get(names.TRACE)
    trace = own_trace(head, known, len(records))
    told = [(r, _rest(r)) for r in records]
    told.sort(key=lambda one: (one[1].get("n", len(records)), one[0].start_ns, one[0].span_id))
    synthetic = root.span_id if is_synthetic(known) else None
    # Spans that are not ours in a trace of ours: written into it by somebody else, kept
    trace.spans = [_own_span(trace.trace_id, r, rest) for r, rest in told if r.span_id != synthetic]
    return trace


def _complete(trace: Trace, head: TraceHead, stored: int) -> None:
    trace.run_id = trace.run_id or head.run_id
    trace.experiment_id = head.experiment_id
    trace.problem = trace.problem or _incompleteness(head, stored)


def _incompleteness(head: TraceHead, stored: int) -> str | None:
    if head.expected_spans is not None and stored < head.expected_spans:
        missing = head.expected_spans - stored
        return f"{missing} of its {head.expected_spans} spans were never stored; the process that wrote it ended early"
    if not stored:
        return "none of its spans were stored"
    return None


def is_synthetic(known: dict[str, Any]) -> bool:
    """Return whether the root of a trace was only made for MLflow, from what its root says of the trace."""
    return bool(known.get("root") == SYNTHETIC_ROOT)


def own_trace(head: TraceHead, known: dict[str, Any], count: int) -> Trace:
    """Return a trace of ours, still without its spans.

    Parameters
    ----------
    head
        What MLflow says of it.
    known
        What its root says of it.
    count
        How many spans are stored of it.
    """
    own_tags = known.get("tags", {})
    renamed = {limited_name(key) for key in own_tags}
    stored = {k: v for k, v in head.tags.items() if not k.startswith(_NOT_THE_USERS) and k not in renamed}
    trace = Trace(
        trace_id=names.own_trace_id(head.trace_id), name=known["name"], start_ns=known["start_ns"],
        end_ns=known.get("end_ns"), status=Status(known["status"]), session=known.get("session"),
        user=known.get("user"), run_id=known.get("run_id"), metadata=known.get("metadata", {}),
        tags={**stored, **own_tags},
        agents={a["name"]: Agent(**a) for a in known.get("agents", [])},
    )  # fmt: skip
    _complete(trace, head, count)
    return trace


def _rest(record: SpanRecord) -> dict[str, Any]:
    rest = record.get(names.SPAN)
    return rest if isinstance(rest, dict) else {}


def own_span(trace_id: str, record: SpanRecord) -> Span:
    """Return one span as it was recorded; its content is decoded when it is asked for."""
    return _own_span(trace_id, record, _rest(record))


def _own_span(trace_id: str, record: SpanRecord, rest: dict[str, Any]) -> Span:
    attributes = {
        name: record.get(name) for name in record.attributes if not name.startswith(_NOT_THE_USERS)
    } | rest.get("attributes", {})
    tokens = record.get(names.TOKENS) or {}
    cost = record.get(names.COST) or {}
    error = record.get(names.ERROR)
    return Span(
        trace_id=trace_id, span_id=record.span_id, parent_id=rest.get("parent_id", record.parent_id),
        name=rest.get("name", record.name), kind=SpanKind(record.get(names.KIND) or SpanKind.OTHER),
        start_ns=record.start_ns, end_ns=None if rest.get("open") else record.end_ns,
        status=Status(record.get(names.STATUS) or Status.OK), agent=record.get(names.AGENT),
        role=record.get(names.ROLE), error=_error(error), attributes=attributes,
        content_in=_content(record, names.INPUTS, rest.get("in")),
        content_out=_content(record, names.OUTPUTS, rest.get("out")),
        input_tokens=tokens.get("input"), output_tokens=tokens.get("output"), cached_tokens=tokens.get("cached"),
        reasoning_tokens=tokens.get("reasoning"), cost_usd=rest.get("cost_usd", cost.get("total_cost")),
        model=rest.get("model", record.get(names.MODEL)), ttft_s=record.get(names.TTFT_S),
    )  # fmt: skip


def _content(record: SpanRecord, name: str, shape: Any) -> Any:
    if shape == ABSENT or name not in record.attributes:
        return None
    return Lazy(lambda: undressed(record.get(name), shape))


def _error(known: dict[str, Any] | None) -> SpanError | None:
    return None if known is None else SpanError(**{**known, "chain": tuple(known.get("chain", ()))})
