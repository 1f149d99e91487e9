"""One trace of any size, in the form that each side takes.

An agent run of turns, each with one LLM call and three tools, one after the other: properly nested, as speedscope needs
it. Every call has content of an ordinary size. TraceView and speedscope are given names, times and standing, and
TraceView the tokens too; what goes in and out is carried by agenttrace_nb and MLflow alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import Span, SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

START_NS = 1_763_800_000_000_000_000
MS_NS = 1_000_000
TURNS_OF_AN_AGENT = 20
_TRACE_ID = "b" * 32
_PROMPT = "The customer asks to move the booking to the next day and keep the seat. " * 6
_ANSWER = "I found two flights that fit; the first one leaves at 9:40 and has a seat at the window. " * 3


def trace(count: int) -> Trace:
    """Return a trace of exactly so many spans; one tool in forty fails."""
    made = Trace(trace_id=_TRACE_ID, name="benchmark", start_ns=START_NS, status=Status.OK, tags={"arch": "benchmark"})
    made.spans = _spans(count)
    made.end_ns = made.spans[0].end_ns
    return made


def _spans(count: int) -> list[Span]:
    root = _span(1, SpanKind.WORKFLOW, "benchmark", None, 0)
    spans, at = [root], 0
    agent: Span | None = None
    turn = 0
    while len(spans) < count:
        if agent is None or turn % TURNS_OF_AN_AGENT == 0:
            agent = _span(len(spans) + 1, SpanKind.AGENT, f"Agent {turn // TURNS_OF_AN_AGENT}", root, at)
            spans.append(agent)
        added, at = _turn(len(spans) + 1, turn, agent, at)
        spans += added
        turn += 1
        agent.end_ns = START_NS + at * MS_NS
    root.end_ns = START_NS + at * MS_NS
    return spans[:count]


def _turn(number: int, turn: int, agent: Span, at: int) -> tuple[list[Span], int]:
    of = _span(number, SpanKind.TURN, f"turn {turn}", agent, at)
    call = _span(number + 1, SpanKind.LLM, "gpt-4o-mini", of, at, 30)
    call.model, call.input_tokens, call.output_tokens, call.cost_usd = "gpt-4o-mini", 900 + turn % 50, 80, 0.0003
    call.content_in = [{"role": "user", "content": f"{turn}: {_PROMPT}"}]
    call.content_out = [{"role": "assistant", "content": _ANSWER}]
    tools = []
    for n in range(3):
        tool = _span(number + 2 + n, SpanKind.TOOL, f"tool_{(turn + n) % 12}", of, at + 30 + 5 * n, 5)
        tool.content_in, tool.content_out = {"flight": f"HAT{turn}", "cabin": "economy"}, {"seats": [n, turn]}
        if (turn * 3 + n) % 40 == 7:
            tool.status, tool.error = Status.ERROR, SpanError("did not answer in 2.0 s", "TimeoutError")
        tools.append(tool)
    of.end_ns = START_NS + (at + 45) * MS_NS
    return [of, call, *tools], at + 50


def _span(number: int, kind: SpanKind, name: str, parent: Span | None, at_ms: int, took_ms: int = 0) -> Span:
    start = START_NS + at_ms * MS_NS
    return Span(
        trace_id=_TRACE_ID, span_id=f"{number:016x}", parent_id=parent and parent.span_id, kind=kind, name=name,
        start_ns=start, end_ns=start + took_ms * MS_NS, status=Status.OK, agent=parent and parent.name,
    )  # fmt: skip


def for_trace_view(of: Trace) -> list[dict[str, Any]]:
    """Return the spans as `wigglystuff.TraceView` takes them."""
    return [
        {
            "span_id": span.span_id, "parent_id": span.parent_id, "trace_id": span.trace_id, "name": span.name,
            "start_ms": span.start_ns / 1e6, "end_ms": (span.end_ns or 0) / 1e6,
            "status": "error" if span.error else "ok",
            "attributes": {"input_tokens": span.input_tokens} if span.input_tokens else {},
        }
        for span in of.spans
    ]  # fmt: skip


def for_speedscope(of: Trace) -> dict[str, Any]:
    """Return the spans as a profile of events in speedscope's own format."""
    number: dict[str, int] = {}
    for span in of.spans:
        number.setdefault(span.name, len(number))
    events = list(_events(of, number))
    profile = {
        "type": "evented",
        "name": of.name,
        "unit": "milliseconds",
        "startValue": 0,
        "endValue": events[-1]["at"],
    }
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": name} for name in number]},
        "profiles": [{**profile, "events": events}],
    }


def _events(of: Trace, number: dict[str, int]) -> Iterator[dict[str, Any]]:
    open_spans: list[Span] = []

    def close() -> dict[str, Any]:
        span = open_spans.pop()
        return {"type": "C", "frame": number[span.name], "at": ((span.end_ns or 0) - START_NS) / 1e6}

    for span in of.spans:
        while open_spans and open_spans[-1].span_id != span.parent_id:
            yield close()
        yield {"type": "O", "frame": number[span.name], "at": (span.start_ns - START_NS) / 1e6}
        open_spans.append(span)
    while open_spans:
        yield close()
