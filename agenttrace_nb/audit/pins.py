"""Pins: checkpoints that were kept outside, and what they say of the log as it is.

Whoever holds the keys of a log can write all of it anew. They cannot change what others hold of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agenttrace_nb.audit.note import Checkpoint, Note, NoteError
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agenttrace_nb.audit.merkle import Tree
    from agenttrace_nb.audit.note import Verifier
    from agenttrace_nb.audit.report import Report

_PARTS = 3
_MAX_LINE = 1000


@dataclass(frozen=True, slots=True)
class Pin:
    """A checkpoint from outside.

    Attributes
    ----------
    note
        The signed note; ``None`` where only the line was kept, as it is printed below a cell.
    kind
        Where it comes from, in words.
    outside
        Whether somebody who can change the log cannot change it.
    """

    checkpoint: Checkpoint
    note: str | None = None
    kind: str = "a checkpoint that was kept"
    outside: bool = True

    @classmethod
    def of(cls, given: str | Path | Pin) -> Pin:
        """Return a pin from a file, a note, or a printed line.

        Raises
        ------
        AuditError
            If it is none of these.
        """
        if isinstance(given, Pin):
            return given
        text = str(given)
        if isinstance(given, Path) or ("\n" not in text and len(text) < _MAX_LINE and Path(text).is_file()):
            try:
                text = Path(given).read_text("utf-8")
            except (OSError, UnicodeError) as error:
                msg = f"the pin {given} cannot be read ({error})"
                raise AuditError(msg) from error
        try:
            if "\n\n" in text:
                return cls(Checkpoint.parse(Note.parse(text).text), text)
            words = text.replace("\n", " ").split()
            start = next(at for at, word in enumerate(words) if word.startswith("agenttrace-nb/"))
            return cls(Checkpoint.parse("\n".join(words[start : start + _PARTS]) + "\n"))
        except (NoteError, StopIteration) as error:
            msg = (
                f"{str(given)[:80]!r} is no checkpoint: give a file of one, or a line such as 'agenttrace-nb/… 12 ROOT'"
            )
            raise AuditError(msg) from error


def check_pins(report: Report, tree: Tree, pins: Iterable[Pin], verifier: Verifier | None) -> None:
    """Compare a log with pins.

    Parameters
    ----------
    report
        Takes what is found.
    tree
        The log as it is.
    pins
        Checkpoints from outside.
    verifier
        The log's key; a note that it has not signed is no pin of this log.
    """
    for pin in pins:
        if (finding := contradiction(report, tree, pin, verifier)) is not None:
            report.findings.append(finding)
            continue
        if not pin.outside:
            report.notes.append(
                f"{pin.kind} agrees at {pin.checkpoint.size} entries; it is no pin: it lies beside the vault, and who "
                "changes one can change the other. Give the remote that it is pushed to"
            )
            continue
        report.pins.append(f"{pin.kind}: {pin.checkpoint.size} entries")
        report.last_pin = max(report.last_pin or 0, pin.checkpoint.size)


def contradiction(report: Report, tree: Tree, pin: Pin, verifier: Verifier | None) -> Finding | None:
    """Return what a pin shows to be wrong with a log; ``None`` if the log continues it."""
    wanted = pin.checkpoint
    if wanted.origin != report.origin:
        return Finding(Verdict.DIVERGED, f"a pin is of another log, {wanted.origin}")
    if pin.note is not None and verifier is not None:
        try:
            signed = Note.parse(pin.note).verified_by(verifier)
        except NoteError:
            signed = False
        if not signed:
            return Finding(Verdict.DIVERGED, f"{pin.kind} at {wanted.size} entries is not signed by this log's key")
    if wanted.size > tree.size:
        what = f"ROLLBACK: there were {wanted.size} entries ({pin.kind}), and there are {tree.size}"
        return Finding(Verdict.DIVERGED, what)
    if tree.root(wanted.size) != wanted.root:
        what = f"FORK: the first {wanted.size} entries are not those of a pin ({pin.kind}); they were rewritten"
        return Finding(Verdict.DIVERGED, what)
    return None
