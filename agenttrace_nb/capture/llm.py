"""LLM calls: announced and concluded by the run hooks, enriched by the SDK's own span where a model opens one."""

from __future__ import annotations

import time
from typing import Any

from agenttrace_nb.capture.declared import describe_settings, model_name
from agenttrace_nb.capture.state import Call, OpenLlm, OpenSpan, OpenTrace
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import NS_PER_S, SpanKind, Status, span_id_of


def start_llm(at: tuple[OpenTrace, OpenSpan, str], call: Call, agent: Any, system: str | None, items: Any) -> OpenLlm:
    """Open an LLM span with the whole prompt, under the span that the code runs under."""
    trace, parent, parent_sdk_id = at
    trace.llm_count += 1
    name = model_name(call.model) or model_name(getattr(agent, "model", None))
    llm = OpenLlm(span_id_of(f"{parent_sdk_id}/llm/{trace.llm_count}"), call.sensitive, name)
    trace.llms[parent_sdk_id] = llm
    call.llm = llm
    body = {
        "kind": SpanKind.LLM.value,
        "name": name or "llm",
        "parent_id": trace.id_of(parent_sdk_id),
        "agent": agent.name,
        "role": parent.role,
        "attributes": {"model_settings": describe_settings(getattr(agent, "model_settings", None))},
    }
    if name is not None:
        body["model"] = name
    content = {"input": _prompt(system, items)} if call.sensitive else {}
    trace.recorder.append(
        EventKind.SPAN_START, trace.trace_id, llm.span_id, body, content, urgent=True, time_ns=llm.start_ns
    )
    return llm


def end_llm(trace: OpenTrace, parent_sdk_id: str, response: Any) -> None:
    """Close an LLM span with the model's answer."""
    llm = trace.llms.pop(parent_sdk_id, None)
    if llm is None:
        return
    body: dict[str, Any] = {"status": Status.OK.value, **usage_fields(getattr(response, "usage", None)), **_common(llm)}
    attributes = body["attributes"]
    for name in ("response_id", "request_id"):
        value = getattr(response, name, None)
        if value is not None:
            attributes[name] = value
    output = [output_item(item) for item in getattr(response, "output", None) or []]
    content = {"output": output} if llm.sensitive else {}
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, llm.span_id, body, content)


def fail_llm(trace: OpenTrace, parent_sdk_id: str, error: BaseException | None) -> None:
    """Close an LLM span that got no answer: the model raised, or the run was cancelled around it."""
    llm = trace.llms.pop(parent_sdk_id, None)
    if llm is None:
        return
    if llm.ending is not None:
        ending = llm.ending
    elif error is None or hasattr(error, "guardrail_result"):
        # A tripped guardrail ends the turn with its own exception and cancels the model that works beside it.
        ending = {"status": Status.CANCELLED.value}
    else:
        ending = trace.ending(error, sensitive=llm.sensitive)
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, llm.span_id, {**ending, **_common(llm)})


def take_sdk_span(llm: OpenLlm, data: Any, ending: dict[str, Any]) -> None:
    """Keep what the SDK's span of this call knows. A retried call has several such spans; the last one counts."""
    llm.attempts += 1
    llm.end_ns = time.time_ns()
    llm.ending = {k: ending[k] for k in ("status", "error") if k in ending}
    llm.sdk = sdk_fields(data)


def sdk_fields(data: Any) -> dict[str, Any]:
    """Return what a generation or response span says beyond input and output: model, usage, ids, why it ended."""
    found: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    response = getattr(data, "response", None)
    model = getattr(response, "model", None) or getattr(data, "model", None)
    if isinstance(model, str):
        found["model"] = model
    if response is not None:
        attributes["response_id"] = response.id
        incomplete = getattr(response, "incomplete_details", None)
        reason = getattr(incomplete, "reason", None) or getattr(response, "status", None)
        if reason:
            attributes["finish_reason"] = reason
        if getattr(response, "service_tier", None):
            attributes["service_tier"] = response.service_tier
    found.update(usage_fields(getattr(data, "usage", None)))
    return {**found, "attributes": attributes}


def usage_fields(usage: Any) -> dict[str, Any]:
    """Return token counts from any of the SDK's usage forms; nothing where they are not known.

    The SDK writes zeros where a provider gave no usage: a call of no tokens at all is unknown, not free.

    Examples
    --------
    >>> usage_fields({"input_tokens": 5, "output_tokens": 2})
    {'input_tokens': 5, 'output_tokens': 2}
    >>> usage_fields({"input_tokens": 0, "output_tokens": 0})
    {}
    """
    got_in = _number(usage, "input_tokens", "prompt_tokens")
    got_out = _number(usage, "output_tokens", "completion_tokens")
    if not got_in and not got_out:
        return {}
    found: dict[str, Any] = {"input_tokens": got_in, "output_tokens": got_out}
    cached = _number(_part(usage, "input_tokens_details"), "cached_tokens")
    reasoning = _number(_part(usage, "output_tokens_details"), "reasoning_tokens")
    if cached:
        found["cached_tokens"] = cached
    if reasoning:
        found["reasoning_tokens"] = reasoning
    return found


def output_item(item: Any) -> Any:
    """Return an output item as it came from the model: every field that was there, and none that was not."""
    dump = getattr(item, "model_dump", None)
    return dump(mode="json", exclude_unset=True) if callable(dump) else item


def _common(llm: OpenLlm) -> dict[str, Any]:
    body = dict(llm.sdk)
    body["attributes"] = {**body.get("attributes", {})}
    if llm.attempts > 1:
        body["attributes"]["attempts"] = llm.attempts
    if llm.first_ns is not None:
        body["ttft_s"] = (llm.first_ns - llm.start_ns) / NS_PER_S
    if llm.end_ns is not None:
        body["end_ns"] = llm.end_ns
    return body


def _prompt(system: str | None, items: Any) -> list[Any]:
    given = list(items) if isinstance(items, (list, tuple)) else [{"role": "user", "content": items}]
    return [{"role": "system", "content": system}, *given] if system else given


def _part(usage: Any, name: str) -> Any:
    return usage.get(name) if isinstance(usage, dict) else getattr(usage, name, None)


def _number(usage: Any, *names: str) -> int | None:
    for name in names:
        value = _part(usage, name)
        if isinstance(value, int):
            return value
    return None
