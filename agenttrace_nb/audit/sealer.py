"""The follower that seals a journal into the audit log: when a trace begins, when it ends, and what is said later.

It may be killed at any point: what it has sealed is known by its place in the journal, and is not sealed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import canon, recorded
from agenttrace_nb.audit.log import AuditLog, Draft, Receipt
from agenttrace_nb.audit.vault import Source
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.follow import Follower
from agenttrace_nb.journal.sealing import FOLLOWER
from agenttrace_nb.mlflow_store.attributes import mlflow_trace_id
from agenttrace_nb.mlflow_store.merge import continued
from agenttrace_nb.mlflow_store.target import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.audit.log import Pen
    from agenttrace_nb.journal.events import Event

EVENTS_PER_READ = 4000
ITEMS_REMEMBERED = 1000
"""Prompts, answers and results that are kept for the next span that holds them, while a trace goes on."""
_NOT_SAID = frozenset({"tracking_uri", "cwd"})
"""Where feedback is sent to, which is not what was said (and an address may hold a password)."""


@dataclass(slots=True)
class _Open:
    """A trace that is not, or not any more, sealed as it stands.

    Attributes
    ----------
    run_keys
        The cell runs that it belongs to, the first one first.
    continues
        Whether its beginning is not in what was read.
    started
        The spans that began since, where it continues.
    """

    first_seq: int
    last_seq: int
    run_keys: list[str] = field(default_factory=list)
    ended: bool = False
    continues: bool = False
    started: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class SealedRun:
    """A run that has just been sealed."""

    trace_id: str
    run_key: str | None
    receipt: Receipt


class Sealer:
    """Seals one journal.

    Parameters
    ----------
    path
        The journal.
    log
        The audit log.
    tell
        Takes each run that was sealed.

    Raises
    ------
    FollowerBusyError
        If another process seals this journal.
    """

    def __init__(self, path: Path, log: AuditLog, tell: Callable[[SealedRun], None] = lambda _: None) -> None:
        self._follower = Follower(path, FOLLOWER)
        self._log = log
        self._tell = tell
        # Each turn's prompt holds the items of those before.
        self._item = lru_cache(maxsize=ITEMS_REMEMBERED)(self._follower.item)
        self._fold = Fold(self._item)
        self._position = self._follower.cursor
        self._read_before = int(self._follower.state.get("position", 0))
        self._sealed: dict[str, int] = dict(self._follower.state.get("sealed", {}))
        self._traces: dict[str, _Open] = {}
        self._runs: dict[str, dict[str, Any]] = {}
        self._run_since: dict[str, int] = {}
        self._drafts: list[Draft] = []
        self._said: dict[str, list[Event]] = {}
        self._feedback: list[Event] = []
        self._said_up_to = self._last_said(path.name)
        self._recovering = self._read_before > 0

    @property
    def path(self) -> Path:
        """The journal."""
        return self._follower.path

    def step(self) -> bool:
        """Read what is new and seal what is due.

        Returns
        -------
        bool
            Whether there was anything new.

        Raises
        ------
        AuditError
            If the log cannot be written; nothing is lost, the next step tries again.
        """
        events = self._follower.read(EVENTS_PER_READ, after=self._position)
        for event in events:
            self._take(event)
        if (
            events
            or self._drafts
            or self._said
            or self._feedback
            or any(known.ended for known in self._traces.values())
        ):
            sealed = self._seal()
            self._save()
            for each in sealed:  # last: whoever hears it looks for what was saved
                self._tell(each)
        return bool(events)

    def is_at_end(self) -> bool:
        """Tell whether the journal was read, and sealed, to its end."""
        return self._position >= self._follower.last_seq()

    def close(self) -> None:
        """Give the journal up."""
        self._follower.close()

    # -- reading ------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if event.seq > self._position + 1 and event.seq > self._read_before:
            facts = {"journal": self.path.name, "fromSeq": self._position + 1, "toSeq": event.seq - 1}
            self._drafts.append(Draft(kind="gap", subject=f"journal:{self.path.name}", facts=facts))
        if self._recovering and event.seq > self._read_before:
            self._recovering = False
            self._drafts.append(self._recovery(event.seq))
        self._position = event.seq
        try:
            self._fold.apply(event)
        except (ValueError, KeyError, TypeError) as error:
            facts = {"journal": self.path.name, "fromSeq": event.seq, "toSeq": event.seq, "why": type(error).__name__}
            self._drafts.append(Draft(kind="gap", subject=f"journal:{self.path.name}", facts=facts))
            return
        if event.kind is EventKind.RUN_START:
            self._runs[str(event.run_key)] = _cell_run(event)
            self._run_since[str(event.run_key)] = event.seq
        elif event.kind in (EventKind.RUN_DATA, EventKind.RUN_END):
            if event.seq > self._said_up_to:
                self._said.setdefault(str(event.run_key), []).append(event)
            if event.kind is EventKind.RUN_END:
                self._run_since.pop(str(event.run_key), None)
        elif event.kind is EventKind.FEEDBACK:
            self._feedback.append(event)
        elif event.trace_id is not None:
            self._take_trace(event, event.trace_id)

    def _take_trace(self, event: Event, trace_id: str) -> None:
        known = self._traces.get(trace_id)
        if known is None:
            continues = event.kind is not EventKind.TRACE_START or bool(event.body.get("resumed"))
            known = self._traces[trace_id] = _Open(event.seq, event.seq, continues=continues)
            known.ended = event.kind is not EventKind.TRACE_START  # what comes after the end is sealed as it comes
        known.last_seq = event.seq
        if event.run_key is not None and event.run_key not in known.run_keys:
            known.run_keys.append(event.run_key)
        if event.kind is EventKind.TRACE_START:
            known.ended = False
            self._drafts.append(self._opening(event, trace_id))
        elif event.kind is EventKind.TRACE_END:
            known.ended = True
        elif event.kind is EventKind.SPAN_START and event.span_id is not None:
            known.started.add(event.span_id)

    # -- sealing ------------------------------------------------------------------------------------------------

    def _seal(self) -> list[SealedRun]:
        ended = [(trace_id, known) for trace_id, known in self._traces.items() if known.ended]
        drafts = self._drafts + [self._said_of(key, events) for key, events in self._said.items()]
        receipts: list[SealedRun] = []
        if drafts or ended or self._feedback:
            with self._log.writing() as pen:
                for draft in drafts:
                    pen.append(draft)
                for trace_id, known in ended:
                    receipt = self._seal_trace(pen, trace_id, known)
                    receipts.append(SealedRun(trace_id, next(iter(known.run_keys), None), receipt))
                for event in self._feedback:  # last: what it is about may have ended just now
                    pen.append(self._feedback_of(event))
        self._drafts.clear()
        self._said.clear()
        self._feedback.clear()
        self._said_up_to = max(self._said_up_to, self._position)
        for trace_id, known in ended:
            self._sealed[trace_id] = known.last_seq
            del self._traces[trace_id]
            self._fold.forget(trace_id)
        if not self._traces:
            self._item.cache_clear()
        return receipts

    def _seal_trace(self, pen: Pen, trace_id: str, known: _Open) -> Receipt:
        for kind in ("run", "amend"):
            before = self._log.vault.index_of(Source(self.path.name, kind, trace_id, known.last_seq))
            if before is not None:
                return Receipt(before, self._log.vault.checkpoint(before + 1) or "")
        earlier = self._log.vault.of_trace(trace_id)
        opened = next((index for index, kind in reversed(earlier) if kind == "run-open"), None)
        whole = [index for index, kind in earlier if kind in ("run", "amend")]
        trace = self._fold.traces[trace_id]
        if known.continues and whole and (parts := self._log.read(whole[-1])) is not None:
            trace = continued(recorded.trace_of(recorded.from_parts(parts)), trace, known.started)
        key = next(iter(known.run_keys), None)
        run = self._fold.runs.get(key or "")
        records = recorded.sealed_records(trace, run, key)
        kind = "amend" if whole else "run"
        facts = {
            "traceId": trace_id, "runKey": key, "open": opened, "amends": whole[-1] if whole else None,
            "spans": len(records), "status": trace.status.value, "startedNs": trace.start_ns, "endedNs": trace.end_ns,
        }  # fmt: skip
        parts_now = recorded.to_parts(records, self._runs.get(key or "", {"key": key}))
        return pen.append(self._draft(kind, trace_id, known.last_seq, facts, parts_now))

    def _opening(self, event: Event, trace_id: str) -> Draft:
        facts = {"traceId": trace_id, "runKey": event.run_key, "startedNs": event.time_ns}
        parts = recorded.to_parts([], self._runs.get(str(event.run_key), {"key": event.run_key}))
        return self._draft("run-open", trace_id, event.seq, facts, parts)

    def _draft(self, kind: str, trace_id: str, seq: int, facts: dict[str, Any], parts: Any) -> Draft:
        return Draft(
            kind=kind, subject=f"mlflow-trace:{mlflow_trace_id(trace_id)}", facts=facts, parts=parts,
            source=Source(self.path.name, kind, trace_id, seq),
        )  # fmt: skip

    def _said_of(self, key: str, events: list[Event]) -> Draft:
        """Return an entry for what was said of a cell run: tags, parameters, metrics, ratings, its end."""
        parts = [
            (f"{event.kind.value}/{event.seq}", canon.canonical({"time_ns": event.time_ns, **event.body}))
            for event in events
        ]
        facts = {"runKey": key, "fromSeq": events[0].seq, "toSeq": events[-1].seq}
        return Draft(
            kind="amend", subject=f"cell-run:{key}", facts=facts, parts=parts,
            source=Source(self.path.name, "said", key, events[-1].seq),
        )  # fmt: skip

    def _feedback_of(self, event: Event) -> Draft:
        """Return an entry for what somebody said of a trace, wherever that is: a rating, an error that was reported."""
        said = {name: value for name, value in event.body.items() if name not in _NOT_SAID}
        trace_id = str(said.get("trace_id"))
        whole = self._log.vault.of_kind("run", "amend", trace=trace_id)
        return Draft(
            kind="amend", subject=f"mlflow-trace:{mlflow_trace_id(trace_id)}",
            facts={"traceId": trace_id, "amends": whole[-1] if whole else None, "feedback": True},
            parts=[("feedback", canon.canonical(said))],
            source=Source(self.path.name, "feedback", trace_id, event.seq),
        )  # fmt: skip

    def _recovery(self, seq: int) -> Draft:
        """Return an entry that says that another process goes on with the journal."""
        facts = {"journal": self.path.name, "fromSeq": seq}
        return Draft(kind="recovery", subject=f"journal:{self.path.name}", facts=facts)

    def _last_said(self, journal: str) -> int:
        row = self._log.vault.db.execute(
            "SELECT max(seq) FROM source WHERE journal = ? AND kind = 'said'", (journal,)
        ).fetchone()
        return int(row[0] or 0)

    def _save(self) -> None:
        """Save how far it is. Where something is open, the next process begins before that; this one need not."""
        keep = [known.first_seq for known in self._traces.values()] + list(self._run_since.values())
        cursor = min(keep) - 1 if keep else self._position
        self._sealed = {trace: seq for trace, seq in self._sealed.items() if seq > cursor}
        self._follower.state = {"position": self._position, "sealed": self._sealed}
        self._follower.save(cursor)


def _cell_run(event: Event) -> dict[str, Any]:
    """Return what is known of a cell run at its start, without a password of the tracking URI."""
    known = {**event.body, "key": event.run_key, "start_ns": event.time_ns, "tags": dict(event.body.get("tags") or {})}
    if known.get("tracking_uri"):
        known["tracking_uri"] = shown(known["tracking_uri"])
    return known


def seal_journal(path: Path, log: AuditLog) -> None:
    """Seal a journal whose process has ended, to its end.

    Raises
    ------
    JournalError
        If somebody else seals it, or it cannot be read.
    """
    sealer = Sealer(path, log)
    try:
        while sealer.step():
            pass
    finally:
        sealer.close()
