"""Finding what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.mlflow_store import reader, target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.spans import Trace

Moment = datetime | str | timedelta


def load(id: str) -> Trace:  # noqa: A002 - what it is
    """Return a trace from MLflow.

    Parameters
    ----------
    id
        A trace id (``tr-...`` or 32 hex digits), or the id of a run that has one trace.

    Raises
    ------
    LookupError
        If there is no such trace or run, or the run has several traces.
    ConnectionError
        If the tracking server does not answer.

    Examples
    --------
    >>> trace = load(run.run_id)  # doctest: +SKIP
    >>> trace.root.name  # doctest: +SKIP
    'Agent workflow'
    """
    return reader.read_one(_uri(), config.check_text("id", id))


def search(
    *,
    experiment: str | None = None,
    arch: str | None = None,
    case: str | int | None = None,
    tags: Mapping[str, Any] | None = None,
    agent: str | None = None,
    session: str | None = None,
    status: str | None = None,
    text: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    filter: str | None = None,  # noqa: A002 - MLflow's word
    limit: int = 1000,
) -> TraceSet:
    """Return the traces in MLflow that match everything given, newest first.

    Traces that plain MLflow autologging wrote are found too, with what it doubles folded. One that is not complete is
    in the set and says why in `Trace.problem`.

    What matches is decided now; the traces themselves are read when they are looked at, each once.

    Parameters
    ----------
    experiment
        Name of the MLflow experiment; all of them by default.
    arch, case, tags
        Tags of the runs.
    agent
        Name of an agent that took part.
    session
        Session (conversation).
    status
        ``ok``, ``error``, ``cancelled``, ``interrupted`` or ``running``.
    text
        A text that stands anywhere in the trace.
    since, until
        When it started: a time (without a zone: UTC), an ISO text, or a ``timedelta`` before now.
    filter
        A filter in MLflow's own language, on top.
    limit
        How many traces at most; `TraceSet.truncated` tells whether there were more.

    Returns
    -------
    TraceSet
        The traces.

    Raises
    ------
    OptionError
        If a value is not allowed; the message says what is.
    ConnectionError
        If the tracking server does not answer.

    Examples
    --------
    >>> search(arch="planner-executor", status="error").spans()  # doctest: +SKIP
    """
    if limit < 1:
        msg = f"limit={limit!r} is not allowed; it must be a whole number from 1"
        raise config.OptionError(msg)
    query = reader.Query(
        experiment=experiment,
        arch=arch,
        case=None if case is None else config.check_text("case", case),
        tags={} if tags is None else config.check_tags(tags),
        agent=agent,
        session=session,
        status=status,
        text=text,
        since=_moment("since", since),
        until=_moment("until", until),
        filter=filter,
        limit=limit,
    )
    found = reader.read(_uri(), query)
    return TraceSet(found.traces, truncated=found.truncated)


def stored(trace_ids: Iterable[str]) -> TraceSet:
    """Return traces by their ids: those that are in MLflow.

    Raises
    ------
    ConnectionError
        If the tracking server does not answer.
    """
    wanted = list(trace_ids)
    if not wanted:
        return TraceSet([])
    found = reader.read_known(_uri(), wanted)
    return TraceSet(found.traces, success=found.success)


def _uri() -> str:
    return target.tracking_uri(Path.cwd(), config.current().tracking_uri)


def _moment(name: str, value: Moment | None) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        return datetime.now(UTC) - value
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        msg = f"{name}={value!r} is not allowed; it must be a time such as '2026-01-31T09:00', or a timedelta"
        raise config.OptionError(msg) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
