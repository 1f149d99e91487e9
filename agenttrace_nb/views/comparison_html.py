"""A comparison as HTML: the part that a notebook keeps, and a page of its own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.comparison.words import Word
from agenttrace_nb.config import OptionError
from agenttrace_nb.views import comparison_charts as charts
from agenttrace_nb.views.chart_style import svg
from agenttrace_nb.views.comparison_cases import case_rows
from agenttrace_nb.views.comparison_runs import CasePlaces
from agenttrace_nb.views.comparison_words import headline, how_to_read, name, sheets, tail_sheet
from agenttrace_nb.views.plain_page import plain_page, write
from agenttrace_nb.views.safe_text import AS_WRITTEN, escaped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import altair as alt

    from agenttrace_nb.analysis.comparison import Findings, Pair
    from agenttrace_nb.views.comparison_words import Sheet

_OURS = ".agtr-compare.agtr-compare"
_CLASSES = {Word.BETTER.value: "agtr-better", Word.WORSE.value: "agtr-worse", Word.EQUIVALENT.value: "agtr-same"}
_MARKS = {Word.BETTER.value: "▲ ", Word.WORSE.value: "▼ ", Word.EQUIVALENT.value: "= "}
_COLOURS = {
    "agtr-better": ("#1c7a56", "#4cc793"),
    "agtr-worse": ("#bf2a21", "#ff7a70"),
    "agtr-same": ("#2c62ad", "#7fb0f0"),
}
_DARK = ("[data-jp-theme-light=false] ", "[data-agtr-theme=dark] ")
_STYLE = (
    f"{_OURS}{{font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums}}"
    f"{_OURS} p{{margin:0 0 4px;font:inherit}}"
    f"{_OURS} .agtr-wide{{overflow-x:auto;margin:6px 0 12px}}"
    f"{_OURS} table{{border-collapse:collapse;margin:0;font:inherit;table-layout:auto}}"
    f"{_OURS} caption{{text-align:left;font-weight:600;padding:2px 0;caption-side:top;color:inherit}}"
    f"{_OURS} :is(thead,tr,td,th){{border:0!important;background:none!important}}"
    f"{_OURS} :is(th,td){{padding:2px 18px 2px 0;text-align:left;white-space:nowrap;font-weight:400}}"
    f"{_OURS} th{{opacity:.7;font-size:11.5px}}"
    f"{_OURS} tbody tr:not(:first-child) td.agtr-first{{border-top:1px solid #8883!important}}"
    f"{_OURS} :is(th,td).agtr-n{{text-align:right}}"
    f"{_OURS} :is(.agtr-better,.agtr-worse,.agtr-same){{font-weight:600}}"
    + "".join(
        f"{_OURS} .{kind}{{color:{light}}}" + "".join(f"{where}{_OURS} .{kind}{{color:{dark}}}" for where in _DARK)
        for kind, (light, dark) in _COLOURS.items()
    )
    + f"{_OURS} ul{{margin:2px 0 6px;padding-left:18px}}{_OURS} small{{opacity:.75}}"
    f"{_OURS} a{{color:inherit;text-underline-offset:3px}}"
    f"{_OURS} summary{{cursor:pointer}}{_OURS} figure{{margin:14px 0;overflow-x:auto}}{_OURS} img{{max-width:none}}"
)
_PICTURED_PAIRS = 12
_LISTED_PAIRS = 60


def part(findings: Findings) -> str:
    """Return the comparison as the part of a notebook; it reads well with all styles taken out."""
    parts = [f"<p><strong>{escaped(headline(findings))}</strong></p>", _decided(findings)]
    parts += [_table(sheet) for sheet in sheets(findings)]
    return _wrapped([*parts, _notes(findings)])


def page(findings: Findings) -> str:
    """Return the comparison as one HTML file with its pictures; it runs nothing and fetches nothing."""
    first, *rest = sheets(findings)
    parts = [
        f"<p>{escaped(headline(findings))}</p>",
        _decided(findings),
        _table(first),
        _figure(lambda: charts.forest(findings), "Differences with intervals"),
    ]
    parts += [_table(sheet) for sheet in rest]
    if tails := tail_sheet(findings):
        parts.append(_table(tails))
    parts.append(_figure(lambda: charts.pareto(findings), "Cost against quality"))
    parts += [
        _figure(lambda m=metric: charts.ecdf(findings, m.name), f"Distribution of {metric.label}")  # type: ignore[misc]
        for metric in findings.metrics
        if metric.unit not in ("", "share")
    ]
    parts += _cases(findings)
    inner = _wrapped([*filter(None, parts), _notes(findings)])
    # One element more, since the part's own style comes after the page's.
    dark = "".join(f"body {_OURS} .{kind} {{ color: {colour}; }}" for kind, (_, colour) in _COLOURS.items())
    title = f"Comparison by {name(findings.by)}"
    return plain_page(title, inner, dark=dark)


def write_page(path: str | Path, findings: Findings) -> Path:
    """Write the page; return its absolute path."""
    return write(path, page(findings))


def _wrapped(parts: list[str]) -> str:
    inner = "\n".join(filter(None, parts))
    return f'<div class="agtr-compare {AS_WRITTEN}"><style>{_STYLE}</style>\n{inner}\n</div>'


def _decided(findings: Findings) -> str:
    words = (Word.BETTER, Word.WORSE, Word.EQUIVALENT)
    said = [(v.word.value, str(v)) for v in findings.verdicts if v.word in words]
    if not said:
        return "<p>No comparison found a difference; that is not to say that there is none.</p>"
    lines = [
        f'<li><span class="{_CLASSES[word]}">{_MARKS[word].strip()}</span> {escaped(text)}</li>' for word, text in said
    ]
    return f"<ul>{''.join(lines)}</ul>"


def _table(sheet: Sheet, link: Callable[[str], str | None] = lambda _: None) -> str:
    heads = "".join(f"<th{_side(sheet, i)}>{escaped(head)}</th>" for i, head in enumerate(sheet.heads))
    rows, before = [], None
    for number, row in enumerate(sheet.rows):
        is_first, before = row[0] != before, row[0]
        place = link(sheet.keys[number]) if sheet.keys else None
        cells = [
            _cell(sheet, i, cell, is_first=is_first, place=place if i == 0 else None) for i, cell in enumerate(row)
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    caption = f"<caption>{escaped(sheet.title)}</caption>"
    body = "\n".join(rows)
    table = f"<table>{caption}\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return f'<div class="agtr-wide">{table}</div>'


def _side(sheet: Sheet, column: int, more: str = "") -> str:
    classes = " ".join(filter(None, ["agtr-n" if column >= sheet.texts else "", more]))
    # Inline too: where a front end takes styles out but keeps these, its own rule would set all cells flush right.
    align = "" if column >= sheet.texts else ' style="text-align:left"'
    return (f' class="{classes}"' if classes else "") + align


def _cell(sheet: Sheet, column: int, cell: str, *, is_first: bool, place: str | None = None) -> str:
    is_verdict = sheet.heads[column] == "verdict"
    classes = [_CLASSES.get(cell, "") if is_verdict else "", "agtr-first" if is_first else ""]
    mark = _MARKS.get(cell, "") if is_verdict else ""
    text = escaped(cell) if place is None else f'<a href="#{place}">{escaped(cell)}</a>'
    return f"<td{_side(sheet, column, ' '.join(filter(None, classes)))}>{mark}{text}</td>"


def _notes(findings: Findings) -> str:
    lines = "".join(f"<li>{escaped(line)}</li>" for line in (*findings.notes, *how_to_read(findings)))
    return f"<small><ul>{lines}</ul></small>"


def _figure(draw: Callable[[], alt.TopLevelMixin], what: str) -> str:
    try:
        drawn = svg(draw())
    except OptionError:
        return ""  # there is nothing to draw, and the tables say why
    data = base64.b64encode(drawn.encode()).decode()
    return f'<figure><img alt="{escaped(what)}" src="data:image/svg+xml;base64,{data}"></figure>'


def _cases(findings: Findings) -> list[str]:
    """Return the cases of each pair, folded: the most different ones first, with a picture for the first pairs."""
    pairs = [pair for pair in findings.pairs if pair.is_paired and pair.wins + pair.losses]
    found = []
    places = CasePlaces(findings)
    for number, pair in enumerate(pairs[:_LISTED_PAIRS]):
        sheet = case_rows(findings, pair)
        picture = _cases_picture(findings, pair) if number < _PICTURED_PAIRS else ""
        summary = f"{sheet.title}: better in {pair.wins}, worse in {pair.losses} of {pair.cases} cases"
        found.append(f"<details><summary>{escaped(summary)}</summary>{picture}{_table(sheet, places.link)}</details>")
    if len(pairs) > _LISTED_PAIRS:
        found.append(
            f"<p><em>The cases of {len(pairs) - _LISTED_PAIRS} more pairs were left out: .cases() has all.</em></p>"
        )
    return [*found, places.section()]


def _cases_picture(findings: Findings, pair: Pair) -> str:
    return _figure(lambda: charts.cases(findings, pair.metric.name, pair.a, pair.b), "Cases won and lost")
