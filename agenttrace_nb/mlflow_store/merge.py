"""A trace that goes on after its first part was written: both parts as one. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.spans import Span, Status

if TYPE_CHECKING:
    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.spans import Trace

_FIXED = frozenset({"trace_id", "span_id", "parent_id", "kind", "name", "start_ns", "attributes", "status"})


def continued(earlier: Trace, later: Trace, started: set[str]) -> Trace:
    """Return the earlier part of a trace with what the later one adds.

    Parameters
    ----------
    earlier
        The trace as it was written.
    later
        What came after; of spans that began in the earlier part it holds only what became known since.
    started
        The spans that began in the later part.
    """
    spans = {span.span_id: span for span in earlier.spans}
    for span in later.spans:
        known = spans.get(span.span_id)
        if known is None or span.span_id in started:
            spans[span.span_id] = span
        else:
            _update(known, span)
    earlier.spans = list(spans.values())
    earlier.agents |= later.agents
    earlier.metadata |= later.metadata
    if later.end_ns is not None:
        earlier.end_ns, earlier.status = later.end_ns, later.status
    return earlier


def _update(known: Span, later: Span) -> None:
    for field in fields(Span):
        value = getattr(later, field.name)
        if field.name not in _FIXED and value is not None:
            setattr(known, field.name, value)
    if later.status is not Status.RUNNING:
        known.status = later.status
        known.error = later.error or (known.error if later.status is not Status.OK else None)
    known.attributes |= later.attributes


def totals(records: list[SpanRecord]) -> dict[str, dict[str, float]]:
    """Return the tokens and the cost of a whole trace under the names that MLflow keeps them by.

    Only LLM calls carry either, and none stands below another, so that a plain sum is right.
    """
    tokens: dict[str, float] = {}
    cost: dict[str, float] = {}
    for record in records:
        for name, value in (record.get(names.TOKEN_USAGE) or {}).items():
            tokens[name] = tokens.get(name, 0) + value
        for name, value in (record.get(names.COST) or {}).items():
            cost[name] = cost.get(name, 0.0) + value
    return {"mlflow.trace.tokenUsage": tokens, "mlflow.trace.cost": cost}
