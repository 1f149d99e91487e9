"""The runs of an MLflow store for a dashboard: what is new since the last look, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.monitor import Measured, measure
from agenttrace_nb.config import OptionError
from agenttrace_nb.mlflow_store import reader
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 20
FULL_LOOK_S = 60.0
"""How often all of the stretch is listed: a trace comes into MLflow when it ends, however long ago it began."""

OVERLAP_MS = 10 * 60_000
"""Other looks end at the first page of which all is known and that is older than this."""

_MS_PER_S = 1000


@dataclass(slots=True)
class Progress:
    """How far reading is: traces that are to be read, and those of them that were."""

    of: int = 0
    read: int = 0


class StoreRuns:
    """Reads the runs of a tracking store, a few at a time.

    Parameters
    ----------
    uri
        The tracking URI.
    experiment
        Name of the experiment; ``None`` for all of them.
    arch
        The architecture that counts; ``None`` for all of them.
    limit
        How many runs at most, the newest ones.
    """

    def __init__(self, uri: str, *, experiment: str | None = None, arch: str | None = None, limit: int) -> None:
        self.uri = uri
        self.experiment = experiment
        self.progress = Progress()
        self._arch = arch
        self._limit = limit
        self._ended: set[str] = set()
        self._running: set[str] = set()
        self._whole_s = -FULL_LOOK_S
        self._whole_ms = float("inf")
        self._complete = False

    def experiments(self) -> set[str | None] | None:
        """Return what the experiment may be called in a journal; ``None`` for all experiments.

        Raises
        ------
        OptionError
            If there is no such experiment yet.
        ConnectionError
            If MLflow does not answer.
        """
        if self.experiment is None:
            return None
        number = reader.experiment_id(self.uri, self.experiment)
        # A run without an experiment goes to MLflow's default one.
        return {self.experiment, f"id:{number}"} | ({None} if number == "0" else set())

    def read(
        self, since_ms: float, now_s: float, *, wanted: list[str], is_known: Callable[[str], bool]
    ) -> Iterator[list[Measured]]:
        """Return what is new, a few runs at a time, the newest first; the caller may stop in between.

        Parameters
        ----------
        since_ms
            From when on runs are of interest, ms since the epoch.
        now_s
            The time, seconds of any clock.
        wanted
            Runs to be read in any case.
        is_known
            Tells whether all is known of a run that has ended.

        Raises
        ------
        OptionError, ConnectionError
            As `agenttrace_nb.mlflow_store.reader.read`.
        """
        whole = not self._complete or now_s - self._whole_s >= FULL_LOOK_S or since_ms < self._whole_ms
        self._complete = False
        due = [*wanted, *(head.trace_id for head in self._new(since_ms, is_known, whole=whole))]
        due = list(dict.fromkeys(due))
        self.progress = Progress(of=len(due))
        for start in range(0, len(due), BATCH):
            found = reader.read_known(self.uri, due[start : start + BATCH])
            measured = []
            for trace in found.traces:
                over = trace.status is not Status.RUNNING
                (self._ended.add if over else self._running.add)(trace.trace_id)
                self._running -= {trace.trace_id} if over else set()
                if trace.spans or not over:
                    measured.append(measure(trace, success=found.success.get(trace.run_id or "")))
            self.progress.read = start + len(due[start : start + BATCH])
            yield measured
        self._complete = True
        if whole:
            self._whole_s, self._whole_ms = now_s, since_ms

    def _new(self, since_ms: float, is_known: Callable[[str], bool], *, whole: bool) -> Iterator[reader.Head]:
        query = reader.Query(
            experiment=self.experiment,
            arch=self._arch,
            since=None if since_ms <= 0 else datetime.fromtimestamp(since_ms / _MS_PER_S, UTC),
        )
        newest, seen = 0, 0
        for page in reader.heads(self.uri, query):
            fresh = [head for head in page if self._is_new(head, is_known)]
            yield from fresh
            seen += len(page)
            newest = max([newest, *(head.start_ms for head in page)])
            known_and_old = not fresh and page and page[-1].start_ms < newest - OVERLAP_MS
            if seen >= self._limit or (known_and_old and not whole):
                break

    def _is_new(self, head: reader.Head, is_known: Callable[[str], bool]) -> bool:
        if head.running:
            return head.trace_id not in self._running and not is_known(head.trace_id)
        return head.trace_id not in self._ended and not is_known(head.trace_id)


def why_not(error: Exception) -> str:
    """Return in one sentence why MLflow could not be read."""
    if isinstance(error, (OptionError, ConnectionError)):
        return str(error)
    told = str(error).splitlines()
    return f"MLflow could not be read ({type(error).__name__}: {told[0] if told else 'no reason given'})"
