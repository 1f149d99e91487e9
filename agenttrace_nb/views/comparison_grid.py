"""Who won which case, as a table whose cells lead to the runs of the case."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from agenttrace_nb.views.comparison_cases import case_records
from agenttrace_nb.views.comparison_words import amount, name
from agenttrace_nb.views.safe_text import escaped
from agenttrace_nb.views.static_html import LEFT, framed

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison import Findings, Pair

SHOWN_CASES = 40
SHOWN_COLUMNS = 12
_NOTE = "Green: better after the arrow; red: worse. The deeper, the larger the difference."


def grid(findings: Findings) -> dict[str, Any] | None:
    """Return what the widget shows (see ``js/src/heatmap/grid.ts``) and, as ``cases``, the case of each row.

    The cases that differ most by any metric come first. ``None`` where no case was won or lost.
    """
    pairs = [p for p in findings.pairs if p.is_paired and p.wins + p.losses][:SHOWN_COLUMNS]
    of = [{row["case"]: row for row in case_records(findings, pair) if row["winner"] is not None} for pair in pairs]
    sizes = [_strengths(pair, rows) for pair, rows in zip(pairs, of, strict=True)]
    largest: dict[str, float] = {}
    for known in sizes:
        for case, size in known.items():
            largest[case] = max(largest.get(case, 0.0), abs(size))
    if not largest:
        return None
    cases = sorted(largest, key=lambda case: (-largest[case], case))
    shown = cases[:SHOWN_CASES]
    heads = [f"{name(p.metric.label)}, {name(p.a)} → {name(p.b)}" for p in pairs]
    cells = []
    for at, case in enumerate(shown):
        for across, pair in enumerate(pairs):
            if (row := of[across].get(case)) is not None:
                figures, better = _figures(pair, row), "better" if row["winner"] == pair.b else "worse"
                words = f"case {name(case)}, {heads[across]}: {figures}, {better}. Show its runs"
                cells.append([at, across, round(sizes[across][case], 3), figures, words])
    left = len(cases) - len(shown)
    return {
        "key": "c" + hashlib.sha256(repr((shown, heads)).encode("utf-8", "surrogatepass")).hexdigest()[:8],
        "title": "Cases won and lost", "note": _NOTE, "across": "metric", "down": "case",
        "more": f"{left:,} more cases differ less; .cases(metric) has all." if left else None,
        "rows": [name(case) for case in shown], "columns": heads, "cells": cells, "cases": shown,
    }  # fmt: skip


def _strengths(pair: Pair, rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return how much each case differs, as a share of the largest difference; below 0 where b is better."""
    most = max((abs(row["difference"]) for row in rows.values()), default=0.0) or 1.0
    return {
        case: (-1 if row["winner"] == pair.b else 1) * max(abs(row["difference"]) / most, 0.05)
        for case, row in rows.items()
    }


def _figures(pair: Pair, row: dict[str, Any]) -> str:
    a, b = (amount(pair.metric, row[side]) for side in "ab")
    return f"{a} → {b}"


def static(of: dict[str, Any]) -> str:
    """Return the table as it is without a kernel; the live one beside it hides it."""
    cells = {(row, column): text for row, column, _, text, _ in of["cells"]}
    heads = "".join(f"<th{LEFT}>{escaped(head)}</th>" for head in (of["down"], *of["columns"]))
    body = "".join(
        f"<tr><td{LEFT}>{escaped(case)}</td>"
        + "".join(f"<td{LEFT}>{escaped(cells.get((at, across), ''))}</td>" for across in range(len(of["columns"])))
        + "</tr>\n"
        for at, case in enumerate(of["rows"])
    )
    more = f"<p><em>{escaped(of['more'])}</em></p>" if of["more"] else ""
    table = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table>"
    return framed(of["key"], f"<p><strong>{of['title']}</strong></p>\n{table}\n{more}")


def text(of: dict[str, Any]) -> str:
    """Return the table in plain text."""
    lines = [of["title"]]
    lines += [f"  {of['rows'][row]}: {of['columns'][column]}: {said}" for row, column, _, said, _ in of["cells"]]
    return "\n".join([*lines, *([of["more"]] if of["more"] else [])])
