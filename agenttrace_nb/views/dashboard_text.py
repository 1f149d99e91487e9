"""A dashboard as text: for terminals, ``print``, and front ends that show nothing better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.monitor_groups import BY, groups
from agenttrace_nb.analysis.monitor_rules import State
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.safe_text import fit, one_line, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.monitor import Figures, Quantile, Stretch
    from agenttrace_nb.analysis.monitor_board import Board
    from agenttrace_nb.analysis.monitor_groups import Change, Group
    from agenttrace_nb.analysis.monitor_rules import Alert

UNKNOWN = "—"
GROUP_LIMIT = 8
NAME_COLUMNS = 28
_HEADS = ("", "n", "errors", "p50", "p95", "in all", "tokens", "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a dashboard shows at one moment: ``figures`` of the runs in ``board`` that started in ``stretch``."""

    title: str
    board: Board
    stretch: Stretch
    figures: Figures
    now_ms: float
    alerts: Sequence[Alert] = ()
    notes: Sequence[str] = ()


def tiles(f: Figures) -> list[tuple[str, str, str]]:
    """Return the six tiles: what, how much, and what stands behind it."""
    judged = f.ok + f.errors
    also = [(f.guardrail, "turned away by a guardrail"), (f.cancelled, "cancelled"), (f.interrupted, "interrupted")]
    success = [f"{f.ok} of {judged} ended without error"] if judged else ["no run has ended"]
    success += [f"said successful: {f.said} of {f.said_of}"] if f.said_of else []
    success += [f"{n} {what}" for n, what in also if n]
    runs = ([f"{f.in_flight} in flight"] if f.in_flight else []) + (
        [f"{f.per_minute:.3g} a minute"] if f.per_minute is not None else []
    )
    p50, p95, p99 = f.latency.values()
    tokens = [f"{side or 0:,} {word}" for side, word in ((f.tokens_in, "in"), (f.tokens_out, "out"))]
    known = f.tokens_in is not None or f.tokens_out is not None
    missing = [f"{f.no_tokens} without a count"] if known and f.no_tokens else []
    no_cost = [f"{f.no_cost} {fmt.plural(f.no_cost, 'run')} without a known cost"] if f.runs and f.no_cost else []
    return [
        ("Runs", f"{f.runs:,}", " · ".join(runs) or "none yet"),
        ("Success rate", share(f.success_rate), " · ".join(success)),
        ("Errors", f"{f.errors:,}", f"{share(f.errors / judged)} of runs" if judged else "no run has ended"),
        (
            "Latency, median",
            _quantile(p50),
            (
                f"p95 {_quantile(p95)} · p99 {_quantile(p99)} · {p50.of} {fmt.plural(p50.of, 'run')}, "
                f"{fmt.seconds(f.latency_sum_s)} in all"
            ),
        ),
        (
            "Tokens",
            fmt.count((f.tokens_in or 0) + (f.tokens_out or 0)) if known else UNKNOWN,
            " · ".join([*tokens, *missing]) if known else "none known",
        ),
        (
            "Cost",
            UNKNOWN if f.cost_usd is None else fmt.usd(f.cost_usd),
            " · ".join(no_cost) or ("of all runs" if f.runs else "not known of any run"),
        ),
    ]


def share(value: float | None) -> str:
    """Return a share in per cent.

    Examples
    --------
    >>> [share(v) for v in (None, 0, 0.5, 0.9, 0.942, 0.99999, 1)]
    ['—', '0 %', '50 %', '90 %', '94.2 %', '>99.9 %', '100 %']
    """
    if value is None:
        return UNKNOWN
    middle = 0.1 <= value < 0.9  # noqa: PLR2004 - elsewhere one digit more tells something
    text = f"{100 * value:.{0 if middle else 1}f}"
    if value < 1 and text == "100.0":
        return ">99.9 %"
    return "<0.1 %" if value > 0 and text == "0.0" else f"{text.removesuffix('.0')} %"


def alert_words(alert: Alert) -> str:
    """Return what a rule's figure is, in words."""
    rule, reading = alert.rule, alert.reading
    if reading.value is None:
        if reading.runs >= reading.needed:
            return "no run has a known cost"
        return f"{State.TOO_FEW.value}: {reading.runs} of {reading.needed}"
    value = reading.value
    if rule.figure in ("success", "said"):
        words = share(value)
    elif rule.figure[0] == "p":
        words = fmt.seconds(value)
    elif rule.figure == "cost":
        words = fmt.usd(value)
    else:
        words = f"{value:,.0f}"
    of = f"{reading.runs} {fmt.plural(reading.runs, 'run')}"
    return f"now {words} of {of}"


def change_words(change: Change) -> str:
    """Return what rose, in words."""
    if change.what == "errors":
        return f"more errors: {share(change.before)} → {share(change.now)}"
    return f"slower: {fmt.seconds(change.before)} → {fmt.seconds(change.now)}"


def text_dashboard(shown: Picture) -> str:
    """Return a dashboard as text."""
    lines = [shown.title, ""]
    lines += [f"{what:<17}{value:>10}   {behind}" for what, value, behind in tiles(shown.figures)]
    for alert in shown.alerts:
        mark = "▲" if alert.state is State.FIRING else " "
        lines += ["", f"{mark} {one_line(alert.rule.text, 80)}: {alert_words(alert)}"]
    for by in BY:
        found = groups(shown.board, by, shown.stretch)
        if found:
            lines += ["", *_table(by, found)]
    lines += ["", *shown.notes] if shown.notes else []
    return "\n".join(line.rstrip() for line in lines)


def cells(group: Group) -> tuple[str, ...]:
    """Return a group's figures, in the order of the table's columns."""
    return (
        f"{group.n:,}",
        f"{group.errors:,}",
        fmt.seconds(group.p50_s),
        fmt.seconds(group.p95_s),
        fmt.seconds(group.total_s),
        UNKNOWN if group.tokens is None else fmt.count(group.tokens),
        UNKNOWN if group.cost_usd is None else fmt.usd(group.cost_usd),
    )


def group_name(group: Group) -> str:
    """Return the name of a group on one line."""
    return one_line(group.name, NAME_COLUMNS * 4) if group.name else "without one"


def _table(by: str, found: Sequence[Group]) -> list[str]:
    lines = [f"{by:<{NAME_COLUMNS}}" + "".join(f"{head:>11}" for head in _HEADS[1:])]
    for group in found[:GROUP_LIMIT]:
        name = fit(group_name(group), NAME_COLUMNS - 1)
        name += " " * (NAME_COLUMNS - width(name))
        change = f"   ▲ {change_words(group.change)}" if group.change else ""
        lines.append(name + "".join(f"{cell:>11}" for cell in cells(group)) + change)
    if left := len(found) - GROUP_LIMIT:
        lines += [f"and {left} more"] if left > 0 else []
    return lines


def _quantile(q: Quantile) -> str:
    if q.value_s is None:
        return UNKNOWN
    return fmt.seconds(q.value_s) if q.enough else "too few"
