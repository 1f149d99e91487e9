"""CPU on the agent's thread inside the callbacks, per span: ours against autologging, and against JSON lines.

The same scripted runs of twenty spans, in one process, in rounds that take turns:

* *agenttrace_nb*: everything that capture does on the agent's thread: the tracing processor's callbacks, the run hooks,
  what surrounds a call of the runner, the journal's append with its write to the tail. Somebody watches live.
* ``mlflow.openai.autolog()`` with its default settings on SQLite: the callbacks of its tracing processor only. What its
  patch of the runner costs besides is not counted.
* *JSON lines*: the same events, each serialised with its whole content, redacted by the same rules, written to a file
  and flushed; nothing else is counted.

Threads in the background are in no figure, here the one that moves the tail into the journal's database and those in
which MLflow stores: `benchmarks.mlflow_write` counts the CPU of all processes.

    python -m benchmarks.capture_cpu [--runs 20] [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import workload
from benchmarks.isolated import Budget, clean_environment, close, table, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agenttrace_nb.journal.redact import Redactor

SPANS = 20
AUTOLOG_LIMIT, AUTOLOG_KNOWN = 1 / 5, 0.31
LINES_LIMIT = 3.0
BUDGET_S = 170
CALLBACKS = ("on_trace_start", "on_trace_end", "on_span_start", "on_span_end")


class Stopwatch:
    """CPU time of one thread inside some functions, each moment counted once however they call each other."""

    def __init__(self) -> None:
        self.ns = 0
        self.calls = 0
        self._inside = False

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with the watch running while it runs."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside = True
            began = time.thread_time_ns()
            try:
                return function(*args, **kwargs)
            finally:
                self.ns += time.thread_time_ns() - began
                self.calls += 1
                self._inside = False

        return timed

    def put_on(self, owner: type, *names: str) -> Callable[[], None]:
        """Time methods of a class; return how to stop."""
        originals = {name: vars(owner)[name] for name in names}
        for name, original in originals.items():
            setattr(owner, name, self.around(original))

        def take_off() -> None:
            for name, original in originals.items():
                setattr(owner, name, original)

        return take_off


class JsonLines:
    """What takes the journal's place: each event with its whole content as one redacted, flushed line."""

    def __init__(self, path: Path, watch: Stopwatch) -> None:
        self._file = path.open("wb")
        self.append = watch.around(self._append)

    def _append(
        self, kind: str, *, run_key: str | None = None, trace_id: str | None = None, span_id: str | None = None,
        time_ns: int | None = None, body: Any = None, content: Any = None, redactor: Redactor, urgent: bool = False,
    ) -> None:  # fmt: skip
        event = {"kind": kind, "time_ns": time_ns or time.time_ns(), "run": run_key, "trace": trace_id, "span": span_id}
        line = json.dumps({**event, **(body or {}), **(content or {})}, default=str).encode()
        self._file.write(redactor.clean(line) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def ours(folder: Path, runs: int, watch: Stopwatch) -> None:
    """Run agents with everything of ours on the agent's thread timed."""
    from agenttrace_nb.capture.hooks import JournalHooks
    from agenttrace_nb.capture.processor import JournalProcessor
    from agenttrace_nb.capture.runner import _Noted
    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.journal.live import LiveFold

    journal = Journal(folder / f"{time.time_ns()}.journal")
    live = LiveFold(journal, "run")
    hooks = [name for name in vars(JournalHooks) if name.startswith("on_")]
    stop = [
        watch.put_on(JournalProcessor, *CALLBACKS),
        watch.put_on(JournalHooks, "__init__", *hooks),
        watch.put_on(_Noted, "__init__", "__enter__", "conclude", "__exit__"),
    ]
    _record(journal, runs)
    for take_off in stop:
        take_off()
    live.close()
    journal.close()


def json_lines(folder: Path, runs: int, watch: Stopwatch) -> None:
    """Run agents and write the same events as JSON lines; only that is timed."""
    lines = JsonLines(folder / f"{time.time_ns()}.jsonl", watch)
    _record(lines, runs)
    lines.close()


def _record(journal: Any, runs: int) -> None:
    from agenttrace_nb.capture import install
    from agenttrace_nb.capture.active import ACTIVE, Recorder
    from agenttrace_nb.journal.redact import Redactor

    notes: list[str] = []
    token = ACTIVE.set(Recorder(journal, "run", Redactor(), note=notes.append))
    install.install()
    asyncio.run(workload.run_many(runs))
    install.uninstall()
    ACTIVE.reset(token)
    assert notes == [], notes


def autolog(_: Path, runs: int, watch: Stopwatch) -> None:
    """Run agents with MLflow's autologging; the callbacks of its processor are timed."""
    import agents
    import mlflow
    from mlflow.openai._agent_tracer import MlflowOpenAgentTracingProcessor

    stop = watch.put_on(MlflowOpenAgentTracingProcessor, *CALLBACKS)
    mlflow.openai.autolog()
    asyncio.run(workload.run_many(runs))
    mlflow.openai.autolog(disable=True)
    agents.set_trace_processors([])
    stop()
    # What it still sends would take the next round's time on this machine, though not this thread's.
    mlflow.flush_trace_async_logging()


SIDES = {"agenttrace_nb": ours, "mlflow.openai.autolog()": autolog, "JSON lines": json_lines}


def rounds(folder: Path, runs: int, count: int) -> Iterator[dict[str, float]]:
    """Yield for each round the microseconds per span of each side."""
    budget = Budget(BUDGET_S)
    for number in range(count + 1):
        if number > 2 and not budget.allows_another():
            return
        found = {}
        for name, side in SIDES.items():
            watch = Stopwatch()
            side(folder, 2 if number == 0 else runs, watch)
            assert watch.calls, name
            found[name] = watch.ns / 1000 / SPANS / (2 if number == 0 else runs)
        if number:  # the first is to warm up: imports, MLflow's database
            yield found


def main() -> int:
    """Print the figures; return 1 if a target is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs per round and side")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as name:
        environment = clean_environment(Path(name))
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(name)
        import agents

        agents.set_trace_processors([])
        found = list(rounds(Path(name), given.runs, given.rounds))
    rows = []
    for side in SIDES:
        figures = [one[side] for one in found]
        rows.append([side, statistics.median(figures), min(figures), max(figures)])
    print(f"CPU in the callbacks on the agent's thread, µs per span; {len(found)} rounds of {given.runs} runs")
    table(["", "median", "least", "most"], rows)
    by_autolog = statistics.median(one["agenttrace_nb"] / one["mlflow.openai.autolog()"] for one in found)
    by_lines = statistics.median(one["agenttrace_nb"] / one["JSON lines"] for one in found)
    reached = [
        verdict("against autologging", by_autolog, AUTOLOG_LIMIT, known=AUTOLOG_KNOWN),
        verdict("against JSON lines", by_lines, LINES_LIMIT),
    ]
    figures = {row[0]: row[1] for row in rows} | {"against autologging": by_autolog, "against JSON lines": by_lines}
    close("capture_cpu", figures)
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
