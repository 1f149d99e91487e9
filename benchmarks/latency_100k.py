"""How long `latency` takes for one trace of 100,000 steps: measured, and all of its tables made.

Eight agents, each of whose turns makes an LLM call and one to three tool calls that overlap.

    python -m benchmarks.latency_100k [--repeats 3]
"""

from __future__ import annotations

import argparse
import random
import sys

import agenttrace_nb as at
from agenttrace_nb.spans import Span, SpanKind, Status, Trace
from benchmarks.compare_runs import timed
from benchmarks.isolated import close, table, verdict

STEPS = 100_000
LIMIT_S = 2.0
MS = 10**6
TRACE_ID = "a" * 32


def made_trace(steps: int) -> Trace:
    """Return a trace of so many steps."""
    rng = random.Random(1)
    spans: list[Span] = []

    def add(kind: SpanKind, name: str, start: int, end: int, parent: Span | None, **more: object) -> Span:
        spans.append(
            Span(
                trace_id=TRACE_ID, span_id=f"{len(spans):016x}", kind=kind, name=name, start_ns=start, end_ns=end,
                parent_id=parent.span_id if parent else None, status=Status.OK, **more,
            )
        )  # fmt: skip
        return spans[-1]

    root = add(SpanKind.WORKFLOW, "run", 0, 0, None)
    now = 0
    while len(spans) < steps:
        name = f"agent {rng.randrange(8)}"
        agent = add(SpanKind.AGENT, name, now, now + 50 * MS, root, agent=name)
        for _ in range(6):
            turn = add(SpanKind.TURN, "turn", now, now + 8 * MS, agent, agent=name)
            add(SpanKind.LLM, "llm", now, now + 3 * MS, turn, agent=name, model=f"m{rng.randrange(3)}", ttft_s=0.001)
            for _ in range(rng.randrange(1, 4)):
                begin, end = now + 3 * MS + rng.randrange(MS), now + 4 * MS + rng.randrange(4 * MS)
                add(SpanKind.TOOL, f"tool {rng.randrange(30)}", begin, end, turn, agent=name)
            now += 8 * MS
        now += 3 * MS
    root.end_ns = now
    return Trace(trace_id=TRACE_ID, name="run", start_ns=0, end_ns=now, spans=spans[:steps])


def looked_at(trace: Trace) -> None:
    """Have everything of it worked out."""
    found = at.latency(trace)
    for part in ("steps", "traces", "self_time", "critical_path", "savings"):
        getattr(found, part)
    found.text()


def main() -> int:
    """Print the table; return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    trace = made_trace(STEPS)
    looked_at(made_trace(100))  # imports
    found = {
        "text of 100,000 steps": timed(lambda: at.latency(trace).text(), repeats),
        "all tables of 100,000 steps": timed(lambda: looked_at(trace), repeats),
    }
    table(["", "CPU s"], [[name, seconds] for name, seconds in found.items()])
    reached = [verdict(f"{name} (CPU s)", seconds, LIMIT_S) for name, seconds in found.items()]
    close("latency_100k", {name: round(seconds, 3) for name, seconds in found.items()})
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
