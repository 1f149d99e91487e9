"""What the SDK itself says: a tracing processor that keeps every span, and a dump of the trees for reading.

.venv/bin/python -m bench.sdk_tree [scenario ...]        (with PYTHONPATH=tests)
"""

from __future__ import annotations

import asyncio
import difflib
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.tracing import TracingProcessor, set_trace_processors

from bench.models import Kind
from bench.scenarios import SCENARIOS, run
from bench.tree import Node, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.tracing import Span, Trace


@dataclass
class Recorder(TracingProcessor):
    """Keeps traces and spans in the order in which they start, with the exception that was being raised at the end."""

    traces: list[Trace] = field(default_factory=list)
    ended_traces: list[str] = field(default_factory=list)
    spans: list[Span[Any]] = field(default_factory=list)
    raised: dict[str, str] = field(default_factory=dict)
    end_order: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_trace_start(self, trace: Trace) -> None:
        with self._lock:
            self.traces.append(trace)

    def on_trace_end(self, trace: Trace) -> None:
        with self._lock:
            self.ended_traces.append(trace.trace_id)
            if (error := sys.exception()) is not None:
                self.raised[trace.trace_id] = type(error).__name__

    def on_span_start(self, span: Span[Any]) -> None:
        with self._lock:
            self.spans.append(span)

    def on_span_end(self, span: Span[Any]) -> None:
        with self._lock:
            self.end_order.append(span.span_id)
            if (error := sys.exception()) is not None:
                self.raised[span.span_id] = type(error).__name__

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self) -> None:
        """Nothing is held back."""


KINDS = {
    "agent": "agent",
    "turn": "turn",
    "generation": "llm",
    "response": "llm",
    "function": "tool",
    "handoff": "handoff",
    "guardrail": "guardrail",
    "mcp_tools": "mcp",
    "transcription": "speech",
    "speech": "speech",
    "speech_group": "speech",
}


def nodes_of(recorder: Recorder, model: str) -> list[Node]:
    """Return what the SDK reported in the words of the golden trees: kinds, names and places, no statuses.

    ``model`` is the name to give to all model calls, which the SDK's spans do not always know.
    """
    rows = [(trace.trace_id, None, "workflow", trace.name, None, "ok") for trace in recorder.traces]
    above = {span.span_id: span.parent_id or span.trace_id for span in recorder.spans}
    tasks = {span.span_id for span in recorder.spans if span.span_data.type == "task"}
    for span in recorder.spans:
        if span.span_id in tasks:
            continue
        parent = above[span.span_id]
        while parent in tasks:
            parent = above[parent]
        kind = KINDS.get(span.span_data.type, "other")
        rows.append((span.span_id, parent, kind, model if kind == "llm" else _neutral_name(span), None, "ok"))
    return build(rows)


def _neutral_name(span: Span[Any]) -> str:
    data = span.span_data
    match data.type:
        case "turn":
            return str(data.turn)
        case "handoff":
            return f"{data.from_agent} → {data.to_agent}"
        case "mcp_tools":
            return str(data.server)
        case _:
            return str(getattr(data, "name", data.type))


def dump(recorder: Recorder) -> str:
    """Write everything the SDK reported as indented text."""
    trace_ids = dict.fromkeys([t.trace_id for t in recorder.traces] + [s.trace_id for s in recorder.spans])
    return "\n".join(line for trace_id in trace_ids for line in _trace_lines(recorder, trace_id)) or "(nothing)"


def _trace_lines(recorder: Recorder, trace_id: str) -> Iterator[str]:
    begun = [trace for trace in recorder.traces if trace.trace_id == trace_id]
    spans = [span for span in recorder.spans if span.trace_id == trace_id]
    counts = f"on_trace_start x{len(begun)} on_trace_end x{recorder.ended_traces.count(trace_id)}"
    group = f" group_id={begun[0].group_id} metadata={begun[0].metadata}" if begun and begun[0].group_id else ""
    yield f"trace {begun[0].name if begun else '?'!r} {counts}{group}{_raised(recorder, trace_id)}"
    yield from _span_lines(recorder, spans, None, 1)


def _span_lines(recorder: Recorder, spans: list[Span[Any]], parent: str | None, depth: int) -> Iterator[str]:
    for span in spans:
        if span.parent_id == parent:
            end = "" if span.ended_at else " NEVER ENDED"
            error = f" error={span.error}" if span.error else ""
            raised = _raised(recorder, span.span_id)
            yield f"{'  ' * depth}{span.span_data.type} {_details(span.span_data)}{end}{error}{raised}"
            yield from _span_lines(recorder, spans, span.span_id, depth + 1)


def _raised(recorder: Recorder, ident: str) -> str:
    return f" sys.exception()={recorder.raised[ident]}" if ident in recorder.raised else ""


FIELDS = ("name", "turn", "agent_name", "from_agent", "to_agent", "model", "triggered", "server", "usage")
CONTENTS = ("input", "output", "response", "result", "data", "mcp_data")
SHOWN_CHARACTERS = 60


def _details(data: Any) -> str:
    shown = {key: value for key in FIELDS if (value := getattr(data, key, None)) is not None}
    if "usage" in shown:
        shown["usage"] = f"{shown['usage'].get('input_tokens')}+{shown['usage'].get('output_tokens')}"
    for key in CONTENTS:
        if (value := getattr(data, key, None)) is not None:
            text = repr(value.id if key == "response" else value)
            shown[key] = text if len(text) < SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return " ".join(f"{key}={value}" for key, value in shown.items())


def main(names: list[str]) -> None:
    """Print what the SDK reports in the named scenarios or in all, and how the kinds of model differ."""
    for one in SCENARIOS.values():
        if names and one.name not in names:
            continue
        print(f"## {one.name}\n{one.title}\n")
        first: list[str] = []
        for kind in [kind for kind in Kind if kind in one.kinds]:
            recorder = Recorder()
            set_trace_processors([recorder])
            outcome = asyncio.run(run(one, kind))
            end = f"raises {outcome.error!r}" if outcome.error else f"returns {outcome.final_output!r}"
            lines = [end, *dump(recorder).splitlines()]
            if not first:
                first = lines
                print(f"{kind.value}: ```", *lines, "```", sep="\n")
            else:
                changes = [line for line in difflib.ndiff(first, lines) if line[0] in "+-"]
                print(f"{kind.value}: the same" if not changes else f"{kind.value}, differences:\n```")
                if changes:
                    print(*changes, "```", sep="\n")
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
