"""A comparison as text, Markdown and LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.comparison.words import Word
from agenttrace_nb.views.comparison_words import group_sheet, headline, how_to_read, pair_sheet, sheets
from agenttrace_nb.views.safe_text import plain, width

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison import Findings
    from agenttrace_nb.views.comparison_words import Sheet

_GAP = "  "
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&])")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$", "∞": r"$\infty$", "–": "--", "·": r"$\cdot$",
    "\u202f": r"\,", "<": r"\textless{}", ">": r"\textgreater{}", "…": r"\ldots{}",
}  # fmt: skip


def text(findings: Findings) -> str:
    """Return everything as text for a terminal."""
    parts = [headline(findings), ""]
    for sheet in sheets(findings):
        parts += [sheet.title, *_aligned(sheet), ""]
    decided = [plain(str(v)) for v in findings.verdicts if v.word not in (Word.NO_EVIDENCE, Word.TOO_FEW)]
    parts += decided or ["No comparison found a difference; that is not to say that there is none."]
    parts += [f"note: {plain(note)}" for note in findings.notes]
    return "\n".join([*parts, *how_to_read(findings)])


def _aligned(sheet: Sheet) -> list[str]:
    rows = [sheet.heads, *sheet.rows]
    widths = [max(width(row[i]) for row in rows) for i in range(len(sheet.heads))]
    lines = []
    for row in rows:
        cells = [cell + " " * (widths[i] - width(cell)) for i, cell in enumerate(row)]
        lines.append(("  " + _GAP.join(cells)).rstrip())
    return lines


def markdown(findings: Findings) -> str:
    """Return everything as Markdown, with tables as GitHub reads them."""
    parts = [_escaped(headline(findings)), ""]
    for sheet in sheets(findings):
        marks = ["---" if i < sheet.texts else "---:" for i in range(len(sheet.heads))]
        rows = [[_escaped(cell) for cell in row] for row in (sheet.heads, *sheet.rows)]
        parts += [f"**{_escaped(sheet.title)}**", ""]
        parts += ["| " + " | ".join(row) + " |" for row in (rows[0], marks, *rows[1:])]
        parts.append("")
    parts += [f"- {_escaped(line)}" for line in (*findings.notes, *how_to_read(findings))]
    return "\n".join(parts) + "\n"


def _escaped(cell: str) -> str:
    return _MARKDOWN.sub(r"\\\1", plain(cell).replace("\n", " "))


def latex(findings: Findings) -> str:
    """Return the table of groups and the table of pairs as LaTeX, with rules of the package booktabs."""
    return "\n".join(_tabular(sheet) for sheet in (group_sheet(findings), pair_sheet(findings)))


def _tabular(sheet: Sheet) -> str:
    columns = "".join("l" if i < sheet.texts else "r" for i in range(len(sheet.heads)))
    rows = [" & ".join(_tex(cell) for cell in row) + r" \\" for row in (sheet.heads, *sheet.rows)]
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule"]
    caption = rf"\caption{{{_tex(sheet.title)}}}"
    return "\n".join([r"\begin{table}", r"\centering", caption, *body, r"\end{tabular}", r"\end{table}", ""])


def _tex(cell: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in plain(cell).replace("\n", " "))
