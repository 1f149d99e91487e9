"""A trace as spans of MLflow: right in MLflow's own user interface, and complete, so that `restore` gives it back.

Pure: no MLflow, no I/O. The same records are sent to MLflow and, with audit on, sealed.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.content import (
    ABSENT,
    CHAT_FORMAT,
    answer,
    arguments,
    last_text,
    prompt,
    question,
    reply,
)
from agenttrace_nb.mlflow_store.limits import session_value, tags
from agenttrace_nb.mlflow_store.records import SpanRecord, clean, root_text_of, text_of
from agenttrace_nb.spans import Agent, Span, SpanKind, Status, Trace, span_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    PriceOf = Callable[[str, dict[str, int]], dict[str, float] | None]

SYNTHETIC_ROOT = "synthetic"
_FAILED = frozenset({Status.ERROR, Status.CANCELLED, Status.INTERRUPTED})
_CONVERSING = frozenset({SpanKind.WORKFLOW, SpanKind.AGENT, SpanKind.LLM})
_TYPES = {
    SpanKind.WORKFLOW: "AGENT",
    SpanKind.AGENT: "AGENT",
    SpanKind.TURN: "CHAIN",
    SpanKind.LLM: "CHAT_MODEL",
    SpanKind.TOOL: "TOOL",
    SpanKind.HANDOFF: "CHAIN",
    SpanKind.GUARDRAIL: "GUARDRAIL",
    SpanKind.MCP: "CHAIN",
    SpanKind.MEMORY: "MEMORY",
    SpanKind.SPEECH: "CHAIN",
    SpanKind.OTHER: "UNKNOWN",
}
_RESERVED = ("mlflow.", names.OURS, names.SESSION_ID, names.USER_ID)


def to_records(
    trace: Trace, *, run_tags: Mapping[str, str] | None = None, price_of: PriceOf | None = None
) -> list[SpanRecord]:
    """Return the spans of MLflow that hold a trace, the root first.

    MLflow wants one root that every span hangs under; a trace without one is given one, which reading takes away.

    Parameters
    ----------
    trace
        The trace.
    run_tags
        Tags of its run that the trace is to be found by.
    price_of
        Gives what a model charges for a call, in USD, from the model's name and MLflow's token counts.

    Returns
    -------
    list of SpanRecord
        One for each span.
    """
    spans = trace.spans
    ids = {span.span_id for span in spans}
    tops = [span for span in spans if span.parent_id is None or span.parent_id not in ids]
    records = []
    if len(tops) == 1:
        root_id = tops[0].span_id
    else:
        root = _synthetic_root(trace)
        root_id = root.span_id
        records.append(_record(trace, root, -1, None, price_of))
    for number, span in enumerate(spans):
        parent_id = span.parent_id if span.parent_id in ids else None if span.span_id == root_id else root_id
        records.append(_record(trace, span, number, parent_id, price_of))
    root_record = next(record for record in records if record.span_id == root_id)
    records.remove(root_record)
    records.insert(0, root_record)
    _describe_trace(trace, root_record, run_tags or {}, synthetic=len(tops) != 1)
    return records


# ------------------------------------------------------------------------------------------------------ one span


def _record(trace: Trace, span: Span, number: int, parent_id: str | None, price_of: PriceOf | None) -> SpanRecord:
    rest: dict[str, Any] = {"n": number}
    record = SpanRecord(
        trace_id=trace.trace_id, span_id=span.span_id, parent_id=parent_id, name=clean(span.name),
        start_ns=span.start_ns, end_ns=span.end_ns,
    )  # fmt: skip
    if record.name != span.name:
        rest["name"] = span.name
    if parent_id != span.parent_id:
        rest["parent_id"] = span.parent_id
    if span.end_ns is None:
        rest["open"] = True
        record.end_ns = max(span.start_ns, trace.end_ns or span.start_ns)
    texts = record.attributes
    texts[names.TRACE_ID] = text_of(names.mlflow_trace_id(trace.trace_id))
    texts[names.SPAN_TYPE] = text_of(_type(span))
    _set_outcome(record, span)
    _set_content(texts, span, rest, is_root=parent_id is None)
    _set_own_attributes(texts, span, rest)
    if span.kind is SpanKind.LLM:
        _set_llm(texts, span, trace.agents.get(span.agent or ""), price_of)
    elif span.model is not None:
        rest["model"] = span.model
    if span.kind is not SpanKind.LLM and span.cost_usd is not None:
        rest["cost_usd"] = span.cost_usd
    texts[names.SPAN] = text_of(rest)
    return record


def _type(span: Span) -> str:
    if span.kind is SpanKind.OTHER and isinstance(kind := span.attributes.get(names.SPAN_TYPE), str):
        return kind  # a span of the user's own MLflow code
    return _TYPES[span.kind]


def _set_outcome(record: SpanRecord, span: Span) -> None:
    texts = record.attributes
    texts[names.KIND] = text_of(span.kind.value)
    texts[names.STATUS] = text_of(span.status.value)
    if span.status in _FAILED:
        record.status = "ERROR"
        record.message = clean(str(span.error) if span.error else span.status.value)
    elif span.status is Status.OK:
        record.status = "OK"
    if span.error is not None:
        texts[names.ERROR] = text_of({k: v for k, v in asdict(span.error).items() if v not in (None, ())})
    if span.error is not None or span.status in _FAILED:
        record.events.append(("exception", record.end_ns or span.start_ns, _exception(span)))


def _exception(span: Span) -> dict[str, str]:
    error = span.error
    told = {
        "exception.type": error.type if error and error.type else span.status.value.capitalize(),
        "exception.message": error.message if error else span.status.value,
        "exception.stacktrace": (error.traceback if error else None) or "",
    }
    return {name: clean(text) for name, text in told.items()}


def _set_content(texts: dict[str, str], span: Span, rest: dict[str, Any], *, is_root: bool) -> None:
    given, taken = span.input, span.output
    shown, shape, shown_out, shape_out = given, None, taken, None
    if span.kind is SpanKind.TOOL:
        shown, shape = arguments(given)
    elif span.kind in _CONVERSING:
        shown, shape = question(given) if is_root and isinstance(given, str) else prompt(given)
        shown_out, shape_out = reply(taken) if is_root and isinstance(taken, str) else answer(taken)
    if span.kind is SpanKind.LLM:
        texts[names.MESSAGE_FORMAT] = text_of(CHAT_FORMAT)
    for name, side, value, as_shown, how in (
        (names.INPUTS, "in", given, shown, shape),
        (names.OUTPUTS, "out", taken, shown_out, shape_out),
    ):
        if value is None:
            rest[side] = ABSENT
            continue
        texts[name] = root_text_of(as_shown) if is_root else text_of(as_shown)
        if how is not None:
            rest[side] = how


def _set_own_attributes(texts: dict[str, str], span: Span, rest: dict[str, Any]) -> None:
    for name, value in ((names.AGENT, span.agent), (names.ROLE, span.role), (names.TTFT_S, span.ttft_s)):
        if value is not None:
            texts[name] = text_of(value)
    counts = {
        "input": span.input_tokens, "output": span.output_tokens, "cached": span.cached_tokens,
        "reasoning": span.reasoning_tokens,
    }  # fmt: skip
    if counts := {k: v for k, v in counts.items() if v is not None}:
        texts[names.TOKENS] = text_of(counts)
    aside = {}
    for name, value in span.attributes.items():
        if name and not name.startswith(_RESERVED) and clean(name) == name:
            texts[name] = text_of(value)
        else:
            aside[name] = value
    if aside:
        rest["attributes"] = aside


def _set_llm(texts: dict[str, str], span: Span, agent: Agent | None, price_of: PriceOf | None) -> None:
    counts = usage(span)
    if counts:
        texts[names.TOKEN_USAGE] = text_of(counts)
    if span.model is not None:
        texts[names.MODEL] = text_of(span.model)
    if span.cost_usd is not None:
        texts[names.COST] = text_of({"total_cost": span.cost_usd})
    elif price_of is not None and span.model and counts and (price := price_of(span.model, counts)):
        texts[names.COST] = text_of(price)
    if agent is not None and agent.tools:
        texts[names.TOOLS] = text_of([_chat_tool(tool) for tool in agent.tools])


def usage(span: Span) -> dict[str, int]:
    """Return the token counts of an LLM call under MLflow's names; empty where none is known."""
    counts = {
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cache_read_input_tokens": span.cached_tokens,
    }
    known = {k: v for k, v in counts.items() if v is not None}
    if span.input_tokens is not None or span.output_tokens is not None:
        # Without a total MLflow would store 0
        known["total_tokens"] = (span.input_tokens or 0) + (span.output_tokens or 0)
    return known


def _chat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    known = {k: tool[k] for k in ("name", "description", "parameters") if tool.get(k) is not None}
    return {"type": "function", "function": known}


# ---------------------------------------------------------------------------------------------------- the whole trace


def _synthetic_root(trace: Trace) -> Span:
    ends = [s.end_ns for s in trace.spans if s.end_ns is not None]
    return Span(
        trace_id=trace.trace_id, span_id=span_id_of(f"root of {trace.trace_id}"), kind=SpanKind.WORKFLOW,
        name=trace.name, status=trace.status, start_ns=min([trace.start_ns, *(s.start_ns for s in trace.spans)]),
        end_ns=trace.end_ns or max(ends, default=None),
    )  # fmt: skip


def _describe_trace(trace: Trace, root: SpanRecord, run_tags: Mapping[str, str], *, synthetic: bool) -> None:
    texts = root.attributes
    # MLflow takes the state of the trace from its root
    root.status = "ERROR" if trace.status in _FAILED else "OK" if trace.end_ns is not None else "UNSET"
    if root.status == "ERROR" and not root.message:
        root.message = _first_error(trace) or trace.status.value
    known = {
        "name": trace.name, "status": trace.status.value, "start_ns": trace.start_ns, "end_ns": trace.end_ns,
        "run_id": trace.run_id, "session": trace.session, "user": trace.user, "metadata": trace.metadata,
        "agents": [_declared(agent) for agent in trace.agents.values()], "tags": trace.tags,
    }  # fmt: skip
    texts[names.TRACE] = text_of(
        {k: v for k, v in known.items() if v not in (None, {}, [])} | ({"root": SYNTHETIC_ROOT} if synthetic else {})
    )
    if trace.session:
        texts[names.SESSION_ID] = text_of(session_value(trace.session))
    if trace.user:
        texts[names.USER_ID] = text_of(session_value(trace.user))
    _show_conversation(trace, root)
    found_by = {**run_tags, **trace.tags}
    if trace.status in (Status.CANCELLED, Status.INTERRUPTED):
        found_by[names.TRACE_STATUS] = trace.status.value  # MLflow knows only OK and ERROR
    for key, value in tags(found_by).items():
        texts[names.TRACE_TAG + key] = text_of(value)
    texts[names.TRACE_TAG + names.TRACE_NAME] = text_of(clean(trace.name)[:250])


def _first_error(trace: Trace) -> str | None:
    return next((clean(str(s.error)) for s in trace.errors if s.error), None)


def _declared(agent: Agent) -> dict[str, Any]:
    known = {f.name: getattr(agent, f.name) for f in fields(agent)}
    return {k: v for k, v in known.items() if v not in (None, {}, [])}


def _show_conversation(trace: Trace, root: SpanRecord) -> None:
    """Show the first question and the last answer on a root that holds neither."""
    speaking = [s for s in trace.spans if s.kind is SpanKind.LLM]
    if names.INPUTS not in root.attributes and speaking and (asked := last_text(speaking[0].input, "user")):
        root.attributes[names.INPUTS] = text_of(question(asked)[0])
    if names.OUTPUTS not in root.attributes and (said := _last_answer(speaking)):
        root.attributes[names.OUTPUTS] = text_of(reply(said)[0])


def _last_answer(speaking: list[Span]) -> str | None:
    for span in reversed(speaking):
        if said := last_text(span.output, "assistant"):
            return said
    return None
