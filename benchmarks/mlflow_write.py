"""Until the traces are in MLflow: agenttrace_nb against ``mlflow.openai.autolog()`` with its default settings.

Runs of twenty spans, back to back, with a model that answers at once, into SQLite. Each side has a process and a
database of its own and has written one run before the clock starts, so that imports and the making of the database are
in neither figure (they are told separately).

* *seconds*: from the first run's start until all traces can be queried (``run.wait()``; autologging is asked with
  ``mlflow.flush_trace_async_logging()``). What is stored is then read back and counted: a trace is complete if MLflow
  gives its state and all of its spans.
* *CPU per span*: user and system time of the process and of every process it started, less what the same runs take
  with tracing switched off, divided by runs times twenty. *In kernel* is the part of it in the process that runs the
  agents.
* *with message runs*: the default of agenttrace_nb, which also writes six runs of MLflow for each trace, after the
  traces. The clock stops when the traces are there; `benchmarks.message_runs` measures the rest.

    python -m benchmarks.mlflow_write [--runs 200] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.isolated import (
    Budget,
    close,
    cpu_s,
    end_children,
    hand_back,
    median,
    own_cpu_s,
    ratio,
    run_side,
    table,
    verdict,
)

SPANS = 20
PROGRAM = "benchmarks.mlflow_write"
BUDGET_S = 170
TIME_LIMIT = 1 / 4
CPU_LIMIT, CPU_KNOWN = 1 / 6, 0.2
WAIT_S = 400.0
SIDES = {
    "untraced": "untraced",
    "autolog": "mlflow.openai.autolog()",
    "ours": "agenttrace_nb, traces",
    "default": "agenttrace_nb, with message runs",
}


# --------------------------------------------------------------------------------------------------- one side, alone


class Clock:
    """Time and CPU from now on."""

    def __init__(self) -> None:
        self.began, self.cpu, self.own = time.monotonic(), cpu_s(), own_cpu_s()
        self.ran = 0.0

    def runs_end(self) -> None:
        self.ran = time.monotonic() - self.began

    def read(self) -> dict[str, float]:
        seconds = time.monotonic() - self.began
        return {
            "ran": self.ran or seconds,
            "seconds": seconds,
            "cpu": cpu_s() - self.cpu,
            "own": own_cpu_s() - self.own,
        }


def untraced(runs: int) -> dict[str, Any]:
    import agents

    from benchmarks import workload

    agents.set_tracing_disabled(True)
    asyncio.run(workload.run_many(3))
    clock = Clock()
    asyncio.run(workload.run_many(runs))
    return clock.read()


def autolog(runs: int) -> dict[str, Any]:
    used = cpu_s()
    import mlflow

    from benchmarks import workload

    mlflow.openai.autolog()
    asyncio.run(workload.run_many(1))
    mlflow.flush_trace_async_logging()
    clock = Clock()
    asyncio.run(workload.run_many(runs))
    clock.runs_end()
    mlflow.flush_trace_async_logging()
    return {"once": clock.cpu - used, **clock.read(), **stored(runs)}


def ours(runs: int, *, message_runs: bool = False) -> dict[str, Any]:
    used = cpu_s()
    import agents

    from agenttrace_nb import tracing
    from benchmarks import workload

    agents.set_trace_processors([])  # the SDK's own exporter, which autologging removes too
    with tracing.trace(message_runs=message_runs) as run:
        asyncio.run(workload.run_many(1))
    assert run.wait(WAIT_S)
    clock = Clock()
    with tracing.trace(message_runs=message_runs) as run:
        asyncio.run(workload.run_many(runs))
    clock.runs_end()
    if message_runs:
        wait_for_traces(runs + 1)
    else:
        assert run.wait(WAIT_S)
    return {"once": clock.cpu - used, **clock.read(), **stored(runs)}


def wait_for_traces(traces: int) -> None:
    """Look into the database until it holds so many traces and all of their spans."""
    until = time.monotonic() + WAIT_S
    with sqlite3.connect(f"file:{Path('mlflow.db').absolute()}?mode=ro", uri=True, timeout=60) as db:
        while time.monotonic() < until:
            (found,) = db.execute("SELECT count(*) FROM spans").fetchone()
            if found >= traces * SPANS:
                return
            time.sleep(0.05)


def stored(runs: int) -> dict[str, int]:
    """Count the traces that MLflow gives back, and the complete ones; the one before the clock is left out."""
    import mlflow

    found = mlflow.search_traces(max_results=runs + 100, return_type="list", include_spans=True)
    states = Counter(
        trace.info.state.value == "OK"
        and trace.info.execution_duration is not None
        and len(trace.data.spans) >= SPANS
        and all(span.end_time_ns for span in trace.data.spans)
        for trace in found
    )
    return {"stored": len(found) - 1, "complete": states[True] - 1}


def measure_side(side: str, runs: int, folder: str) -> None:
    os.chdir(folder)
    measures = {
        "untraced": untraced,
        "autolog": autolog,
        "ours": ours,
        "default": lambda n: ours(n, message_runs=True),
    }
    hand_back(measures[side](runs))
    end_children()


# ------------------------------------------------------------------------------------------------------- the comparison


def compare(runs: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Measure the sides in turn, so many rounds as fit into the time."""
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    budget = Budget(BUDGET_S if runs <= 200 else BUDGET_S * runs / 200)
    for round_ in range(rounds):
        if not budget.allows_another() and round_:
            break
        order = list(SIDES) if round_ % 2 == 0 else list(reversed(SIDES))
        for side in order:
            found[side].append(run_side(PROGRAM, "--runs", str(runs), "--side", side))
        for side in SIDES:
            for name, added in (("cpu", "added_ms"), ("own", "kernel_ms")):
                more = found[side][-1][name] - found["untraced"][-1][name]
                found[side][-1][added] = more / runs / SPANS * 1000
    return found


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        measure_side(options.side, options.runs, options.folder)
        return 0
    found = compare(options.runs, options.rounds)
    print(f"{options.runs} runs of {SPANS} spans into SQLite, {len(found['ours'])} rounds, medians")
    rows = []
    for side, label in SIDES.items():
        of = found[side]
        if side == "untraced":
            rows.append([label, median(of, "seconds"), *[None] * 6])
            continue
        kept = [str(int(min(one[name] for one in of))) for name in ("stored", "complete")]
        cpu = [median(of, name) for name in ("added_ms", "kernel_ms", "once")]
        rows.append([label, median(of, "ran"), median(of, "seconds"), *kept, *cpu])
    head = ["", "runs end s", "queryable s", "stored", "complete", "CPU ms/span", "in kernel", "once CPU s"]
    table(head, rows)
    seconds = ratio(found["ours"], found["autolog"], "seconds")
    seconds_default = ratio(found["default"], found["autolog"], "seconds")
    cpu = ratio(found["ours"], found["autolog"], "added_ms")
    reached = [
        verdict("seconds until queryable, against autologging", seconds, TIME_LIMIT),
        verdict("the same with message runs on", seconds_default, TIME_LIMIT),
        verdict("added CPU per span, against autologging", cpu, CPU_LIMIT, known=CPU_KNOWN),
        verdict("runs that are not complete", options.runs - min(o["complete"] for o in found["ours"]), 0),
    ]
    figures = {
        f"{side}_{name}": median(of, name)
        for side, of in found.items()
        for name in ("ran", "seconds", "added_ms", "kernel_ms", "once", "stored", "complete")
        if name in of[0]
    }
    close("mlflow_write", {"runs": options.runs, "time_ratio": seconds, "cpu_ratio": cpu, **figures})
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
