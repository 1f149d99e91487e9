"""What verifying came to: a verdict, what was proven, against whom, and what was not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.audit.revocation import Revoked

_MOST_SHOWN = 50


class Verdict(StrEnum):
    """The verdicts, the worst first."""

    INVALID = "INVALID"
    """Something was changed, or the log does not belong to the anchor."""
    DIVERGED = "DIVERGED"
    """The log is sound in itself, but is not the one that a pin was taken of: rewritten, rolled back or forked."""
    INCOMPLETE = "INCOMPLETE"
    """What could be checked is sound; something that should be there could not be read."""
    UNANCHORED = "UNANCHORED"
    """Sound; nothing from outside this machine was there to compare with."""
    PINNED = "PINNED"
    """Sound, and continues what was pinned outside."""


_EXIT = {Verdict.INVALID: 1, Verdict.DIVERGED: 1, Verdict.INCOMPLETE: 3, Verdict.UNANCHORED: 0, Verdict.PINNED: 0}

NOT_PROVEN = (
    "that what was recorded is true: code that changes what the recorder sees, before it sees it, is not found",
    "that everything was recorded: runs without tracing, or while the log was off, are not in it",
    "anything after the last pin against somebody who holds the log's keys: they can write another end",
    "when something happened, beyond the order of entries: times are those of this machine's clock",
)
"""What no verification here shows; every report says so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    verdict
        What it makes of the whole.
    what
        In words.
    index
        The entry, where it is about one.
    trace_id
        The trace, where it is about one.
    in_mlflow
        Whether it is about MLflow's rows, and not about the log.
    """

    verdict: Verdict
    what: str
    index: int | None = None
    trace_id: str | None = None
    in_mlflow: bool = False

    def __str__(self) -> str:
        """Return it in one line."""
        place = "" if self.index is None else f"entry {self.index}: "
        about = "" if self.trace_id is None else f" (trace {self.trace_id})"
        return f"{place}{self.what}{about}"


@dataclass(slots=True)
class Report:
    """The result of verifying; shows itself as a text.

    Attributes
    ----------
    level
        ``fast``, ``signatures`` or ``full``.
    checks
        What was checked, and how many of each.
    findings
        What is wrong.
    notes
        What is not wrong but worth knowing: runs that are open, contents that were erased with authority.
    pins
        What the log was compared with, from outside.
    last_pin
        The largest size of the log that a pin covers.
    not_seen
        What of MLflow was not compared.
    last_entry
        When the last entry was sealed, in words; not known at the level ``fast``.
    revoked
        Entries in doubt, because their key was revoked.
    live
        Whether MLflow's rows were compared.
    made_at
        When it was verified.
    """

    origin: str
    level: str
    entries: int = 0
    anchor_from: str = ""
    checks: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pins: list[str] = field(default_factory=list)
    last_pin: int | None = None
    not_seen: tuple[str, ...] = ()
    last_entry: str = ""
    revoked: list[Revoked] = field(default_factory=list)
    live: bool = False
    made_at: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings; without any, whether there was a pin."""
        worst = list(Verdict)
        if self.findings:
            return min((finding.verdict for finding in self.findings), key=worst.index)
        return Verdict.PINNED if self.pins else Verdict.UNANCHORED

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def exit_status(self) -> int:
        """0 sound, 1 tampered with or diverged, 3 incomplete."""
        return _EXIT[self.verdict]

    def find(self, what: str, *, index: int | None = None, trace_id: str | None = None) -> None:
        """Add a finding of tampering."""
        self.findings.append(Finding(Verdict.INVALID, what, index, trace_id))

    def find_in_mlflow(self, what: str, trace_id: str) -> None:
        """Add a finding of tampering with MLflow's rows."""
        self.findings.append(Finding(Verdict.INVALID, f"MLflow: {what}", trace_id=trace_id, in_mlflow=True))

    def to_json(self) -> str:
        """Return everything as JSON."""
        known = asdict(self)
        known["not_proven"] = [*self._not_proven()]
        return json.dumps({"verdict": self.verdict, **known}, indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        """Return it for people."""
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> list[str]:
        lines = [f"{self.verdict.value}: audit log {self.origin}, {self.entries} entries, level {self.level}"]
        lines += [f"  {self._meaning()}"]
        lines += [f"  last entry {self.last_entry}"] if self.last_entry else []
        lines += ["Checked:"] + [f"  {count:>8}  {what}" for what, count in self.checks.items()]
        lines += ["Trusted:", f"  the anchor {self.anchor_from}"]
        lines += [f"  {pin}" for pin in self.pins] or ["  no pin from outside"]
        if self.last_pin is not None:
            lines += [f"  pins cover the first {self.last_pin} of {self.entries} entries"]
        if self.findings:
            lines += [f"Found ({len(self.findings)}):"]
            lines += [f"  {finding}" for finding in self.findings[:_MOST_SHOWN]]
            if len(self.findings) > _MOST_SHOWN:
                lines += [f"  and {len(self.findings) - _MOST_SHOWN} more; to_json() has all"]
            lines += [f"Next: {self._next()}"]
        if self.notes:
            lines += ["Also:"] + [f"  {note}" for note in self.notes]
        return [*lines, "Not proven:", *(f"  {limit}" for limit in self._not_proven())]

    def _not_proven(self) -> Iterator[str]:
        yield from NOT_PROVEN
        yield from map(str, self.revoked)
        yield from self.not_seen

    def _only_mlflow(self) -> bool:
        return bool(self.findings) and all(finding.in_mlflow for finding in self.findings)

    def _meaning(self) -> str:
        if self._only_mlflow():
            return "The log itself is sound. Rows in MLflow are not what was sealed."
        return _MEANING[self.verdict]

    def _next(self) -> str:
        if self._only_mlflow():
            return "at.audit.show(trace) gives what was sealed; at.audit.export(...) makes evidence of it."
        first = min((f.index for f in self.findings if f.index is not None), default=None)
        place = "" if first is None else f"The first entry that is wrong is {first}. "
        return place + _NEXT[self.verdict]

    def to_html(self) -> str:
        """Return it as a page that needs nothing else."""
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Verification of an audit log</title>'
            "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
            "pre{white-space:pre-wrap;font:14px/1.5 ui-monospace,monospace}"
            "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}</style>"
            f"<h1>{escape(self.verdict.value)}</h1><pre>{escape(str(self))}</pre></html>"
        )


_MEANING = {
    Verdict.INVALID: "Something was changed after it was sealed, or this is another log.",
    Verdict.DIVERGED: "The log contradicts a pin from outside: a holder of its keys rewrote it, or cut it off.",
    Verdict.INCOMPLETE: "What could be read is sound, but not everything could.",
    Verdict.UNANCHORED: "Sound in itself. Whoever holds its keys could have rewritten it: pin checkpoints outside.",
    Verdict.PINNED: "Sound, and it continues what was pinned outside.",
}

_NEXT = {
    Verdict.INVALID: "Copy the log's folder as it is before anything else, then compare it with a backup or a remote.",
    Verdict.DIVERGED: "Copy the log's folder and the pin before anything else; ask who held the keys since the pin.",
    Verdict.INCOMPLETE: "Put back what is missing (keys, MLflow), or name it in what you conclude, and verify again.",
}
