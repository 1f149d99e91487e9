"""A set of traces as a list of runs: lines, static twin, text, page, and the widget in a real kernel."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from growth import LINEAR, growth
from magics.real_kernel import Kernel
from views.sample_lists import hostile, many, run, small
from views.test_live import messages
from views.test_static_html import ALLOWED, read
from views.test_wire import decode

from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.spans import Span, SpanKind, Status, Trace
from agenttrace_nb.views.run_list import ROW_LIMIT, RunList, groups, run_line
from agenttrace_nb.views.run_list_html import static_list
from agenttrace_nb.views.run_list_page import list_page
from agenttrace_nb.views.run_list_text import text_table
from agenttrace_nb.views.safe_text import width

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# ------------------------------------------------------------------------------------------------------- its lines


def test_a_line_says_what_is_known_and_null_for_the_rest() -> None:
    first, *_, imported = RunList(small()).lines
    assert (first.turns, first.tools, first.errors, first.tokens) == (2, 1, 0, 1080)
    assert first.latency_s == pytest.approx(2.0)
    assert (first.success, first.status) == (True, Status.OK)
    unknown = (
        "arch",
        "case",
        "trial",
        "success",
        "start_ns",
        "latency_s",
        "turns",
        "tools",
        "tokens",
        "cost_usd",
        "errors",
    )
    assert {name: getattr(imported, name) for name in unknown} == dict.fromkeys(unknown)
    assert imported.problem == "its spans are gone"


def test_the_figures_are_those_of_the_table_of_traces() -> None:
    found = small()
    frame = found.traces()
    for line, (_, row) in zip(RunList(found).lines[:5], frame.iterrows(), strict=False):
        assert (line.turns, line.tools, line.arch) == (row["turns"], row["tool_calls"], row["arch"])
        assert (line.latency_s is None) == bool(pd.isna(row["latency_s"]))


def test_a_run_that_failed_without_a_step_that_says_why_has_an_unknown_number_of_errors() -> None:
    trace = run(0, status=Status.ERROR)
    assert run_line(trace, success=None).errors is None
    assert run_line(run(0, failed=True, status=Status.ERROR), success=None).errors == 1
    assert run_line(run(0), success=None).errors == 0


def test_groups_tell_success_where_it_was_said_and_completion_where_it_was_not() -> None:
    planner, triage, none = groups(RunList(small()).lines)
    assert planner.line() == "planner-executor: 3 runs · 50 % completed · median 3.60 s"
    assert triage.line() == "triage: 2 runs · 50 % successful · median 5.00 s"
    assert (none.arch, none.median_s) == (None, None)


def test_ten_thousand_runs_are_encoded_in_little_time_and_space() -> None:
    found = many(10_000)
    assert len(RunList(found).frame()) < 1_000_000
    assert growth(lambda runs: RunList(runs).frame(), many(2_500), found) < 4 * LINEAR


def test_beyond_ten_thousand_runs_the_list_says_what_it_leaves_out() -> None:
    trace = Trace(trace_id="a" * 32, name="t", start_ns=1)
    listed = RunList(TraceSet([trace] * (ROW_LIMIT + 5), truncated=True))
    assert len(listed.lines) == ROW_LIMIT
    assert listed.notes == [
        "There are more runs than these 10,005: raise limit= in search.",
        "Only the first 10,000 of 10,005 runs are listed here; .traces() has all of them.",
    ]


# -------------------------------------------------------------------------------------------- static twin and text


def test_the_static_table_reads_well_with_everything_but_its_words_taken_out() -> None:
    reader = read(static_list(RunList(small())))
    assert reader.tags <= ALLOWED
    assert reader.attributes <= {"class", "style"}
    assert "planner-executor: 3 runs · 50 % completed · median 3.60 s" in reader.text
    assert "✕ errorAgent workflowtriagetwo12025-11-22 07:268.00 s███████211.1k$0.00401" in reader.text
    assert "✓ completed (not complete)imported————————" in reader.text.replace("\n", "")


def test_the_static_table_has_two_hundred_rows_and_says_how_many_it_left_out() -> None:
    html = static_list(RunList(many(250)))
    assert html.count("<tr") == 201
    assert "50 more runs were left out here" in html
    assert len(html.encode()) < 150_000


def test_the_static_table_hides_where_the_list_itself_is_on_the_page() -> None:
    listed = RunList(small())
    html = static_list(listed)
    assert f":root:has(.agtr-live-{listed.key}) .agtr-static-{listed.key}{{display:none}}" in html
    assert "display:none" not in static_list(listed, has_live=False)


def test_nothing_hostile_becomes_markup_or_ends_the_block_in_markdown() -> None:
    html = static_list(RunList(hostile()))
    reader = read(html)
    assert reader.tags <= ALLOWED
    assert not re.search(r"\n[ \t]*\n", html)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", reader.text)


@pytest.mark.parametrize("columns", [48, 80, 120])
def test_the_text_table_is_aligned_and_no_wider_than_asked_for(columns: int) -> None:
    for found in (small(), hostile()):
        lines = text_table(RunList(found), columns).splitlines()
        assert max(map(width, lines)) <= columns
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "".join(lines))


def test_the_text_table_says_everything_at_a_glance() -> None:
    assert text_table(RunList(small()), 120) == EXPECTED.strip("\n")


EXPECTED = """
6 runs
planner-executor: 3 runs · 50 % completed · median 3.60 s
triage: 2 runs · 50 % successful · median 5.00 s
no architecture: 1 run · 100 % completed

   name            arch              case   trial  when (UTC)        latency  turns  tools  tokens     cost  errors
✓  Agent workflow  triage            one    1      2025-11-22 08:26   2.00 s      2      1    1.1k  $0.0040       0
✕  Agent workflow  triage            two    1      2025-11-22 07:26   8.00 s      2      1    1.1k  $0.0040       1
✓  Agent workflow  planner-executor  one    —      2025-11-22 06:26   4.20 s      2      1    1.1k  $0.0040       1
⊘  Agent workflow  planner-executor  two    —      2025-11-22 05:26   3.00 s      2      1    1.1k  $0.0041       0
…  Agent workflow  planner-executor  three  —      2025-11-22 04:26        —      2      1       —        —       0
✓  imported        —                 —      —      —                       —      —      —       —        —       —
1 run could not be read completely; .problems says why.
"""


def test_a_narrow_text_table_leaves_out_first_what_is_said_nowhere() -> None:
    heads = text_table(RunList(TraceSet([run(0, arch=None, case=None)])), 64).splitlines()[2].split()
    assert heads[:2] == ["name", "when"]


def test_an_empty_set_says_so() -> None:
    assert text_table(RunList(TraceSet([]))) == "0 runs"
    assert "0 runs" in static_list(RunList(TraceSet([])))


def test_in_a_terminal_a_set_shows_its_table(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    small()._ipython_display_()
    assert "planner-executor" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------- its page


def test_a_page_holds_small_runs_whole_and_says_which_it_left_out(tmp_path: Path) -> None:
    traces = [run(0), run(1)]
    traces[1].spans.append(
        Span(
            trace_id=traces[1].trace_id,
            span_id="9" * 16,
            kind=SpanKind.TOOL,
            name="large",
            start_ns=1,
            content_in="x" * 2_000_000,
        )
    )
    target = TraceSet(traces).to_html(tmp_path / "runs.html")
    html = target.read_text("utf-8")
    frames = dict(re.findall(r'id="(agtr-(?:list|frame-\d+))">([^<]*)<', html))
    assert set(frames) == {"agtr-list", "agtr-frame-0"}
    header, _ = decode(base64.b64decode(frames["agtr-list"]))
    assert header["run"]["openable"] == [0]
    assert header["run"]["notes"][0].startswith("1 run of more than 1 MB")
    assert len(html) < 1_000_000


def test_a_page_allows_its_three_scripts_and_nothing_else() -> None:
    html = list_page(hostile())
    assert html.count("'sha256-".replace("'", "&#x27;")) == 3
    assert html.count("<script") == html.count("</script>") == 3 + 1 + len(hostile())


# ------------------------------------------------------------------------------------------------------- in a kernel


WIDGET = """
from agenttrace_nb.views.run_list import RunList
from agenttrace_nb.views.run_list_widget import RunListWidget
w = RunListWidget(RunList(many(9)))
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Kernel]:
    path = str(pytestconfig.rootpath / "tests")
    with Kernel(tmp_path_factory.mktemp("kernel"), PYTHONPATH=path) as started:
        assert started.run("from views.sample_lists import many, small").status == "ok"
        yield started


@pytest.mark.kernel
def test_a_set_at_the_end_of_a_cell_shows_itself_as_twin_and_widget(kernel: Kernel) -> None:
    found = messages(kernel, "small()")
    shown = [m["content"]["data"] for m in found if m["type"] in ("display_data", "execute_result")]
    assert ["text/html" in data for data in shown] == [True, False]
    assert "planner-executor" in shown[0]["text/plain"]
    assert shown[1]["text/plain"] == ""
    (opened,) = (m for m in found if m["type"] == "comm_open" and m["buffers"])
    header, columns = decode(opened["buffers"][0])
    assert (header["rows"], len(columns["id"])) == (6, 96)


@pytest.mark.kernel
def test_the_widget_opens_runs_a_few_at_a_time_and_closes_them(kernel: Kernel) -> None:
    messages(kernel, WIDGET)
    hear = "w._hear(None, {{'kind': '{}', 'row': {}}}, [])"
    found = messages(kernel, hear.format("open", 3))
    code, answer = (
        m["content"]["data"]["content"] for m in found if m["content"].get("data", {}).get("method") == "custom"
    )
    assert code == {"kind": "code"}, "the panels of the view"
    opened = [m["content"]["comm_id"] for m in found if m["type"] == "comm_open"]
    assert answer["kind"] == "opened"
    assert answer["model"] in opened
    for row in (0, 1, 2, 4):
        found = messages(kernel, hear.format("open", row))
    assert [m["type"] for m in found if m["content"].get("comm_id") == answer["model"]] == ["comm_close"]
    assert "comm_close" in [m["type"] for m in messages(kernel, hear.format("close", 4))]
    for bad in ("None", "99", "-1", "'x'"):
        assert messages(kernel, hear.format("open", bad)) == []


@pytest.mark.kernel
def test_a_thousand_spans_and_their_list_take_less_than_a_megabyte_of_a_saved_notebook(kernel: Kernel) -> None:
    found = messages(kernel, "many(145)")  # seven spans each
    shown = [json.dumps(m["content"]["data"]) for m in found if m["type"] == "display_data"]
    state = sum(
        len(json.dumps(m["content"])) + 4 * sum(map(len, m["buffers"])) // 3 for m in found if m["type"] == "comm_open"
    )
    assert sum(map(len, shown)) + state < 300_000
