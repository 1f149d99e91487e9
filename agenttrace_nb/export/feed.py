"""What a handler has still to get from one journal, in the order in which it ended.

The cursor that is saved is not where reading stopped but where it must begin again so that everything unsent can be
rebuilt: before the oldest trace and run that is open or waits. ``done`` is the last thing that was dealt with; reading
again passes over what lies before it, so that nothing is sent twice after a restart.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.follow import Follower
from agenttrace_nb.journal.recover import EXPORT_PREFIX
from agenttrace_nb.journal.sealing import Seal
from agenttrace_nb.spans import Span, SpanError, SpanKind, Status, trace_id_of

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.export.handler import Item
    from agenttrace_nb.export.outgoing import Cutter
    from agenttrace_nb.export.settings import HandlerSettings
    from agenttrace_nb.journal.events import Event
    from agenttrace_nb.spans import CellRun, Trace

EVENTS_PER_READ = 2000
READ_AHEAD = 4096
"""Things that may wait in memory; what is behind them stays in the journal."""
RUNS_REMEMBERED = 500
TRACES_REMEMBERED = 50
_NS_PER_S = 1_000_000_000

Place = tuple[int, int]
"""Where something became ready: the position of the event, and which of those that it made ready."""


def follower_name(handler: str) -> str:
    """Return the name under which a handler follows journals."""
    return f"{EXPORT_PREFIX}{handler}"


@dataclass(slots=True, eq=False)
class Waiting:
    """A step or run that ended, or an alert, that is to be sent.

    Attributes
    ----------
    signal
        ``span``, ``run`` or ``alert``; an alert is told as a span.
    place
        Where it became ready.
    since
        The position before which nothing is needed to rebuild it.
    ready_ns
        When it ended, nanoseconds since the epoch.
    """

    signal: str
    place: Place
    since: int
    ready_ns: int
    span: Span | None
    trace: Trace | None
    run: CellRun | None
    parent: Span | None = None

    @property
    def failed(self) -> bool:
        """Whether it is about something that failed."""
        about = self.span or self.run
        return about is not None and about.status is Status.ERROR

    def item(self, cutter: Cutter) -> tuple[Item, int]:
        """Return what a handler is given of it, and about how many bytes that is."""
        if self.span is not None and self.signal == "alert":
            return cutter.alert(self.span)
        if self.span is not None:
            return cutter.span(self.span, self.trace, self.run, self.parent)
        assert self.run is not None  # noqa: S101 - it is about one of the two
        return cutter.run(self.run)


class Feed:
    """Reads a journal for one handler.

    Parameters
    ----------
    path
        The journal.
    settings
        The handler.

    Raises
    ------
    FollowerBusyError
        If another process reads this journal for this handler.
    """

    def __init__(self, path: Path, settings: HandlerSettings) -> None:
        self._follower = Follower(path, follower_name(settings.name))
        self._settings = settings
        state = self._follower.state
        if state.get("key") != settings.key:  # of a handler of the same name that was removed
            state = self._follower.state = {"key": settings.key}
            self._follower.cursor = 0
        self._position = self._follower.cursor
        self.done: Place = (state.get("done", 0), state.get("part", 0))
        self.sent = int(state.get("sent", 0))
        self.dropped: Counter[str] = Counter(state.get("dropped", {}))
        self._fold = Fold(self._follower.item)
        self._seal = Seal(path)
        self._queue: deque[Waiting] = deque()
        self._first: dict[str, int] = {}
        self._run_start: dict[str, int] = {}
        self._open_runs: set[str] = set()
        self._held: dict[str, list[tuple[Span, int]]] = {}
        self._missing_runs: set[str] = set()

    @property
    def path(self) -> Path:
        """The journal."""
        return self._follower.path

    def read(self) -> bool:
        """Read on, unless enough waits already; tell whether there was anything new.

        Raises
        ------
        JournalError
            If the journal cannot be read on.
        """
        if len(self._queue) >= READ_AHEAD:
            return False
        events = self._follower.read(EVENTS_PER_READ, after=self._position)
        for event in events:
            # An event that makes no sense is nothing to send; MLflow's writer reports it.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._take(event)
            self._position = event.seq
        self._fold.take_touched()
        return bool(events)

    def head(self, count: int) -> list[Waiting]:
        """Return the first of what may be sent now."""
        found = list(islice(self._queue, count))
        for number, waiting in enumerate(found):
            if not self._is_sealed(waiting):
                return found[:number]
        return found

    def oldest(self) -> Waiting | None:
        """Return what has waited longest, if it may be sent now."""
        return next(iter(self.head(1)), None)

    def settle(self, count: int, dropped: Counter[str] | None = None) -> None:
        """Note that the first things are dealt with, and why some of them were dropped."""
        dropped = dropped or Counter()
        for _ in range(count):
            self.done = self._queue.popleft().place
        self.sent += count - dropped.total()
        self.dropped += dropped

    def drop_aged(self, now_ns: int) -> int:
        """Drop what has waited too long, from the oldest on; what failed may wait twice as long."""
        count = 0
        for waiting in self._queue:
            limit_s = self._settings.max_age_s * (2 if waiting.failed else 1)
            if now_ns - waiting.ready_ns <= limit_s * _NS_PER_S:
                break
            count += 1
        if count:
            self.settle(count, Counter({f"waited longer than {_shown(self._settings.max_age_s)}": count}))
        return count

    def save(self, **notes: Any) -> None:
        """Save how far it is, the counts, and notes for whoever asks how it goes.

        Raises
        ------
        OSError
            If it cannot be written; after a restart some things are sent again then, under the same ids.
        """
        oldest = self._queue[0] if self._queue else None
        self._follower.state |= {
            "done": self.done[0], "part": self.done[1], "sent": self.sent, "dropped": dict(self.dropped),
            "position": self._position, "waiting": len(self._queue),
            "oldest_ns": None if oldest is None else oldest.ready_ns, **notes,
        }  # fmt: skip
        keep = [first for trace_id, first in self._first.items() if not self._has_ended(trace_id)]
        keep += [self._run_start[key] for key in self._open_runs]
        keep += [waiting.since for waiting in self._queue]
        self._follower.save(min(keep) - 1 if keep else self._position)

    def waiting(self) -> int:
        """Return how many things were read and not dealt with."""
        return len(self._queue)

    def is_busy(self) -> bool:
        """Tell whether a run goes on."""
        return bool(self._open_runs)

    def is_at_end(self) -> bool:
        """Tell whether the journal was read to its end and nothing waits."""
        return not self._queue and self._position >= self._follower.last_seq()

    def close(self) -> None:
        """Give the journal up."""
        self._follower.close()

    # -- reading ------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        kind, trace_id = event.kind, event.trace_id
        if trace_id is not None and trace_id not in self._first and kind is not EventKind.FEEDBACK:
            self._begin_trace(event, trace_id)
        span = self._fold.spans.get((str(trace_id), str(event.span_id)))
        ended_before = span is not None and span.end_ns is not None
        self._fold.apply(event)
        if kind is EventKind.SPAN_END and not ended_before:
            self._span_ended(event)
        elif kind is EventKind.TRACE_END and trace_id is not None:
            self._trace_ended(event, trace_id)
        elif kind is EventKind.RUN_START:
            self._run_started(event)
        elif kind is EventKind.RUN_END and "joined" not in event.body:
            self._run_ended(event)
        elif kind is EventKind.ALERT:
            self._fired(event)

    def _begin_trace(self, event: Event, trace_id: str) -> None:
        self._first[trace_id] = event.seq
        run_key = event.run_key
        run_is_missing = not (run_key is None or run_key in self._fold.runs or run_key in self._missing_runs)
        if run_is_missing or event.kind is not EventKind.TRACE_START or event.body.get("resumed"):
            self._look_back(event.seq, trace_id, run_key if run_is_missing else None)
        if run_key is not None and run_key not in self._fold.runs:
            self._missing_runs.add(run_key)

    def _look_back(self, before: int, trace_id: str, run_key: str | None) -> None:
        """Read once more what was recorded of a trace that goes on after it was forgotten: some of it may be open."""
        after = 0
        while after < before - 1:
            events = self._follower.read(EVENTS_PER_READ, after=after)
            for event in events:
                of_run = event.trace_id is None and event.run_key is not None and event.run_key == run_key
                if event.seq < before and (of_run or event.trace_id == trace_id):
                    self._first[trace_id] = min(event.seq, self._first[trace_id])
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        self._fold.apply(event)
            after = events[-1].seq if events else before

    def _span_ended(self, event: Event) -> None:
        span = self._fold.spans[str(event.trace_id), str(event.span_id)]
        waits = span.kind is SpanKind.GUARDRAIL or span.parent_id is None
        if waits and not self._has_ended(span.trace_id):
            # Why a guardrail tripped is told when the run around it has ended; and a root may end more than once.
            self._held.setdefault(span.trace_id, []).append((span, event.time_ns))
        else:
            self._add(event, (event.seq, 0), span, event.time_ns)

    def _has_ended(self, trace_id: str) -> bool:
        trace = self._fold.traces.get(trace_id)
        return trace is None or trace.end_ns is not None

    def _trace_ended(self, event: Event, trace_id: str) -> None:
        for part, (span, ended_ns) in enumerate(self._held.pop(trace_id, ())):
            self._add(event, (event.seq, part), span, ended_ns)
        self._forget_old(trace_id)

    def _forget_old(self, latest: str) -> None:
        """Forget ended traces but for the latest few: tasks that were left running add to them."""
        self._first[latest] = self._first.pop(latest)
        if len(self._first) > TRACES_REMEMBERED:
            ended = [trace_id for trace_id in self._first if self._has_ended(trace_id)]
            for trace_id in ended[: len(self._first) - TRACES_REMEMBERED]:
                self._fold.forget(trace_id)
                self._fold.run_of.pop(trace_id, None)
                del self._first[trace_id]

    def _run_started(self, event: Event) -> None:
        key = str(event.run_key)
        self._run_start[key] = event.seq
        if "joined" not in event.body:
            self._open_runs.add(key)
        while len(self._fold.runs) > RUNS_REMEMBERED:
            ended = next((k for k in self._fold.runs if k not in self._open_runs), None)
            if ended is None:
                break
            del self._fold.runs[ended]
            self._run_start.pop(ended, None)

    def _run_ended(self, event: Event) -> None:
        key = str(event.run_key)
        if key in self._open_runs:
            self._open_runs.discard(key)
            self._add(event, (event.seq, 0), None, event.time_ns)

    def _fired(self, event: Event) -> None:
        place = (event.seq, 0)
        if self._is_wanted("alert", event, place, event.time_ns):
            self._queue.append(Waiting("alert", place, event.seq, event.time_ns, alert_span(event), None, None))

    def _is_wanted(self, signal: str, event: Event, place: Place, ready_ns: int) -> bool:
        if signal not in self._settings.signals or place <= self.done:
            return False
        return self._settings.wants(self.path.name, event.seq, ready_ns)

    def _add(self, event: Event, place: Place, span: Span | None, ready_ns: int) -> None:
        signal = "run" if span is None else "span"
        if not self._is_wanted(signal, event, place, ready_ns):
            return
        trace = self._fold.traces.get(span.trace_id) if span is not None else None
        keys = self._fold.run_of.get(span.trace_id) if span is not None else None
        key = str(event.run_key) if event.run_key is not None else next(iter(keys or ()), "")
        run = self._fold.runs.get(key)
        since = min(place[0], self._run_start.get(key, place[0]))
        if span is not None:
            since = min(since, self._first.get(span.trace_id, since))
        parent = self._fold.spans.get((span.trace_id, span.parent_id or "")) if span is not None else None
        self._queue.append(Waiting(signal, place, since, ready_ns, span, trace, run, parent))

    def _is_sealed(self, waiting: Waiting) -> bool:
        """Tell whether it may leave: with the audit log on, nothing does before it is sealed."""
        if waiting.span is None:
            return self._seal.has_passed(waiting.place[0])
        return self._seal.covers(waiting.span.trace_id, waiting.place[0])


def alert_span(event: Event) -> Span:
    """Return an alert as a step that failed, so that every target that takes steps takes it."""
    body = event.body
    trace_id = trace_id_of(f"alert {event.time_ns} {body.get('rule')}")
    told = {f"alert.{name}": body.get(name) for name in ("rule", "value", "runs", "experiment", "arch")}
    return Span(
        trace_id=trace_id, span_id=trace_id[:16], kind=SpanKind.OTHER, name=f"alert: {body.get('rule')}",
        start_ns=int(body.get("since_ns") or event.time_ns), end_ns=event.time_ns, status=Status.ERROR,
        error=SpanError(f"{body.get('rule')}: {body.get('says')}", type="Alert"),
        attributes={name: value for name, value in told.items() if value is not None},
    )  # fmt: skip


def _shown(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
