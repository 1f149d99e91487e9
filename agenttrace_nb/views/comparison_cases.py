"""Who won which case, with the traces to look at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.comparison.metrics import Scale
from agenttrace_nb.views.comparison_words import Sheet, amount, name

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison import Findings, Pair

LISTED = 60
_ID_CHARACTERS = 8


def case_records(findings: Findings, pair: Pair) -> list[dict[str, Any]]:
    """Return one record for each case of a pair, where b gains most first.

    Keys: ``case``, ``a`` and ``b`` (their figures), ``difference``, ``winner``, ``traces_a`` and ``traces_b`` (ids).
    """
    a, b = findings.groups[pair.a], findings.groups[pair.b]
    if pair.metric.scale is Scale.PER_SUCCESS or not pair.is_paired:
        return []
    of_a, of_b = a.values(pair.metric), b.values(pair.metric)
    sign = 1 if pair.metric.more_is_better else -1
    found = []
    for case in sorted(of_a.keys() & of_b.keys()):
        difference = of_b[case] - of_a[case]
        is_tie = math.isclose(of_a[case], of_b[case], rel_tol=1e-9)
        found.append(
            {
                "case": case, "a": of_a[case], "b": of_b[case], "difference": difference,
                "winner": None if is_tie else pair.b if sign * difference > 0 else pair.a,
                "traces_a": [t for run in a.of_case[case] for t in run.traces],
                "traces_b": [t for run in b.of_case[case] for t in run.traces],
            }
        )  # fmt: skip
    return sorted(found, key=lambda row: -sign * row["difference"])


def case_rows(findings: Findings, pair: Pair) -> Sheet:
    """Return the cases of a pair that differ as a table of words, the largest differences first."""
    metric = pair.metric
    records = [row for row in case_records(findings, pair) if row["winner"] is not None]
    records.sort(key=lambda row: -abs(row["difference"]))
    rows = [
        [
            name(row["case"]), f"{name(row['winner'])} is better", amount(metric, row["a"]), amount(metric, row["b"]),
            _ids(row["traces_a"]), _ids(row["traces_b"]),
        ]
        for row in records[:LISTED]
    ]  # fmt: skip
    title = f"{name(metric.label)}, {name(pair.b)} against {name(pair.a)}"
    a, b = name(pair.a), name(pair.b)
    heads = ["case", "winner", a, b, f"traces of {a}", f"traces of {b}"]
    return Sheet(title, heads, rows, 2, keys=[row["case"] for row in records[:LISTED]])


def _ids(traces: list[str]) -> str:
    shown = " ".join(trace[:_ID_CHARACTERS] for trace in traces[:3])
    return name(shown) + (" …" if len(traces) > 3 else "")  # noqa: PLR2004 - as many as are shown
