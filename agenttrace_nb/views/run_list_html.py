"""The static twin of a list of runs: a table that reads well with every style, script and picture taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.spans import Status
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.run_list_text import cells, summary
from agenttrace_nb.views.safe_text import escaped
from agenttrace_nb.views.static_html import LEFT, bar, framed

if TYPE_CHECKING:
    from agenttrace_nb.views.run_list import RunLine, RunList

ROW_LIMIT = 200
BAR_CELLS = 7
_HEADS = (
    "status", "name", "arch", "case", "trial", "when (UTC)", "latency", "", "turns", "tools", "tokens", "cost",
    "errors",
)  # fmt: skip
_TO_THE_LEFT = {"status", "name", "arch", "case", "trial", "when (UTC)", ""}


def static_list(found: RunList, *, has_live: bool = True) -> str:
    """Return the static twin of a list of runs: the first 200, and how many it left out.

    Parameters
    ----------
    found
        The list.
    has_live
        A live view stands beside it, which hides it.
    """
    count, *groups = summary(found)
    parts = [f"<p><strong>{escaped(count)}</strong></p>", *(f"<p>{escaped(group)}</p>" for group in groups)]
    shown = found.lines[:ROW_LIMIT]
    if shown:
        longest = max((line.latency_s or 0 for line in shown), default=0)
        heads = "".join(f"<th{LEFT if head in _TO_THE_LEFT else _RIGHT}>{head}</th>" for head in _HEADS)
        rows = "".join(_row(line, longest) for line in shown)
        parts.append(f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>")
    if left := len(found.lines) - len(shown):
        words = f"To keep the notebook small, {left:,} more {fmt.plural(left, 'run')} were left out here"
        parts.append(f"<p><em>{words}; .traces() is the whole table, to_html(path) keeps all.</em></p>")
    parts += [f"<p><em>{escaped(note)}</em></p>" for note in found.notes]
    return framed(found.key if has_live else None, "\n".join(parts))


_RIGHT = ' class="agtr-n"'


def _row(line: RunLine, longest: float) -> str:
    of = {name: escaped(text) for name, text in cells(line).items()}
    drawn = bar(0, line.latency_s, longest, BAR_CELLS) if line.latency_s else ""
    word = labels.STATUS_WORDS[line.status]
    if line.success is not None and line.status is Status.OK:
        word = "successful" if line.success else "not successful"
    status = f"{of['']} {word}" + ("" if line.problem is None else " (not complete)")
    left = [status, f"<strong>{of['name']}</strong>", of["arch"], of["case"], of["trial"], of["when"]]
    right = [of[name] for name in ("turns", "tools", "tokens", "cost", "errors")]
    found = "".join(f"<td{LEFT}>{text}</td>" for text in left)
    found += f'<td{_RIGHT}>{of["latency"]}</td><td{LEFT}><code style="background:none">{drawn}</code></td>'
    found += "".join(f"<td{_RIGHT}>{text}</td>" for text in right)
    bad = ' class="agtr-error"' if line.status is Status.ERROR or line.success is False else ""
    return f"<tr{bad}>{found}</tr>\n"
