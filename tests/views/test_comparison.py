"""A comparison shows itself: as text, HTML, Markdown, LaTeX, pictures and a page; nothing hostile gets through."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from analysis.runs_to_compare import runs
from analysis.span_tables import traces
from views.hostile import CONTROL, MARKUP, SCRIPTS

import agenttrace_nb as at
from agenttrace_nb.views import comparison_grid
from agenttrace_nb.views.heatmap_widget import HeatmapWidget

if TYPE_CHECKING:
    from pathlib import Path

ARCHS = ("plain", "planner", "team")


@pytest.fixture(scope="module")
def found() -> at.Comparison:
    table = runs(ARCHS, trials=2, faster={"planner": 0.6, "team": 1.4}, surer={"planner": 0.4})
    return at.compare(table, metrics=("success", "latency", "cost", "errors", "cost_per_success"), power=0.8)


class Tags(HTMLParser):
    """Names of the elements, and every attribute that could run something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.running: list[str] = []
        self.depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.depth += tag not in {"br", "img", "meta"}
        self.running += [k for k, v in attrs if k.startswith("on") or (v or "").strip().startswith("javascript:")]

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1


def test_text_has_every_group_pair_and_verdict(found: at.Comparison) -> None:
    text = repr(found)
    assert "planner against plain" in text
    assert "latency: planner is better than plain" in text
    assert "pass^k" in text
    assert "Cochran" not in text  # several trials: Friedman
    assert "Friedman" in text


def test_no_difference_is_told_as_no_finding() -> None:
    text = repr(at.compare(runs(), metrics="latency"))
    assert "No comparison found a difference; that is not to say that there is none." in text


def test_html_reads_without_its_styles_and_runs_nothing(found: at.Comparison) -> None:
    html = found._repr_html_()
    tags = Tags(html)
    assert tags.depth == 0
    assert not tags.running
    assert not tags.names & {"script", "iframe", "object", "link", "form"}
    assert "▲ better" in html
    assert "\n\n" not in html  # an empty line would end HTML in Markdown


def test_the_page_holds_its_pictures_and_asks_for_nothing(found: at.Comparison, tmp_path: Path) -> None:
    path = found.to_html(tmp_path / "comparison.html")
    html = path.read_text("utf-8")
    assert html.count("data:image/svg+xml;base64,") >= 5
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#agtr-case-)""", html)
    assert "task-0" in html


def test_hostile_names_are_text_everywhere(tmp_path: Path) -> None:
    texts = [text for text in (*MARKUP, *CONTROL, *SCRIPTS) if text.strip() and "\ud800" not in text]
    table = runs(("plain", *texts[::5]), cases=len(texts))
    table["case"] = table["case"].map(lambda case: texts[int(case.removeprefix("task-"))])
    found = at.compare(table, metrics="latency", baseline="plain", by="arch")
    found.findings.pairs[3:] = []  # pictures take their time
    page = found.to_html(tmp_path / "hostile.html").read_bytes().decode("utf-8")
    for html in (found._repr_html_(), page):
        tags = Tags(html)
        assert not tags.running
        assert not tags.names & {"script", "iframe", "svg", "math", "textarea"}
        assert len(re.findall(r'<a href="#agtr-case-\d+">', html)) == len(re.findall(r"<a[\s>]", html))
        assert "\x1b" not in html
    assert "\x1b" not in repr(found) + found.to_latex()
    for line in found.to_markdown().splitlines():
        assert not re.search(r"(?<!\\)[<\[`]", line)


def test_markdown_is_tables_with_as_many_cells_in_every_row(found: at.Comparison) -> None:
    rows = [line for line in found.to_markdown().splitlines() if line.startswith("|")]
    tables: dict[int, int] = {}
    for row in rows:
        cells = len(re.findall(r"(?<!\\)\|", row))
        tables[cells] = tables.get(cells, 0) + 1
    assert sum(tables.values()) == len(rows)
    assert all(count >= 3 for count in tables.values())


def test_latex_is_balanced_and_escaped(found: at.Comparison) -> None:
    latex = at.compare(runs(("a_b", "50% & {more}")), metrics="latency").to_latex()
    assert r"a\_b" in latex
    assert r"50\% \& \{more\}" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"\textless{} 0.001" in found.to_latex()


def test_in_the_page_a_case_leads_to_its_runs_and_who_won_it(found: at.Comparison, tmp_path: Path) -> None:
    page = found.to_html(tmp_path / "page.html").read_text("utf-8")
    links = re.findall(r'<a href="#(agtr-case-\d+)">([^<]+)</a>', page)
    assert links
    places = re.findall(r'<div id="(agtr-case-\d+)">', page)
    assert len(places) == len(set(places)) == len({place for place, _ in links})
    place, case = links[0]
    of_case = page[page.index(f'<div id="{place}">') :].split("</details>", 1)[0]
    assert of_case.count("<tr>") == 1 + 3 * 2, "a head, and two trials of three architectures"
    row = found.cases("success").set_index("case").loc[case]
    assert f"success: {row['winner']} better than" in of_case
    assert all(trace in of_case for trace in (*row["traces_a"], *row["traces_b"]))


def test_the_runs_of_a_case_are_a_list_to_open_them_from() -> None:
    runs = traces(cases=8, trials=2)
    for given in (runs, list(runs)):
        chosen = at.compare(given, metrics="latency").runs("task-3")
        assert isinstance(chosen, at.TraceSet)
        assert {t.tags["case"] for t in chosen} == {"task-3"}
        assert [t.tags["arch"] for t in chosen] == ["plain"] * 2 + ["planner"] * 2
    with pytest.raises(at.OptionError, match=r"case='task-33' was not compared; there are task-0.*Did you mean task-3"):
        at.compare(runs, metrics="latency").runs("task-33")


def test_in_a_notebook_each_case_that_was_won_or_lost_leads_to_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = at.compare(traces(cases=8, trials=2), metrics=["latency", "success"])
    shown: list[object] = []
    published: list[str] = []
    monkeypatch.setattr("agenttrace_nb.views.notebook.in_kernel", lambda _: True)
    monkeypatch.setattr("agenttrace_nb.views.notebook.publish", lambda html, text: published.append(html))
    monkeypatch.setattr("IPython.display.display", shown.append)
    found._ipython_display_()
    widget = shown[-1]
    assert isinstance(widget, HeatmapWidget)
    cells = widget.grid["cells"]
    pairs = {p.metric.name: p for p in found.findings.pairs}
    for at_column, metric in enumerate(("latency", "success")):
        its = [cell for cell in cells if cell[1] == at_column]
        assert sum(cell[2] < 0 for cell in its) == pairs[metric].wins, "green where the second is better"
        assert sum(cell[2] > 0 for cell in its) == pairs[metric].losses
        assert max(abs(cell[2]) for cell in its) == 1
    widget.send = lambda message, buffers=None: None
    widget._hear(None, {"kind": "open", "row": 0}, None)
    case = widget.grid["cases"][cells[0][0]]
    assert {t.tags["case"] for t in widget._opened[0].listed.traces} == {case}
    assert cells[0][3] in published[-1], "the same table stands there without a kernel"


def test_a_comparison_in_which_no_case_was_won_has_no_cases_to_show() -> None:
    table = runs(("a", "b"), cases=3)
    table["latency_s"] = 1.0
    assert comparison_grid.grid(at.compare(table, metrics="latency").findings) is None


def test_the_runs_of_a_frame_without_traces_are_told_to_be_elsewhere(found: at.Comparison) -> None:
    with pytest.raises(at.OptionError, match="are not in MLflow"):
        found.runs("task-001")


def test_a_distribution_rises_from_0_to_100_and_never_falls(found: at.Comparison) -> None:
    drawn = found.chart("ecdf", metric="latency").to_dict()
    assert drawn["encoding"]["x"]["sort"] is None, "as listed: of two points at one place the first is the lower one"
    for group in found.findings.groups:
        steps = [(row["value"], row["share"]) for row in drawn["data"]["values"] if row["group"] == group]
        assert steps == sorted(steps)
        assert (steps[0][1], steps[-1][1]) == (0.0, 100.0)
        assert len({value for value, _ in steps}) == len(steps) - 1


def test_dollars_are_not_typeset_as_mathematics(found: at.Comparison) -> None:
    assert found._repr_html_().startswith('<div class="agtr-compare mathjax_ignore tex2jax_ignore">')


@pytest.mark.parametrize("kind", ["forest", "ecdf", "pareto", "cases"])
def test_charts_are_pictures_and_stay_the_users(found: at.Comparison, kind: str) -> None:
    chart = found.chart(kind)
    bundle = chart._repr_mimebundle_()
    assert bundle["image/png"][:8] == b"\x89PNG\r\n\x1a\n"
    changed = chart.properties(title="mine")
    assert changed.to_dict()["title"] == "mine"
    assert "image/png" in changed._repr_mimebundle_()


def test_the_forest_has_a_row_for_each_pair_in_the_colour_of_its_verdict(found: at.Comparison) -> None:
    spec = found.chart().to_dict()
    assert len(spec["vconcat"]) == 5
    layers = [layer for part in spec["vconcat"] for layer in part["layer"]]
    listed = [row for layer in layers for row in layer.get("data", {}).get("values", [])]
    words = [row["words"] for row in listed if "words" in row]
    assert any(word.endswith("better") for word in words)
    assert any("no evidence" in word for word in words)


def test_cases_are_listed_with_their_winner_and_traces(found: at.Comparison) -> None:
    table = found.cases("latency", "plain", "planner")
    assert len(table) == 40
    assert (table["winner"] == "planner").sum() == found.pairs.query("metric == 'latency' and b == 'planner'")[
        "wins"
    ].iloc[0]
    assert table["difference"].is_monotonic_increasing
    assert [len(ids) for ids in table["traces_a"]] == [2] * 40


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c: c.chart("forrest"), r"'forrest' does not exist.*Did you mean forest\?"),
        (lambda c: c.chart("ecdf", metric="latenzy"), r"metric='latenzy' was not compared.*Did you mean latency\?"),
        (lambda c: c.chart("cases", a="plan"), r"a='plan' is not there.*Did you mean plain\?"),
        (lambda c: c.cases("latency", "planner", "plain"), r"a='planner' b='plain' were not compared; there are"),
        (lambda c: c.cases("latenz"), r"Did you mean latency\?"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(found: at.Comparison, call: object, told: str) -> None:
    with pytest.raises(at.OptionError, match=told):
        call(found)


def test_where_nothing_can_be_drawn_it_is_said() -> None:
    with pytest.raises(at.OptionError, match="no figure to draw"):
        at.compare(runs(cost_usd=None), metrics="cost").chart()
    with pytest.raises(at.OptionError, match="needs success, and cost"):
        at.compare(runs(), metrics="latency").chart("pareto")


def test_frames_hold_null_for_what_is_unknown(found: at.Comparison) -> None:
    assert found.table["p95"].isna().any()
    assert found.table["value"].dtype == "Float64"
    assert isinstance(found.pairs["why_not"].iloc[0], str)
    assert list(found.trials["k"]) == [1, 2] * 3
    assert at.compare(runs(), metrics="latency").trials.empty
    pd.testing.assert_frame_equal(found.pairs, at.Comparison(found.findings).pairs)
