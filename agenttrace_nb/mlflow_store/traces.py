"""Whole traces of a tracking store: from its tables where SQL reaches them, otherwise through MLflow's API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import tables
from agenttrace_nb.mlflow_store.target import shown, silence
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.mlflow_store.restore import TraceHead

BATCH = 250
"""Traces of one statement or one call; SQLite takes 999 values in a statement, or more."""
_IN_TABLES = "TRACKING_STORE"
_GONE = "MLflow lists it and does not give it out: it was deleted, or its spans were"


def contents(uri: str, heads: Sequence[TraceHead]) -> dict[str, tuple[str, int]]:
    """Return what the tables hold of traces, as `tables.contents`; nothing where they cannot be read."""
    ids = [head.trace_id for head in heads if _is_in_tables(head)]
    return tables.contents(uri, ids) or {} if ids else {}


def of_heads(uri: str, heads: Sequence[TraceHead]) -> list[Trace]:
    """Return the traces that MLflow listed; one that is not there any more says so in its ``problem``.

    Raises
    ------
    ConnectionError
        If the store does not answer.
    """
    there = contents(uri, heads)
    elsewhere = [head for head in heads if head.trace_id not in there]
    listed = all(map(_is_in_tables, elsewhere))
    others = {trace.trace_id: trace for trace in by_id(uri, [head.trace_id for head in elsewhere], listed=listed)}
    found = []
    for head in heads:
        if head.trace_id in there:
            found.append(from_content(uri, head, *there[head.trace_id]))
        else:
            own = names.own_trace_id(head.trace_id)
            found.append(others.get(own) or Trace(trace_id=own, name=head.trace_id, start_ns=0, problem=_GONE))
    return found


def from_content(uri: str, head: TraceHead, text: str, count: int) -> Trace:
    """Return a trace from what the tables hold of it."""
    from agenttrace_nb.mlflow_store import adapter

    return _restored(uri, head.trace_id, lambda: (head, adapter.records_in(head.trace_id, text, count)))


def _of_mlflow(stored: Any) -> tuple[TraceHead, list[SpanRecord]]:
    from agenttrace_nb.mlflow_store import adapter

    return adapter.to_head(stored.info), adapter.to_records(stored)


def _is_in_tables(head: TraceHead) -> bool:
    return head.tags.get(names.SPANS_LOCATION) == _IN_TABLES


def by_id(uri: str, trace_ids: Sequence[str], *, listed: bool = False) -> list[Trace]:
    """Return those of the traces that exist, through MLflow's API; ``listed`` as in `adapter.read_traces`.

    Raises
    ------
    ConnectionError
        If the store does not answer.
    """
    if not trace_ids:
        return []
    if reason := silence(uri):
        raise ConnectionError(reason)
    from mlflow.exceptions import MlflowException

    from agenttrace_nb.mlflow_store import adapter

    try:
        whole = adapter.read_traces(uri, list(trace_ids), listed=listed)
    except (MlflowException, OSError) as error:
        msg = f"MLflow at {shown(uri)} cannot be read ({str(error).splitlines()[0][:200]})"
        raise ConnectionError(msg) from error
    traces = []
    for trace_id in trace_ids:
        # MLflow leaves incomplete traces out without a word; here they are read as far as they are stored.
        stored: Any = whole.get(trace_id)
        if stored is None:
            try:
                stored = adapter.read_partial(uri, trace_id)
            except MlflowException:
                continue
        traces.append(_restored(uri, trace_id, partial(_of_mlflow, stored)))
    return traces


def _restored(uri: str, trace_id: str, read: Callable[[], tuple[TraceHead, list[SpanRecord]]]) -> Trace:
    from agenttrace_nb.mlflow_store.restore import to_trace

    try:
        trace = to_trace(*read())
    except Exception as error:
        why = f"what is stored of it cannot be understood ({type(error).__name__}: {error})"
        trace = Trace(trace_id=names.own_trace_id(trace_id), name=trace_id, start_ns=0, problem=why)
    trace.tracking_uri = shown(uri)
    return trace
