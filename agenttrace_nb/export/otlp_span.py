"""A span as OpenTelemetry knows it, before it is written as bytes; and which spans are sent.

Both conventions (`genai`, `openinference`) make these; `otlp_encode` writes them.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import Moment
from agenttrace_nb.spans import Span, SpanKind, Status

if TYPE_CHECKING:
    from agenttrace_nb.export.handler import Item
    from agenttrace_nb.spans import SpanError

Value = str | bool | int | float | list[str]

_TURN = re.compile(r"turn (\d+)")
_MAX_AWAITED = 10_000
_NO_ERROR_TYPE = "_OTHER"  # what OpenTelemetry says where no class of error is known


class Turns(StrEnum):
    """What becomes of the SDK's turns, which the official instrumentation leaves out."""

    FOLD = "fold"  # no span of their own; what they held hangs under the agent and carries the turn's number
    DROP = "drop"  # as fold, without the number
    KEEP = "keep"  # spans of their own


@dataclass(slots=True, kw_only=True)
class OtelSpan:
    """One span in OpenTelemetry's terms.

    Attributes
    ----------
    failed
        Whether its status is ERROR.
    says_ok
        Whether its status is OK. Otherwise it is left unset, as OpenTelemetry asks of instrumentations.
    message
        The text of a failed status.
    events
        Name, time in nanoseconds since the epoch, and attributes.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    is_client: bool = False
    attributes: dict[str, Value] = field(default_factory=dict)
    failed: bool = False
    says_ok: bool = False
    message: str = ""
    events: list[tuple[str, int, dict[str, Value]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a span hangs in what is sent, and the turn that it was part of."""

    parent_id: str | None
    turn: int | None = None


class Lineage:
    """Decides for each span whether it is sent and what it hangs under, so that none hangs under one that is not sent.

    Where the parent of a span is not known, it keeps the one that was recorded; if that turns out to be a turn, the
    turn is sent after all.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._awaited: OrderedDict[tuple[str, str], None] = OrderedDict()

    def place(self, item: Item, span: Span) -> Place | None:
        """Return where a span hangs; ``None`` if it is not sent."""
        if self._turns is Turns.KEEP:
            return Place(span.parent_id, _turn_number(span))
        if span.kind is SpanKind.TURN and (span.trace_id, span.span_id) not in self._awaited:
            return None
        parent = item.parent
        if parent is not None and parent.kind is SpanKind.TURN:
            return Place(parent.parent_id, _turn_number(parent) if self._turns is Turns.FOLD else None)
        if parent is None and span.parent_id is not None:
            self._await(span.trace_id, span.parent_id)
        return Place(span.parent_id)

    def _await(self, trace_id: str, span_id: str) -> None:
        self._awaited[trace_id, span_id] = None
        if len(self._awaited) > _MAX_AWAITED:
            self._awaited.popitem(last=False)


def _turn_number(span: Span) -> int | None:
    match = _TURN.fullmatch(span.name) if span.kind is SpanKind.TURN else None
    return int(match[1]) if match else None


def span_of(item: Item) -> Span | None:
    """Return the span that an item tells of; a made one for a test without one, ``None`` for a run."""
    if item.span is not None or item.moment is not Moment.TEST:
        return item.span
    digest = hashlib.sha256(item.event_id.encode()).hexdigest()
    now = time.time_ns()
    return Span(
        trace_id=digest[:32], span_id=digest[32:48], kind=SpanKind.OTHER, name="agenttrace_nb test", start_ns=now,
        end_ns=now, status=Status.OK,
    )  # fmt: skip


def begin(span: Span, place: Place, name: str, *, tells_errors: bool) -> OtelSpan:
    """Return a span with its times, parent, status and exception; attributes are the convention's to add.

    Parameters
    ----------
    tells_errors
        Whether texts of errors may be sent.
    """
    made = OtelSpan(
        trace_id=span.trace_id, span_id=span.span_id, parent_id=place.parent_id, name=name, start_ns=span.start_ns,
        # A clock that was set back meanwhile: receivers refuse what ends before it begins.
        end_ns=max(span.start_ns, span.start_ns if span.end_ns is None else span.end_ns),
    )  # fmt: skip
    made.failed = span.status in (Status.ERROR, Status.INTERRUPTED)
    if made.failed:
        made.attributes["error.type"] = error_type(span)
    if span.error is not None and span.error.http_status is not None:
        made.attributes["http.response.status_code"] = span.error.http_status
    if tells_errors and made.failed:
        made.message = span.error.message if span.error else span.status.value
        if span.error is not None:
            made.events.append(("exception", made.end_ns, _exception(span.error)))
    return made


def error_type(span: Span) -> str:
    """Return the class of a failed span's error, of low cardinality.

    Examples
    --------
    >>> ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    >>> error_type(Span(**ids, kind=SpanKind.TOOL, name="t", start_ns=0, status=Status.INTERRUPTED))
    'interrupted'
    """
    if span.error is not None and span.error.type:
        return span.error.type
    return Status.INTERRUPTED.value if span.status is Status.INTERRUPTED else _NO_ERROR_TYPE


def _exception(error: SpanError) -> dict[str, Value]:
    told: dict[str, Any] = {
        "exception.type": error.type,
        "exception.message": error.message,
        "exception.stacktrace": error.traceback,
    }
    return {name: text for name, text in told.items() if text}
