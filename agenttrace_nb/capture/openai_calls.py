"""Calls of an OpenAI client: a tool's are LLM spans under it, those of an agent's model complete its LLM span."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture import mlflow_spans, words
from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.after_import import AfterImport
from agenttrace_nb.capture.openai_streams import watch_stream
from agenttrace_nb.capture.state import TRACES, OpenLlm, OpenSpan, OpenTrace, here
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind, span_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_PLACES = (
    ("openai.resources.responses.responses", "Responses"),
    ("openai.resources.responses.responses", "AsyncResponses"),
    ("openai.resources.chat.completions.completions", "Completions"),
    ("openai.resources.chat.completions.completions", "AsyncCompletions"),
)
"""Where they are defined: the packages around them only import them when they are asked for them."""
_wrappers: list[Any] = []
_waiting: AfterImport | None = None
_busy: ContextVar[bool] = ContextVar("agenttrace_nb_client_call", default=False)
_INSIDE = frozenset({SpanKind.TOOL, SpanKind.GUARDRAIL, SpanKind.OTHER})


def install() -> None:
    """Watch the clients' ``create``; outside a recorded span it is passed on untouched.

    Called again when MLflow's autologging has wrapped it since: ours then has to be the outer one, which keeps
    MLflow's silent. The client imports these modules when they are first needed, which takes most of a second; here
    nobody waits for that.
    """
    global _waiting  # noqa: PLW0603 - there is one interpreter
    is_complete = True
    for module, name in _PLACES:
        owner = getattr(sys.modules.get(module), name, None)
        if owner is None:
            is_complete = False
        elif owner.create not in _wrappers:
            owner.create = _watched(owner.create)
            _wrappers.append(owner.create)
    if not is_complete and _waiting is None:
        _waiting = AfterImport([module for module, _ in _PLACES], install)


def uninstall() -> None:
    """Put the original methods back, unless somebody else has wrapped them since (ours then passes on)."""
    global _waiting  # noqa: PLW0603
    if _waiting is not None:
        _waiting.remove()
        _waiting = None
    for module, name in _PLACES:
        owner = getattr(sys.modules.get(module), name, None)
        while owner is not None and owner.create in _wrappers:
            owner.create = owner.create.__wrapped__
    _wrappers.clear()


def _watched(create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(create)
    def watched(*args: Any, **kwargs: Any) -> Any:
        call = _start(kwargs)
        if call is None:
            return create(*args, **kwargs)
        try:
            with _alone():
                answer = create(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        # The asynchronous chat method is no coroutine function: it checks its arguments and returns a coroutine.
        if inspect.isawaitable(answer):
            return _awaited(call, answer)
        call.take(answer)
        return answer

    if not inspect.iscoroutinefunction(create):
        return watched

    @functools.wraps(create)
    async def watched_coroutine(*args: Any, **kwargs: Any) -> Any:
        return await watched(*args, **kwargs)

    return watched_coroutine


async def _awaited(call: _OfModel | _OfTool, coming: Awaitable[Any]) -> Any:
    try:
        with _alone():
            answer = await coming
    except BaseException as error:
        call.fail(error)
        raise
    call.take(answer)
    return answer


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
def _start(kwargs: dict[str, Any]) -> _OfModel | _OfTool | None:
    if not TRACES or _busy.get():
        return None
    at = here()
    if at is None:
        return None
    trace, open_, sdk_id = at
    llm = open_.llm or trace.llms.get(sdk_id)
    if llm is not None:
        return _OfModel(llm)
    return _begin_span(trace, open_, kwargs) if open_.kind in _INSIDE else None


@dataclass(slots=True, frozen=True)
class _OfModel:
    """A call made by an agent's model: its LLM span is open, and learns what the SDK does not pass on."""

    llm: OpenLlm

    @quiet
    def take(self, answer: Any) -> None:
        """Keep what the answer says of itself."""
        if not watch_stream(answer, self._hear):
            self._hear(answer)

    def fail(self, error: BaseException) -> None:
        """Leave it to the hooks, which see it as well."""

    def _hear(self, answer: Any) -> None:
        heard = llm_calls.answer_fields(answer)
        attributes = {**self.llm.answer.get("attributes", {}), **heard["attributes"]}
        self.llm.answer = {**self.llm.answer, **heard, "attributes": attributes}


@dataclass(slots=True, frozen=True)
class _OfTool:
    """A call made by a tool, a guardrail or the user's own code: an LLM span of its own."""

    trace: OpenTrace
    span_id: str
    sensitive: bool

    @quiet
    def take(self, answer: Any) -> None:
        """Close the span with the answer."""
        output = getattr(answer, "output", None) or [c.message for c in getattr(answer, "choices", None) or []]
        fields = {**llm_calls.answer_fields(answer), **llm_calls.usage_fields(getattr(answer, "usage", None))}
        if not output:
            # A stream is handed to the tool as it is: what comes later is not seen here.
            fields["attributes"] = {"streamed": True}
        content = {"output": [llm_calls.output_item(item) for item in output]} if output and self.sensitive else {}
        self._end({**self.trace.ending(None, sensitive=self.sensitive), **fields}, content)

    @quiet
    def fail(self, error: BaseException) -> None:
        """Close the span with the error."""
        self._end(self.trace.ending(error, sensitive=self.sensitive), {})

    def _end(self, body: dict[str, Any], content: dict[str, Any]) -> None:
        body["end_ns"] = time.time_ns()
        self.trace.recorder.append(EventKind.SPAN_END, self.trace.trace_id, self.span_id, body, content)


def _begin_span(trace: OpenTrace, open_: OpenSpan, kwargs: dict[str, Any]) -> _OfTool:
    trace.llm_count += 1
    call = _OfTool(trace, span_id_of(f"{open_.span_id}/client/{trace.llm_count}"), open_.sensitive)
    model = kwargs.get("model")
    body: dict[str, Any] = {"kind": words.LLM, "name": str(model or "llm"), "parent_id": open_.span_id}
    if isinstance(model, str):
        body["model"] = model
        body["attributes"] = {"requested_model": model}
    if open_.agent is not None:
        body["agent"] = open_.agent
    content = {"input": _prompt(kwargs)} if open_.sensitive else {}
    trace.recorder.append(EventKind.SPAN_START, trace.trace_id, call.span_id, body, content, urgent=True)
    return call


def _prompt(kwargs: dict[str, Any]) -> list[Any]:
    given = kwargs.get("messages") or kwargs.get("input") or []
    items = list(given) if isinstance(given, (list, tuple)) else [{"role": "user", "content": given}]
    system = kwargs.get("instructions")
    return [{"role": "system", "content": system}, *items] if isinstance(system, str) and system else items
