"""Which traces match: MLflow's search decides, or its tables do where there are only columns to compare."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mlflow import MlflowClient

    from agenttrace_nb.mlflow_store.restore import TraceHead

PAGE, LONG_PAGE = 500, 5000
"""Traces that MLflow gives at once, and those that a table does."""
_STATES = {"ok": "OK", "error": "ERROR", "cancelled": "ERROR", "interrupted": "ERROR", "running": "IN_PROGRESS"}
RUNNING = _STATES["running"]
_MS_PER_S = 1000
_AS_STORED = re.compile(r"[\w .,:;?@/+-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to search for; ``None`` stands for anything."""

    experiment: str | None = None
    arch: str | None = None
    case: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    agent: str | None = None
    session: str | None = None
    status: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    filter: str | None = None
    limit: int = 1000


def pages(
    client: MlflowClient, experiments: list[str], query: Query, size: int = PAGE
) -> Iterator[Sequence[TraceHead]]:
    """Return what MLflow says of the traces that match, newest first, page by page; the query's limit does not count.

    What a query asks of agents, texts and statuses is only narrowed down by it. A page has at most ``size`` traces, and
    at most `PAGE` where MLflow searches.

    Raises
    ------
    OptionError
        If a status is unknown, or MLflow refuses the filter.
    """
    wanted = filter_of(query)
    columns = _in_columns(query)
    at = 0
    while columns is not None and experiments:
        page = tables.heads(client.tracking_uri, experiments, columns, size, at)
        if page is None:
            break
        yield page
        at += len(page)
        if len(page) < size:
            return
    if at == 0:
        yield from _pages_of_mlflow(client, experiments, wanted, min(size, PAGE))


def _in_columns(query: Query) -> tables.Wanted | None:
    """Return what a query asks for in columns; ``None`` if it asks for more."""
    labels = {**query.tags, "arch": query.arch, "case": query.case}
    tags = {name: value for name, value in labels.items() if value is not None}
    if query.agent or query.text or query.filter or any(not name or name.startswith("mlflow.") for name in tags):
        return None
    return tables.Wanted(
        tags=tags,
        session=query.session,
        state=None if query.status is None else _STATES[query.status],
        since_ms=_ms(query.since),
        until_ms=_ms(query.until),
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * _MS_PER_S)


def _pages_of_mlflow(
    client: MlflowClient, experiments: list[str], wanted: str | None, size: int
) -> Iterator[Sequence[TraceHead]]:
    from mlflow.exceptions import MlflowException

    from agenttrace_nb.mlflow_store import adapter

    token = None
    while experiments:
        try:
            page = client.search_traces(
                locations=experiments,
                filter_string=wanted,
                max_results=size,
                order_by=["timestamp_ms DESC"],
                page_token=token,
                include_spans=False,
            )
        except MlflowException as error:
            msg = f"MLflow refuses this search ({wanted}): {error.message}"
            raise OptionError(msg) from error
        yield [adapter.to_head(trace.info) for trace in page]
        token = page.token
        if not token:
            return


def filter_of(query: Query) -> str | None:
    """Return a query in MLflow's language; ``None`` for anything."""
    labels = {**query.tags, "arch": query.arch, "case": query.case}
    parts = [f"tag.`{_quoted_name(name)}` = {_quoted(value)}" for name, value in labels.items() if value is not None]
    if query.session is not None:
        parts.append(f"metadata.`{names.TRACE_SESSION}` = {_quoted(query.session)}")
    if query.status is not None:
        parts.append(f"trace.status = '{_state(query.status)}'")
    # MLflow keeps texts as JSON inside JSON: it looks for a part that stands there as it is, `reader` for all of it.
    parts += [f"trace.text ILIKE '%{p}%'" for t in (query.agent, query.text) if (p := _longest_as_stored(t))]
    for sign, moment in ((">=", query.since), ("<", query.until)):
        if moment is not None:
            parts.append(f"trace.timestamp_ms {sign} {_ms(moment)}")
    if query.filter is not None:
        parts.append(query.filter)
    return " AND ".join(parts) or None


def _state(status: str) -> str:
    if status not in _STATES:
        hint = did_you_mean(status, _STATES)
        msg = f"status={status!r} is not allowed; it must be one of {', '.join(_STATES)}.{hint}"
        raise OptionError(msg)
    return _STATES[status]


def _longest_as_stored(text: str | None) -> str:
    """Return the longest part of a text without anything that JSON escapes or that is a wildcard."""
    return max(_AS_STORED.findall(text.replace("_", "%")), key=len, default="") if text else ""


def _quoted(value: str) -> str:
    # MLflow's filters have no escape: a value holds one kind of quote at most.
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    msg = f"{value!r} cannot be searched for: MLflow's filters take no text with both kinds of quotes"
    raise OptionError(msg)


def _quoted_name(name: str) -> str:
    if "`" in name:
        msg = f"tag {name!r} cannot be searched for: its name holds a backtick"
        raise OptionError(msg)
    return name
