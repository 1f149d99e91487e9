"""What a view says of a run's seal, without verifying anything by itself: cheap, and no more than is known."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.audit import recorded
from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.content import ContentError, erased_paths
from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.note import Note
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.revocation import revocations
from agenttrace_nb.audit.verify import last_report
from agenttrace_nb.journal import sealing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from agenttrace_nb.audit.report import Report
    from agenttrace_nb.spans import Span, Trace

SEALED, VERIFIED, DIFFERS, NOT_SEALED, UNKNOWN = "sealed", "verified", "differs", "not sealed", "seal unknown"
MOST_COMPARED = 200
"""Runs with more steps are not compared with what was sealed: a view must not wait for that."""

_FIELDS = (
    "name",
    "kind",
    "parent_id",
    "start_ns",
    "end_ns",
    "status",
    "agent",
    "model",
    "input_tokens",
    "output_tokens",
)
_OF_ATTRIBUTES = frozenset({"kind", "agent", "model", "input_tokens", "output_tokens"})


@dataclass(frozen=True, slots=True)
class Badge:
    """What is known of a run's seal.

    Attributes
    ----------
    state
        ``sealed``, ``verified``, ``differs``, ``not sealed`` or ``seal unknown``.
    why
        Its reason, in a sentence or two.
    """

    state: str
    why: str


def badge_of(traces: Sequence[Trace], *, compare: bool = False, folder: Path | None = None) -> Badge | None:
    """Return what is known of the seal of a run's traces; ``None`` while the audit log is off.

    Parameters
    ----------
    traces
        The traces that are shown.
    compare
        Whether what is shown is compared with what was sealed: it may come from a store that others can change.
    folder
        The log; by default that of this user.

    Returns
    -------
    Badge
        *Verified* only where `verify` examined these entries with their content in this process, and found nothing.
    """
    if not traces or not sealing.is_on():
        return None
    try:
        with contextlib.closing(AuditLog(folder, read_only=True)) as log:
            return _badge(log, traces, compare=compare)
    except (AuditError, ContentError) as error:
        return Badge(UNKNOWN, f"The audit log is on, and cannot say: {error}.")


def _badge(log: AuditLog, traces: Sequence[Trace], *, compare: bool) -> Badge:
    indices = {}
    for trace in traces:
        sealed = log.of_trace(trace.trace_id, "run", "amend")
        if not sealed:
            return Badge(
                NOT_SEALED, "The audit log is on, and has no entry of this run: it is not sealed yet, or never."
            )
        indices[trace.trace_id] = sealed[-1]
    report = last_report(log.folder)
    if report is not None and (wrong := _wrong(report, indices)) is not None:
        return Badge(DIFFERS, f"at.audit.verify() at {report.made_at} found: {wrong}.")
    small = sum(len(trace.spans) for trace in traces) <= MOST_COMPARED
    if compare and small and (found := next(_differences(log, traces, indices), None)) is not None:
        return Badge(DIFFERS, f"{found}. at.audit.show() gives what was sealed.")
    doubts = [str(each) for each in revocations(log) if any(index in each for index in indices.values())]
    if not doubts and report is not None and _covers(report, list(indices.values())):
        return Badge(VERIFIED, _verified_words(report, list(indices.values())))
    size = _last_size(log)
    shown = " What is shown here is what its content says." if compare and small else ""
    shown += f" In doubt: {doubts[0]}." if doubts else ""
    if report is not None and not report.ok:
        shown += f" Verifying at {report.made_at} found something elsewhere in the log."
    return Badge(
        SEALED, f"Sealed as {_entries(indices.values())}; the last checkpoint is of {size} entries.{shown} Sealed is "
        "not verified: at.audit.verify() does that.",
    )  # fmt: skip


def _wrong(report: Report, indices: dict[str, int]) -> str | None:
    for finding in report.findings:
        if finding.trace_id in indices or finding.index in indices.values():
            return str(finding)
    broken = [f for f in report.findings if f.trace_id is None and f.verdict in (Verdict.INVALID, Verdict.DIVERGED)]
    return str(broken[0]) if broken else None


def _covers(report: Report, indices: list[int]) -> bool:
    return report.ok and report.level == "full" and max(indices) < report.entries


def _verified_words(report: Report, indices: list[int]) -> str:
    pins = "no pin from outside was there to compare with"
    if report.pins:
        pins = f"it continues {len(report.pins)} pin{'' if len(report.pins) == 1 else 's'}"
    rows = "MLflow's rows were compared too" if report.live else "MLflow's rows were not compared"
    return f"at.audit.verify() at {report.made_at}: {_entries(indices)} and content are sound, {pins}, {rows}."


def _differences(log: AuditLog, traces: Sequence[Trace], indices: dict[str, int]) -> Iterator[str]:
    for trace in traces:
        index = indices[trace.trace_id]
        parts = log.read(index)
        if parts is None:
            continue  # erased; verify tells whether with authority
        gone = set(erased_paths(log.vault.manifest(index) or b"", parts))
        sealed = recorded.trace_of(recorded.from_parts(parts))
        now = {span.span_id: span for span in trace.spans}
        for place, span in enumerate(sealed.spans):
            shown = now.pop(span.span_id, None)
            if shown is None:
                yield f"Step {span.name!r} of entry {index} is not here any more"
                return
            if what := _changed(span, shown, {path.rpartition("/")[2] for path in gone if f"span/{place}/" in path}):
                yield f"Step {span.name!r} is not as it was sealed in entry {index}: its {what} was changed"
        for extra in now.values():
            yield f"Step {extra.name!r} is not in entry {index}: it was put in"


def _changed(sealed: Span, shown: Span, gone: set[str]) -> str | None:
    for name in _FIELDS:
        if name in _OF_ATTRIBUTES and "attributes" in gone:
            continue
        if getattr(sealed, name) != getattr(shown, name):
            return name.removesuffix("_ns").replace("_", " ")
    for name in ("input", "output"):
        if f"{name}s" not in gone and canonical(getattr(sealed, name)) != canonical(getattr(shown, name)):
            return name
    return None


def _entries(indices: Iterable[int]) -> str:
    known = list(indices)
    return f"entry {known[0]}" if len(known) == 1 else f"entries {', '.join(map(str, known[:5]))}"


def _last_size(log: AuditLog) -> int:
    tip = log.vault.tip()
    return 0 if tip is None else int(Note.parse(tip.note).text.split("\n")[1])
