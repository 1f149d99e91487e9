"""A run made by hand, played event by event onto a real bus, as capture would do it."""

from __future__ import annotations

import json
import time
from typing import Any

from views.sample_runs import planner_executor

from agenttrace_nb.journal.bus import Bus
from agenttrace_nb.journal.events import Event, EventKind
from agenttrace_nb.journal.live import LiveFold
from agenttrace_nb.spans import CellRun, Span, Status, Trace

NS_PER_S = 1_000_000_000


class OnlyABus:
    """As much of a journal as a live picture needs."""

    def __init__(self) -> None:
        self.bus = Bus()

    def item(self, item_id: int) -> bytes:
        return json.dumps(f"item {item_id}").encode()


class Recorded:
    """Plays a run. ``live`` is its live picture."""

    def __init__(
        self, run: CellRun | None = None, traces: list[Trace] | None = None, zero_ns: int | None = None
    ) -> None:
        self.run, self.traces = (run, traces) if run and traces else planner_executor()
        self.journal = OnlyABus()
        self.live = LiveFold(self.journal, self.run.key)
        self._seq = 0
        self._zero_ns = time.time_ns() if zero_ns is None else zero_ns
        self._played = 0
        self.append(EventKind.RUN_START, 0, body=self._run_body())

    def append(self, kind: EventKind, at_ns: int, *, body: dict[str, Any], span: Span | None = None) -> None:
        """Publish an event that happened so many ns after the start."""
        self._seq += 1
        trace_id = span.trace_id if span else body.pop("trace_id", None)
        span_id = span.span_id if span else None
        event = Event(self._seq, kind, self._zero_ns + at_ns, self.run.key, trace_id, span_id, body)
        self.journal.bus.publish(event)

    def play(self, *, speed: float | None = None, until: float = 1.0) -> None:
        """Publish all events, or those of the first part; at a speed, or as fast as it goes."""
        events = self.events()
        first, self._played = self._played, int(until * len(events))
        for at_ns, kind, body, span in events[first : self._played]:
            if speed:
                time.sleep(max(0, (self._zero_ns + at_ns / speed - time.time_ns()) / NS_PER_S))
            self.append(kind, at_ns, body=dict(body), span=span)

    def events(self) -> list[tuple[int, EventKind, dict[str, Any], Span | None]]:
        """All that happens after the run's start, in order of time."""
        start = self.run.start_ns
        found: list[tuple[int, EventKind, dict[str, Any], Span | None]] = []
        for trace in self.traces:
            head = {"trace_id": trace.trace_id, "name": trace.name}
            found.append((trace.start_ns - start, EventKind.TRACE_START, head, None))
            for span in trace.spans:
                found.append((span.start_ns - start, EventKind.SPAN_START, self._begun(span), span))
                if span.end_ns is not None:
                    found.append((span.end_ns - start, EventKind.SPAN_END, self._ended(span), span))
            end = {"trace_id": trace.trace_id, "status": trace.status.value}
            found.append(((trace.end_ns or start) - start, EventKind.TRACE_END, end, None))
        end_ns = (self.run.end_ns or start) - start
        found.append((end_ns, EventKind.RUN_END, {"status": self.run.status.value}, None))
        return sorted(found, key=lambda event: event[0])

    def _run_body(self) -> dict[str, Any]:
        names = ("name", "arch", "case", "trial", "execution_count")
        return {name: getattr(self.run, name) for name in names}

    def _begun(self, span: Span) -> dict[str, Any]:
        return {
            "kind": span.kind.value, "name": span.name, "parent_id": span.parent_id, "agent": span.agent,
            "role": span.role, "input": span.input, "attributes": span.attributes,
        }  # fmt: skip

    def _ended(self, span: Span) -> dict[str, Any]:
        body: dict[str, Any] = {
            "status": (Status.ERROR if span.error else span.status).value, "output": span.output, "model": span.model,
            "input_tokens": span.input_tokens, "output_tokens": span.output_tokens, "cost_usd": span.cost_usd,
            "ttft_s": span.ttft_s,
        }  # fmt: skip
        if span.error:
            body["error"] = {
                "type": span.error.type, "message": span.error.message, "chain": list(span.error.chain),
                "traceback": span.error.traceback,
            }  # fmt: skip
        return body
