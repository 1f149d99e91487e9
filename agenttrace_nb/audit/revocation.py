"""Keys that somebody else may hold: revoked by an entry, and what entries with their signature are still worth.

A log cannot tell what its own recorder signed from what a thief signed with the same key. What it can do is to say
since when that is in doubt, and to let the key sign nothing any more. Entries before that stand as ever; those in doubt
stand as far as a pin covers them that was taken before the theft.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.place import AuditError, check_given
from agenttrace_nb.audit.vault import Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agenttrace_nb.audit.vault import Epoch


@dataclass(frozen=True, slots=True)
class Revoked:
    """Entries that a revoked key signed when somebody else may have held it.

    Attributes
    ----------
    epoch
        Number of the epoch whose key it was.
    by
        The entry that revokes it.
    first, last
        The entries in doubt, both included.
    """

    epoch: int
    by: int
    first: int
    last: int

    def __contains__(self, index: int) -> bool:
        """Tell whether an entry is in doubt."""
        return self.first <= index <= self.last

    def __str__(self) -> str:
        """Return it for people."""
        entries = f"entry {self.first}" if self.first == self.last else f"entries {self.first} to {self.last}"
        return (
            f"who wrote {entries}: entry {self.by} revokes the key of epoch {self.epoch} that signed there, since "
            "somebody else may have held it. What a pin covers that was taken before that stands"
        )


def revoke(*, reason: str, epoch: int | None = None, since: int | None = None, folder: Path | None = None) -> int:
    """Revoke a key that signs entries, because somebody else may hold it. It signs nothing any more.

    The key of the epoch that goes on is replaced first, and destroyed. The key that signs checkpoints cannot be
    revoked: the anchor names it. If that one was taken, pin the log as it is, move its folder away and begin another.

    Parameters
    ----------
    reason
        Why; kept as content of the entry.
    epoch
        Whose key, as `status` numbers epochs; by default the one that goes on.
    since
        The first entry that somebody else may have signed with it; by default the first that it could sign.

    Returns
    -------
    int
        The entry that says so. Publish or pin the log then: a pin shows that the key was revoked, whatever its thief
        writes.

    Raises
    ------
    AuditError
        If there is no such epoch, or its key did not sign that entry.

    Examples
    --------
    >>> revoke(reason="laptop stolen on Monday", since=118)  # doctest: +SKIP
    """
    check_given("reason", reason)
    with contextlib.closing(AuditLog(folder)) as log, log.writing() as pen:
        epochs = log.vault.epochs()
        number = epochs[-1].number if epoch is None else epoch
        if number not in range(len(epochs)):
            msg = f"epoch={epoch!r} is not allowed; there are epochs 0 to {epochs[-1].number}"
            raise AuditError(msg)
        signed = signed_by(epochs, number, pen.size)
        if since is not None and since not in signed:
            which = f"entries {signed[0]} to {signed[-1]}" if signed else "no entry yet"
            msg = f"since={since!r} is not allowed; the key of epoch {number} signed {which}"
            raise AuditError(msg)
        if number == epochs[-1].number:
            pen.rotate()
        facts = {
            "epoch": number, "recorderKey": epochs[number].public.hex(),
            "since": since if since is not None else signed.start,
        }  # fmt: skip
        return pen.append(Draft(
            kind="key-revoke", subject=f"audit-log:{log.origin}", facts=facts,
            parts=[("why", canonical({"reason": reason}))], source=Source("", "key-revoke", "", pen.size),
        )).index  # fmt: skip


def signed_by(epochs: Sequence[Epoch], number: int, size: int) -> range:
    """Return the entries that the key of an epoch signs, in a log of ``size`` entries."""
    begun = epochs[number]
    first = begun.index + 1 if number else 0  # the first key signs the entry that names it too
    return range(first, epochs[number + 1].index + 1 if number + 1 < len(epochs) else size)


def revocations(log: AuditLog) -> list[Revoked]:
    """Return what the log says of revoked keys; nothing of it is verified."""
    epochs, size, found = log.vault.epochs(), log.vault.size(), []
    for by in log.vault.of_kind("key-revoke"):
        said = log.statement(by).predicate
        found.append(Revoked(said["epoch"], by, said["since"], signed_by(epochs, said["epoch"], size)[-1]))
    return found
