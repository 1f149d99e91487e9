"""The examination of a vault: nothing in it is believed that does not follow from the anchor."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.envelope import Envelope, EnvelopeError, Statement, signed_bytes
from agenttrace_nb.audit.examine_content import check_content
from agenttrace_nb.audit.examine_keys import KeyHistory
from agenttrace_nb.audit.examine_times import say_times
from agenttrace_nb.audit.keys import key_id
from agenttrace_nb.audit.log import KINDS, anchor_of
from agenttrace_nb.audit.merkle import Edge, Tree, leaf_hash
from agenttrace_nb.audit.note import (
    Checkpoint,
    Note,
    NoteError,
    Verifier,
    checkpoint_of,
    signed_alone,
    verify_ed25519,
)
from agenttrace_nb.audit.report import Report
from agenttrace_nb.audit.vault import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.audit.vault import Vault


class Examination:
    """Examines a vault, level by level.

    Parameters
    ----------
    vault
        The vault.
    anchor
        What its log must be known by.
    level
        How far to go.

    Attributes
    ----------
    report
        What was found.
    tree
        The tree of the entries as they are.
    verifier
        The log's key, once its first entry has proven to be the anchor's.
    statements
        What the entries say, but for those that cannot be read; none at the level ``fast``.
    """

    def __init__(self, vault: Vault, anchor: str, level: str) -> None:
        self._vault = vault
        self._level = level
        self._anchor = anchor
        self.origin = anchor.partition("#")[0]
        self.report = Report(self.origin, level)
        self.tree = Tree()
        self.verifier: Verifier | None = None
        self._entries: list[bytes] = []
        self.statements: list[Statement] = []
        self._keys = KeyHistory(self.report)

    def run(self, key_of_keys: Callable[[], bytes]) -> None:
        """Examine it; ``key_of_keys`` gives what contents are opened with."""
        self._vault.db.execute("BEGIN")  # one state of it, whatever is appended meanwhile
        try:
            self._check_tree()
            if self.verifier is None or self._level == "fast":
                return
            self._check_entries()
            self._check_tables()
            say_times(self.report, self.statements)
            if self._level == "full":
                check_content(self.report, self._vault, self.statements, key_of_keys)
        except (sqlite3.Error, UnicodeError) as error:
            self.report.find(f"the vault cannot be read to its end ({error})")
        finally:
            self._vault.db.execute("ROLLBACK")

    # -- fast ---------------------------------------------------------------------------------------------------

    def _check_tree(self) -> None:
        report = self.report
        rows: list[tuple[int, Any]] = list(self._vault.entries())
        for at, (index, _) in enumerate(rows):
            if index != at:
                report.find(f"entries from {at} to {index - 1} are missing", index=at)
                break
        # What is not bytes is none of ours; as bytes of nothing it is found where the tree is compared.
        self._entries = [data if isinstance(data, bytes) else b"" for _, data in rows]
        report.entries = len(rows)
        self.tree = Tree([leaf_hash(entry) for entry in self._entries])
        report.checks["entries hashed into the tree"] = len(rows)
        if not rows or anchor_of(self.origin, self._entries[0]) != self._anchor:
            report.find("the first entry is not that of the anchor: this is another log, or its beginning was changed")
            return
        try:
            genesis = Envelope.parse(self._entries[0]).statement
            self.verifier = Verifier.parse(genesis.predicate["logKey"])
        except (EnvelopeError, NoteError, KeyError) as error:
            report.find(f"the first entry names no key ({error})", index=0)
            return
        self._check_last(self.verifier)

    def _check_last(self, verifier: Verifier) -> None:
        tip = self._vault.tip()
        if tip is None:
            self.report.find("there is no checkpoint")
            return
        try:
            checkpoint = checkpoint_of(tip.note, verifier)
        except (NoteError, TypeError) as error:
            self.report.find(f"the last checkpoint: {error}")
            return
        self.report.checks["last checkpoint signed by the log's key"] = 1
        if checkpoint.size != tip.size or checkpoint.size != self.tree.size:
            self.report.find(f"the last checkpoint is of {checkpoint.size} entries, and there are {self.tree.size}")
        elif checkpoint.root != self.tree.root():
            self.report.find("the entries are not those of the last checkpoint")

    # -- signatures ---------------------------------------------------------------------------------------------

    def _check_entries(self) -> None:
        texts = self._check_checkpoints()
        for index, entry in enumerate(self._entries):
            statement = self._check_entry(index, entry, texts[index - 1] if index else None)
            if statement is not None:
                self.statements.append(statement)
        self._keys.say(len(self._entries))
        self.report.checks["entries with the right signature, place and predecessor"] = len(self._entries)

    def _check_checkpoints(self) -> list[str]:
        """Check the checkpoint after each entry; return their texts, as the entries make them."""
        edge, texts, notes = Edge(), [], []
        stored = self._vault.checkpoints()
        tip = next(stored, None)
        for index, leaf in enumerate(self.tree.levels[0]):
            edge.append(leaf)
            texts.append(str(Checkpoint(self.origin, edge.size, edge.root())))
            if tip is not None and tip.size == edge.size:
                notes.append((index, tip.note, texts[index]))
                if tip.edge != edge.to_bytes():
                    self.report.find("the stored edge of the tree is not that of the entries", index=index)
                tip = next(stored, None)
        if tip is not None or len(notes) != len(texts):
            self.report.find("there is not exactly one checkpoint for each entry")
        for each in notes:  # by themselves: what verifies a signature stays in the processor's cache
            self._check_note(*each)
        self.report.checks["checkpoints signed by the log's key"] = len(notes)
        return texts

    def _check_entry(self, index: int, entry: bytes, previous: str | None) -> Statement | None:
        find = self.report.find
        try:
            envelope = Envelope.parse(entry)
            statement = envelope.statement
            public = self._keys.public(statement)
            if envelope.key_id != key_id(public):
                find(self._keys.why_not(envelope), index=index)
                return None
            verify_ed25519(public, envelope.signature, signed_bytes(envelope.payload))
            self._keys.take(statement)
        except (EnvelopeError, NoteError, KeyError, ValueError, TypeError) as error:
            find(str(error), index=index)
            return None
        said = statement.predicate
        expected = None if previous is None else hashlib.sha256(previous.encode()).hexdigest()
        if statement.index != index:
            find(f"it was sealed as entry {statement.index}", index=index)
        if said.get("prev") != expected:
            find("it does not continue the checkpoint before it", index=index)
        if statement.kind not in KINDS or (statement.kind == "genesis") != (index == 0):
            find(f"an entry of kind {statement.kind!r} has no place here", index=index)
        if index == 0 and said.get("origin") != self.origin:
            find("the first entry is of another log", index=index)
        return statement

    def _check_note(self, index: int, data: object, text: str) -> None:
        verifier = self.verifier
        try:
            if verifier is not None and isinstance(data, str) and signed_alone(data, text, verifier):
                return
            note = Note.parse(data) if isinstance(data, str) else None
            if note is None or note.text != text:
                self.report.find("its checkpoint is of other entries", index=index)
            elif verifier is None or len(note.signatures) != 1 or not note.verified_by(verifier):
                self.report.find("its checkpoint is not signed by the log's key", index=index)
        except (NoteError, TypeError) as error:
            self.report.find(f"its checkpoint: {error}", index=index)

    def _check_tables(self) -> None:
        """Check what is derived: tables that only make the vault quick to use must say what the entries say."""
        db, find = self._vault.db, self.report.find
        if self._vault.epochs() != self._keys.epochs:
            find("the vault's table of key epochs is not what the entries say: it was edited")
        expected = {row: index for index, row in self._sources()}
        stored = {Source(*row[:4]): row[4] for row in db.execute("SELECT journal, kind, trace, seq, i FROM source")}
        if stored != expected:
            changed = {source.trace for source, _ in stored.items() ^ expected.items()}
            about = f" of {min(map(str, changed)) or 'the log'}" + (
                f" and {len(changed) - 1} more" * (len(changed) > 1)
            )
            find(
                f"the vault's index (its table 'source') is not what the entries say, in rows{about}: it was edited. "
                "The entries are judged by themselves; `show` and `find` are not to be trusted before it is restored"
            )
        wanted = {s.index for s in self.statements if s.predicate.get("components")}
        if {row[0] for row in db.execute("SELECT i FROM content")} != wanted:
            find("contents are missing, or there are some that belong to no entry")
        self._check_pins()
        self._check_open()

    def _check_pins(self) -> None:
        expected = [
            (said["pinKind"], said["pinSize"], said["pinAt"], said["pinDigest"])
            for s in self.statements
            if s.kind == "pin" and (said := s.predicate)
        ]
        rows = self._vault.pin_rows()
        kept = [(kind, size, at, _digest(data)) for _, kind, size, at, data in rows]
        if kept != expected or [row[0] for row in rows] != list(range(1, len(rows) + 1)):
            self.report.find("the time stamps and cosignatures that are kept are not those that entries name")

    def _sources(self) -> list[tuple[int, Source]]:
        found = []
        for statement in self.statements:
            if (told := statement.predicate.get("source")) is not None:
                source = Source(told["journal"], told["kind"], told["trace"], told["seq"])
                found.append((statement.index, source))
        return found

    def _check_open(self) -> None:
        counts: Counter[str] = Counter(s.kind for s in self.statements)
        for kind in sorted(counts):
            self.report.checks[f"  of kind {kind}"] = counts[kind]
        open_since: dict[str, int] = {}
        for statement in self.statements:
            trace = statement.predicate.get("traceId")
            if statement.kind == "run-open":
                open_since[str(trace)] = statement.index
            elif statement.kind in ("run", "amend") and trace is not None and not statement.predicate.get("feedback"):
                open_since.pop(str(trace), None)
        for trace, index in open_since.items():
            self.report.notes.append(f"trace {trace} was opened in entry {index} and never closed")
        self.report.notes += [
            f"entry {s.index} is a gap: events {s.predicate.get('fromSeq')} to {s.predicate.get('toSeq')} of a journal"
            for s in self.statements
            if s.kind == "gap"
        ]


def _digest(data: object) -> str | None:
    return hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else None
