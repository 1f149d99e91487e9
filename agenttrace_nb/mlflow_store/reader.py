"""MLflow to traces: found by tag, session, status, time or text, also those that plain MLflow wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import traces
from agenttrace_nb.mlflow_store.found import FoundTraces
from agenttrace_nb.mlflow_store.listing import LONG_PAGE, PAGE, RUNNING, Query, pages
from agenttrace_nb.mlflow_store.success import success_of
from agenttrace_nb.mlflow_store.target import refusal, shown, silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient
    from mlflow.entities import TraceInfo

    from agenttrace_nb.spans import Trace

__all__ = [
    "Found", "Head", "Known", "NotFoundError", "Query", "experiment_id", "heads", "read", "read_known", "read_one",
]  # fmt: skip
_TRACE_ID = re.compile(r"\A(?:tr-)?([0-9a-f]{32})\Z")


class NotFoundError(LookupError):
    """There is no such trace or run."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    traces
        The traces, newest first, restored when they are looked at. One that is not complete says so in
        `Trace.problem`.
    truncated
        Whether there were more than were asked for.
    """

    traces: FoundTraces
    truncated: bool = False

    @property
    def success(self) -> dict[str, bool | None]:
        """What was said of the runs that they belong to, by run id; ``None`` where nothing was."""
        return self.traces.success()


@dataclass(frozen=True, slots=True)
class Known:
    """Traces that were asked for by their ids, and what was said of their runs, by run id."""

    traces: list[Trace]
    success: dict[str, bool | None]


def read(uri: str, query: Query) -> Found:
    """Return the traces of a tracking store that match. They are restored when they are looked at.

    Raises
    ------
    OptionError
        If the experiment does not exist, a status is unknown, or MLflow refuses the filter.
    ConnectionError
        If the tracking server does not answer.
    """
    client = _client(uri)
    experiments = _experiments(client, query.experiment)
    found = FoundTraces(uri)
    size = PAGE if query.agent or query.status or query.text else min(LONG_PAGE, query.limit + 1)
    for listed in pages(client, experiments, query, size):
        page = FoundTraces(uri, listed)
        found.add(page, _matching(page, query))
        if len(found) > query.limit:
            break
    kept = FoundTraces(uri)
    kept.add(found, range(min(len(found), query.limit)))
    return Found(kept, len(found) > query.limit)


@dataclass(frozen=True, slots=True)
class Head:
    """A trace as MLflow lists it. ``running`` is what MLflow calls in progress."""

    trace_id: str
    start_ms: int
    running: bool


def heads(uri: str, query: Query) -> Iterator[list[Head]]:
    """Return the traces that match, without their spans, page by page, newest first. The limit does not count.

    Raises
    ------
    OptionError, ConnectionError
        As `read`.
    """
    client = _client(uri)
    for page in pages(client, _experiments(client, query.experiment), query):
        yield [Head(names.own_trace_id(one.trace_id), one.start_ms, one.state == RUNNING) for one in page]


def read_known(uri: str, trace_ids: list[str]) -> Known:
    """Return traces by their ids, those that exist, and what was said of their runs.

    Raises
    ------
    OptionError, ConnectionError
        As `read`.
    """
    _client(uri)
    found = traces.by_id(uri, [names.mlflow_trace_id(trace_id) for trace_id in trace_ids])
    return Known(found, success_of(uri, sorted({trace.run_id for trace in found if trace.run_id is not None})))


def experiment_id(uri: str, name: str) -> str:
    """Return the id of an experiment.

    Raises
    ------
    OptionError, ConnectionError
        As `read`.
    """
    return _experiments(_client(uri), name)[0]


def read_one(uri: str, name: str) -> Trace:
    """Return a trace by its id, or by the id of a run that has exactly one.

    Raises
    ------
    NotFoundError
        If there is none, or the run has several.
    ConnectionError
        If the tracking server does not answer.
    """
    from agenttrace_nb.mlflow_store import adapter

    client = _client(uri)
    match = _TRACE_ID.match(name)
    found = traces.by_id(uri, [names.mlflow_trace_id(match[1])]) if match else []
    if found:
        return found[0]
    infos = _of_run(client, name)
    if not infos:
        msg = f"there is no trace and no run {name!r} in {shown(uri)}; at.search() lists what there is"
        raise NotFoundError(msg)
    if len(infos) > 1:
        ids = ", ".join(info.trace_id for info in infos[:5])
        msg = f"run {name} has {len(infos)} traces; load one of them: {ids}{', ...' if len(infos) > 5 else ''}"  # noqa: PLR2004
        raise NotFoundError(msg)
    return traces.of_heads(uri, [adapter.to_head(infos[0])])[0]


def _client(uri: str) -> MlflowClient:
    if reason := refusal(uri):
        raise OptionError(reason)
    if reason := silence(uri):
        raise ConnectionError(reason)
    from mlflow import MlflowClient

    return MlflowClient(uri)


def _experiments(client: MlflowClient, name: str | None) -> list[str]:
    known = {e.name: e.experiment_id for e in client.search_experiments()}
    if name is None:
        return list(known.values())
    if name.startswith("id:"):
        return [name[3:]]
    if name not in known:
        hint = did_you_mean(name, known)
        msg = (
            f"experiment={name!r} does not exist in {shown(client.tracking_uri)}; there are: {', '.join(known)}.{hint}"
        )
        raise OptionError(msg)
    return [known[name]]


def _of_run(client: MlflowClient, run_id: str) -> list[TraceInfo]:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:
        return []
    found = client.search_traces(locations=[run.info.experiment_id], run_id=run_id, include_spans=False)
    return [trace.info for trace in found]


def _matching(page: FoundTraces, query: Query) -> list[int]:
    """Return the places of the traces that match in what MLflow cannot search for."""
    if query.agent is None and query.status is None and query.text is None:
        return list(range(len(page)))
    columns = page.columns()
    agents = columns.of["agent"]
    fitting = [
        at
        for at, (trace, spans) in enumerate(columns.each())
        if (query.agent is None or query.agent in agents[spans])
        and (query.status is None or trace.status.value == query.status)
    ]
    return [at for at in fitting if query.text is None or _says(page[at], query.text)]


def _says(trace: Trace, text: str) -> bool:
    wanted = text.casefold()
    said = (part for s in trace.spans for part in (s.name, s.input, s.output, s.error, s.attributes))
    return wanted in trace.name.casefold() or any(wanted in str(part).casefold() for part in said)
