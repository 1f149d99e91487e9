"""What was recorded, from the vault: in order, with its proof, also when MLflow has no rows of it any more."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import access, canon, recorded
from agenttrace_nb.audit.erase import authorities, erased_parts
from agenttrace_nb.audit.log import AuditLog, anchor_of, known_anchor
from agenttrace_nb.audit.merkle import Tree, leaf_hash, verify_inclusion
from agenttrace_nb.audit.note import NoteError, checkpoint_of
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.revocation import revocations
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agenttrace_nb.audit.envelope import Statement
    from agenttrace_nb.spans import Span, Trace

_SHOWN = {
    SpanKind.WORKFLOW: ("question", "final answer"),
    SpanKind.LLM: ("prompt", "response"),
    SpanKind.TOOL: ("call", "result"),
    SpanKind.MCP: ("call", "result"),
    SpanKind.HANDOFF: ("handoff", "to"),
    SpanKind.GUARDRAIL: ("checked", "outcome"),
}
_MOST_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Step:
    """One prompt, response, function call or result.

    Attributes
    ----------
    at_ns
        When, nanoseconds since the epoch, by the clock of the machine that recorded it.
    what
        ``prompt``, ``response``, ``call``, ``result`` ...
    """

    at_ns: int
    what: str
    name: str
    agent: str | None
    span_id: str
    content: Any


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said of a trace: a rating, or an error that was reported.

    Attributes
    ----------
    at_ns
        When, nanoseconds since the epoch, by the clock of the machine where it was said.
    what
        ``rating`` or ``error``.
    value
        ``True`` or ``False`` of a rating, the category of an error.
    index
        The entry that seals it.
    """

    at_ns: int
    what: str
    value: Any
    comment: str | None
    user: str | None
    span_id: str | None
    index: int

    def __str__(self) -> str:
        """Return it in one line."""
        about = f" of step {self.span_id}" if self.span_id else ""
        value = {True: "right", False: "wrong"}.get(self.value, self.value) if self.what == "rating" else self.value
        words = f": {self.comment}" if self.comment else ""
        whose = f"by {self.user or 'unknown'} (entry {self.index})"
        return f"{time_text(self.at_ns)}  {self.what}{about} {whose}: {value}{words}"


@dataclass(slots=True)
class SealedTrace:
    """A trace from the vault; shows itself as a text.

    Attributes
    ----------
    trace
        As it was recorded.
    steps
        Prompts, responses and function calls in the order of their times.
    index
        The entry that seals it.
    proven
        Whether the entry is in the tree of the last checkpoint, under the log's key.
    amended
        The entries before, which this one amends.
    said
        Ratings and reports of errors, as they were given.
    erased
        Components that were erased, and the entry that says so.
    revoked
        Why it is in doubt who wrote the entry; ``None`` where its key was not revoked.
    recorded
        The entry that says that it was read here; ``None`` where none was asked for, or none could be written.
    """

    trace: Trace
    steps: list[Step]
    index: int
    proven: bool
    sealed_at: str
    checkpoint: str
    cell_run: dict[str, Any] = field(default_factory=dict)
    amended: list[int] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    erased: dict[str, int] = field(default_factory=dict)
    revoked: str | None = None
    recorded: int | None = None

    def __str__(self) -> str:
        """Return it for people."""
        proof = (
            "its entry is in the log's tree, signed" if self.proven else "NOT PROVEN: run `agenttrace-nb audit verify`"
        )
        lines = [
            f"trace tr-{self.trace.trace_id}  {self.trace.name}  {self.trace.status.value}",
            f"entry {self.index}, sealed {self.sealed_at}: {proof}",
        ]
        lines += [f"in doubt: {self.revoked}"] if self.revoked else []
        lines += [f"this reading is recorded as entry {self.recorded}"] if self.recorded is not None else []
        lines += [f"amends entries {', '.join(map(str, self.amended))}"] if self.amended else []
        for step in self.steps:
            lines.append(f"{time_text(step.at_ns)}  {step.what:<12} {step.name}  {step.agent or ''}".rstrip())
            text = step.content if isinstance(step.content, str) else _json(step.content)
            cut = "" if len(text) <= _MOST_CHARS else f" … ({len(text)} characters; .steps has all)"
            lines += [f"    {line}" for line in (text[:_MOST_CHARS] + cut).splitlines()]
        lines += [f"erased, as entry {by} says: {path}" for path, by in self.erased.items()]
        lines += ["Said of it:", *(f"  {each}" for each in self.said)] if self.said else []
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class Hit:
    """A sealed trace that was found."""

    trace_id: str
    index: int
    sealed_at: str
    name: str
    status: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"tr-{self.trace_id}  entry {self.index:>5}  {self.sealed_at[:19]}  {self.status:<9} {self.name}"


def show(trace_id: str, *, purpose: str | None = None, folder: Path | None = None) -> SealedTrace:
    """Return a trace from the vault: the exact prompts, responses and function calls, in order.

    Parameters
    ----------
    trace_id
        Its id, with or without ``tr-``.
    purpose
        What it is read for; has this reading recorded as an entry, as `record_access` has all.
    folder
        The log; by default that of this user.

    Raises
    ------
    AuditError
        If it was never sealed, or its content was erased.
    ContentError
        If its content was changed.

    Examples
    --------
    >>> print(show("tr-0123..."))  # doctest: +SKIP
    """
    wanted = trace_id.removeprefix("tr-")
    with contextlib.closing(AuditLog(folder, read_only=True)) as log:
        whole = log.of_trace(wanted, "run", "amend")
        if not whole:
            opened = " It was opened, and never closed." if log.of_trace(wanted, "run-open") else ""
            msg = f"there is no sealed trace {trace_id!r}.{opened} at.audit.find() lists what there is"
            raise AuditError(msg)
        parts = log.read(whole[-1])
        if parts is None:
            raise AuditError(_why_gone(log, wanted, whole[-1]))
        trace = recorded.trace_of(recorded.from_parts(parts))
        erased = erased_parts(log, wanted, whole[-1], parts)
        proven, checkpoint = _proven(log, whole[-1])
        return SealedTrace(
            trace, list(steps_of(trace, erased)), whole[-1], proven,
            str(log.statement(whole[-1]).predicate["sealedAt"]), checkpoint, recorded.cell_run_of(parts), whole[:-1],
            list(said_of(log, wanted)), erased, next((str(r) for r in revocations(log) if whole[-1] in r), None),
            access.recorded(log, access.Reading("show", (wanted,), purpose=purpose)),
        )  # fmt: skip


def _why_gone(log: AuditLog, trace: str, index: int) -> str:
    said = [by for by, components in authorities(log, trace).get(index, []) if not components]
    if said:
        return f"the content of trace {trace!r} (entry {index}) was erased, as entry {said[0]} says; its proof is there"
    return f"the content of trace {trace!r} (entry {index}) is gone; run `agenttrace-nb audit verify`"


def said_of(log: AuditLog, trace: str) -> Iterator[Said]:
    """Yield what was said of a trace and was not erased, oldest entry first."""
    for index in log.of_trace(trace, "feedback"):
        for part in log.read(index) or ():
            said = canon.original(canon.parse(part.data))
            yield Said(
                int(said["time_ns"]), str(said["name"]), said["value"], said.get("comment"), said.get("user"),
                said.get("span_id"), index,
            )  # fmt: skip


def find(
    text: str | None = None,
    *,
    tag: tuple[str, str] | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    purpose: str | None = None,
    folder: Path | None = None,
) -> list[Hit]:
    """Find sealed traces in the vault.

    Parameters
    ----------
    text
        What a prompt, response, argument, result, rating or report must hold, in any case of letters.
    tag
        Key and value of a tag of the run (``arch`` and ``case`` too).
    since, until
        When it was sealed; the second is not included.
    purpose
        What is looked for what for; has this reading recorded as an entry, as `record_access` has all.
    folder
        The log; by default that of this user.

    Returns
    -------
    list of Hit
        Oldest first. Contents that were erased are not found.

    Raises
    ------
    AuditError
        If there is no log.
    """
    found = []
    with contextlib.closing(AuditLog(folder, read_only=True)) as log:
        for trace_id in log.vault.traces("run", "amend"):
            index = log.of_trace(trace_id, "run", "amend")[-1]
            statement = log.statement(index)
            sealed_at = dt.datetime.fromisoformat(str(statement.predicate["sealedAt"]))
            if (since and sealed_at < _aware(since)) or (until and sealed_at >= _aware(until)):
                continue
            hit = _hit(log, trace_id, index, statement, text, tag)
            if hit is not None:
                found.append(hit)
        asked = {"text": text, "tag": tag, "since": since and since.isoformat(), "until": until and until.isoformat()}
        access.recorded(log, access.Reading("find", tuple(hit.trace_id for hit in found), asked, purpose))
    return found


def _hit(  # noqa: PLR0917 - what is looked at, then what is looked for
    log: AuditLog, trace_id: str, index: int, statement: Statement, text: str | None, tag: tuple[str, str] | None
) -> Hit | None:
    parts = log.read(index)
    if parts is None:
        return None
    run = recorded.cell_run_of(parts)
    labels = {**(run.get("tags") or {}), **{key: run.get(key) for key in ("arch", "case", "trial")}}
    if tag is not None and labels.get(tag[0]) != tag[1]:
        return None
    trace = recorded.trace_of(recorded.from_parts(parts))
    if text is not None:
        texts = [_json(step.content) for step in steps_of(trace)] + [str(said) for said in said_of(log, trace_id)]
        if not any(text.casefold() in each.casefold() for each in texts):
            return None
    return Hit(trace_id, index, str(statement.predicate["sealedAt"]), trace.name, trace.status.value)


def steps_of(trace: Trace, erased: Mapping[str, int] = MappingProxyType({})) -> Iterator[Step]:
    """Yield what was asked, answered and called, in the order of time; for what was erased, who allowed it."""
    moments: list[tuple[int, Step]] = []
    for place, span in enumerate(trace.spans):
        before, after = _SHOWN.get(span.kind, (None, None))
        gone_in, gone_out = erased.get(f"span/{place}/inputs"), erased.get(f"span/{place}/outputs")
        into = span.input if gone_in is None else _erased(gone_in)
        out = span.output if gone_out is None else _erased(gone_out)
        if before is not None and into is not None:
            moments.append((span.start_ns, _step(span, span.start_ns, before, into)))
        end_ns = span.end_ns or span.start_ns
        if after is not None and out is not None:
            moments.append((end_ns, _step(span, end_ns, after, out)))
        if span.error is not None and span.kind in _SHOWN:
            moments.append((end_ns, _step(span, end_ns, "error", str(span.error))))
    for _, step in sorted(moments, key=lambda moment: moment[0]):
        yield step


def _erased(by: int) -> str:
    return f"[erased, as entry {by} says]"


def _step(span: Span, at_ns: int, what: str, content: Any) -> Step:
    return Step(at_ns, what, span.name, span.agent, span.span_id, content)


def _proven(log: AuditLog, index: int) -> tuple[bool, str]:
    """Tell whether an entry is proven by the last checkpoint and the anchor that is known here."""
    entries = [entry for _, entry in log.vault.entries()]
    tip = log.vault.tip()
    if tip is None:
        return False, ""
    tree = Tree([leaf_hash(entry) for entry in entries])
    try:
        checkpoint = checkpoint_of(tip.note, log.verifier())
        known = anchor_of(log.origin, entries[0]) == known_anchor(log.folder)
    except (NoteError, AuditError):
        return False, tip.note
    if checkpoint.size != tree.size:
        return False, tip.note
    proof = tree.inclusion(index)
    return known and verify_inclusion(leaf_hash(entries[index]), index, tree.size, proof, checkpoint.root), tip.note


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def time_text(at_ns: int) -> str:
    """Return a time as UTC, with microseconds."""
    seconds, rest = divmod(at_ns, 1_000_000_000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S}.{rest // 1000:06d}"


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.astimezone()
