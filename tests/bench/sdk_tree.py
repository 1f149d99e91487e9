"""What the SDK itself says: a tracing processor that keeps every span, and a dump of the trees for reading.

    .venv/bin/python -m bench.sdk_tree [scenario ...]        (with PYTHONPATH=tests)
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.tracing import TracingProcessor, set_trace_processors

from bench.models import Bench
from bench.scenarios import CASES, play

if TYPE_CHECKING:
    from agents.tracing import Span, Trace

    from bench.scenarios import Outcome


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


def name_of(span: Span[Any]) -> str:
    """Return what a span's data says of it, in one line."""
    data = span.span_data
    shown = {}
    for key in ("name", "turn", "agent_name", "from_agent", "to_agent", "model", "triggered", "server", "result", "usage"):
        value = getattr(data, key, None)
        if value is not None:
            shown[key] = _tokens(value) if key == "usage" else value
    for key in ("input", "output", "response", "data", "mcp_data"):
        value = getattr(data, key, None)
        if value is not None:
            text = value.id if key == "response" else repr(value)
            shown[key] = text if len(text) < 60 else text[:57] + "..."
    return " ".join(f"{key}={value!r}" if key in {"result"} else f"{key}={value}" for key, value in shown.items())


def _tokens(usage: dict[str, Any]) -> str:
    return f"{usage.get('input_tokens')}+{usage.get('output_tokens')}"


def dump(recorder: Recorder) -> str:
    """Write the trees of all traces as indented text."""
    lines = []
    known = {span.span_id for span in recorder.spans}
    trace_ids = list(dict.fromkeys([t.trace_id for t in recorder.traces] + [s.trace_id for s in recorder.spans]))
    started = [trace.trace_id for trace in recorder.traces]
    for trace_id in trace_ids:
        of_trace = next((trace for trace in recorder.traces if trace.trace_id == trace_id), None)
        name = of_trace.name if of_trace else "(no on_trace_start)"
        head = f"trace {name!r} started x{started.count(trace_id)} ended x{recorder.ended_traces.count(trace_id)}"
        if of_trace is not None and getattr(of_trace, "group_id", None):
            head += f" group_id={of_trace.group_id} metadata={of_trace.metadata}"
        lines.append(head + _raised(recorder, trace_id))
        spans = [span for span in recorder.spans if span.trace_id == trace_id]

        def walk(parent: str | None, depth: int, spans: list[Span[Any]] = spans) -> None:
            for span in spans:
                if span.parent_id == parent or (parent is None and span.parent_id not in known):
                    lines.append("  " * depth + _line(recorder, span))
                    walk(span.span_id, depth + 1)

        walk(None, 1)
    return "\n".join(lines) or "(no trace, no span)"


def _line(recorder: Recorder, span: Span[Any]) -> str:
    end = "" if span.ended_at else "  ** NEVER ENDED"
    error = f"  error={span.error}" if span.error else ""
    return f"{span.span_data.type}: {name_of(span)}{end}{error}{_raised(recorder, span.span_id)}"


def _raised(recorder: Recorder, span_id: str) -> str:
    return f"  sys.exception={recorder.raised[span_id]}" if span_id in recorder.raised else ""


async def _played(index: int) -> tuple[Outcome, list[str]]:
    one, kind = CASES[index]
    async with Bench(kind, one.script()) as bench:
        outcome = await play(one, bench)
        return outcome, bench.problems


def main(names: list[str]) -> None:
    """Print the SDK's own trees of the named scenarios, or of all; equal trees of several kinds once."""
    seen: dict[str, dict[str, list[str]]] = {}
    for index, (one, kind) in enumerate(CASES):
        if names and one.name not in names:
            continue
        recorder = Recorder()
        set_trace_processors([recorder])
        try:
            outcome, problems = asyncio.run(_played(index))
            end = f"raises {type(outcome.error).__name__}: {outcome.error}" if outcome.error else f"-> {outcome.final_output!r}"
            end += f"  PROBLEMS {problems}" if problems else ""
            del outcome
        except BaseException as error:  # noqa: BLE001 - the dump is for finding out
            end = f"!! UNEXPECTED {type(error).__name__}: {error}"
        gc.collect()
        seen.setdefault(f"## {one.name}\n{one.title}\n", {}).setdefault(f"{end[:300]}\n```\n{dump(recorder)}\n```", []).append(kind.value)
    for head, trees in seen.items():
        print(head)
        for tree, kinds in trees.items():
            print(f"**{' '.join(kinds)}** {tree}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
