"""Recorded simulations of tau2-bench (mock, airline, retail, telecom), with clock, cost and tokens as recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import Span, SpanKind, Status, Trace, span_id_of

if TYPE_CHECKING:
    from pathlib import Path

DATA_SET = "tau2_activegraph"
AGENT, USER = "agent", "simulated user"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Simulation:
    """One simulation: what was said, and what the benchmark made of it."""

    name: str
    record: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the benchmark rewarded it in full."""
        return (self.record.get("reward_info") or {}).get("reward") == 1.0

    @property
    def stopped_early(self) -> bool:
        """Whether it was ended for having gone on too long, whatever it came to."""
        return self.record["termination_reason"] == "max_steps"


def load(data: Path) -> list[Simulation]:
    """Read all 29 simulations."""
    return [
        Simulation(f"{file.stem}/{record['task_id']}/{record['trial']}", record)
        for file in sorted(data.glob("*.json"))
        for record in json.loads(file.read_text("utf-8"))["simulations"]
    ]


def rows(simulation: Simulation) -> list[dict[str, Any]]:
    """Return the conversation as chat messages, with the agent's calls; those of the simulated user are its own."""
    found: list[dict[str, Any]] = []
    for message in simulation.record["messages"]:
        of_user = message.get("requestor") == "user" or message["role"] == "user"
        if message["role"] == "tool":
            if not of_user:
                found.append({"role": "tool", "tool_call_id": message["id"], "content": message["content"]})
            continue
        row: dict[str, Any] = {"role": message["role"], "content": message["content"]}
        if message["role"] == "assistant":
            row["agent"] = AGENT
            row["tool_calls"] = [_call(call) for call in message.get("tool_calls") or ()]
        found.append(row)
    return found


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
    return {"id": call["id"], "type": "function", "function": function}


def conversation(simulation: Simulation) -> Trace:
    """Return it as a conversation without a clock, as logs of other systems are read."""
    return Trace.from_messages(rows(simulation), name=simulation.name)


def clocked(simulation: Simulation) -> Trace:
    """Return it on the clock of the recording: answers of both sides and calls under one root.

    A message's time is its end; it began its generation time before, else when the message before it ended.
    """
    record, trace_id = simulation.record, span_id_of(simulation.name) * 2
    start_ns, end_ns = _ns(record["start_time"]), _ns(record["end_time"])
    over = {"trace_id": trace_id, "status": Status.OK}
    root = Span(
        **over, span_id=trace_id[:16], kind=SpanKind.WORKFLOW, name=simulation.name, start_ns=start_ns, end_ns=end_ns
    )
    spans, before_ns = [root], start_ns
    for at, message in enumerate(record["messages"]):
        ended_ns = _ns(message["timestamp"])
        took_s = message.get("generation_time_seconds")
        began_ns = before_ns if took_s is None else ended_ns - int(took_s * _NS)
        usage = message.get("usage") or {}
        is_tool = message["role"] == "tool"
        spans.append(
            Span(
                **over, span_id=span_id_of(f"{simulation.name}/{at}"), parent_id=root.span_id,
                kind=SpanKind.TOOL if is_tool else SpanKind.LLM, name="tool" if is_tool else message["role"],
                agent=USER if message["role"] == "user" else AGENT, start_ns=began_ns, end_ns=ended_ns,
                input_tokens=usage.get("prompt_tokens"), output_tokens=usage.get("completion_tokens"),
                cost_usd=message.get("cost"),
            )
        )  # fmt: skip
        before_ns = ended_ns
    trace = Trace(trace_id=trace_id, name=simulation.name, start_ns=start_ns, end_ns=end_ns, status=Status.OK)
    trace.spans += spans
    trace.tags |= {"case": str(record["task_id"])}
    return trace


def _ns(time: str) -> int:
    moment = datetime.fromisoformat(time)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1_000
