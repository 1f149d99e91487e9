"""What was recorded, from the vault: in order, with its proof, also when MLflow has no rows of it any more."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import recorded
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.log import AuditLog, anchor_of, known_anchor
from agenttrace_nb.audit.merkle import Tree, leaf_hash, verify_inclusion
from agenttrace_nb.audit.note import NoteError, checkpoint_of
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    """

    trace: Trace
    steps: list[Step]
    index: int
    proven: bool
    sealed_at: str
    checkpoint: str
    cell_run: dict[str, Any] = field(default_factory=dict)
    amended: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """Return it for people."""
        proof = (
            "its entry is in the log's tree, signed" if self.proven else "NOT PROVEN: run `agenttrace-nb audit verify`"
        )
        lines = [
            f"trace tr-{self.trace.trace_id}  {self.trace.name}  {self.trace.status.value}",
            f"entry {self.index}, sealed {self.sealed_at}: {proof}",
        ]
        lines += [f"amends entries {', '.join(map(str, self.amended))}"] if self.amended else []
        for step in self.steps:
            lines.append(f"{_time(step.at_ns)}  {step.what:<12} {step.name}  {step.agent or ''}".rstrip())
            text = step.content if isinstance(step.content, str) else _json(step.content)
            cut = "" if len(text) <= _MOST_CHARS else f" … ({len(text)} characters; .steps has all)"
            lines += [f"    {line}" for line in (text[:_MOST_CHARS] + cut).splitlines()]
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


def show(trace_id: str, *, folder: Path | None = None) -> SealedTrace:
    """Return a trace from the vault: the exact prompts, responses and function calls, in order.

    Parameters
    ----------
    trace_id
        Its id, with or without ``tr-``.
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
        entries = log.vault.of_trace(wanted)
        whole = [index for index, kind in entries if kind in ("run", "amend")]
        if not whole:
            opened = " It was opened, and never closed." if entries else ""
            msg = f"there is no sealed trace {trace_id!r}.{opened} at.audit.find() lists what there is"
            raise AuditError(msg)
        parts = log.read(whole[-1])
        if parts is None:
            msg = f"the content of trace {trace_id!r} was erased (entry {whole[-1]}); its proof is still there"
            raise AuditError(msg)
        trace = recorded.trace_of(recorded.from_parts(parts))
        statement = _statement(log, whole[-1])
        proven, checkpoint = _proven(log, whole[-1])
        return SealedTrace(
            trace, list(steps_of(trace)), whole[-1], proven, str(statement.predicate["sealedAt"]), checkpoint,
            recorded.cell_run_of(parts), whole[:-1],
        )  # fmt: skip


def find(
    text: str | None = None,
    *,
    tag: tuple[str, str] | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    folder: Path | None = None,
) -> list[Hit]:
    """Find sealed traces in the vault.

    Parameters
    ----------
    text
        What a prompt, response, argument or result must hold, in any case of letters.
    tag
        Key and value of a tag of the run (``arch`` and ``case`` too).
    since, until
        When it was sealed; the second is not included.
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
        rows = log.vault.db.execute(
            "SELECT trace, max(i) FROM source WHERE kind IN ('run', 'amend') GROUP BY trace ORDER BY 2"
        ).fetchall()
        for trace_id, index in rows:
            statement = _statement(log, index)
            sealed_at = dt.datetime.fromisoformat(str(statement.predicate["sealedAt"]))
            if (since and sealed_at < _aware(since)) or (until and sealed_at >= _aware(until)):
                continue
            hit = _hit(log, trace_id, index, statement, text, tag)
            if hit is not None:
                found.append(hit)
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
    if text is not None and not any(text.casefold() in _json(step.content).casefold() for step in steps_of(trace)):
        return None
    return Hit(trace_id, index, str(statement.predicate["sealedAt"]), trace.name, trace.status.value)


def steps_of(trace: Trace) -> Iterator[Step]:
    """Yield what was asked, answered and called, in the order of time."""
    moments: list[tuple[int, int, Step]] = []
    for place, span in enumerate(trace.spans):
        before, after = _SHOWN.get(span.kind, (None, None))
        if before is not None and span.input is not None:
            moments.append((span.start_ns, place, _step(span, span.start_ns, before, span.input)))
        end_ns = span.end_ns or span.start_ns
        if after is not None and span.output is not None:
            moments.append((end_ns, len(trace.spans) - place, _step(span, end_ns, after, span.output)))
        if span.error is not None and span.kind in _SHOWN:
            moments.append((end_ns, len(trace.spans) - place, _step(span, end_ns, "error", str(span.error))))
    for _, _, step in sorted(moments, key=lambda moment: moment[0]):
        yield step


def _step(span: Span, at_ns: int, what: str, content: Any) -> Step:
    return Step(at_ns, what, span.name, span.agent, span.span_id, content)


def _statement(log: AuditLog, index: int) -> Statement:
    entry = log.vault.entry(index)
    if entry is None:
        msg = f"entry {index} is missing; run `agenttrace-nb audit verify`"
        raise AuditError(msg)
    return Envelope.parse(entry).statement


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


def _time(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, 1_000_000_000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S}.{rest // 1000:06d}"


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.astimezone()
