"""External metrics beside runs: the figures are right, the words claim nothing, hostile names do no harm."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from views.hostile import MARKUP

import agenttrace_nb as at
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import NS_PER_S, Span, SpanError, SpanKind, Status, Trace
from agenttrace_nb.views import chart_style
from agenttrace_nb.views.context_chart import NAMED_RUNS, POINTS_PER_LINE, _rows, _thinned
from agenttrace_nb.views.context_measure import Line, coincidences, panels_of, range_of, traces_of

if TYPE_CHECKING:
    from pathlib import Path

ZERO_S = 1_763_802_000  # 2025-11-22 09:00:00


def run(number: int, start: float, end: float | None, status: Status = Status.OK, **more: Any) -> Trace:
    start_ns = int((ZERO_S + start) * NS_PER_S)
    end_ns = None if end is None else int((ZERO_S + end) * NS_PER_S)
    trace = Trace(
        trace_id=f"{number:032x}", name=more.pop("name", f"run {number}"), start_ns=start_ns, end_ns=end_ns,
        status=status, **more,
    )  # fmt: skip
    error = SpanError("no answer", "TimeoutError") if status is Status.ERROR else None
    last_ns = end_ns if end_ns is not None else start_ns + 3 * NS_PER_S
    trace.spans = [
        Span(
            trace_id=trace.trace_id, span_id="1" * 16, kind=SpanKind.TOOL, name="book", start_ns=start_ns,
            end_ns=last_ns, status=status, error=error,
        )
    ]  # fmt: skip
    return trace


def frame(values: dict[float, float], *, step: float = 0, **labels: Any) -> pd.DataFrame:
    times = pd.to_datetime([round((ZERO_S + second) * 1000) for second in values], unit="ms", utc=True)
    made = pd.DataFrame({"time": times, "value": list(values.values()), "metric": "m", **labels, "trace_id": None})
    made.attrs = {"step_s": step, "query": "a query"}
    return made


RUNS = [run(1, 10, 20), run(2, 30, 40, Status.ERROR), run(3, 50, 60, Status.CANCELLED)]
CPU = {5.0: 0.1, 12.0: 0.3, 18.0: 0.5, 32.0: 0.9, 38.0: 0.8, 45.0: 0.2, 55.0: 0.4}


def test_figures_are_by_the_state_of_the_runs_at_that_time() -> None:
    (panel,) = panels_of(frame(CPU))
    (found,) = coincidences(panel, RUNS)
    during = {kind: (one.median, one.count, one.runs) for kind, one in found.during.items()}
    assert during == {"ok": (0.4, 2, 1), "error": (pytest.approx(0.85), 2, 1), "other": (0.4, 1, 1)}
    assert found.between is not None
    assert (found.between.median, found.between.count) == (pytest.approx(0.15), 2)
    assert found.highest == (0.9, (ZERO_S + 32) * NS_PER_S, (RUNS[1],))


def test_a_value_stands_for_the_step_before_it() -> None:
    short = [run(1, 11, 13)]
    (panel,) = panels_of(frame({10.0: 1.0, 20.0: 2.0, 30.0: 3.0}, step=10))
    assert range_of(short[0], panel.lines[0], panel.step_ns) == (2.0, 2.0)
    (panel,) = panels_of(frame({10.0: 1.0, 20.0: 2.0}))
    assert range_of(short[0], panel.lines[0], panel.step_ns) is None


def test_the_words_say_what_coincided_and_not_why() -> None:
    text = at.context_report(RUNS, metrics={"CPU": frame(CPU)}).text()
    assert "3 runs beside 1 metric, 2025-11-22 09:00:05 to 09:01:00 UTC" in text
    assert "median 0.85 during failed runs (2 values, 1 run), 0.4 during runs without error (2 values, 1 run)" in text
    assert "0.4 during stopped or unfinished runs (1 value, 1 run), 0.15 between runs (2 values)" in text
    assert "highest 0.9 at 09:00:32, during run 2 (failed)" in text
    assert text.endswith("does not say that one caused the other.")
    assert not re.search(r"because|due to|leads? to|explains?|\bcauses\b", text)


def test_series_are_told_apart_and_the_lowest_left_out_and_counted() -> None:
    parts = [frame({1.0: float(n)}, host=f"h{n}") for n in range(9)]
    (panel,) = panels_of(pd.concat(parts, ignore_index=True))
    assert [line.name for line in panel.lines] == [f"host h{n}" for n in (8, 7, 6, 5, 4, 3)]
    assert panel.left_out == 3
    assert "3 more series with lower values are not shown" in at.context_report(RUNS, metrics=pd.concat(parts)).text()


def test_how_values_were_joined_is_said() -> None:
    joined = frame(CPU).assign(joined=["trace id", *["window, approximate"] * 5, None], run_id=None)
    assert "values joined to runs: 1 by trace id, 5 by window, approximate" in repr(
        at.context_report(RUNS, metrics=joined)
    )


def test_runs_come_in_any_form() -> None:
    several = SimpleNamespace(traces=RUNS[:2])  # as a run has them
    assert traces_of(RUNS[0]) == RUNS[:1]
    assert traces_of(several) == RUNS[:2]
    assert traces_of([several, RUNS[2], RUNS[0]]) == RUNS
    assert traces_of(at.TraceSet(reversed(RUNS))) == RUNS


@pytest.mark.parametrize(
    ("runs", "metrics", "words"),
    [
        (7, [], "runs: a int is not allowed; it must be a list"),
        (["abc"], [], "runs: a str is not allowed in it; it must hold traces or runs"),
        ([], 7, "metrics: a int is not allowed; it must be a list"),
        ([], [{"time": 1}], "metrics: a dict is not allowed in it; it must hold frames as at.pull gives them"),
        ([], pd.DataFrame({"value": [1]}), "metrics: a DataFrame is not allowed in it; .* columns time and value"),
        ([], pd.DataFrame({"time": ["noon"], "value": [1.0]}), "the column time must hold times"),
    ],
)
def test_what_is_wrong_is_named(runs: Any, metrics: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        at.context_report(runs, metrics=metrics)


@pytest.mark.parametrize(
    ("runs", "metrics"),
    [
        ([], []), (RUNS, []), ([], frame(CPU)), (RUNS, frame({})), (RUNS, [frame(CPU), frame({})]),
        ([run(1, 0, None, Status.RUNNING)], frame({1.0: float("nan"), 2.0: float("inf"), 3.0: 1.0})),
        ([run(1, 0, 0)], frame({0.0: 0.0})), (RUNS, frame({at: 1e12 * at for at in CPU})),
    ],
)  # fmt: skip
def test_little_or_nothing_is_a_report_too(runs: Any, metrics: Any, tmp_path: Path) -> None:
    report = at.context_report(runs, metrics=metrics)
    assert report.text().splitlines()[0].startswith(f"{len(runs)} run")
    page = report.to_html(tmp_path / "report.html").read_text("utf-8")
    assert page.count("<html") == page.count("</html>") == 1
    assert report._repr_html_() in page


def test_the_page_needs_nothing_and_hostile_names_do_no_harm(tmp_path: Path) -> None:
    runs = [run(n, n, n + 1, name=text, tags={"arch": text}) for n, text in enumerate(MARKUP)]
    metrics = {text: frame({1.0: 1.0, 2.0: 2.0}, host=text, job=text) for text in MARKUP[:8]}
    report = at.context_report(runs, metrics=metrics)
    page = report.to_html(tmp_path / "report.html").read_text("utf-8")
    tags = set(re.findall(r"<\s*([a-zA-Z!/][\w-]*)", page))
    assert {tag.lower() for tag in tags if tag[0] not in "/!"} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div", "img", "small", "table",
        "thead", "tbody", "tr", "th", "td", "strong",
    }  # fmt: skip
    assert not re.search(r"<[^>]*\son\w+\s*=", page)
    assert re.findall(r'\bsrc="([^"]{20})', page) == ["data:image/svg+xml;b"]
    ET.fromstring(chart_style.svg(report.chart()))  # noqa: S314 - drawn here


def test_few_runs_have_rows_of_their_own_and_many_share_them() -> None:
    few = [run(n, n * 10, n * 10 + 5) for n in range(NAMED_RUNS)]
    assert len(set(_rows(few)[0])) == NAMED_RUNS
    many = [run(n, n * 10, n * 10 + 25) for n in range(90)]
    rows, count = _rows(many)
    assert count == 3
    by_row: dict[str, int] = {}
    for trace, row in zip(many, rows, strict=True):
        assert by_row.get(row, 0) <= trace.start_ns
        by_row[row] = trace.end_ns or 0


def test_a_long_series_is_thinned_and_keeps_its_extremes() -> None:
    count = 50_000
    values = [float(n % 97) for n in range(count)]
    values[31_234], values[7] = 1e6, -1e6
    kept = _thinned(Line("", tuple(range(count)), tuple(values)))
    assert len(kept) <= POINTS_PER_LINE
    assert (31_234, 1e6) in kept
    assert (7, -1e6) in kept
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)
