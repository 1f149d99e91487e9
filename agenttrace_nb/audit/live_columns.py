"""The columns of MLflow's tables that its own search and dashboards use: derived anew from what was sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agenttrace_nb.mlflow_store.records import SpanRecord

_NANO_PER_MS = 1_000_000
_FROM_ATTRIBUTES = frozenset({
    "type", "total_cost", "model_name", "trace_name", "session_id", "input_tokens", "output_tokens", "total_tokens",
})  # fmt: skip


def cost_of(record: SpanRecord) -> float | None:
    """Return what a span says that its call cost, in USD."""
    cost = record.get(names.COST)
    return cost.get("total_cost") if isinstance(cost, dict) else None


def expected_cost(record: SpanRecord) -> float | None:
    """Return what a call must cost: as it was sealed, else by MLflow's table of prices."""
    if (recorded_cost := cost_of(record)) is not None:
        return recorded_cost
    model, counts = record.get(names.MODEL), record.get(names.TOKEN_USAGE)
    price = stored.price_of(model, counts) if model and counts else None
    return None if price is None else price.get("total_cost")


def rows_differ(uri: str, sealed: list[SpanRecord], gone_of: Callable[[int], set[str]]) -> Iterator[str]:
    """Yield what differs in the columns of a trace, in words.

    Parameters
    ----------
    uri
        An address that SQL reaches.
    sealed
        The spans as they were sealed.
    gone_of
        Tells what of a span was erased; what would follow from that is not compared.
    """
    trace_id = sealed[0].trace_id
    rows = {str(row["span_id"]): row for row in stored.table_rows(uri, "spans", "trace_id", trace_id) or ()}
    gone = [_FROM_ATTRIBUTES if "attributes" in gone_of(place) else frozenset() for place in range(len(sealed))]
    for record, without in zip(sealed, gone, strict=True):
        row = rows.get(record.span_id, {})
        if not row:
            yield f"spans: there is no row of span {record.span_id}"
        for column, now, expected in _changed(row, _span_columns(record), without):
            yield f"spans.{column} of span {record.span_id} is {now!r}, sealed as {expected!r}"
    for row in stored.table_rows(uri, "trace_info", "request_id", trace_id) or ():
        for column, now, expected in _changed(row, _trace_columns(sealed), frozenset().union(*gone)):
            yield f"trace_info.{column} is {now!r}, sealed as {expected!r}"
    if "attributes" not in gone_of(0):
        yield from _metadata_differ(uri, sealed[0])


def _changed(row: dict[str, Any], expected: dict[str, Any], without: frozenset[str]) -> Iterator[tuple[str, Any, Any]]:
    for column, value in expected.items():
        if column in row and column not in without and row[column] != value:
            yield column, row[column], value


def _metadata_differ(uri: str, root: SpanRecord) -> Iterator[str]:
    rows = stored.table_rows(uri, "trace_request_metadata", "request_id", root.trace_id) or ()
    kept = {str(row["key"]): row["value"] for row in rows}
    wanted = {names.TRACE_SESSION: root.get(names.SESSION_ID), names.TRACE_USER: root.get(names.USER_ID)}
    for key, value in wanted.items():
        if key in kept and kept[key] != value:  # newer versions of MLflow keep the session with the trace alone
            yield f"trace_request_metadata {key!r} is {kept.get(key)!r}, sealed as {value!r}"
    for key in kept:
        if not key.startswith("mlflow."):
            yield f"trace_request_metadata {key!r} was put in"


def _span_columns(record: SpanRecord) -> dict[str, Any]:
    return {
        "name": record.name, "type": record.get(names.SPAN_TYPE), "status": record.status,
        "parent_span_id": record.parent_id, "start_time_unix_nano": record.start_ns,
        "end_time_unix_nano": record.end_ns, "total_cost": expected_cost(record),
        "model_name": record.get(names.MODEL),
    }  # fmt: skip


def _trace_columns(sealed: list[SpanRecord]) -> dict[str, Any]:
    root = sealed[0]
    start_ms = root.start_ns // _NANO_PER_MS
    totals: dict[str, int | None] = {"input_tokens": None, "output_tokens": None, "total_tokens": None}
    for record in sealed:
        for name, value in (record.get(names.TOKEN_USAGE) or {}).items():
            if name in totals:
                totals[name] = (totals[name] or 0) + value
    return {
        "timestamp_ms": start_ms, "execution_time_ms": (root.end_ns or root.start_ns) // _NANO_PER_MS - start_ms,
        "status": "ERROR" if root.status == "ERROR" else "OK",
        "trace_name": root.get(names.TRACE_TAG + names.TRACE_NAME), "session_id": root.get(names.SESSION_ID), **totals,
    }  # fmt: skip
