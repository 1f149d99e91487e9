"""The static twin of a dashboard: figures and tables that read well with every style, script and picture taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agenttrace_nb.analysis.monitor import STANDINGS, Standing, in_stretch
from agenttrace_nb.analysis.monitor_groups import BY, groups, series
from agenttrace_nb.analysis.monitor_rules import State
from agenttrace_nb.views import dashboard_text as words
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.safe_text import escaped, one_line
from agenttrace_nb.views.static_html import LEFT, bar, framed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.monitor import Figures, Stretch
    from agenttrace_nb.analysis.monitor_board import Board
    from agenttrace_nb.analysis.monitor_groups import Group
    from agenttrace_nb.analysis.monitor_rules import Alert
    from agenttrace_nb.views.dashboard_text import Picture

ERROR_LIMIT = 10
BAR_CELLS = 10
_RIGHT = ' class="agtr-n"'
_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEADS = ("n", "errors", "p50", "p95", "in all", "tokens", "cost")


def static_dashboard(shown: Picture, *, key: str | None = None) -> str:
    """Return the static twin of a dashboard; with the key of the live one that hides it where it is on the page."""
    board, stretch = shown.board, shown.stretch
    parts = [f"<p><strong>{escaped(shown.title)}</strong></p>"]
    parts += [_alert(alert) for alert in shown.alerts]
    parts.append(_tiles(shown.figures))
    parts.append(_over_time(board, stretch, shown.now_ms))
    for by in BY:
        if found := groups(board, by, stretch):
            parts.append(_groups(by, found))
    parts.append(_errors(board, stretch))
    parts += [f"<p><em>{escaped(note)}</em></p>" for note in shown.notes]
    return framed(key, "\n".join(filter(None, parts)))


def _alert(alert: Alert) -> str:
    firing = alert.state is State.FIRING
    mark, cls = ("▲ ", ' class="agtr-error"') if firing else ("", "")
    return f"<p{cls}>{mark}<strong>{escaped(alert.rule.text)}</strong>: {escaped(words.alert_words(alert))}</p>"


def _tiles(figures: Figures) -> str:
    rows = "".join(
        f"<tr><td{LEFT}>{escaped(what)}</td><td{_RIGHT}><strong>{escaped(value)}</strong></td>"
        f"<td{LEFT}>{escaped(behind)}</td></tr>\n"
        for what, value, behind in words.tiles(figures)
    )
    return f"<table>\n<tbody>\n{rows}</tbody>\n</table>"


def _over_time(board: Board, stretch: Stretch, now_ms: float) -> str:
    step, bins = series(board, stretch, now_ms)
    if not bins:
        return ""
    each = f"{step / 1000:g} s" if step < 60_000 else f"{step / 60_000:g} min"  # noqa: PLR2004 - a minute
    lines: list[tuple[str, Sequence[float | None]]] = [
        ("runs", [b.runs for b in bins]),
        ("p50", [b.p50_s for b in bins]),
        ("errors", [b.errors for b in bins]),
    ]
    rows = "".join(
        f'<tr><td{LEFT}>{name}</td><td{LEFT}><code style="background:none">{_spark(values)}</code></td>'
        f"<td{LEFT}>{_most(name, values)}</td></tr>\n"
        for name, values in lines
    )
    head = f"<thead><tr><th{LEFT}>each {each}</th><th></th><th></th></tr></thead>"
    return f"<table>\n{head}\n<tbody>\n{rows}</tbody>\n</table>"


def _spark(values: Sequence[float | None]) -> str:
    most = max((v for v in values if v is not None), default=0)
    if not most:
        return "\u00a0" * len(values)
    steps = len(_BLOCKS) - 1
    # At least the lowest block for anything above nothing.
    found = ("\u00a0" if not v else _BLOCKS[max(1, round(steps * v / most))] for v in values)
    return "".join(found)


def _most(name: str, values: Sequence[float | None]) -> str:
    most = max((v for v in values if v is not None), default=None)
    if most is None:
        return words.UNKNOWN
    return f"at most {fmt.seconds(most)}" if name == "p50" else f"at most {most:g}"


def _groups(by: str, found: Sequence[Group]) -> str:
    longest = max((group.total_s or 0 for group in found), default=0)
    rows = []
    for group in found[: words.GROUP_LIMIT]:
        figures = "".join(f"<td{_RIGHT}>{escaped(cell)}</td>" for cell in words.cells(group))
        drawn = bar(0, group.total_s, longest, BAR_CELLS) if group.total_s else ""
        change = f"▲ {escaped(words.change_words(group.change))}" if group.change else ""
        rows.append(
            f"<tr><td{LEFT}><strong>{escaped(words.group_name(group))}</strong></td>{figures}"
            f'<td{LEFT}><code style="background:none">{drawn}</code></td>'
            f'<td class="agtr-error"{LEFT}>{change}</td></tr>\n'
        )
    heads = "".join(f"<th{_RIGHT}>{head}</th>" for head in _HEADS)
    more = len(found) - words.GROUP_LIMIT
    rest = f"<p><em>and {more} more</em></p>" if more > 0 else ""
    return (
        f"<table>\n<thead><tr><th{LEFT}>{by}</th>{heads}<th></th><th></th></tr></thead>\n"
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>{rest}"
    )


def _errors(board: Board, stretch: Stretch) -> str:
    failed = in_stretch(board, stretch) & (board.runs["standing"] == STANDINGS[Standing.ERROR])
    rows = np.flatnonzero(failed)
    rows = rows[np.argsort(-board.runs["start_ms"][rows], kind="stable")]
    if not rows.size:
        return ""
    lines = []
    for row in rows[:ERROR_LIMIT]:
        of = {name: board.text(int(board.runs[name][row])) for name in ("name", "arch", "case", "where", "why")}
        place = " · ".join(one_line(p, 60) for p in (of["arch"], of["case"]) if p) or one_line(of["name"] or "", 60)
        why = one_line(of["why"] or "no reason recorded", 160)
        where = f"<strong>{escaped(one_line(of['where'], 60))}</strong> " if of["where"] else ""
        lines.append(f"<tr><td{LEFT}>✕ {escaped(place)}</td><td{LEFT}>{where}{escaped(why)}</td></tr>\n")
    head = f"<thead><tr><th{LEFT}>last errors</th><th></th></tr></thead>"
    more = rows.size - ERROR_LIMIT
    rest = f"<p><em>and {more} more</em></p>" if more > 0 else ""
    return f"<table>\n{head}\n<tbody>\n{''.join(lines)}</tbody>\n</table>{rest}"
