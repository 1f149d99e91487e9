"""How long the spans of 1,000 stored traces take to be a frame, against the same through `mlflow.search_traces`.

20 spans each, in SQLite. Ours is ``at.search(limit=1000).spans()``; the rival builds the same columns from what
``mlflow.search_traces`` returns. Both read the same database, in turns; then both through an MLflow server on it. The
first target is of CPU time, which other work on the machine moves less.

    python -m benchmarks.search_spans [--traces 1000] [--repeats 5] [--over-http 200]
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import ROOT, close, table, verdict

sys.path.insert(0, str(ROOT / "tests"))

from end_to_end.servers import TrackingServer

if TYPE_CHECKING:
    from collections.abc import Callable

FASTER = 15
KNOWN = 0.075  # 13 times: reading and decoding the JSON of 20,000 spans alone is half of what is left
CALLS = 6  # with a tool after each but the last, agents, turns and a handoff: 20 spans


def write(folder: Path, uri: str, traces: int) -> int:
    """Write so many traces into a database; return how many spans one has."""
    from mlflow_store.journals import record_run
    from mlflow_store.samples import booking

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.mlflow_store.trace_writer import TraceWriter
    from agenttrace_nb.spans import SpanKind

    journal = Journal(folder / "20260101T000000-1-bench.journal")
    size = 0
    for n in range(traces):
        trace = booking(n, calls=CALLS)
        handoff = {"span_id": f"{n:016x}", "kind": SpanKind.HANDOFF, "content_in": None, "content_out": None}
        trace.spans.append(replace(trace.spans[4], **handoff))
        size = len(trace.spans)
        record_run(journal, f"k{n}", uri, folder, trace, arch=("one", "two")[n % 2], case=str(n // 2))
    journal.close()
    with closing(TraceWriter(journal.path, Stores(lambda _: None), lambda _: None)) as writer:
        while writer.step(hurry=True):
            pass
    return size


def theirs(limit: int) -> Any:
    """Return the spans as a frame, the way that MLflow's documentation leads to."""
    import mlflow
    import pandas as pd

    rows: list[dict[str, Any]] = []
    experiments = [e.experiment_id for e in mlflow.search_experiments()]
    for trace in mlflow.search_traces(locations=experiments, max_results=limit, return_type="list"):
        tags = trace.info.tags
        for span in trace.data.spans:
            usage = span.attributes.get("mlflow.chat.tokenUsage") or {}
            rows.append(
                {
                    "trace_id": trace.info.trace_id, "span_id": span.span_id, "parent_id": span.parent_id,
                    "kind": span.span_type, "name": span.name, "status": span.status.status_code.value,
                    "started_at": pd.Timestamp(span.start_time_ns, tz="UTC"),
                    "duration_s": (span.end_time_ns - span.start_time_ns) / 1e9,
                    "input_tokens": usage.get("input_tokens"), "output_tokens": usage.get("output_tokens"),
                    "agent": span.attributes.get("agenttrace.agent"), "arch": tags.get("arch"),
                    "case": tags.get("case"),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Return how many seconds it takes, and of how much CPU in this process."""
    gc.collect()
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def in_turns(repeats: int, *works: Callable[[], Any]) -> list[tuple[float, float]]:
    """Return the medians of what each takes, after one round that does not count."""
    rounds = [[timed(work) for work in works] for _ in range(repeats + 1)][1:]
    return [
        (statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times))
        for times in zip(*rounds, strict=True)
    ]


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=1_000)
    parser.add_argument("--over-http", type=int, default=200, help="as many of them through a server")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as name:
        folder = Path(name)
        uri = f"sqlite:///{folder}/mlflow.db"
        os.environ |= {"MLFLOW_TRACKING_URI": uri, "AGENTTRACE_STATE_DIR": name, "MLFLOW_DISABLE_TELEMETRY": "true"}
        os.chdir(folder)
        import agenttrace_nb as at

        size = write(folder, uri, given.traces)

        def spans(limit: int) -> Any:
            return at.search(limit=limit).spans()

        rows = len(spans(given.traces)), len(theirs(given.traces))
        mine, rival = in_turns(given.repeats, lambda: spans(given.traces), lambda: theirs(given.traces))
        others = {
            "at.search().traces()": lambda: at.search(limit=given.traces).traces(),
            "list(at.search())": lambda: list(at.search(limit=given.traces)),
            "at.compare(at.search())": lambda: at.compare(at.search(limit=given.traces), metrics="latency"),
        }
        more = dict(zip(others, in_turns(2, *others.values()), strict=True))
        with TrackingServer(folder) as server:
            os.environ["MLFLOW_TRACKING_URI"] = server.uri
            mlflow_set(server.uri)
            through = in_turns(2, lambda: spans(given.over_http), lambda: theirs(given.over_http))
        os.chdir(ROOT)
    print(f"{given.traces:,} traces of {size} spans; rows: {rows[0]:,} and {rows[1]:,}")
    lines = [["at.search().spans()", *mine], ["through mlflow.search_traces", *rival]]
    lines += [[name, *times] for name, times in more.items()]
    lines += [[f"{given.over_http} over HTTP: at.search().spans()", *through[0]], ["the rival over HTTP", *through[1]]]
    table(["", "s", "CPU s"], lines)
    reached = verdict("share of the rival's CPU time", mine[1] / rival[1], 1 / FASTER, known=KNOWN)
    reached &= verdict("the same of wall time over HTTP", through[0][0] / through[1][0], 1.0)
    figures = {"ours_s": mine[0], "ours_cpu_s": mine[1], "rival_s": rival[0], "rival_cpu_s": rival[1]}
    close("search_spans", {**figures, "http_s": through[0][0], "http_rival_s": through[1][0]})
    return int(not reached)


def mlflow_set(uri: str) -> None:
    """Let MLflow's own functions read from there."""
    import mlflow

    mlflow.set_tracking_uri(uri)


if __name__ == "__main__":
    sys.exit(main())
