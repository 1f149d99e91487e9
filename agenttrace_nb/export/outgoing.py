"""What leaves this machine: steps and runs cut to a level of content, redacted once more, and fit to be sent.

What a handler is given are copies: nothing that it does to them reaches the record.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import Content, Item, Moment
from agenttrace_nb.spans import Agent, CellRun, Span, SpanError, Trace

if TYPE_CHECKING:
    from agenttrace_nb.journal.redact import Redactor

_STRUCTURE = frozenset({
    "alert.arch", "alert.experiment", "alert.rule", "alert.runs", "alert.value", "approval", "attempts", "call_id",
    "finish_reason", "from_agent", "items", "mlflow.spanType", "pending_approvals", "request_id", "requested_model",
    "response_id", "server", "service_tier", "streamed", "to_agent", "triggered", "type",
})  # fmt: skip
"""Attributes that say how a step went, not what was said in it. All others are content."""

_METADATA = frozenset({"session"})
"""Attributes that leave with the metadata; of the settings of a model those that are one value each."""

_TEXTS = ("name", "agent", "role", "model")
_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "ttft_s")
_OF_RUN_OFF = ("name", "arch", "case", "trial", "experiment", "roles", "versions", "git_commit")
_OF_RUN_METADATA = (*_OF_RUN_OFF, "session", "notebook", "cell_id", "tags", "params")
_NOT_PLAIN = ("NaN", "Infinity", "\\ud")
"""In a JSON text, what may be something that no target can take."""
_LAST_NS = 2**63 - 1


class Cutter:
    """Makes items for one handler.

    Parameters
    ----------
    content
        How much of what was written leaves.
    redactor
        What is taken out.
    """

    def __init__(self, content: Content, redactor: Redactor) -> None:
        self._content = Content(content)
        self._redactor = redactor
        self._cut: dict[int, tuple[Any, Any]] = {}

    def begin(self) -> None:
        """Begin a batch: what was cut before may have changed since."""
        self._cut.clear()

    def span(
        self, span: Span, trace: Trace | None, run: CellRun | None, parent: Span | None = None
    ) -> tuple[Item, int]:
        """Return the item of a step, and about how many bytes it has."""
        copy, size = self._span(span, self._content)
        item = Item(
            moment=Moment.SPAN, event_id=f"{span.trace_id}:{span.span_id}", span=copy, trace=self._once(trace),
            run=self._once(run), parent=self._once(parent),
        )  # fmt: skip
        return item, size

    def run(self, run: CellRun) -> tuple[Item, int]:
        """Return the item of a run, and about how many bytes it has."""
        copy, size = self._run(run)
        return Item(moment=Moment.RUN, event_id=f"run:{run.key}", run=copy), size

    def alert(self, span: Span) -> tuple[Item, int]:
        """Return the item of an alert, and about how many bytes it has."""
        copy, size = self._span(span, self._content)
        return Item(moment=Moment.ALERT, event_id=f"alert:{span.trace_id}", span=copy), size

    # -- inside -------------------------------------------------------------------------------------------------

    def _once(self, original: Any) -> Any:
        if original is None:
            return None
        known = self._cut.get(id(original))
        if known is None:
            if isinstance(original, Span):
                copy: Any = self._span(original, Content.OFF)[0]
            else:
                copy = self._trace(original) if isinstance(original, Trace) else self._run(original)[0]
            known = self._cut[id(original)] = (original, copy)  # with the original, so that its id is not used again
        return known[1]

    def _clean(self, record: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Return a record without secrets and without what no target could take, and its size."""
        text = json.dumps(record, separators=(",", ":"), default=str)
        if any([mark in text for mark in _NOT_PLAIN]):  # noqa: C419 - a generator costs more than it saves
            text = json.dumps(_plain(json.loads(text)), separators=(",", ":"))
        cleaned = self._redactor.clean_body(text.encode())
        found: dict[str, Any] = json.loads(cleaned)
        return found, len(cleaned)

    def _span(self, span: Span, content: Content) -> tuple[Span, int]:
        record: dict[str, Any] = {name: getattr(span, name) for name in _TEXTS}
        record["error"] = _cut_error(span.error, content)
        record["attributes"] = _cut_attributes(span.attributes, content)
        if content is Content.FULL:
            record |= {"content_in": span.input, "content_out": span.output}
        kept, size = self._clean(record)
        start, end = _period(span.start_ns, span.end_ns)
        copy = Span(
            trace_id=span.trace_id, span_id=span.span_id, parent_id=span.parent_id, kind=span.kind, status=span.status,
            start_ns=start, end_ns=end, **{**kept, "error": _error_from(kept["error"])},
            **{name: _finite(getattr(span, name)) for name in _COUNTS},
        )  # fmt: skip
        return copy, size

    def _trace(self, trace: Trace) -> Trace:
        record: dict[str, Any] = {"name": trace.name}
        if self._content is not Content.OFF:
            record |= {n: getattr(trace, n) for n in ("session", "user", "tags", "metadata")}
        kept, _ = self._clean(record)
        agents = [self._agent(agent) for agent in trace.agents.values()]
        start, end = _period(trace.start_ns, trace.end_ns)
        return Trace(
            trace_id=trace.trace_id, start_ns=start, end_ns=end, status=trace.status,
            agents={agent.name: agent for agent in agents}, **kept,
        )  # fmt: skip

    def _agent(self, agent: Agent) -> Agent:
        whole = asdict(agent) if self._content is Content.FULL else {}
        kept, _ = self._clean({**whole, "name": agent.name, "role": agent.role, "model": agent.model})
        return Agent(**kept)

    def _run(self, run: CellRun) -> tuple[CellRun, int]:
        names = _OF_RUN_OFF if self._content is Content.OFF else _OF_RUN_METADATA
        record: dict[str, Any] = {name: getattr(run, name) for name in names}
        record["error"] = _cut_error(run.error, self._content)
        kept, size = self._clean(record)
        start, end = _period(run.start_ns, run.end_ns)
        copy = CellRun(
            key=run.key, parent_key=run.parent_key, start_ns=start, end_ns=end, status=run.status, success=run.success,
            run_id=run.run_id, execution_count=run.execution_count, source_hash=run.source_hash,
            trace_ids=list(run.trace_ids), deterministic=run.deterministic, message_runs=run.message_runs,
            **{**kept, "error": _error_from(kept["error"])},
        )  # fmt: skip
        return copy, size


def _cut_attributes(attributes: dict[str, Any], content: Content) -> dict[str, Any]:
    if content is Content.FULL:
        return attributes
    names = _STRUCTURE | _METADATA if content is Content.METADATA else _STRUCTURE
    kept = {name: value for name, value in attributes.items() if name in names and _is_scalar(value)}
    settings = attributes.get("model_settings")
    if content is Content.METADATA and isinstance(settings, dict):
        kept["model_settings"] = {k: v for k, v in settings.items() if _is_scalar(v) and v is not None}
    return kept


def _cut_error(error: SpanError | None, content: Content) -> dict[str, Any] | None:
    if error is None:
        return None
    kept = asdict(error)
    if content is not Content.FULL:
        kept["traceback"] = None
    if content is Content.OFF:
        kept |= {"message": "", "chain": ()}
    return kept


def _error_from(kept: Any) -> SpanError | None:
    if not isinstance(kept, dict):
        return None
    known = {f.name for f in fields(SpanError)}
    data = {name: value for name, value in kept.items() if name in known}
    return SpanError(**{**data, "chain": tuple(data.get("chain") or ())})


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _plain(value: Any) -> Any:
    """Return data that every target can take: no NaN, no infinity, no half of a surrogate pair."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {_plain(name): _plain(inner) for name, inner in value.items()}
    return value


def _finite(value: Any) -> Any:
    """Return a count that is one, else ``None``: what is not a number is not known."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _period(start: Any, end: Any) -> tuple[int, int | None]:
    """Return a start and an end that a target can take: a clock that was put back gives a step of no length."""
    start_ns = _time(start) or 0
    end_ns = _time(end)
    return start_ns, None if end_ns is None else max(start_ns, end_ns)


def _time(value: Any) -> int | None:
    found = _finite(value)
    return None if found is None else min(max(0, int(found)), _LAST_NS)
