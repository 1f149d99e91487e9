"""What the audit log costs: recording with it and without it, sealing, and verifying beside its bare arithmetic.

* *recording*: runs of twenty spans, back to back, with a model that answers at once, until all traces are in MLflow
  (SQLite); one process with the log on against one with it off, alternately. Every pair gives one ratio; what is told
  is their median, with an interval that holds the true median in at least 95 of 100 cases (order statistics). The goal
  is missed only if the whole interval lies above it: where the interval is wide, the machine was too busy to tell.
* *sealing*: one trace after another, each mapped and on the disk, against writing them to MLflow.
* *verifying*: entries a second of CPU time at each level, against SHA-256 and Ed25519 over the same bytes, in turns.

    python -m benchmarks.audit [--pairs 25] [--runs 10] [--delay 0] [--entries 10000] [--only PART]

``--entries 100000`` (`make audit-100k`) says too what a log of that length takes on the disk and in memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from mlflow_store.samples import START_NS, booking

from agenttrace_nb.audit import recorded
from agenttrace_nb.audit.examine import Examination
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.vault import Source
from benchmarks.isolated import RESULT, ROOT, Budget, clean_environment, close, cpu_s, end_children, hand_back

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agenttrace_nb.spans import Trace

PROGRAM = "benchmarks.audit"
SEALED = 100
BATCH = 1000
ROUNDS = 7
BUDGET_S = 170
WAIT_S = 300.0
MOST_OF_RECORDING = 1.03
LEAST_A_SECOND = 100_000
LEAST_OF_HASHING = 0.5
LEAST_OF_VERIFYING = 0.8
SURE = 0.95


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU time of work on one thread: others on the machine do not count."""
    return timed(work, time.process_time)


def interval(values: Sequence[float], sure: float = SURE) -> tuple[float, float, float]:
    """Return the median, and an interval for the true one by order statistics; of few values it is all of them."""
    ordered, n = sorted(values), len(values)
    low = 0
    while low + 1 < (n + 1) // 2:
        outside = 2 * sum(math.comb(n, k) for k in range(low + 2)) / 2**n
        if outside > 1 - sure:
            break
        low += 1
    return statistics.median(ordered), ordered[low], ordered[n - 1 - low]


def told(name: str, ratios: Sequence[float]) -> tuple[float, float, float]:
    median, low, high = interval(ratios)
    print(f"{name}: {median:.3f} (95 % interval {low:.3f} to {high:.3f}, {len(ratios)} rounds)")
    return median, low, high


# ------------------------------------------------------------------------------------------------------- recording


def side(state: str, delay_s: float) -> None:
    """Record so many runs as each line of the input says, with the log on or off; print what each batch took."""
    import asyncio

    from agents import set_trace_processors

    import agenttrace_nb as at
    from benchmarks.workload import planner, run_once

    set_trace_processors([])
    if state == "on":
        at.audit.init()
    agent, done = planner(delay_s), 0

    def record(number: int) -> at.Run:
        with at.trace(live=False, message_runs=False) as run:
            asyncio.run(run_once(agent, number))
        return run

    for line in sys.stdin:
        began = time.monotonic()
        cpu = cpu_s()
        runs = [record(done + number) for number in range(int(line))]
        ran = time.monotonic() - began
        if not all(run.wait(WAIT_S) for run in runs):
            raise RuntimeError("not everything arrived in MLflow")
        done += len(runs)
        hand_back({"ran": ran, "seconds": time.monotonic() - began, "cpu": cpu_s() - cpu})
    if state == "on" and (sealed := at.audit.status().runs) != done:
        raise RuntimeError(f"{sealed} of {done} runs were sealed")
    end_children()


class Side:
    """A process that records, with the log on or off, in a folder of its own."""

    def __init__(self, state: str, folder: Path, delay_s: float) -> None:
        self._errors = (folder / "errors.txt").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, "--side", state, "--delay", str(delay_s)],
            cwd=ROOT, env=clean_environment(folder), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def record(self, runs: int) -> dict[str, float]:
        """Have it record so many runs; return what that took."""
        self._process.stdin.write(f"{runs}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(RESULT):
                return json.loads(line.removeprefix(RESULT))
        self._errors.seek(0)
        raise RuntimeError(f"it ended:\n{self._errors.read()[-4000:]}")

    def end(self) -> int:
        """Let it end; return its exit status."""
        self._process.stdin.close()
        status = self._process.wait(WAIT_S)
        self._errors.close()
        return status


def recording(pairs: int, runs: int, delay_s: float) -> tuple[bool, dict[str, float]]:
    took: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as place:
        for state in took:
            (Path(place) / state).mkdir()
        sides = {state: Side(state, Path(place) / state, delay_s) for state in took}
        for each in sides.values():
            each.record(2)  # imports, the database, the keys
        budget = Budget(BUDGET_S)
        for number in range(pairs):
            if not budget.allows_another():
                break
            for state in ("on", "off") if number % 2 else ("off", "on"):
                took[state].append(sides[state].record(runs))
        ended = {state: each.end() for state, each in sides.items()}
        if any(ended.values()):
            raise RuntimeError("a side failed at its end")

    def ratios(name: str) -> list[float]:
        return [on[name] / off[name] for on, off in zip(took["on"], took["off"], strict=True)]

    off, on = (statistics.median(one["seconds"] for one in took[state]) / runs for state in took)
    print(f"a run of 20 spans until in MLflow: {off * 1e3:.0f} ms without the log, {on * 1e3:.0f} ms with it")
    median, low, high = told("recording with / without, until in MLflow", ratios("seconds"))
    cell, *_ = told("recording with / without, in the cells alone", ratios("ran"))
    work, *_ = told("recording with / without, CPU of all processes", ratios("cpu"))
    reached = low <= MOST_OF_RECORDING
    verdict = "reached" if high <= MOST_OF_RECORDING else "not decided on this machine" if reached else "NOT reached"
    print(f"goal {MOST_OF_RECORDING}: {verdict}")
    return reached, {
        "recording": median, "recording_low": low, "recording_high": high, "cells": cell, "cpu": work,
        "without_ms": off * 1e3, "with_ms": on * 1e3,
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------- sealing


def draft_of(trace: Trace) -> Draft:
    parts = recorded.to_parts(recorded.sealed_records(trace, None, "k"), {"key": "k"})
    source = Source("j", "run", trace.trace_id, 1)
    return Draft(kind="run", subject="mlflow-trace:x", facts={"spans": len(trace.spans)}, parts=parts, source=source)


def sealing(folder: Path) -> dict[str, float]:
    """Seal traces of 20 spans one by one, each mapped and on the disk, against writing them to MLflow one by one."""
    from agenttrace_nb.mlflow_store import adapter

    adapter.write_faster()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    traces = [booking(number, start_ns=START_NS + number, calls=6) for number in range(SEALED + 1)]
    mapped = [recorded.sealed_records(trace, None, "k") for trace in traces]
    adapter.log_spans(uri, "0", mapped[-1])  # makes the database
    writing = timed(lambda: [adapter.log_spans(uri, "0", records) for records in mapped[:SEALED]])
    with closing(AuditLog.make(folder / "log", keys=folder / "keys")) as log:
        log.append(draft_of(traces[-1]))
        one_by_one = timed(lambda: [log.append(draft_of(trace)) for trace in traces[:SEALED]])
    ratio = one_by_one / writing
    print(f"sealing one trace {one_by_one / SEALED * 1e3:.2f} ms, writing it to MLflow {writing / SEALED * 1e3:.2f} ms")
    print(f"sealing / writing: {ratio:.1%} of CPU and disk, in a process of its own")
    return {"seal_ms": one_by_one / SEALED * 1e3, "seal_of_write": ratio}


# ------------------------------------------------------------------------------------------------------- verifying


def verifying(folder: Path, count: int) -> tuple[bool, dict[str, float]]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with closing(AuditLog.make(folder / "log", keys=folder / "keys")) as log:
        first = timed(lambda: fill(log, BATCH))
        for _ in range((count - 2 * BATCH) // BATCH):
            fill(log, BATCH)
        last = timed(lambda: fill(log, BATCH))
        print(f"appending {BATCH} entries to an empty log {first:.2f} s, to one of {count - BATCH} {last:.2f} s")
        log.vault.scrub()
        size = sum(path.stat().st_size for path in (folder / "log").glob("log.db*"))
        entries = [entry for _, entry in log.vault.entries()]
        anchor, key = log.anchor(), Ed25519PrivateKey.generate()
        signature, public = key.sign(entries[1]), key.public_key()

        def hash_all() -> None:
            for entry in entries:
                hashlib.sha256(entry).digest()

        def check_all() -> None:
            for _ in range(2 * len(entries)):
                public.verify(signature, entries[1])

        rounds = ROUNDS if count <= 20_000 else 2
        fast, hashing, signatures, bare = [], [], [], []
        for _ in range(rounds):
            hashing.append(cpu(hash_all))
            fast.append(cpu(lambda: examined(log, anchor, "fast")))
        for _ in range(rounds):
            bare.append(cpu(check_all))
            signatures.append(cpu(lambda: examined(log, anchor, "signatures")))
        full = cpu(lambda: examined(log, anchor, "full"))
    n = len(entries)
    a_second = n / statistics.median(fast)
    print(f"fast: {a_second:,.0f} entries a second")
    _, _, hashed = told(
        "fast, of bare SHA-256 over the same bytes", [a / b for a, b in zip(hashing, fast, strict=True)]
    )
    checked = [a / b for a, b in zip(bare, signatures, strict=True)]
    print(f"signatures: {2 * n / statistics.median(signatures):,.0f} a second")
    share, _, most = told("signatures, of bare Ed25519", checked)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"full: {n / full:,.0f} entries a second; {n:,} entries in {full:.1f} s")
    print(f"vault: {size / n:,.0f} bytes an entry, {size / 1e6:.0f} MB; peak memory {peak_mb:.0f} MB")
    met = (a_second >= LEAST_A_SECOND or hashed >= LEAST_OF_HASHING) and most >= LEAST_OF_VERIFYING
    return met, {
        "fast_per_s": a_second, "signatures_of_bare": share, "full_per_s": n / full, "entries": n,
        "bytes_per_entry": size / n, "peak_mb": peak_mb, "append_late_of_early": last / first,
    }  # fmt: skip


def fill(log: AuditLog, count: int) -> None:
    with log.writing() as pen:
        for number in range(count):
            pen.append(Draft(kind="run", subject="x", facts={"n": number}, parts=[("info", b'"a part"')]))


def examined(log: AuditLog, anchor: str, level: str) -> None:
    examination = Examination(log.vault, anchor, level)
    examination.run(log.keys.content)
    if not examination.report.ok:
        raise AssertionError(str(examination.report))


def main() -> int:
    """Print the figures; fail where a goal is missed for certain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that the model takes to answer")
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--only", choices=("recording", "sealing", "verifying"))
    parser.add_argument("--side", choices=("on", "off"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        side(given.side, given.delay)
        return 0
    met, figures = True, {}
    if given.only in (None, "recording"):
        met, figures = recording(given.pairs, given.runs, given.delay)
    if given.only in (None, "sealing"):
        with tempfile.TemporaryDirectory() as place:
            figures |= sealing(Path(place))
    if given.only in (None, "verifying"):
        with tempfile.TemporaryDirectory() as place:
            sound, more = verifying(Path(place), given.entries)
        met, figures = met and sound, figures | more
    close("audit", figures)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
