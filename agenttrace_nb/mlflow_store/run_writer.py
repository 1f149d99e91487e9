"""Cell runs into MLflow: made at their start, filled as they go, summed up and closed at their end."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.limits import NAME_CHARS, metric, name, param, shortened, tags
from agenttrace_nb.mlflow_store.records import MetricPoint
from agenttrace_nb.mlflow_store.runs import MS_IN_NS, RUN_STATUS, end_tags, start_tags, success_tags
from agenttrace_nb.mlflow_store.store import StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.journal.events import Event
    from agenttrace_nb.mlflow_store.ledger import Ledger, RunNote
    from agenttrace_nb.mlflow_store.store import Store
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.spans import CellRun

POINTS_EVERY_S = 1.0
"""How often the charts of a run that goes on get new points."""
PARENT_WITHIN_S = 60.0
"""How long the run that a forked process goes on with is looked for: its parent may be about to make it."""
TRIES_OF_THE_UNEXPECTED = 3
_log = logging.getLogger("agenttrace_nb.mlflow")


class RunWriter:
    """Writes the cell runs of one journal.

    Parameters
    ----------
    ledger
        The notes about them.
    stores
        Where stores come from.
    tell
        Takes what has been written, for the kernel.
    report
        Takes a message for the user.
    """

    def __init__(
        self,
        ledger: Ledger,
        stores: Stores,
        tell: Callable[[dict[str, Any]], None],
        report: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._stores = stores
        self._tell = tell
        self._report = report

    def open_new(self) -> None:
        """Make the MLflow runs of the cell runs that have started."""
        new = [n for n in self._ledger.runs.values() if n.run_id is None and n.parked is None and n.run is not None]
        if not new:
            return
        # Noted first: after a crash it is known which ones must be looked for before they are made again.
        self._ledger.attempted_seq = max(self._ledger.attempted_seq, *(n.start_seq for n in new))
        self._ledger.save()
        for note in new:
            self._guarded(note, self._open)

    def send_all(self) -> None:
        """Send what became known of the runs, and close those that have ended and whose traces are there."""
        for note in list(self._ledger.runs.values()):
            if note.parked is None and note.run_id is not None:
                self._guarded(note, self._send)

    def _open(self, note: RunNote) -> None:
        run = note.run
        if run is None:
            return
        store = self._stores.get(note.uri, note.cwd)
        note.experiment_id = store.experiment_id(run.experiment, note.cwd)
        if note.must_search or note.joined:
            found = store.find_runs(note.experiment_id, names.KEY, run.key)
            note.run_id = next((run_id for run_id, _ in found.values()), None)
        if note.joined:
            _wait_for_parent(note)
            note.closed = note.run_id is not None
        elif note.run_id is None:
            note.must_search = True  # until it is known to have been made
            above = self._ledger.runs.get(run.parent_key or "")
            parent_id = above.run_id if above is not None else None
            start_ms = run.start_ns // MS_IN_NS
            run_name = shortened(run.name, NAME_CHARS)
            note.run_id = store.create_run(note.experiment_id, run_name, start_ms, start_tags(run, parent_id))
        self._stores.worked(note.uri)
        if note.run_id is None:
            return
        run.run_id = note.run_id
        self._tell({"run": note.key, "run_id": note.run_id, "experiment_id": note.experiment_id})

    def _send(self, note: RunNote) -> None:
        store = self._stores.get(note.uri, note.cwd)
        run_id = str(note.run_id)
        if note.data:
            self._send_data(store, note, run_id)
        if note.run is None or note.joined:
            return
        now = time.monotonic()
        ending = note.ended and not note.closed and not any(t.is_due for t in self._ledger.traces_of(note.key))
        if ending or now - note.points_at > POINTS_EVERY_S:
            points = note.progress.points
            store.log(run_id, points)
            note.progress.points = note.progress.points[len(points) :]
            note.points_at = now
        if ending:
            self._close(store, note, note.run, run_id)

    def _close(self, store: Store, note: RunNote, run: CellRun, run_id: str) -> None:
        end_ms = (run.end_ns or run.start_ns) // MS_IN_NS
        metrics = note.progress.summary(run)
        store.log(run_id, [*metrics, *note.progress.points], tags=end_tags(run, note.progress))
        store.finish_run(run_id, RUN_STATUS.get(run.status, "FINISHED"), end_ms)
        note.progress.points = []
        note.closed = True

    def _send_data(self, store: Store, note: RunNote, run_id: str) -> None:
        said = note.data
        metrics = [point for event in said for point in _metrics(event)]
        params = {name(p["key"]): param(p["value"]) for event in said if (p := event.body.get("param"))}
        marks: dict[str, str] = {}
        for event in said:
            if "success" in event.body:
                marks |= success_tags(event.body["success"])
            if told := event.body.get("tag"):
                marks |= tags({told["key"]: told["value"]})
        store.log(run_id, metrics, params, marks)
        for event in said:
            if told := event.body.get("artifact"):
                self._send_file(store, run_id, told["path"])
        note.data_seq = said[-1].seq
        note.data = note.data[len(said) :]

    def _send_file(self, store: Store, run_id: str, path: str) -> None:
        try:
            store.log_file(run_id, path)
        except StoreUnavailableError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self._report(f"The artifact {path} was not there any more when it was sent to MLflow; log it again.")

    # -- when it does not work ----------------------------------------------------------------------------------

    def _guarded(self, note: RunNote, action: Callable[[RunNote], None]) -> None:
        try:
            action(note)
        except StoreUnavailableError as error:
            self._stores.failed(note.uri, error)
        except StoreRefusedError as error:
            self._park(note, str(error))
        except Exception as error:
            _log.exception("writing to %s", note.uri)
            note.failures += 1
            if note.failures >= TRIES_OF_THE_UNEXPECTED:
                self._park(note, f"Writing to MLflow failed with {type(error).__name__}: {error}.")
        else:
            note.failures = 0

    def _park(self, note: RunNote, reason: str) -> None:
        self._report(reason)
        self._ledger.park(note, reason)
        self._tell({"parked": note.key, "reason": reason})


def _metrics(event: Event) -> list[MetricPoint]:
    time_ms = event.time_ns // MS_IN_NS
    if event.body.get("success") is not None:
        return [MetricPoint("success", float(event.body["success"]), time_ms)]
    told = event.body.get("metric")
    value = metric(told["value"]) if told else None
    return (
        []
        if told is None or value is None
        else [MetricPoint(name(told["key"]), value, time_ms, int(told.get("step") or 0))]
    )


def _wait_for_parent(note: RunNote) -> None:
    if note.run_id is not None:
        return
    now = time.monotonic()
    note.missed_since = note.missed_since or now
    if now - note.missed_since > PARENT_WITHIN_S:
        msg = (
            "What a forked process recorded belongs to a run that is not in MLflow. It is kept in the journal; "
            "`agenttrace-nb recover` tries again."
        )
        raise StoreRefusedError(msg)
