"""What the audit log costs: sealing beside writing to MLflow, and verifying beside its bare arithmetic.

Each figure is a ratio of two times taken in one run, so that it holds on other machines.
"""

from __future__ import annotations

import hashlib
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttrace_nb.spans import Trace

RUNS = 100
ENTRIES = 10_000
LEAST_OF_HASHING = 0.5
LEAST_OF_VERIFYING = 0.8


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def draft_of(trace: Trace) -> Draft:
    parts = recorded.to_parts(recorded.sealed_records(trace, None, "k"), {"key": "k"})
    source = Source("j", "run", trace.trace_id, 1)
    return Draft(kind="run", subject="mlflow-trace:x", facts={"spans": len(trace.spans)}, parts=parts, source=source)


def sealing(folder: Path) -> None:
    """Seal traces of 20 spans one by one, each mapped and on the disk, against writing them to MLflow one by one."""
    from agenttrace_nb.mlflow_store import adapter

    adapter.write_faster()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    traces = [booking(number, start_ns=START_NS + number, calls=6) for number in range(RUNS + 1)]
    mapped = [recorded.sealed_records(trace, None, "k") for trace in traces]
    adapter.log_spans(uri, "0", mapped[-1])  # makes the database
    writing = timed(lambda: [adapter.log_spans(uri, "0", records) for records in mapped[:RUNS]])
    with closing(AuditLog.make(folder / "log", keys=folder / "keys")) as log:
        log.append(draft_of(traces[-1]))
        one_by_one = timed(lambda: [log.append(draft_of(trace)) for trace in traces[:RUNS]])
    ratio = one_by_one / writing
    print(f"sealing one trace {one_by_one / RUNS * 1e3:.2f} ms, writing it to MLflow {writing / RUNS * 1e3:.2f} ms")
    print(f"sealing / writing: {ratio:.1%} of CPU and disk in a process of its own; goal of the wall time: 3 %")


def verifying(folder: Path) -> bool:
    with closing(AuditLog.make(folder / "log", keys=folder / "keys")) as log:
        first = timed(lambda: fill(log, 1000))
        fill(log, ENTRIES - 2000)
        last = timed(lambda: fill(log, 1000))
        print(f"appending 1000 entries to an empty log {first:.2f} s, to one of {ENTRIES - 1000} {last:.2f} s")
        entries = [entry for _, entry in log.vault.entries()]
        bare = timed(lambda: [hashlib.sha256(entry).digest() for entry in entries])
        anchor = log.anchor()
        fast = timed(lambda: examined(log, anchor, "fast"))
        print(
            f"fast: {len(entries) / fast:,.0f} entries a second, {bare / fast:.0%} of bare SHA-256 over the same bytes"
        )
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        signature, public = key.sign(entries[1]), key.public_key()
        alone = timed(lambda: [public.verify(signature, entries[1]) for _ in range(2 * len(entries))])
        signatures = timed(lambda: examined(log, anchor, "signatures"))
        print(f"signatures: {2 * len(entries) / signatures:,.0f} a second, {alone / signatures:.0%} of bare Ed25519")
        full = timed(lambda: examined(log, anchor, "full"))
        print(f"full: {len(entries) / full:,.0f} entries a second")
        met = len(entries) / fast >= 100_000 or bare / fast >= LEAST_OF_HASHING
        return met and alone / signatures >= LEAST_OF_VERIFYING


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
    """Print the figures; fail where a goal of verifying is missed."""
    with tempfile.TemporaryDirectory() as place:
        sealing(Path(place))
    with tempfile.TemporaryDirectory() as place:
        return 0 if verifying(Path(place)) else 1


if __name__ == "__main__":
    sys.exit(main())
