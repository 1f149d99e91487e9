"""Traces of several architectures, made from a seed, to be compared from a table of their spans."""

from __future__ import annotations

import random

from views.sample_runs import Build

from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.spans import SpanKind, Status, Trace

ARCHS = ("plain", "planner")
METRICS = ("success", "latency", "cost", "tokens", "turns", "errors", "handoffs")


def traces(cases: int = 12, trials: int = 3) -> TraceSet:
    """Return traces whose cost is unknown here and there, some of them failed, one cancelled, one of no case."""
    rng = random.Random(4)
    found, success = [], {}
    for at, (arch, case, trial) in enumerate(
        (arch, case, trial) for arch in ARCHS for case in range(cases) for trial in range(trials)
    ):
        found.append(made(rng, at, arch, case, trial))
        success[found[-1].run_id or ""] = rng.choice([True, True, False, None])
    found[5].status = Status.CANCELLED
    del found[9].tags["case"]
    return TraceSet(found, success=success)


def made(rng: random.Random, at: int, arch: str, case: int, trial: int) -> Trace:
    """Return one run: an agent that calls a model and tools in a few turns."""
    b = Build(f"{at:032x}")
    slow = 2.0 if arch == "planner" else 1.0
    end = 10 + slow * rng.expovariate(1 / 800) + 30 * case
    root = b.add(SpanKind.AGENT, "Desk", 0, end, agent="Desk")
    for n in range(rng.randrange(1, 4)):
        turn = b.add(SpanKind.TURN, f"turn {n}", n, end, root, agent="Desk")
        call = b.add(SpanKind.LLM, "llm", n, n + 1, turn, agent="Desk")
        call.input_tokens, call.output_tokens = rng.randrange(50, 900), rng.randrange(5, 90)
        call.cost_usd = None if rng.random() < 0.05 else call.output_tokens / 1e5
        fails = rng.random() < 0.2
        b.add(SpanKind.TOOL, "look up", n + 1, n + 2, turn, agent="Desk", status=Status.ERROR if fails else Status.OK)
    if rng.random() < 0.3:
        b.add(SpanKind.HANDOFF, "to Other", 3, 4, root, agent="Desk")
    trace = b.close(end, Status.ERROR if rng.random() < 0.05 else Status.OK)
    trace.run_id = f"run-{at}"
    trace.tags |= {"arch": arch, "case": f"task-{case}", "trial": str(trial), "prompt": f"v{trial % 2}"}
    return trace
