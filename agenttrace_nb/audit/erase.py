"""Erasing contents: of whole traces, or components of them. Every proof stays valid; each is an entry of its own.

Erasing destroys the key of a content, and with it the salts of its commitments: nobody can try out any more what they
stand for. Copies elsewhere are not reached: backups, MLflow, bundles that were given away, remains on flash disks.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.components import checked, matching
from agenttrace_nb.audit.content import erased_paths
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.place import AuditError, check_given
from agenttrace_nb.audit.retention import refuse_too_early, refuse_while_held
from agenttrace_nb.audit.vault import Source
from agenttrace_nb.mlflow_store.attributes import mlflow_trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agenttrace_nb.audit.log import Pen

CONTENTS = ("run-open", "run", "amend", "feedback")
"""Kinds of entries whose content is a trace's, by what they are found by."""

RESIDUE = (
    "ids, times, number and status of steps in the log's entries",
    "what was said of the cell run: its tags, parameters and metrics",
    "the rows and artifacts in MLflow: delete them there",
    "the journal that it was recorded in, until it is cleared away (option journal_keep_days)",
    "backups, evidence bundles and exports that were made before",
    "what a flash disk keeps of overwritten bytes",
)
"""What erasing here does not reach."""

_SCRUB_S = 10.0
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, or would be; shows itself as a text.

    Attributes
    ----------
    traces
        Ids of the traces.
    entries
        The entries whose content it is, or was part of.
    components
        What was erased of them; empty: all of it.
    by
        The entries that authorise it, one for each trace; empty where nothing was erased.
    """

    traces: tuple[str, ...]
    entries: tuple[int, ...]
    components: tuple[str, ...] = ()
    by: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return it for people."""
        done = f"erased, authorised by {_numbers(self.by)}" if self.by else "would be erased"
        if not self.entries:
            done = "nothing left to erase"
        what = f"{', '.join(self.components)} in {len(self.entries)}" if self.components else f"{len(self.entries)}"
        lines = [f"{what} {_n(self.entries, 'content')} of {len(self.traces)} {_n(self.traces, 'trace')}: {done}"]
        return "\n".join([*lines, "Not reached:", *(f"  {each}" for each in RESIDUE)])

    __repr__ = __str__


def erase(
    traces: str | Sequence[str],
    *,
    reason: str,
    approver: str,
    component: str | Sequence[str] | None = None,
    plan: bool = False,
    override_hold: bool = False,
    override_retention: bool = False,
    folder: Path | None = None,
) -> Erased:
    """Destroy the content of traces in the vault, or components of it, for good.

    Parameters
    ----------
    traces
        Ids of traces.
    reason, approver
        Why, and who allowed it; kept as content of the entry.
    component
        What of them: ``span/3/inputs``, ``span/*/outputs``, ``cell-run``, ``feedback``, or several; by default all.
        Ids, names, times and status of steps stay then. A trace that holds nothing of it is an error.
    plan
        Only say what would be erased, and what is not reached.
    override_hold, override_retention
        Whether to erase what is on hold, or before its period of retention is over; that is recorded too.
    folder
        The log; by default that of this user.

    Raises
    ------
    AuditError
        If a trace is not sealed, is on hold or to be kept still, or a reason is missing.

    Examples
    --------
    >>> erase("tr-0123...", reason="request of the data subject", approver="DPO", plan=True)  # doctest: +SKIP
    """
    check_given("reason", reason)
    check_given("approver", approver)
    wanted = [t.removeprefix("tr-") for t in ([traces] if isinstance(traces, str) else traces)]
    with contextlib.closing(AuditLog(folder)) as log:
        todo = [_Target.of(log, trace, component) for trace in wanted]
        held = refuse_while_held(log, wanted, override=override_hold)
        early = refuse_too_early(log, [i for one in todo for i in one.indices], override=override_retention)
        entries = tuple(index for one in todo for index in one.indices)
        named = tuple(dict.fromkeys(pattern for one in todo for pattern in one.components))
        if plan:
            return Erased(tuple(wanted), entries, named)
        why = [("why", canonical({"reason": reason, "approver": approver}))]
        with log.writing() as pen:
            by = [
                one.erase(pen, "erase", why, {"overrodeHold": one.trace in held, "overrodeRetention": early})
                for one in todo
                if one.indices
            ]
        scrub(log)
        return Erased(tuple(wanted), entries, named, tuple(by))


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to be erased of one trace.

    Attributes
    ----------
    indices
        The entries that hold some of it.
    components
        Patterns; empty: everything.
    """

    trace: str
    indices: tuple[int, ...]
    components: tuple[str, ...] = ()

    @classmethod
    def of(cls, log: AuditLog, trace: str, component: str | Sequence[str] | None) -> _Target:
        indices = contents_of(log, trace)
        if component is None:
            return cls(trace, tuple(indices))
        there = {index: [part.path for part in log.read(index) or ()] for index in indices}
        patterns = checked(component, list(dict.fromkeys(path for paths in there.values() for path in paths)))
        return cls(trace, tuple(i for i, paths in there.items() if matching(patterns, paths)), tuple(patterns))

    def erase(self, pen: Pen, kind: str, parts: Sequence[tuple[str, bytes]], said: dict[str, Any]) -> int:
        facts = {"traceId": self.trace, "targets": list(self.indices), "paths": list(self.components), **said}
        receipt = pen.append(Draft(
            kind=kind, subject=f"mlflow-trace:{mlflow_trace_id(self.trace)}", facts=facts, parts=parts,
            source=Source("", kind, self.trace, pen.size),
        ))  # fmt: skip
        if not self.components:
            pen.erase_content(list(self.indices))
        for index in self.indices if self.components else ():
            pen.erase_parts(index, self.components)
        return receipt.index


def erase_expired(pen: Pen, trace: str, indices: Sequence[int], said: dict[str, Any]) -> int:
    """Destroy contents of a trace whose time is over; return the entry that says so."""
    return _Target(trace, tuple(indices)).erase(pen, "retain-expire", (), said)


def contents_of(log: AuditLog, trace: str) -> list[int]:
    """Return the entries of a trace whose content is, at least partly, still there.

    Raises
    ------
    AuditError
        If the trace is not sealed.
    """
    entries = log.of_trace(trace, *CONTENTS)
    if not entries:
        msg = f"there is no sealed trace {trace!r}; at.audit.find() lists what there is"
        raise AuditError(msg)
    there = "SELECT 1 FROM content_key WHERE i = ?"
    return [index for index in entries if log.vault.db.execute(there, (index,)).fetchone()]


def authorities(log: AuditLog, trace: str) -> dict[int, list[tuple[int, list[str]]]]:
    """Return what was erased of a trace: by entry, which entries say so, and which components (none: all)."""
    found: dict[int, list[tuple[int, list[str]]]] = {}
    for by in log.of_trace(trace, "erase", "retain-expire"):
        said = log.statement(by).predicate
        for index in said["targets"]:
            found.setdefault(index, []).append((by, said["paths"]))
    return found


def erased_parts(log: AuditLog, trace: str, index: int, parts: Iterable[Any]) -> dict[str, int]:
    """Return the paths of an entry's parts that were erased, and which entry says so."""
    gone = erased_paths(log.vault.manifest(index) or b"", parts)
    if not gone:
        return {}
    said = authorities(log, trace).get(index, [])
    return {path: by for by, patterns in said for path in matching(patterns, gone)}


def scrub(log: AuditLog) -> None:
    """Empty the database's log, in which what was destroyed would remain.

    Raises
    ------
    AuditError
        If somebody reads it all the time.
    """
    until = time.monotonic() + _SCRUB_S
    while not log.vault.scrub():
        if time.monotonic() > until:
            msg = "erased, but the database's log could not be emptied while others read it; run it again later"
            raise AuditError(msg)
        time.sleep(_PAUSE_S)


def _numbers(indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return f"entry {indices[0]}"
    return f"entries {', '.join(map(str, indices[:5]))}{' …' if len(indices) > 5 else ''}"  # noqa: PLR2004 - on one line


def _n(things: Sequence[Any], word: str) -> str:
    return word if len(things) == 1 else f"{word}s"
