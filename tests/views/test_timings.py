"""Where the time went and what was declared, as they travel to the browser when a run is over."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from views.bus_source import Recorded
from views.hostile import hostile_run
from views.sample_runs import START_NS, Build, planner_executor
from views.test_wire import decode

from agenttrace_nb.spans import Agent, SpanKind, Status, Trace
from agenttrace_nb.views.declared import LIMIT_BYTES, declared
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.timings import PIECES_LIMIT, SAVINGS_LIMIT, SHORT, timings

# ---------------------------------------------------------------------------------------------------------- timings


def test_the_path_covers_the_run_without_a_gap_and_waits_are_one_piece() -> None:
    _, (trace,) = planner_executor()
    found = timings(Rows(trace.spans), START_NS)
    assert (found.head["from_ms"], found.head["total_ms"]) == (0.0, 4210.0)
    path = found.head["path"]
    assert math.fsum(ms for _, ms, _ in path) == pytest.approx(4210, abs=1e-9)
    assert not any(a[2] and b[2] for a, b in pairwise(path))
    named = [trace.spans[row].name for row, _, waiting in path if not waiting]
    assert named == ["gpt-4o-mini", "get_user", "gpt-4o-mini", "gpt-4o", "search_flights", "book_flight", "gpt-4o",
                     "evaluate", "Evaluator"]  # fmt: skip
    assert math.fsum(found.critical_ms) == pytest.approx(4210)


def test_savings_are_listed_the_largest_first() -> None:
    _, (trace,) = planner_executor()
    savings = timings(Rows(trace.spans), START_NS).head["savings"]
    assert [s["ms_saved"] for s in savings] == sorted((s["ms_saved"] for s in savings), reverse=True)
    book = next(s for s in savings if s["name"] == "book_flight")
    assert book == {"what": "tool", "name": "book_flight", "n": 1, "critical_ms": 1476.0, "ms_saved": 1476.0}


def test_traces_of_one_run_are_measured_on_one_clock() -> None:
    first, second = Build("1" * 32), Build("2" * 32)
    first.add(SpanKind.AGENT, "A", 0, 10, agent="A")
    second.add(SpanKind.AGENT, "B", 15, 40, agent="B")
    rows = Rows([*first.close(10).spans, *second.close(40).spans])
    assert timings(rows, START_NS).head["path"] == [[0, 10.0, 0], [-1, 5.0, 1], [1, 25.0, 0]]


def test_of_a_long_path_the_short_pieces_are_told_together() -> None:
    b = Build()
    root = b.add(SpanKind.AGENT, "A", 0, 20_000, agent="A")
    for at in range(2_000):
        b.add(SpanKind.TOOL, f"t{at % 60}", 10 * at, 10 * at + (9 if at % 7 else 2), root, agent="A")
    found = timings(Rows(b.close(20_000).spans), START_NS)
    path = found.head["path"]
    assert len(path) <= PIECES_LIMIT
    assert any(row == SHORT for row, _, _ in path)
    assert math.fsum(ms for _, ms, _ in path) == pytest.approx(20_000)
    assert sum(s["what"] == "tool" for s in found.head["savings"]) == SAVINGS_LIMIT
    assert found.head["more"] == 40
    assert len(json.dumps(found.head)) < 16_000


def test_without_an_end_the_path_is_not_known() -> None:
    b = Build()
    b.add(SpanKind.AGENT, "A", 0, None, agent="A")
    found = timings(Rows(b.trace.spans), START_NS)
    assert found.head["total_ms"] is None
    assert found.head["path"] == found.head["savings"] == []
    assert math.isnan(found.self_ms[0])


# ------------------------------------------------------------------------------------------------------------- feed


def test_timings_come_when_the_run_is_over_and_not_before() -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + 10**9)
    recorded.play(until=0.9)
    feed.pull(work_s=None)
    feed.measure()
    header, columns = decode(feed.patch() or b"")
    assert "self" not in columns
    assert "latency" not in header["run"]
    recorded.play()
    feed.pull(work_s=None)
    feed.patch()
    feed.measure()
    header, columns = decode(feed.patch() or b"")
    assert len(columns["row"]) == 0, "all rows were sent already"
    assert len(columns["self"]) == len(columns["critical"]) == header["rows"] == 22
    assert header["run"]["latency"]["total_ms"] == 4210.0
    assert feed.patch() is None
    assert "critical" in decode(feed.snapshot())[1]


def test_what_comes_after_the_end_takes_the_timings_back_until_they_are_worked_out_anew() -> None:
    run, (trace,) = planner_executor()
    source = Finished(run, [trace])
    feed = Feed(source)
    feed.pull(work_s=None)
    feed.measure()
    feed.patch()
    late = Build().add(SpanKind.TOOL, "late", 4000, 4300, trace.spans[0])
    late.span_id = "f" * 16
    source._spans = [late]
    feed.pull(work_s=None)
    assert "latency" not in decode(feed.patch() or b"")[0]["run"]
    feed.measure()
    header, columns = decode(feed.patch() or b"")
    assert len(columns["critical"]) == 23
    assert "latency" in header["run"]


def test_a_browser_that_opened_with_a_snapshot_gets_the_timings_alone() -> None:
    feed = Feed(Finished(*planner_executor()))
    feed.pull(work_s=None)
    opened, _ = decode(feed.snapshot())
    feed.opened()
    feed.measure()
    header, columns = decode(feed.patch() or b"")
    assert (header["base"], header["seq"]) == (opened["seq"], opened["seq"] + 1)
    assert len(columns["row"]) == 0
    assert len(columns["self"]) == 22


# --------------------------------------------------------------------------------------------------------- declared


def trace_of(*agents: Agent) -> Trace:
    return Trace(
        trace_id="a" * 32, name="t", start_ns=0, end_ns=1, status=Status.OK, agents={a.name: a for a in agents}
    )


def test_what_was_declared_travels_by_name() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    agent = Agent(
        name="Planner", role="planner", instructions="You plan.", model="gpt-4o", output_type="Plan",
        tools=[{"name": "search", "type": "FunctionTool", "description": "Searches.", "parameters": schema}],
        handoffs=[{"agent": "Executor", "tool": "transfer_to_executor"}],
        guardrails=[{"name": "travel-only", "stage": "input"}],
    )  # fmt: skip
    found = declared([trace_of(agent), trace_of(Agent(name="Planner", instructions="again"), Agent(name="Executor"))])
    assert found["agents_left_out"] is None
    assert [a["name"] for a in found["agents"]] == ["Planner", "Executor"]
    assert found["agents"][0] == {
        "name": "Planner", "role": "planner", "model": "gpt-4o", "model_settings": None, "instructions": "You plan.",
        "tools": [{"name": "search", "description": "Searches.", "schema": schema}], "handoffs": ["Executor"],
        "guardrails": [{"name": "travel-only", "stage": "input"}], "output_type": "Plan",
    }  # fmt: skip


@pytest.mark.parametrize("tools", [1, 40, 400])
def test_declarations_stay_within_their_size_and_say_what_is_missing(tools: int) -> None:
    schema = {"type": "object", "properties": {f"p{i}": {"description": "x" * 30} for i in range(40)}}
    agents = [
        Agent(
            name=f"A{at}",
            instructions="i" * 9_000,
            tools=[{"name": f"t{i}", "description": "d" * 700, "parameters": schema} for i in range(tools)],
        )
        for at in range(12)
    ]
    found = declared([trace_of(*agents)])
    assert len(json.dumps(found["agents"], separators=(",", ":"))) <= LIMIT_BYTES
    words = {1: None, 40: "schemas of tools, long texts, ", 400: "schemas of tools, long texts, 11 agents"}
    if tools == 1:
        assert found["agents_left_out"] in (None, "schemas of tools")
        assert len(found["agents"]) == 12
        assert found["agents"][0]["instructions"].endswith("…")
    else:
        assert found["agents_left_out"].startswith(words[tools][:29])


def test_hostile_declarations_are_cleaned() -> None:
    _, (trace,) = hostile_run()
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    odd = Agent(name="odd", tools=[{"name": "t", "parameters": deep}, {}], handoffs=[{}], guardrails=[{}])
    found = json.dumps(declared([trace, trace_of(odd)]), ensure_ascii=True)
    for bad in ("\\u001b", "\\u202e", "\\u0000", "\\ud800"):
        assert bad not in found
