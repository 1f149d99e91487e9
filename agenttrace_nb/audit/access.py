"""Who read what: entries of the kind ``access``, for those who must know.

Not written unless that is asked for: reading works on a copy that nothing can be written to, and leaves nothing behind.
`record_access` has each `show` and `find` recorded; a purpose given to one of them has that one recorded.

What is recorded is who read with this software and did not keep it from being recorded. Whoever holds the vault and its
content key can read with another program, and no log on the same machine would know.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import platform
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import canon
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.place import AuditError, check_given
from agenttrace_nb.audit.vault import Source
from agenttrace_nb.mlflow_store.attributes import mlflow_trace_id

if TYPE_CHECKING:
    from pathlib import Path

_WAIT_MS = 5000
"""How long a reader waits for the log to be free, before the reading goes unrecorded."""
_POLICY = "access-policy"
_log = logging.getLogger("agenttrace_nb.audit")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is about to be handed out.

    Attributes
    ----------
    what
        ``show`` or ``find``.
    traces
        Whose content it is.
    asked
        What was looked for.
    purpose
        What for, in the reader's words.
    """

    what: str
    traces: tuple[str, ...]
    asked: dict[str, Any] = field(default_factory=dict)
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """A reading that was recorded.

    Attributes
    ----------
    index
        The entry.
    at
        When, by the clock of the machine where it was read.
    user, host
        Who, as the operating system names them, and where.
    """

    index: int
    at: str
    what: str
    traces: tuple[str, ...]
    asked: dict[str, Any]
    user: str
    host: str
    purpose: str | None

    def __str__(self) -> str:
        """Return it in one line."""
        traces = ", ".join(f"tr-{trace}" for trace in self.traces[:3]) or "nothing"
        more = f" and {len(self.traces) - 3} more" if len(self.traces) > 3 else ""  # noqa: PLR2004 - on one line
        purpose = f": {self.purpose}" if self.purpose else ""
        return f"entry {self.index:>5}  {self.at[:19]}  {self.user}@{self.host}  {self.what}  {traces}{more}{purpose}"


def record_access(*, on: bool = True, reason: str, folder: Path | None = None) -> int:
    """Have each reading of contents recorded from now on, or no longer; that is an entry too.

    Parameters
    ----------
    on
        Whether `show` and `find` write an entry of the kind ``access``.
    reason
        Why; kept as content of the entry.

    Returns
    -------
    int
        The entry that says so.

    Raises
    ------
    AuditError
        If there is no log, or no reason.

    Examples
    --------
    >>> record_access(reason="policy 12: who reads patients' cases")  # doctest: +SKIP
    """
    check_given("reason", reason)
    with contextlib.closing(AuditLog(folder)) as log, log.writing() as pen:
        return pen.append(Draft(
            kind="config-change", subject=f"audit-log:{log.origin}", facts={"recordAccess": on},
            parts=[("why", canon.canonical({"reason": reason}))], source=Source("", _POLICY, "", pen.size),
        )).index  # fmt: skip


def is_recorded(log: AuditLog) -> bool:
    """Tell whether each reading is recorded."""
    said = log.vault.of_kind(_POLICY)
    return bool(said) and log.statement(said[-1]).predicate["recordAccess"] is True


def recorded(log: AuditLog, reading: Reading) -> int | None:
    """Record a reading, where that is asked for; return the entry.

    A reading is not refused because it cannot be recorded: it is said, in the log of this process, that it was not.
    """
    try:
        if reading.purpose is None and not is_recorded(log):
            return None
        with contextlib.closing(AuditLog(log.folder)) as writable:
            writable.vault.db.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
            with writable.writing() as pen:
                return pen.append(_draft(writable.origin, reading, pen.size)).index
    except (AuditError, sqlite3.Error, OSError, ValueError) as error:
        _log.warning("This reading of sealed content was NOT recorded, as was asked for: %s", error)
        return None


def _draft(origin: str, reading: Reading, place: int) -> Draft:
    one = reading.traces[0] if reading.what == "show" else None
    subject = f"mlflow-trace:{mlflow_trace_id(one)}" if one else f"audit-log:{origin}"
    who = {"user": _user(), "host": platform.node(), "purpose": reading.purpose}
    parts = [("who", who), ("asked", reading.asked), ("traces", list(reading.traces))]
    return Draft(
        kind="access", subject=subject, facts={"what": reading.what, "traceId": one, "traces": len(reading.traces)},
        parts=[(name, canon.canonical(value)) for name, value in parts], source=Source("", "access", one or "", place),
    )  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for its user
        return f"uid {os.getuid()}"


def accesses(trace_id: str | None = None, *, folder: Path | None = None) -> list[Access]:
    """Return the readings that were recorded, oldest first.

    Parameters
    ----------
    trace_id
        Of one trace, with or without ``tr-``; by default of all.
    folder
        The log; by default that of this user.

    Raises
    ------
    AuditError
        If there is no log, or an entry was changed.
    """
    wanted = None if trace_id is None else trace_id.removeprefix("tr-")
    with contextlib.closing(AuditLog(folder, read_only=True)) as log:
        found = [_access(log, index) for index in log.vault.of_kind("access")]
    return [access for access in found if wanted is None or wanted in access.traces]


def _access(log: AuditLog, index: int) -> Access:
    said = log.statement(index).predicate
    parts = {part.path: canon.original(canon.parse(part.data)) for part in log.read(index) or ()}
    who = parts.get("who", {})
    return Access(
        index, str(said["sealedAt"]), str(said["what"]), tuple(parts.get("traces", ())), parts.get("asked", {}),
        who.get("user", "unknown"), who.get("host", "unknown"), who.get("purpose"),
    )  # fmt: skip
