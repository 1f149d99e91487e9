"""What people say of traces: from the journal to MLflow's assessments, and back.

Something said is an event of the journal, so that saying it waits for nothing and survives anything. The follower here
writes it to the trace once MLflow has it; what was said of a trace that is not there yet waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.follow import Follower
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.store import StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agenttrace_nb.mlflow_store.stores import Stores

NAME = "feedback"
RATING, ERROR = "rating", "error"
"""Names of the assessments that `rate` and `report_error` make."""

EVENTS_PER_READ = 4000
PATIENCE_S = 7 * 24 * 3600.0
"""So long it is waited for a trace to arrive in MLflow."""

AGAIN_AFTER_S = 1.0
MOST_AT_ONCE = 200
_log = logging.getLogger("agenttrace_nb.mlflow")


class FeedbackWriter:
    """Writes what a journal holds of feedback to MLflow.

    Parameters
    ----------
    path
        The journal.
    stores
        Where stores come from.
    tell
        Takes messages for the kernel.
    """

    def __init__(self, path: Path, stores: Stores, tell: Callable[[dict[str, Any]], None]) -> None:
        self._follower = Follower(path, NAME)
        self._stores = stores
        self._tell = tell
        self._position = self._follower.cursor
        self._waiting: list[dict[str, Any]] = list(self._follower.state.get("waiting", ()))
        self._again_at = 0.0
        self._lock = threading.Lock()

    def step(self, *, hurry: bool = False) -> bool:
        """Read what is new and send what can be sent; return whether there was anything new to read."""
        with self._lock:
            events = self._follower.read(EVENTS_PER_READ, after=self._position)
            found = [dict(event.body) for event in events if event.kind is EventKind.FEEDBACK]
            self._waiting += found
            if events:
                self._position = events[-1].seq
            due = bool(self._waiting) and (bool(found) or hurry or time.monotonic() >= self._again_at)
            if due:
                self._again_at = time.monotonic() + AGAIN_AFTER_S
                first, rest = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                self._waiting = rest + [said for said in first if not self._send(said)]
            if due or events:
                self._follower.state = {"waiting": self._waiting}
                self._follower.save(self._position)
            return bool(events)

    def is_done(self) -> bool:
        """Tell whether nothing more can be done: all is in MLflow, or MLflow has no such trace.

        What waits for a trace is kept beside the journal and tried again with it.
        """
        return all(said.get("missing") for said in list(self._waiting))

    def settled(self, seq: int) -> bool:
        """Tell whether all that was said up to a position is in MLflow, or is of a trace that MLflow does not have."""
        return self._position >= seq and self.is_done()

    def is_at_end(self) -> bool:
        """Tell whether the journal was read to its end."""
        return self._position >= self._follower.last_seq()

    def close(self) -> None:
        """Give the journal up."""
        self._follower.close()

    def _send(self, said: dict[str, Any]) -> bool:
        """Send one; return whether it need not be tried again."""
        uri = said["tracking_uri"]
        try:
            store = self._stores.get(uri, said.get("cwd"))
            said["missing"] = not store.take_feedback(said)
        except StoreUnavailableError as error:
            said["missing"] = False
            self._stores.failed(uri, error)
            return False
        except StoreRefusedError as error:
            self._tell({"problem": f"What was said of trace {said['trace_id'][:8]} was not written: {error}"})
            return True
        except Exception as error:
            _log.exception("feedback to %s", uri)
            self._tell({"problem": f"What was said of trace {said['trace_id'][:8]} was not written: {error}"})
            return True
        self._stores.worked(uri)
        return not said["missing"] or self._gave_up(said)

    def _gave_up(self, said: dict[str, Any]) -> bool:
        if time.time() - said["time_ns"] / 1e9 < PATIENCE_S:
            return False
        self._tell({
            "problem": f"What was said of trace {said['trace_id'][:8]} was not written: MLflow has no such trace. "
            "It is kept in the journal."
        })  # fmt: skip
        return True


@dataclass(slots=True, frozen=True, kw_only=True)
class Report:
    """One thing that was said of a trace.

    Attributes
    ----------
    category
        Of an error that was reported; ``None`` for a rating.
    ok
        Of a rating; ``None`` for a report.
    """

    trace_id: str
    span_id: str | None = None
    category: str | None = None
    ok: bool | None = None
    comment: str | None = None
    user: str | None = None
    time: datetime | None = None


def read_reports(uri: str, trace_ids: Iterable[str]) -> list[Report]:
    """Return what was said of traces; those that MLflow does not know have nothing said of them.

    Raises
    ------
    ConnectionError
        If the tracking server does not answer.
    """
    from mlflow.exceptions import MlflowException

    from agenttrace_nb.mlflow_store import adapter
    from agenttrace_nb.mlflow_store.target import silence

    if reason := silence(uri):
        raise ConnectionError(reason)
    found: list[Report] = []
    for trace_id in trace_ids:
        try:
            said, _ = adapter.read_feedback(uri, names.mlflow_trace_id(trace_id))
        except MlflowException:
            _log.debug("no feedback of %s", trace_id, exc_info=True)
            continue
        found += [_report(trace_id, one) for one in said if one.valid is not False]
    return found


def _report(trace_id: str, one: Any) -> Report:
    return Report(
        trace_id=trace_id, span_id=one.span_id, category=str(one.value) if one.name == ERROR else None,
        ok=one.value if one.name == RATING and isinstance(one.value, bool) else None, comment=one.rationale,
        user=one.source.source_id if one.source is not None else None,
        time=datetime.fromtimestamp(one.create_time_ms / 1000, UTC) if one.create_time_ms else None,
    )  # fmt: skip
