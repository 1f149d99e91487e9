"""Tools that wait for somebody's approval: who was asked, and what the answer was.

A tool that asks has a span of its own, marked ``approval: pending``. Once the run goes on, a granted tool has a second
span, ``approval: granted``; a refused one never runs, so that the span that asked becomes ``approval: refused``, with
what the model is told as its output. A refusal is no failure: the status stays ``ok``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture import words
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import span_id_of

if TYPE_CHECKING:
    from agenttrace_nb.capture.state import Call, OpenSpan, OpenTrace

PENDING = {"approval": "pending"}
REFUSED = {"approval": "refused"}
GRANTED = {"approval": "granted"}


def waiting_in(state: Any) -> set[str]:
    """Return the call ids of the tools that a saved run waits for."""
    ids = (_call_id(item) for item in state.get_interruptions())
    return {call_id for call_id in ids if call_id is not None}


def note_refusals(trace: OpenTrace, above: OpenSpan, call: Call, prompt: Any) -> None:
    """Find the refused tools of a resumed run: the model is given a result of theirs, and they never started."""
    if not call.undecided or not isinstance(prompt, (list, tuple)):
        return
    names: dict[str, tuple[str, Any]] = {}
    for item in prompt:
        if not isinstance(item, dict):
            continue
        call_id = str(item.get("call_id"))
        if item.get("type") == "function_call":
            names[call_id] = (str(item.get("name")), item.get("arguments"))
        elif item.get("type") == "function_call_output" and call_id in call.undecided:
            call.undecided.discard(call_id)
            _refuse(trace, above, call_id, *names.get(call_id, ("tool", None)), told=item.get("output"))


def note_pending(call: Call, result: Any) -> None:
    """Mark the tools that a run stopped for, where their spans did not say so: without content they cannot."""
    if call.sensitive or call.trace is None:
        return
    for item in getattr(result, "interruptions", None) or ():
        span_id = call.trace.pending.get(str(_call_id(item)))
        if span_id is not None:
            call.trace.recorder.append(
                EventKind.SPAN_UPDATE, call.trace.trace_id, span_id, {"attributes": dict(PENDING)}
            )


def _refuse(trace: OpenTrace, above: OpenSpan, call_id: str, name: str, arguments: Any, *, told: Any) -> None:
    attributes = {**REFUSED, "call_id": call_id}
    content = {"output": told} if above.sensitive else {}
    asked = trace.pending.pop(call_id, None)
    if asked is not None:
        trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, asked, {"attributes": attributes}, content)
        return
    # Asked in another process: the span that asked is in another journal, this one gets a span of its own.
    if above.sensitive and arguments is not None:
        content["input"] = arguments
    span_id = span_id_of(f"{trace.sdk_id}/refused/{call_id}")
    body: dict[str, Any] = {"kind": words.TOOL, "name": name, "parent_id": above.span_id}
    body |= {"agent": above.agent, "role": above.role, "status": words.OK, "attributes": attributes}
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, span_id, body, content)


def _call_id(item: Any) -> str | None:
    raw = getattr(item, "raw_item", None)
    found = raw.get("call_id") if isinstance(raw, dict) else getattr(raw, "call_id", None)
    return found if isinstance(found, str) else None
