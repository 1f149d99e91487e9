"""The SDK's tracing processor: structure, times, errors, and all that its spans know when they end."""

from __future__ import annotations

import sys
import time
from typing import Any

from agents import TracingProcessor

from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture import mlflow_spans
from agenttrace_nb.capture.active import ACTIVE, quiet, role_of
from agenttrace_nb.capture.failures import WITHHELD, describe
from agenttrace_nb.capture.state import CALL, TRACES, OpenSpan, OpenTrace
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import NS_PER_S, SpanKind, Status, trace_id_of

_KINDS = {
    "task": SpanKind.WORKFLOW,
    "agent": SpanKind.AGENT,
    "turn": SpanKind.TURN,
    "function": SpanKind.TOOL,
    "generation": SpanKind.LLM,
    "response": SpanKind.LLM,
    "handoff": SpanKind.HANDOFF,
    "guardrail": SpanKind.GUARDRAIL,
    "mcp_tools": SpanKind.MCP,
    "transcription": SpanKind.SPEECH,
    "speech": SpanKind.SPEECH,
    "speech_group": SpanKind.SPEECH,
}
_RUNNING = frozenset({SpanKind.WORKFLOW, SpanKind.AGENT})
_PLAIN = (str, int, float, bool, dict, list, tuple, type(None))


class JournalProcessor(TracingProcessor):
    """Writes what the SDK traces to the journal of the active cell run; does nothing where none is active."""

    @quiet
    def on_trace_start(self, trace: Any) -> None:
        """Open the trace and the span that stands for it."""
        recorder = ACTIVE.get()
        if recorder is None:
            return
        call = CALL.get()
        implicit = call is not None and call.trace is None and not call.had_trace
        open_ = OpenTrace(
            recorder, trace_id_of(trace.trace_id), trace.trace_id, implicit, started_under=sys.exception()
        )
        TRACES[trace.trace_id] = open_
        content: dict[str, Any] = {}
        if implicit and call is not None:
            open_.call, call.trace = call, open_
            if call.sensitive and call.input is not None:
                content["input"] = call.input
        session = getattr(trace, "group_id", None) or (call.session if call else None) or recorder.session
        start = {"name": trace.name, "session": session, "metadata": getattr(trace, "metadata", None) or {}}
        recorder.append(EventKind.TRACE_START, open_.trace_id, body=start)
        root = {"kind": SpanKind.WORKFLOW.value, "name": trace.name}
        recorder.append(EventKind.SPAN_START, open_.trace_id, open_.root_id, root, content)

    @quiet
    def on_span_start(self, span: Any) -> None:
        """Open a span."""
        trace = TRACES.get(span.trace_id) or _resumed(span)
        if trace is None:
            return
        data = span.span_data
        kind = _KINDS.get(data.type, SpanKind.OTHER)
        call = CALL.get()
        open_ = _open(trace, span, kind, sensitive=call.sensitive if call else True)
        if kind is SpanKind.WORKFLOW:
            # The runner's task span says nothing that what it stands in does not say: the trace, or the tool that
            # runs an agent. What the task began stands there directly.
            open_.span_id = trace.ids[span.span_id] = trace.id_of(span.parent_id)
            return
        if kind is SpanKind.LLM and (llm := trace.llms.get(span.parent_id)) is not None:
            open_.llm = llm
            trace.ids[span.span_id] = llm.span_id
            return
        body = {"kind": kind.value, "parent_id": trace.id_of(span.parent_id), **_names(open_, data, kind)}
        content: dict[str, Any] = {}
        if kind is SpanKind.AGENT and call is not None and call.input is not None:
            content, call.input = ({"input": call.input} if call.sensitive else {}), None
        trace.recorder.append(
            EventKind.SPAN_START, trace.trace_id, open_.span_id, body, content, time_ns=open_.start_ns
        )
        if kind is SpanKind.TOOL:
            _watch_errors(span, open_)
            open_.leave = mlflow_spans.enter_tool(trace, open_)

    @quiet
    def on_span_end(self, span: Any) -> None:
        """Close a span with everything it came to know."""
        trace = TRACES.get(span.trace_id)
        open_ = trace.spans.pop(span.span_id, None) if trace else None
        if trace is None or open_ is None:
            return
        if open_.leave is not None:
            open_.leave()
        error = sys.exception()
        if error is open_.started_under:
            error = None
        data = span.span_data
        body = trace.ending(error, sensitive=open_.sensitive)
        if error is None or open_.error is not None:
            body = _with_own_error(body, open_, span.error)
        if open_.llm is not None:
            llm_calls.take_sdk_span(open_.llm, data, body)
            return
        llm_calls.fail_llm(trace, span.span_id, error)
        content: dict[str, Any] = {"output": open_.output} if open_.has_output and open_.sensitive else {}
        _DETAILS.get(open_.kind, _nothing)(trace, open_, data, body, content)
        if error is not None:
            _explain_guardrail(trace, error, sensitive=open_.sensitive)
        if body["status"] == Status.OK.value and open_.kind in _RUNNING and _stopped_after_turn(trace):
            body["status"] = Status.CANCELLED.value
        if open_.kind is SpanKind.WORKFLOW:
            _end_task(trace, open_, body, content)
        else:
            trace.recorder.append(EventKind.SPAN_END, trace.trace_id, open_.span_id, body, content)
        _forget_if_done(trace)

    @quiet
    def on_trace_end(self, trace: Any) -> None:
        """Close the trace."""
        open_ = TRACES.get(trace.trace_id)
        if open_ is None:
            return
        error = sys.exception()
        if error is open_.started_under:
            error = None
        sensitive = open_.call.sensitive if open_.call else True
        ending = open_.ending(error, sensitive=sensitive)
        if error is None and _stopped_after_turn(open_):
            ending = {"status": Status.CANCELLED.value}
        for parent in list(open_.llms):
            llm_calls.fail_llm(open_, parent, error)
        if not open_.root_ended:
            open_.recorder.append(EventKind.SPAN_END, open_.trace_id, open_.root_id, ending)
            open_.root_ended = True
        elif ending["status"] == Status.CANCELLED.value:
            open_.recorder.append(EventKind.SPAN_UPDATE, open_.trace_id, open_.root_id, ending)
        open_.recorder.append(EventKind.TRACE_END, open_.trace_id, body=ending, urgent=True)
        open_.ended = True
        _forget_if_done(open_)

    def shutdown(self) -> None:
        """Nothing to do: the journal is closed by its process."""

    def force_flush(self) -> None:
        """Nothing to do: what matters is written at once."""


def _resumed(span: Any) -> OpenTrace | None:
    """Open a trace whose start was not seen here: it goes on from a saved state, or began before the cell."""
    recorder = ACTIVE.get()
    if recorder is None:
        return None
    call = CALL.get()
    trace = OpenTrace(recorder, trace_id_of(span.trace_id), span.trace_id, implicit=False, call=call, resumed=True)
    TRACES[span.trace_id] = trace
    recorder.append(EventKind.TRACE_START, trace.trace_id, body={"resumed": True})
    return trace


def _open(trace: OpenTrace, span: Any, kind: SpanKind, *, sensitive: bool) -> OpenSpan:
    parent = trace.spans.get(span.parent_id) if span.parent_id else None
    open_ = OpenSpan(
        span_id=trace.id_of(span.span_id),
        kind=kind,
        parent=parent,
        started_under=sys.exception(),
        start_ns=time.time_ns(),
        agent=parent.agent if parent else None,
        role=parent.role if parent else None,
        sensitive=sensitive,
    )
    trace.ids[span.span_id] = open_.span_id
    trace.spans[span.span_id] = open_
    if kind is SpanKind.AGENT:
        open_.agent = span.span_data.name
        open_.role = role_of(trace.recorder, open_.agent)
    return open_


def _names(open_: OpenSpan, data: Any, kind: SpanKind) -> dict[str, Any]:
    if kind is SpanKind.TURN:
        open_.agent = data.agent_name
        name = f"turn {data.turn}"
    elif kind is SpanKind.HANDOFF:
        name = f"{data.from_agent} → …"
    elif kind is SpanKind.MCP:
        name = data.server or "mcp"
    elif kind is SpanKind.LLM:
        name = getattr(data, "model", None) or "llm"
    else:
        name = getattr(data, "name", None) or data.type
    open_.name = name
    found: dict[str, Any] = {"name": name}
    if open_.agent is not None:
        found["agent"] = open_.agent
    if open_.role is not None:
        found["role"] = open_.role
    return found


def _watch_errors(span: Any, open_: OpenSpan) -> None:
    """Look at the exception when the SDK marks the span as failed: what it writes there is redacted.

    `set_error` is called inside the ``except`` block of the failed tool, so that the true exception is at hand.
    """
    set_error = span.set_error

    def watched(error: Any) -> None:
        try:
            true = sys.exception()
            if true is not None and true is not open_.started_under and open_.error is None:
                open_.error = describe(true, sensitive=open_.sensitive)
        finally:
            set_error(error)

    span.set_error = watched


def _with_own_error(body: dict[str, Any], open_: OpenSpan, error: Any) -> dict[str, Any]:
    if open_.error is not None:
        return {"status": Status.ERROR.value, "error": open_.error}
    if not error:
        return body
    data = error.get("data") or {}
    detail = data.get("error") or data.get("tool_name")
    message = f"{error['message']}: {detail}" if detail and open_.sensitive else error["message"]
    return {"status": Status.ERROR.value, "error": {"type": None, "message": message}}


def _nothing(*_: Any) -> None:
    return


def _tool(trace: OpenTrace, open_: OpenSpan, data: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    output = data.output
    if open_.sensitive:
        if open_.call_id is None and data.input is not None:
            content["input"] = data.input
        if output is not None:
            # An object that is no JSON reaches the model as its text.
            content["output"] = output if isinstance(output, _PLAIN) or hasattr(output, "model_dump") else str(output)
    if data.mcp_data:
        body["attributes"] = {"mcp": data.mcp_data}
    if body["status"] != Status.OK.value:
        return
    took_s = (time.time_ns() - open_.start_ns) / NS_PER_S
    if open_.timeout_s is not None and took_s >= open_.timeout_s:
        text = output if isinstance(output, str) and open_.sensitive else f"timed out after {open_.timeout_s:g} s"
        body.update(status=Status.ERROR.value, error={"type": "ToolTimeoutError", "message": text})
    elif open_.call_id is None and output is None:
        trace.pending_approvals += 1
        body["attributes"] = {**body.get("attributes", {}), "approval": "pending"}


def _handoff(_: OpenTrace, __: OpenSpan, data: Any, body: dict[str, Any], ___: dict[str, Any]) -> None:
    body["name"] = f"{data.from_agent} → {data.to_agent or '?'}"
    body["attributes"] = {"from_agent": data.from_agent, "to_agent": data.to_agent}


def _guardrail(trace: OpenTrace, open_: OpenSpan, data: Any, body: dict[str, Any], _: dict[str, Any]) -> None:
    body["attributes"] = {"triggered": bool(data.triggered)}
    if data.triggered:
        trace.guardrails[data.name] = open_.span_id
        body.update(
            status=Status.ERROR.value, error={"type": "GuardrailTripwireTriggered", "message": "tripwire triggered"}
        )


def _explain_guardrail(trace: OpenTrace, error: BaseException, *, sensitive: bool) -> None:
    result: Any = getattr(error, "guardrail_result", None)
    span_id = trace.guardrails.pop(result.guardrail.get_name(), None) if result is not None else None
    if span_id is None:
        return
    info = result.output.output_info
    reason = (str(info) if info is not None else "no reason given") if sensitive else WITHHELD
    body: dict[str, Any] = {"error": {"type": type(error).__name__, "message": f"tripwire triggered: {reason}"}}
    if sensitive:
        body["attributes"] = {"output_info": info}
    trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, span_id, body)


def _mcp(_: OpenTrace, __: OpenSpan, data: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    body["attributes"] = {"server": data.server}
    content["output"] = data.result


def _bare_llm(_: OpenTrace, open_: OpenSpan, data: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    body.update(llm_calls.sdk_fields(data))
    if not open_.sensitive:
        return
    response = getattr(data, "response", None)
    output = getattr(response, "output", None) if response is not None else getattr(data, "output", None)
    if getattr(data, "input", None) is not None:
        content["input"] = data.input
    if output is not None:
        content["output"] = [llm_calls.output_item(i) for i in output] if isinstance(output, (list, tuple)) else output


def _speech(_: OpenTrace, open_: OpenSpan, data: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    found = {n: getattr(data, n, None) for n in ("input_format", "output_format", "first_content_at")}
    body["attributes"] = {n: v for n, v in found.items() if v is not None}
    if getattr(data, "model", None):
        body["model"] = data.model
    if open_.sensitive:
        content.update({n: v for n in ("input", "output") if (v := getattr(data, n, None)) is not None})


def _other(_: OpenTrace, open_: OpenSpan, data: Any, body: dict[str, Any], __: dict[str, Any]) -> None:
    """Keep a custom span, or one of a type that is not known yet, with the data it exports."""
    exported = data.export() or {}
    body["attributes"] = {"type": data.type}
    if open_.sensitive:
        kept = {k: v for k, v in exported.items() if k not in ("type", "name")}
        body["attributes"]["data"] = kept["data"] if set(kept) == {"data"} else kept


_DETAILS = {
    SpanKind.TOOL: _tool,
    SpanKind.HANDOFF: _handoff,
    SpanKind.GUARDRAIL: _guardrail,
    SpanKind.MCP: _mcp,
    SpanKind.LLM: _bare_llm,
    SpanKind.SPEECH: _speech,
    SpanKind.OTHER: _other,
}


def _stopped_after_turn(trace: OpenTrace) -> bool:
    # `result.cancel(mode="after_turn")` ends a streamed run without any exception.
    result = trace.call.result if trace.call else None
    return getattr(result, "_cancel_mode", "none") not in ("none", None)


def _end_task(trace: OpenTrace, open_: OpenSpan, body: dict[str, Any], content: dict[str, Any]) -> None:
    """End the trace's root with the runner's own trace; end it again after a run that went on from a saved state.

    For the latter the SDK announces no end of the trace.
    """
    if open_.parent is not None or not (trace.implicit or trace.resumed):
        return
    if trace.pending_approvals:
        body["attributes"] = {"pending_approvals": trace.pending_approvals}
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, trace.root_id, body, content)
    trace.root_ended = True
    if trace.resumed:
        ending: dict[str, Any] = {k: body[k] for k in ("status", "error") if k in body}
        trace.recorder.append(EventKind.TRACE_END, trace.trace_id, body=ending, urgent=True)
        trace.ended = True


def _forget_if_done(trace: OpenTrace) -> None:
    # A tool in a worker thread may end after its trace did.
    if trace.ended and not trace.spans:
        TRACES.pop(trace.sdk_id, None)
