"""The thread of one handler: it reads journals on, sends what ended, and waits for nobody else's handler."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from agenttrace_nb.export.feed import Feed
from agenttrace_nb.export.sender import BATCH_ITEMS, Sender
from agenttrace_nb.journal.follow import FollowerBusyError
from agenttrace_nb.journal.place import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.export.handler import Answer
    from agenttrace_nb.export.sender import Standing

LINGER_S = 2.0
"""What ended waits so long for more, so that a batch is worth sending."""
BUSY_S = 0.2
IDLE_S = 1.0
HANGS_S = 30.0
"""A call that lasts longer is said to hang."""
SAVE_EVERY_S = 1.0
_log = logging.getLogger("agenttrace_nb.export")


class Outlet:
    """Runs one handler.

    Parameters
    ----------
    sender
        What sends.
    journal
        The journal that it follows as long as it runs; others can be given to it (`adopt`).
    linger_s
        How long what ended waits for more, in seconds.
    """

    def __init__(self, sender: Sender, journal: Path, *, linger_s: float = LINGER_S) -> None:
        self.sender = sender
        self.settings = sender.settings
        self.journal = journal
        self._linger_s = linger_s
        self._feeds: dict[Path, Feed] = {}
        self._since: dict[Path, float] = {}
        self._saved_at: dict[Path, float] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._hurry = False
        self._asked = self._answered = 0
        self._noted: tuple[str | None, int | None] = (None, None)
        self._waiting = False
        self._thread = threading.Thread(target=self._run, name=f"agenttrace-export-{self.settings.name}", daemon=True)

    # -- called from other threads ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 0.0) -> bool:
        """Send no more; tell whether it has ended in this time."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def adopt(self, path: Path) -> None:
        """Follow a journal whose process has ended, to its end."""
        self._do(lambda: self._follow(path))

    def test(self, reply: Callable[[Answer], None]) -> None:
        """Send one marked item, and have a function called with what came back."""
        self._do(lambda: reply(self.sender.test()))

    def hurry(self) -> None:
        """Send what there is without waiting for more, and try a target again that did not answer."""

        def now() -> None:
            self._hurry = True
            self.sender.try_again()

        self._do(now)

    def nudge(self) -> None:
        """Look for what is new."""
        self._wake.set()

    def ask(self) -> None:
        """Have it looked once more whether all is done; `is_done` tells."""
        self._asked += 1
        self._hurry = True
        self._wake.set()

    def is_done(self) -> bool:
        """Tell whether all journals were read to their end after the last `ask`, and nothing waits."""
        return self._answered == self._asked

    def hangs_for_s(self) -> float:
        """Return for how long the handler has not come back from a call, in seconds, if that is too long; else 0."""
        since = self.sender.busy_since
        busy_s = 0.0 if since is None else time.monotonic() - since
        return busy_s if busy_s > HANGS_S else 0.0

    def _do(self, action: Callable[[], None]) -> None:
        self._inbox.put(action)
        self._wake.set()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                if not self._safe_step():
                    self._wake.wait(self._pause_s())
                    self._wake.clear()
        finally:
            self.sender.close()
            for feed in self._feeds.values():
                self._save(feed)
                feed.close()
            self._feeds.clear()

    def _safe_step(self) -> bool:
        try:
            return self._step()
        except Exception as error:
            self._report(f"{type(error).__name__}: {error}")
            return False

    def _pause_s(self) -> float:
        pause = BUSY_S if self._waiting or any(feed.is_busy() for feed in self._feeds.values()) else IDLE_S
        return max(0.01, min(pause, self.sender.patience.wait_s() or pause))

    def _step(self) -> bool:
        """Do what is to be done now; tell whether there may be more."""
        asked = self._asked
        self._hear()
        if self.settings.paused or self._stopping:
            self._answered = asked
            return False
        if self.journal not in self._feeds:
            self._follow(self.journal)
        self.sender.open()  # at once: some targets fetch, and a wrong option is told before the first run
        more = [self._read(feed) for feed in list(self._feeds.values())]
        sent = self._send_due()
        self._waiting = any(feed.waiting() for feed in self._feeds.values())
        self._let_go()
        if (main := self._feeds.get(self.journal)) is not None:
            self._save_news(main)
        if not any(more) and all(feed.is_at_end() for feed in self._feeds.values()):
            self._answered = asked
            self._hurry = self._hurry and self._asked != asked
        return any(more) or sent

    def _hear(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                action = self._inbox.get_nowait()
                try:
                    action()
                except Exception:
                    _log.exception("export %s", self.settings.name)

    def _follow(self, path: Path) -> None:
        if path in self._feeds:
            return
        try:
            self._feeds[path] = Feed(path, self.settings)
        except FollowerBusyError:
            return  # another process has it
        except (JournalError, OSError) as error:
            self._report(f"{path.name} cannot be read: {error}")

    def _read(self, feed: Feed) -> bool:
        try:
            found = feed.read()
        except (JournalError, OSError) as error:
            self._report(f"{feed.path.name} cannot be read on: {error}")
            return False
        now = time.monotonic()
        if feed.drop_aged(time.time_ns()):
            self._save(feed)
        if feed.waiting():
            self._since.setdefault(feed.path, now)
        if found and now - self._saved_at.get(feed.path, 0.0) > SAVE_EVERY_S:
            self._save(feed)
        return found

    def _send_due(self) -> bool:
        for path, feed in list(self._feeds.items()):
            if not self._is_due(path, feed) or feed.oldest() is None:
                continue
            if self.sender.patience.wait_s() > 0 or not self.sender.open():
                self._save_news(feed)
                return False
            self.sender.send(feed)
            self._save(feed)
            if not feed.waiting():
                self._since.pop(path, None)
            return self.sender.patience.failures == 0 and not self.sender.standing.refused
        return False

    def _is_due(self, path: Path, feed: Feed) -> bool:
        since = self._since.get(path)
        if since is None or not feed.waiting():
            return False
        waited = time.monotonic() - since >= self._linger_s
        return waited or self._hurry or feed.waiting() >= BATCH_ITEMS or path != self.journal

    def _let_go(self) -> None:
        """Close the journals of others that were read to their end."""
        for path in [path for path, feed in self._feeds.items() if path != self.journal and feed.is_at_end()]:
            feed = self._feeds.pop(path)
            self._save(feed)
            feed.close()
            self._since.pop(path, None)

    # -- notes --------------------------------------------------------------------------------------------------

    def _save_news(self, feed: Feed) -> None:
        """Save if there is something to tell that was not there the last time."""
        if _news(self.sender.standing) != self._noted:
            self._save(feed)

    def _save(self, feed: Feed) -> None:
        standing = self.sender.standing
        self._saved_at[feed.path] = time.monotonic()
        self._noted = _news(standing)
        notes = {"problem": standing.problem, "problem_ns": standing.problem_ns, "refused": standing.refused}
        if standing.success_ns is not None:
            notes["success_ns"] = standing.success_ns
        try:
            feed.save(**notes)
        except (OSError, TypeError) as error:
            self._report(f"how far it is cannot be saved: {error}")

    def _report(self, problem: str) -> None:
        if self.sender.standing.problem != problem:
            _log.warning("export %s: %s", self.settings.name, problem)
            self.sender.standing.problem, self.sender.standing.problem_ns = problem, time.time_ns()


def _news(standing: Standing) -> tuple[str | None, int | None]:
    """Return what of a standing is told to others: the problem, and when something last arrived."""
    return standing.problem, standing.success_ns
