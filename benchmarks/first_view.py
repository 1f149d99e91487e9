"""From a cell's start to its first tree on screen, and how long the kernel's event loop is held up at first use.

*First view.* A real kernel that is warm: it has run a cell and has the extension loaded; in one case ``agents`` and
``mlflow`` are imported too, as after a user's first cells. Then its first traced cell runs. The clock starts with the
kernel's message that the cell begins and stops with its first display message (the head of the tree, which a page
without widgets shows) and with the widget's. MLflow's database does not exist yet; in one case the tracking server does
not answer. The second traced cell of the same kernel is measured too.

*Event loop.* In such a kernel a task on the event loop sleeps 5 ms at a time and notes by how much it wakes too late,
for 15 s, in which agents run whose models answer after 50 ms. The agents' own work on the loop is in all figures; the
same without tracing is what it costs alone. The rival, ``mlflow.openai.autolog()``, works inside the kernel's process;
it is measured with ``import mlflow`` inside the 15 s, as at a user's first use, and with ``mlflow`` imported before.

    python -m benchmarks.first_view [--repeats 3] [--seconds 15]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.isolated import ROOT, Budget, clean_environment, close, table, verdict

if TYPE_CHECKING:
    from types import TracebackType

VIEWS_BUDGET_S = 60
LIMIT_S = 120
FIRST_VIEW_MS = 300
DELAY_P99_MS = 30

BARE = "%load_ext agenttrace_nb"
FULL = "import agents, mlflow\n%load_ext agenttrace_nb"
TRACED = "%%trace_agents\nseen = 1"
VIEW_CASES = {
    "agents, mlflow not imported": (BARE, False),
    "agents, mlflow imported": (FULL, False),
    "imported, server down": (FULL, True),
    "not imported, server down": (BARE, True),
}

PROBE = """
import asyncio, time, agents
from benchmarks import workload
agents.set_trace_processors([])
late = []
async def probe():
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(0.005)
        late.append(loop.time() - before - 0.005)
async def work(seconds):
    agent, until, number = workload.planner(0.05), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        await workload.run_once(agent, number)
        number += 1
"""
RUN = "task = asyncio.ensure_future(probe())\n{first}\nawait work({seconds})\ntask.cancel()"
LOOP_CASES = {
    "untraced": ("", RUN.format(first="", seconds="{seconds}")),
    "agenttrace_nb": (BARE, "%%trace_agents\n" + RUN.format(first="", seconds="{seconds}")),
    "agenttrace_nb, mlflow imported before": (
        "import mlflow\n" + BARE,
        "%%trace_agents\n" + RUN.format(first="", seconds="{seconds}"),
    ),
    "autolog": (
        "",
        RUN.format(first="await asyncio.sleep(0.1)\nimport mlflow; mlflow.openai.autolog()", seconds="{seconds}"),
    ),
    "autolog, mlflow imported before": (
        "import mlflow",
        RUN.format(first="await asyncio.sleep(0.1)\nmlflow.openai.autolog()", seconds="{seconds}"),
    ),
}


class Kernel:
    """A kernel in a folder of its own, and the times at which it says things by its own clock."""

    def __init__(self, folder: Path, **environment: str) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager(transport="ipc", ip=str(folder / "ipc"))
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self._manager.start_kernel(
            cwd=str(folder),
            extra_arguments=["--log-level=ERROR"],
            env=clean_environment(folder) | {"PYTHONPATH": path} | environment,
        )
        self._client = self._manager.blocking_client()

    def __enter__(self) -> Self:
        self._client.start_channels()
        self._client.wait_for_ready(timeout=LIMIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import psutil

        self._client.stop_channels()
        # The writing process outlives its kernel; here nothing is left for it to deliver to.
        started = psutil.Process(self._manager.provisioner.pid).children(recursive=True)
        self._manager.shutdown_kernel(now=True)
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
                process.wait(10)
        self._manager.cleanup_resources()

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell and return what the kernel sent while it did, in order.

        Raises
        ------
        RuntimeError
            If the cell fails.
        """
        sent = self._client.execute(code)
        messages = []
        while True:
            message = self._client.get_iopub_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") != sent:
                continue
            messages.append(message)
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(message["content"]["traceback"]))
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return messages

    def value(self, expression: str) -> Any:
        """Return what an expression is in the kernel."""
        import ast

        said = self.run(f"print(repr({expression}))")
        return ast.literal_eval("".join(m["content"]["text"] for m in said if m["msg_type"] == "stream"))


def view_times(messages: list[dict[str, Any]]) -> dict[str, float]:
    """Return milliseconds from the cell's start to its first display and to the widget's."""
    began = next(m for m in messages if m["msg_type"] == "execute_input")["header"]["date"]
    shown = [m for m in messages if m["msg_type"] == "display_data"]
    widgets = [m for m in shown if "application/vnd.jupyter.widget-view+json" in m["content"]["data"]]
    return {
        "display": 1000 * (shown[0]["header"]["date"] - began).total_seconds(),
        "widget": 1000 * (widgets[0]["header"]["date"] - began).total_seconds(),
    }


def first_views(case: str) -> dict[str, float]:
    """Start a kernel, warm it, trace two cells; return when each showed its tree."""
    before, is_down = VIEW_CASES[case]
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-", ignore_cleanup_errors=True) as name:
        down = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{_closed_port()}"} if is_down else {}
        with Kernel(Path(name), **down) as kernel:
            kernel.run("1 + 1")
            kernel.run(before)
            time.sleep(0.5)
            first = view_times(kernel.run(TRACED))
            second = view_times(kernel.run(TRACED))
    return {"first": first["display"], "first_widget": first["widget"], "second": second["display"]}


def loop_delays(case: str, seconds: float) -> dict[str, float]:
    """Start a kernel, run agents in it and return by how many milliseconds its event loop was late."""
    before, cell = LOOP_CASES[case]
    with (
        tempfile.TemporaryDirectory(prefix="agenttrace-bench-", ignore_cleanup_errors=True) as name,
        Kernel(Path(name)) as kernel,
    ):
        kernel.run(PROBE)
        if before:
            kernel.run(before)
        kernel.run("await work(1)")
        kernel.run("late.clear()")
        kernel.run(cell.replace("{seconds}", str(seconds)))
        late = sorted(1000 * value for value in kernel.value("late"))
    return {
        "p50": late[len(late) // 2],
        "p99": late[int(len(late) * 0.99)],
        "max": late[-1],
        "held_30ms": sum(value for value in late if value > DELAY_P99_MS),
    }


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Print the tables; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    delays: dict[str, list[dict[str, float]]] = {case: [] for case in LOOP_CASES}
    views: dict[str, list[dict[str, float]]] = {case: [] for case in VIEW_CASES}
    budget = Budget(VIEWS_BUDGET_S)
    for repeat in range(options.repeats):
        if not budget.allows_another() and repeat:
            break
        for case in VIEW_CASES:
            views[case].append(first_views(case))
    for case in LOOP_CASES:
        delays[case].append(loop_delays(case, options.seconds))
    return tell(views, delays, options.seconds)


def tell(views: dict[str, list[dict[str, float]]], delays: dict[str, list[dict[str, float]]], seconds: float) -> int:
    """Print the tables; return 1 if a target is missed."""
    middle = {case: {n: statistics.median(one[n] for one in of) for n in of[0]} for case, of in views.items()}
    print(f"First view, ms from the cell's start; {len(views[next(iter(views))])} kernels each, medians")
    rows = [
        [case, of["first"], of["first_widget"], of["second"], max(v["first"] for v in views[case])]
        for case, of in middle.items()
    ]
    table(["", "first display", "its widget", "second cell", "slowest first"], rows)
    print(f"\nEvent loop, ms too late in the first {seconds:g} s of use")
    late = {case: {n: statistics.median(one[n] for one in of) for n in of[0]} for case, of in delays.items()}
    table(
        ["", "p50", "p99", "max", "sum of those > 30"],
        [[c, o["p50"], o["p99"], o["max"], o["held_30ms"]] for c, o in late.items()],
    )
    reached = [verdict(f"first view, {case} (ms)", of["first"], FIRST_VIEW_MS) for case, of in middle.items()]
    reached.append(verdict("event loop delay at first use, p99 (ms)", late["agenttrace_nb"]["p99"], DELAY_P99_MS))
    print(f"p99 against autologging's first use: {late['agenttrace_nb']['p99'] / late['autolog']['p99']:.2f}")
    close("first_view", {"views": _rounded(middle), "loop": _rounded(late)})
    return int(not all(reached))


def _rounded(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {case: {name: round(value, 2) for name, value in of.items()} for case, of in found.items()}


if __name__ == "__main__":
    sys.exit(main())
