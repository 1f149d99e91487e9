"""What a dashboard shows at this moment: runs from this kernel and from MLflow, merged, and their frames."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.monitor import Standing, Stretch
from agenttrace_nb.analysis.monitor_board import Board
from agenttrace_nb.spans import Status
from agenttrace_nb.views import dashboard_wire
from agenttrace_nb.views.dashboard_wire import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.analysis.monitor import Measured
    from agenttrace_nb.analysis.monitor_journal import JournalRuns
    from agenttrace_nb.views.dashboard_windows import Window

MS_PER_S = 1000
HEARTBEAT_S = 5.0


@dataclass(slots=True)
class Source:
    """How reading from MLflow stands.

    Attributes
    ----------
    where
        The store, as it may be shown: an address, or the name of a database's file.
    address
        The same in full.
    problem
        Why it cannot be read, in a sentence.
    paused
        Why it is not read at the moment.
    read_ms
        When it was read last, ms since the epoch.
    read, of
        How many of the runs that were new have been read.
    """

    where: str
    address: str = ""
    problem: str | None = None
    paused: str | None = None
    read_ms: float | None = None
    read: int = 0
    of: int = 0


class DashboardFeed:
    """Merges what is known of runs by trace id, and says what changed. Safe to use from any thread.

    Parameters
    ----------
    title
        What the dashboard is of.
    windows
        The stretches of time to choose from, the first one first.
    window
        The one that is shown first.
    journal
        The runs of this process; ``None`` where there are none to come.
    source
        How reading from MLflow stands; ``None`` where it is not read.
    board
        Where they are kept.
    """

    def __init__(
        self, title: str, windows: list[Window], window: str, *, journal: JournalRuns | None, source: Source | None,
        board: Board | None = None,
    ) -> None:  # fmt: skip
        self.key = "d" + uuid.uuid4().hex[:8]
        self.title = title
        self.windows = windows
        self.window = window
        self.board = board or Board()
        self.journal = journal
        self.source = source
        self.ended = False
        self.alerts: list[dict[str, Any]] = []
        self.lock = threading.RLock()
        self._sure: set[str] = set()
        self._seq = 0
        self._texts = Texts(self.board.texts)
        self._generation = self.board.generation
        self._said: dict[str, Any] = {}
        self._sent_s = 0.0

    def pull(self) -> bool:
        """Take in what this process traced; return whether anything did."""
        with self.lock:
            found = self.journal.sync() if self.journal else []
            for run in found:
                # What MLflow gave out holds all that the journal knew by then.
                self._sure.discard(run.trace_id)
                self.board.put(run)
            return bool(found)

    def take(self, runs: Iterable[Measured]) -> None:
        """Take in runs that MLflow gave out; they win over the journal's, but for one that goes on here."""
        with self.lock:
            for run in runs:
                if run.standing is Standing.RUNNING and self.board.standing(run.trace_id) is not None:
                    continue
                self.board.put(run)
                if run.standing is not Standing.RUNNING:
                    self._sure.add(run.trace_id)

    def take_costs(self, costs: Mapping[str, Mapping[str, float]]) -> None:
        """Take in what calls cost, US dollars by trace id and span id."""
        if self.journal is not None:
            priced = self.journal.set_costs(costs)
            with self.lock:
                self.pull()
                self._sure.update(priced)

    def is_known(self, trace_id: str) -> bool:
        """Tell whether MLflow has nothing to add to a run."""
        here = self.journal.trace(trace_id) if self.journal else None
        return (here is not None and here.status is Status.RUNNING) or trace_id in self._sure

    def stretch(self, window: str | None = None) -> Stretch:
        """Return the stretch of time that a window stands for now."""
        length = next((w.length_s for w in self.windows if w.name == (window or self.window)), None)
        now_ms = self.now_ms()
        return Stretch() if length is None else Stretch(now_ms - length * MS_PER_S, now_ms + 1)

    @staticmethod
    def now_ms() -> float:
        """Return the time, ms since the epoch."""
        return time.time() * MS_PER_S

    def patch(self) -> bytes | None:
        """Return a frame with what changed since the last one; ``None`` if nothing did and no sign of life is due."""
        with self.lock:
            head = self._head()
            if self.board.generation != self._generation:
                return self._whole(head, advance=True)
            changed = self.board.take_changed()
            due = time.monotonic() - self._sent_s >= HEARTBEAT_S
            if not changed and head == self._said and not due:
                return None
            base, self._seq = self._seq, self._seq + 1
            at = len(self._texts.shown)
            return self._frame(np.array(sorted(changed), dtype=int), head, base, self._texts.fresh(), at)

    def snapshot(self) -> bytes:
        """Return a frame with everything, as it stood when the last one was made or later."""
        with self.lock:
            return self._whole(self._head(), advance=False)

    def _whole(self, head: dict[str, Any], *, advance: bool) -> bytes:
        # Whoever has the frame before this one goes on with the next; so what is not sent yet must not be lost to them.
        self._seq += 1 if advance or self._seq == 0 else 0
        if advance:
            self._texts, self._generation = Texts(self.board.texts), self.board.generation
            self._texts.fresh()
            self.board.take_changed()
            strings = self._texts.shown
        else:
            strings = Texts(self.board.texts).fresh()
        return self._frame(np.arange(self.board.runs.n), head, 0, strings, 0)

    def _frame(self, rows: np.ndarray, head: dict[str, Any], base: int, strings: list[str], at: int) -> bytes:
        self._said, self._sent_s = head, time.monotonic()
        return dashboard_wire.frame(
            self.board, rows, seq=self._seq, base=base, now_ms=self.now_ms(), head=head, strings=strings, strings_at=at
        )

    def _head(self) -> dict[str, Any]:
        source = self.source
        return {
            "key": self.key,
            "title": self.title,
            "windows": [[w.name, w.words, w.length_s] for w in self.windows],
            "window": self.window,
            "left_out": self.board.left_out,
            "live": self.journal is not None and not self.ended,
            "ended": self.ended,
            "alerts": self.alerts,
            "mlflow": None if source is None else asdict(source),
        }
