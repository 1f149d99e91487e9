"""The runs of this process for a dashboard: from the journal's bus, while they go on and when they have ended."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from contextlib import suppress
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.monitor import Measured, measure
from agenttrace_nb.journal.events import Event, EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.place import JournalError
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.spans import CellRun, Trace

KEPT_TRACES = 200
"""Ended traces that are kept whole, for what becomes known of them later; of the others MLflow is asked."""

_WORK_EVENTS = 200
_REST_S = 0.002
_OF_RUNS = frozenset({EventKind.RUN_START, EventKind.RUN_DATA, EventKind.RUN_END})


class JournalRuns:
    """Follows what this process traces, from `begin` on. It takes events in on the thread of whoever asks.

    Parameters
    ----------
    journal
        The journal of this process.
    experiments
        Names (or ``id:`` and ids) of the experiments that count; ``None`` for all of them.
    arch
        The architecture that counts; ``None`` for all of them.
    """

    def __init__(
        self, journal: Journal, *, experiments: Collection[str | None] | None = None, arch: str | None = None
    ) -> None:
        self._journal = journal
        self._queue: deque[Event] = deque()
        self._lock = threading.RLock()
        self._fold = Fold(journal.item)
        self._experiments = experiments
        self._arch = arch
        self._seen = 0
        self._dirty: dict[str, None] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._forgotten: set[str] = set()
        self._stale: dict[str, None] = {}

    def begin(self) -> None:
        """Listen from now on, and take in what the journal's file holds from before; gently, agents may be at work."""
        self._queue = self._journal.bus.subscribe()
        if self._journal.path is None:
            return
        self._journal.flush()
        with suppress(JournalError):
            reader = JournalReader(self._journal.path)
            try:
                for number, event in enumerate(reader.events(), 1):
                    with self._lock:
                        self._take(event)
                    if number % _WORK_EVENTS == 0:
                        time.sleep(_REST_S)
            finally:
                reader.close()

    def sync(self) -> list[Measured]:
        """Take in what has happened; return the runs that are new, ended, or known better."""
        with self._lock:
            while self._queue:
                self._take(self._queue.popleft())
            found = list(self._measured())
            self._forget()
            return found

    def set_costs(self, costs: Mapping[str, Mapping[str, float]]) -> list[str]:
        """Take in what calls cost, US dollars by trace id and span id; return the traces that have all costs now."""
        with self._lock:
            known = []
            for trace_id, of in costs.items():
                if trace_id not in self._fold.traces:
                    self._stale[trace_id] = None
                    continue
                for span_id, usd in of.items():
                    if span := self._fold.spans.get((trace_id, span_id)):
                        span.cost_usd = usd
                self._dirty[trace_id] = None
                known.append(trace_id)
            return known

    def accept(self, experiments: Collection[str | None]) -> None:
        """Count the runs of these experiments from now on."""
        with self._lock:
            if self._experiments is not None and set(experiments) != set(self._experiments):
                self._experiments = experiments
                self._dirty |= dict.fromkeys(self._fold.traces)

    def take_stale(self) -> list[str]:
        """Return the traces of which more is known than this process still holds: MLflow has it."""
        with self._lock:
            stale, self._stale = list(self._stale), {}
            return stale

    def trace(self, trace_id: str) -> Trace | None:
        """Return a trace as it stands, if it is still held."""
        with self._lock:
            return self._fold.traces.get(trace_id)

    def close(self) -> None:
        """Stop listening."""
        self._journal.bus.unsubscribe(self._queue)

    def _take(self, event: Event) -> None:
        if event.seq <= self._seen:
            return  # from the file and from the bus
        self._seen = event.seq
        trace_id = event.trace_id
        if trace_id in self._forgotten:
            self._stale[trace_id or ""] = None
            return
        # An event that makes no sense is reported by the followers; the figures go on without it.
        with suppress(ValueError):
            self._fold.apply(event)
            self._fold.take_touched()
            self._note(event)

    def _note(self, event: Event) -> None:
        if event.kind in _OF_RUNS:
            run = self._fold.runs.get(str(event.run_key))
            self._dirty |= dict.fromkeys(run.trace_ids if run else ())
        elif event.kind is EventKind.FEEDBACK:
            self._rated(event)
        elif trace := self._fold.traces.get(event.trace_id or ""):
            # While it runs, only that it runs is of interest.
            begins = event.kind is EventKind.TRACE_START
            self._dirty |= {trace.trace_id: None} if begins or trace.status is not Status.RUNNING else {}

    def _rated(self, event: Event) -> None:
        body = event.body
        trace_id = str(body.get("trace_id"))
        if body.get("name") != "rating" or body.get("span_id") is not None:
            return
        if (run := self._run(trace_id)) is None:
            self._stale[trace_id] = None
            return
        run.success = body.get("value")
        self._dirty |= dict.fromkeys(run.trace_ids)

    def _measured(self) -> Iterator[Measured]:
        dirty, self._dirty = self._dirty, {}
        for trace_id in dirty:
            trace, run = self._fold.traces.get(trace_id), self._run(trace_id)
            if trace is None or not self._counts(trace, run):
                continue
            if trace.status is not Status.RUNNING:
                self._ended[trace_id] = None
                self._ended.move_to_end(trace_id)
            yield measure(
                trace,
                arch=run.arch if run else None,
                case=run.case if run else None,
                success=run.success if run else None,
            )

    def _counts(self, trace: Trace, run: CellRun | None) -> bool:
        arch = trace.tags.get("arch") or (run.arch if run else None)
        if self._arch is not None and arch != self._arch:
            return False
        return self._experiments is None or (run is not None and run.experiment in self._experiments)

    def _run(self, trace_id: str) -> CellRun | None:
        return next((run for key in self._fold.run_of.get(trace_id, ()) if (run := self._fold.runs.get(key))), None)

    def _forget(self) -> None:
        while len(self._ended) > KEPT_TRACES:
            trace_id, _ = self._ended.popitem(last=False)
            self._fold.forget(trace_id)
            self._forgotten.add(trace_id)
            for key in self._fold.run_of.pop(trace_id, ()):
                run = self._fold.runs.get(key)
                if run is None or run.end_ns is None:
                    continue
                if not any(known in self._fold.traces for known in run.trace_ids):
                    del self._fold.runs[key]
