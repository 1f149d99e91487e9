"""The thread behind a live view."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_S = 0.1
HEARTBEAT_S = 1.0
STOP_S = 2.0

_log = logging.getLogger("agenttrace_nb")


class Flusher:
    """Calls ``flush`` ten times a second on a thread of its own, and keeps the cell interruptible.

    An event loop that waits for input does not notice an interrupt until something happens; a callback that does
    nothing, ten times a second, makes the Stop button work at once.

    Parameters
    ----------
    flush
        What to do; its argument says whether a sign of life is due, which is the case once a second.
    """

    def __init__(self, flush: Callable[[bool], None]) -> None:
        self._flush = flush
        self._stopped = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="agenttrace-view", daemon=True)
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a flush that is under way is waited for, but not for ever."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_S)

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._stopped.wait(TICK_S):
            due = time.monotonic() - beat >= HEARTBEAT_S
            beat = time.monotonic() if due else beat
            try:
                self._flush(due)
            except Exception as error:
                self._report(error)
            self._wake()

    def _report(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            _log.warning("the live view failed; the run is recorded: %s: %s", type(error).__name__, error)

    def _wake(self) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(_nothing)
        except RuntimeError:  # the loop is closed
            self._loop = None


def _nothing() -> None:
    """Do nothing: the loop wakes to call it."""
