"""The live picture of one cell run, from the bus; no file is read for it."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from agenttrace_nb.journal.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.spans import CellRun, Span, Trace


class LiveFold:
    """What is known of one cell run at this moment.

    Subscribe before the run's first event: make it, then append ``run-start``.

    Parameters
    ----------
    journal
        The journal that the run is recorded in.
    run_key
        The run.
    """

    def __init__(self, journal: Journal, run_key: str) -> None:
        self.run_key = run_key
        self._journal = journal
        self._queue = journal.bus.subscribe(run_key)
        self._lock = threading.RLock()
        self._fold = Fold(journal.item)
        # A run that nobody holds any more must not go on collecting events.
        weakref.finalize(self, journal.bus.unsubscribe, self._queue).atexit = False

    def sync(self) -> list[Span]:
        """Take in what has happened; return the spans of this run that changed since the last call."""
        with self._lock:
            while self._queue:
                # An event that makes no sense is reported by the followers; the picture goes on without it.
                with suppress(ValueError):
                    self._fold.apply(self._queue.popleft())
            return self._fold.take_touched()

    @property
    def run(self) -> CellRun:
        """The cell run."""
        self._catch_up()
        return self._fold.runs[self.run_key]

    @property
    def traces(self) -> list[Trace]:
        """Its traces, in order of start."""
        self._catch_up()
        return list(self._fold.traces.values())

    def set_costs(self, costs: Mapping[str, Mapping[str, float]]) -> bool:
        """Take in what calls cost, US dollars by trace id and span id; return whether any is of this run."""
        with self._lock:
            self._catch_up()
            spans = self._fold.spans
            priced = [
                (span, usd)
                for t, of in costs.items()
                for s, usd in of.items()
                if (span := spans.get((t, s))) is not None
            ]
            for span, usd in priced:
                span.cost_usd = usd
            self._fold.restore_touched([span for span, _ in priced])
        return bool(priced)

    def close(self) -> None:
        """Stop listening; what is known stays readable."""
        self.sync_quietly()
        self._journal.bus.unsubscribe(self._queue)

    def sync_quietly(self) -> None:
        """Take in what has happened and keep the changes for the next `sync`."""
        self._catch_up()

    def _catch_up(self) -> None:
        with self._lock:
            self._fold.restore_touched(self.sync())
