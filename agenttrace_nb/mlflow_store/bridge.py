"""MLflow in the kernel: the user's spans inside a tool, autologging kept quiet, the cell's run made active.

Used only where the user has imported ``mlflow``. What is not public in MLflow is touched in `_readers` and `_attach`
alone, and a contract test holds it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.tracing import get_bridged_tracer_provider, set_tracing_context_from_http_request_headers
from opentelemetry.sdk.trace import SpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    RunIdOf = Callable[[], str | None]
    Listener = Callable[["MlflowSpan"], None]

_REMEMBERED_TRACES = 1000
_OWN_ATTRIBUTES = "mlflow."


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

_listeners: OrderedDict[str, Listener] = OrderedDict()


@contextlib.contextmanager
def tool_context(trace_id: str, span_id: str, listener: Listener) -> Iterator[None]:
    """Make MLflow spans that start inside children of a tool's span, and hand each on as it starts and as it ends.

    Parameters
    ----------
    trace_id, span_id
        The tool's span, as 32 and 16 hex digits.
    listener
        Gets the spans.
    """
    _attach()
    _listeners[trace_id] = listener
    _listeners.move_to_end(trace_id)
    while len(_listeners) > _REMEMBERED_TRACES:
        _listeners.popitem(last=False)
    header = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    with mlflow.tracing.context(enabled=True), set_tracing_context_from_http_request_headers(header):
        yield


@contextlib.contextmanager
def suppressed() -> Iterator[None]:
    """Keep MLflow from tracing what runs inside: it is recorded already."""
    with mlflow.tracing.context(enabled=False):
        yield


class _Copier(SpanProcessor):
    """Hands on spans of the traces that somebody listens to."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Hand a span on that has begun."""
        self._hand_on(span)

    def on_end(self, span: Any) -> None:
        """Hand a span on that has ended."""
        self._hand_on(span)

    @staticmethod
    def _hand_on(span: Any) -> None:
        listener = _listeners.get(f"{span.context.trace_id:032x}")
        if listener is not None:
            with contextlib.suppress(Exception):  # never into the user's own tracing
                listener(_copied(span))


_copier = _Copier()


def _attach() -> None:
    """Add the processor, once; MLflow makes a new provider whenever experiment or tracking URI are set."""
    provider = get_bridged_tracer_provider()
    known = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
    if _copier not in known:
        provider.add_span_processor(_copier)


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
_originals: list[tuple[Any, str, Any]] = []
_seen: dict[str, Any] = {}


@contextlib.contextmanager
def ambient_run(get_run_id: RunIdOf) -> Iterator[None]:
    """Make ``mlflow.active_run()`` and the fluent ``log_*`` calls inside use a run, without starting one.

    The run belongs to the context, not to the thread: it is right in tasks that run side by side. A run that the user
    starts inside wins, as it would anywhere.

    Parameters
    ----------
    get_run_id
        Gives the run's id when somebody asks for it, and may wait for it; ``None`` leaves MLflow to itself.
    """
    _install()
    token = _run_id_here.set(get_run_id)
    try:
        yield
    finally:
        # An async cell ends in another context than it began in; that context is gone anyway.
        with contextlib.suppress(ValueError):
            _run_id_here.reset(token)


def uninstall() -> None:
    """Leave MLflow's fluent functions as they were found."""
    while _originals:
        owner, name, original = _originals.pop()
        setattr(owner, name, original)


def _install() -> None:
    if _originals:
        return
    fluent = sys.modules["mlflow.tracking.fluent"]
    active, get_or_start = fluent.active_run, fluent._get_or_start_run  # noqa: SLF001 - the one place that resolves the active run

    def active_run() -> Any:
        run = active()
        return run if run is not None else _ambient()

    def get_or_start_run() -> Any:
        return active() or _ambient() or get_or_start()

    active_run.__doc__ = active.__doc__
    replaced = {"active_run": (active, active_run), "_get_or_start_run": (get_or_start, get_or_start_run)}
    for owner in _readers():
        for name, (original, ours) in replaced.items():
            if getattr(owner, name, None) is original:
                _originals.append((owner, name, original))
                setattr(owner, name, ours)


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
