"""Events to domain objects: the one place that knows how a run is rebuilt from its journal."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import ITEM, ITEM_LIST, Event, EventKind
from agenttrace_nb.spans import Agent, CellRun, Lazy, Span, SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN_FIELDS = frozenset(f.name for f in fields(CellRun)) - {"key", "start_ns", "end_ns", "status", "error", "trace_ids"}
_AGENT_FIELDS = frozenset(f.name for f in fields(Agent))
_SPAN_FIELDS = (
    "name", "parent_id", "agent", "role", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
    "cost_usd", "model", "ttft_s",
)  # fmt: skip


class Fold:
    """Rebuilds cell runs and traces from events, one at a time, in order.

    Parameters
    ----------
    load_item
        Gives the JSON bytes of an item by its id; called only when somebody reads a span's content.

    Attributes
    ----------
    runs
        Cell runs by key.
    traces
        Traces by trace id. Their `Trace.run_id` stays ``None`` here: the journal knows run keys, MLflow knows run ids.
    run_of
        For each trace id the keys of the cell runs that it belongs to, the first one first.
    """

    def __init__(self, load_item: Callable[[int], bytes]) -> None:
        self._load_item = load_item
        self.runs: dict[str, CellRun] = {}
        self.traces: dict[str, Trace] = {}
        self.run_of: dict[str, list[str]] = {}
        self.spans: dict[tuple[str, str], Span] = {}
        self._touched: dict[int, Span] = {}

    def apply(self, event: Event) -> None:
        """Take one event into account.

        Raises
        ------
        ValueError
            If its kind of span or its status is not known; nothing of the event is kept then.
        """
        _APPLY[event.kind](self, event)

    def take_touched(self) -> list[Span]:
        """Return the spans that changed since the last call, each once, in order of their first change."""
        touched, self._touched = self._touched, {}
        return list(touched.values())

    def restore_touched(self, spans: list[Span]) -> None:
        """Put spans back that were taken and not dealt with, before those that changed since."""
        self._touched = {**{id(s): s for s in spans}, **self._touched}

    def forget(self, trace_id: str) -> None:
        """Drop a trace that nobody needs any more (its spans hold prompts and answers)."""
        trace = self.traces.pop(trace_id, None)
        for span in trace.spans if trace else ():
            self.spans.pop((trace_id, span.span_id), None)

    def _run_start(self, event: Event) -> None:
        known = {k: v for k, v in event.body.items() if k in _RUN_FIELDS}
        key = str(event.run_key)
        self.runs[key] = CellRun(key=key, start_ns=event.time_ns, **{"name": "run", **known})

    def _run_data(self, event: Event) -> None:
        run = self.runs.get(str(event.run_key))
        if run is None:
            return
        if tag := event.body.get("tag"):
            run.tags[tag["key"]] = tag["value"]
        if param := event.body.get("param"):
            run.params[param["key"]] = param["value"]
        if "success" in event.body:
            run.success = event.body["success"]

    def _run_end(self, event: Event) -> None:
        run = self.runs.get(str(event.run_key))
        if run is None:
            return
        run.status = Status(event.body.get("status", Status.OK))
        run.end_ns = event.time_ns
        run.error = _error(event.body.get("error"))
        run.success = event.body.get("success", run.success)

    def _of_no_run(self, event: Event) -> None:
        """Leave it: it speaks of traces that may be in another journal, and is no part of them."""

    def _trace_start(self, event: Event) -> None:
        trace_id, body = str(event.trace_id), event.body
        if event.run_key is not None:
            keys = self.run_of.setdefault(trace_id, [])
            if event.run_key not in keys:
                keys.append(event.run_key)
            run = self.runs.get(event.run_key)
            if run is not None and trace_id not in run.trace_ids:
                run.trace_ids.append(trace_id)
        trace = self.traces.get(trace_id)
        if trace is None:
            trace = Trace(trace_id=trace_id, name=body.get("name", "trace"), start_ns=event.time_ns)
            self.traces[trace_id] = trace
        trace.status, trace.end_ns = Status.RUNNING, None
        trace.name = body.get("name") or trace.name
        trace.session = body.get("session") or trace.session
        trace.user = body.get("user") or trace.user
        trace.metadata.update(body.get("metadata") or {})
        trace.tags.update(body.get("tags") or {})

    def _trace_end(self, event: Event) -> None:
        trace = self.traces.get(str(event.trace_id))
        if trace is not None:
            trace.status = Status(event.body.get("status", Status.OK))
            trace.end_ns = event.time_ns

    def _agent(self, event: Event) -> None:
        trace = self.traces.get(str(event.trace_id))
        if trace is not None and event.body.get("name") is not None:
            known = {k: v for k, v in event.body.items() if k in _AGENT_FIELDS}
            known["instructions"] = self._now(known.get("instructions"))
            trace.agents[known["name"]] = Agent(**known)

    def _span(self, event: Event) -> None:
        trace_id, span_id = str(event.trace_id), str(event.span_id)
        kind, status = SpanKind(event.body.get("kind", SpanKind.OTHER)), Status(event.body.get("status", Status.OK))
        span = self.spans.get((trace_id, span_id))
        if span is None:
            span = Span(
                trace_id=trace_id, span_id=span_id, name=event.body.get("name", "span"),
                kind=kind, start_ns=event.time_ns,
            )  # fmt: skip
            self.spans[trace_id, span_id] = span
            trace = self.traces.get(trace_id)
            if trace is None:
                trace = self.traces[trace_id] = Trace(trace_id=trace_id, name=span.name, start_ns=event.time_ns)
            trace.spans.append(span)
        self._fill(span, event.body)
        if event.kind is EventKind.SPAN_END:
            span.end_ns = event.body.get("end_ns", event.time_ns)
            span.status = status
        self._touched[id(span)] = span

    def _fill(self, span: Span, body: dict[str, Any]) -> None:
        for name in _SPAN_FIELDS:
            if name in body:
                setattr(span, name, body[name])
        if "kind" in body:
            span.kind = SpanKind(body["kind"])
        if "status" in body:
            span.status = Status(body["status"])
        if "error" in body:
            span.error = _error(body["error"])
        if "input" in body:
            span.content_in = self._content(body["input"])
        if "output" in body:
            span.content_out = self._content(body["output"])
        if "attributes" in body:
            span.attributes.update(body["attributes"] or {})

    def _content(self, value: Any) -> Any:
        if not (isinstance(value, dict) and len(value) == 1 and (ITEM in value or ITEM_LIST in value)):
            return value
        return Lazy(lambda: self._now(value))

    def _now(self, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            if ITEM in value:
                return json.loads(self._load_item(value[ITEM]))
            if ITEM_LIST in value:
                return [json.loads(self._load_item(item)) for item in value[ITEM_LIST]]
        return value


def _error(data: dict[str, Any] | None) -> SpanError | None:
    if not data:
        return None
    return SpanError(
        message=data.get("message", ""), type=data.get("type"), http_status=data.get("http_status"),
        chain=tuple(data.get("chain") or ()), traceback=data.get("traceback"),
    )  # fmt: skip


_APPLY: dict[EventKind, Callable[[Fold, Event], None]] = {
    EventKind.RUN_START: Fold._run_start,  # noqa: SLF001 - the table is part of the class
    EventKind.RUN_DATA: Fold._run_data,  # noqa: SLF001
    EventKind.RUN_END: Fold._run_end,  # noqa: SLF001
    EventKind.FEEDBACK: Fold._of_no_run,  # noqa: SLF001
    EventKind.ALERT: Fold._of_no_run,  # noqa: SLF001
    EventKind.TRACE_START: Fold._trace_start,  # noqa: SLF001
    EventKind.TRACE_END: Fold._trace_end,  # noqa: SLF001
    EventKind.AGENT: Fold._agent,  # noqa: SLF001
    EventKind.SPAN_START: Fold._span,  # noqa: SLF001
    EventKind.SPAN_UPDATE: Fold._span,  # noqa: SLF001
    EventKind.SPAN_END: Fold._span,  # noqa: SLF001
}
