"""What handlers cost the agents, and how fast what was recorded is sent on.

* *hot path*: the same scripted runs of twenty spans in one process, in rounds that take turns, without any handler and
  with two: ``jsonl`` with all content, in the process beside the kernel, and a function in the kernel itself. Counted
  is the CPU time of the agents' thread; the time that passes is told and not judged, since on few cores whoever sends
  takes part of it.
* *backlog*: 10,000 spans that are recorded already, from adding a handler until all are sent: to a file with all
  content, and by OTLP with all content to a receiver on this machine that takes everything. The process that sends is
  of low priority, so that on a busy machine only its CPU time is judged.

    python -m benchmarks.export [--runs 20] [--rounds 7] [--spans 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import workload
from benchmarks.isolated import Budget, clean_environment, close, table, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

SPANS = 20
HOT_PATH_LIMIT = 1.10
BACKLOG_LIMIT_S = 5.0
BUDGET_S = 120
PATIENCE_S = 120.0


def run_agents(runs: int) -> dict[str, float]:
    """Run agents in a traced block; return microseconds per span, of the thread's CPU time and of the clock."""
    import agenttrace_nb as at

    with at.trace(live=False):
        cpu, wall = time.thread_time(), time.perf_counter()
        asyncio.run(workload.run_many(runs))
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    per = 1e6 / SPANS / runs
    return {"cpu": cpu * per, "wall": wall * per}


@contextmanager
def handlers(folder: Path) -> Iterator[None]:
    """Have all that is recorded sent to a file and to a function of this process."""
    import agenttrace_nb as at
    from agenttrace_nb.export import control

    at.export_to("jsonl", path=str(folder / "agents.jsonl"), content="full")
    seen: list[str] = []
    at.handler("function", content="full")(lambda item: seen.append(item.event_id))
    assert control.send_test("jsonl").answer == "Sent"
    try:
        yield
        assert control.flush(timeout_s=PATIENCE_S)
        assert seen
    finally:
        control.remove("jsonl")
        control.remove("function")


def hot_path(folder: Path, runs: int, count: int) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    """Yield for each round what a span costs without handlers and with them."""
    budget = Budget(BUDGET_S)
    run_agents(2)
    with handlers(folder):
        run_agents(2)
    for number in range(count):
        if number > 2 and not budget.allows_another():
            return
        without = run_agents(runs)
        with handlers(folder):
            yield without, run_agents(runs)


def record(spans: int) -> None:
    """Write spans as large as those of agents into this process's journal."""
    from agenttrace_nb.journal.append import process_journal
    from agenttrace_nb.journal.events import EventKind

    journal = process_journal()
    about: dict[str, Any] = {"run_key": "recorded"}
    journal.append(EventKind.RUN_START, body={"name": "recorded"}, **about)
    prompt = [{"role": "system", "content": workload.POLICY}, {"role": "user", "content": "Rebook my flight."}]
    for number in range(spans):
        about["trace_id"] = f"{number // SPANS + 1:032x}"
        if number % SPANS == 0:
            journal.append(EventKind.TRACE_START, body={"name": "flow"}, **about)
        kind, name = ("llm", workload.MODEL) if number % 2 else ("tool", "search_direct_flight")
        said = f"{workload.ANSWER} {number}"
        ids = {**about, "span_id": f"{number + 1:016x}"}
        body = {"kind": kind, "name": name, "agent": "Planner", "parent_id": f"{0:016x}"}
        journal.append(EventKind.SPAN_START, body=body, content={"input": [*prompt, said]}, **ids)
        journal.append(EventKind.SPAN_END, body={"status": "ok", "input_tokens": 931}, content={"output": said}, **ids)
        if number % SPANS == SPANS - 1:
            journal.append(EventKind.TRACE_END, body={"status": "ok"}, **about)
    journal.append(EventKind.RUN_END, run_key="recorded", body={"status": "ok"}, urgent=True)
    journal.flush()


def backlog(spans: int, kind: str, **options: Any) -> tuple[float, float]:
    """Return the seconds from adding a handler until all that was recorded is sent, and the CPU seconds of sending."""
    import psutil

    import agenttrace_nb as at
    from agenttrace_nb.export import control
    from agenttrace_nb.export.process import exporting_of
    from agenttrace_nb.journal.append import process_journal

    sending = psutil.Process(exporting_of(process_journal().path).companion.process.pid)
    used = sum(sending.cpu_times()[:2])
    began = time.perf_counter()
    at.export_to(kind, name="backlog", backlog="all", content="full", **options)
    arrived = control.flush("backlog", PATIENCE_S)
    took = time.perf_counter() - began
    used = sum(sending.cpu_times()[:2]) - used
    status = at.exports()["backlog"]
    assert arrived, status.problem
    assert status.sent >= spans, status.sent
    control.remove("backlog")
    return took, used


@contextmanager
def receiver() -> Iterator[tuple[str, list[int]]]:
    """Take everything that is posted; yield the address and the sizes."""
    sizes: list[int] = []

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sizes.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sizes
    finally:
        server.shutdown()
        server.server_close()


def main() -> int:
    """Print the figures; return 1 if a target is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs per round and side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spans", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as name:
        folder = Path(name)
        environment = clean_environment(folder) | {"AGENTTRACE_MLFLOW": "off"}
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(name)
        import agents

        agents.set_trace_processors([])
        found = list(hot_path(folder, given.runs, given.rounds))
        busy = os.getloadavg()[0] > (os.cpu_count() or 1)
        record(given.spans)
        to_file = backlog(given.spans, "jsonl", path=str(folder / "backlog.jsonl"))
        with receiver() as (url, sizes):
            by_otlp = backlog(given.spans, "otlp", endpoint=url)
        from agenttrace_nb.export.process import exporting_of
        from agenttrace_nb.journal.append import process_journal

        exporting = exporting_of(process_journal().path)
        process_journal().close()
        exporting.close()
        exporting.companion.process.wait(PATIENCE_S)
    rows = []
    for side, label in enumerate(("no handler", "jsonl and a function")):
        for figure in ("cpu", "wall"):
            figures = [one[side][figure] for one in found]
            rows.append([f"{label}, {figure}", statistics.median(figures), min(figures), max(figures)])
    print(f"µs per span on the agents' thread; {len(found)} rounds of {given.runs} runs")
    table(["", "median", "least", "most"], rows)
    cpu = statistics.median(after["cpu"] / before["cpu"] for before, after in found)
    wall = statistics.median(after["wall"] / before["wall"] for before, after in found)
    print(f"time that passes, with handlers against without: {wall:.3g} (not judged)")
    print(f"by OTLP {sum(sizes) / 1e6:.1f} MB in {len(sizes)} requests")
    limit_s = BACKLOG_LIMIT_S * given.spans / 10_000
    reached = [verdict("CPU of the agents' thread, with handlers against without", cpu, HOT_PATH_LIMIT)]
    for target, (took_s, used_s) in {"to a file": to_file, "by OTLP": by_otlp}.items():
        reached.append(verdict(f"CPU seconds to send {given.spans} spans {target}", used_s, limit_s))
        in_time = verdict(f"seconds to send {given.spans} spans {target}", took_s, limit_s)
        reached.append(in_time or busy)
    if busy:
        print(f"the machine was busy (load {os.getloadavg()[0]:.1f}): the seconds that passed are not judged")
    figures = {"file s": to_file[0], "file CPU s": to_file[1], "otlp s": by_otlp[0], "otlp CPU s": by_otlp[1]}
    close("export", {"cpu ratio": cpu, "wall ratio": wall, **figures})
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
