"""How long it takes to compare a million spans that lie in Parquet, through DuckDB, against the bare aggregation.

50,000 runs of 20 spans, two architectures. *gathered*: what `compare` has DuckDB do until there is one row for each run
in memory; its rival is the same aggregation written by hand in SQL, with as many columns. What comes back is told too
(a row for each run, since quantiles and distributions of runs are shown), and how long the whole of `compare` takes
with the statistics of 50,000 runs, over 250 cases with 100 trials each, and then its tables of estimates.

    python -m benchmarks.compare_spans [--repeats 3]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import narwhals as nw

from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.analysis.comparison.span_table import by_trace
from benchmarks.isolated import close, table, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

TRACES = 50_000
LIMIT = 1.5
COLUMNS = ["arch", "case", "trial", "run_id", "trace_id", "status", "success", "latency_s", "cost_usd", "input_tokens",
           "output_tokens"]  # fmt: skip
MADE = """
COPY (
  SELECT printf('%032x', t) AS trace_id, printf('%016x', t * 20 + s) AS span_id,
    CASE WHEN s > 0 THEN printf('%016x', t * 20) END AS parent_id, printf('run-%d', t) AS run_id,
    CASE WHEN s = 0 THEN 'agent' WHEN s % 3 = 0 THEN 'turn' WHEN s % 3 = 1 THEN 'llm' ELSE 'tool' END AS kind,
    'step ' || s % 7 AS name, 'Desk' AS agent, CASE WHEN hash(t, s) % 50 = 0 THEN 'error' ELSE 'ok' END AS status,
    (1 + hash(t, s, 1) % 1000) / 1000.0 AS duration_s,
    CASE WHEN s % 3 = 1 THEN hash(t, s, 2) % 900 END AS input_tokens,
    CASE WHEN s % 3 = 1 THEN hash(t, s, 3) % 90 END AS output_tokens,
    CASE WHEN s % 3 = 1 THEN (1 + hash(t, s, 4) % 99) / 1e5 END AS cost_usd,
    CASE WHEN t % 2 = 0 THEN 'plain' ELSE 'planner' END AS arch, 'task-' || (t // 2) % 250 AS case,
    printf('%d', t // 500) AS trial, 'ok' AS trace_status, (5 + hash(t, 5) % 9000) / 1000.0 AS trace_s,
    hash(t, 6) % 3 > 0 AS success
  FROM range({traces}) AS a(t), range(20) AS b(s)
) TO '{path}' (FORMAT parquet)
"""
BARE = """
SELECT trace_id, max(run_id) AS run_id, max(arch) AS arch, max("case") AS "case", max(trial) AS trial,
  max(trace_status) AS status, max(trace_s) AS latency_s, max(success) AS success,
  sum(cost_usd) FILTER (kind = 'llm') AS cost_usd, sum(input_tokens) FILTER (kind = 'llm') AS input_tokens,
  sum(output_tokens) FILTER (kind = 'llm') AS output_tokens,
  count(*) FILTER (kind = 'llm' AND output_tokens IS NOT NULL AND cost_usd IS NULL) AS unpriced
FROM read_parquet('{path}') GROUP BY trace_id
"""


def wall_s(work: Callable[[], Any]) -> float:
    """Return how many seconds it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    """Print the table; return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as folder:
        path = Path(folder) / "spans.parquet"
        duckdb.sql(MADE.format(traces=TRACES, path=path))
        spans = duckdb.read_parquet(str(path))

        def gathered() -> Any:
            return by_trace(nw.from_native(spans), ["arch", "case"]).select(COLUMNS).collect()

        def bare() -> Any:
            return duckdb.sql(BARE.format(path=path)).to_arrow_table()

        gathered(), bare()
        # In turns, and the best of each: what else the machine does at a moment is not part of either.
        ours, rival = (min(times) for times in zip(*((wall_s(gathered), wall_s(bare)) for _ in range(repeats))))  # noqa: B905 - pairs
        read = nw.to_native(gathered())
        compare_runs(read.slice(0, 2_000))  # imports
        whole = min(wall_s(lambda: compare_runs(spans)) for _ in range(repeats))
        tables = wall_s(lambda: compare_runs(spans).estimates) - whole
    rows = [["gathered to one row a run", ours], ["bare SQL", rival], ["compare, with its statistics", whole]]
    table(["", "s"], [*rows, ["its tables of estimates after that", tables]])
    print(f"{read.num_rows:,} rows of {read.num_columns} columns were read, {read.nbytes / 1e6:.1f} MB")
    reached = verdict("gathered, against bare SQL", ours / rival, LIMIT)
    close("compare_spans", {"gathered_s": round(ours, 3), "bare_s": round(rival, 3), "compare_s": round(whole, 2),
                            "estimates_s": round(tables, 2), "rows": read.num_rows, "bytes": read.nbytes})  # fmt: skip
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
