"""The static twin of the live view: what a saved notebook keeps.

It reads well with every style, script and picture taken out: a table whose bars are characters, and nested
``<details>`` with what went in and out. Where the live view of the same run is on the page, the twin is hidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind, Status
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.content import brief
from agenttrace_nb.views.headline import headline
from agenttrace_nb.views.rows import Line, line_count, reading_order
from agenttrace_nb.views.safe_text import AS_WRITTEN, escaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agenttrace_nb.spans import CellRun, Span, Trace
    from agenttrace_nb.views.headline import Headline
    from agenttrace_nb.views.rows import Rows

ROW_LIMIT = 1_000
CONTENT_LIMIT_CHARACTERS = 2_000
CONTENT_BUDGET_BYTES = 100_000
BAR_CELLS = 32
NESTING_LIMIT = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
_INDENT = "\u2003"
_BLANK = "\u00a0"
# Inline: where a front end takes styles out but keeps these, its own rule would set tables flush right.
LEFT = ' style="text-align:left"'

# While the live view is there, its twin is hidden; in JupyterLab without its empty place, and after reopening
# without a kernel also without the line that says that the widget is gone. `:has` must not stand inside `:has`.
_HIDING = (
    ":root:has(.agtr-live-{key}) .agtr-static-{key}{{display:none}}"
    ".jp-OutputArea-child:has(.agtr-static):has(+ .jp-OutputArea-child .agtr-live){{display:none}}"
    ".jp-OutputArea-child:has(.agtr-static) + .jp-OutputArea-child:not(:has(.agtr-live)){{display:none}}"
)
# Twice the class, to come before the notebook's own rules for tables and code.
_OURS = ".agtr-static.agtr-static"
_STYLE = (
    f"{_OURS}{{font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums}}"
    f"{_OURS} p{{margin:0 0 4px;font:inherit}}"
    f"{_OURS} table{{border-collapse:collapse;margin:8px 0;font:inherit;table-layout:auto}}"
    f"{_OURS} :is(thead,tr,td,th){{border:0!important;background:none!important}}"
    f"{_OURS} :is(th,td){{padding:1px 14px 1px 0;text-align:left;white-space:nowrap;font-weight:400}}"
    f"{_OURS} th{{opacity:.65;font-size:11px}}"
    f"{_OURS} .agtr-n{{text-align:right}}"
    f"{_OURS} small{{opacity:.65}}"
    f"{_OURS} :is(code,pre){{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px;padding:0}}"
    f"{_OURS} code{{white-space:pre;line-height:1;color:#5a63c4}}"
    f"{_OURS} :is(.agtr-error,.agtr-error code){{color:#c0281f}}"
    f"{_OURS} .agtr-wraps code{{opacity:.4}}"
    f"[data-jp-theme-light=false] {_OURS} code{{color:#8d97ff}}"
    f"[data-jp-theme-light=false] {_OURS} :is(.agtr-error,.agtr-error code){{color:#ff7a70}}"
    f"{_OURS} details details{{margin-left:1.2em}}{_OURS} summary{{cursor:pointer}}"
    f"{_OURS} pre{{margin:2px 0 8px 1.2em;padding-left:10px;border-left:2px solid #8884;background:none;"
    "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere}"
    f"@media print{{{_OURS} :is(table,th,table code){{font-size:9px}}"
    f"{_OURS} :is(th,td){{padding-right:7px;white-space:normal}}}}"
)


def pending_twin(head: Headline) -> str:
    """Return what stands in the twin's place until the run is over, or until there is time for it."""
    words = f"{escaped(head.title)} is running; its" if head.status is Status.RUNNING else f"{escaped(head.title)}: its"
    return framed(head.key, f"<p>{words} steps will stand here when the cell has ended.</p>")


def static_twin(
    run: CellRun | Trace, rows: Rows, *, timed: bool = True, has_live: bool = True, notes: Sequence[str] = (),
    seal: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Return the static twin of a run.

    At most 1,000 steps are listed and about 100 kB of content are kept; the twin says what it left out.

    Parameters
    ----------
    run
        The cell run, or a trace on its own.
    rows
        Its rows.
    timed
        Show times. Without them the twin of a deterministic run has the same bytes each time.
    has_live
        A live view stands beside it, which hides it.
    notes
        Lines for the reader.
    seal
        What the audit log knows of it: see `agenttrace_nb.views.seal`.

    Returns
    -------
    str
        HTML without scripts, with one ``<style>`` that may be taken out.
    """
    head = headline(run, rows, timed=timed)
    listed = reading_order(rows, limit=ROW_LIMIT)
    more = line_count(rows) - len(listed) if len(listed) == ROW_LIMIT else 0
    contents, without = _contents(rows, listed)
    parts = [_head(head, notes), _seal(seal)]
    if listed:
        parts += [_table(rows, listed, timed=timed), contents]
    else:
        parts.append("<p>No steps were recorded.</p>")
    parts.append(_left_out(more, without))
    return framed(head.key if has_live else None, "\n".join(filter(None, parts)))


def framed(key: str | None, inner: str) -> str:
    """Return a static twin with its style; with the key of the live view that hides it where it is on the page."""
    if key is None:
        return f'<div class="agtr-static {AS_WRITTEN}"><style>{_STYLE}</style>\n{inner}\n</div>'
    style = _HIDING.format(key=key) + _STYLE
    return f'<div class="agtr-static agtr-static-{key} {AS_WRITTEN}"><style>{style}</style>\n{inner}\n</div>'


def _head(head: Headline, notes: Sequence[str]) -> str:
    about = f" · {escaped(head.about)}" if head.about else ""
    name = f"{labels.MARKS[head.status]} {escaped(head.title)}"
    found = [f"<p><strong>{name}</strong>{about} · {labels.STATUS_WORDS[head.status]}</p>"]
    if head.figures:
        found.append(f"<p>{escaped(head.line())}</p>")
    if head.why:
        found.append(f'<p class="agtr-error">{escaped(head.why)}</p>')
    found += [f"<p><em>{escaped(note)}</em></p>" for note in notes]
    return "\n".join(found)


def _seal(seal: Mapping[str, str] | None) -> str:
    return f"<p>audit log: <strong>{escaped(seal['state'])}</strong>. {escaped(seal['why'])}</p>" if seal else ""


def _table(rows: Rows, lines: list[Line], *, timed: bool) -> str:
    heads = ["step", "tokens"]
    # From the first step on: what the cell did before it is not the agents' time.
    start = min(span.start_ns for span in rows.spans)
    length = max(span.end_ns or span.start_ns for span in rows.spans) - start
    if timed:
        heads += ["time", f"0 … {fmt.seconds(length / 1e9)}"]
    body = [_row(rows, line, start, length, timed=timed) for line in lines]
    right = ' class="agtr-n"'
    top = "".join(f"<th{right if word in ('tokens', 'time') else LEFT}>{escaped(word)}</th>" for word in heads)
    return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{''.join(body)}</tbody>\n</table>"


def _row(rows: Rows, line: Line, start: int, length: int, *, timed: bool) -> str:
    span = rows.spans[line.row]
    row = ' class="agtr-error"' if span.error else ' class="agtr-wraps"' if line.below else ""
    cells = [
        f"<td{LEFT}>{_INDENT * min(line.depth, NESTING_LIMIT)}{_words(rows, line)}</td>",
        f'<td class="agtr-n">{escaped(labels.tokens(span))}</td>',
    ]
    if timed:
        drawn = bar(span.start_ns - start, (span.end_ns or span.start_ns) - start, length)
        cells += [
            f'<td class="agtr-n">{fmt.seconds(span.duration_s)}</td>',
            f'<td{LEFT}><code style="background:none">{drawn}</code></td>',
        ]
    return f"<tr{row}>{''.join(cells)}</tr>\n"


def _words(rows: Rows, line: Line) -> str:
    span = rows.spans[line.row]
    kind = "" if span.kind is SpanKind.AGENT else f" <small>{span.kind.value}</small>"
    note = labels.note(rows, line.row)
    after = f" · {escaped(note)}" if note else ""
    name = escaped(labels.name(span))
    if span.kind is SpanKind.AGENT:
        name = f"<strong>{name}</strong>" + (f" <small>{escaped(labels.role(span))}</small>" if span.role else "")
    return f"{labels.MARKS[span.status]} {name}{kind}{after}"


def bar(start: float, end: float, length: float, cells: int = BAR_CELLS) -> str:
    """Return a bar of characters, from ``start`` to ``end`` of ``length``, on an axis of so many cells."""
    if length <= 0:
        return ""
    at = min(max(int(cells * start / length), 0), cells - 1)
    eighths = max(round(8 * cells * end / length) - 8 * at, 1)
    eighths = min(eighths, 8 * (cells - at))
    rest = _EIGHTHS[eighths % 8] if eighths % 8 else ""
    return _BLANK * at + "█" * (eighths // 8) + rest


def _contents(rows: Rows, lines: list[Line]) -> tuple[str, int]:
    parts = ["<details><summary>What went in and out</summary>\n"]
    open_depths: list[int] = []
    spent, without = 0, 0
    for line in lines:
        span = rows.spans[line.row]
        full = spent >= CONTENT_BUDGET_BYTES
        if full and (span.error is None or spent >= 2 * CONTENT_BUDGET_BYTES):
            without += 1
            continue
        # Browsers close what is nested too deep; from there on rows stand beside each other, as do errors whose steps
        # above have no content here any more.
        depth = 0 if full else min(line.depth, NESTING_LIMIT)
        while open_depths and open_depths[-1] >= depth:
            open_depths.pop()
            parts.append("</details>\n")
        content = _content(span)
        spent += len(content.encode())
        parts.append(f"<details><summary>{_words(rows, line)}</summary>\n{content}")
        open_depths.append(depth)
    parts += ["</details>\n"] * len(open_depths)
    parts.append("</details>")
    return "".join(parts), without


def _content(span: Span) -> str:
    into, out = ("arguments", "result") if span.kind is SpanKind.TOOL else ("input", "output")
    found = []
    if span.error is not None:
        found.append(f'<pre class="agtr-error">{_lines(labels.failure(span.error))}</pre>\n')
    for word, value in ((into, _read(span, "input")), (out, _read(span, "output"))):
        if value is not None:
            text = brief(value, CONTENT_LIMIT_CHARACTERS)
            found.append(f"<small>{word}</small>\n<pre>{_lines(text)}</pre>\n")
    return "".join(found)


def _lines(text: str) -> str:
    # In Markdown an empty line ends HTML: what follows would be read as Markdown, links and all.
    return escaped(text).replace("\n", "&#10;")


def _read(span: Span, side: str) -> object:
    try:
        return getattr(span, side)
    except Exception as error:
        return f"[could not be read: {type(error).__name__}: {error}]"


def _left_out(steps: int, without: int) -> str:
    words = []
    if steps:
        words.append(f"{steps:,} more {fmt.plural(steps, 'step')}")
    if without:
        words.append(f"the content of {without:,} {fmt.plural(without, 'step')}")
    if not words:
        return ""
    what = " and ".join(words)
    return f"<p><em>To keep the notebook small, {what} were left out here; to_html(path) keeps all.</em></p>"
