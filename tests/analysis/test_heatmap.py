"""Errors by two things: counts that can be recounted by hand, the runs behind them, reports from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import polars as pl
import pytest

import agenttrace_nb as at
from agenttrace_nb.analysis.failures.findings import Side
from agenttrace_nb.config import OptionError
from agenttrace_nb.views.heatmap_widget import HeatmapWidget
from analysis.failures.traces import Build, failed

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.spans import Trace


def run(number: int, agent: str, *, ok: bool = True, arch: str = "one") -> Trace:
    build = Build()
    build.call("read", {"n": 1}, "x" if ok else None, agent=agent, **({} if ok else failed()))
    build.trace.trace_id = f"{number:032x}"
    build.trace.tags["arch"] = arch
    return build.trace


TRACES = [run(n, "Clerk", ok=n >= 3) for n in range(8)] + [run(10 + n, "Scout", ok=n > 0) for n in range(2)]
REPORTS = [
    {"trace_id": f"{0:032x}", "span_id": TRACES[0].spans[-1].span_id, "category": "wrong amount", "comment": "300"},
    {"trace_id": f"tr-{1:032x}", "span_id": TRACES[0].spans[-1].span_id, "category": "wrong amount", "comment": None},
    {"trace_id": f"{1:032x}", "span_id": TRACES[0].spans[-1].span_id, "category": "wrong amount", "comment": "again"},
    {"trace_id": f"{11:032x}", "span_id": "gone", "category": "<b>rude</b>", "comment": None},
    {"trace_id": f"{99:032x}", "span_id": None, "category": "of another run", "comment": None},
]


def cells(found: at.Heatmap) -> dict[tuple[str, str], tuple[int, int]]:
    return {(r.row, r.column): (r.runs, r.of) for r in found.table.itertuples() if r.runs}


def test_reports_are_counted_by_run_and_shared_out_by_rows() -> None:
    found = at.error_heatmap(TRACES, reports=REPORTS)
    assert cells(found) == {("Clerk", "wrong amount"): (2, 8), ("(a span that is gone)", "<b>rude</b>"): (1, 1)}
    row = found.table[found.table["row"] == "Clerk"].iloc[0]
    assert row["rate"] == 0.25
    assert (row["low"], row["high"]) == (pytest.approx(0.0715, abs=1e-3), pytest.approx(0.5907, abs=1e-3))


def test_the_runs_behind_a_cell_are_a_set_of_traces() -> None:
    found = at.error_heatmap(TRACES, reports=REPORTS)
    chosen = found.cell("Clerk", "wrong amount")
    assert isinstance(chosen, at.TraceSet)
    assert [t.trace_id for t in chosen] == [f"{0:032x}", f"{1:032x}"]
    with pytest.raises(OptionError, match=r"row='Clark' is not in this heatmap.*Clerk"):
        found.cell("Clark", "wrong amount")


def test_without_reports_the_likely_causes_are_counted() -> None:
    found = at.error_heatmap(TRACES)
    assert cells(found) == {("Clerk", Side.TOOL.value): (3, 8), ("Scout", Side.TOOL.value): (1, 2)}
    assert "likely causes" in found.text()


@pytest.mark.parametrize("rows", ["agent", "tool", "step", "arch", "case", "day", "side", "rule", "error_type"])
def test_every_axis_sorts_every_error_somewhere(rows: str) -> None:
    assert sum(n for n, _ in cells(at.error_heatmap(TRACES, rows, "category")).values()) == 4


def test_reports_come_from_a_file_and_from_any_frame(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    pd.DataFrame(REPORTS).to_csv(path, index=False)
    expected = cells(at.error_heatmap(TRACES, reports=REPORTS))
    for given in (path, str(path), pd.DataFrame(REPORTS), pl.DataFrame(REPORTS), pl.LazyFrame(REPORTS)):
        assert cells(at.error_heatmap(TRACES, reports=given)) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "agnet"}, "rows='agnet' is not allowed.*agent"),
        ({"reports": 3}, "reports=int is not allowed"),
        ({"reports": [{"trace_id": "x"}]}, "row 0 has no trace_id or no category"),
    ],
)
def test_what_is_not_allowed_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        at.error_heatmap(TRACES, **options)


def test_every_form_escapes_and_marks_small_numbers(tmp_path: Path) -> None:
    found = at.error_heatmap(TRACES, reports=REPORTS)
    page = found.to_html(tmp_path / "errors.html").read_text("utf-8")
    assert "<b>rude" not in page
    assert "&lt;b&gt;rude" in page
    assert "default-src &#x27;none&#x27;" in page
    assert "1 of 1 *" in page
    assert "2 of 8<" in page
    drawn = found.chart().to_dict()
    strengths = {(v["row"], v["column"]): v["strength"] for v in drawn["data"]["values"]}
    assert strengths["Clerk", "wrong amount"] == 0.25
    assert strengths["(a span that is gone)", "<b>rude</b>"] == 0.35  # all of one run


def test_without_a_kernel_the_runs_behind_each_cell_are_listed() -> None:
    page = at.error_heatmap(TRACES, reports=REPORTS)._repr_html_()
    assert page.count("<details>") == 3
    assert "Clerk, wrong amount: 2 runs</summary><ul><li><code>00000000</code>" in page
    assert "arch one" in page


def test_what_is_too_much_for_a_page_is_left_out_and_told() -> None:
    reports = [{"trace_id": TRACES[0].trace_id, "category": f"kind {n}"} for n in range(300)]
    found = at.error_heatmap(TRACES, reports=reports)
    assert "276 more columns; .table has them." in found._repr_html_()
    assert "200 more cells are left out here" in found._repr_html_()
    grid = found._grid()
    assert (len(grid["columns"]), len(grid["cells"]), grid["more"]) == (24, 24, "276 more columns; .table has them.")


def test_a_cell_that_is_opened_becomes_a_list_of_its_runs() -> None:
    found = at.error_heatmap(TRACES, reports=REPORTS)
    said: list[dict] = []
    behind = [found.cell("Clerk", "wrong amount")]
    widget = HeatmapWidget(found._grid(), behind.__getitem__)
    widget.send = lambda message, buffers=None: said.append(message)
    widget._hear(None, {"kind": "open", "row": 0}, None)
    opened = widget._opened[0]
    assert [t.trace_id for t in opened.listed.traces] == [f"{0:032x}", f"{1:032x}"]
    assert said == [{"kind": "opened", "row": 0, "model": opened.model_id}]
    for wrong in ({"kind": "open", "row": 99}, {"kind": "open", "row": "0"}, {"kind": "open"}):
        widget._hear(None, wrong, None)
    widget._hear(None, {"kind": "open", "row": 1}, None)
    assert said[1:] == [{"kind": "failed", "row": 1, "why": "IndexError: list index out of range"}]
    assert widget._opened == {}, "one cell is open at a time"


def test_nothing_wrong_is_said_in_words() -> None:
    found = at.error_heatmap(TRACES[3:8])
    assert found.table.empty
    assert found.text().endswith(": none")
