"""How it goes with each handler, as a table: what ``%trace_export list`` and `exports` show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.export.status import statuses
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.safe_text import escaped, fit, one_line, width
from agenttrace_nb.views.static_html import LEFT, framed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.export.status import HandlerStatus

_HEADS = ("name", "target", "content", "sent", "waiting", "dropped", "oldest", "last sent", "state")
_NUMBERS = frozenset({"sent", "waiting", "dropped", "oldest", "last sent"})
_TARGET_CHARS = 60
_NONE_YET = "No handler was added. For example: %trace_export add jsonl --path ~/agents.jsonl"
_MARKS = {"nothing waits": "✓", "sending": "…", "paused": "⊘", "stopped": "✕", "hanging": "✕", "trying again": "⚡"}
_REMARK = "text-align:left;white-space:normal;padding-bottom:5px"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


class Exports:
    """The handlers and how it goes with each; shows itself as a table.

    Parameters
    ----------
    found
        The handlers, as `agenttrace_nb.export.status.statuses` gives them.
    """

    def __init__(self, found: list[HandlerStatus]) -> None:
        self._found = found

    def __iter__(self) -> Iterator[HandlerStatus]:
        """Iterate over the handlers."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    def __getitem__(self, name: str) -> HandlerStatus:
        """Return how it goes with one handler.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        for status in self._found:
            if status.settings.name == name:
                return status
        raise KeyError(name)

    def text(self) -> str:
        """Return the table as text."""
        if not self._found:
            return _NONE_YET
        rows = [dict(zip(_HEADS, _HEADS, strict=True)), *(_cells(status) for status in self._found)]
        widths = {head: max(width(row[head]) for row in rows) for head in _HEADS}
        lines = [_line(rows[0], widths)]
        for status, row in zip(self._found, rows[1:], strict=True):
            lines.append(_line(row, widths))
            lines += [f"    {words}" for words in _remarks(status)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return the table as text."""
        return self.text()

    def _repr_html_(self) -> str:
        if not self._found:
            return framed(None, f"<p>{escaped(_NONE_YET)}</p>")
        heads = "".join(f"<th{_side(head)}>{head}</th>" for head in _HEADS)
        body = "".join(_html_row(status) for status in self._found)
        return framed(None, f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>")

    def bundle(self) -> dict[str, str]:
        """Return the table as front ends take it, by type."""
        return {"text/plain": self.text(), "text/html": self._repr_html_()}


def exports(folder: Path | None = None) -> Exports:
    """Return the handlers that were added, and how it goes with each.

    Parameters
    ----------
    folder
        The folder of the journals; by default this user's.

    Raises
    ------
    OptionError
        If their settings are damaged.

    Examples
    --------
    >>> len(exports())
    0
    """
    return Exports(statuses(folder))


def _cells(status: HandlerStatus) -> dict[str, str]:
    settings = status.settings
    target = f"{settings.type} {status.target}" if status.target else settings.type
    state = _state(status)
    texts = (
        settings.name,
        one_line(target, _TARGET_CHARS),
        settings.content.value,
        fmt.grouped(status.sent),
        fmt.grouped(status.waiting),
        fmt.grouped(status.dropped.total()),
        _age(status.oldest_s),
        _ago(status.success_s),
        f"{_MARKS[state]} {state}",
    )
    return dict(zip(_HEADS, texts, strict=True))


def _state(status: HandlerStatus) -> str:
    if status.state != "sending":
        return status.state
    if status.waiting == 0:
        return "nothing waits"
    return "sending" if status.problem is None else "trying again"


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return fmt.UNKNOWN
    return "now" if seconds < 1 else f"{_age(seconds)} ago"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return fmt.UNKNOWN
    for unit, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _remarks(status: HandlerStatus) -> list[str]:
    """Return what else is to be said, one sentence or two on a line."""
    found = []
    if status.state == "hanging":
        found.append("The handler has not come back from a call for more than 30 s. The others go on.")
    if status.problem is not None and status.problem not in status.dropped:
        found.append(one_line(status.problem, 400))
    if status.state == "stopped":
        name = status.settings.name
        found.append(f"Put that right, then: %trace_export resume {name}")
        found.append(
            f"For other options: %trace_export remove {name}, then add it with --backlog 2h, "
            "so that what waited is sent"
        )
    if status.state == "paused":
        found.append(f"To go on: %trace_export resume {status.settings.name}")
    for reason, count in status.dropped.most_common(3):
        found.append(one_line(f"{fmt.grouped(count)} dropped: {reason}", 400))
    return found


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    found = []
    for head, size in widths.items():
        padding = " " * (size - width(row[head]))
        found.append(padding + fit(row[head], size) if head in _NUMBERS else fit(row[head], size) + padding)
    return "  ".join(found).rstrip()


def _side(head: str) -> str:
    return ' class="agtr-n"' if head in _NUMBERS else LEFT


def _html_row(status: HandlerStatus) -> str:
    cells = {head: escaped(text) for head, text in _cells(status).items()}
    cells["name"] = f"<strong>{cells['name']}</strong>"
    bad = ' class="agtr-error"' if status.state in {"stopped", "hanging"} or status.dropped else ""
    row = "".join(f"<td{_side(head)}>{cells[head]}</td>" for head in _HEADS)
    remarks = "".join(
        f'<tr{bad}><td></td><td colspan="{len(_HEADS) - 1}" style="{_REMARK}">{escaped(words)}</td></tr>\n'
        for words in _remarks(status)
    )
    return f"<tr>{row}</tr>\n{remarks}"
