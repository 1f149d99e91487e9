"""What a notebook keeps: how large it is, and what stays readable where scripts, styles and pictures are taken out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from magics.real_kernel import Kernel
from nbconvert import HTMLExporter, MarkdownExporter
from views.hostile import hostile_run
from views.sample_lists import hostile, many, small
from views.sample_runs import planner_executor
from views.test_live import messages
from views.test_static_html import read
from views.test_wire import decode

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.run_list import RunList
from agenttrace_nb.views.run_list_html import static_list
from agenttrace_nb.views.run_list_text import text_table
from agenttrace_nb.views.static_html import static_twin
from agenttrace_nb.views.text import text_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.spans import CellRun, Trace

LIMIT_BYTES = 1_000_000


def outputs_of(html: str, text: str) -> list[dict[str, Any]]:
    """The two outputs of a view as they are saved: its twin, and a widget whose state is not kept."""
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "gone", "version_major": 2, "version_minor": 1}}
    return [
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": html, "text/plain": text}},
        {"output_type": "display_data", "metadata": {}, "data": {**widget, "text/plain": ""}},
    ]


def saved(*views: list[dict[str, Any]]) -> nbformat.NotebookNode:
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {}, "execution_count": 1, "source": "", "outputs": outputs}
        for at, outputs in enumerate(views)
    ]
    return nbformat.from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def of_run(run: CellRun, traces: list[Trace]) -> list[dict[str, Any]]:
    rows = Rows(span for trace in traces for span in trace.spans)
    return outputs_of(static_twin(run, rows), text_tree(run, rows))


def of_list(found: Any) -> list[dict[str, Any]]:
    return outputs_of(static_list(RunList(found)), text_table(RunList(found)))


def as_on_github(html: str) -> str:
    """The HTML as a strict sanitiser leaves it: no scripts, styles, pictures, classes or inline styles."""
    html = re.sub(r"<(style|script|svg)\b.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r'\s(?:style|class|id|on\w+)="[^"]*"', "", html)


def test_a_run_reads_well_where_everything_but_its_elements_is_taken_out() -> None:
    run, traces = planner_executor()
    (twin, _) = of_run(run, traces)
    html = as_on_github(twin["data"]["text/html"])
    reader = read(html)
    assert reader.attributes == set()
    assert not {"style", "script", "svg"} & reader.tags
    assert "✕ book_flight tool · TimeoutError" in reader.text
    assert "TimeoutError: flights-api did not answer in 2.0 s" in reader.text
    assert "█" in reader.text
    assert html.count("<tr") == 17


def test_a_list_reads_well_where_everything_but_its_elements_is_taken_out() -> None:
    html = as_on_github(of_list(small())[0]["data"]["text/html"])
    reader = read(html)
    assert reader.attributes == set()
    assert "planner-executor: 3 runs · 50 % completed" in reader.text
    assert html.count("<tr") == 7


def test_exported_to_html_each_view_stands_once_and_asks_for_no_widget_that_is_gone() -> None:
    body, _ = HTMLExporter(embed_images=True).from_notebook_node(saved(of_run(*planner_executor()), of_list(small())))
    assert body.count("flights-api did not answer in 2.0 s (POST /v2/bookings)") >= 1
    assert body.count('<div class="agtr-static agtr-static-') == 2
    assert "model not found" not in body
    # The rules that hide a twin need the live view beside it, which is not there.
    assert "agtr-live-" not in re.sub(r"<style>.*?</style>", "", body, flags=re.DOTALL)


def test_exported_to_markdown_a_view_is_one_block_of_html_and_hostile_text_stays_text() -> None:
    for view in (of_run(*planner_executor()), of_run(*hostile_run()), of_list(small()), of_list(hostile())):
        body, _ = MarkdownExporter().from_notebook_node(saved(view))
        block = body[body.index("<div") : body.rindex("</div>") + 6]
        assert not re.search(r"\n[ \t]*\n", block), "an empty line would end it"
        assert "<script" not in block


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Kernel]:
    path = str(pytestconfig.rootpath / "tests")
    with Kernel(tmp_path_factory.mktemp("kernel"), PYTHONPATH=path) as started:
        assert started.run(MAKE).status == "ok"
        yield started


MAKE = """
from views.sample_runs import Build
from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.live import display_trace
b = Build()
agent = b.add(SpanKind.AGENT, "agent", 0, 1000)
for at in range(999):
    said = [{"role": "user", "content": f"question {at} " * 60}]
    b.add(SpanKind.LLM, "gpt-4o-mini", at, at + 1, agent, content_in=said, content_out=f"answer {at} " * 60,
          input_tokens=812, output_tokens=96, model="gpt-4o-mini")
trace = b.close(1000)
"""


@pytest.mark.kernel
def test_a_thousand_steps_take_less_than_a_megabyte_with_the_state_of_their_widget(kernel: Kernel) -> None:
    found = messages(kernel, "display_trace(trace)")
    outputs: dict[Any, int] = {}
    for at, message in enumerate(m for m in found if m["type"].endswith("display_data")):
        of = message["content"].get("transient", {}).get("display_id", at)
        outputs[of] = len(json.dumps(message["content"]["data"], ensure_ascii=False).encode())
    state: dict[str, int] = {}
    for message in found:
        if message["buffers"] and message["content"]["data"].get("method", "update") == "update":
            state[message["content"]["comm_id"]] = sum(4 * len(b) // 3 for b in message["buffers"])
    assert len(state) == 1, "one model holds the trace"
    size = sum(outputs.values()) + sum(state.values()) + len(bundle("trace_view.js")) + len(bundle("trace_view.css"))
    assert size < LIMIT_BYTES
    twin = next(m for m in found if m["type"] == "update_display_data")["content"]["data"]["text/html"]
    assert re.search(r"the content of \d{3} steps were left out here", twin)


@pytest.mark.kernel
def test_of_a_long_trace_the_first_rows_are_shown_before_the_others_are_read(kernel: Kernel) -> None:
    steps = 7_000
    long = f"b = Build(); top = b.add(SpanKind.AGENT, 'agent', 0, {steps})\n"
    long += f"for at in range({steps - 1}): b.add(SpanKind.TOOL, 'search', at, at + 1, top)\n"
    found = messages(kernel, long + f"display_trace(b.close({steps}))")
    sent = [m["buffers"][0] for m in found if m["buffers"] and bytes(m["buffers"][0][:4]) == b"AGT1"]
    heads = [decode(bytes(data))[0] for data in sent]
    first, rest = heads[0], [head for head in heads[1:] if head["base"]]
    assert first["rows"] < steps
    assert [f[2] for f in first["run"]["figures"]] == ["steps are being read"], "no figure of a part"
    assert rest[0]["rows"] == steps
    spoken_of = [next(count for name, _, count in head["cols"] if name == "row") for head in rest]
    assert spoken_of[0] == steps - first["rows"], "a row is sent once"
    assert "tool calls" in [f[2] for f in rest[-1]["run"]["figures"]]


def test_a_list_of_two_hundred_runs_is_small() -> None:
    listed = RunList(many(200))
    state = 4 * len(listed.frame()) // 3 + len(bundle("run_list.js")) + len(bundle("run_list.css"))
    assert len(json.dumps(of_list(many(200)))) + state < 250_000
