"""What MLflow holds of traces, as it stands: for comparing with what was sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import tables
from agenttrace_nb.mlflow_store.target import shown

if TYPE_CHECKING:
    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.mlflow_store.restore import TraceHead


def stored_records(uri: str, trace_id: str) -> tuple[TraceHead, list[SpanRecord]] | None:
    """Return a trace's head and spans through MLflow's API, ``None`` if there is no such trace.

    Raises
    ------
    ConnectionError
        If MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    from agenttrace_nb.mlflow_store import adapter

    try:
        found = adapter.read_partial(uri, names.mlflow_trace_id(trace_id))
    except MlflowException as error:
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call] # MLflow's
        if status == HTTPStatus.NOT_FOUND:
            return None
        msg = f"MLflow at {shown(uri)} cannot be read ({str(error).splitlines()[0][:200]})"
        raise ConnectionError(msg) from error
    except OSError as error:
        msg = f"MLflow at {shown(uri)} does not answer ({error})"
        raise ConnectionError(msg) from error
    return adapter.to_head(found.info), adapter.to_records(found)


def stored_feedback(uri: str, trace_id: str) -> dict[str, dict[str, Any]]:
    """Return what MLflow holds of what people said of a trace, by our key; under other keys what did not come from us.

    Raises
    ------
    ConnectionError
        If MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    from agenttrace_nb.mlflow_store import adapter

    try:
        said, _ = adapter.read_feedback(uri, names.mlflow_trace_id(trace_id))
    except (MlflowException, OSError) as error:
        msg = f"MLflow at {shown(uri)} cannot be read ({str(error).splitlines()[0][:200]})"
        raise ConnectionError(msg) from error
    return {
        (one.metadata or {}).get(names.KEY) or f"id {one.assessment_id}": {
            "name": one.name, "value": one.value, "comment": one.rationale, "span_id": one.span_id or None,
            "user": one.source.source_id, "valid": one.valid is not False,
            "time_ms": one.create_time_ms,
        }
        for one in said
    }  # fmt: skip


def table_rows(uri: str, table: str, key: str, trace_id: str) -> list[dict[str, Any]] | None:
    """Return the rows of one trace in a table of MLflow's database; ``None`` if that cannot be reached by SQL."""
    engine = tables.engine(uri)
    if engine is None:
        return None
    import sqlalchemy as sa

    with engine.connect() as connection:
        if (uri, table) not in _tables:
            _tables[uri, table] = sa.Table(table, sa.MetaData(), autoload_with=connection, resolve_fks=False)
        loaded = _tables[uri, table]
        found = connection.execute(sa.select(loaded).where(loaded.c[key] == names.mlflow_trace_id(trace_id)))
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's name for it


def trace_ids(uri: str) -> list[str] | None:
    """Return the ids of all traces in MLflow's database; ``None`` if that cannot be reached by SQL."""
    engine = tables.engine(uri)
    if engine is None:
        return None
    import sqlalchemy as sa

    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT request_id FROM trace_info"))
        return [names.own_trace_id(row[0]) for row in found]


def price_of(model: str, counts: dict[str, int]) -> dict[str, float] | None:
    """Return what a call costs by MLflow's table of prices, in USD."""
    from agenttrace_nb.mlflow_store import adapter

    return adapter.price(model, counts)


_tables: dict[tuple[str, str], Any] = {}
