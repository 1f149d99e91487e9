"""LLM calls: announced and concluded by the run hooks, enriched by the SDK's own span where a model opens one."""

from __future__ import annotations

import time
from typing import Any

from agents.models.fake_id import FAKE_RESPONSES_ID

from agenttrace_nb.capture import words
from agenttrace_nb.capture.declared import describe_settings, model_name
from agenttrace_nb.capture.state import Call, OpenLlm, OpenSpan, OpenTrace
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import NS_PER_S, span_id_of

UNNAMED = "llm"
"""Name of a call of whatever model the provider uses by default, until its answer names it."""


def start_llm(at: tuple[OpenTrace, OpenSpan, str], call: Call, agent: Any, system: str | None, items: Any) -> OpenLlm:
    """Open an LLM span with the whole prompt, under the span that the code runs under."""
    trace, parent, parent_sdk_id = at
    trace.llm_count += 1
    model = call.model if call.model is not None else getattr(agent, "model", None)
    name = model_name(model)
    shown = name or (UNNAMED if model is None else type(model).__name__)
    llm = OpenLlm(span_id_of(f"{parent_sdk_id}/llm/{trace.llm_count}"), call.sensitive, shown)
    trace.llms[parent_sdk_id] = llm
    call.llm = llm
    attributes: dict[str, Any] = {"model_settings": _settings(call, agent)}
    body = {
        "kind": words.LLM,
        "name": shown,
        "parent_id": trace.id_of(parent_sdk_id),
        "agent": agent.name,
        "role": parent.role,
        "attributes": attributes,
    }
    if name is not None:
        body["model"] = attributes["requested_model"] = name
    content = {"input": _prompt(system, items)} if call.sensitive else {}
    trace.recorder.append(EventKind.SPAN_START, trace.trace_id, llm.span_id, body, content, time_ns=llm.start_ns)
    return llm


def end_llm(trace: OpenTrace, call: Call, parent_sdk_id: str, response: Any) -> None:
    """Close an LLM span with the model's answer."""
    items = getattr(response, "output", None) or []
    for item in items:
        if getattr(item, "type", None) == "function_call":
            call.asked[item.call_id] = (item.name, item.arguments)
    llm = trace.llms.pop(parent_sdk_id, None)
    if llm is None:
        return
    body = {"status": words.OK, **_concluding(llm), **usage_fields(getattr(response, "usage", None))}
    attributes = body["attributes"]
    for name, value in (
        ("response_id", _response_id(response, items)),
        ("request_id", getattr(response, "request_id", None)),
    ):
        if value is not None:
            attributes[name] = value
    content = {"output": [output_item(item) for item in items]} if llm.sensitive else {}
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
        ending = {"status": words.CANCELLED}
    else:
        ending = trace.ending(error, sensitive=llm.sensitive)
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, llm.span_id, {**ending, **_concluding(llm)})


def take_sdk_span(llm: OpenLlm, data: Any, ending: dict[str, Any]) -> None:
    """Keep what the SDK's span of this call knows. A retried call has several such spans; the last one counts."""
    llm.attempts += 1
    llm.end_ns = time.time_ns()
    llm.ending = {k: ending[k] for k in ("status", "error") if k in ending}
    llm.sdk = sdk_fields(data)


def sdk_fields(data: Any) -> dict[str, Any]:
    """Return what a generation or response span says beyond input, output and usage: model, ids, why it ended."""
    response = getattr(data, "response", None)
    found = answer_fields(response) if response is not None else {"attributes": {}}
    if "model" not in found and isinstance(getattr(data, "model", None), str):
        found["model"] = data.model
    return found


def answer_fields(answer: Any) -> dict[str, Any]:
    """Return what an answer of the OpenAI API says beyond its output: model, id, why it ended, service tier.

    Parameters
    ----------
    answer
        A ``Response``, a ``ChatCompletion``, or a chunk of a streamed one.
    """
    found: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    if isinstance(getattr(answer, "model", None), str):
        found["model"] = answer.model
    if isinstance(getattr(answer, "id", None), str) and answer.id != FAKE_RESPONSES_ID:
        attributes["response_id"] = answer.id
    reason = _finish_reason(answer)
    if isinstance(reason, str):
        attributes["finish_reason"] = reason
    if isinstance(getattr(answer, "service_tier", None), str):
        attributes["service_tier"] = answer.service_tier
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
    details_in = _part(usage, "input_tokens_details") or _part(usage, "prompt_tokens_details")
    details_out = _part(usage, "output_tokens_details") or _part(usage, "completion_tokens_details")
    cached = _number(details_in, "cached_tokens")
    reasoning = _number(details_out, "reasoning_tokens")
    # The SDK writes zeros for these as well where a provider did not say.
    if cached:
        found["cached_tokens"] = cached
    if reasoning:
        found["reasoning_tokens"] = reasoning
    return found


def output_item(item: Any) -> Any:
    """Return an output item as it came from the model: every field that was there, and none that was not."""
    dump = getattr(item, "model_dump", None)
    return dump(mode="json", exclude_unset=True) if callable(dump) else item


def _finish_reason(answer: Any) -> Any:
    choices = getattr(answer, "choices", None)
    if choices:
        return getattr(choices[0], "finish_reason", None)
    incomplete = getattr(answer, "incomplete_details", None)
    return getattr(incomplete, "reason", None) or getattr(answer, "status", None)


def _response_id(response: Any, items: Any) -> str | None:
    given = getattr(response, "response_id", None)
    if given is not None and given != FAKE_RESPONSES_ID:
        return str(given)
    # Chat models keep the provider's id with the items that they made of its answer.
    for item in items:
        provider_data = getattr(item, "provider_data", None)
        if isinstance(provider_data, dict) and isinstance(provider_data.get("response_id"), str):
            return str(provider_data["response_id"])
    return None


def _concluding(llm: OpenLlm) -> dict[str, Any]:
    # What the provider answers goes before what the SDK knows of it: chat models put the model that was asked for.
    attributes = {**llm.sdk.get("attributes", {}), **llm.answer.get("attributes", {})}
    body = {**llm.sdk, **llm.answer, "attributes": attributes}
    if llm.name == UNNAMED and "model" in body:
        body["name"] = body["model"]
    if llm.attempts > 1:
        attributes["attempts"] = llm.attempts
    if llm.first_ns is not None:
        body["ttft_s"] = (llm.first_ns - llm.start_ns) / NS_PER_S
    if llm.end_ns is not None:
        body["end_ns"] = llm.end_ns
    return body


def _settings(call: Call, agent: Any) -> dict[str, Any]:
    settings = getattr(agent, "model_settings", None)
    if call.settings is not None and settings is not None:
        settings = settings.resolve(call.settings)
    return describe_settings(settings)


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
