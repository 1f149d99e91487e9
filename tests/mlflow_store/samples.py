"""Traces to write and read: a fixed one that has everything, and random ones."""

from __future__ import annotations

import random
from dataclasses import asdict, fields
from typing import Any

from hypothesis import strategies as st

from agenttrace_nb.spans import Agent, Span, SpanError, SpanKind, Status, Trace

START_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
TOOL = {"name": "get_weather", "description": "Weather of a city", "parameters": {"type": "object", "properties": {}}}


def ids(seed: object) -> random.Random:
    return random.Random(str(seed))


def booking(seed: object = 0, *, start_ns: int = START_NS, calls: int = 2, name: str = "Agent workflow") -> Trace:
    """A triage agent that asks a model `calls` times, with a tool after each but the last."""
    rnd = ids(seed)
    trace_id = f"{rnd.getrandbits(128):032x}"
    spans: list[Span] = []

    def add(kind: SpanKind, name: str, parent: Span | None, at_s: float, for_s: float, **more: Any) -> Span:
        begin = start_ns + int(at_s * SECOND_NS)
        span = Span(
            trace_id=trace_id, span_id=f"{rnd.getrandbits(64):016x}", kind=kind, name=name,
            parent_id=parent.span_id if parent else None, start_ns=begin, end_ns=begin + int(for_s * SECOND_NS),
            **{"status": Status.OK, **more},
        )  # fmt: skip
        spans.append(span)
        return span

    root = add(SpanKind.WORKFLOW, name, None, 0, calls, content_in="Weather in Oslo?", content_out="Sunny.")
    agent = add(SpanKind.AGENT, "Triage", root, 0, calls, agent="Triage", role="planner")
    items: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Oslo?"}]
    for number in range(calls):
        last = number == calls - 1
        turn = add(SpanKind.TURN, f"turn {number + 1}", agent, number, 1, agent="Triage")
        call = {"type": "function_call", "call_id": f"c{number}", "name": TOOL["name"], "arguments": '{"city":"Oslo"}'}
        said = {
            "type": "message", "role": "assistant", "id": f"m{number}", "status": "completed",
            "content": [{"type": "output_text", "text": "Sunny.", "annotations": []}],
        }  # fmt: skip
        add(
            SpanKind.LLM, "gpt-4o-mini", turn, number, 0.5, agent="Triage", model="gpt-4o-mini-2024-07-18",
            content_in=list(items), content_out=[said if last else call], input_tokens=100 + number, output_tokens=10,
            cached_tokens=8, ttft_s=0.1, attributes={"response_id": f"resp_{number}"},
        )  # fmt: skip
        if not last:
            add(
                SpanKind.TOOL, TOOL["name"], turn, number + 0.5, 0.5, agent="Triage", content_in='{"city":"Oslo"}',
                content_out='{"sky": "clear"}',
            )  # fmt: skip
            items += [call, {"type": "function_call_output", "call_id": f"c{number}", "output": '{"sky": "clear"}'}]
    return Trace(
        trace_id=trace_id, name=name, start_ns=start_ns, end_ns=start_ns + calls * SECOND_NS, status=Status.OK,
        session="s-1", user="u-1", spans=spans, tags={"team": "rebooking"}, metadata={"batch": 3},
        agents={"Triage": Agent(name="Triage", role="planner", instructions="Be brief.", tools=[TOOL])},
    )  # fmt: skip


PLACE = frozenset({"experiment_id", "tracking_uri"})


def as_plain(trace: Trace, *, but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Everything that a trace holds, but for where it is stored, as comparable data."""
    known = {f.name: getattr(trace, f.name) for f in fields(trace) if f.name not in but | PLACE}
    known["agents"] = {name: asdict(agent) for name, agent in trace.agents.items()}
    known["spans"] = [
        {f.name: getattr(span, f.name) for f in fields(span) if f.name not in {"content_in", "content_out"} | but}
        | {"input": span.input, "output": span.output, "error": asdict(span.error) if span.error else None}
        for span in trace.spans
    ]
    return known


# ------------------------------------------------------------------------------------------------- random traces

# Texts that have bitten: JSON inside text, control characters, what no encoding holds
nasty_text = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "", " ", '"quoted"', '{"a": 1}', "[1, 2]", '{"a":  1}', "null", "1", "1e5", "NaN", '"', "{", "[" * 5,
            "\ud800", "a\0b", "é\n\t\\", '"\\"twice\\""', "'; DROP TABLE spans; --", "<script>", "x" * 300,
        ]
    ),
)  # fmt: skip
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | finite | nasty_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(nasty_text, inner, max_size=3),
    max_leaves=8,
)
chat = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "developer"]), "content": nasty_text}
)
item = st.one_of(
    chat,
    st.fixed_dictionaries(
        {"type": st.just("function_call"), "call_id": nasty_text, "name": nasty_text, "arguments": nasty_text}
    ),
    st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": nasty_text, "output": nasty_text}),
    st.fixed_dictionaries({"type": st.just("unheard_of"), "data": json_value}),
)
content = st.one_of(json_value, st.lists(chat, max_size=3), st.lists(item, max_size=3))
count = st.none() | st.integers(0, 10**9)
error = st.none() | st.builds(
    SpanError,
    message=nasty_text,
    type=st.none() | nasty_text,
    http_status=st.none() | st.integers(100, 599),
    chain=st.lists(nasty_text, max_size=2).map(tuple),
    traceback=st.none() | nasty_text,
)
agent = st.builds(
    Agent,
    name=nasty_text,
    role=st.none() | nasty_text,
    instructions=st.none() | nasty_text,
    model=st.none() | nasty_text,
    tools=st.lists(st.dictionaries(st.sampled_from(["name", "description", "parameters"]), json_value), max_size=2),
)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A trace of any shape: several roots, parents that are missing, steps that never ended."""
    rnd = ids(draw(st.integers(0, 2**32)))
    trace_id = f"{rnd.getrandbits(128) | 1:032x}"
    spans: list[Span] = []
    for _ in range(draw(st.integers(0, 4))):
        above = draw(st.sampled_from([None, "0123456789abcdef", *(s.span_id for s in spans)]))
        begin = START_NS + draw(st.integers(0, SECOND_NS))
        spans.append(
            Span(
                trace_id=trace_id,
                span_id=f"{rnd.getrandbits(64) | 1:016x}",
                parent_id=above,
                start_ns=begin,
                end_ns=draw(st.none() | st.integers(0, SECOND_NS).map(lambda ns, begin=begin: begin + ns)),
                kind=draw(st.sampled_from(SpanKind)),
                name=draw(nasty_text),
                status=draw(st.sampled_from(Status)),
                agent=draw(st.none() | nasty_text),
                role=draw(st.none() | nasty_text),
                error=draw(error),
                content_in=draw(content),
                content_out=draw(content),
                attributes=draw(st.dictionaries(nasty_text | st.just("mlflow.spanInputs"), json_value, max_size=3)),
                input_tokens=draw(count),
                output_tokens=draw(count),
                cached_tokens=draw(count),
                reasoning_tokens=draw(count),
                cost_usd=draw(st.none() | st.floats(0, 9)),
                model=draw(st.none() | nasty_text),
                ttft_s=draw(st.none() | st.floats(0, 9)),
            )
        )
    agents = {a.name: a for a in draw(st.lists(agent, max_size=2))}
    return Trace(
        trace_id=trace_id, name=draw(nasty_text), start_ns=START_NS, spans=spans, agents=agents,
        end_ns=draw(st.none() | st.just(START_NS + SECOND_NS)), status=draw(st.sampled_from(Status)),
        session=draw(st.none() | nasty_text), user=draw(st.none() | nasty_text),
        tags=draw(st.dictionaries(nasty_text, nasty_text, max_size=2)),
        metadata=draw(st.dictionaries(nasty_text, json_value, max_size=2)),
    )  # fmt: skip
