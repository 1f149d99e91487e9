"""The threads behind a dashboard: one sends what changed, one reads from MLflow. Neither is the agents'."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.monitor_store import why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.analysis.monitor_store import StoreRuns
    from agenttrace_nb.views.dashboard_feed import DashboardFeed

TICK_S = 0.25
READ_EVERY_S = 3.0
RETRY_S = 15.0
STOP_S = 2.0
_REST = 1.0
"""Between batches, reading rests as long as the batch took: half of one core at most, while nobody runs a cell."""

_log = logging.getLogger("agenttrace_nb")


class Repeated:
    """Calls ``work`` again and again on a thread of its own, and says once if that fails."""

    def __init__(self, name: str, every_s: float, work: Callable[[], None]) -> None:
        self._every_s = every_s
        self._work = work
        self._name = name
        self._stopped = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name=f"agenttrace-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; work that is under way is waited for, but not for ever."""
        self._stopped.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=STOP_S)

    @property
    def is_stopped(self) -> bool:
        """Whether it is to end."""
        return self._stopped.is_set()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._work()
            except Exception as error:
                if not self._failed:
                    self._failed = True
                    _log.warning("the dashboard's %s failed: %s: %s", self._name, type(error).__name__, error)


class StoreReader:
    """Reads from MLflow what is new, while somebody looks and no cell runs.

    Parameters
    ----------
    store
        The store.
    feed
        What takes the runs.
    pause
        Tells why nothing is to be read at this moment, if that is so.
    """

    def __init__(self, store: StoreRuns, feed: DashboardFeed, pause: Callable[[], str | None]) -> None:
        self._store = store
        self._feed = feed
        self._pause = pause
        self._since_ms = float("inf")
        self._due_s = 0.0
        self._wanted: deque[str] = deque()
        self._lock = threading.Lock()

    def since(self, ms: float) -> None:
        """Have runs read from this time on, ms since the epoch; what was asked for earlier stays."""
        if ms < self._since_ms:
            self._since_ms = ms
            self._due_s = 0.0

    def step(self) -> None:
        """Read what is new, if it is time to; stop in between when that is to pause."""
        source = self._feed.source
        if source is None:
            return
        source.paused = self._pause()
        if source.paused is None and time.monotonic() >= self._due_s and self._since_ms < float("inf"):
            self.read(self._pause)

    def read(self, pause: Callable[[], str | None] = lambda: None) -> None:
        """Read what is new now; MLflow's troubles are said in the feed's source."""
        source, store = self._feed.source, self._store
        if source is None:
            return
        with self._lock:
            try:
                self._experiments()
                self._wanted += self._feed.journal.take_stale() if self._feed.journal else []
                wanted = list(self._wanted)
                since = min(self._since_ms, self._feed.now_ms())
                known = self._feed.is_known
                for runs in store.read(since, time.monotonic(), wanted=wanted, is_known=known):
                    began = time.monotonic()
                    self._feed.take(runs)
                    source.read, source.of = store.progress.read, store.progress.of
                    source.paused = pause()
                    if source.paused is not None:
                        return
                    time.sleep(min(_REST * (time.monotonic() - began), 0.5))
                self._wanted.clear()
                source.problem, source.read_ms = None, self._feed.now_ms()
                source.read = source.of = 0
                self._due_s = time.monotonic() + READ_EVERY_S
            except Exception as error:
                source.problem = why_not(error)
                self._due_s = time.monotonic() + RETRY_S

    def _experiments(self) -> None:
        found = self._store.experiments()
        if found is not None and self._feed.journal is not None:
            self._feed.journal.accept(found)
