"""The live view in a real kernel, in a terminal shell and in a plain script."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from magics.real_kernel import LIMIT_S, Kernel
from views.bus_source import Recorded
from views.sample_runs import planner_executor
from views.test_wire import decode

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.flusher import Flusher
from agenttrace_nb.views.live import LiveView, display_trace, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMPORT = """
from agenttrace_nb.views.live import LiveView, display_trace
from views.bus_source import Recorded
from views.sample_runs import planner_executor
"""
PLAY = """
recorded = Recorded()
view = LiveView(recorded.live{options})
view.show()
recorded.play(speed={speed})
view.finish()
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Kernel]:
    path = str(pytestconfig.rootpath / "tests")
    with Kernel(tmp_path_factory.mktemp("kernel"), PYTHONPATH=path) as started:
        assert started.run(IMPORT).status == "ok"
        yield started


def messages(kernel: Kernel, code: str) -> list[dict[str, Any]]:
    """Run a cell; return what the kernel sent meanwhile, as ``{type, content, buffers, after_s}``."""
    began = time.monotonic()
    sent = kernel.send(code)
    found = []
    while True:
        message = kernel._client.get_iopub_msg(timeout=LIMIT_S)
        content, kind = message["content"], message["msg_type"]
        ours = message["parent_header"].get("msg_id") == sent
        if ours and kind == "status" and content["execution_state"] == "idle":
            break
        if kind not in ("status", "execute_input"):
            buffers = [bytes(buffer) for buffer in message["buffers"]]
            found.append({"type": kind, "content": content, "buffers": buffers, "after_s": time.monotonic() - began})
    kernel._client.get_shell_msg(timeout=LIMIT_S)
    assert not [m for m in found if m["type"] == "error"], found
    return found


def frames(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        decode(m["buffers"][0])[0]
        for m in found
        if m["type"] == "comm_msg" and m["content"]["data"].get("content", {}).get("kind") == "patch"
    ]


# ---------------------------------------------------------------------------------------------------- in a kernel


@pytest.mark.kernel
def test_the_static_twin_is_shown_first_the_widget_second_and_the_twin_is_filled_in_once(kernel: Kernel) -> None:
    found = messages(kernel, PLAY.format(options="", speed=None))
    shown = [m for m in found if m["type"] in ("display_data", "update_display_data")]
    assert [m["type"] for m in shown] == ["display_data", "display_data", "update_display_data"]
    first, widget, last = (m["content"] for m in shown)
    assert "is running" in first["data"]["text/html"]
    assert widget["data"]["text/plain"] == ""
    assert "application/vnd.jupyter.widget-view+json" in widget["data"]
    assert last["transient"]["display_id"] == first["transient"]["display_id"]
    assert "book_flight" in last["data"]["text/html"]
    assert "├─ ✓ llm gpt-4o-mini" in last["data"]["text/plain"]


@pytest.mark.kernel
def test_the_browser_gets_every_row_and_the_state_holds_all_at_the_end(kernel: Kernel) -> None:
    found = messages(kernel, PLAY.format(options="", speed=4))
    got = frames(found)
    assert len(got) > 3, "several frames while it went on"
    assert [f["seq"] for f in got] == list(range(1, len(got) + 1))
    assert got[-1]["rows"] == 22
    assert got[-1]["run"]["status"] == "ok"
    updates = [m for m in found if m["type"] == "comm_msg" and m["content"]["data"].get("method") == "update"]
    state, _ = decode(updates[-1]["buffers"][0])
    assert (state["rows"], state["base"]) == (22, 0)


@pytest.mark.kernel
def test_in_a_warm_kernel_the_first_tree_is_sent_well_within_300_ms(kernel: Kernel) -> None:
    messages(kernel, PLAY.format(options="", speed=None))
    found = messages(kernel, PLAY.format(options="", speed=8))
    first = next(m for m in found if m["type"] == "display_data" and "widget-view" in str(m["content"]["data"]))
    assert first["after_s"] < 0.3


@pytest.mark.kernel
def test_a_kernel_can_be_warmed_up_so_that_the_first_view_is_quick(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    with Kernel(tmp_path, PYTHONPATH=str(pytestconfig.rootpath / "tests")) as cold:
        cold.run("import sys, time\nfrom agenttrace_nb.views.live import warm_up\nwarm_up()")
        assert cold.value("'anywidget' in sys.modules or time.sleep(3) or 'anywidget' in sys.modules") is True


@pytest.mark.kernel
def test_messages_are_few_however_many_spans_there_are(kernel: Kernel) -> None:
    code = """
from views.sample_runs import Build
from agenttrace_nb.spans import SpanKind
b = Build()
agent = b.add(SpanKind.AGENT, "agent", 0, 1000)
for at in range(5_000):
    b.add(SpanKind.TOOL, "t", at / 10, at / 10 + 1, agent)
run, _ = planner_executor()
recorded = Recorded(run, [b.close(1000)])
view = LiveView(recorded.live)
view.show()
recorded.play()
view.finish()
"""
    got = frames(messages(kernel, code))
    assert len(got) < 40
    assert got[-1]["rows"] == 5_001


@pytest.mark.kernel
def test_a_deterministic_run_is_one_output_with_the_same_bytes_each_time(kernel: Kernel) -> None:
    shown = [messages(kernel, PLAY.format(options=", deterministic=True", speed=speed)) for speed in (None, 3)]
    assert [[m["type"] for m in found] for found in shown] == [["display_data"], ["display_data"]]
    assert shown[0][0]["content"] == shown[1][0]["content"]
    assert "book_flight" in shown[0][0]["content"]["data"]["text/html"]


@pytest.mark.kernel
def test_without_the_widget_the_twin_stands_alone(kernel: Kernel) -> None:
    found = messages(kernel, PLAY.format(options=", widget=False", speed=None))
    assert [m["type"] for m in found] == ["display_data", "update_display_data"]
    assert "display:none" not in found[1]["content"]["data"]["text/html"]


@pytest.mark.kernel
def test_a_note_that_comes_after_the_end_is_still_shown(kernel: Kernel) -> None:
    found = messages(kernel, PLAY.format(options="", speed=None) + "view.note('MLflow does not answer')\n" * 2)
    twins = [m["content"]["data"]["text/html"] for m in found if m["type"] == "update_display_data"]
    assert ["MLflow does not answer" in twin for twin in twins] == [False, True]
    assert frames(found)[-1]["run"]["notes"] == ["MLflow does not answer"]


@pytest.mark.kernel
def test_a_finished_trace_is_shown_as_twin_and_widget(kernel: Kernel) -> None:
    found = messages(kernel, "display_trace(*planner_executor())")
    shown = [m["content"]["data"] for m in found if m["type"] == "display_data"]
    assert ["text/html" in data for data in shown] == [True, False]
    (opened,) = (m for m in found if m["type"] == "comm_open" and m["buffers"])
    state, _ = decode(opened["buffers"][0])
    assert state["rows"] == 22


@pytest.mark.kernel
def test_of_a_large_trace_the_rows_come_before_the_twin(kernel: Kernel) -> None:
    code = """
from agenttrace_nb.spans import SpanKind
from views.sample_runs import Build
b = Build()
for at in range(6_000):
    b.add(SpanKind.TOOL, "t", at, at + 1)
display_trace(b.close(6_000))
"""
    found = [m for m in messages(kernel, code) if m["type"] in ("display_data", "update_display_data")]
    assert [m["type"] for m in found] == ["display_data", "display_data", "update_display_data"]
    assert "widget-view" in str(found[1]["content"]["data"])
    assert "running" not in found[0]["content"]["data"]["text/html"]
    assert "5,000 more steps" in found[2]["content"]["data"]["text/html"]


@pytest.mark.kernel
def test_the_panels_follow_the_first_frame_unasked_and_are_in_no_saved_state(kernel: Kernel) -> None:
    found = messages(kernel, "display_trace(*planner_executor())")
    at, opened = next((at, m) for at, m in enumerate(found) if m["type"] == "comm_open" and m["buffers"])
    after = found[at + 1]
    assert after["type"] == "comm_msg"
    assert after["content"]["data"]["content"] == {"kind": "code"}
    assert after["buffers"] == [bundle("trace_panels.js").encode()]
    assert "agtr-said-line" in bundle("trace_panels.js")
    assert "agtr-said-line" not in str(opened["content"]), "what is saved with the view"


@pytest.mark.kernel
def test_the_panels_come_again_when_a_page_asks(kernel: Kernel) -> None:
    messages(kernel, PLAY.format(options="", speed=None))
    (answer,) = messages(kernel, "view._widget._hear(None, {'kind': 'code'}, [])")
    assert answer["buffers"] == [bundle("trace_panels.js").encode()]


@pytest.mark.kernel
def test_the_widget_answers_what_the_browser_asks(kernel: Kernel) -> None:
    messages(kernel, PLAY.format(options="", speed=None))
    ask = "view._widget._hear(None, {{'kind': '{kind}', 'rows': {rows}}}, [])"
    (whole,) = frames(messages(kernel, ask.format(kind="resync", rows=[])))
    assert (whole["base"], whole["rows"]) == (0, 22)
    found = messages(kernel, ask.format(kind="want", rows=[5, 99]))
    (answer,) = (m["content"]["data"]["content"] for m in found)
    assert answer == {"kind": "payload", "row": 5, "part": 0, "parts": 1}
    assert b"mia_li_3668" in found[0]["buffers"][0]
    assert messages(kernel, ask.format(kind="dance", rows=[])) == []
    (said,) = messages(kernel, "view._widget._hear(None, {'kind': 'rate', 'row': 5, 'ok': True}, [])")
    assert said["content"]["data"]["content"] == {"kind": "said", "row": 5, "problem": "nobody takes ratings here"}


@pytest.mark.kernel
def test_a_view_that_fails_does_not_fail_the_cell(kernel: Kernel) -> None:
    code = (
        """
import agenttrace_nb.views.static_html as twin
kept, twin.static_twin = twin.static_twin, None
try:
"""
        + "".join(f"    {line}\n" for line in PLAY.format(options="", speed=None).strip().splitlines())
        + "finally:\n    twin.static_twin = kept\nprint('went on')"
    )
    found = messages(kernel, code)
    assert "went on" in "".join(m["content"].get("text", "") for m in found if m["type"] == "stream")


# ------------------------------------------------------------------------------------------- in terminals and scripts


def test_a_terminal_gets_the_text_tree_at_the_end(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    class Terminal:
        """A shell without a kernel."""

    monkeypatch.setattr("agenttrace_nb.views.live.shell", Terminal)
    recorded = Recorded()
    view = LiveView(recorded.live)
    view.show()
    recorded.play()
    assert capsys.readouterr().out == ""
    view.finish()
    assert "├─ ✓ llm gpt-4o-mini" in capsys.readouterr().out


def test_a_script_shows_nothing_unless_it_is_asked_to(capsys: Any) -> None:
    recorded = Recorded()
    view = LiveView(recorded.live)
    view.show()
    recorded.play()
    view.finish()
    assert capsys.readouterr().out == ""
    assert "book_flight" in view.text()
    display_trace(*planner_executor())
    assert "book_flight" in capsys.readouterr().out


def test_a_note_without_a_view_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    view = LiveView(Recorded().live)
    with caplog.at_level(logging.WARNING, "agenttrace_nb"):
        view.note("MLflow does not answer")
        view.note("MLflow does not answer")
    assert [record.getMessage() for record in caplog.records] == ["MLflow does not answer"]


def test_a_run_is_written_as_a_page(tmp_path: Path) -> None:
    recorded = Recorded()
    recorded.play()
    target = LiveView(recorded.live).to_html(tmp_path / "run.html")
    assert "agtr-frame" in target.read_text("utf-8")


def test_text_of_a_finished_run_is_its_tree() -> None:
    run, traces = planner_executor()
    assert text_of(run, traces).startswith("planner-executor · case task-17")
    assert " s" not in text_of(run, traces, timed=False).splitlines()[3]


def test_importing_the_views_imports_nothing_heavy() -> None:
    code = "import sys, agenttrace_nb.views.live; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {"IPython", "anywidget", "ipywidgets", "numpy", "pandas", "mlflow", "agents"}
    assert not heavy & loaded


# --------------------------------------------------------------------------------------------------------- flusher


def test_the_flusher_wakes_a_loop_that_waits() -> None:
    async def woken() -> int:
        wakes = 0
        loop = asyncio.get_running_loop()
        call = loop.call_soon_threadsafe

        def counted(*args: Any) -> Any:
            nonlocal wakes
            wakes += 1
            return call(*args)

        loop.call_soon_threadsafe = counted
        flusher = Flusher(lambda due: None)
        flusher.start()
        await asyncio.sleep(0.55)
        flusher.stop()
        return wakes

    assert 3 <= asyncio.run(woken()) <= 6


def test_the_flusher_outlives_its_loop_and_its_errors_and_reports_once(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[bool] = []

    def flush(due: bool) -> None:
        calls.append(due)
        msg = "no"
        raise RuntimeError(msg)

    async def make() -> Flusher:
        return Flusher(flush)

    flusher = asyncio.run(make())
    with caplog.at_level(logging.WARNING, "agenttrace_nb"):
        flusher.start()
        time.sleep(0.35)
        flusher.stop()
    assert len(calls) >= 2
    assert len(caplog.records) == 1
    assert "RuntimeError: no" in caplog.text


def test_stopping_the_flusher_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenttrace_nb.views.flusher.STOP_S", 0.2)
    release = threading.Event()
    flusher = Flusher(lambda due: release.wait(10) and None)
    flusher.start()
    time.sleep(0.15)
    began = time.monotonic()
    flusher.stop()
    assert time.monotonic() - began < 1
    release.set()
