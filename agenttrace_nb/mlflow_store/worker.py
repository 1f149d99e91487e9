"""The process that writes journals to MLflow, beside the kernel and for a moment after it.

The kernel says ``{}`` (something is new), ``{"env": {...}}`` (variables that were set since), and ``{"wait": KEY,
"id": N}`` (answer when that run has arrived); see `companion`. For what is answered see `Delivery`.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal import companion
from agenttrace_nb.journal.follow import FollowerBusyError
from agenttrace_nb.journal.place import JournalError, LeaseTakenError, orphans
from agenttrace_nb.journal.recover import close_interrupted, remove_old

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agenttrace_nb.mlflow_store.feedback import FeedbackWriter
    from agenttrace_nb.mlflow_store.message_runs import MessageRunWriter
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

BUSY_S = 0.1
IDLE_S = 1.0
"""How often the journal is looked at: while a run goes on, and while none does and nothing was said."""
ORPHANS_EVERY_S = 10.0
"""How often journals are looked for whose process has ended since."""
GIVE_UP_S = 60.0
"""After the kernel has gone, a store that has been silent, or an audit log that has sealed nothing, for so long is left
to the next start."""
NICE = 10
COLLECTOR = (50_000, 20, 50)
"""Thresholds of the garbage collector: with Python's own, walking MLflow's modules again and again took a third of the
time that writing takes."""
_log = logging.getLogger("agenttrace_nb.mlflow")


@dataclass(slots=True)
class _Wait:
    number: int
    key: str
    seq: int
    asked_again: bool = False


class Worker:
    """Writes one kernel's journal, then journals that nobody owns.

    Parameters
    ----------
    path
        The kernel's journal.
    tell
        Takes what the kernel should know.
    keep_days
        Days after which a delivered journal of a process that has ended is deleted; ``None``: never.
    """

    def __init__(self, path: Path, tell: Callable[[dict[str, Any]], None], *, keep_days: float | None = None) -> None:
        from agenttrace_nb.mlflow_store.stores import Stores

        self.path = path
        self._keep_days = keep_days
        self._tell = tell
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._waits: list[_Wait] = []
        self._gone = False
        self._adopted: set[Path] = set()
        self._stores = Stores(lambda text: tell({"problem": text}))

    def run(self) -> None:
        """Work until the kernel is gone and its journal is delivered, or cannot be."""
        companion.listen(self._inbox.put)
        try:
            with _delivering(self.path, self._stores, self._tell) as (traces, messages, feedback):
                adopting = threading.Thread(target=self._adopt_orphans, name="agenttrace-orphans", daemon=True)
                adopting.start()
                self._follow(traces, messages, feedback)
                adopting.join()
                self._deliver_orphans(until=lambda: False)  # not least those of processes that the kernel forked
        except FollowerBusyError:
            _log.info("%s is delivered by another process", self.path)
        except JournalError as error:
            self._tell({"problem": f"Nothing is written to MLflow: {error}"})

    # -- the kernel's journal -----------------------------------------------------------------------------------

    def _follow(self, traces: TraceWriter, messages: MessageRunWriter, feedback: FeedbackWriter) -> None:
        stop = threading.Event()
        beside = threading.Thread(target=_keep_writing, args=((messages, feedback), stop), name="agenttrace-messages")
        beside.start()
        try:
            closed = False
            while True:
                self._read_inbox(traces, block=not traces.step(hurry=bool(self._waits) or self._gone))
                self._answer(traces, messages, feedback)
                if self._gone and not closed:
                    closed = True
                    companion.close_if_orphan(self.path)
                    continue
                if closed and self._is_over(traces, messages, feedback):
                    return
        finally:
            stop.set()
            beside.join()

    def _is_over(self, traces: TraceWriter, messages: MessageRunWriter, feedback: FeedbackWriter) -> bool:
        if max(self._stores.silent_for_s(), traces.held_for_s()) > GIVE_UP_S:
            return True
        if not all(writer.is_at_end() and writer.is_done() for writer in (traces, messages)):
            return False
        feedback.step(hurry=True)  # once more, now that all traces are there
        return feedback.is_at_end() and feedback.is_done()

    def _read_inbox(self, traces: TraceWriter, *, block: bool) -> None:
        pause = BUSY_S if self._waits or self._gone or traces.is_running() else IDLE_S
        with contextlib.suppress(queue.Empty):
            if block:
                self._hear(self._inbox.get(timeout=pause), traces)
            while True:
                self._hear(self._inbox.get_nowait(), traces)

    def _hear(self, said: dict[str, Any] | None, traces: TraceWriter) -> None:
        if said is None:
            self._gone = True
            return
        companion.change_variables(said.get("env", {}))
        if "wait" in said:
            self._waits.append(_Wait(said["id"], said["wait"], traces.last_seq()))

    def _answer(self, traces: TraceWriter, messages: MessageRunWriter, feedback: FeedbackWriter) -> None:
        for wait in list(self._waits):
            reason = traces.parked_because(wait.key)
            if reason is None:
                if not (traces.settled(wait.key, wait.seq) and messages.settled(wait.key, wait.seq)):
                    continue
                if not wait.asked_again:  # what was said of a trace may have been tried before the trace was there
                    wait.asked_again = True
                    feedback.step(hurry=True)
                if not feedback.settled(wait.seq):
                    continue
            self._waits.remove(wait)
            self._tell({"id": wait.number, "problem": reason})

    # -- journals that nobody owns ------------------------------------------------------------------------------

    def _adopt_orphans(self) -> None:
        while not self._gone:
            self._deliver_orphans(until=lambda: self._gone)
            self._clear_away()
            for _ in range(int(ORPHANS_EVERY_S / BUSY_S)):
                if not self._gone:
                    time.sleep(BUSY_S)

    def _clear_away(self) -> None:
        if self._keep_days is None:
            return
        try:
            for path in remove_old(self.path.parent, keep_days=self._keep_days):
                _log.info("%s is delivered and old, and was deleted", path)
        except Exception:
            _log.exception("old journals")

    def _deliver_orphans(self, until: Callable[[], bool]) -> None:
        for path in orphans(self.path.parent):
            if path == self.path or path in self._adopted:
                continue
            try:
                deliver(path, self._stores, self._tell, until=until)
                if not until():
                    self._adopted.add(path)
            except (FollowerBusyError, LeaseTakenError):
                continue
            except Exception as error:
                self._adopted.add(path)
                _log.exception("%s", path)
                self._tell({"problem": f"An earlier journal could not be delivered: {error}"})


def deliver(
    path: Path,
    stores: Stores,
    tell: Callable[[dict[str, Any]], None],
    *,
    until: Callable[[], bool] = lambda: False,
    retry_parked: bool = False,
    elsewhere: str | None = None,
) -> bool:
    """Deliver a journal whose process has ended: close what it left open, then write all of it.

    Parameters
    ----------
    path
        The journal.
    stores, tell
        As for `TraceWriter`.
    until
        Tells when to stop early.
    retry_parked
        Whether runs that could not be delivered for good are tried once more.
    elsewhere
        Tracking URI for runs that MLflow does not have yet, instead of the one that they were recorded for.

    Returns
    -------
    bool
        Whether MLflow has everything now.

    Raises
    ------
    JournalError
        If its process lives, somebody else delivers it, or it cannot be read.
    """
    close_interrupted(path)
    with _delivering(path, stores, tell, retry_parked=retry_parked, elsewhere=elsewhere) as (
        traces,
        messages,
        feedback,
    ):
        for writer in (traces, messages, feedback):
            while not until():
                if writer.step():
                    continue
                if writer.is_done() or max(stores.silent_for_s(), traces.held_for_s()) > GIVE_UP_S:
                    break
                time.sleep(min(stores.next_try_s() or BUSY_S, 1.0))
        return traces.is_done() and messages.is_done() and feedback.is_done() and not traces.ledger.has_parked()


@contextlib.contextmanager
def _delivering(path: Path, stores: Stores, tell: Any, **how: Any) -> Any:
    from agenttrace_nb.mlflow_store.feedback import FeedbackWriter
    from agenttrace_nb.mlflow_store.message_runs import MessageRunWriter
    from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

    with (
        contextlib.closing(TraceWriter(path, stores, tell, **how)) as traces,
        contextlib.closing(MessageRunWriter(path, stores, traces, tell)) as messages,
        contextlib.closing(FeedbackWriter(path, stores, tell)) as feedback,
    ):
        yield traces, messages, feedback


def _keep_writing(writers: Sequence[MessageRunWriter | FeedbackWriter], stop: threading.Event) -> None:
    while not stop.is_set():
        busy = False
        for writer in writers:
            try:
                busy = writer.step() or busy
            except Exception:
                _log.exception("%s", type(writer).__name__)
        if not busy:
            stop.wait(BUSY_S * 2)


def prepare_process() -> None:
    """Make MLflow a good neighbour: little CPU, short waits, nothing fetched or sent elsewhere."""
    gc.set_threshold(*COLLECTOR)
    # MLflow would try seven times over four minutes before it says that a server is down; here somebody else retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # MLflow asks litellm for prices where it is installed; that fetches them over the network when imported.
    sys.modules["litellm"] = None  # type: ignore[assignment]
    from agenttrace_nb.mlflow_store import adapter

    adapter.write_faster()


def main(arguments: Sequence[str]) -> int:
    """Run the writing process for one journal: its path and, where old ones are deleted, the days they are kept."""
    companion.begin(NICE)
    prepare_process()
    keep_days = float(arguments[1]) if len(arguments) > 1 else None
    Worker(Path(arguments[0]), companion.teller(), keep_days=keep_days).run()
    return 0
