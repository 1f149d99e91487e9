"""The examination of keys: which one must sign an entry, and which must not sign any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.audit.keys import key_id
from agenttrace_nb.audit.revocation import Revoked, signed_by
from agenttrace_nb.audit.vault import Epoch

if TYPE_CHECKING:
    from agenttrace_nb.audit.envelope import Envelope, Statement
    from agenttrace_nb.audit.report import Report


class KeyHistory:
    """The keys of a log as its entries tell them, in order.

    Parameters
    ----------
    report
        Takes what is found.

    Attributes
    ----------
    epochs
        Those that have begun so far.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._revoked: dict[int, tuple[int, int]] = {}
        self.epochs: list[Epoch] = []

    def public(self, first: Statement) -> bytes:
        """Return the key that must sign the next entry; ``first`` is that entry where it is the log's first."""
        return self.epochs[-1].public if self.epochs else bytes.fromhex(first.predicate["recorderKey"])

    def why_not(self, envelope: Envelope) -> str:
        """Return what is to be said of an entry that is not signed by the key that must sign it."""
        for epoch in self.epochs:
            if key_id(epoch.public) == envelope.key_id and epoch.number in self._revoked:
                by, _ = self._revoked[epoch.number]
                return f"it is signed with the key of epoch {epoch.number}, which entry {by} revoked"
        return "the entry names a key that is not the one that was to sign here"

    def take(self, statement: Statement) -> None:
        """Take an entry that the right key signed.

        Raises
        ------
        KeyError, ValueError, TypeError
            If it does not say what belongs to its kind.
        """
        if statement.kind in ("genesis", "key-rotate"):
            self._begin(statement)
        elif statement.kind == "key-revoke":
            self._revoke(statement)

    def say(self, size: int) -> None:
        """Tell which entries are in doubt, in a log of ``size`` entries."""
        for number, (by, since) in self._revoked.items():
            self._report.revoked.append(Revoked(number, by, since, signed_by(self.epochs, number, size)[-1]))

    def _begin(self, statement: Statement) -> None:
        said, number = statement.predicate, len(self.epochs)
        if int(said.get("epoch", 0)) != number:
            self._report.find(f"it begins epoch {said.get('epoch')} where epoch {number} begins", index=statement.index)
        public = bytes.fromhex(said["recorderKey"])
        if any(epoch.public == public for epoch in self.epochs):
            self._report.find("it begins an epoch with a key that was used before", index=statement.index)
        self.epochs.append(Epoch(number, statement.index, public, said["sealedAt"]))

    def _revoke(self, statement: Statement) -> None:
        said, index = statement.predicate, statement.index
        number, since = said["epoch"], said["since"]
        if number not in range(len(self.epochs)) or self.epochs[number].public.hex() != said["recorderKey"]:
            self._report.find("it revokes a key that this log never had", index=index)
        elif number == self.epochs[-1].number:
            self._report.find("it revokes the key that goes on signing", index=index)
        elif since not in signed_by(self.epochs, number, index):
            self._report.find("it revokes a key since an entry that the key did not sign", index=index)
        else:
            earlier = self._revoked.get(number, (index, since))
            self._revoked[number] = (earlier[0], min(earlier[1], since))
