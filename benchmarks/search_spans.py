"""How long the spans of 1,000 stored traces take to be a frame, against the same through `mlflow.search_traces`.

20 spans each, in SQLite. Ours is ``at.search(limit=1000).spans()``; the rival builds the same columns from what
``mlflow.search_traces`` returns. Both read the same database, in turns.

    python -m benchmarks.search_spans [--traces 1000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import ROOT, close, table, verdict

sys.path.insert(0, str(ROOT / "tests"))

if TYPE_CHECKING:
    from collections.abc import Callable

FASTER = 15
CALLS = 6  # with a tool after each but the last, agents and turns: 20 spans


def write(folder: Path, uri: str, traces: int) -> int:
    """Write so many traces into a database; return how many spans one has."""
    from mlflow_store.journals import record_run
    from mlflow_store.samples import booking

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

    journal = Journal(folder / "20260101T000000-1-bench.journal")
    size = 0
    for n in range(traces):
        trace = booking(n, calls=CALLS)
        size = len(trace.spans)
        record_run(journal, f"k{n}", uri, folder, trace)
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


def wall_s(work: Callable[[], Any]) -> float:
    """Return how many seconds it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    """Print the table; return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as name:
        folder = Path(name)
        uri = f"sqlite:///{folder}/mlflow.db"
        os.environ |= {"MLFLOW_TRACKING_URI": uri, "AGENTTRACE_STATE_DIR": name, "MLFLOW_DISABLE_TELEMETRY": "true"}
        os.chdir(folder)
        import agenttrace_nb as at

        size = write(folder, uri, given.traces)

        def ours() -> Any:
            return at.search(limit=given.traces).spans()

        rows = len(ours()), len(theirs(given.traces))  # imports
        pairs = [(wall_s(ours), wall_s(lambda: theirs(given.traces))) for _ in range(given.repeats)]
        os.chdir(ROOT)
    mine, rival = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{given.traces:,} traces of {size} spans; rows: {rows[0]:,} and {rows[1]:,}")
    table(["", "s"], [["at.search().spans()", mine], ["through mlflow.search_traces", rival]])
    reached = verdict("share of the rival's time", mine / rival, 1 / FASTER)
    close("search_spans", {"ours_s": round(mine, 3), "rival_s": round(rival, 3)})
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
