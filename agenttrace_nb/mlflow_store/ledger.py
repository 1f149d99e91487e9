"""What of a journal has reached MLflow: notes about its runs and traces that outlive the process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import Event, EventKind
from agenttrace_nb.mlflow_store.runs import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.journal.follow import Follower
    from agenttrace_nb.spans import CellRun, Span

RUNS_REMEMBERED = 500


@dataclass(slots=True)
class RunNote:
    """How far a cell run has been delivered.

    Attributes
    ----------
    run
        The run; ``None`` if its start lies before what this process has read.
    data
        What the user said of it and MLflow does not know yet.
    closed
        Whether MLflow has its end.
    parked
        Why it is not delivered any more, if it is not.
    joined
        Whether it is the run of another process, which forked this one, and makes and ends it.
    missed_since
        Since when the run that was joined has been looked for.
    """

    key: str
    start_seq: int
    uri: str
    cwd: str | None
    progress: Progress
    run: CellRun | None = None
    run_id: str | None = None
    experiment_id: str | None = None
    ended: bool = False
    closed: bool = False
    parked: str | None = None
    data: list[Event] = field(default_factory=list)
    data_seq: int = 0
    points_at: float = 0.0
    must_search: bool = False
    joined: bool = False
    missed_since: float | None = None
    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something of it is still to come or to be sent."""
        return self.parked is None and (not self.closed or bool(self.data))


@dataclass(slots=True)
class TraceNote:
    """How far a trace has been delivered.

    Attributes
    ----------
    continues
        Whether MLflow has an earlier part of it and this process has not (any more).
    started
        The spans of the later part that began in it.
    """

    trace_id: str
    first_seq: int
    last_seq: int
    keys: list[str] = field(default_factory=list)
    ended: bool = False
    delivered_seq: int | None = None
    continues: bool = False
    parked: bool = False
    reason: str | None = None
    failures: int = 0
    started: set[str] = field(default_factory=set)
    ready_at: float = 0.0

    @property
    def is_due(self) -> bool:
        """Whether MLflow does not have it as it is now."""
        return self.ended and not self.parked and (self.delivered_seq is None or self.delivered_seq < self.last_seq)


class Ledger:
    """The notes of one follower; they are saved with its cursor.

    Parameters
    ----------
    follower
        Where the notes are saved.
    price_of
        Gives what a span cost, in USD.
    retry_parked
        Whether what was parked is tried again.
    elsewhere
        Tracking URI for runs that MLflow does not have yet, instead of the one that they were recorded for.
    """

    def __init__(
        self,
        follower: Follower,
        price_of: Callable[[Span], float | None],
        *,
        retry_parked: bool,
        elsewhere: str | None = None,
    ) -> None:
        self._follower = follower
        self._price_of = price_of
        self._elsewhere = elsewhere
        self.runs: dict[str, RunNote] = {}
        self.traces: dict[str, TraceNote] = {}
        state = follower.state
        self._parked: dict[str, dict[str, Any]] = dict(state.get("parked", {}))
        self._delivered: dict[str, int] = dict(state.get("traces", {}))
        self.attempted_seq = int(state.get("attempted", 0))
        self.position = follower.cursor
        if retry_parked and self._parked:
            self.position = min([self.position, *(p["seq"] - 1 for p in self._parked.values())])
            self._parked = {}
        for key, known in state.get("runs", {}).items():
            self.runs[key] = RunNote(
                key=key, start_seq=known["seq"], uri=known["uri"], cwd=known["cwd"], run_id=known["run_id"],
                experiment_id=known["experiment_id"], ended=True, closed=known["closed"], data_seq=known["data"],
                progress=Progress(0, price_of),
            )  # fmt: skip

    # -- events -------------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Note an event."""
        self.position = max(self.position, event.seq)
        if event.kind is EventKind.RUN_START:
            self._take_run(event)
        elif event.kind is EventKind.RUN_DATA and event.run_key in self.runs:
            if event.seq > self.runs[event.run_key].data_seq:
                self.runs[event.run_key].data.append(event)
        elif event.kind is EventKind.RUN_END and event.run_key in self.runs:
            self.runs[event.run_key].ended = True
        elif event.trace_id is not None:
            self._take_trace(event, event.trace_id)

    def _take_run(self, event: Event) -> None:
        key, body = str(event.run_key), event.body
        note = RunNote(
            key=key, start_seq=event.seq, uri=body.get("tracking_uri") or "", cwd=body.get("cwd"),
            progress=Progress(event.time_ns, self._price_of), parked=self._parked.get(key, {}).get("reason"),
            must_search=event.seq <= self.attempted_seq, joined=bool(body.get("joined")),
        )  # fmt: skip
        if (known := self.runs.get(key)) is not None:
            note.run_id, note.experiment_id = known.run_id, known.experiment_id
            note.closed, note.data_seq = known.closed, known.data_seq
        if note.run_id is None and self._elsewhere is not None:
            note.uri = self._elsewhere
        self.runs[key] = note

    def _take_trace(self, event: Event, trace_id: str) -> None:
        note = self.traces.get(trace_id)
        if note is None:
            note = self.traces[trace_id] = TraceNote(trace_id, event.seq, event.seq)
            note.delivered_seq = self._delivered.get(trace_id)
            note.reason = self._parked.get(trace_id, {}).get("reason")
            note.parked = note.reason is not None
            note.continues = event.kind is not EventKind.TRACE_START or bool(event.body.get("resumed"))
        note.last_seq = event.seq
        if event.run_key is not None and event.run_key not in note.keys:
            note.keys.append(event.run_key)
        if event.kind is EventKind.TRACE_START:
            note.ended = False
        elif event.kind is EventKind.TRACE_END:
            note.ended = True
        elif event.kind is EventKind.SPAN_START and note.continues and event.span_id is not None:
            note.started.add(event.span_id)
        if note.ended and not note.ready_at:
            note.ready_at = time.monotonic()

    def due_traces(self) -> list[TraceNote]:
        """Return the traces that MLflow does not have as they are now and that can be sent, oldest first."""
        return [note for note in self.traces.values() if note.is_due and self.owner(note) is not None]

    def owner(self, note: TraceNote) -> RunNote | None:
        """Return the run that a trace is stored with: the first of its runs that is delivered."""
        runs = [self.runs[key] for key in note.keys if key in self.runs]
        return next((run for run in runs if run.parked is None), None)

    def delivered(self, note: TraceNote) -> None:
        """Note that MLflow has a trace as it is now, so that it need not be kept here."""
        note.delivered_seq = note.last_seq
        note.continues = True
        note.started.clear()

    def traces_of(self, key: str) -> list[TraceNote]:
        """Return the traces of a run."""
        return [note for note in self.traces.values() if key in note.keys]

    # -- saving -------------------------------------------------------------------------------------------------

    def park(self, note: RunNote, reason: str) -> None:
        """Do not deliver a run any more; it stays in the journal."""
        note.parked = reason
        self._parked[note.key] = {"seq": note.start_seq, "reason": reason}

    def park_trace(self, note: TraceNote, reason: str) -> None:
        """Do not deliver a trace any more; it stays in the journal."""
        owner = self.owner(note)
        note.parked, note.reason = True, reason
        seq = min(note.first_seq, owner.start_seq if owner else note.first_seq)
        self._parked[note.trace_id] = {"seq": seq, "reason": reason}

    def has_parked(self) -> bool:
        """Tell whether anything of this journal is not delivered any more."""
        return bool(self._parked)

    def save(self) -> None:
        """Save what is delivered. The cursor passes nothing that is not, except what is parked."""
        keep = [n.start_seq for n in self.runs.values() if n.parked is None and not n.closed and n.run is not None]
        keep += [n.data[0].seq for n in self.runs.values() if n.parked is None and n.data]
        keep += [n.first_seq for n in self.traces.values() if (n.is_due or not n.ended) and self.owner(n) is not None]
        cursor = min(keep) - 1 if keep else self.position
        for trace_id in [t for t, n in self.traces.items() if n.last_seq <= cursor]:
            del self.traces[trace_id]
        noted = [note for note in self.runs.values() if note.run_id is not None][-RUNS_REMEMBERED:]
        state = {
            "runs": {
                n.key: {
                    "seq": n.start_seq, "run_id": n.run_id, "experiment_id": n.experiment_id, "uri": n.uri,
                    "cwd": n.cwd, "closed": n.closed, "data": n.data_seq,
                }
                for n in noted
            },
            "traces": {t: n.delivered_seq for t, n in self.traces.items() if n.delivered_seq is not None},
            "parked": self._parked,
            "attempted": self.attempted_seq,
        }  # fmt: skip
        if cursor != self._follower.cursor or state != self._follower.state:
            self._follower.state = state
            self._follower.save(cursor)
