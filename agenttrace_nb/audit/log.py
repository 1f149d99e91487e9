"""The audit log of this user: made once, appended to by every process that seals.

A log is known by its *anchor*: its origin and the hash of its first entry, which names its keys. Whoever holds the
anchor from elsewhere can tell this log from one that was made up later.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import sqlite3
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import content
from agenttrace_nb.audit.components import matching
from agenttrace_nb.audit.envelope import Envelope, EnvelopeError, Statement, signed
from agenttrace_nb.audit.keys import KeyRing
from agenttrace_nb.audit.merkle import EMPTY_ROOT, Edge, leaf_hash
from agenttrace_nb.audit.note import Checkpoint, Note, Signature, Verifier
from agenttrace_nb.audit.place import AuditError, audit_folder, keys_folder, made_private, write_new
from agenttrace_nb.audit.vault import Epoch, Source, Tip, Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMA = 1
EPOCH_LENGTH = dt.timedelta(hours=24)
KINDS = frozenset({
    "genesis", "run-open", "run", "amend", "key-rotate", "key-revoke", "erase", "retain-expire", "legal-hold",
    "config-change", "audit-on", "audit-off", "gap", "recovery", "export", "access", "heartbeat", "pin",
})  # fmt: skip
_VAULT = "log.db"
_SETTINGS = "settings.json"
_ANCHOR = "anchor.txt"
_NTP = Path("/run/systemd/timesync/synchronized")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry to be.

    Attributes
    ----------
    facts
        What stands openly in the entry; nothing that anybody wrote belongs there.
    parts
        Its content: path and canonical bytes of each part.
    source
        Where it came from; a second one from there is not written.
    """

    kind: str
    subject: str
    facts: dict[str, Any] = field(default_factory=dict)
    parts: Sequence[tuple[str, bytes]] = ()
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a draft: the entry's index, and the checkpoint (a signed note) that covers it."""

    index: int
    checkpoint: str


class AuditLog:
    """An audit log that can be appended to.

    Parameters
    ----------
    folder
        Where its vault lies; by default that of this user.
    read_only
        Whether nothing is to be changed, as for verifying.

    Raises
    ------
    AuditError
        If there is none, or its files cannot be used.
    """

    def __init__(self, folder: Path | None = None, *, read_only: bool = False) -> None:
        self.folder = folder or audit_folder()
        self.settings = read_settings(self.folder)
        self.origin: str = self.settings["origin"]
        self.keys = key_ring(self.settings)
        self.vault = Vault(self.folder / _VAULT, read_only=read_only)
        if not read_only:
            self._finish()

    def _finish(self) -> None:
        """Destroy what a process that was killed had no time to destroy any more: keys of epochs, and of contents."""
        if (epoch := self.vault.last_epoch()) is not None:
            self.keys.destroy_before(epoch.number)
        with contextlib.suppress(sqlite3.OperationalError):  # busy; whoever is at it opens it anew some day
            self.vault.scrub(wait=False)

    @classmethod
    def make(
        cls, folder: Path | None = None, *, keys: Path | None = None, settings: dict[str, Any] | None = None
    ) -> AuditLog:
        """Make a log: its keys, its vault and its first entry.

        Parameters
        ----------
        folder, keys
            Where they are put; by default in the user's folders.
        settings
            What else was chosen; kept beside the vault.

        Raises
        ------
        AuditError
            If there is a log already.
        """
        folder = made_private(folder or audit_folder())
        if (folder / _SETTINGS).exists():
            msg = f"there is an audit log already in {folder}"
            raise AuditError(msg)
        log_id = str(uuid.uuid4())
        chosen = {
            **(settings or {}), "version": SCHEMA, "origin": f"agenttrace-nb/{log_id}",
            "keys": str(keys or keys_folder(log_id)),
        }  # fmt: skip
        key_ring(chosen).make()
        Vault.make(folder / _VAULT).close()
        write_new(folder / _SETTINGS, json.dumps(chosen, indent=2).encode())
        log = cls(folder)
        log._write_genesis()
        write_new(log.keys.folder / _ANCHOR, f"{log.anchor()}\n".encode())
        return log

    def _write_genesis(self) -> None:
        recorder = self.keys.recorder(0)
        facts = {"origin": self.origin, "logKey": str(self.verifier()), "recorderKey": recorder.public.hex()}
        with self.writing() as pen:
            pen.append(Draft(kind="genesis", subject=f"audit-log:{self.origin}", facts=facts))

    def verifier(self) -> Verifier:
        """Return what its checkpoints are verified with."""
        return Verifier(self.origin, self.keys.log().public)

    def anchor(self) -> str:
        """Return its anchor, to be noted where nobody who can write here can change it."""
        first = self.vault.entry(0)
        if first is None:
            msg = f"the audit log in {self.folder} has no first entry; its making was interrupted. Move the folder away"
            raise AuditError(msg)
        return anchor_of(self.origin, first)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Pen]:
        """Append entries: all that are appended in the block are on the disk after it, or none is.

        Other processes wait meanwhile.
        """
        before = self.vault.last_epoch()
        with self.vault.transaction():
            pen = Pen(self)
            yield pen
        after = self.vault.last_epoch()
        if after is not None and before is not None and after.number > before.number:
            self.keys.destroy_before(after.number)

    def append(self, draft: Draft) -> Receipt:
        """Append one entry."""
        with self.writing() as pen:
            return pen.append(draft)

    def rotate(self) -> Receipt:
        """Begin a new epoch: a new key signs from here on, and the old one is destroyed."""
        with self.writing() as pen:
            return pen.rotate()

    def read(self, index: int) -> list[content.Part] | None:
        """Return an entry's content, checked against its commitments; ``None`` where there is none (any more).

        Raises
        ------
        AuditError, ContentError
            If it was changed.
        """
        sealed = self.vault.sealed(index, self.keys.content())
        return None if sealed is None else content.unseal(sealed, bound_to(self.origin, index))

    def statement(self, index: int) -> Statement:
        """Return what an entry says; nothing of it is verified.

        Raises
        ------
        AuditError
            If it is missing, or cannot be read.
        """
        entry = self.vault.entry(index)
        try:
            return Envelope.parse(entry or b"").statement
        except EnvelopeError as error:
            msg = f"entry {index} is missing or was changed; run `agenttrace-nb audit verify`"
            raise AuditError(msg) from error

    def of_trace(self, trace: str, *kinds: str) -> list[int]:
        """Return the entries of a trace that are found by these kinds, in order.

        Raises
        ------
        AuditError
            If the vault's index names an entry that is of another trace: somebody has edited it.
        """
        found = self.vault.of_kind(*kinds, trace=trace)
        for index in found:
            if self.statement(index).predicate.get("traceId") != trace:
                msg = (
                    f"the vault's index names entry {index} for trace {trace}, and that entry is of another trace: the "
                    "index was edited. Run `agenttrace-nb audit verify`"
                )
                raise AuditError(msg)
        return found

    def keep_pin(self, kind: str, size: int, data: bytes) -> None:
        """Keep a time stamp or a cosignature in the vault, with an entry that commits to it."""
        at = now_text()
        facts = {"pinKind": kind, "pinSize": size, "pinAt": at, "pinDigest": hashlib.sha256(data).hexdigest()}
        with self.writing() as pen:
            pen.append(Draft(kind="pin", subject=f"audit-log:{self.origin}", facts=facts))
            self.vault.add_pin(kind, size, at, data)

    def close(self) -> None:
        """Close the vault."""
        self.vault.close()


class Pen:
    """Appends to a log while its one writer's place is held. Made by `AuditLog.writing`."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._vault = log.vault
        tip = self._vault.tip()
        self._edge = Edge() if tip is None else Edge.from_bytes(tip.size, bytes(tip.edge))
        self._last = None if tip is None else Note.parse(tip.note).text
        if tip is not None and self._last != str(self._checkpoint()):
            msg = "the end of the audit log does not belong to its last checkpoint; run `agenttrace-nb audit verify`"
            raise AuditError(msg)
        self._epoch = self._vault.last_epoch()

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._edge.size

    def append(self, draft: Draft) -> Receipt:
        """Append an entry; one that was made from the same source before is left as it is.

        Raises
        ------
        AuditError
            If its kind is not known.
        EnvelopeError
            If it is too long.
        """
        if draft.kind not in KINDS:
            msg = f"there is no kind of entry {draft.kind!r}"
            raise AuditError(msg)
        if draft.source is not None and (known := self._vault.index_of(draft.source)) is not None:
            return Receipt(known, self._vault.checkpoint(known + 1) or "")
        if self._epoch is not None and draft.kind != "key-rotate":
            age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(self._epoch.since)
            if age > EPOCH_LENGTH:
                self.rotate()
        return self._append(draft)

    def rotate(self) -> Receipt:
        """Begin a new epoch."""
        number = self._epoch.number + 1 if self._epoch else 0
        public = self._log.keys.make_recorder(number).public
        facts = {"epoch": number, "recorderKey": public.hex()}
        return self._append(Draft(kind="key-rotate", subject=f"audit-log:{self._log.origin}", facts=facts))

    def _append(self, draft: Draft) -> Receipt:
        index, now = self._edge.size, now_text()
        sealed = None
        if draft.parts:
            sealed = content.seal(content.salted(draft.parts), bound_to(self._log.origin, index))
        predicate = {
            **draft.facts, "kind": draft.kind, "index": index, "schema": SCHEMA, "components": len(draft.parts),
            "sealedAt": now, "clock": "ntp-synced" if _NTP.exists() else "unknown",
            "monotonicMs": time.monotonic_ns() // 1_000_000,
            "prev": None if self._last is None else hashlib.sha256(self._last.encode()).hexdigest(),
        }  # fmt: skip
        if draft.source is not None:
            predicate["source"] = {
                "journal": draft.source.journal, "kind": draft.source.kind, "trace": draft.source.trace,
                "seq": draft.source.seq,
            }  # fmt: skip
        epoch = self._epoch.number if self._epoch else 0
        root = sealed.root if sealed else EMPTY_ROOT.hex()
        entry = signed(Statement(draft.subject, root, predicate), self._log.keys.recorder(epoch))
        self._edge.append(leaf_hash(entry))
        note = self._signed()
        self._vault.add_entry(index, entry, Tip(index + 1, note, self._edge.to_bytes()))
        if sealed is not None:
            self._vault.add_content(index, sealed, self._log.keys.content())
        if draft.source is not None:
            self._vault.add_source(draft.source, index)
        if draft.kind in ("genesis", "key-rotate"):
            number = int(draft.facts.get("epoch", 0))
            self._epoch = Epoch(number, index, bytes.fromhex(draft.facts["recorderKey"]), now)
            self._vault.add_epoch(self._epoch)
        return Receipt(index, note)

    def erase_content(self, indices: list[int]) -> None:
        """Destroy contents; the entry that says so is appended beside."""
        self._vault.erase_content(indices)

    def erase_parts(self, index: int, patterns: Sequence[str]) -> None:
        """Destroy parts of a content; the entry that says so is appended beside."""
        key = self._log.keys.content()
        sealed = self._vault.sealed(index, key)
        if sealed is not None:
            gone = matching(patterns, [path for path, _ in content.manifest_lines(sealed.manifest)])
            reduced = content.reduced(sealed, gone, bound_to(self._log.origin, index))
            self._vault.replace_content(index, reduced, key)

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._log.origin, self._edge.size, self._edge.root())

    def _signed(self) -> str:
        signer, verifier = self._log.keys.log(), self._log.verifier()
        self._last = text = str(self._checkpoint())
        return str(Note(text, (Signature(verifier.name, verifier.key_id, signer.sign(text.encode())),)))


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what was chosen when a log was made.

    Raises
    ------
    AuditError
        If there is no log, or the file cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((folder / _SETTINGS).read_text("utf-8"))
        known = {name: str(found[name]) for name in ("origin", "keys")}
    except FileNotFoundError as error:
        msg = f"there is no audit log in {folder}; at.audit.init() makes one"
        raise AuditError(msg) from error
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{folder / _SETTINGS} cannot be read; put it back from a copy"
        raise AuditError(msg) from error
    return found | known


def key_ring(settings: dict[str, Any]) -> KeyRing:
    """Return the keys that settings name."""
    pem = settings.get("log_public_pem")
    return KeyRing(Path(settings["keys"]), log_signer=settings.get("log_signer"), log_public_pem=pem and pem.encode())


def exists(folder: Path | None = None) -> bool:
    """Tell whether there is an audit log."""
    return ((folder or audit_folder()) / _SETTINGS).exists()


def known_anchor(folder: Path | None = None) -> str:
    """Return the anchor that was noted beside the keys when the log was made.

    Raises
    ------
    AuditError
        If it is not there.
    """
    path = Path(read_settings(folder or audit_folder())["keys"]) / _ANCHOR
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); give the anchor that you noted when the log was made"
        raise AuditError(msg) from error


def anchor_of(origin: str, genesis: bytes) -> str:
    """Return the anchor of a log with this first entry."""
    return f"{origin}#{leaf_hash(genesis).hex()}"


def bound_to(origin: str, index: int) -> bytes:
    """Return what the content of an entry is bound to."""
    return f"{origin}\n{index}".encode()


def now_text() -> str:
    """Return the time by this machine's clock, UTC, with microseconds."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
