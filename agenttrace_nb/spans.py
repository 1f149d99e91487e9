"""The domain: traces, spans, agents and cell runs. Pure data; imports nothing of this package.

All times are integers of nanoseconds since the Unix epoch (``*_ns``); the properties without that suffix are
convenience views of them. What is not known is ``None``, never ``0`` and never ``""``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SDK_TRACE_ID = re.compile(r"\Atrace_([0-9a-f]{32})\Z")
NS_PER_S = 1_000_000_000


class SpanKind(StrEnum):
    """What a step is. A span type that the SDK adds later is ``OTHER`` and keeps its own name."""

    WORKFLOW = "workflow"
    AGENT = "agent"
    TURN = "turn"
    LLM = "llm"
    TOOL = "tool"
    HANDOFF = "handoff"
    GUARDRAIL = "guardrail"
    MCP = "mcp"
    MEMORY = "memory"
    SPEECH = "speech"
    OTHER = "other"


class Status(StrEnum):
    """How a span, trace or cell run stands.

    ``CANCELLED``: stopped by its caller (an interrupt, a timeout around it, a broken-off stream).
    ``INTERRUPTED``: its process ended first; found and closed by recovery.
    """

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


def trace_id_of(sdk_trace_id: str) -> str:
    """Return the 32 hex digits that name an SDK trace here, in MLflow and in OpenTelemetry.

    Examples
    --------
    >>> trace_id_of("trace_" + "a" * 32)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
    >>> trace_id_of("my own id")
    'a01932a9a3c84c54d473ec20182faff1'
    """
    match = _SDK_TRACE_ID.match(sdk_trace_id)
    if match and int(match[1], 16):
        return match[1]
    return hashlib.sha256(sdk_trace_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def span_id_of(sdk_span_id: str) -> str:
    """Return the 16 hex digits that name an SDK span here, in MLflow and in OpenTelemetry.

    Examples
    --------
    >>> span_id_of("span_0123456789abcdef01234567")
    '02e63c48c4de45b8'
    """
    return hashlib.sha256(sdk_span_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(slots=True, frozen=True)
class SpanError:
    """Why a span failed: the exception as it really was, not as the model was told.

    Attributes
    ----------
    message
        The exception's own text.
    type
        The exception's class name; ``None`` where only a message is known.
    http_status
        Status code of the response that caused it, where there was one.
    chain
        The causes behind it, nearest first, each ``"Type: message"``.
    traceback
        The last frames as text, where the exception was seen.
    """

    message: str
    type: str | None = None
    http_status: int | None = None
    chain: tuple[str, ...] = ()
    traceback: str | None = None

    def __str__(self) -> str:
        """Return ``Type: message``."""
        return f"{self.type}: {self.message}" if self.type else self.message


class Lazy:
    """A value that is decoded when it is first asked for (a long prompt, a large tool result)."""

    __slots__ = ("_load", "_value")

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load: Callable[[], Any] | None = load
        self._value: Any = None

    def get(self) -> Any:
        """Return the value; decode it the first time."""
        if self._load is not None:
            self._value = self._load()
            self._load = None
        return self._value


def _plain(value: Any) -> Any:
    return value.get() if isinstance(value, Lazy) else value


@dataclass(slots=True, kw_only=True, eq=False)
class Span:
    """One step of a trace.

    ``content_in`` and ``content_out`` hold a value or a `Lazy` one; read them through `input` and `output`.

    Examples
    --------
    >>> span = Span(
    ...     trace_id="a" * 32, span_id="b" * 16, kind=SpanKind.TOOL, name="search", start_ns=0, end_ns=1_500_000_000
    ... )
    >>> span.duration_s
    1.5
    """

    trace_id: str
    span_id: str
    kind: SpanKind
    name: str
    start_ns: int
    parent_id: str | None = None
    end_ns: int | None = None
    status: Status = Status.RUNNING
    agent: str | None = None
    role: str | None = None
    error: SpanError | None = None
    content_in: Any = None
    content_out: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    ttft_s: float | None = None

    @property
    def input(self) -> Any:
        """What went in: conversation items of an LLM call, arguments of a tool."""
        return _plain(self.content_in)

    @property
    def output(self) -> Any:
        """What came out: output items of an LLM call, the result of a tool as the model saw it."""
        return _plain(self.content_out)

    @property
    def started_at(self) -> datetime:
        """Start, UTC."""
        return _moment(self.start_ns)

    @property
    def ended_at(self) -> datetime | None:
        """End, UTC; ``None`` while it runs."""
        return None if self.end_ns is None else _moment(self.end_ns)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; ``None`` while it runs."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / NS_PER_S


@dataclass(slots=True, kw_only=True, eq=False)
class Agent:
    """What an agent was declared to be when it first ran in a trace.

    ``tools`` are mappings with ``name``, ``description`` and ``parameters`` (JSON schema); ``handoffs`` are mappings
    with ``agent`` and ``tool``; ``guardrails`` with ``name`` and ``stage`` (``input`` or ``output``).
    """

    name: str
    role: str | None = None
    instructions: str | None = None
    model: str | None = None
    model_settings: dict[str, Any] = field(default_factory=dict)
    tools: list[dict[str, Any]] = field(default_factory=list)
    handoffs: list[dict[str, Any]] = field(default_factory=list)
    guardrails: list[dict[str, Any]] = field(default_factory=list)
    output_type: str | None = None
    output_schema: dict[str, Any] | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Message:
    """One agent message: what an agent was asked in one LLM call, what it answered, and the calls that followed.

    ``index`` counts the messages of the trace from 0 in order of time. ``calls`` are the tool, handoff and agent-tool
    spans that the answer asked for.
    """

    index: int
    span: Span
    calls: tuple[Span, ...]

    @property
    def agent(self) -> str | None:
        """Name of the agent that spoke."""
        return self.span.agent


@dataclass(slots=True, kw_only=True, eq=False)
class Trace:
    """One trace: a ``Runner.run``, or several under the SDK's ``trace()``.

    ``spans`` are in order of start; the first one without a parent is the root. ``problem`` says in one sentence why
    a trace read back from a store is not complete.
    """

    trace_id: str
    name: str
    start_ns: int
    end_ns: int | None = None
    status: Status = Status.RUNNING
    run_id: str | None = None
    session: str | None = None
    user: str | None = None
    spans: list[Span] = field(default_factory=list)
    agents: dict[str, Agent] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None

    @property
    def root(self) -> Span | None:
        """The span without a parent."""
        ids = {span.span_id for span in self.spans}
        return next((s for s in self.spans if s.parent_id is None or s.parent_id not in ids), None)

    @property
    def started_at(self) -> datetime:
        """Start, UTC."""
        return _moment(self.start_ns)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; ``None`` while it runs."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / NS_PER_S

    @property
    def messages(self) -> list[Message]:
        """The agents' messages in order of time: one for each LLM call made by an agent."""
        return list(_messages(self.spans))

    @property
    def errors(self) -> list[Span]:
        """Spans in which an error began: failed, with no failed span below that explains it."""
        failed = {s.span_id: s for s in self.spans if s.status is Status.ERROR}
        parents = {s.span_id: s.parent_id for s in self.spans}
        explained: set[str] = set()
        for span_id in failed:
            above = parents.get(span_id)
            while above is not None and above not in explained:
                explained.add(above)
                above = parents.get(above)
        return [s for s in failed.values() if s.span_id not in explained]

    def total(self, field_name: str) -> float | None:
        """Sum a numeric field over the LLM calls; ``None`` if no call knows it.

        Examples
        --------
        >>> Trace(trace_id="a" * 32, name="t", start_ns=0).total("input_tokens") is None
        True
        """
        known = [v for s in self.spans if s.kind is SpanKind.LLM and (v := getattr(s, field_name)) is not None]
        return sum(known) if known else None

    @classmethod
    def from_messages(cls, rows: Iterable[Mapping[str, Any]], *, name: str = "conversation") -> Trace:
        """Build a trace from chat messages without a clock of their own (an imported conversation).

        Parameters
        ----------
        rows
            OpenAI chat messages: ``role`` (system, user, assistant, tool), ``content``, ``tool_calls``,
            ``tool_call_id``; optional ``agent``.
        name
            Name of the trace.

        Returns
        -------
        Trace
            One LLM span per assistant message, one tool span per tool message. Times count messages, in
            nanoseconds from 0: they order the spans and measure nothing.

        Examples
        --------
        >>> t = Trace.from_messages([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
        >>> [s.kind.value for s in t.spans]
        ['workflow', 'llm']
        """
        return _from_messages(list(rows), name)


@dataclass(slots=True, kw_only=True, eq=False)
class CellRun:
    """One execution of a traced cell or ``with trace(...)`` block; one MLflow run."""

    key: str
    name: str
    start_ns: int
    end_ns: int | None = None
    status: Status = Status.RUNNING
    error: SpanError | None = None
    success: bool | None = None
    run_id: str | None = None
    parent_key: str | None = None
    arch: str | None = None
    case: str | None = None
    trial: str | None = None
    experiment: str | None = None
    session: str | None = None
    tracking_uri: str | None = None
    cwd: str | None = None
    notebook: str | None = None
    cell_id: str | None = None
    execution_count: int | None = None
    source_hash: str | None = None
    git_commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    message_runs: bool = True
    deterministic: bool = False
    trace_ids: list[str] = field(default_factory=list)


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / NS_PER_S, UTC)


_CALL_KINDS = frozenset({SpanKind.TOOL, SpanKind.HANDOFF})


def _messages(spans: list[Span]) -> Iterator[Message]:
    children: dict[str | None, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent_id, []).append(span)
    calls_of = sorted((s for s in spans if s.kind is SpanKind.LLM and s.agent), key=lambda s: s.start_ns)
    for index, llm in enumerate(calls_of):
        siblings = children.get(llm.parent_id, [])
        later = [s for s in siblings if s.kind is SpanKind.LLM and s.start_ns > llm.start_ns]
        until = min((s.start_ns for s in later), default=None)
        calls = tuple(
            s
            for s in siblings
            if s.kind in _CALL_KINDS and s.start_ns >= llm.start_ns and (until is None or s.start_ns < until)
        )
        yield Message(index=index, span=llm, calls=calls)


def _from_messages(rows: list[Mapping[str, Any]], name: str) -> Trace:
    trace_id = hashlib.sha256(repr((name, rows)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    root = Span(
        trace_id=trace_id,
        span_id=trace_id[:16],
        kind=SpanKind.WORKFLOW,
        name=name,
        start_ns=0,
        end_ns=len(rows),
        status=Status.OK,
    )
    trace = Trace(trace_id=trace_id, name=name, start_ns=0, end_ns=len(rows), status=Status.OK, spans=[root])
    names: dict[str, str] = {}
    for at, row in enumerate(rows):
        for call in row.get("tool_calls") or []:
            names[call["id"]] = call["function"]["name"]
        if row["role"] not in ("assistant", "tool"):
            continue
        is_llm = row["role"] == "assistant"
        trace.spans.append(
            Span(
                trace_id=trace_id,
                span_id=span_id_of(f"{trace_id}/{at}"),
                parent_id=root.span_id,
                kind=SpanKind.LLM if is_llm else SpanKind.TOOL,
                name="llm" if is_llm else names.get(str(row.get("tool_call_id")), "tool"),
                agent=row.get("agent", "assistant"),
                start_ns=at,
                end_ns=at + 1,
                status=Status.OK,
                content_in=[dict(r) for r in rows[:at]] if is_llm else None,
                content_out=[dict(row)] if is_llm else row.get("content"),
            )
        )
    return trace
