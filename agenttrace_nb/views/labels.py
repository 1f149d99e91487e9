"""The few words that stand beside a row: what kind of step, how it stands, and what is worth knowing at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind, Status
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span, SpanError
    from agenttrace_nb.views.rows import Rows

NAME_LIMIT = 200
NOTE_LIMIT = 120

# Shape beside colour: each mark is told apart without any colour.
MARKS = {
    Status.RUNNING: "…",
    Status.OK: "✓",
    Status.ERROR: "✕",
    Status.CANCELLED: "⊘",
    Status.INTERRUPTED: "⚡",
}

STATUS_WORDS = {
    Status.RUNNING: "running",
    Status.OK: "completed",
    Status.ERROR: "error",
    Status.CANCELLED: "cancelled",
    Status.INTERRUPTED: "interrupted",
}


_PLAIN = frozenset(SpanKind) - {SpanKind.HANDOFF, SpanKind.GUARDRAIL, SpanKind.AGENT}


def name(span: Span) -> str:
    """Return a span's name on one line; its kind where it has none."""
    return one_line(span.name, NAME_LIMIT) or span.kind.value


def role(span: Span) -> str:
    """Return a span's role on one line, or nothing."""
    return one_line(span.role, NAME_LIMIT) if span.role else ""


def note(rows: Rows, row: int) -> str:
    """Return what is worth knowing at a glance, or nothing: an error's type, who hands over to whom, a verdict."""
    span, parent = rows.spans[row], rows.parents[row]
    if span.kind in _PLAIN and span.error is None and span.status is Status.OK:
        return ""  # nearly every row, and there may be a hundred thousand
    if span.error is not None:
        return "" if rows.repeats_error(row) else one_line(span.error.type or span.error.message, NOTE_LIMIT)
    if span.kind is SpanKind.HANDOFF:
        giver, taker = span.attributes.get("from_agent"), span.attributes.get("to_agent")
        # Its name may say it already.
        return "" if "→" in span.name or not taker else one_line(f"{giver or ''} → {taker}".strip(), NOTE_LIMIT)
    if span.kind is SpanKind.GUARDRAIL and isinstance(span.attributes.get("triggered"), bool):
        return "tripped" if span.attributes["triggered"] else "passed"
    if span.kind is SpanKind.AGENT and parent >= 0 and rows.spans[parent].kind is SpanKind.TOOL:
        return "as tool"
    return STATUS_WORDS[span.status] if span.status in (Status.CANCELLED, Status.INTERRUPTED) else ""


def failure(error: SpanError) -> str:
    """Return why something failed, in one line."""
    status = f" (HTTP {error.http_status})" if error.http_status else ""
    return one_line(str(error), 4 * NOTE_LIMIT) + status


def tokens(span: Span) -> str:
    """Return the tokens of one LLM call, in and out.

    Examples
    --------
    >>> from agenttrace_nb.spans import Span
    >>> call = Span(
    ...     trace_id="a" * 32,
    ...     span_id="b" * 16,
    ...     kind=SpanKind.LLM,
    ...     name="m",
    ...     start_ns=0,
    ...     input_tokens=812,
    ...     output_tokens=96,
    ... )
    >>> tokens(call)
    '812 → 96 tok'
    """
    if span.input_tokens is None and span.output_tokens is None:
        return ""
    sides = ["?" if side is None else fmt.grouped(side) for side in (span.input_tokens, span.output_tokens)]
    return f"{sides[0]} → {sides[1]} tok"
