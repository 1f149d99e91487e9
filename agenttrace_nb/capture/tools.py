"""Function tools: the true exception behind what the SDK redacts, and how a call ended that looks alike in its span."""

from __future__ import annotations

import sys
import time
from typing import Any

from agents.exceptions import ToolTimeoutError

from agenttrace_nb.capture import approvals, words
from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.failures import describe
from agenttrace_nb.capture.plain import as_data
from agenttrace_nb.capture.state import CALL, Call, OpenSpan, OpenTrace
from agenttrace_nb.spans import NS_PER_S

_PLAIN = (str, int, float, bool, dict, list, tuple, type(None))


def watch_errors(span: Any, open_: OpenSpan) -> None:
    """Look at the exception when the SDK marks the span as failed: what it writes there is redacted.

    `set_error` is called inside the ``except`` block of the failed tool, so that the true exception is at hand.
    """
    set_error = span.set_error

    def watched(error: Any) -> None:
        _look(open_)
        set_error(error)

    span.set_error = watched


@quiet
def _look(open_: OpenSpan) -> None:
    true = sys.exception()
    if true is not None and true is not open_.started_under and open_.error is None:
        open_.error = describe(true, sensitive=open_.sensitive)


def start_tool(trace: OpenTrace, open_: OpenSpan, call: Call, context: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Note that a tool is about to run; return what is known of the call, as `Journal.append` takes it."""
    open_.call_id = call_id = str(context.tool_call_id)
    open_.called_ns = time.time_ns()
    call.asked.pop(call_id, None)
    attributes: dict[str, Any] = {"call_id": call_id}
    if call_id in call.undecided:
        call.undecided.discard(call_id)
        trace.pending.pop(call_id, None)
        attributes.update(approvals.GRANTED)
    arguments = getattr(context, "tool_arguments", None)
    return {"attributes": attributes}, {"input": arguments} if open_.sensitive and arguments is not None else {}


def look_for_timeout(open_: OpenSpan, tool: Any, result: Any) -> None:
    """Note that a tool ran out of time: the SDK tells the model so and goes on as if it had answered."""
    limit_s = getattr(tool, "timeout_seconds", None)
    if limit_s is None or open_.error is not None:
        return
    error = ToolTimeoutError(tool_name=tool.name, timeout_seconds=limit_s)
    took_s = (time.time_ns() - open_.called_ns) / NS_PER_S
    # A text of the user's own (`timeout_error_function`) is told from a result by the clock alone.
    if result == str(error) or (getattr(tool, "timeout_error_function", None) is not None and took_s >= limit_s):
        open_.error = describe(error)


def conclude_tool(trace: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], content: dict[str, Any]) -> None:
    """Add to a tool's end what its span knows."""
    data = span.span_data
    attributes: dict[str, Any] = {"mcp": as_data(data.mcp_data)} if data.mcp_data else {}
    if open_.sensitive:
        if open_.call_id is None and data.input is not None:
            content["input"] = data.input
        if data.output is not None:
            content["output"] = _shown(data.output)
    if open_.call_id is None:
        _did_not_start(trace, open_, span, body, attributes)
    if attributes:
        body["attributes"] = attributes


def call_id_of(call: Call | None, name: str, arguments: Any) -> str | None:
    """Return the id of the tool call that the model made with these arguments, if its tool has not started."""
    for call_id, asked in call.asked.items() if call is not None else ():
        if asked == (name, arguments) or (arguments is None and asked[0] == name):
            return call_id
    return None


def _shown(output: Any) -> Any:
    # An object that is no JSON reaches the model as its text.
    return output if isinstance(output, _PLAIN) or hasattr(output, "model_dump") else str(output)


def _did_not_start(
    trace: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], attributes: dict[str, Any]
) -> None:
    data, call = span.span_data, CALL.get()
    call_id = call_id_of(call, data.name, data.input)
    if call_id is not None and call is not None:
        del call.asked[call_id]
        attributes["call_id"] = call_id
    if open_.error is not None or body["status"] == words.CANCELLED:
        return
    if span.error:
        # Somebody refused this tool once and for all; the model is told so and the run goes on.
        body.pop("error", None)
        body["status"] = words.OK
        attributes.update(approvals.REFUSED)
    elif data.output is not None:
        attributes["rejected_by"] = "guardrail"
    else:
        trace.pending[call_id or open_.span_id] = open_.span_id
        if open_.sensitive:
            attributes.update(approvals.PENDING)
