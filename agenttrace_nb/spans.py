"""The domain: traces, spans, agents and cell runs. Pure data; imports nothing of this package.

Times are nanoseconds since the Unix epoch (``*_ns``). What is not known is ``None``, never ``0`` and never ``""``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SDK_TRACE_ID = re.compile(r"\Atrace_([0-9a-f]{32})\Z")
_CHAT_ROLES = ("system", "developer", "user", "assistant", "tool")
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
    """How a span, trace or cell run stands."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"  # stopped by its caller: an interrupt, a timeout around it, a broken-off stream
    INTERRUPTED = "interrupted"  # its process ended first; found and closed by recovery


def trace_id_of(sdk_trace_id: str) -> str:
    """Return the 32 hex digits that name an SDK trace here, in MLflow and in OpenTelemetry.

    Examples
    --------
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
        load = self._load
        if load is not None:
            self._value = load()  # first, so that another thread finds either this or the way to it
            self._load = None
        return self._value


class _Period:
    """Something with a start and, once it is over, an end."""

    __slots__ = ()
    start_ns: int
    end_ns: int | None

    @property
    def started_at(self) -> datetime:
        """Start, UTC."""
        return datetime.fromtimestamp(self.start_ns / NS_PER_S, UTC)

    @property
    def ended_at(self) -> datetime | None:
        """End, UTC; ``None`` while it runs."""
        return None if self.end_ns is None else datetime.fromtimestamp(self.end_ns / NS_PER_S, UTC)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; ``None`` while it runs."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / NS_PER_S


@dataclass(slots=True, kw_only=True, eq=False)
class Span(_Period):
    """One step of a trace.

    ``content_in`` and ``content_out`` hold a value or a `Lazy` one; read them through `input` and `output`.

    Examples
    --------
    >>> ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    >>> Span(**ids, kind=SpanKind.TOOL, name="search", start_ns=0, end_ns=1_500_000_000).duration_s
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
        return self.content_in.get() if isinstance(self.content_in, Lazy) else self.content_in

    @property
    def output(self) -> Any:
        """What came out: output items of an LLM call, the result of a tool as the model saw it."""
        return self.content_out.get() if isinstance(self.content_out, Lazy) else self.content_out


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

    ``index`` counts the trace's messages from 0 in order of time; ``calls`` are the tool, handoff and agent-tool spans.
    """

    index: int
    span: Span
    calls: tuple[Span, ...]

    @property
    def agent(self) -> str | None:
        """Name of the agent that spoke."""
        return self.span.agent


@dataclass(slots=True, kw_only=True, eq=False)
class Trace(_Period):
    """One trace: a ``Runner.run``, or several under the SDK's ``trace()``.

    ``spans`` are in order of start; the first one without a parent is the root. ``problem`` says in one sentence why
    a trace read back from a store is not complete; such a trace also knows MLflow's experiment and tracking URI.
    """

    trace_id: str
    name: str
    start_ns: int
    end_ns: int | None = None
    status: Status = Status.RUNNING
    run_id: str | None = None
    experiment_id: str | None = None
    tracking_uri: str | None = None  # without user and password
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
    def messages(self) -> list[Message]:
        """The agents' messages in order of time: one for each LLM call made by an agent, none for those of a tool."""
        by_id = {s.span_id: s for s in self.spans}
        said: list[Span] = []
        calls: dict[str, list[Span]] = {}
        last_under: dict[str | None, str] = {}  # a call belongs to the last LLM call before it under the same parent
        for span in sorted(self.spans, key=lambda s: (s.start_ns, s.kind is not SpanKind.LLM)):
            if span.kind is SpanKind.LLM:
                last_under[span.parent_id] = span.span_id
                if span.agent and not _is_in_tool(span, by_id):
                    said.append(span)
            elif span.kind in (SpanKind.TOOL, SpanKind.HANDOFF) and span.parent_id in last_under:
                calls.setdefault(last_under[span.parent_id], []).append(span)
        return [Message(index=i, span=s, calls=tuple(calls.get(s.span_id, ()))) for i, s in enumerate(said)]

    @property
    def errors(self) -> list[Span]:
        """Spans in which an error began: failed, and no failed span below failed for the same reason.

        A run that goes wrong for a reason of its own after a tool had failed has two errors.
        """
        by_id = {s.span_id: s for s in self.spans}
        failed = [s for s in self.spans if s.status is Status.ERROR]
        explained = {a.span_id for s in failed for a in _above(s, by_id) if _same_failure(s.error, a.error)}
        return [s for s in failed if s.span_id not in explained]

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
            ``tool_call_id``; optional ``agent``. A row with ``agent`` and no role is that agent's message. Assistant
            messages become LLM spans, tool messages tool spans. Times are the rows' numbers and measure nothing.
        name
            Name of the trace.

        Raises
        ------
        ValueError
            If a row is no chat message; the message says which.

        Examples
        --------
        >>> t = Trace.from_messages([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
        >>> [s.kind.value for s in t.spans]
        ['workflow', 'llm']
        """
        return _from_messages(rows, name)


@dataclass(slots=True, kw_only=True, eq=False)
class CellRun(_Period):
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


def _above(span: Span, by_id: Mapping[str, Span]) -> Iterator[Span]:
    seen = {span.span_id}
    while (parent := by_id.get(span.parent_id or "")) is not None and parent.span_id not in seen:
        seen.add(parent.span_id)
        yield (span := parent)


def _is_in_tool(span: Span, by_id: Mapping[str, Span]) -> bool:
    kinds = (above.kind for above in _above(span, by_id))
    return next((kind for kind in kinds if kind in (SpanKind.AGENT, SpanKind.TOOL)), None) is SpanKind.TOOL


def _same_failure(below: SpanError | None, above: SpanError | None) -> bool:
    if below is None or above is None or below.type is None or above.type is None:
        return True  # where the SDK tells no type, the failure below is the best explanation there is
    told = bool(below.message) and below.message in above.message
    return told or below.type == above.type or str(below) in above.chain


def _from_messages(given: Iterable[Any], name: str) -> Trace:
    rows = [dict(row) if isinstance(row, Mapping) else row for row in given]
    trace_id = hashlib.sha256(repr((name, rows)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    over: dict[str, Any] = {"trace_id": trace_id, "start_ns": 0, "end_ns": len(rows), "status": Status.OK}
    root = Span(**over, span_id=trace_id[:16], kind=SpanKind.WORKFLOW, name=name)
    trace, tools = Trace(**over, name=name, spans=[root]), dict[str, Any]()
    for at, row in enumerate(rows):
        known = isinstance(row, dict)
        role = row.get("role", row.get("agent") and "assistant") if known else f"none, in a {type(row).__name__}"
        if role not in _CHAT_ROLES:
            msg = f"rows[{at}]: a chat message's role must be one of {', '.join(_CHAT_ROLES)}; this one's is {role!r}"
            raise ValueError(msg)
        tools |= {str(call.get("id")): call.get("function") or {} for call in row.get("tool_calls") or ()}
        its = {**over, "parent_id": root.span_id, "start_ns": at, "end_ns": at + 1, "attributes": {"row": at}}
        its |= {"span_id": span_id_of(f"{trace_id}/{at}"), "agent": row.get("agent", "assistant")}
        if role == "assistant":
            prompt = Lazy(partial(rows.__getitem__, slice(at)))  # a copy for each would be quadratic
            trace.spans.append(Span(**its, kind=SpanKind.LLM, name="llm", content_in=prompt, content_out=[row]))
        elif role == "tool":
            call = tools.get(call_id := str(row.get("tool_call_id")), {})
            its["content_in"], its["attributes"]["call_id"] = call.get("arguments"), call_id
            its |= {"name": call.get("name") or "tool", "content_out": row.get("content")}
            trace.spans.append(Span(**its, kind=SpanKind.TOOL))
    return trace
