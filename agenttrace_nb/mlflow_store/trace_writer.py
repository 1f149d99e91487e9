"""The follower that writes a journal's runs and traces to MLflow.

It reads what is there, writes many traces at once, and notes what has arrived. Killed at any point and started again it
goes on where it was: spans replace themselves by their ids, runs are found again by their key.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.follow import Follower, checkpoint
from agenttrace_nb.journal.sealing import Seal
from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.ledger import Ledger
from agenttrace_nb.mlflow_store.mapping import to_records, usage
from agenttrace_nb.mlflow_store.merge import continued, totals
from agenttrace_nb.mlflow_store.message_runs import Home
from agenttrace_nb.mlflow_store.run_writer import TRIES_OF_THE_UNEXPECTED, RunWriter
from agenttrace_nb.mlflow_store.runs import trace_tags
from agenttrace_nb.mlflow_store.store import StoreRefusedError, StoreUnavailableError
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.journal.events import Event
    from agenttrace_nb.mlflow_store.ledger import TraceNote
    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.mlflow_store.store import Store
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.spans import Span, Trace

    Tell = Callable[[dict[str, Any]], None]
    _Mapped = tuple[TraceNote, Trace, list[SpanRecord]]

NAME = "mlflow"
EVENTS_PER_READ = 4000
LINGER_S = 0.5
"""Ended traces wait this long for others while their run goes on: twenty at once cost half of one at a time."""
SPANS_PER_CALL = 1000
BYTES_PER_CALL = 4_000_000
LONGEST_WAIT_S = 2.0
TELL_AFTER_S = 20.0
"""How long a trace may wait for the audit log before the user hears of it."""
_log = logging.getLogger("agenttrace_nb.mlflow")


class TraceWriter:
    """Writes one journal to MLflow.

    Parameters
    ----------
    path
        The journal.
    stores
        Where stores come from.
    tell
        Takes what has been written, for the kernel.
    retry_parked
        Whether runs that could not be delivered for good are tried once more.
    elsewhere
        Tracking URI for runs that MLflow does not have yet, instead of the one that they were recorded for.

    Raises
    ------
    FollowerBusyError
        If another process writes this journal to MLflow.
    """

    def __init__(
        self, path: Path, stores: Stores, tell: Tell, *, retry_parked: bool = False, elsewhere: str | None = None
    ) -> None:
        self._follower = Follower(path, NAME)
        self._fold = Fold(self._follower.item)
        self._stores = stores
        self._tell = tell
        self.ledger = Ledger(self._follower, _price_of, retry_parked=retry_parked, elsewhere=elsewhere)
        self._runs = RunWriter(self.ledger, stores, tell, self._report)
        self._seal = Seal(path)
        self._reported: set[str] = set()
        self._quiet = threading.Event()
        self._sync_again = False

    @property
    def path(self) -> Path:
        """The journal."""
        return self._follower.path

    def step(self, *, hurry: bool = False) -> bool:
        """Read what is new and send what is due.

        Parameters
        ----------
        hurry
            Whether ended traces are sent at once instead of waiting for others.

        Returns
        -------
        bool
            Whether there was anything new to read.
        """
        events = self._follower.read(EVENTS_PER_READ, after=self.ledger.position)
        if events:
            self._quiet.clear()
        for event in events:
            self._take(event)
        ended = any(event.kind is EventKind.TRACE_END for event in events)
        # Once more when all is quiet: what was in the tail is in the database then.
        if ended or (self._sync_again and not events):
            checkpoint(self.path)
            self._sync_again = ended
        self._runs.open_new()
        self._send_traces(hurry=hurry or len(events) == EVENTS_PER_READ)
        self._runs.send_all()
        self.ledger.save()
        if not events:
            self._quiet.set()
        return bool(events)

    def is_done(self) -> bool:
        """Tell whether everything that was read has been dealt with."""
        open_runs = [n for n in self.ledger.runs.values() if n.is_open and n.run is not None and n.ended]
        return not open_runs and not self.ledger.due_traces()

    def is_at_end(self) -> bool:
        """Tell whether the journal was read to its end."""
        return self.ledger.position >= self.last_seq()

    def is_running(self) -> bool:
        """Tell whether a run goes on, or something waits to be sent."""
        return any(n.is_open for n in self.ledger.runs.values() if n.run is not None) or bool(self.ledger.due_traces())

    def held_for_s(self) -> float:
        """Return for how long the audit log has kept all traces that are due, in seconds."""
        return self._seal.held_for_s()

    def last_seq(self) -> int:
        """Return the position of the journal's last event."""
        return self._follower.last_seq()

    def settled(self, key: str, seq: int) -> bool:
        """Tell whether everything known of a run as the journal went to ``seq`` has reached MLflow."""
        note = self.ledger.runs.get(key)
        if note is None or self.ledger.position < seq or note.data or (note.ended and not note.closed):
            return False
        return not any(trace.is_due for trace in self.ledger.traces_of(key))

    def parked_because(self, key: str) -> str | None:
        """Return why a run, or a trace of it, is not delivered any more; ``None`` if it is."""
        note = self.ledger.runs.get(key)
        if note is not None and note.parked is not None:
            return note.parked
        return next((t.reason for t in self.ledger.traces_of(key) if t.parked), None)

    def home(self, trace_id: str, key: str, seq: int) -> Home | None:
        """Return a cell run's place in MLflow, once the trace as of ``seq`` is there; ``None`` before."""
        run, trace = self.ledger.runs.get(key), self.ledger.traces.get(trace_id)
        if run is None or run.run_id is None or run.experiment_id is None or self.ledger.position < seq:
            return None
        if trace is not None and (trace.parked or not trace.ended or trace.is_due):
            return None
        return Home(run.uri, run.cwd, run.experiment_id, run.run_id)

    def is_parked(self, key: str) -> bool:
        """Tell whether a cell run is not delivered any more."""
        run = self.ledger.runs.get(key)
        return run is not None and run.parked is not None

    def let_pass(self) -> None:
        """Wait while there are traces to be written: they come before message runs."""
        self._quiet.wait(LONGEST_WAIT_S)

    def close(self) -> None:
        """Give the journal up."""
        self._follower.close()

    # -- reading ------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        try:
            self._fold.apply(event)
            self.ledger.take(event)
            if event.kind is EventKind.RUN_START:
                self.ledger.runs[str(event.run_key)].run = self._fold.runs[str(event.run_key)]
            elif event.kind in (EventKind.SPAN_END, EventKind.SPAN_UPDATE):
                self._count(event)
        except Exception as error:
            _log.exception("event %s", event.seq)
            self._report(f"Event {event.seq} of the journal cannot be understood ({error}) and was left out.")
            self.ledger.position = max(self.ledger.position, event.seq)

    def _count(self, event: Event) -> None:
        span = self._fold.spans.get((str(event.trace_id), str(event.span_id)))
        run = self.ledger.runs.get(str(event.run_key))
        if span is not None and run is not None and span.end_ns is not None:
            run.progress.take(span)

    # -- traces -------------------------------------------------------------------------------------------------

    def _send_traces(self, *, hurry: bool) -> None:
        groups: dict[tuple[str, str], list[TraceNote]] = {}
        for note in self.ledger.due_traces():
            if not self._seal.covers(note.trace_id, note.last_seq):
                continue
            run = self.ledger.owner(note)
            if run is not None and run.run_id is not None and run.experiment_id is not None:
                groups.setdefault((run.uri, run.experiment_id), []).append(note)
        if self._seal.held_for_s() > TELL_AFTER_S:
            self._report("Traces wait for the audit log, which does not seal them: see `agenttrace-nb audit status`.")
        for (uri, experiment_id), notes in groups.items():
            if not (hurry or self._is_time(notes)):
                continue
            try:
                self._send_group(uri, experiment_id, notes)
            except StoreUnavailableError as error:
                self._stores.failed(uri, error)
            except Exception as error:
                _log.exception("writing traces to %s", uri)
                self._refuse(notes, error)

    def _refuse(self, notes: list[TraceNote], error: Exception) -> None:
        """Give traces up that fail in a way nobody foresaw, after some tries; the others go on."""
        for note in notes:
            note.failures += 1
            if isinstance(error, StoreRefusedError) or note.failures >= TRIES_OF_THE_UNEXPECTED:
                self.ledger.park_trace(note, str(error))
                self._report(f"Trace {note.trace_id} was not written to MLflow: {error} It is kept in the journal.")

    def _is_time(self, notes: list[TraceNote]) -> bool:
        owners = [self.ledger.owner(note) for note in notes]
        if any(run is not None and run.ended for run in owners):
            return True
        return time.monotonic() - min(note.ready_at for note in notes) > LINGER_S

    def _send_group(self, uri: str, experiment_id: str, notes: list[TraceNote]) -> None:
        batch: list[_Mapped] = []
        spans = size = 0
        for note in notes:
            trace = self._trace(uri, note)
            run = self.ledger.owner(note)
            if trace is None or run is None or run.run_id is None:
                continue
            trace.run_id = run.run_id
            marks = trace_tags(run.run) if run.run else {names.RUN_KEY: run.key}
            try:
                records = to_records(trace, run_tags=marks, price_of=adapter.price)
            except Exception as error:
                _log.exception("trace %s", note.trace_id)
                self._refuse([note], StoreRefusedError(f"it cannot be put into MLflow's form ({error})."))
                continue
            batch.append((note, trace, records))
            spans += len(records)
            size += sum(len(text) for record in records for text in record.attributes.values())
            if spans > SPANS_PER_CALL or size > BYTES_PER_CALL:
                self._write(uri, experiment_id, batch)
                batch, spans, size = [], 0, 0
        if batch:
            self._write(uri, experiment_id, batch)

    def _trace(self, uri: str, note: TraceNote) -> Trace | None:
        trace = self._fold.traces.get(note.trace_id)
        if trace is None or not note.continues:
            return trace
        earlier = self._stores.get(uri, None).find_trace(note.trace_id)
        return trace if earlier is None else continued(earlier, trace, note.started)

    def _write(self, uri: str, experiment_id: str, batch: list[_Mapped]) -> None:
        store = self._stores.get(uri, None)
        try:
            store.log_traces(experiment_id, [record for _, _, records in batch for record in records])
        except StoreRefusedError as error:
            if len(batch) > 1:
                for one in batch:
                    self._write(uri, experiment_id, [one])
            else:
                self._refuse([batch[0][0]], error)
            return
        self._stores.worked(uri)
        for note, _, records in batch:
            if note.continues:
                store.correct_trace(experiment_id, records[0], totals(records))
        self._link(store, [note for note, _, _ in batch])
        for note, trace, _ in batch:
            self._arrived(note, trace)
        self._tell({"costs": _costs(batch)})

    def _link(self, store: Store, notes: list[TraceNote]) -> None:
        links: dict[str, list[str]] = {}
        for note in notes:
            for key in note.keys:
                run = self.ledger.runs.get(key)
                if run is not None and run.run_id is not None and run.uri == store.uri:
                    links.setdefault(run.run_id, []).append(note.trace_id)
        for run_id, trace_ids in links.items():
            try:
                store.link(trace_ids, run_id)
            except StoreRefusedError as error:  # the run was deleted: the traces are there all the same
                self._report(str(error))

    def _arrived(self, note: TraceNote, trace: Trace) -> None:
        began = [span.span_id for span in trace.errors]
        self._count_open(note, trace)
        for key in note.keys:
            if key in self.ledger.runs:
                progress = self.ledger.runs[key].progress
                progress.set_errors(trace.trace_id, sum(progress.owns(span_id) for span_id in began))
        self.ledger.delivered(note)
        self._fold.forget(note.trace_id)

    def _count_open(self, note: TraceNote, trace: Trace) -> None:
        """Count steps that were still open when their trace ended, such as a tool whose run was cancelled."""
        of = [self.ledger.runs[key].progress for key in note.keys if key in self.ledger.runs]
        for span in trace.spans if of else ():
            if span.end_ns is None and not any(progress.owns(span.span_id) for progress in of):
                of[-1].take(span)

    def _report(self, text: str) -> None:
        if text not in self._reported:
            self._reported.add(text)
            self._tell({"problem": text})


def _costs(batch: list[_Mapped]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for note, _, records in batch:
        priced = {r.span_id: cost["total_cost"] for r in records if (cost := r.get(names.COST))}
        if priced:
            found[note.trace_id] = priced
    return found


def _price_of(span: Span) -> float | None:
    if span.kind is not SpanKind.LLM or span.model is None:
        return None
    counts = usage(span)
    cost = adapter.price(span.model, counts) if counts else None
    return None if cost is None else cost["total_cost"]
