"""Calls of an OpenAI client made inside a tool: LLM spans under that tool."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture import mlflow_spans
from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.state import TRACES, OpenTrace, here
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind, span_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLACES = (
    ("openai.resources.responses", "Responses"),
    ("openai.resources.responses", "AsyncResponses"),
    ("openai.resources.chat.completions", "Completions"),
    ("openai.resources.chat.completions", "AsyncCompletions"),
)
_wrappers: list[Any] = []
_busy: ContextVar[bool] = ContextVar("agenttrace_nb_client_call", default=False)
_INSIDE = frozenset({SpanKind.TOOL, SpanKind.GUARDRAIL, SpanKind.OTHER})


def install() -> None:
    """Watch the clients' ``create``; outside a tool it is passed on untouched.

    Called again when MLflow's autologging has wrapped it since: ours then has to be the outer one, which keeps
    MLflow's silent.
    """
    for module, name in _PLACES:
        owner = getattr(importlib.import_module(module), name)
        if owner.create not in _wrappers:
            owner.create = _watched(owner.create)
            _wrappers.append(owner.create)


def uninstall() -> None:
    """Put the original methods back, unless somebody else has wrapped them since (ours then passes on)."""
    for module, name in _PLACES:
        owner = getattr(sys.modules.get(module), name, None)
        while owner is not None and owner.create in _wrappers:
            owner.create = owner.create.__wrapped__
    _wrappers.clear()


def _watched(create: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(create):

        @functools.wraps(create)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            call = _start(kwargs)
            if call is None:
                return await create(*args, **kwargs)
            try:
                with _alone():
                    answer = await create(*args, **kwargs)
            except BaseException as error:
                _end(call, None, error)
                raise
            _end(call, answer, None)
            return answer
    else:

        @functools.wraps(create)
        def watched(*args: Any, **kwargs: Any) -> Any:
            call = _start(kwargs)
            if call is None:
                return create(*args, **kwargs)
            try:
                with _alone():
                    answer = create(*args, **kwargs)
            except BaseException as error:
                _end(call, None, error)
                raise
            _end(call, answer, None)
            return answer

    return watched


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Record the call once, however many wrappers it passes through."""
    token = _busy.set(True)
    try:
        with mlflow_spans.suppressed():
            yield
    finally:
        _busy.reset(token)


@quiet
def _start(kwargs: dict[str, Any]) -> tuple[OpenTrace, str, bool] | None:
    if not TRACES or _busy.get():
        return None
    at = here()
    if at is None or at[1].kind not in _INSIDE:
        # Under a turn or an LLM span it is the model of the agent that calls, which is recorded already.
        return None
    trace, open_, _ = at
    trace.llm_count += 1
    span_id = span_id_of(f"{open_.span_id}/client/{trace.llm_count}")
    model = kwargs.get("model")
    body: dict[str, Any] = {"kind": SpanKind.LLM.value, "name": str(model or "llm"), "parent_id": open_.span_id}
    if isinstance(model, str):
        body["model"] = model
    if open_.agent is not None:
        body["agent"] = open_.agent
    content = {"input": _prompt(kwargs)} if open_.sensitive else {}
    trace.recorder.append(EventKind.SPAN_START, trace.trace_id, span_id, body, content, urgent=True)
    return trace, span_id, open_.sensitive


@quiet
def _end(call: tuple[OpenTrace, str, bool], answer: Any, error: BaseException | None) -> None:
    trace, span_id, sensitive = call
    body = trace.ending(error, sensitive=sensitive)
    body["end_ns"] = time.time_ns()
    content: dict[str, Any] = {}
    usage = getattr(answer, "usage", None)
    if answer is not None:
        body.update(llm_calls.usage_fields(usage))
        if isinstance(getattr(answer, "model", None), str):
            body["model"] = answer.model
        output = getattr(answer, "output", None) or [c.message for c in getattr(answer, "choices", None) or []]
        if output and sensitive:
            content["output"] = [llm_calls.output_item(item) for item in output]
        elif not output:
            # A stream is handed to the tool as it is: what comes later is not seen here.
            body["attributes"] = {"streamed": True}
    trace.recorder.append(EventKind.SPAN_END, trace.trace_id, span_id, body, content)


def _prompt(kwargs: dict[str, Any]) -> list[Any]:
    given = kwargs.get("messages") or kwargs.get("input") or []
    items = list(given) if isinstance(given, (list, tuple)) else [{"role": "user", "content": given}]
    system = kwargs.get("instructions")
    return [{"role": "system", "content": system}, *items] if isinstance(system, str) and system else items
