"""How long `compare` takes for many runs, apart from reading them; and `diff` for two long traces.

*compare*: 10,000 runs as a pandas frame, two and four architectures over 5,000 and 2,500 cases, the four metrics that
are compared by default: tests, intervals and verdicts. Its tables of estimates are computed when they are looked at and
timed too. *diff*: two traces of 10,000 steps that differ in one step in a hundred.

    python -m benchmarks.compare_runs [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.analysis.trace_diff import diff_steps
from agenttrace_nb.spans import Span, SpanKind, Status, Trace
from benchmarks.isolated import close, table, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 10_000
STEPS = 10_000
LIMIT_S = 2.0


def made_runs(groups: int) -> pd.DataFrame:
    """Return 10,000 runs of so many architectures over the same cases."""
    rng = np.random.default_rng(1)
    cases = RUNS // groups
    base = rng.lognormal(1, 0.5, cases)
    parts = [
        pd.DataFrame(
            {
                "arch": f"arch {group}",
                "case": [f"case-{n}" for n in range(cases)],
                "status": "ok",
                "success": rng.random(cases) < 0.5,
                "latency_s": base * rng.lognormal(0, 0.3, cases),
                "cost_usd": base * rng.lognormal(0, 0.3, cases) / 100,
                "input_tokens": (1000 * base).astype(int) + 1,
                "output_tokens": rng.integers(1, 500, cases),
            }
        )
        for group in range(groups)
    ]
    return pd.concat(parts, ignore_index=True)


def made_trace(odd: int) -> Trace:
    """Return a trace of 10,000 tool calls, of which one in a hundred, from ``odd`` on, has arguments of its own."""
    its = {"trace_id": "a" * 32, "start_ns": 0, "end_ns": 1, "status": Status.OK}
    spans = [Span(**its, span_id="0" * 16, kind=SpanKind.AGENT, name="Agent")]
    for n in range(STEPS):
        content = {"n": n % 500, "odd": n % 100 == odd}
        spans.append(
            Span(
                **(its | {"start_ns": n + 1, "end_ns": n + 2}), span_id=f"{n + 1:016x}", parent_id="0" * 16,
                kind=SpanKind.TOOL, name=f"tool {n % 7}", content_in=content, content_out=n % 11,
            )
        )  # fmt: skip
    return Trace(trace_id="a" * 32, name="t", start_ns=0, spans=spans)


def timed(work: Callable[[], object], repeats: int) -> float:
    """Return the median of the CPU seconds that it takes: one thread, and other work on the machine does not count."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    two, four = made_runs(2), made_runs(4)
    compare_runs(two.iloc[[0, 1, 5000, 5001]])  # imports
    a, b = made_trace(0), made_trace(50)
    found = {
        "compare, 2 x 5,000 runs": timed(lambda: compare_runs(two), repeats),
        "compare, 4 x 2,500 runs": timed(lambda: compare_runs(four), repeats),
        "the same with its estimates": timed(lambda: compare_runs(four).estimates, repeats),
        "diff, 2 x 10,000 steps": timed(lambda: diff_steps(a, b), repeats),
    }
    table(["", "CPU s"], [[name, seconds] for name, seconds in found.items()])
    reached = [
        verdict(f"{name} (CPU s)", seconds, LIMIT_S) for name, seconds in found.items() if name.startswith("compare")
    ]
    close("compare_runs", {name: round(seconds, 3) for name, seconds in found.items()})
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
