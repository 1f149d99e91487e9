"""Message runs: one nested MLflow run for each agent message, against doing just that with a bare ``MlflowClient``.

The rival makes for each message, with as many tags and metrics and the same content: ``create_run``, ``log_batch``,
``log_text``, ``set_terminated``, and nothing else. Both write into one SQLite database that holds the traces already,
from one process, in turns of some traces each, so that the state of the machine and of the database is the same for
both.

Then the same messages are delivered as a user has it, by the writing process beside the kernel, and counted in MLflow.

    python -m benchmarks.message_runs [--messages 300]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import close, hand_back, run_side, table, verdict

if TYPE_CHECKING:
    from agenttrace_nb.mlflow_store.message_runs import Home, MessageRunWriter

PROGRAM = "benchmarks.message_runs"
LIMIT = 1.5
TURN = 4
"""Traces written by one side before it is the other's turn."""
WAIT_S = 500.0


# -------------------------------------------------------------------------------------------- both, in turns, alone


class OneByOne:
    """What the writer of message runs is told about the traces: where they are, a few at a time."""

    def __init__(self, home: Home) -> None:
        self.home_of_all = home
        self.open: set[str] = set()

    def home(self, trace_id: str, key: str, seq: int) -> Home | None:
        return self.home_of_all if trace_id in self.open else None

    def is_parked(self, key: str) -> bool:
        return False

    def let_pass(self) -> None:
        """Never wait."""


def in_turns(messages: int) -> dict[str, Any]:
    """Write messages with both, in turns; return milliseconds and CPU milliseconds for each."""
    import mlflow

    from agenttrace_nb.journal.append import process_journal
    from agenttrace_nb.mlflow_store.message_runs import Home, MessageRunWriter
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.mlflow_store.trace_writer import TraceWriter
    from benchmarks import workload

    traces = recorded(messages // workload.MESSAGES)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    journal, stores = process_journal(), Stores(print)
    writer = TraceWriter(journal.path, stores, lambda _told: None)
    while writer.step(hurry=True) or not writer.is_done():
        pass
    (note,) = writer.ledger.runs.values()
    home = Home(uri, None, str(note.experiment_id), str(note.run_id))
    gate = OneByOne(home)
    ours = MessageRunWriter(journal.path, stores, gate, lambda _told: None)
    client = mlflow.MlflowClient()
    bare(client, traces[:1], home)  # the first call of each kind loads what it needs
    write(ours, gate, traces[:1])
    spent: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    for number, at in enumerate(range(1, len(traces), TURN)):
        part = traces[at : at + TURN]
        sides = {"ours": partial(write, ours, gate, part), "bare": partial(bare, client, part, home)}
        for side in sides if number % 2 == 0 else reversed(sides):
            began, used = time.perf_counter(), time.process_time()
            sides[side]()
            count = sum(len(trace.messages) for trace in part)
            spent[side].append(((time.perf_counter() - began) / count, (time.process_time() - used) / count))
    ours.close()
    writer.close()
    return {
        f"{side}_{name}": [1000 * turn[at] for turn in spent[side]]
        for side in spent
        for at, name in enumerate(("ms", "cpu_ms"))
    }


def recorded(runs: int) -> list[Any]:
    """Record runs of agents into the journal of this process, without anybody delivering it; return their traces."""
    import agents

    from agenttrace_nb import config, tracing
    from agenttrace_nb.journal.append import process_journal
    from benchmarks import workload

    agents.set_trace_processors([])
    config.set_option("mlflow", False)
    with tracing.trace() as run:
        asyncio.run(workload.run_many(runs))
    process_journal().flush()
    return run.traces


def write(ours: MessageRunWriter, gate: OneByOne, traces: list[Any]) -> None:
    gate.open.update(trace.trace_id for trace in traces)
    ours.step()


def bare(client: Any, traces: list[Any], home: Home) -> None:
    """Make a run for each message as one would by hand: what was said, by whom, how long it took, what was called."""
    from mlflow.entities import Metric

    for trace in traces:
        for message in trace.messages:
            span = message.span
            end_ms = span.end_ns // 1_000_000
            tags = {
                "agent": span.agent,
                "role": span.role or "",
                "index": str(message.index),
                "timestamp": str(span.start_ns),
                "model": span.model,
                "trace_id": "tr-" + span.trace_id,
                "span_id": span.span_id,
                "key": f"{span.trace_id}/{span.span_id}",
                "status": span.status.value,
                "mlflow.parentRunId": home.run_id,
            }
            values = {
                "latency_s": span.duration_s,
                "input_tokens": span.input_tokens,
                "output_tokens": span.output_tokens,
                "cached_tokens": 0,
                "tool_calls": len(message.calls),
            }
            calls = [{"name": c.name, "arguments": c.input, "result": c.output} for c in message.calls]
            text = json.dumps({"prompt": span.input, "answer": span.output, "calls": calls}, indent=1)
            run_id = client.create_run(
                home.experiment_id, span.start_ns // 1_000_000, tags, f"{message.index} {span.agent}"
            ).info.run_id
            client.log_batch(run_id, [Metric(key, float(value), end_ms, 0) for key, value in values.items()])
            client.log_text(run_id, text, "message.json")
            client.set_terminated(run_id, "FINISHED", end_ms)


# -------------------------------------------------------------------------------------------------- as a user has it


def delivered(messages: int) -> dict[str, Any]:
    """Trace runs and wait for all of it; return how long that took, and how many message runs MLflow holds."""
    import agents
    import mlflow

    from agenttrace_nb import tracing
    from benchmarks import workload

    agents.set_trace_processors([])
    with tracing.trace() as run:
        asyncio.run(workload.run_many(1))
    assert run.wait(WAIT_S)
    began = time.monotonic()
    with tracing.trace() as run:
        asyncio.run(workload.run_many(messages // workload.MESSAGES))
    ran = time.monotonic() - began
    arrived = bool(run.wait(WAIT_S))
    took = time.monotonic() - began
    client, token, found = mlflow.MlflowClient(), None, []
    while True:
        page = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{run.run_id}'", 1, 1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    whole = [
        r for r in found if r.info.status == "FINISHED" and "agent" in r.data.tags and "latency_s" in r.data.metrics
    ]
    return {"ran": ran, "seconds": took, "arrived": arrived, "present": len(found), "whole": len(whole)}


# ------------------------------------------------------------------------------------------------------- the comparison


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--side", choices=["in-turns", "delivered"], help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        os.chdir(options.folder)
        hand_back((in_turns if options.side == "in-turns" else delivered)(options.messages))
        return 0
    messages = options.messages // 6 * 6
    turns = run_side(PROGRAM, "--messages", str(messages), "--side", "in-turns")
    whole = run_side(PROGRAM, "--messages", str(messages), "--side", "delivered")
    print(f"{messages} messages into SQLite, in {len(turns['ours_ms'])} turns; medians per message")
    middle = {name: statistics.median(values) for name, values in turns.items()}
    table(
        ["", "ms", "CPU ms"],
        [
            ["agenttrace_nb", middle["ours_ms"], middle["ours_cpu_ms"]],
            ["bare MlflowClient", middle["bare_ms"], middle["bare_cpu_ms"]],
        ],
    )
    after = whole["seconds"] - whole["ran"]
    print(
        f"as a user has it: agents ran {whole['ran']:.1f} s, traces and message runs were in MLflow {after:.1f} s "
        f"later; {whole['present']} of {messages} message runs present, {whole['whole']} whole"
    )
    ratios = {
        name: statistics.median(a / b for a, b in zip(turns[f"ours_{name}"], turns[f"bare_{name}"], strict=True))
        for name in ("ms", "cpu_ms")
    }
    reached = [
        verdict("time per message, against the bare client", ratios["ms"], LIMIT),
        verdict("CPU per message, against the bare client", ratios["cpu_ms"], LIMIT),
        verdict("message runs that are missing or not whole", messages - whole["whole"], 0),
    ]
    close(
        "message_runs",
        {"messages": messages, "time_ratio": ratios["ms"], "cpu_ratio": ratios["cpu_ms"], **middle, **whole},
    )
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
