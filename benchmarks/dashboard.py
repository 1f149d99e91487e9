"""What a dashboard costs: the agents' thread while one follows, its own work for a run, its figures of all it keeps.

* *append*: CPU of the thread that appends runs of twenty spans to a journal, with a dashboard that follows and without
  one, in turns.
* *follow*: CPU of the whole process for a run, from the journal's events to the frames that a browser would get, beyond
  what recording takes by itself.
* *figures*: all figures, groups and bins of 10,000 runs with 90,000 steps, beside pandas that only groups the steps and
  takes their quantiles.

    python -m benchmarks.dashboard [--rounds 9] [--runs 300]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from views.sample_dashboards import HOUR_MS, NOW_MS, board, hours

from agenttrace_nb.analysis.monitor import Stretch, figures
from agenttrace_nb.analysis.monitor_groups import BY, groups, series
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.views.dashboard import Dashboard
from benchmarks.isolated import close, table, verdict

MOST_OF_APPENDING = 1.25
MOST_MS_A_RUN = 5.0
MOST_OF_PANDAS = 6.0
SPANS = 20
STEPS = 3


class _Counted:
    """Stands in for the widget."""

    is_looked_at = False

    def __init__(self) -> None:
        self.bytes = self.messages = 0

    def send_patch(self, data: bytes) -> None:
        self.bytes += len(data)
        self.messages += 1


def record(journal: Journal, turn: int, runs: int) -> float:
    """Append runs; return the CPU that it took this thread, in seconds."""
    began = time.thread_time()
    for at in range(runs):
        ids = {"run_key": f"{turn}-{at}", "trace_id": f"{turn:016x}{at:016x}"}
        journal.append(EventKind.RUN_START, run_key=ids["run_key"], body={"name": "run", "arch": "desk"})
        journal.append(EventKind.TRACE_START, **ids, body={"name": "Support"})
        for step in range(SPANS):
            span = {**ids, "span_id": f"{step:016x}"}
            kind = ("agent", "llm", "tool")[step % 3]
            journal.append(EventKind.SPAN_START, **span, body={"kind": kind, "name": f"step {step}", "agent": "Desk"})
            journal.append(EventKind.SPAN_END, **span, body={"status": "ok", "input_tokens": 812, "output_tokens": 96})
        journal.append(EventKind.TRACE_END, **ids, body={"status": "ok"})
        journal.append(EventKind.RUN_END, run_key=ids["run_key"], body={"status": "ok"})
    return time.thread_time() - began


def one_turn(folder: Path, turn: int, runs: int, *, followed: bool) -> tuple[float, float, _Counted]:
    """Return the CPU of the appending thread and of the process, in seconds, and what was sent."""
    journal, widget = Journal(folder / f"{turn}-{followed}.journal"), _Counted()
    dashboard = Dashboard(journal=journal, uri=None, load=lambda _: None, window="all") if followed else None
    if dashboard is not None:
        dashboard._widget = widget
        dashboard.figures()
    began = time.process_time()
    took = record(journal, turn, runs)
    if dashboard is not None:
        while dashboard.figures().runs < runs:
            time.sleep(0.05)
    else:
        journal.flush()
        time.sleep(0.3)
    whole = time.process_time() - began
    if dashboard is not None:
        dashboard.close()
    journal.close()
    return took, whole, widget


def of_figures(rounds: int) -> tuple[float, float]:
    """Return seconds for everything that is shown of a full board, and for pandas' part of it."""
    full = board([replace(run, calls=run.calls * STEPS) for run in hours(count=9990)])
    hour = Stretch(NOW_MS - HOUR_MS, NOW_MS)
    steps = pd.DataFrame({name: full.calls[name] for name in ("kind", "name", "took_s", "cost_usd")})
    ours, theirs = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        figures(full, hour, NOW_MS)
        series(full, hour, NOW_MS)
        for by in BY:
            groups(full, by, hour)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        of = steps.groupby(["kind", "name"])
        of["took_s"].quantile([0.5, 0.95])
        of["cost_usd"].sum()
        theirs.append(time.perf_counter() - began)
    return statistics.median(ours), statistics.median(theirs)


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=int, default=300)
    given = parser.parse_args()
    ratios, beyond, sent = [], [], _Counted()
    with tempfile.TemporaryDirectory() as folder:
        one_turn(Path(folder), 0, given.runs, followed=True)  # warm
        for turn in range(1, given.rounds + 1):
            alone, whole_alone, _ = one_turn(Path(folder), turn, given.runs, followed=False)
            beside, whole_beside, sent = one_turn(Path(folder), turn, given.runs, followed=True)
            ratios.append(beside / alone)
            beyond.append((whole_beside - whole_alone) / given.runs * 1000)
    ours, theirs = of_figures(given.rounds)
    found = {
        "append_ratio": statistics.median(ratios),
        "follow_ms_a_run": statistics.median(beyond),
        "bytes_a_run": sent.bytes / given.runs,
        "figures_s": ours,
        "figures_ratio": ours / theirs,
    }
    table(["", ""], [[name, value] for name, value in found.items()])
    limits = {"append_ratio": MOST_OF_APPENDING, "follow_ms_a_run": MOST_MS_A_RUN, "figures_ratio": MOST_OF_PANDAS}
    reached = [verdict(name, found[name], limit) for name, limit in limits.items()]
    close("dashboard", {name: round(value, 4) for name, value in found.items()})
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
