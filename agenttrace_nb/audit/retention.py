"""How long contents are kept: legal holds, periods by name, and what expires. The entries themselves stay."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.vault import Source
from agenttrace_nb.config import did_you_mean
from agenttrace_nb.mlflow_store.attributes import mlflow_trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agenttrace_nb.audit.erase import Erased

_YEARS_3, _YEARS_6 = 3 * 366, 6 * 366
_MONTHS_6 = 184


@dataclass(frozen=True, slots=True)
class Period:
    """How long something must be kept at least, by a rule.

    Attributes
    ----------
    days
        Rounded up (a year has 366 days here); ``None`` where the rule names no number.
    rule
        Which rule that is, in words.
    """

    days: int | None
    rule: str


PRESETS = {
    "eu-ai-act": Period(_MONTHS_6, "EU AI Act, Articles 19 and 26(6): automatically made logs, at least six months"),
    "hipaa": Period(_YEARS_6, "HIPAA, 45 CFR 164.316(b)(2)(i): documentation, six years"),
    "sec-17a-4": Period(_YEARS_6, "SEC 17a-4(a): six years, the first two in an easily accessible place"),
    "sec-17a-4-b": Period(_YEARS_3, "SEC 17a-4(b): three years, the first two in an easily accessible place"),
    "21-cfr-11": Period(None, "21 CFR 11.10(e): as long as the record that it belongs to; nothing expires by itself"),
}
"""Periods by name. They are the least that a rule asks for, as we read it; which rule binds you is yours to say."""


def hold(traces: str | Sequence[str], *, reason: str, release: bool = False, folder: Path | None = None) -> int:
    """Put traces on legal hold, or release them; held contents are neither erased nor expire.

    Returns
    -------
    int
        The entry that says so; the last one, where there are several traces.

    Raises
    ------
    AuditError
        If a trace is not sealed.
    """
    from agenttrace_nb.audit.erase import contents_of

    wanted = [t.removeprefix("tr-") for t in ([traces] if isinstance(traces, str) else traces)]
    parts = [("why", canonical({"reason": reason}))]
    with contextlib.closing(AuditLog(folder)) as log:
        for trace in wanted:
            contents_of(log, trace)
        last = -1
        with log.writing() as pen:
            for trace in wanted:
                last = pen.append(Draft(
                    kind="legal-hold", subject=f"mlflow-trace:{mlflow_trace_id(trace)}",
                    facts={"traceId": trace, "release": release}, parts=parts,
                    source=Source("", "legal-hold", trace, pen.size),
                )).index  # fmt: skip
        return last


def retain(*, preset: str | None = None, days: float | None = None, reason: str, folder: Path | None = None) -> int:
    """Say how long contents must be kept: `erase` and `expire` refuse what is younger.

    Parameters
    ----------
    preset
        A period by name; see `PRESETS`.
    days
        Or the number of days; 0 takes an earlier period back.
    reason
        Why; kept as content of the entry.

    Returns
    -------
    int
        The entry that says so. The last such entry holds.

    Raises
    ------
    AuditError
        If not exactly one of the two is given, or it is not allowed.

    Examples
    --------
    >>> retain(preset="hipaa", reason="policy 7")  # doctest: +SKIP
    """
    period = _period(preset, days)
    facts = {"retainDays": period, "preset": preset}
    with contextlib.closing(AuditLog(folder)) as log, log.writing() as pen:
        source = Source("", "retain", "", pen.size)
        parts = [("why", canonical({"reason": reason}))]
        draft = Draft(kind="config-change", subject=f"audit-log:{log.origin}", facts=facts, parts=parts, source=source)
        return pen.append(draft).index


def expire(*, preset: str | None = None, older_than_days: float | None = None, folder: Path | None = None) -> Erased:
    """Erase the contents of traces that were sealed so long ago, but for those on hold. The entries stay.

    Parameters
    ----------
    preset
        A period by name; see `PRESETS`.
    older_than_days
        Or the number of days.

    Raises
    ------
    AuditError
        If there is no log, not exactly one of the two is given, or contents must be kept longer than that.

    Examples
    --------
    >>> expire(preset="eu-ai-act")  # doctest: +SKIP
    """
    from agenttrace_nb.audit.erase import CONTENTS, Erased, contents_of, erase_expired, scrub

    days = _period(preset, older_than_days, name="older_than_days")
    with contextlib.closing(AuditLog(folder)) as log:
        least = _retained_days(log)
        if days < least:
            msg = f"contents must be kept for {least:g} days here (at.audit.retain), and {days:g} is less"
            raise AuditError(msg)
        before = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
        held, due = held_traces(log), []
        for trace in log.vault.traces(*CONTENTS):
            indices = contents_of(log, trace) if trace not in held else []
            if indices and all(_sealed_at(log, index) < before for index in indices):
                due.append((trace, indices))
        if not due:
            return Erased((), ())
        said = {"olderThanDays": days, "preset": preset}
        with log.writing() as pen:
            by = [erase_expired(pen, trace, indices, said) for trace, indices in due]
        scrub(log)
        entries = tuple(index for _, indices in due for index in indices)
        return Erased(tuple(trace for trace, _ in due), entries, by=tuple(by))


def held_traces(log: AuditLog) -> set[str]:
    """Return the traces that are on legal hold."""
    held: set[str] = set()
    for index in log.vault.of_kind("legal-hold"):
        said = log.statement(index).predicate
        (held.discard if said["release"] else held.add)(said["traceId"])
    return held


def refuse_while_held(log: AuditLog, traces: Sequence[str], *, override: bool) -> set[str]:
    """Return which of the traces are on hold.

    Raises
    ------
    AuditError
        If one is, unless that is overridden.
    """
    held = held_traces(log) & set(traces)
    if held and not override:
        msg = f"trace {min(held)} is on legal hold; release it first, or give override_hold=True, which is recorded"
        raise AuditError(msg)
    return held


def refuse_too_early(log: AuditLog, indices: Sequence[int], *, override: bool) -> bool:
    """Tell whether the contents of entries must be kept still.

    Raises
    ------
    AuditError
        If they must, unless that is overridden.
    """
    least = _retained_days(log)
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=least)
    early = bool(least) and any(_sealed_at(log, index) > before for index in indices)
    if early and not override:
        msg = (
            f"contents must be kept for {least:g} days here (at.audit.retain), and some are younger; give "
            "override_retention=True, which is recorded"
        )
        raise AuditError(msg)
    return early


def _retained_days(log: AuditLog) -> float:
    found = log.vault.of_kind("retain")
    return float(log.statement(found[-1]).predicate["retainDays"]) if found else 0.0


def _period(preset: str | None, days: Any, name: str = "days") -> float:
    if (preset is None) == (days is None):
        msg = f"give either preset ({', '.join(PRESETS)}) or {name}"
        raise AuditError(msg)
    if preset is None:
        if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 <= days < float("inf"):
            msg = f"{name}={days!r} is not allowed; it must be a number of days, 0 or more"
            raise AuditError(msg)
        return float(days)
    if preset not in PRESETS:
        msg = f"preset={preset!r} is not allowed; it must be one of {', '.join(PRESETS)}."
        raise AuditError(msg + did_you_mean(str(preset), [*PRESETS]))
    known = PRESETS[preset]
    if known.days is None:
        msg = f"preset={preset!r} names no number of days ({known.rule}); give {name}"
        raise AuditError(msg)
    return float(known.days)


def _sealed_at(log: AuditLog, index: int) -> dt.datetime:
    return dt.datetime.fromisoformat(str(log.statement(index).predicate["sealedAt"]))
