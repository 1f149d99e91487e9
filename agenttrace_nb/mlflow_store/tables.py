"""MLflow's tables, read directly: its API gives out what is in them through objects, one span at a time.

Only reads. A connection is open for one statement, so that nobody who writes to the same SQLite file waits for long.
Where a store is not a database, or its tables are not as they are known here, the answer is ``None``: ask MLflow's API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.restore import TraceHead, head_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_engines: dict[str, Any] = {}
_COMPARING = ("sqlite", "postgresql")  # texts, by each letter; others do not tell a from A unless asked to
_AT_ONCE = 900  # values in one statement; SQLite takes 999, or more


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of a trace; ``None`` stands for anything."""

    tags: Mapping[str, str]
    session: str | None = None
    state: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


def engine(uri: str) -> Any:
    """Return SQLAlchemy's engine of a store that is a database; ``None`` of another."""
    if "://" not in uri or uri.startswith(("http:", "https:", "databricks")):
        return None
    import sqlalchemy as sa

    if uri not in _engines:
        # A SQLite file is closed as soon as it is not read; to connect to a server takes longer.
        _engines[uri] = sa.create_engine(uri, poolclass=sa.NullPool if uri.startswith("sqlite") else None)
    return _engines[uri]


def contents(uri: str, trace_ids: Sequence[str]) -> dict[str, tuple[str, int]] | None:
    """Return the spans of traces as MLflow stores them.

    Parameters
    ----------
    uri
        The tracking URI.
    trace_ids
        MLflow's ids of traces, as many as one statement takes (some hundreds).

    Returns
    -------
    dict or None
        By trace id the JSON texts of its spans, with commas between them, and how many there are. Traces without spans
        are not in it, and neither are those whose spans MLflow has moved elsewhere.
    """
    import sqlalchemy as sa

    spans = sa.table("spans", sa.column("trace_id"), sa.column("content", sa.Text))
    texts = sa.select(spans.c.trace_id, spans.c.content).where(spans.c.trace_id.in_(trace_ids))
    if uri.startswith("sqlite"):
        # One row for each trace instead of each span: MySQL would cut the text off, others limit it.
        text, here = sa.func.group_concat(spans.c.content, ","), sa.func.min(spans.c.content != "")
        by_trace = texts.with_only_columns(spans.c.trace_id, text, sa.func.count(), here).group_by(spans.c.trace_id)
        found = _rows(uri, by_trace)
        return None if found is None else {row[0]: (row[1], row[2]) for row in found if row[3]}
    found = _rows(uri, texts)
    if found is None:
        return None
    of: dict[str, list[str]] = {}
    for trace_id, content in found:
        of.setdefault(trace_id, []).append(content)
    return {trace_id: (",".join(known), len(known)) for trace_id, known in of.items() if all(known)}


def heads(uri: str, experiments: Sequence[str], wanted: Wanted, size: int, skipped: int) -> list[TraceHead] | None:
    """Return what MLflow says of traces that match, newest first, as its search orders them.

    Parameters
    ----------
    uri
        The tracking URI.
    experiments
        Ids of the experiments that they are in.
    wanted
        What is wanted.
    size, skipped
        How many at most, after how many.
    """
    if not uri.startswith(_COMPARING) or len(experiments) > _AT_ONCE:
        return None
    import sqlalchemy as sa

    columns = ("request_id", "experiment_id", "timestamp_ms", "execution_time_ms", "status", "trace_name", "session_id")
    info = sa.table("trace_info", *(sa.column(name) for name in columns))
    tags = sa.table("trace_tags", sa.column("request_id"), sa.column("key"), sa.column("value"))
    conditions: list[sa.ColumnElement[bool]] = [info.c.experiment_id.in_([int(number) for number in experiments])]
    for column, value in ((info.c.session_id, wanted.session), (info.c.status, wanted.state)):
        if value is not None:
            conditions.append(column == value)
    if wanted.since_ms is not None:
        conditions.append(info.c.timestamp_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        conditions.append(info.c.timestamp_ms < wanted.until_ms)
    for key, value in wanted.tags.items():
        tagged = sa.select(tags.c.request_id).where(tags.c.key == key, tags.c.value == value)
        conditions.append(info.c.request_id.in_(tagged))
    newest = (info.c.timestamp_ms.desc(), info.c.request_id)
    found = _rows(uri, sa.select(info).where(*conditions).order_by(*newest).limit(size).offset(skipped))
    said = None if found is None else _said(uri, [row.request_id for row in found])
    return None if found is None or said is None else [_head(row, *said[row.request_id]) for row in found]


def _head(row: Any, tags: dict[str, str], metadata: dict[str, str]) -> TraceHead:
    # MLflow has these two in columns; what stands under their names beside it does not count.
    in_columns = ((tags, names.TRACE_NAME, row.trace_name), (metadata, names.TRACE_SESSION, row.session_id))
    for pairs, key, value in in_columns:
        pairs.pop(key, None)
        if value is not None:
            pairs[key] = value
    return head_of(
        row.request_id, tags, metadata, experiment_id=str(row.experiment_id), state=row.status,
        start_ms=row.timestamp_ms, duration_ms=row.execution_time_ms,
    )  # fmt: skip


def _said(uri: str, trace_ids: Sequence[str]) -> dict[str, tuple[dict[str, str], dict[str, str]]] | None:
    """Return the tags and the metadata of traces."""
    import sqlalchemy as sa

    said: dict[str, tuple[dict[str, str], dict[str, str]]] = {trace_id: ({}, {}) for trace_id in trace_ids}
    for which, name in enumerate(("trace_tags", "trace_request_metadata")):
        table = sa.table(name, sa.column("request_id"), sa.column("key"), sa.column("value"))
        for start in range(0, len(trace_ids), _AT_ONCE):
            found = _rows(uri, sa.select(table).where(table.c.request_id.in_(trace_ids[start : start + _AT_ONCE])))
            if found is None:
                return None
            for trace_id, key, value in found:
                said[trace_id][which][key] = value
    return said


def run_tags(uri: str, run_ids: Sequence[str], key: str) -> dict[str, str] | None:
    """Return a tag of runs that have it, by run id; those that were deleted, or whose experiment was, are left out."""
    import sqlalchemy as sa

    tags = sa.table("tags", sa.column("run_uuid"), sa.column("key"), sa.column("value"))
    runs = sa.table("runs", sa.column("run_uuid"), sa.column("experiment_id"), sa.column("lifecycle_stage"))
    places = sa.table("experiments", sa.column("experiment_id"), sa.column("lifecycle_stage"))
    found = _rows(
        uri,
        sa.select(tags.c.run_uuid, tags.c.value)
        .join(runs, runs.c.run_uuid == tags.c.run_uuid)
        .join(places, places.c.experiment_id == runs.c.experiment_id)
        .where(tags.c.key == key, tags.c.run_uuid.in_(run_ids))
        .where(runs.c.lifecycle_stage == "active", places.c.lifecycle_stage == "active"),
    )
    return None if found is None else {row[0]: row[1] for row in found}


def _rows(uri: str, statement: Any) -> Sequence[Any] | None:
    import sqlalchemy as sa

    reached = engine(uri)
    if reached is None:
        return None
    try:
        with reached.connect() as connection:
            rows: Sequence[Any] = connection.execute(statement).all()
            return rows
    except sa.exc.SQLAlchemyError:
        return None
