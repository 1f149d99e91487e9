"""The magic in a real Jupyter kernel: await, errors that stop the notebook, the Stop button."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from magics.real_kernel import Kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

LOAD = """
import agenttrace_nb.magics
LOG = []
class Run:
    def __init__(self, **options):
        self.options = options
    def start(self, *, at_first_event=False):
        LOG.append(["start", self.options["cell"].cell_id, self.options["cell"].execution_count])
    def finish(self, error=None):
        LOG.append(["finish", type(error).__name__])
agenttrace_nb.magics.load(get_ipython(), engine=Run)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as started:
        assert started.run(LOAD).status == "ok"
        yield started


@pytest.fixture(autouse=True)
def empty_log(kernel: Kernel) -> None:
    kernel.run("LOG.clear()")


def log(kernel: Kernel) -> list[Any]:
    return list(kernel.value("LOG"))


def test_a_cell_may_await_and_shows_its_value(kernel: Kernel) -> None:
    answer = kernel.run("%%trace_agents\nimport asyncio\nawait asyncio.sleep(0.01)\n'slept'")
    assert (answer.status, answer.values) == ("ok", ["'slept'"])
    assert [entry[0] for entry in log(kernel)] == ["start", "finish"]


def test_the_run_knows_the_cells_id_and_number(kernel: Kernel) -> None:
    answer = kernel.run("%%trace_agents\npass", cell_id="a1b2")
    assert log(kernel)[0] == ["start", "a1b2", answer.reply["execution_count"]]


@pytest.mark.parametrize("await_it", ["", "import asyncio; await asyncio.sleep(0)\n"])
def test_an_error_points_at_its_line_and_is_the_cells_answer(kernel: Kernel, await_it: str) -> None:
    code = f"%%trace_agents\n{await_it}x = 1\n\nraise KeyError('here')"
    answer = kernel.run(code)
    line = code.split("\n").index("raise KeyError('here')") + 1
    assert (answer.status, answer.reply["ename"]) == ("error", "KeyError")
    assert f"{line} raise KeyError('here')" in re.sub(r"\x1b\[[\d;]*m", "", answer.traceback)
    assert log(kernel)[-1] == ["finish", "KeyError"]


def test_a_wrong_option_is_told_and_the_cell_runs(kernel: Kernel) -> None:
    answer = kernel.run("%%trace_agents --arhc x\nran = True")
    assert answer.status == "ok"
    assert "there is no option --arhc" in answer.stderr
    assert kernel.value("'ran' in globals()") is True
    assert log(kernel)[-1] == ["finish", "NoneType"]


def test_errors_stop_the_cells_that_wait(kernel: Kernel) -> None:
    failing = kernel.send("%%trace_agents\nimport time; time.sleep(0.3)\n1 / 0")
    waiting = kernel.send("too_far = True")
    assert kernel.receive(failing).status == "error"
    assert kernel.receive(waiting).status == "aborted"
    assert kernel.value("'too_far' in globals()") is False


def test_stop_ends_a_busy_cell_and_its_run(kernel: Kernel, tmp_path: Path) -> None:
    seen = tmp_path / "busy"
    sent = kernel.send(
        f"%%trace_agents\nimport pathlib, time\npathlib.Path({str(seen)!r}).touch()\ntime.sleep(30)",
        stop_on_error=False,
    )
    began = time.monotonic()
    kernel.interrupt_when(seen)
    answer = kernel.receive(sent)
    assert time.monotonic() - began < 15
    assert answer.reply["ename"] == "KeyboardInterrupt"
    assert log(kernel)[-1] == ["finish", "KeyboardInterrupt"]


def test_stop_ends_an_awaiting_cell_and_its_run(kernel: Kernel, tmp_path: Path) -> None:
    seen = tmp_path / "awaiting"
    # The loop is woken here as the live view wakes it.
    sent = kernel.send(
        "%%trace_agents\nimport asyncio, pathlib\n"
        f"pathlib.Path({str(seen)!r}).touch()\n"
        "for _ in range(300):\n    await asyncio.sleep(0.1)",
        stop_on_error=False,
    )
    began = time.monotonic()
    kernel.interrupt_when(seen)
    answer = kernel.receive(sent)
    assert time.monotonic() - began < 15
    assert answer.status == "error"
    assert log(kernel)[-1] == ["finish", "CancelledError"]
    assert kernel.run("1 + 1").values == ["2"]


def test_debug_finds_the_frame_that_raised(kernel: Kernel) -> None:
    kernel.run("%%trace_agents\ndef divide(by):\n    return 1 / by\ndivide(0)")
    frames = kernel.value("[f.name for f in __import__('traceback').extract_tb(__import__('sys').last_traceback)]")
    assert frames[-1] == "divide"


def test_nothing_of_a_traced_cell_is_left_in_the_context_of_later_ones(kernel: Kernel) -> None:
    names = "sorted(v.name for v in __import__('contextvars').copy_context())"
    before = kernel.value(names)
    kernel.run("%%trace_agents\npass")
    kernel.run("%%trace_agents\nimport asyncio; await asyncio.sleep(0)")
    assert kernel.value(names) == before


def notebook(*cells: str) -> NotebookClient:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (LOAD, *cells)])
    return NotebookClient(made, timeout=60, extra_arguments=["--log-level=ERROR"])


def test_a_failing_cell_fails_the_notebook() -> None:
    client = notebook("%%trace_agents\nimport asyncio\nawait asyncio.sleep(0)\nraise KeyError('here')", "never = 1")
    with pytest.raises(CellExecutionError, match="KeyError"):
        client.execute()
    assert client.nb.cells[-1].execution_count is None


def test_a_wrong_option_does_not_stop_the_notebook() -> None:
    client = notebook("%%trace_agents --arhc x\npass", "after = 1")
    client.execute()
    assert client.nb.cells[-1].execution_count is not None


def test_a_notebook_of_traced_cells_runs_to_its_end() -> None:
    client = notebook(
        "%%trace_agents --case a\nimport asyncio\nawait asyncio.sleep(0)\n1",
        "%%trace_agents --case b\n%%time\n2",
        "%%capture out\n%%trace_agents --case c\nprint('captured')",
        "import json\nprint(json.dumps([entry[0] for entry in LOG] + [out.stdout]))",
    )
    client.execute()
    assert json.loads(client.nb.cells[-1].outputs[0]["text"]) == ["start", "finish"] * 3 + ["captured\n"]
