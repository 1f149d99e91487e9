"""The SDK's tracing processor: structure, times, errors, and all that its spans know when they end."""

from __future__ import annotations

import sys
import time
from typing import Any

from agents import TracingProcessor, get_current_trace

from agenttrace_nb.capture import approvals, guardrails, memory, mlflow_spans, tools, words
from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture.active import ACTIVE, quiet, role_of
from agenttrace_nb.capture.plain import as_data
from agenttrace_nb.capture.state import CALL, NO_OUTPUT, TRACES, Call, OpenSpan, OpenTrace, reopen
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind, trace_id_of

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
_ENDING = ("status", "error")


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
        open_ = OpenTrace(recorder, trace_id_of(trace.trace_id), trace.trace_id, implicit)
        open_.started_under = sys.exception()
        TRACES[trace.trace_id] = open_
        content: dict[str, Any] = {}
        if implicit and call is not None:
            open_.call, call.trace = call, open_
            if call.sensitive and call.input is not None:
                content["input"] = call.input
        _announce(open_, trace, call)
        _start_root(open_, trace.name, content)
        if call is not None and call.before_trace:
            memory.settle(open_, call)

    @quiet
    def on_span_start(self, span: Any) -> None:
        """Open a span."""
        trace = TRACES.get(span.trace_id) or _reopened(span)
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
        body = {"kind": words.KINDS[kind], "parent_id": trace.id_of(span.parent_id), **_names(open_, data)}
        content: dict[str, Any] = {}
        if kind is SpanKind.AGENT and call is not None and call.input is not None:
            content, call.input = ({"input": call.input} if call.sensitive else {}), None
        trace.recorder.append(
            EventKind.SPAN_START, trace.trace_id, open_.span_id, body, content, time_ns=open_.start_ns
        )
        if kind is SpanKind.TOOL:
            tools.watch_errors(span, open_)
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
        body = _end_span(trace, open_, span)
        _end_of_last(trace, body)

    @quiet
    def on_trace_end(self, trace: Any) -> None:
        """Close the trace."""
        open_ = TRACES.get(trace.trace_id)
        if open_ is None:
            return
        error = _raised(open_.started_under)
        ending = open_.ending(error, sensitive=open_.call.sensitive if open_.call else True)
        if error is None and _stopped_after_turn(open_.call):
            ending = {"status": words.CANCELLED}
        for parent in list(open_.llms):
            llm_calls.fail_llm(open_, parent, error)
        if not open_.root_ended:
            _end_root(open_, ending, _answer(open_.call))
        elif ending["status"] == words.CANCELLED:
            open_.recorder.append(EventKind.SPAN_UPDATE, open_.trace_id, open_.root_id, ending)
        _end_trace(open_, ending)
        if not open_.spans:
            open_.retire()

    def shutdown(self) -> None:
        """Nothing to do: the journal is closed by its process."""

    def force_flush(self) -> None:
        """Nothing to do: what matters is written at once."""


# ------------------------------------------------------------------------------------------------------------ traces


def _announce(open_: OpenTrace, trace: Any, call: Call | None) -> None:
    session = getattr(trace, "group_id", None) or (call.session if call else None) or open_.recorder.session
    body = {"session": session, "metadata": as_data(getattr(trace, "metadata", None) or {})}
    if trace is not None:
        body["name"] = trace.name
    if open_.reopened or (call is not None and call.resumed):
        body["resumed"] = True
    open_.recorder.append(EventKind.TRACE_START, open_.trace_id, body=body)


def _start_root(open_: OpenTrace, name: str, content: dict[str, Any]) -> None:
    root = {"kind": words.WORKFLOW, "name": name}
    open_.recorder.append(EventKind.SPAN_START, open_.trace_id, open_.root_id, root, content)


def _reopened(span: Any) -> OpenTrace | None:
    """Go on with a trace that has ended, or begin in the middle of one that was not recorded before.

    A run that goes on from a saved state does the first, and the SDK announces neither start nor end of it. So does
    a task that was left running. The second is a trace that the user opened before the cell.
    """
    recorder = ACTIVE.get()
    if recorder is None:
        return None
    trace, run_key = reopen(recorder, span.trace_id)
    call = CALL.get()
    resumed = call is not None and call.resumed
    if resumed:
        trace.call, trace.last_ending = call, None
    if trace.last_ending is not None and run_key == recorder.run_key:
        return trace
    trace.last_ending = None
    current = get_current_trace()
    named = current if current is not None and current.trace_id == span.trace_id else None
    _announce(trace, named, call)
    if run_key is None:
        _start_root(trace, named.name if named is not None else "trace", {})
    return trace


def _end_trace(trace: OpenTrace, ending: dict[str, Any]) -> None:
    if trace.call is not None and trace.call.result is not None:
        approvals.note_pending(trace.call, trace.call.result)
    trace.recorder.append(EventKind.TRACE_END, trace.trace_id, body=ending, urgent=True)
    trace.ended, trace.last_ending = True, ending


def _end_of_last(trace: OpenTrace, body: dict[str, Any]) -> None:
    """After the last open span: forget the trace if it has ended, end it if nobody else will."""
    if trace.spans:
        return
    if trace.reopened and not trace.ended:
        ending = trace.last_ending or {k: body[k] for k in _ENDING if k in body}
        late = trace.last_ending is not None
        if not late and not trace.root_ended:
            _end_root(trace, ending, _answer(trace.call))
        _end_trace(trace, ending)
        if not late and trace.call is None:
            # More may follow before the user's own trace ends.
            trace.last_ending = None
    if trace.ended:
        trace.retire()


# ------------------------------------------------------------------------------------------------------------- spans


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
    elif kind is SpanKind.TURN:
        open_.agent = span.span_data.agent_name
    return open_


def _names(open_: OpenSpan, data: Any) -> dict[str, Any]:
    if open_.kind is SpanKind.TURN:
        name = f"turn {data.turn}"
    elif open_.kind is SpanKind.HANDOFF:
        name = f"{data.from_agent} → …"
    elif open_.kind is SpanKind.MCP:
        name = data.server or "mcp"
    elif open_.kind is SpanKind.LLM:
        name = getattr(data, "model", None) or llm_calls.UNNAMED
    else:
        name = getattr(data, "name", None) or data.type
    found: dict[str, Any] = {"name": name}
    if open_.agent is not None:
        found["agent"] = open_.agent
    if open_.role is not None:
        found["role"] = open_.role
    return found


def _raised(started_under: BaseException | None) -> BaseException | None:
    """Return the exception that ends what ends now; not one that was being handled when it began."""
    error = sys.exception()
    return None if error is started_under else error


def _end_span(trace: OpenTrace, open_: OpenSpan, span: Any) -> dict[str, Any]:
    error = _raised(open_.started_under)
    body = trace.ending(error, sensitive=open_.sensitive)
    if error is None or open_.error is not None:
        body = _with_own_error(body, open_, span.error)
    if open_.llm is not None:
        if body["status"] == words.CANCELLED and span.error:
            # The SDK cancels a model that takes too long, and says so on its span.
            body = _with_own_error(body, open_, span.error)
        llm_calls.take_sdk_span(open_.llm, span.span_data, body)
        return body
    llm_calls.fail_llm(trace, span.span_id, error)
    content: dict[str, Any] = {"output": open_.output} if open_.has_output and open_.sensitive else {}
    _DETAILS.get(open_.kind, _nothing)(trace, open_, span, body, content)
    _explain(open_, error)
    if body["status"] == words.OK and open_.kind in _RUNNING and _stopped_after_turn(trace.call):
        body["status"] = words.CANCELLED
    if open_.kind is SpanKind.WORKFLOW:
        _end_task(trace, open_, body, content)
    else:
        trace.recorder.append(EventKind.SPAN_END, trace.trace_id, open_.span_id, body, content)
    return body


def _explain(open_: OpenSpan, error: BaseException | None) -> None:
    call = CALL.get()
    if call is None or not call.guardrails:
        return
    if error is not None:
        guardrails.explain_trip(call, error)
    if call.result is not None and open_.kind in _RUNNING:
        guardrails.explain(call, call.result)


def _with_own_error(body: dict[str, Any], open_: OpenSpan, error: Any) -> dict[str, Any]:
    if open_.error is not None:
        return {"status": words.ERROR, "error": open_.error}
    if not error:
        return body
    data = error.get("data") or {}
    detail = data.get("error") or data.get("tool_name")
    message = f"{error['message']}: {detail}" if detail and open_.sensitive else error["message"]
    return {"status": words.ERROR, "error": {"type": None, "message": message}}


def _end_task(trace: OpenTrace, open_: OpenSpan, body: dict[str, Any], content: dict[str, Any]) -> None:
    """End the trace's root with the runner's own trace, and again after a run that went on from a saved state."""
    if open_.parent is not None or not (trace.implicit or (trace.call is not None and trace.call.resumed)):
        return
    _end_root(trace, body, content)


def _end_root(trace: OpenTrace, body: dict[str, Any], content: dict[str, Any]) -> None:
    resumed = trace.call is not None and trace.call.resumed
    if trace.pending or resumed:
        body = {**body, "attributes": {"pending_approvals": len(trace.pending)}}
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, trace.root_id, body, content)
    trace.root_ended = True


def _answer(call: Call | None) -> dict[str, Any]:
    """Return a run's final output, for one whose task has no span of its own."""
    if call is None or not call.sensitive or call.output is NO_OUTPUT:
        return {}
    return {"output": call.output}


def _stopped_after_turn(call: Call | None) -> bool:
    # `result.cancel(mode="after_turn")` ends a streamed run without any exception.
    result = call.result if call else None
    return getattr(result, "_cancel_mode", "none") not in ("none", None)


# ----------------------------------------------------------------------------------------- what kinds of spans know


def _nothing(*_: Any) -> None:
    return


def _handoff(_: OpenTrace, __: OpenSpan, span: Any, body: dict[str, Any], ___: dict[str, Any]) -> None:
    data = span.span_data
    body["name"] = f"{data.from_agent} → {data.to_agent or '?'}"
    body["attributes"] = {"from_agent": data.from_agent, "to_agent": data.to_agent}


def _mcp(trace: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    body["attributes"] = {"server": span.span_data.server}
    content["output"] = span.span_data.result
    if open_.tools and open_.agent is not None and trace.described.get(open_.agent):
        trace.tools.setdefault(open_.agent, []).extend(open_.tools)


def _bare_llm(_: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    """Keep a span of a model that was called outside of the runner's turns."""
    data = span.span_data
    body.update({**llm_calls.sdk_fields(data), **llm_calls.usage_fields(getattr(data, "usage", None))})
    if not open_.sensitive:
        return
    response = getattr(data, "response", None)
    output = getattr(response, "output", None) if response is not None else getattr(data, "output", None)
    if getattr(data, "input", None) is not None:
        content["input"] = data.input
    if output is not None:
        content["output"] = [llm_calls.output_item(i) for i in output] if isinstance(output, (list, tuple)) else output


def _speech(_: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    data = span.span_data
    found = {n: getattr(data, n, None) for n in ("input_format", "output_format", "first_content_at")}
    body["attributes"] = {n: v for n, v in found.items() if v is not None}
    if getattr(data, "model", None):
        body["model"] = data.model
    if open_.sensitive:
        content.update({n: v for n in ("input", "output") if (v := getattr(data, n, None)) is not None})


def _other(_: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], __: dict[str, Any]) -> None:
    """Keep a custom span, or one of a type that is not known yet, with the data it exports."""
    exported = span.span_data.export() or {}
    body["attributes"] = {"type": span.span_data.type}
    if open_.sensitive:
        kept = {k: v for k, v in exported.items() if k not in ("type", "name")}
        body["attributes"]["data"] = as_data(kept["data"] if set(kept) == {"data"} else kept)


_DETAILS = {
    SpanKind.TOOL: tools.conclude_tool,
    SpanKind.HANDOFF: _handoff,
    SpanKind.GUARDRAIL: guardrails.conclude_guardrail,
    SpanKind.MCP: _mcp,
    SpanKind.LLM: _bare_llm,
    SpanKind.SPEECH: _speech,
    SpanKind.OTHER: _other,
}
