"""Journals to deliver, written through the real `Journal` as capture would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_store.samples import START_NS, booking

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.spans import Span

SECOND_NS = 1_000_000_000


def start_run(journal: Journal, key: str, uri: str, cwd: Path, **body: Any) -> None:
    known = {"name": f"run {key}", "tracking_uri": uri, "cwd": str(cwd), "experiment": "tests", **body}
    journal.append(EventKind.RUN_START, run_key=key, time_ns=START_NS, body=known, urgent=True)


def end_run(journal: Journal, key: str, at_ns: int = START_NS + 5 * SECOND_NS, **body: Any) -> None:
    journal.append(EventKind.RUN_END, run_key=key, time_ns=at_ns, body={"status": "ok", **body}, urgent=True)


def say(journal: Journal, key: str, **body: Any) -> None:
    journal.append(EventKind.RUN_DATA, run_key=key, time_ns=START_NS + SECOND_NS, body=body, urgent=True)


def start_trace(journal: Journal, key: str, trace: Trace, **body: Any) -> None:
    known = {"name": trace.name, "session": trace.session, "metadata": trace.metadata, "tags": trace.tags, **body}
    journal.append(EventKind.TRACE_START, run_key=key, trace_id=trace.trace_id, time_ns=trace.start_ns, body=known)
    for agent in trace.agents.values():
        told = {"name": agent.name, "role": agent.role, "tools": agent.tools}
        content = {"instructions": agent.instructions}
        journal.append(EventKind.AGENT, run_key=key, trace_id=trace.trace_id, body=told, content=content)


def start_span(journal: Journal, key: str, span: Span) -> None:
    body = {"kind": span.kind.value, "name": span.name, "parent_id": span.parent_id, "agent": span.agent}
    journal.append(
        EventKind.SPAN_START, run_key=key, trace_id=span.trace_id, span_id=span.span_id, time_ns=span.start_ns,
        body={**body, "role": span.role, "attributes": span.attributes}, content={"input": span.input},
    )  # fmt: skip


def end_span(journal: Journal, key: str, span: Span, **body: Any) -> None:
    known: dict[str, Any] = {"status": span.status.value}
    for name in ("input_tokens", "output_tokens", "cached_tokens", "model", "ttft_s"):
        if (value := getattr(span, name)) is not None:
            known[name] = value
    if span.error is not None:
        known["error"] = {"type": span.error.type, "message": span.error.message}
    journal.append(
        EventKind.SPAN_END, run_key=key, trace_id=span.trace_id, span_id=span.span_id, time_ns=span.end_ns,
        body={**known, **body}, content={"output": span.output},
    )  # fmt: skip


def end_trace(journal: Journal, key: str, trace: Trace, **body: Any) -> None:
    known = {"status": trace.status.value, **body}
    journal.append(
        EventKind.TRACE_END, run_key=key, trace_id=trace.trace_id, time_ns=trace.end_ns, body=known, urgent=True
    )


def record_trace(journal: Journal, key: str, trace: Trace) -> None:
    """Write a trace as it would have happened: starts and ends in order of time, inner ends first."""
    start_trace(journal, key, trace)
    depth: dict[str | None, int] = {None: 0}
    for span in trace.spans:
        depth[span.span_id] = depth[span.parent_id] + 1
    moments = [(s.start_ns, 1, depth[s.span_id], "start", s) for s in trace.spans]
    moments += [(s.end_ns, 0, -depth[s.span_id], "end", s) for s in trace.spans]
    for *_, what, span in sorted(moments, key=lambda m: m[:3]):
        (start_span if what == "start" else end_span)(journal, key, span)
    end_trace(journal, key, trace)


def record_run(journal: Journal, key: str, uri: str, cwd: Path, *traces: Trace, **body: Any) -> list[Trace]:
    """Write a whole run; of one trace of the usual kind if none is given."""
    made = list(traces) or [booking(key)]
    start_run(journal, key, uri, cwd, **body)
    for trace in made:
        record_trace(journal, key, trace)
    end_run(journal, key, max(START_NS + 5 * SECOND_NS, *(trace.end_ns for trace in made)))
    return made


def llm_spans(trace: Trace) -> list[Span]:
    return [span for span in trace.spans if span.kind is SpanKind.LLM]
