"""What the times of entries say: when the log was last alive, where it was silent, where the clock went back."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.audit.envelope import Statement
    from agenttrace_nb.audit.report import Report

_LATE = 2.0
"""A sign of life that is so many times as old as they are apart is missing."""

_CLOCK_S = 1.0
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0
_MOST_SAID = 20


@dataclass(slots=True)
class _Life:
    """Signs of life of the process that seals one journal."""

    every_s: float = 0.0
    last: Statement | None = None
    ended: bool = False
    silences: list[tuple[Statement, Statement]] = field(default_factory=list)


def say_times(report: Report, statements: Sequence[Statement], now: dt.datetime | None = None) -> None:
    """Tell what the times of entries say. None of it is tampering by itself: machines sleep, and clocks are set.

    Parameters
    ----------
    report
        Takes it.
    statements
        What the entries say, in order.
    now
        What time it is.
    """
    now = now or dt.datetime.now(dt.UTC)
    notes: list[str] = []
    lives: dict[str, _Life] = {}
    before: Statement | None = None
    for statement in statements:
        if before is not None and (back_s := _s(statement, before)) > _CLOCK_S:
            notes.append(
                f"the clock went back by {span(back_s)} between entries {before.index} and {statement.index}: "
                "times around there are not to be trusted, the order is"
            )
        before = statement
        if statement.kind == "heartbeat":
            _beat(lives.setdefault(str(statement.predicate.get("journal")), _Life()), statement)
    for journal, life in lives.items():
        notes += [_silence(journal, first, second) for first, second in life.silences]
        if life.last is not None and not life.ended:
            notes.append(_still(journal, life, life.last, now))
    report.notes += notes[:_MOST_SAID]
    if len(notes) > _MOST_SAID:
        report.notes.append(
            f"and {len(notes) - _MOST_SAID} more times at which the log was silent or the clock went back"
        )
    if before is not None:
        report.last_entry = f"{_told(before)}, {_ago((now - _at(before)).total_seconds())}"


def _beat(life: _Life, statement: Statement) -> None:
    said = statement.predicate
    if life.last is not None and not life.ended and -_s(statement, life.last) > _LATE * life.every_s:
        life.silences.append((life.last, statement))
    life.every_s = float(said.get("everyS") or 0)
    life.last, life.ended = statement, bool(said.get("ends"))


def _silence(journal: str, first: Statement, second: Statement) -> str:
    return (
        f"silence of {span(-_s(second, first))}, {_told(first)} to {_told(second)} (entries {first.index} and "
        f"{second.index}): the sealing of {journal} gave no sign of life. It was stopped, or the machine slept; what "
        "was recorded meanwhile was sealed later, or not at all"
    )


def _still(journal: str, life: _Life, last: Statement, now: dt.datetime) -> str:
    ago_s = (now - _at(last)).total_seconds()
    if ago_s <= _LATE * life.every_s:
        return f"the sealing of {journal} is alive: last sign {_told(last)}, {_ago(ago_s)} (entry {last.index})"
    return (
        f"the sealing of {journal} was last alive {_told(last)}, {_ago(ago_s)} (entry {last.index}), and never said "
        "that it ended: it was killed, or the machine went down. `agenttrace-nb recover` seals what is left"
    )


def span(seconds: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> span(5400), span(40)
    ('1 h 30 min', '40 s')
    """
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < 2 * _DAY_S:
        return f"{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S)} min"
    return f"{seconds / _DAY_S:.1f} days"


def _ago(seconds: float) -> str:
    return f"{span(seconds)} ago" if seconds >= 0 else f"{span(-seconds)} in the future by this machine's clock"


def _told(statement: Statement) -> str:
    return f"{_at(statement):%Y-%m-%d %H:%M:%S} UTC"


def _at(statement: Statement) -> dt.datetime:
    return dt.datetime.fromisoformat(str(statement.predicate["sealedAt"]))


def _s(later: Statement, earlier: Statement) -> float:
    """Return by how many seconds the later entry is dated before the earlier one."""
    return (_at(earlier) - _at(later)).total_seconds()
