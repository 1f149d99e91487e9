"""Beginning an audit log, turning it off and on, and saying how it stands."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.audit.log import AuditLog, Draft, exists
from agenttrace_nb.audit.note import Note
from agenttrace_nb.audit.place import audit_folder
from agenttrace_nb.journal import sealing

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_OPEN = """
SELECT count(*) FROM source s WHERE s.kind = 'run-open' AND NOT EXISTS
  (SELECT 1 FROM source r WHERE r.trace = s.trace AND r.kind IN ('run', 'amend') AND r.i > s.i)
"""


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """How an audit log stands; shows itself as a text.

    Attributes
    ----------
    on
        Whether what is recorded is sealed.
    anchor
        What the log is known by; ``None`` where there is no log.
    entries, runs, open_runs
        Numbers of entries, of sealed traces, and of traces that were begun and not ended.
    checkpoint
        The last one, on one line: origin, size, root.
    """

    on: bool
    folder: Path
    anchor: str | None = None
    entries: int = 0
    runs: int = 0
    open_runs: int = 0
    epoch: int | None = None
    checkpoint: str | None = None

    def __str__(self) -> str:
        """Return it for people."""
        if self.anchor is None:
            return f"There is no audit log in {self.folder}; at.audit.init() makes one."
        return (
            f"Audit log {'on' if self.on else 'OFF: what is recorded now goes on unsealed'}\n"
            f"  folder      {self.folder}\n"
            f"  anchor      {self.anchor}\n"
            f"  entries     {self.entries} ({self.runs} runs sealed, {self.open_runs} open), key epoch {self.epoch}\n"
            f"  checkpoint  {self.checkpoint}\n"
            "Note the anchor and this checkpoint where nobody who can write here can change them: without that, who\n"
            "holds the keys of this machine can write a new log that looks as good."
        )

    __repr__ = __str__


def init(*, keys: Path | None = None, remote: str | None = None) -> AuditStatus:
    """Make the audit log of this user, if there is none, and turn it on.

    From now on each trace is sealed before it goes to MLflow.

    Parameters
    ----------
    keys
        Where its keys lie; by default in the user's folder for configuration.
    remote
        A git repository that checkpoints are pushed to as the log grows: a pin, if nobody here may rewrite it there.

    Returns
    -------
    AuditStatus
        With the anchor of the log; note it somewhere else.

    Raises
    ------
    AuditError
        If files of a log are there, but cannot be used.

    Examples
    --------
    >>> init()  # doctest: +SKIP
    Audit log on
    """
    if exists():
        return on()
    with contextlib.closing(AuditLog.make(keys=keys, settings={"remote": remote} if remote else None)):
        sealing.turn_on()
    return status()


def on() -> AuditStatus:
    """Turn the audit log on again; where it was off, that is an entry.

    Raises
    ------
    AuditError
        If there is none.
    """
    with contextlib.closing(AuditLog()) as log:
        if not sealing.is_on():
            log.append(Draft(kind="audit-on", subject=f"audit-log:{log.origin}"))
            sealing.turn_on()
    return status()


def off(*, reason: str) -> AuditStatus:
    """Turn the audit log off: what is recorded then goes on without being sealed first. That is an entry.

    A journal that is still there when the log is turned on again is sealed then, late.

    Parameters
    ----------
    reason
        Why; kept as content of the entry.

    Raises
    ------
    AuditError
        If there is none.
    """
    from agenttrace_nb.audit.canon import canonical

    with contextlib.closing(AuditLog()) as log:
        if sealing.is_on():
            parts = [("reason", canonical(reason))]
            log.append(Draft(kind="audit-off", subject=f"audit-log:{log.origin}", parts=parts))
            sealing.turn_off()
    return status()


def status(*, folder: Path | None = None) -> AuditStatus:
    """Return how the audit log stands.

    Examples
    --------
    >>> status().on
    False
    """
    folder = folder or audit_folder()
    if not exists(folder):
        return AuditStatus(on=False, folder=folder)
    with contextlib.closing(AuditLog(folder)) as log:
        db, tip, epoch = log.vault.db, log.vault.tip(), log.vault.last_epoch()
        return AuditStatus(
            on=sealing.is_on(),
            folder=folder,
            anchor=log.anchor(),
            entries=log.vault.size(),
            runs=_count(db, "SELECT count(DISTINCT trace) FROM source WHERE kind = 'run'"),
            open_runs=_count(db, _OPEN),
            epoch=None if epoch is None else epoch.number,
            checkpoint=None if tip is None else " ".join(Note.parse(tip.note).text.split("\n")[:3]),
        )


def _count(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
