"""Traces that plain MLflow wrote (``mlflow.openai.autolog``, ``@mlflow.trace``), read as well as they can be.

What MLflow 3.17 makes of a run of the Agents SDK: each LLM call twice (``Response`` and below it the client's
``AsyncResponses``), each turn as ``Unknown``, the runner's task as a span without content, and inside ``trace()`` or a
tool an empty ``AgentRunner.run`` beside the task that has the children. Here each of these stands once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.spans import Lazy, Span, SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.mlflow_store.restore import TraceHead

_KINDS = {
    "AGENT": SpanKind.AGENT, "CHAT_MODEL": SpanKind.LLM, "LLM": SpanKind.LLM, "TOOL": SpanKind.TOOL,
    "GUARDRAIL": SpanKind.GUARDRAIL, "MEMORY": SpanKind.MEMORY, "WORKFLOW": SpanKind.WORKFLOW,
}  # fmt: skip
_CLIENTS = frozenset({"Responses", "AsyncResponses", "Completions", "AsyncCompletions"})
_CALLS = frozenset({"Response", "Generation"})
_RUNNERS = frozenset({"AgentRunner.run", "AgentRunner.run_streamed"})
_MS_IN_NS = 1_000_000
# MLflow puts contexts, run configurations and whatever is in them (keys, headers) under these names of the runner.
_DUMPED = frozenset({"kwargs", "context", "run_config", "session", "hooks"})


def foreign_trace(head: TraceHead, records: list[SpanRecord]) -> Trace:
    """Return a trace that was not written by this package."""
    start_ns = (
        min([head.start_ms * _MS_IN_NS, *(r.start_ns for r in records)]) if records else head.start_ms * _MS_IN_NS
    )
    ends = [r.end_ns for r in records if r.end_ns is not None]
    status = {"OK": Status.OK, "ERROR": Status.ERROR}.get(head.state, Status.RUNNING)
    end_ns = None
    if status is not Status.RUNNING:
        end_ns = max(ends, default=(head.start_ms + (head.duration_ms or 0)) * _MS_IN_NS)
    return Trace(
        trace_id=names.own_trace_id(head.trace_id), name=head.name or "trace", start_ns=start_ns, end_ns=end_ns,
        status=status, session=head.session, user=head.user, spans=_Folding(head, records).spans(),
        tags={k: v for k, v in head.tags.items() if not k.startswith("mlflow.")},
        problem="it has not ended, or the process that wrote it ended first" if status is Status.RUNNING else None,
    )  # fmt: skip


class _Folding:
    def __init__(self, head: TraceHead, records: list[SpanRecord]) -> None:
        self.trace_id = names.own_trace_id(head.trace_id)
        self.records = {r.span_id: r for r in sorted(records, key=lambda r: r.start_ns)}
        self.parent = {r.span_id: r.parent_id for r in records}
        self.content: dict[str, SpanRecord] = {}
        self.kind = {r.span_id: self._kind(r) for r in records}

    def spans(self) -> list[Span]:
        """Return the spans with what MLflow doubled or left nameless folded, in order of start."""
        for record in list(self.records.values()):
            if record.span_id in self.records:
                self._fold(record)
        spans = [self._span(record) for record in self.records.values()]
        self._name_turns(spans)
        return spans

    def _fold(self, record: SpanRecord) -> None:
        above = self.records.get(self.parent[record.span_id] or "")
        if above is None:
            return
        below = self._children(record)
        if record.name in _CLIENTS and above.name in _CALLS and not below:
            self._take_over(above, record)
        elif record.name in _RUNNERS and not below:
            beside = [r for r in self._children(above) if self._is_task(r) and r.start_ns >= record.start_ns]
            if beside:
                self.content[beside[0].span_id] = record
                self._drop(record)
        elif self._is_task(record) and above.name in _RUNNERS:
            self._drop(record)

    def _take_over(self, above: SpanRecord, record: SpanRecord) -> None:
        for name in (names.INPUTS, names.OUTPUTS, names.TOKEN_USAGE, names.MODEL, names.COST):
            if above.get(name) in (None, "", []) and name in record.attributes:
                above.attributes[name] = record.attributes[name]
        above.events.extend(event for event in record.events if not above.events)
        self._drop(record)

    def _drop(self, record: SpanRecord) -> None:
        del self.records[record.span_id]
        for child, parent in self.parent.items():
            if parent == record.span_id:
                self.parent[child] = self.parent[record.span_id]

    def _children(self, record: SpanRecord) -> list[SpanRecord]:
        return [r for r in self.records.values() if self.parent[r.span_id] == record.span_id]

    def _is_task(self, record: SpanRecord) -> bool:
        return (
            record.get(names.SPAN_TYPE) == "CHAIN"
            and record.name not in {"Unknown", "Handoff"}
            and record.get(names.INPUTS) is None
            and record.get(names.OUTPUTS) is None
        )

    def _kind(self, record: SpanRecord) -> SpanKind:
        if record.name in _RUNNERS:
            return SpanKind.WORKFLOW
        if record.name == "Handoff" and record.get(names.SPAN_TYPE) == "CHAIN":
            return SpanKind.HANDOFF
        return _KINDS.get(str(record.get(names.SPAN_TYPE)), SpanKind.OTHER)

    def _agent(self, record: SpanRecord | None) -> str | None:
        while record is not None:
            if self.kind[record.span_id] is SpanKind.AGENT:
                return record.name
            record = self.records.get(self.parent[record.span_id] or "")
        return None

    def _span(self, record: SpanRecord) -> Span:
        kind = self.kind[record.span_id]
        if self._is_task(record) and self._children(record):
            kind = SpanKind.WORKFLOW
        usage = record.get(names.TOKEN_USAGE) if kind is SpanKind.LLM else None
        cost = record.get(names.COST) if kind is SpanKind.LLM else None
        usage, cost = usage if isinstance(usage, dict) else {}, cost if isinstance(cost, dict) else {}
        told = self.content.get(record.span_id, record)
        return Span(
            trace_id=self.trace_id, span_id=record.span_id, parent_id=self.parent[record.span_id], kind=kind,
            name=record.name, start_ns=record.start_ns, end_ns=record.end_ns, status=_status(record),
            agent=self._agent(record), error=_error(record), attributes=_attributes(record),
            content_in=_lazy(told, names.INPUTS), content_out=_lazy(told, names.OUTPUTS),
            input_tokens=usage.get("input_tokens"), output_tokens=usage.get("output_tokens"),
            cached_tokens=usage.get("cache_read_input_tokens"), cost_usd=cost.get("total_cost"),
            model=record.get(names.MODEL) if kind is SpanKind.LLM else None,
        )  # fmt: skip

    def _name_turns(self, spans: list[Span]) -> None:
        speaking = {s.parent_id for s in spans if s.kind is SpanKind.LLM}
        count: dict[str | None, int] = {}
        for span in spans:
            if span.name != "Unknown" or span.kind is not SpanKind.OTHER:
                continue
            if span.span_id in speaking:
                count[span.parent_id] = count.get(span.parent_id, 0) + 1
                span.kind, span.name = SpanKind.TURN, f"turn {count[span.parent_id]}"
            else:
                span.name = "unknown"


def _status(record: SpanRecord) -> Status:
    if record.status == "ERROR":
        return Status.ERROR
    return Status.RUNNING if record.end_ns is None else Status.OK


def _error(record: SpanRecord) -> SpanError | None:
    if record.status != "ERROR":
        return None
    told: dict[str, str] = next((a for name, _, a in record.events if name == "exception"), {})
    return SpanError(
        message=str(told.get("exception.message") or record.message), type=told.get("exception.type") or None,
        traceback=told.get("exception.stacktrace") or None,
    )  # fmt: skip


def _attributes(record: SpanRecord) -> dict[str, Any]:
    unwanted = _DUMPED if record.name in _RUNNERS else frozenset()
    return {
        name: record.get(name) for name in record.attributes if not name.startswith("mlflow.") and name not in unwanted
    }


def _lazy(record: SpanRecord, name: str) -> Any:
    return Lazy(lambda: record.get(name)) if name in record.attributes else None
