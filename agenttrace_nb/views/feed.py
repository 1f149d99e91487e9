"""One run as frames for the browser: what changed since the last frame, all of it, or one row's content."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from agenttrace_nb.views import payloads, wire
from agenttrace_nb.views.content import gist
from agenttrace_nb.views.declared import declared
from agenttrace_nb.views.format import grouped
from agenttrace_nb.views.headline import Figure, headline
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.seal import seal_of
from agenttrace_nb.views.stored import where
from agenttrace_nb.views.timings import timings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agenttrace_nb.spans import CellRun, Span, Trace
    from agenttrace_nb.views.headline import Headline
    from agenttrace_nb.views.timings import Timings

PUSHED_LIMIT_BYTES = 512 * 1024
# What is saved with a notebook: with its twin and its widget a run of 1,000 steps stays below 1 MB.
SAVED_LIMIT_BYTES = 64 * 1024
ENCODED_LIMIT_BYTES = 4 * 1024 * 1024
PREVIEWS_LIMIT_CHARACTERS = 1_000_000
PAYLOAD_WORK_S = 0.02
CHUNK_BYTES = 1_000_000


class Source(Protocol):
    """Where spans come from: a `LiveFold`, or a run that is over."""

    @property
    def run(self) -> CellRun | Trace:
        """The run, or a trace on its own."""

    @property
    def traces(self) -> Sequence[Trace]:
        """Its traces: what their agents were declared to be."""

    def sync(self) -> list[Span]:
        """Return the spans that changed since the last call."""


class Finished:
    """A source that is over: a trace, or a run with its traces.

    Parameters
    ----------
    first
        How many spans it gives the first time; the others come the second time. ``None``: all at once.
    """

    def __init__(self, run: CellRun | Trace, traces: Sequence[Trace], *, first: int | None = None) -> None:
        self.run = run
        self.traces = traces
        self._spans: list[Span] = [span for trace in traces for span in trace.spans]
        self._first = first

    def sync(self) -> list[Span]:
        """Return the spans that were not returned before."""
        spans, self._spans = self._spans[: self._first], self._spans[len(self._spans[: self._first]) :]
        self._first = None
        return spans


class Feed:
    """Turns a source into frames. Safe to call from any thread.

    Content is pushed along while it is small: up to 8 kB for a row and 512 kB for a run; of larger content the
    beginning, and the rest when the browser asks. Of every row one line says what it did, while these lines are at most
    a million characters in all.

    Parameters
    ----------
    source
        Where the spans come from.
    keep_all
        Put all content into the frames, whatever its size (for a page that stands alone).
    clock_ns
        What time it is, in ns since the epoch.
    """

    def __init__(self, source: Source, *, keep_all: bool = False, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.lock = threading.RLock()
        self.rows = Rows()
        self.expected = 0
        """How many rows there will be at least; with fewer, no figures are given."""
        self.notes: list[str] = []
        self.ids: Callable[[], tuple[str | None, str | None]] = lambda: (None, None)
        """Tells the ids of the MLflow run and its experiment once they are known."""
        self.feedback: Callable[[Span, Mapping[str, Any]], None] | None = None
        self._source = source
        self._keep_all = keep_all
        self._clock_ns = clock_ns
        self._strings = wire.Strings()
        self._changed: set[int] = set()
        self._strings_sent = 0
        self._seq = 0
        self._head_sent: object = None
        self._payloads: dict[int, bytes] = {}
        self._make = payloads.Payloads(self.rows)
        self._due: deque[int] = deque()
        self._is_due: set[int] = set()
        self._payload_new: set[int] = set()
        self._previews: dict[int, str] = {}
        self._preview_new: set[int] = set()
        self._previews_characters = 0
        self._pushed_bytes = 0
        self._encoded_bytes = 0
        self._whole_frame_bytes = 0
        self._since_whole_bytes = 0
        self._timings: Timings | None = None
        self._timings_new = False
        self._more_head: dict[str, object] = {}
        self.seal: dict[str, str] | None = None
        """What the audit log knows of the run, once it is over; see `agenttrace_nb.views.seal`."""

    @property
    def run(self) -> CellRun | Trace:
        """The run as it stands."""
        return self._source.run

    def headline(self, *, timed: bool = True) -> Headline:
        """Return the head of the view as it stands."""
        with self.lock:
            found = headline(self.run, self.rows, timed=timed)
            if len(self.rows) >= self.expected:
                return found
            reading = Figure("reading", grouped(self.expected), "steps are being read")
            return replace(found, figures=(reading,), why=None, why_row=None)

    def pull(self, *, work_s: float | None = PAYLOAD_WORK_S) -> None:
        """Take in what has happened; spend at most ``work_s`` seconds on content (``None``: until all is done)."""
        with self.lock:
            changed = self.rows.take(self._source.sync())
            if changed:
                self._timings, self._more_head = None, {}
                self.rows.agents = {trace.trace_id: trace.agents for trace in self._source.traces}
            self._changed.update(changed)
            self._due.extend(row for row in changed if row not in self._is_due)
            self._is_due.update(changed)
            self._make_payloads(work_s)

    def look_at_seal(self, *, compare: bool = False) -> None:
        """Look up what the audit log knows of the run, if that is over; later frames say it."""
        if self.run.end_ns is not None:
            self.seal = seal_of(self._source.traces, compare=compare)

    def measure(self) -> None:
        """Work out where the time went and what was declared, if the run is over; later frames say it."""
        with self.lock:
            if self.run.end_ns is None or self._timings is not None:
                return
            self._timings, self._timings_new = timings(self.rows, self.run.start_ns), True
            self._more_head = {"latency": self._timings.head, **declared(self._source.traces)}

    def opened(self) -> None:
        """Take note that a browser has opened with a snapshot: the next frame builds on it."""
        with self.lock:
            self._seq = max(self._seq, 1)
            self._note_sent(self._head())

    def patch(self, *, heartbeat: bool = False) -> bytes | None:
        """Return a frame with what changed since the last one; ``None`` where nothing did.

        A ``heartbeat`` is a frame in any case: the browser then knows that the run goes on, and a frame that was
        lost is noticed. Now and then a frame holds everything, so that a loss heals although a busy kernel cannot
        answer; these frames cost at most twice what the others do.
        """
        with self.lock:
            head = self._head()
            new = self._changed or self._payload_new or self._preview_new or self._timings_new
            if not (new or heartbeat or head != self._head_sent):
                return None
            if self._seq == 0 or self._since_whole_bytes > self._whole_frame_bytes:
                data = self._frame(base=0, seq=self._seq + 1, head=head)
                self._whole_frame_bytes, self._since_whole_bytes = len(data), 0
            else:
                data = self._frame(base=self._seq, seq=self._seq + 1, head=head)
                self._since_whole_bytes += len(data)
            self._seq += 1
            self._note_sent(head)
            return data

    def snapshot(self) -> bytes:
        """Return a frame with everything, for a browser that has nothing; it does not count as sent.

        When the run is over the kernel can be asked: the frame then holds 64 kB of content, as notebooks may save it.
        """
        with self.lock:
            over = self.run.end_ns is not None and not self._keep_all
            kept = self._to_be_saved() if over and self._pushed_bytes > SAVED_LIMIT_BYTES else None
            data = self._frame(base=0, seq=max(self._seq, 1), head=self._head(), kept=kept)
            self._whole_frame_bytes = int(len(data) * max(1, self.expected / max(1, len(self.rows))))
            return data

    def _to_be_saved(self) -> dict[int, bytes]:
        # Made anew: payloads refer to each other, and these must do without those that are left out.
        make, kept, size = payloads.Payloads(self.rows), dict[int, bytes](), 0
        for row in sorted(self._payloads):
            data = make.make(row).data
            if size + len(data) > SAVED_LIMIT_BYTES:
                break
            kept[row] = data
            size += len(data)
        return kept

    def content(self, row: int) -> list[bytes]:
        """Return one row's content as JSON, in pieces of at most 1 MB; none for a row that does not exist."""
        with self.lock:
            if not 0 <= row < len(self.rows):
                return []
            data = self._make.whole(row)
        return [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]

    def _note_sent(self, head: dict[str, object]) -> None:
        self._strings_sent = len(self._strings.texts)
        self._changed.clear()
        self._payload_new.clear()
        self._preview_new.clear()
        self._timings_new = False
        self._head_sent = head

    def take_feedback(self, row: int, said: Mapping[str, Any]) -> str | None:
        """Hand on what the reader thinks of a row; return why that was not possible, in words."""
        if self.feedback is None or not 0 <= row < len(self.rows):
            return "nobody takes ratings here"
        try:
            self.feedback(self.rows.spans[row], said)
        except Exception as error:
            return str(error) or type(error).__name__
        return None

    def _head(self) -> dict[str, object]:
        run = self.run
        place = where(run, *self.ids())
        if place and self._keep_all:
            place.pop("command", None)  # a page is read on other machines too
        known = wire.head(self.headline(), start_ns=run.start_ns, end_ns=run.end_ns, notes=self.notes, mlflow=place)
        more = {**({"feedback": True} if self.feedback else {}), **({"seal": self.seal} if self.seal else {})}
        return {**known, **more, **self._more_head}

    def _frame(self, *, base: int, seq: int, head: dict[str, object], kept: dict[int, bytes] | None = None) -> bytes:
        everything = base == 0
        kept, lines = self._payloads if kept is None else kept, self._previews
        return wire.frame(
            seq=seq, base=base, rows=self.rows,
            changed=range(len(self.rows)) if everything else sorted(self._changed),
            origin_ns=self.run.start_ns, now_ns=self.run.end_ns or self._clock_ns(),
            strings=self._strings, strings_at=0 if everything else self._strings_sent, run=head,
            payloads=kept if everything else {row: kept[row] for row in sorted(self._payload_new) if row in kept},
            previews=lines if everything else {row: lines[row] for row in sorted(self._preview_new)},
            timings=self._timings if everything or self._timings_new else None,
        )  # fmt: skip

    def _make_payloads(self, work_s: float | None) -> None:
        until = None if work_s is None else time.monotonic() + work_s
        while self._due and (until is None or time.monotonic() < until):
            row = self._due.popleft()
            self._is_due.discard(row)
            self._make_preview(row)
            self._make_payload(row)

    def _make_preview(self, row: int) -> None:
        before = self._previews.get(row, "")
        if self._previews_characters > PREVIEWS_LIMIT_CHARACTERS and not before:
            return
        line = gist(self.rows.spans[row])
        if line != before:
            self._previews[row] = line
            self._preview_new.add(row)
            self._previews_characters += len(line) - len(before)

    def _make_payload(self, row: int) -> None:
        full = self._pushed_bytes > PUSHED_LIMIT_BYTES - payloads.WHOLE_LIMIT_BYTES // 8
        if (full or self._encoded_bytes > ENCODED_LIMIT_BYTES) and not self._keep_all:
            self._drop_payload(row)
            return
        made = self._make.make(row, whole=self._keep_all)
        data = made.data
        self._encoded_bytes += made.work_bytes
        self._pushed_bytes -= len(self._payloads.pop(row, b""))
        if self._keep_all or self._pushed_bytes + len(data) <= PUSHED_LIMIT_BYTES:
            self._payloads[row] = data
            self._payload_new.add(row)
            self._pushed_bytes += len(data)
        else:
            self._make.forget(row)

    def _drop_payload(self, row: int) -> None:
        # What the browser has of this row may be out of date; it asks anew when the row is looked at.
        self._pushed_bytes -= len(self._payloads.pop(row, b""))
        self._make.forget(row)
