"""Every touch of MLflow that is not its documented API, each held by a contract test.

What is used and why: `TracingClient.log_spans` writes many traces at once under ids of our own; `Span` around an
OpenTelemetry span is what it takes; the store's ``get_trace(allow_partial=True)`` reads traces that the public calls
hide; ``start_trace`` corrects what ``log_spans`` leaves alone in a trace that exists; the server's version decides
whether any of this can work.
"""

from __future__ import annotations

import importlib
import inspect
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mlflow.entities import Feedback, TraceInfo, TraceLocation, TraceState
from mlflow.entities.span import Span
from mlflow.environment_variables import MLFLOW_SEARCH_TRACES_MAX_THREADS
from mlflow.tracing.client import TracingClient
from mlflow.tracing.otel.translation import translate_loaded_span
from mlflow.tracing.utils import calculate_cost_by_model_and_token_usage
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags
from opentelemetry.trace import Status as OtelStatus

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.records import SpanRecord, span_id_in
from agenttrace_nb.mlflow_store.restore import head_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow.entities import Trace

    from agenttrace_nb.mlflow_store.restore import TraceHead

LOWEST_SERVER = (3, 4)
_NO_RESOURCE = Resource.get_empty()
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_CODES = {"OK": StatusCode.OK, "ERROR": StatusCode.ERROR, "UNSET": StatusCode.UNSET}
_READ_CODES = {"STATUS_CODE_OK": "OK", "STATUS_CODE_ERROR": "ERROR"}


# -------------------------------------------------------------------------------------------------------- writing


def log_spans(uri: str, experiment_id: str, records: Iterable[SpanRecord]) -> None:
    """Write spans of any number of traces in one call; writing one again replaces it."""
    TracingClient(uri).log_spans(experiment_id, [_to_span(record) for record in records])


def correct_trace(uri: str, experiment_id: str, root: SpanRecord, totals: dict[str, dict[str, float]]) -> None:
    """Set state, times and totals of a trace that MLflow has already and that went on since.

    Parameters
    ----------
    uri, experiment_id
        Where it is.
    root
        Its root as just written.
    totals
        ``mlflow.trace.tokenUsage`` and ``mlflow.trace.cost`` of the whole trace.
    """
    start_ms, end_ns = root.start_ns // 1_000_000, root.end_ns or root.start_ns
    TracingClient(uri).start_trace(
        TraceInfo(
            trace_id=names.mlflow_trace_id(root.trace_id),
            trace_location=TraceLocation.from_experiment_id(experiment_id),
            request_time=start_ms,
            execution_duration=end_ns // 1_000_000 - start_ms,
            state=TraceState.ERROR if root.status == "ERROR" else TraceState.OK,
            trace_metadata={name: json.dumps(total) for name, total in totals.items() if total},
            response_preview=_preview(root),
        )
    )


def server_version(uri: str) -> tuple[int, int] | None:
    """Return major and minor version of a tracking server; ``None`` if it does not say (it may be down)."""
    store: Any = TracingClient(uri).store
    ask: Any = type(store)._get_server_version  # noqa: SLF001
    version = ask(store.get_host_creds())
    if version is None:
        ask.cache_clear()  # it would remember the silence for as long as the process lives
        return None
    return version.major, version.minor


def drop_connections(uri: str) -> None:
    """Connect to a database anew: SQLite never writes through a connection made while the file was read-only."""
    engine = getattr(TracingClient(uri).store, "engine", None)
    if engine is not None:
        engine.dispose()


def price(model: str, usage: dict[str, int]) -> dict[str, float] | None:
    """Return what a model charges, in USD, by MLflow's own catalogue; ``None`` for a model that is not in it."""
    return calculate_cost_by_model_and_token_usage(model, usage)


def write_faster() -> None:
    """Let MLflow insert spans without building and compiling a new statement for every hundred of them.

    MLflow 3.17 spends a third of ``log_spans`` on that: a statement with a thousand and more parameters, which
    SQLAlchemy cannot cache. The same upsert, executed once for each row, is compiled once. Where MLflow has changed
    there, it is left as it is.
    """
    from mlflow.store.tracking import sqlalchemy_store

    known: Any = getattr(sqlalchemy_store, "_upsert_batch", None)
    if known is None or list(inspect.signature(known).parameters) != _UPSERT:
        return

    def upsert(*args: Any) -> None:
        session, _, table, rows, keys, updated, dialect = args
        if dialect not in ("sqlite", "postgresql") or not updated:
            known(*args)
            return
        insert: Any = importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
        new = insert.excluded
        statement = insert.on_conflict_do_update(index_elements=keys, set_={name: new[name] for name in updated})
        session.connection().execute(statement, rows)

    patched: Any = sqlalchemy_store
    patched._upsert_batch = upsert  # noqa: SLF001


_UPSERT = ["session", "model_class", "table", "rows", "pk_columns", "update_columns", "dialect"]


def _preview(root: SpanRecord) -> str | None:
    said = root.get(names.OUTPUTS)
    if isinstance(said, dict) and "choices" in said:
        said = said["choices"][-1]["message"].get("content")
    return None if said is None else (said if isinstance(said, str) else json.dumps(said))[:1000]


def _to_span(record: SpanRecord) -> Span:
    trace_id = int(record.trace_id, 16)
    parent = None
    if record.parent_id is not None:
        parent = SpanContext(trace_id, int(record.parent_id, 16), is_remote=False, trace_flags=_SAMPLED)
    return Span(
        ReadableSpan(
            name=record.name,
            context=SpanContext(trace_id, int(record.span_id, 16), is_remote=False, trace_flags=_SAMPLED),
            parent=parent,
            resource=_NO_RESOURCE,
            attributes=record.attributes,
            events=[Event(name, attributes, time_ns) for name, time_ns, attributes in record.events],
            start_time=record.start_ns,
            end_time=record.end_ns,
            status=OtelStatus(_CODES[record.status], record.message if record.status == "ERROR" else None),
        )
    )


# -------------------------------------------------------------------------------------------------------- reading


def read_traces(uri: str, trace_ids: list[str], *, listed: bool = False) -> dict[str, Trace]:
    """Return traces with their spans by id; those that MLflow holds to be incomplete are left out.

    Parameters
    ----------
    uri
        The tracking URI.
    trace_ids
        MLflow's ids.
    listed
        Whether a search has just said of all of them that their spans are in the tracking store. MLflow asks for that
        again, which a server takes some time for.
    """
    client: Any = TracingClient(uri)
    in_batches = getattr(client, "_download_spans_from_batch_get_traces", None)
    if listed and in_batches is not None:
        most: int = MLFLOW_SEARCH_TRACES_MAX_THREADS.get()  # type: ignore[no-untyped-call] # MLflow's
        with ThreadPoolExecutor(min(len(trace_ids), most)) as executor:
            found = in_batches(trace_ids, None, executor)
    else:
        found = client.batch_get_traces(trace_ids)
    return {trace.info.trace_id: trace for trace in found}


def read_partial(uri: str, trace_id: str) -> Trace:
    """Return a trace with as many of its spans as are stored.

    Raises
    ------
    MlflowException
        If there is no such trace.
    """
    client: Any = TracingClient(uri)
    try:
        found: Trace = client.store.get_trace(trace_id, allow_partial=True)
    except NotImplementedError:
        found = client.get_trace(trace_id)
    return found


def to_head(info: TraceInfo) -> TraceHead:
    """Return what MLflow says of a trace as a whole."""
    return head_of(
        info.trace_id, dict(info.tags), info.trace_metadata, experiment_id=str(info.experiment_id),
        state=str(info.state.value), start_ms=info.request_time, duration_ms=info.execution_duration,
    )  # fmt: skip


def to_records(trace: Trace) -> list[SpanRecord]:
    """Return the spans of a trace that was read."""
    return [_to_record(names.own_trace_id(trace.info.trace_id), span) for span in trace.data.spans]


def records_in(trace_id: str, text: str, count: int) -> list[SpanRecord]:
    """Return the spans of a trace from what is stored of them, in the order in which MLflow gives them.

    Parameters
    ----------
    trace_id
        MLflow's id of the trace.
    text
        The JSON texts of its spans, with commas between them.
    count
        How many they are.

    Raises
    ------
    ValueError
        If that is not what the text holds.
    """
    stored = json.loads(f"[{text}]")
    if len(stored) != count:
        msg = f"{len(stored)} spans instead of {count}"
        raise ValueError(msg)
    if not any(names.TRACE in one["attributes"] for one in stored):  # of ours nothing is read that MLflow translates
        stored = [translate_loaded_span(one) for one in stored]
    records = [_stored_record(names.own_trace_id(trace_id), one) for one in stored]
    return sorted(records, key=lambda record: (record.parent_id is not None, record.start_ns))


def _to_record(trace_id: str, span: Span) -> SpanRecord:
    # To ask the span itself makes MLflow build an OpenTelemetry span, which takes longer than all the rest.
    return _stored_record(trace_id, span.to_dict())


def _stored_record(trace_id: str, stored: dict[str, Any]) -> SpanRecord:
    """Return a span from what is stored of it: attributes as JSON texts, ids in base64."""
    span_id, parent_id = span_id_in(stored.get("span_id")), span_id_in(stored.get("parent_span_id"))
    if span_id is None or (parent_id is None and stored.get("parent_span_id")):  # a form of an earlier MLflow
        span = Span.from_dict(stored)
        span_id, parent_id = span.span_id, span.parent_id
    status = stored["status"]
    return SpanRecord(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=stored["name"],
        start_ns=stored["start_time_unix_nano"],
        end_ns=stored["end_time_unix_nano"] or None,
        status=_READ_CODES.get(status["code"], "UNSET"),
        message=status.get("message") or "",
        attributes={
            name: text if isinstance(text, str) else json.dumps(text) for name, text in stored["attributes"].items()
        },
        events=[(event["name"], event["time_unix_nano"], event["attributes"]) for event in stored["events"]],
    )


# ------------------------------------------------------------------------------------------------------- feedback


def read_feedback(uri: str, trace_id: str) -> tuple[list[Feedback], TraceHead]:
    """Return what was said of a trace, and its head.

    Raises
    ------
    MlflowException
        If there is no such trace.
    """
    info = TracingClient(uri).get_trace_info(trace_id)
    said = [a for a in info.assessments if isinstance(a, Feedback)]
    return said, to_head(info)


def read_assessments(uri: str, trace_ids: list[str]) -> dict[str, list[Feedback]]:
    """Return what was said of whole traces, by trace id; those that MLflow does not have are left out."""
    found = {}
    for trace_id, trace in read_traces(uri, trace_ids).items():
        # MLflow's evaluation says of the first step what it means of the trace.
        whole = {None, *(span.span_id for span in trace.data.spans if span.parent_id is None)}
        found[trace_id] = [a for a in trace.info.assessments if isinstance(a, Feedback) and a.span_id in whole]
    return found


def write_feedback(uri: str, trace_id: str, feedback: Feedback) -> None:
    """Add what was said to a trace."""
    TracingClient(uri).log_assessment(trace_id, feedback)
