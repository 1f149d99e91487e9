"""Runs made by hand, for every test of the views."""

from __future__ import annotations

from typing import Any

from agenttrace_nb.spans import CellRun, Span, SpanError, SpanKind, Status, Trace

START_NS = 1_763_800_000_000_000_000
NS_PER_MS = 1_000_000
TRACE_ID = "0" * 31 + "1"


class Build:
    """A trace, one span after the other; times in ms from the start."""

    def __init__(self, trace_id: str = TRACE_ID, name: str = "Agent workflow", at: float = 0) -> None:
        self.trace = Trace(trace_id=trace_id, name=name, start_ns=START_NS + int(at * NS_PER_MS))

    def add(
        self, kind: SpanKind, name: str, start: float, end: float | None, parent: Span | None = None, **more: Any
    ) -> Span:
        error = more.get("error")
        status = Status.RUNNING if end is None else Status.ERROR if error else Status.OK
        span = Span(
            trace_id=self.trace.trace_id,
            span_id=f"{len(self.trace.spans) + 1:016x}",
            kind=kind,
            name=name,
            start_ns=START_NS + int(start * NS_PER_MS),
            end_ns=None if end is None else START_NS + int(end * NS_PER_MS),
            parent_id=parent.span_id if parent else None,
            **{"status": status, **more},
        )
        self.trace.spans.append(span)
        return span

    def close(self, end: float, status: Status = Status.OK) -> Trace:
        self.trace.end_ns = START_NS + int(end * NS_PER_MS)
        self.trace.status = status
        return self.trace


def planner_executor() -> tuple[CellRun, list[Trace]]:
    """Planner, handoff, executor; parallel tools, one failed tool, an agent as tool, a guardrail."""
    b = Build()
    k = SpanKind
    root = b.add(
        k.WORKFLOW,
        "Rebook a flight",
        0,
        4210,
        content_in="Rebook my flight to Boston",
        content_out="I could not rebook it.",
    )
    planner = b.add(k.AGENT, "Planner", 0, 1120, root, agent="Planner", role="planner")
    b.add(k.GUARDRAIL, "travel-only", 0, 60, planner, agent="Planner", attributes={"triggered": False})
    turn = b.add(k.TURN, "turn 1", 0, 740, planner, agent="Planner")
    ask = [
        {"role": "system", "content": "You plan trips. Hand over to Executor once the plan stands."},
        {"role": "user", "content": "Rebook my flight to Boston"},
    ]
    call = {"type": "function_call", "call_id": "c1", "name": "get_user", "arguments": '{"user_id":"mia_li_3668"}'}
    b.add(
        k.LLM,
        "gpt-4o-mini",
        68,
        705,
        turn,
        agent="Planner",
        model="gpt-4o-mini",
        input_tokens=812,
        output_tokens=96,
        cost_usd=0.0012,
        content_in=ask,
        content_out=[call],
        ttft_s=0.21,
    )
    b.add(
        k.TOOL,
        "get_user",
        707,
        787,
        turn,
        agent="Planner",
        content_in={"user_id": "mia_li_3668"},
        content_out={"name": "Mia Li", "membership": "gold", "reservations": ["NO6JO3", "AIXC49"]},
    )
    turn2 = b.add(k.TURN, "turn 2", 790, 1120, planner, agent="Planner")
    b.add(
        k.LLM,
        "gpt-4o-mini",
        791,
        1118,
        turn2,
        agent="Planner",
        model="gpt-4o-mini",
        input_tokens=1034,
        output_tokens=41,
        cost_usd=0.0014,
        content_in=[*ask, call, {"type": "function_call_output", "call_id": "c1", "output": "{…}"}],
        content_out=[{"type": "function_call", "name": "transfer_to_executor", "arguments": "{}"}],
    )
    b.add(
        k.HANDOFF,
        "handoff",
        1119,
        1119,
        turn2,
        agent="Planner",
        attributes={"from_agent": "Planner", "to_agent": "Executor"},
    )
    executor = b.add(k.AGENT, "Executor", 1120, 4210, root, agent="Executor", role="executor", status=Status.OK)
    t3 = b.add(k.TURN, "turn 1", 1120, 2060, executor, agent="Executor")
    b.add(
        k.LLM,
        "gpt-4o",
        1125,
        1534,
        t3,
        agent="Executor",
        model="gpt-4o",
        input_tokens=2120,
        output_tokens=77,
        cost_usd=0.0061,
        content_in=ask,
        content_out=[{"role": "assistant", "content": "Looking for flights."}],
    )
    for at, end in ((1535, 1705), (1535, 1830), (1536, 1918), (1536, 2055)):
        b.add(
            k.TOOL,
            "search_flights",
            at,
            end,
            t3,
            agent="Executor",
            content_in={"origin": "JFK", "destination": "BOS", "date": "2024-05-20"},
            content_out='[{"flight":"HAT136"}]',
        )
    t4 = b.add(k.TURN, "turn 2", 2060, 3540, executor, agent="Executor")
    b.add(
        k.TOOL,
        "book_flight",
        2062,
        3538,
        t4,
        agent="Executor",
        error=SpanError(
            "flights-api did not answer in 2.0 s (POST /v2/bookings)",
            "TimeoutError",
            chain=("ReadTimeout: timed out",),
            traceback="Traceback (most recent call last):\n  …",
        ),
        content_in={"user_id": "mia_li_3668", "flight": "HAT136", "passengers": 1, "cabin": "economy"},
        content_out="An error occurred while running the tool. Please try again.",
    )
    t5 = b.add(k.TURN, "turn 3", 3540, 4210, executor, agent="Executor")
    b.add(
        k.LLM,
        "gpt-4o",
        3541,
        4120,
        t5,
        agent="Executor",
        model="gpt-4o",
        input_tokens=3388,
        output_tokens=120,
        cost_usd=0.0221,
        content_in=ask,
        content_out=[{"role": "assistant", "content": "I could not rebook it."}],
    )
    tool = b.add(k.TOOL, "evaluate", 4121, 4209, t5, agent="Executor")
    b.add(k.AGENT, "Evaluator", 4122, 4209, tool, agent="Evaluator", role="evaluator")
    trace = b.close(4210)
    run = CellRun(
        key="run1",
        name="cell",
        start_ns=START_NS,
        end_ns=trace.end_ns,
        status=Status.OK,
        arch="planner-executor",
        case="task-17",
        trial="2",
        execution_count=12,
        trace_ids=[TRACE_ID],
    )
    return run, [trace]
