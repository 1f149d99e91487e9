"""Erasing contents, holding them, and letting them expire. Every proof stays valid; each is an entry of its own.

Erasing destroys the key of a content, and with it the salts of its commitments: nobody can try out any more what they
stand for. Copies elsewhere are not reached: backups, MLflow, bundles that were given away, remains on flash disks.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.place import AuditError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESIDUE = (
    "ids, times, number and status of steps in the log's entries",
    "what was said of the cell run: its tags, parameters and metrics",
    "the rows and artifacts in MLflow: delete them there",
    "the journal that it was recorded in, until it is cleared away (option journal_keep_days)",
    "backups, evidence bundles and exports that were made before",
    "what a flash disk keeps of overwritten bytes",
)
"""What erasing here does not reach."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, or would be; shows itself as a text."""

    traces: tuple[str, ...]
    entries: tuple[int, ...]
    by: int | None

    def __str__(self) -> str:
        """Return it for people."""
        done = f"erased, authorised by entry {self.by}" if self.by is not None else "would be erased"
        lines = [f"{len(self.entries)} contents of {len(self.traces)} traces: {done}", "Not reached:"]
        return "\n".join([*lines, *(f"  {what}" for what in RESIDUE)])

    __repr__ = __str__


def erase(
    traces: str | Sequence[str],
    *,
    reason: str,
    approver: str,
    plan: bool = False,
    override_hold: bool = False,
    folder: Path | None = None,
) -> Erased:
    """Destroy the content of traces in the vault for good.

    Parameters
    ----------
    traces
        Ids of traces.
    reason, approver
        Why, and who allowed it; kept as content of the entry.
    plan
        Only say what would be erased, and what is not reached.
    override_hold
        Whether to erase what is on hold; that is recorded too.
    folder
        The log; by default that of this user.

    Raises
    ------
    AuditError
        If a trace is not sealed, is on hold, or a reason is missing.

    Examples
    --------
    >>> erase("tr-0123...", reason="request of the data subject", approver="DPO", plan=True)  # doctest: +SKIP
    """
    for name, value in (("reason", reason), ("approver", approver)):
        if not str(value).strip():
            msg = f"{name}={value!r} is not allowed; it must be a text that is not empty"
            raise AuditError(msg)
    wanted = [t.removeprefix("tr-") for t in ([traces] if isinstance(traces, str) else traces)]
    with contextlib.closing(AuditLog(folder)) as log:
        targets = [index for trace in wanted for index in _contents(log, trace)]
        held = sorted(set(wanted) & _held(log))
        if held and not override_hold:
            msg = f"trace {held[0]} is on legal hold; release it first, or give override_hold=True, which is recorded"
            raise AuditError(msg)
        if plan:
            return Erased(tuple(wanted), tuple(targets), None)
        parts = [("why", canonical({"reason": reason, "approver": approver}))]
        facts = {"targets": targets, "traces": wanted, "overrodeHold": bool(held)}
        with log.writing() as pen:
            receipt = pen.append(Draft(kind="erase", subject=f"audit-log:{log.origin}", facts=facts, parts=parts))
            pen.erase_content(targets)
        if not log.vault.scrub():
            msg = "erased, but the database's log could not be emptied while others read it; run it again later"
            raise AuditError(msg)
        return Erased(tuple(wanted), tuple(targets), receipt.index)


def hold(traces: str | Sequence[str], *, reason: str, release: bool = False, folder: Path | None = None) -> int:
    """Put traces on legal hold, or release them; held contents are neither erased nor expire.

    Returns
    -------
    int
        The entry that says so.

    Raises
    ------
    AuditError
        If a trace is not sealed.
    """
    wanted = [t.removeprefix("tr-") for t in ([traces] if isinstance(traces, str) else traces)]
    with contextlib.closing(AuditLog(folder)) as log:
        for trace in wanted:
            _contents(log, trace)
        facts = {"traces": wanted, "release": release}
        parts = [("why", canonical({"reason": reason}))]
        return log.append(Draft(kind="legal-hold", subject=f"audit-log:{log.origin}", facts=facts, parts=parts)).index


def expire(*, older_than_days: float, folder: Path | None = None) -> Erased:
    """Erase the contents of traces that were sealed so long ago, but for those on hold. The entries stay.

    Raises
    ------
    AuditError
        If there is no log, or the number of days is negative.
    """
    if not older_than_days >= 0:
        msg = f"older_than_days={older_than_days!r} is not allowed; it must be a number of days, 0 or more"
        raise AuditError(msg)
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=older_than_days)
    with contextlib.closing(AuditLog(folder)) as log:
        held, traces, targets = _held(log), [], []
        rows = log.vault.db.execute("SELECT DISTINCT trace FROM source WHERE kind IN ('run', 'amend')").fetchall()
        for (trace,) in rows:
            indices = _contents(log, trace) if trace not in held else []
            if indices and all(_sealed_at(log, index) < before for index in indices):
                traces.append(trace)
                targets += indices
        if not targets:
            return Erased((), (), None)
        facts = {"targets": targets, "traces": traces, "olderThanDays": older_than_days}
        with log.writing() as pen:
            receipt = pen.append(Draft(kind="retain-expire", subject=f"audit-log:{log.origin}", facts=facts))
            pen.erase_content(targets)
        log.vault.scrub()
        return Erased(tuple(traces), tuple(targets), receipt.index)


def _contents(log: AuditLog, trace: str) -> list[int]:
    entries = log.vault.of_trace(trace)
    if not entries:
        msg = f"there is no sealed trace {trace!r}; at.audit.find() lists what there is"
        raise AuditError(msg)
    there = {row[0] for row in log.vault.db.execute("SELECT i FROM content_key")}
    return [index for index, _ in entries if index in there]


def _held(log: AuditLog) -> set[str]:
    held: set[str] = set()
    for _, entry in log.vault.entries():
        said = Envelope.parse(entry).statement.predicate
        if said["kind"] == "legal-hold":
            held = held - set(said["traces"]) if said["release"] else held | set(said["traces"])
    return held


def _sealed_at(log: AuditLog, index: int) -> dt.datetime:
    entry = log.vault.entry(index)
    said = Envelope.parse(entry or b"").statement.predicate
    return dt.datetime.fromisoformat(str(said["sealedAt"]))
