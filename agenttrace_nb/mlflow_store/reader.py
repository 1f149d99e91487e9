"""MLflow to traces: found by tag, session, status, time or text, also those that plain MLflow wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.target import refusal, shown, silence
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from mlflow import MlflowClient
    from mlflow.entities import TraceInfo

_PAGE = 500
_BATCH = 100
_STATES = {"ok": "OK", "error": "ERROR", "cancelled": "ERROR", "interrupted": "ERROR", "running": "IN_PROGRESS"}
_TRACE_ID = re.compile(r"\A(?:tr-)?([0-9a-f]{32})\Z")
_MS_PER_S = 1000
_AS_STORED = re.compile(r"[\w .,:;?@/+-]+", re.ASCII)


class NotFoundError(LookupError):
    """There is no such trace or run."""


@dataclass(slots=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    traces
        The traces, newest first. One that is not complete says so in `Trace.problem`.
    success
        What was said of the runs that they belong to, by run id; ``None`` where nothing was.
    truncated
        Whether there were more than were asked for.
    """

    traces: list[Trace] = field(default_factory=list)
    success: dict[str, bool | None] = field(default_factory=dict)
    truncated: bool = False


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


def read(uri: str, query: Query) -> Found:
    """Return the traces of a tracking store that match.

    Raises
    ------
    OptionError
        If the experiment does not exist, a status is unknown, or MLflow refuses the filter.
    ConnectionError
        If the tracking server does not answer.
    """
    client = _client(uri)
    experiments = _experiments(client, query.experiment)
    found = Found()
    kept: list[Trace] = []
    for infos in _pages(client, experiments, _filter(query)):
        kept += [trace for trace in _traces(uri, infos) if _matches(trace, query)]
        if len(kept) > query.limit:
            break
    found.traces, found.truncated = kept[: query.limit], len(kept) > query.limit
    found.success = _success(client, found.traces)
    return found


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
    for infos in _pages(client, _experiments(client, query.experiment), _filter(query)):
        running = [info.state.value == _STATES["running"] for info in infos]
        yield [
            Head(names.own_trace_id(info.trace_id), info.request_time, now)
            for info, now in zip(infos, running, strict=True)
        ]


def read_known(uri: str, trace_ids: list[str]) -> Found:
    """Return traces by their ids, those that exist, and what was said of their runs.

    Raises
    ------
    OptionError, ConnectionError
        As `read`.
    """
    client = _client(uri)
    traces = _traces_by_id(uri, [names.mlflow_trace_id(trace_id) for trace_id in trace_ids])
    return Found(traces, _success(client, traces))


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
    client = _client(uri)
    match = _TRACE_ID.match(name)
    traces = _traces_by_id(uri, [names.mlflow_trace_id(match[1])]) if match else []
    if traces:
        return traces[0]
    infos = _of_run(client, name)
    if not infos:
        msg = f"there is no trace and no run {name!r} in {shown(uri)}; at.search() lists what there is"
        raise NotFoundError(msg)
    if len(infos) > 1:
        ids = ", ".join(info.trace_id for info in infos[:5])
        msg = f"run {name} has {len(infos)} traces; load one of them: {ids}{', ...' if len(infos) > 5 else ''}"  # noqa: PLR2004
        raise NotFoundError(msg)
    return next(_traces(uri, infos))


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


def _filter(query: Query) -> str | None:
    labels = {**query.tags, "arch": query.arch, "case": query.case}
    parts = [f"tag.`{_quoted_name(name)}` = {_quoted(value)}" for name, value in labels.items() if value is not None]
    if query.session is not None:
        parts.append(f"metadata.`{names.TRACE_SESSION}` = {_quoted(query.session)}")
    if query.status is not None:
        parts.append(f"trace.status = '{_state(query.status)}'")
    # MLflow keeps texts as JSON inside JSON: it looks for a part that stands there as it is, `_matches` for all of it.
    parts += [f"trace.text ILIKE '%{p}%'" for t in (query.agent, query.text) if (p := _longest_as_stored(t))]
    for sign, moment in ((">=", query.since), ("<", query.until)):
        if moment is not None:
            parts.append(f"trace.timestamp_ms {sign} {int(moment.timestamp() * _MS_PER_S)}")
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


def _pages(client: MlflowClient, experiments: list[str], wanted: str | None) -> Iterator[list[TraceInfo]]:
    from mlflow.exceptions import MlflowException

    token = None
    while experiments:
        try:
            page = client.search_traces(
                locations=experiments,
                filter_string=wanted,
                max_results=_PAGE,
                order_by=["timestamp_ms DESC"],
                page_token=token,
                include_spans=False,
            )
        except MlflowException as error:
            msg = f"MLflow refuses this search ({wanted}): {error.message}"
            raise OptionError(msg) from error
        yield [trace.info for trace in page]
        token = page.token
        if not token:
            return


def _of_run(client: MlflowClient, run_id: str) -> list[TraceInfo]:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:
        return []
    found = client.search_traces(locations=[run.info.experiment_id], run_id=run_id, include_spans=False)
    return [trace.info for trace in found]


def _traces(uri: str, infos: list[TraceInfo]) -> Iterator[Trace]:
    for start in range(0, len(infos), _BATCH):
        ids = [info.trace_id for info in infos[start : start + _BATCH]]
        read = {trace.trace_id: trace for trace in _traces_by_id(uri, ids)}
        for trace_id in ids:
            own = names.own_trace_id(trace_id)
            gone = "MLflow lists it and does not give it out: it was deleted, or its spans were"
            yield read.get(own) or Trace(trace_id=own, name=trace_id, start_ns=0, problem=gone)


def _traces_by_id(uri: str, ids: list[str]) -> list[Trace]:
    """Return those of the traces that exist."""
    from mlflow.exceptions import MlflowException

    from agenttrace_nb.mlflow_store import adapter

    whole = adapter.read_traces(uri, ids)
    traces = []
    for trace_id in ids:
        # MLflow leaves incomplete traces out without a word; here they are read as far as they are stored.
        stored: Any = whole.get(trace_id)
        if stored is None:
            try:
                stored = adapter.read_partial(uri, trace_id)
            except MlflowException:
                continue
        traces.append(_restored(stored, trace_id))
        traces[-1].tracking_uri = shown(uri)
    return traces


def _restored(stored: Any, trace_id: str) -> Trace:
    from agenttrace_nb.mlflow_store import adapter
    from agenttrace_nb.mlflow_store.restore import to_trace

    try:
        return to_trace(adapter.to_head(stored.info), adapter.to_records(stored))
    except Exception as error:
        why = f"what is stored of it cannot be understood ({type(error).__name__}: {error})"
        return Trace(trace_id=names.own_trace_id(trace_id), name=trace_id, start_ns=0, problem=why)


def _matches(trace: Trace, query: Query) -> bool:
    if query.agent is not None and not any(span.agent == query.agent for span in trace.spans):
        return False
    if query.text is not None and not _says(trace, query.text):
        return False
    return query.status is None or trace.status.value == query.status


def _says(trace: Trace, text: str) -> bool:
    wanted = text.casefold()
    said = (part for s in trace.spans for part in (s.name, s.input, s.output, s.error, s.attributes))
    return wanted in trace.name.casefold() or any(wanted in str(part).casefold() for part in said)


def _success(client: MlflowClient, traces: list[Trace]) -> dict[str, bool | None]:
    said: dict[str, bool | None] = dict.fromkeys(sorted({t.run_id for t in traces if t.run_id is not None}))
    places = [e.experiment_id for e in client.search_experiments()]
    wanted = list(said)
    for start in range(0, len(wanted), _BATCH):
        listed = ", ".join(f"'{run_id}'" for run_id in wanted[start : start + _BATCH])
        for run in client.search_runs(places, f"attributes.run_id IN ({listed})", max_results=_BATCH):
            said[run.info.run_id] = {"true": True, "false": False}.get(str(run.data.tags.get(names.SUCCESS)))
    return said
