"""What is open at this moment: traces, spans, LLM calls and calls of the runner."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import get_current_span

from agenttrace_nb.capture import words
from agenttrace_nb.capture.failures import describe, status_of
from agenttrace_nb.spans import SpanKind, Status, span_id_of, trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.capture.active import Recorder

REMEMBERED_TRACES = 200
"""So many traces that have ended are remembered, for what belongs to them and comes later."""

NO_OUTPUT = object()
"""What a run has that came to no final output; `None` may be one."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of the runner.

    Attributes
    ----------
    had_trace
        Whether a trace was already open around it; if not, the trace that starts next is the call's own.
    sensitive
        Whether prompts, answers, arguments and results may be kept.
    settings
        Model settings of the run's configuration, which override the agents'.
    asked
        Tool calls that the model asked for and whose tools have not started: name and arguments by call id.
    undecided
        Call ids of tools whose approval was pending when the call resumed a saved state.
    guardrails
        Spans of guardrails that came to a verdict and whose reason is not known yet, by the guardrail's name.
    before_trace
        Spans of the session, which is read before the trace begins: each writes itself when called.
    """

    recorder: Recorder
    input: Any
    session: str | None
    sensitive: bool
    had_trace: bool
    model: Any = None
    settings: Any = None
    resumed: bool = False
    trace: OpenTrace | None = None
    llm: OpenLlm | None = None
    result: Any = None
    output: Any = NO_OUTPUT
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)
    guardrails: dict[str, list[tuple[OpenTrace, str]]] = field(default_factory=dict)
    before_trace: list[Callable[[OpenTrace, str, str | None], None]] = field(default_factory=list)


CALL: ContextVar[Call | None] = ContextVar("agenttrace_nb_call", default=None)


@dataclass(slots=True, eq=False)
class OpenSpan:
    """A span of the SDK that has started and not ended."""

    span_id: str
    kind: SpanKind
    parent: OpenSpan | None
    started_under: BaseException | None
    start_ns: int
    agent: str | None = None
    role: str | None = None
    sensitive: bool = True
    error: dict[str, Any] | None = None
    output: Any = None
    has_output: bool = False
    call_id: str | None = None
    called_ns: int = 0
    tools: Any = None
    llm: OpenLlm | None = None
    leave: Any = None

    def nearest(self, kind: SpanKind) -> OpenSpan | None:
        """Return the closest span of a kind, this one or one above."""
        span: OpenSpan | None = self
        while span is not None and span.kind is not kind:
            span = span.parent
        return span


@dataclass(slots=True, eq=False)
class OpenLlm:
    """An LLM call between the hooks that announce it and its end; the SDK's own span, if any, is part of it.

    Attributes
    ----------
    name
        What the span is called.
    first_ns
        When the first token of a streamed answer came.
    sdk, answer
        Fields of the span's end that the SDK's own span knows, and that the provider's answer says.
    ending
        Status and error of the SDK's own span.
    """

    span_id: str
    sensitive: bool
    name: str
    first_ns: int | None = None
    end_ns: int | None = None
    start_ns: int = field(default_factory=time.time_ns)
    attempts: int = 0
    sdk: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    ending: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
class OpenTrace:
    """A trace that is being recorded.

    Attributes
    ----------
    implicit
        Whether the runner opened it, and not the user.
    reopened
        Whether it goes on after its end, or was seen first in the middle: the SDK may announce no end of it.
    ids
        Our span id for each span id of the SDK seen in it.
    described
        Agents that were declared; with ``True`` those that are declared again when their prompt is known.
    pending
        Spans of tools that wait for approval, by call id.
    last_ending
        Status and error of the trace as it ended last.
    root_id
        Id of the span that stands for the trace.
    """

    recorder: Recorder
    trace_id: str
    sdk_id: str
    implicit: bool
    call: Call | None = None
    reopened: bool = False
    started_under: BaseException | None = None
    root_ended: bool = False
    ended: bool = False
    ids: dict[str, str] = field(default_factory=dict)
    spans: dict[str, OpenSpan] = field(default_factory=dict)
    llms: dict[str, OpenLlm] = field(default_factory=dict)
    described: dict[str, bool] = field(default_factory=dict)
    tools: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    llm_count: int = 0
    last_ending: dict[str, Any] | None = None
    root_id: str = field(init=False)
    _last_error: tuple[BaseException, bool, dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        self.root_id = span_id_of(self.sdk_id)

    def id_of(self, sdk_span_id: str | None) -> str:
        """Return our id of a span of the SDK; the root's for none."""
        if sdk_span_id is None:
            return self.root_id
        return self.ids.get(sdk_span_id) or span_id_of(sdk_span_id)

    def ending(self, error: BaseException | None, *, sensitive: bool) -> dict[str, Any]:
        """Return ``status`` and ``error`` of what ends with this exception, if with one."""
        if error is None:
            return {"status": words.OK}
        if status_of(error) is Status.CANCELLED:
            return {"status": words.CANCELLED}
        last = self._last_error
        if last is None or last[0] is not error or last[1] is not sensitive:
            # An exception passes through turn, agent and root: it is described once.
            last = self._last_error = (error, sensitive, describe(error, sensitive=sensitive))
        return {"status": words.ERROR, "error": last[2]}

    def retire(self) -> None:
        """Stop recording; remember what is needed if something of the trace comes later."""
        TRACES.pop(self.sdk_id, None)
        kept = {name: getattr(self, name) for name in _REMEMBERED}
        _past[self.sdk_id] = (self.recorder.run_key, kept)
        while len(_past) > REMEMBERED_TRACES:
            _past.popitem(last=False)


TRACES: dict[str, OpenTrace] = {}
"""The traces being recorded, by the SDK's trace id."""

_REMEMBERED = ("ids", "described", "tools", "pending", "llm_count", "last_ending")
_past: OrderedDict[str, tuple[str, dict[str, Any]]] = OrderedDict()


def reopen(recorder: Recorder, sdk_trace_id: str) -> tuple[OpenTrace, str | None]:
    """Record a trace again that has ended, or one whose beginning was not seen.

    Returns
    -------
    trace, run_key
        The trace, and the run that it was recorded in before, if it was.
    """
    run_key, kept = _past.pop(sdk_trace_id, (None, {}))
    trace = OpenTrace(recorder, trace_id_of(sdk_trace_id), sdk_trace_id, implicit=False, reopened=True, **kept)
    TRACES[sdk_trace_id] = trace
    return trace, run_key


def forget_all() -> None:
    """Forget every trace."""
    TRACES.clear()
    _past.clear()


def here() -> tuple[OpenTrace, OpenSpan, str] | None:
    """Return trace, span and the SDK's span id of the span that the current code runs under, if it is recorded."""
    span = get_current_span()
    if span is None:
        return None
    trace = TRACES.get(span.trace_id)
    open_ = trace.spans.get(span.span_id) if trace is not None else None
    return (trace, open_, span.span_id) if trace is not None and open_ is not None else None


def open_span_here() -> OpenSpan | None:
    """Return the open span that the current code runs under."""
    found = here()
    return found[1] if found else None
