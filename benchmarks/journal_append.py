"""What an agent waits for: CPU of the calling thread per span, against redacted and flushed JSON lines.

The events are those of runs with 20 spans (six turns, each with an LLM call and a tool), in the order, the size and
with the urgency that capture gives them. Both sides serialise and redact the same events with the same rules; the
rival writes each event with its whole content as one JSON line and flushes it. Rounds alternate, the median counts.

    python benchmarks/journal_append.py [runs per round]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.live import LiveFold
from agenttrace_nb.journal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TURNS = 6
SPANS = 2 + 3 * TURNS
ROUNDS = 9
LIMIT = 3.0

POLICY = (
    "You are the agent of an airline. You may book, change and cancel flights. Before you act, list what you are "
    "going to do and wait for a yes. One tool call at a time; do not make up what no tool has told you. "
) * 9
TASKS = (
    "I want to fly to Oslo two days later.",
    "Cancel my trip, please; I have fallen ill.",
    "Can I add a bag to AF-2207?",
)

Step = tuple[EventKind, str | None, dict[str, Any], dict[str, Any], bool]


def steps(number: int) -> Iterator[Step]:
    """One run: kind, span, body, content, urgent."""
    span = f"{number:08x}"
    items: list[dict[str, Any]] = [
        {"role": "system", "content": POLICY},
        {"role": "user", "content": f"{TASKS[number % len(TASKS)]} ({number})"},
    ]
    yield EventKind.TRACE_START, None, {"name": "Agent workflow", "session": None, "metadata": {}}, {}, False
    root = {"kind": "workflow", "name": "Agent workflow"}
    yield EventKind.SPAN_START, span + "root", root, {"input": items[1]["content"]}, False
    agent = {"kind": "agent", "name": "Planner", "parent_id": span + "root", "agent": "Planner", "role": "planner"}
    yield EventKind.SPAN_START, span + "agent", agent, {}, False
    for turn in range(TURNS):
        yield from _turn(span, number, turn, items)
    yield EventKind.SPAN_END, span + "agent", {"status": "ok"}, {}, False
    yield EventKind.SPAN_END, span + "root", {"status": "ok"}, {"output": "Your flight is changed."}, False
    yield EventKind.TRACE_END, None, {"status": "ok"}, {}, True


def _turn(span: str, number: int, turn: int, items: list[dict[str, Any]]) -> Iterator[Step]:
    turn_id, llm_id, tool_id = f"{span}turn{turn}", f"{span}llm{turn}", f"{span}tool{turn}"
    of = {"agent": "Planner", "role": "planner"}
    yield (
        EventKind.SPAN_START,
        turn_id,
        {"kind": "turn", "parent_id": span + "agent", "name": f"turn {turn}", **of},
        {},
        False,
    )
    llm = {"kind": "llm", "name": "gpt-4o-mini", "model": "gpt-4o-mini", "parent_id": turn_id, **of}
    llm["attributes"] = {"model_settings": {"temperature": 0.0, "parallel_tool_calls": False}}
    yield EventKind.SPAN_START, llm_id, llm, {"input": list(items)}, True
    call = {
        "type": "function_call",
        "id": f"fc_{number}_{turn}",
        "call_id": f"call_{number}_{turn}",
        "name": "search_direct_flight",
        "arguments": json.dumps({"origin": "JFK", "destination": "OSL", "date": f"2024-05-{turn + 1:02d}"}),
        "status": "completed",
    }
    answer = {
        "status": "ok",
        "input_tokens": 900 + 120 * turn,
        "output_tokens": 31,
        "ttft_s": 0.41,
        "model": "gpt-4o-mini-2024-07-18",
        "attributes": {"response_id": f"resp_{number}_{turn}", "finish_reason": "completed"},
    }
    yield EventKind.SPAN_END, llm_id, answer, {"output": [call]}, False
    tool = {"kind": "tool", "name": "search_direct_flight", "parent_id": turn_id, **of}
    yield EventKind.SPAN_START, tool_id, tool, {}, False
    yield (
        EventKind.SPAN_UPDATE,
        tool_id,
        {"attributes": {"call_id": call["call_id"]}},
        {"input": call["arguments"]},
        True,
    )
    flights = [
        {
            "flight": f"HAT{number % 97:03d}{n}",
            "from": "JFK",
            "to": "OSL",
            "leaves": f"{6 + n:02d}:15",
            "price": 181 + n,
        }
        for n in range(8)
    ]
    result = json.dumps(flights)
    yield EventKind.SPAN_END, tool_id, {"status": "ok"}, {"output": result}, False
    yield EventKind.SPAN_END, turn_id, {"status": "ok"}, {}, False
    items += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": result}]


def journal_writer(folder: Path, name: str) -> tuple[Callable[[Step], None], Callable[[], None]]:
    """Return how to append one event to a journal that a view listens to, and how to close it."""
    journal, redactor = Journal(folder / f"{name}.journal"), Redactor()
    live = LiveFold(journal, "run")

    def write(step: Step) -> None:
        kind, span, body, content, urgent = step
        journal.append(
            kind,
            run_key="run",
            trace_id="0" * 32,
            span_id=span,
            body=body,
            content=content,
            redactor=redactor,
            urgent=urgent,
        )

    def close() -> None:
        journal.close()
        live.close()

    return write, close


def line_writer(folder: Path, name: str) -> tuple[Callable[[Step], None], Callable[[], None]]:
    """Return how to write one event as a redacted, flushed JSON line, and how to close the file."""
    file, redactor = (folder / f"{name}.jsonl").open("wb"), Redactor()

    def write(step: Step) -> None:
        kind, span, body, content, _ = step
        event = {"kind": kind, "time_ns": time.time_ns(), "run": "run", "trace": "0" * 32, "span": span}
        file.write(redactor.clean(json.dumps({**event, **body, **content}).encode()) + b"\n")
        file.flush()

    return write, file.close


def cost_us(writer: tuple[Callable[[Step], None], Callable[[], None]], events: list[Step], spans: int) -> float:
    """CPU of this thread per span, in microseconds."""
    write, close = writer
    began = time.thread_time_ns()
    for step in events:
        write(step)
    took = time.thread_time_ns() - began
    close()
    return took / spans / 1000


def main() -> int:
    """Print the table; return 1 if the journal costs more than the limit."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["AGENTTRACE_STATE_DIR"] = name
        for round_ in range(ROUNDS):
            events = [step for run in range(runs) for step in steps(round_ * runs + run)]
            ours.append(cost_us(journal_writer(folder, str(round_)), events, runs * SPANS))
            theirs.append(cost_us(line_writer(folder, str(round_)), events, runs * SPANS))
    journal, lines = statistics.median(ours), statistics.median(theirs)
    print(f"{ROUNDS} rounds of {runs} runs with {SPANS} spans each, {len(events) / runs / SPANS:.2f} events per span")
    print(f"{'':24}{'median':>10}{'least':>10}   CPU per span on the calling thread, µs")
    print(f"{'journal':24}{journal:10.1f}{min(ours):10.1f}")
    print(f"{'redacted JSON lines':24}{lines:10.1f}{min(theirs):10.1f}")
    print(f"{'ratio':24}{journal / lines:10.2f}{min(ours) / min(theirs):10.2f}   at most {LIMIT:g}")
    return int(journal / lines > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
