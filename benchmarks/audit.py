"""What the audit log costs: recording with it and without it, sealing, and verifying beside its bare arithmetic.

* *recording*: runs of twenty spans, back to back, with a model that answers at once, until all traces are in MLflow
  (SQLite). Two processes, one with the log on and one with it off, record a few runs each in turns, many times, and
  the order changes each time. (One process cannot do both: what was recorded with the log off is sealed late when it
  is on again.) Every pair gives one difference; what is told is their median as a share of the time without the log,
  with an interval that holds the true median in at least 95 of 100 cases (order statistics). Beside it stands the CPU
  time of each process, which tells what sealing costs however busy the machine is. The goal is missed only if the
  whole interval lies above it.
* *sealing*: one trace after another, each mapped and on the disk, against writing them to MLflow.
* *verifying*: entries a second of CPU time at each level, against SHA-256 and Ed25519 over the same bytes, in turns
  that are short and many, and against ``openssl speed``.

    python -m benchmarks.audit [--pairs 60] [--runs 3] [--delay 0] [--entries 10000] [--only PART]

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
from agenttrace_nb.audit.envelope import Envelope, signed_bytes
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
TURNS = 25
BUDGET_S = 170
WAIT_S = 300.0
MOST_ADDED = 0.03
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


def differences(took: dict[str, list[dict[str, float]]], name: str) -> list[float]:
    """Return by how much more each pair took with the log on, as a share of what it takes without it."""
    usual = statistics.median(off[name] for off in took["off"])
    return [(on[name] - off[name]) / usual for on, off in zip(took["on"], took["off"], strict=True)]


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

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds so far of what records, what writes to MLflow, and what seals."""
        import psutil

        process, used = psutil.Process(self._process.pid), dict.fromkeys(("recording", "writing", "sealing"), 0.0)
        for each in (process, *process.children(recursive=True)):
            words = each.cmdline()
            part = "sealing" if "agenttrace_nb.audit" in words else "writing"
            part = "recording" if each.pid == process.pid else part
            used[part] += sum(each.cpu_times()[:2])
        return used

    def end(self) -> int:
        """Let it end; return its exit status."""
        self._process.stdin.close()
        status = self._process.wait(WAIT_S)
        self._errors.close()
        return status


def wait_until_published(folder: Path) -> None:
    """Wait for the first commit of the log to its repository, which comes after a minute and imports what it needs."""
    until = time.monotonic() + WAIT_S
    while not list(folder.rglob("repository.git/refs/heads/audit")):
        if time.monotonic() > until:
            raise RuntimeError("the log was not committed")
        time.sleep(1)


def recording(pairs: int, runs: int, delay_s: float) -> tuple[bool, dict[str, float]]:
    took: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as place:
        for state in took:
            (Path(place) / state).mkdir()
        sides = {state: Side(state, Path(place) / state, delay_s) for state in took}
        for each in sides.values():
            each.record(4)  # imports, the database, the keys
        wait_until_published(Path(place) / "on")
        before = {state: each.cpu_s() for state, each in sides.items()}
        budget = Budget(BUDGET_S)
        for number in range(pairs):
            if not budget.allows_another():
                break
            for state in ("on", "off") if number % 2 else ("off", "on"):
                took[state].append(sides[state].record(runs))
        count = runs * len(took["on"])
        work = {
            state: {part: (s - before[state][part]) / count for part, s in each.cpu_s().items()}
            for state, each in sides.items()
        }
        ended = {state: each.end() for state, each in sides.items()}
        if any(ended.values()):
            raise RuntimeError("a side failed at its end")

    off_ms, on_ms = (statistics.median(one["seconds"] for one in took[state]) / runs * 1e3 for state in ("off", "on"))
    print(f"a run of 20 spans until in MLflow: {off_ms:.0f} ms without the log, {on_ms:.0f} ms with it")
    added, low, high = told("added by sealing, until in MLflow", differences(took, "seconds"))
    cells, *_ = told("added by sealing, in the cells alone", differences(took, "ran"))
    for state, parts in work.items():
        print(f"CPU of a run, log {state}: " + ", ".join(f"{part} {s * 1e3:.1f} ms" for part, s in parts.items()))
    share = work["on"]["sealing"] / sum(work["off"].values())
    print(f"CPU of sealing, in a process of its own: {share:.1%} of that of recording and writing")
    reached = low <= MOST_ADDED
    verdict = "reached" if high <= MOST_ADDED else "not decided on this machine" if reached else "NOT reached"
    print(f"goal {MOST_ADDED:.0%}: {verdict}")
    return reached, {
        "added": added, "added_low": low, "added_high": high, "cells": cells, "sealing_cpu": share,
        "without_ms": off_ms, "with_ms": on_ms,
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
    with closing(AuditLog.make(folder / "log", keys=folder / "keys")) as log:
        first = timed(lambda: fill(log, BATCH))
        for _ in range((count - 2 * BATCH) // BATCH):
            fill(log, BATCH)
        last = timed(lambda: fill(log, BATCH))
        print(f"appending {BATCH} entries to an empty log {first:.2f} s, to one of {count - BATCH} {last:.2f} s")
        log.vault.scrub()
        size = sum(path.stat().st_size for path in (folder / "log").glob("log.db*"))
        entries = [entry for _, entry in log.vault.entries()]
        anchor = log.anchor()

        def hash_all() -> None:
            for entry in entries:
                hashlib.sha256(entry).digest()

        fast, hashing = [], []
        for _ in range(ROUNDS if count <= 20_000 else 2):
            hashing.append(cpu(hash_all))
            fast.append(cpu(lambda: examined(log, anchor, "fast")))
        signatures = cpu(lambda: examined(log, anchor, "signatures"))
        full = cpu(lambda: examined(log, anchor, "full"))
    n = len(entries)
    a_second = n / statistics.median(fast)
    print(f"fast: {a_second:,.0f} entries a second")
    _, _, hashed = told(
        "fast, of bare SHA-256 over the same bytes", [a / b for a, b in zip(hashing, fast, strict=True)]
    )
    print(f"signatures: {n / signatures:,.0f} entries a second, two signatures each")
    share, of_openssl, most = signatures_in_turns(folder / "short")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"full: {n / full:,.0f} entries a second; {n:,} entries in {full:.1f} s")
    print(f"vault: {size / n:,.0f} bytes an entry, {size / 1e6:.0f} MB; peak memory {peak_mb:.0f} MB")
    met = (a_second >= LEAST_A_SECOND or hashed >= LEAST_OF_HASHING) and most >= LEAST_OF_VERIFYING
    return met, {
        "fast_per_s": a_second, "signatures_of_bare": share, "signatures_of_openssl": of_openssl,
        "full_per_s": n / full, "entries": n,
        "bytes_per_entry": size / n, "peak_mb": peak_mb, "append_late_of_early": last / first,
    }  # fmt: skip


def signatures_in_turns(folder: Path) -> tuple[float, float, float]:
    """Verify a log of a thousand entries and as many bare signatures in turns, with ``openssl speed`` in between.

    Returns the share of bare Ed25519, that of ``openssl speed``, and the upper end of the former's interval.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with closing(AuditLog.make(folder / "log", keys=folder / "keys")) as log:
        fill(log, BATCH)
        entries = [Envelope.parse(entry) for _, entry in log.vault.entries()]
        anchor, key = log.anchor(), Ed25519PrivateKey.generate()
        payload = signed_bytes(entries[1].payload)
        signature, public = key.sign(payload), key.public_key()

        def check_all() -> None:
            for _ in range(2 * len(entries)):
                public.verify(signature, payload)

        ours, bare, theirs = [], [], []
        for turn in range(TURNS):
            bare.append(cpu(check_all))
            ours.append(cpu(lambda: examined(log, anchor, "signatures")))
            if turn % 5 == 0:
                theirs.append(openssl_a_second())
    a_second = 2 * len(entries) / statistics.median(ours)
    of_openssl = a_second / statistics.median(theirs)
    print(
        f"signatures: {a_second:,.0f} a second, openssl speed says {statistics.median(theirs):,.0f}: {of_openssl:.2f}"
    )
    share, _, most = told("signatures, of bare Ed25519", [a / b for a, b in zip(bare, ours, strict=True)])
    return share, of_openssl, most


def openssl_a_second() -> float:
    """Return how many Ed25519 signatures openssl verifies in a second of CPU time on one core."""
    words = ["openssl", "speed", "-mr", "-seconds", "1", "ed25519"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return float(next(line for line in said.splitlines() if line.startswith("+F6:")).split(":")[-1])


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
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
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
