"""What is open at this moment: traces, spans, LLM calls and calls of the runner."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture.failures import describe, status_of
from agenttrace_nb.spans import SpanKind, Status, span_id_of

if TYPE_CHECKING:
    from agenttrace_nb.capture.active import Recorder


@dataclass(slots=True, eq=False)
class Call:
    """One call of the runner.

    Attributes
    ----------
    had_trace
        Whether a trace was already open around it; if not, the trace that starts next is the call's own.
    sensitive
        Whether prompts, answers, arguments and results may be kept.
    """

    recorder: Recorder
    input: Any
    session: str | None
    sensitive: bool
    had_trace: bool
    model: Any = None
    resumed: bool = False
    trace: OpenTrace | None = None
    llm: OpenLlm | None = None
    result: Any = None


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
    name: str = ""
    error: dict[str, Any] | None = None
    output: Any = None
    has_output: bool = False
    call_id: str | None = None
    timeout_s: float | None = None
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
    """An LLM call between the hooks that announce it and its end; the SDK's own span, if any, is part of it."""

    span_id: str
    sensitive: bool
    name: str | None
    first_ns: int | None = None
    end_ns: int | None = None
    start_ns: int = field(default_factory=time.time_ns)
    attempts: int = 0
    sdk: dict[str, Any] = field(default_factory=dict)
    ending: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
class OpenTrace:
    """A trace that is being recorded.

    Attributes
    ----------
    implicit
        Whether the runner opened it, and not the user.
    ids
        Our span id for each span id of the SDK seen in it.
    """

    recorder: Recorder
    trace_id: str
    sdk_id: str
    implicit: bool
    call: Call | None = None
    resumed: bool = False
    started_under: BaseException | None = None
    root_ended: bool = False
    ended: bool = False
    ids: dict[str, str] = field(default_factory=dict)
    spans: dict[str, OpenSpan] = field(default_factory=dict)
    llms: dict[str, OpenLlm] = field(default_factory=dict)
    described: set[str] = field(default_factory=set)
    guardrails: dict[str, str] = field(default_factory=dict)
    llm_count: int = 0
    pending_approvals: int = 0
    _last_error: tuple[BaseException, bool, dict[str, Any]] | None = None

    @property
    def root_id(self) -> str:
        """Id of the span that stands for the trace."""
        return span_id_of(self.sdk_id)

    def id_of(self, sdk_span_id: str | None) -> str:
        """Return our id of a span of the SDK; the root's for none."""
        if sdk_span_id is None:
            return self.root_id
        return self.ids.get(sdk_span_id) or span_id_of(sdk_span_id)

    def ending(self, error: BaseException | None, *, sensitive: bool) -> dict[str, Any]:
        """Return ``status`` and ``error`` of what ends with this exception, if with one."""
        status = status_of(error)
        if error is None or status is Status.CANCELLED:
            return {"status": status.value}
        if self._last_error is None or self._last_error[:2] != (error, sensitive):
            # An exception passes through turn, agent and root: it is described once.
            self._last_error = (error, sensitive, describe(error, sensitive=sensitive))
        return {"status": status.value, "error": self._last_error[2]}


TRACES: dict[str, OpenTrace] = {}
"""The traces being recorded, by the SDK's trace id."""


def here() -> tuple[OpenTrace, OpenSpan, str] | None:
    """Return trace, span and the SDK's span id of the span that the current code runs under, if it is recorded."""
    from agents import get_current_span

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
