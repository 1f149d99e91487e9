"""Guardrails: the SDK's span says whether one tripped, its result says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture import words
from agenttrace_nb.capture.failures import WITHHELD
from agenttrace_nb.capture.plain import as_data
from agenttrace_nb.capture.state import CALL, Call, OpenSpan, OpenTrace
from agenttrace_nb.journal.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable


def conclude_guardrail(trace: OpenTrace, open_: OpenSpan, span: Any, body: dict[str, Any], _: dict[str, Any]) -> None:
    """Keep the verdict; the reason follows with `explain`."""
    data = span.span_data
    tripped = bool(data.triggered)
    body["attributes"] = {"triggered": tripped}
    if tripped:
        error = {"type": "GuardrailTripwireTriggered", "message": "tripwire triggered"}
        body.update(status=words.ERROR, error=error)
    call = CALL.get()
    if call is not None and (tripped or body["status"] == words.OK):
        call.guardrails.setdefault(data.name, []).append((trace, open_.span_id))


def explain_trip(call: Call, error: BaseException) -> None:
    """Keep why a guardrail tripped, from the exception that it ended the run with."""
    result = getattr(error, "guardrail_result", None)
    if result is not None:
        _explain(call, result, type(error).__name__)


def explain(call: Call, outcome: Any) -> None:
    """Keep what the guardrails of a run said.

    Parameters
    ----------
    call
        The run.
    outcome
        Its result, or the ``run_data`` of the exception that ended it.
    """
    if not call.guardrails or outcome is None:
        return
    for result in [*_results(outcome, "input"), *_results(outcome, "output")]:
        _explain(call, result, None)


def _results(outcome: Any, stage: str) -> Iterable[Any]:
    return getattr(outcome, f"{stage}_guardrail_results", None) or ()


def _explain(call: Call, result: Any, error_type: str | None) -> None:
    waiting = call.guardrails.get(result.guardrail.get_name())
    if not waiting:
        return
    trace, span_id = waiting.pop(0)
    info = result.output.output_info
    body: dict[str, Any] = {}
    if info is not None and call.sensitive:
        body["attributes"] = {"output_info": as_data(info)}
    if error_type is not None:
        reason = (str(info) if info is not None else "no reason given") if call.sensitive else WITHHELD
        body["error"] = {"type": error_type, "message": f"tripwire triggered: {reason}"}
    if body:
        trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, span_id, body)
