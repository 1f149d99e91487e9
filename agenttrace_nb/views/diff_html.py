"""Two traces side by side as HTML: the part that a notebook keeps, and a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.analysis.trace_diff import Class
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.diff_text import SIGNS, deltas, differing, first, shown, summary, title, totals, words
from agenttrace_nb.views.plain_page import plain_page, write
from agenttrace_nb.views.safe_text import AS_WRITTEN, escaped, one_line, plain

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.analysis.trace_diff import Change, Step, StepDiff

_OURS = ".agtr-diff.agtr-diff"
_VALUE_CHARACTERS = 1_500
_TINTS = {"added": "35,149,107", "removed": "217,83,74", "changed": "208,138,29", "moved": "79,131,204"}
_STYLE = (
    f"{_OURS}{{font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums}}"
    f"{_OURS} p{{margin:0 0 4px;font:inherit}}"
    f"{_OURS} .agtr-wide{{overflow-x:auto}}"
    f"{_OURS} table{{border-collapse:collapse;margin:8px 0;font:inherit;table-layout:auto}}"
    f"{_OURS} table.agtr-steps{{width:100%}}"
    f"{_OURS} :is(thead,tr,td,th){{border:0!important;background:none}}"
    f"{_OURS} :is(th,td){{padding:2px 12px 2px 6px;text-align:left;vertical-align:top;font-weight:400}}"
    f"{_OURS} th{{opacity:.7;font-size:11.5px}}{_OURS} small{{opacity:.75}}"
    f"{_OURS} .agtr-n{{text-align:right;white-space:nowrap}}"
    f"{_OURS} .agtr-gap td{{opacity:.65;text-align:center;font-style:italic}}"
    + "".join(f"{_OURS} td.agtr-{kind}{{background:rgba({tint},.14)!important}}" for kind, tint in _TINTS.items())
    + f"{_OURS} code{{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px;background:none;"
    "color:inherit;padding:0;white-space:pre-wrap;overflow-wrap:anywhere}"
    f"{_OURS} del{{background:rgba({_TINTS['removed']},.3);text-decoration:line-through}}"
    f"{_OURS} ins{{background:rgba({_TINTS['added']},.3);text-decoration:none}}"
)


def part(found: StepDiff, limit: int = 400) -> str:
    """Return the comparison as the part of a notebook; it reads well with all styles taken out."""
    said = first(found)
    parts = [
        f"<p><strong>{escaped(summary(found))}</strong></p>",
        f"<p>{escaped(said)}</p>" if said else "",
        _totals(found),
    ]
    if said:
        parts.append(_steps(found, limit))
    inner = "\n".join(filter(None, parts))
    return f'<div class="agtr-diff {AS_WRITTEN}"><style>{_STYLE}</style>\n{inner}\n</div>'


def write_page(path: str | Path, found: StepDiff) -> Path:
    """Write the comparison as one HTML file; return its absolute path."""
    return write(path, plain_page("Two traces, side by side", part(found, limit=5_000), width_px=1300))


def _totals(found: StepDiff) -> str:
    heads = ["", f"a: {title(found.a)}", f"b: {title(found.b)}", "difference"]
    rows = [row for row in totals(found) if row[1:3] != (fmt.UNKNOWN, fmt.UNKNOWN)]
    top = "".join(f'<th style="text-align:left">{escaped(head)}</th>' for head in heads)
    body = "\n".join(
        "<tr>" + "".join(f'<td style="text-align:left">{escaped(c)}</td>' for c in row) + "</tr>" for row in rows
    )
    return f'<div class="agtr-wide"><table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _steps(found: StepDiff, limit: int) -> str:
    heads = ("", "a", "b", "time", "tokens", "cost")
    top = "".join(f'<th style="text-align:left">{head}</th>' for head in heads)
    rows = [_gap(row) if isinstance(row, int) else _row(row) for row in shown(found.steps, limit)]
    body = "\n".join(rows)
    table = f'<table class="agtr-steps"><thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    return f'<div class="agtr-wide">{table}</div>'


def _gap(count: int) -> str:
    return f'<tr class="agtr-gap"><td></td><td colspan="2">… {count:,} more {fmt.plural(count, "step")}</td></tr>'


def _row(step: Step) -> str:
    kind = step.kind.value
    tint = f' class="agtr-{kind}"' if step.kind is not Class.SAME else ""
    changes = [_change(change) for change in step.changes]
    left = _side(step, in_b=False, more=[before for before, _ in changes])
    right = _side(step, in_b=True, more=[after for _, after in changes])
    figures = deltas(step) if step.kind is not Class.SAME else ["", "", ""]
    cells = "".join(f'<td class="agtr-n">{escaped(cell)}</td>' for cell in figures)
    sign = f'<td title="{kind}">{SIGNS[step.kind].strip()}</td>'
    return (
        f'<tr>{sign}<td{tint if step.a else ""} style="text-align:left">{left}</td>'
        f'<td{tint if step.b else ""} style="text-align:left">{right}</td>{cells}</tr>'
    )


def _side(step: Step, *, in_b: bool, more: list[str]) -> str:
    span = step.b if in_b else step.a
    if span is None:
        return ""
    indent = "\u2003" * min(step.depth, 20)
    name = f"{labels.MARKS[span.status]} {escaped(words(span))}"
    moved = " <small>moved</small>" if step.kind is Class.MOVED else ""
    lines = "".join(f'<div style="margin-left:{min(step.depth, 20) + 1}em">{line}</div>' for line in more)
    return f"{indent}{name}{moved}{lines}"


def _change(change: Change) -> tuple[str, str]:
    """Return both sides of a change with what differs marked."""
    before, after = (plain(v or "")[:_VALUE_CHARACTERS] for v in (change.before, change.after))
    left, right = [], []
    for tag, of_a, of_b in differing(before, after):
        x, y = _inline(of_a), _inline(of_b)
        left.append(x if tag == "equal" else f"<del>{x}</del>" if x else "")
        right.append(y if tag == "equal" else f"<ins>{y}</ins>" if y else "")
    name = f"<small>{escaped(one_line(change.part, 30))}</small> "
    sides = ("".join(left) or "∅", "".join(right) or "∅")
    cut = ["…" if len(v or "") > _VALUE_CHARACTERS else "" for v in (change.before, change.after)]
    return f"{name}<code>{sides[0]}{cut[0]}</code>", f"{name}<code>{sides[1]}{cut[1]}</code>"


def _inline(text: str) -> str:
    # In Markdown an empty line ends HTML: what follows would be read as Markdown, links and all.
    return escaped(text).replace("\n", "&#10;")
