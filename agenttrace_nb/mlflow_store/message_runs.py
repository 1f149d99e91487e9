"""The follower that writes one nested MLflow run for each agent message, after its trace.

An agent message is one LLM call of an agent: what it was asked, what it answered, and the calls that followed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.follow import Follower
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.content import last_text
from agenttrace_nb.mlflow_store.limits import tags
from agenttrace_nb.mlflow_store.records import MetricPoint
from agenttrace_nb.mlflow_store.runs import MS_IN_NS, RUN_STATUS
from agenttrace_nb.mlflow_store.store import StoreRefusedError, StoreUnavailableError
from agenttrace_nb.spans import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.journal.events import Event
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.spans import Message, Span, Trace

NAME = "message-runs"
FILE = "message.json"
TRACE_ID = "agenttrace.trace_id"
EVENTS_PER_READ = 2000
_log = logging.getLogger("agenttrace_nb.mlflow")


@dataclass(frozen=True, slots=True)
class Home:
    """The MLflow run that a trace's message runs are nested under."""

    uri: str
    cwd: str | None
    experiment_id: str
    run_id: str


class Traces(Protocol):
    """What message runs must know of the writing of traces."""

    def home(self, trace_id: str, key: str, seq: int) -> Home | None:
        """Return a cell run's place in MLflow, once the trace as of ``seq`` is there; ``None`` before."""

    def is_parked(self, key: str) -> bool:
        """Tell whether a cell run is not delivered any more."""

    def let_pass(self) -> None:
        """Wait while there are traces to be written: they come first."""


@dataclass(slots=True)
class _Waiting:
    """A trace that is not done with; ``skipped`` while only runs without message runs have had to do with it."""

    first_seq: int
    last_seq: int
    ended: bool = False
    continues: bool = False
    skipped: bool = False
    keys: set[str] = field(default_factory=set)
    spoken_in: dict[str, str] = field(default_factory=dict)


class MessageRunWriter:
    """Writes the message runs of one journal.

    Parameters
    ----------
    path
        The journal.
    stores
        Where stores come from.
    traces
        The writer of the traces.
    tell
        Takes messages for the kernel.

    Raises
    ------
    FollowerBusyError
        If another process writes them.
    """

    def __init__(self, path: Path, stores: Stores, traces: Traces, tell: Callable[[dict[str, Any]], None]) -> None:
        self._follower = Follower(path, NAME)
        self._fold = Fold(self._follower.item)
        self._stores = stores
        self._traces = traces
        self._tell = tell
        self._position = self._follower.cursor
        self._waiting: dict[str, _Waiting] = {}
        state = self._follower.state
        self._wanted: dict[str, bool] = dict(state.get("wanted", {}))
        self._done: dict[str, int] = dict(state.get("done", {}))
        self._begun: set[str] = set(state.get("begun", []))
        self._lock = threading.Lock()

    def step(self) -> bool:
        """Read what is new, write what can be written; return whether either happened."""
        events = self._follower.read(EVENTS_PER_READ, after=self._position)
        with self._lock:
            for event in events:
                self._take(event)
            due = {t: w for t, w in self._waiting.items() if w.ended}
        ready = {t: homes for t, w in due.items() if (homes := self._homes(t, w)) is not None}
        search = {t for t in ready if t in self._begun or due[t].continues}
        # Noted before the first one is made, so that after a crash those that exist are looked for.
        self._begun |= {t for t, homes in ready.items() if homes}
        if events or ready:
            self._save()
        wrote = [t for t, homes in ready.items() if self._write_trace(t, homes, search=t in search)]
        if wrote:
            self._save()
        return bool(events or wrote)

    def is_done(self) -> bool:
        """Tell whether everything that was read has been dealt with."""
        with self._lock:
            return not any(w.ended and not self._is_parked(w) for w in self._waiting.values())

    def is_at_end(self) -> bool:
        """Tell whether the journal was read to its end."""
        return self._position >= self._follower.last_seq()

    def settled(self, key: str, seq: int) -> bool:
        """Tell whether the message runs of a cell run are written as far as the journal went to ``seq``."""
        with self._lock:
            return self._position >= seq and not any(w.ended and key in w.keys for w in self._waiting.values())

    def close(self) -> None:
        """Give the journal up."""
        self._follower.close()

    # -- reading ------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self._position = max(self._position, event.seq)
        key, trace_id = str(event.run_key), event.trace_id
        if event.kind is EventKind.RUN_START:
            self._wanted[key] = bool(event.body.get("message_runs", True))
        if trace_id is None or event.run_key is None or event.seq <= self._done.get(trace_id, 0):
            return
        waiting, is_wanted = self._waiting.get(trace_id), self._wanted.get(key, True)
        if is_wanted and waiting is not None and waiting.skipped:
            self._catch_up(trace_id, waiting, event.seq)
        if is_wanted or (waiting is not None and not waiting.skipped):
            try:
                self._fold.apply(event)
            except Exception:  # the writer of traces tells the user
                _log.exception("event %s", event.seq)
                return
        if waiting is None:
            waiting = self._waiting[trace_id] = _Waiting(event.seq, event.seq, skipped=not is_wanted)
            waiting.continues = event.kind is not EventKind.TRACE_START or bool(event.body.get("resumed"))
            waiting.ended = event.kind in (EventKind.SPAN_END, EventKind.SPAN_UPDATE)
        waiting.last_seq = event.seq
        waiting.keys.add(key)
        if event.kind is EventKind.SPAN_START and event.span_id is not None:
            waiting.spoken_in[event.span_id] = key
        elif event.kind in (EventKind.TRACE_START, EventKind.TRACE_END):
            waiting.ended = event.kind is EventKind.TRACE_END

    def _catch_up(self, trace_id: str, waiting: _Waiting, seq: int) -> None:
        """Take in what was passed over: a trace that began in a run without message runs goes on in one with them."""
        for event in self._follower.read(seq - waiting.first_seq, after=waiting.first_seq - 1):
            if event.trace_id == trace_id:
                with contextlib.suppress(ValueError):
                    self._fold.apply(event)
        waiting.skipped = False

    def _save(self) -> None:
        with self._lock:
            open_ = [w.first_seq for w in self._waiting.values()]
            cursor = min(open_) - 1 if open_ else self._position
            self._done = {t: seq for t, seq in self._done.items() if seq > cursor}
            self._begun &= self._waiting.keys()
            self._follower.state = {"wanted": self._wanted, "done": self._done, "begun": sorted(self._begun)}
        self._follower.save(cursor)

    def _is_parked(self, waiting: _Waiting) -> bool:
        return any(self._traces.is_parked(key) for key in waiting.keys)

    def _homes(self, trace_id: str, waiting: _Waiting) -> dict[str, Home] | None:
        """Return where the messages of a trace go, by cell run; ``None`` while that is not known."""
        homes = {}
        for key in waiting.keys:
            if not self._wanted.get(key, True):
                continue
            home = self._traces.home(trace_id, key, waiting.last_seq)
            if home is None:
                return None
            homes[key] = home
        return homes

    # -- writing ------------------------------------------------------------------------------------------------

    def _write_trace(self, trace_id: str, homes: dict[str, Home], *, search: bool) -> bool:
        uri = next(iter(homes.values())).uri if homes else ""
        try:
            self._write(trace_id, homes, search=search)
        except StoreUnavailableError as error:
            self._stores.failed(uri, error)
            return False
        except StoreRefusedError as error:
            self._tell({"problem": f"The message runs of a trace were not written. {error}"})
        except Exception as error:
            _log.exception("message runs of %s", trace_id)
            self._tell({"problem": f"The message runs of a trace were not written ({type(error).__name__}: {error})."})
        with self._lock:
            self._done[trace_id] = self._waiting.pop(trace_id).last_seq
            self._fold.forget(trace_id)
        return True

    def _write(self, trace_id: str, homes: dict[str, Home], *, search: bool) -> None:
        trace = self._fold.traces.get(trace_id)
        spoken_in = self._waiting[trace_id].spoken_in
        messages = [m for m in trace.messages if m.span.span_id in spoken_in] if trace is not None else []
        there: dict[str, tuple[str, str]] = {}
        if search and messages:
            for home in {home.experiment_id: home for home in homes.values()}.values():
                store = self._stores.get(home.uri, home.cwd)
                there |= store.find_runs(home.experiment_id, TRACE_ID, names.mlflow_trace_id(trace_id))
        # Of a trace that goes on, the first messages are there already: the count goes on too.
        earlier = len(there.keys() - {key_of(message) for message in messages})
        for message in messages:
            told = replace(message, index=message.index + earlier)
            home_here = homes.get(spoken_in[message.span.span_id])
            if trace is not None and home_here is not None:
                self._traces.let_pass()
                self._write_one(trace, told, home_here, there.get(key_of(message)))

    def _write_one(self, trace: Trace, message: Message, home: Home, there: tuple[str, str] | None) -> None:
        store = self._stores.get(home.uri, home.cwd)
        run_id, status = there or (None, "")
        if status in RUN_STATUS.values():
            return
        span = message.span
        if run_id is None:
            run_id = store.create_run(
                home.experiment_id,
                message_name(message),
                span.start_ns // MS_IN_NS,
                message_tags(trace, message, home.run_id),
            )
        store.log(run_id, message_metrics(message))
        store.log_text(run_id, message_text(trace, message), FILE)
        store.finish_run(run_id, RUN_STATUS.get(span.status, "KILLED"), (span.end_ns or span.start_ns) // MS_IN_NS)
        self._stores.worked(home.uri)


# ------------------------------------------------------------------------------------------------- what one holds


def key_of(message: Message) -> str:
    """Return the key that a message's run is found by."""
    return f"{message.span.trace_id}/{message.span.span_id}"


def message_name(message: Message) -> str:
    """Return the name of a message's run.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> message_name(Trace.from_messages([{"role": "assistant", "content": "hi"}]).messages[0])
    '000 assistant'
    """
    return f"{message.index:03d} {message.agent}"[:250]


def message_tags(trace: Trace, message: Message, parent_run_id: str) -> dict[str, str]:
    """Return the tags of a message's run."""
    span = message.span
    return tags(
        {
            "agent": span.agent,
            "role": _role(trace, span),
            "index": message.index,
            "timestamp": _moment(span.start_ns),
            "model": span.model,
            TRACE_ID: names.mlflow_trace_id(span.trace_id),
            "agenttrace.span_id": span.span_id,
            names.KEY: key_of(message),
            names.TRACE_STATUS: span.status.value,
            names.PARENT_RUN_ID: parent_run_id,
        }
    )


def message_metrics(message: Message) -> list[MetricPoint]:
    """Return the metrics of a message's run; what is not known is left out."""
    span = message.span
    values = {
        "latency_s": span.duration_s,
        "ttft_s": span.ttft_s,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cached_tokens": span.cached_tokens,
        "tool_calls": len(message.calls),
    }
    time_ms = (span.end_ns or span.start_ns) // MS_IN_NS
    return [MetricPoint(key, float(value), time_ms) for key, value in values.items() if value is not None]


def message_text(trace: Trace, message: Message) -> str:
    """Return the file of a message: prompt, answer, and the calls that followed with all that happened below them.

    Parameters
    ----------
    trace
        The trace that the message is part of.
    message
        The message.

    Returns
    -------
    str
        JSON. ``arguments`` and ``result`` are exactly what was passed and what came back.
    """
    span = message.span
    below: dict[str | None, list[Span]] = {}
    for other in trace.spans:
        below.setdefault(other.parent_id, []).append(other)
    told = {
        "index": message.index,
        "agent": span.agent,
        "role": _role(trace, span),
        "model": span.model,
        "status": span.status.value,
        "error": str(span.error) if span.error else None,
        "started_at": _moment(span.start_ns),
        "ended_at": None if span.end_ns is None else _moment(span.end_ns),
        "prompt": span.input,
        "answer": span.output,
        "answer_text": last_text(span.output, "assistant"),
        "calls": [_step(call, below) for call in message.calls],
    }
    try:
        text = json.dumps(told, ensure_ascii=False, indent=1, default=str)
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(told, indent=1, default=str)
    return text


def _step(span: Span, below: dict[str | None, list[Span]]) -> dict[str, Any]:
    return {
        "kind": span.kind.value,
        "name": span.name,
        "agent": span.agent,
        "arguments": span.input,
        "result": span.output,
        "status": span.status.value,
        "error": str(span.error) if span.error else None,
        "started_at": _moment(span.start_ns),
        "ended_at": None if span.end_ns is None else _moment(span.end_ns),
        "duration_s": span.duration_s,
        "span_id": span.span_id,
        "steps": [_step(child, below) for child in below.get(span.span_id, [])],
    }


def _role(trace: Trace, span: Span) -> str | None:
    agent = trace.agents.get(span.agent or "")
    return span.role or (agent.role if agent is not None else None)


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns / NS_PER_S, UTC).isoformat()
