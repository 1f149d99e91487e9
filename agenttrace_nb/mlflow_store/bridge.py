"""MLflow in the kernel: the user's spans inside a tool, autologging kept quiet, the cell's run made active.

Used only where the user has imported ``mlflow``. What is not public in MLflow is touched in `tool_context`,
`_register`, `_left`, `_watch_providers` and `_readers` alone, and tests hold it. Nothing here opens a store: MLflow's
first contact with one may take seconds.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlflow
import mlflow.tracing
from mlflow.entities import TraceInfo, TraceState
from mlflow.tracing import provider
from mlflow.tracing.trace_manager import InMemoryTraceManager
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    RunIdOf = Callable[[], str | None]
    Listener = Callable[["MlflowSpan"], None]

_OWN_ATTRIBUTES = "mlflow."
_MLFLOWS_TRACER = "mlflow.tracing.provider"


@dataclass(slots=True)
class MlflowSpan:
    """A span that the user's own MLflow code opened inside a tool; ``end_ns`` is ``None`` when it has just begun."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int | None = None
    span_type: str | None = None
    inputs: Any = None
    outputs: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    error_type: str | None = None
    error_message: str | None = None


# ------------------------------------------------------------------------------------------ the user's spans in tools


@dataclass(slots=True)
class _Join:
    """A trace of ours in which tools run that may open spans of MLflow.

    Attributes
    ----------
    inside
        How many tools run, and spans are open, in it.
    listeners
        Who is told of the spans below a span.
    is_registered
        Whether MLflow knows of it: only once there is a span to put into it, since most tools open none.
    """

    inside: int = 0
    listeners: dict[int, Listener] = field(default_factory=dict)
    is_registered: bool = False


_joins: dict[int, _Join] = {}
_lock = threading.RLock()
_SAMPLED = otel.TraceFlags(otel.TraceFlags.SAMPLED)


class tool_context:  # noqa: N801 - used as a function; a generator would cost every tool more than all the rest of it
    """Make MLflow spans that start inside children of a tool's span, and hand each on as it starts and as it ends.

    Tools of one trace may run side by side. MLflow itself stores nothing of these spans: they are marked as not to be
    exported, in the way that OpenTelemetry provides (``RECORD_ONLY``).

    Parameters
    ----------
    trace_id, span_id
        The tool's span, as 32 and 16 hex digits.
    listener
        Gets the spans.
    """

    __slots__ = ("_contexts", "_listener", "_span", "_switched_on", "_token", "_trace")

    def __init__(self, trace_id: str, span_id: str, listener: Listener) -> None:
        self._trace, self._span = int(trace_id, 16), int(span_id, 16)
        self._listener = listener

    def __enter__(self) -> None:
        """Enter."""
        _watch_providers()
        _joined(self._trace, self._span, self._listener)
        contexts: Any = provider.get_context_api()  # type: ignore[no-untyped-call] # MLflow's
        above = otel.NonRecordingSpan(otel.SpanContext(self._trace, self._span, is_remote=True, trace_flags=_SAMPLED))
        self._contexts = contexts
        self._token = contexts.attach(otel.set_span_in_context(above, contexts.get_current()))
        self._switched_on = mlflow.tracing.context(enabled=True)
        self._switched_on.__enter__()

    def __exit__(self, *error: object) -> None:
        """Leave; also in another context than it was entered in: that context is gone anyway."""
        with contextlib.suppress(ValueError):
            self._switched_on.__exit__(None, None, None)
        with contextlib.suppress(ValueError):
            self._contexts.detach(self._token)
        _left(self._trace)


@contextlib.contextmanager
def suppressed() -> Iterator[None]:
    """Keep MLflow from tracing what runs inside: it is recorded already."""
    with mlflow.tracing.context(enabled=False):
        yield


def _joined(trace_number: int, span_number: int, listener: Listener) -> None:
    with _lock:
        join = _joins.get(trace_number)
        if join is None:
            join = _joins[trace_number] = _Join()
        join.inside += 1
        join.listeners[span_number] = listener


def _register(trace_number: int) -> bool:
    """Make a joined trace known to MLflow, as its own entry for a trace that began in another process."""
    with _lock:
        join = _joins.get(trace_number)
        if join is None:
            return False
        if not join.is_registered:
            info = TraceInfo(
                trace_id=f"tr-{trace_number:032x}",
                trace_location=None,  # type: ignore[arg-type] # as MLflow does for such a trace
                request_time=None,  # type: ignore[arg-type]
                state=TraceState.IN_PROGRESS,
            )
            manager: Any = InMemoryTraceManager.get_instance()  # type: ignore[no-untyped-call]
            manager.register_trace(trace_number, info, is_remote_trace=True)
            join.is_registered = True
        return True


def _left(trace_number: int) -> None:
    with _lock:
        join = _joins.get(trace_number)
        if join is None:
            return
        join.inside -= 1
        if join.inside <= 0:
            del _joins[trace_number]
            if join.is_registered:
                manager: Any = InMemoryTraceManager.get_instance()  # type: ignore[no-untyped-call]
                manager.pop_trace(trace_number)


class _Copier(SpanProcessor):
    """Hands on the spans of joined traces."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Hand a span on that has begun."""
        number = span.context.trace_id
        with _lock:
            join = _joins.get(number)
            listener = join.listeners.get(span.parent.span_id) if join is not None and span.parent else None
            if join is None or listener is None:
                return
            join.inside += 1  # a thread of the tool may work on when the tool has ended
            join.listeners[span.context.span_id] = listener
        with contextlib.suppress(Exception):  # never into the user's own tracing
            listener(_copied(span))

    def on_end(self, span: Any) -> None:
        """Hand a span on that has ended."""
        number = span.context.trace_id
        with _lock:
            join = _joins.get(number)
            listener = join.listeners.pop(span.context.span_id, None) if join is not None else None
        if listener is not None:
            with contextlib.suppress(Exception):
                listener(_copied(span))
            _left(number)


class _NotExported(Sampler):
    """Has spans of joined traces recorded but not exported; asks the sampler that was there about all others."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def should_sample(  # noqa: PLR0917 - OpenTelemetry's
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Sequence[Any] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Decide about a span that starts."""
        # Asked before MLflow's own processor looks for the trace.
        if trace_id in _joins and _register(trace_id):
            return SamplingResult(Decision.RECORD_ONLY, attributes, trace_state)
        answer: SamplingResult = self.inner.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        return answer

    def get_description(self) -> str:
        """Return the description of the sampler that was there."""
        return str(self.inner.get_description())


_copier = _Copier()
_attached: Any = None


def _watch_providers() -> None:
    """See the spans of MLflow's tracer provider, and of each one that it makes later.

    MLflow makes its provider with the first span, and a new one whenever experiment or tracking URI are set; doing it
    for MLflow beforehand would open its store here and now.
    """
    holder: Any = provider.provider
    if "set" not in vars(holder):
        with _lock:
            _watch_sets(holder)
    if holder.once._done:  # noqa: SLF001 - whether there is one
        made = holder.get()
        if made is not _attached:
            _attach(made)


def _watch_sets(holder: Any) -> None:
    if "set" in vars(holder):
        return
    original = holder.set

    def set_and_attach(made: Any) -> None:
        original(made)
        _attach(made)

    holder.set = set_and_attach
    _originals.append((holder, "set", None))


def _attach(made: Any) -> None:
    global _attached  # noqa: PLW0603 - there is one provider at a time
    if not isinstance(made, TracerProvider):  # tracing is switched off
        return
    with _lock:
        if _copier not in getattr(getattr(made, "_active_span_processor", None), "_span_processors", ()):
            made.add_span_processor(_copier)
        # A provider gives its sampler to its tracers when they are made, and keeps those.
        tracer: Any = made.get_tracer(_MLFLOWS_TRACER)
        for owner in (made, tracer):
            if not isinstance(owner.sampler, _NotExported):
                owner.sampler = _NotExported(owner.sampler)
        _attached = made


def _copied(span: Any) -> MlflowSpan:
    values = {name: _decoded(value) for name, value in (span.attributes or {}).items()}
    copy = MlflowSpan(
        trace_id=f"{span.context.trace_id:032x}",
        span_id=f"{span.context.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        name=span.name,
        start_ns=span.start_time,
        end_ns=span.end_time,
        span_type=values.get("mlflow.spanType"),
        inputs=values.get("mlflow.spanInputs"),
        outputs=values.get("mlflow.spanOutputs"),
        attributes={n: v for n, v in values.items() if not n.startswith(_OWN_ATTRIBUTES)},
    )
    copy.failed = span.status is not None and span.status.status_code.name == "ERROR"
    for event in span.events or ():
        if event.name == "exception":
            copy.error_type = (event.attributes or {}).get("exception.type") or None
            copy.error_message = (event.attributes or {}).get("exception.message") or None
    if copy.failed and copy.error_message is None:
        copy.error_message = span.status.description
    return copy


def _decoded(value: Any) -> Any:
    # MLflow keeps attribute values as JSON text.
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


# --------------------------------------------------------------------------------------------- the cell's run, active

_run_id_here: ContextVar[RunIdOf | None] = ContextVar("agenttrace_nb_run_id", default=None)
_active_before: ContextVar[str | None] = ContextVar("agenttrace_nb_active_before", default=None)
_originals: list[tuple[Any, str, Any]] = []
_seen: dict[str, Any] = {}


@contextlib.contextmanager
def ambient_run(get_run_id: RunIdOf) -> Iterator[None]:
    """Make ``mlflow.active_run()`` and the fluent ``log_*`` calls inside use a run, without starting one.

    The run belongs to the context, not to the thread: it is right in tasks that run side by side. A run that the user
    starts inside wins, as it would anywhere; one that was active before does not.

    Parameters
    ----------
    get_run_id
        Gives the run's id when somebody asks for it, and may wait for it; ``None`` leaves MLflow to itself.
    """
    _install()
    before = _users_run()
    tokens = _run_id_here.set(get_run_id), _active_before.set(before.info.run_id if before is not None else None)
    try:
        yield
    finally:
        # An async cell ends in another context than it began in; that context is gone anyway.
        with contextlib.suppress(ValueError):
            _run_id_here.reset(tokens[0])
            _active_before.reset(tokens[1])


def uninstall() -> None:
    """Leave MLflow's fluent functions as they were found."""
    while _originals:
        owner, name, original = _originals.pop()
        if original is None:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _install() -> None:
    if any(name == "active_run" for _, name, _ in _originals):
        return
    fluent = sys.modules["mlflow.tracking.fluent"]
    active, get_or_start = fluent.active_run, fluent._get_or_start_run  # noqa: SLF001 - the one place that resolves the active run

    def active_run() -> Any:
        run = active()
        if run is None or run.info.run_id == _active_before.get():
            return _ambient() or run
        return run

    def get_or_start_run() -> Any:
        return active_run() or get_or_start()

    active_run.__doc__ = active.__doc__
    replaced = {"active_run": (active, active_run), "_get_or_start_run": (get_or_start, get_or_start_run)}
    for owner in _readers():
        for name, (original, ours) in replaced.items():
            if getattr(owner, name, None) is original:
                _originals.append((owner, name, original))
                setattr(owner, name, ours)


def _users_run() -> Any:
    """Return the run that the user has started in this thread."""
    active = next(original for _, name, original in _originals if name == "active_run")
    return active()


def _readers() -> list[Any]:
    """Return the modules of MLflow that hold the functions under names of their own."""
    names = ("mlflow", "mlflow.tracking.fluent", "mlflow.evaluation.fluent", "mlflow.tracking")
    return [sys.modules[name] for name in names if name in sys.modules]


def _ambient() -> Any:
    get_run_id = _run_id_here.get()
    run_id = get_run_id() if get_run_id is not None else None
    if run_id is None:
        return None
    if run_id not in _seen:
        try:
            run = mlflow.MlflowClient().get_run(run_id)
        except Exception:
            return None
        _seen[run_id] = mlflow.ActiveRun(run)  # type: ignore[no-untyped-call]
    return _seen[run_id]
