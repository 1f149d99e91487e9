from __future__ import annotations

import re

import pytest
from views.sample_runs import START_NS, Build, planner_executor

from agenttrace_nb.spans import Agent, CellRun, Span, SpanError, SpanKind, Status, Trace
from agenttrace_nb.views.feed import Feed
from agenttrace_nb.views.headline import headline
from agenttrace_nb.views.rows import Rows


def figures(b: Build) -> dict[str, str]:
    head = headline(b.close(1500), Rows(b.trace.spans))
    return {figure.key: f"{figure.value} {figure.unit}".strip() for figure in head.figures}


def test_the_head_of_a_run_says_what_it_is_and_what_it_came_to() -> None:
    run, (trace,) = planner_executor()
    head = headline(run, Rows(trace.spans))
    assert (head.title, head.about) == ("planner-executor", "case task-17 · trial 2 · cell [12]")
    assert head.line() == "4.21 s · 3 agents · 5 turns · 7 tool calls · 7.7k tokens · $0.031 · 1 error"


def test_what_is_unknown_is_left_out_and_not_zero() -> None:
    b = Build()
    b.add(SpanKind.LLM, "m", 0, 1)
    assert figures(b) == {"duration": "1.50 s", "llm_calls": "1 LLM call"}


def test_tokens_of_the_calls_are_summed_where_they_are_known() -> None:
    b = Build()
    b.add(SpanKind.LLM, "m", 0, 1, input_tokens=10, cost_usd=0.5)
    b.add(SpanKind.LLM, "m", 0, 1, output_tokens=5)
    b.add(SpanKind.AGENT, "a", 0, 1, input_tokens=999, cost_usd=9.0)
    assert figures(b) | {"tokens": "15 tokens", "cost": "$0.50"} == figures(b)


def test_an_agent_that_runs_twice_is_one_agent() -> None:
    b = Build()
    for _ in range(2):
        b.add(SpanKind.AGENT, "a", 0, 1, agent="a")
    assert figures(b)["agents"] == "1 agent"


def test_figures_follow_spans_that_change() -> None:
    b = Build()
    span = b.add(SpanKind.OTHER, "?", 0, None)
    rows = Rows([span])
    span.kind, span.input_tokens, span.cost_usd = SpanKind.LLM, 10, 0.25
    rows.take([span])
    span.input_tokens, span.cost_usd = 30, 0.75
    rows.take([span])
    rows.take([span])
    assert headline(b.close(1500), rows).line() == "1.50 s · 1 LLM call · 30 tokens · $0.75"
    span.kind = SpanKind.AGENT
    rows.take([span])
    assert headline(b.trace, rows).line() == "1.50 s · 1 agent"


def test_the_reason_of_a_failure_is_the_step_in_which_it_began() -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 1, error=SpanError("agent failed", "AgentsException"))
    b.add(SpanKind.TOOL, "tool", 0, 1, agent, error=SpanError("no\nseat", "LookupError", http_status=404))
    head = headline(b.close(1), Rows(b.trace.spans))
    assert (head.why, head.why_row) == ("tool: LookupError: no seat (HTTP 404)", 1)
    b.trace.status = Status.ERROR
    head = headline(b.trace, Rows(b.trace.spans))
    assert head.why_row == 1
    assert head.why is not None
    assert re.fullmatch(r"tool: LookupError: no seat \(HTTP 404\) · external tool \(0\.\d\d\)", head.why)


def test_a_run_that_still_goes_on_names_only_where_the_error_began() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "tool", 0, 1, error=SpanError("no seat", "LookupError"))
    head = headline(b.trace, Rows(b.trace.spans))
    assert (head.why, head.why_row) == ("tool: LookupError: no seat", 0)


SCHEMA = {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]}


def booked(arguments: str) -> Trace:
    """A trace in which a tool failed that was called with these arguments."""
    b = Build()
    b.add(SpanKind.TOOL, "book", 0, 1, agent="Desk", error=SpanError("no", "ValueError"), content_in=arguments)
    b.trace.agents["Desk"] = Agent(name="Desk", tools=[{"name": "book", "parameters": SCHEMA}])
    return b.trace


class Source:
    """A run that goes on, or is over."""

    def __init__(self, trace: Trace, *, over: bool) -> None:
        end_ns = START_NS + 1 if over else None
        status = Status.ERROR if over else Status.RUNNING
        self.run = CellRun(key="k", name="cell", start_ns=START_NS, end_ns=end_ns, status=status)
        self.traces = [trace]

    def sync(self) -> list[Span]:
        return self.traces[0].spans


def test_while_a_run_goes_on_arguments_that_do_not_fit_the_schema_are_told() -> None:
    feed = Feed(Source(booked('{"seats": "two"}'), over=False))
    feed.pull()
    assert feed.headline().why == (
        'book: ValueError: no · the arguments do not fit the tool\'s schema: seats: "two" is not of type integer'
    )
    feed = Feed(Source(booked('{"seats": 2}'), over=False))
    feed.pull()
    assert feed.headline().why == "book: ValueError: no"


def test_the_view_of_a_run_that_has_just_ended_finds_what_the_stored_one_does() -> None:
    trace = booked('{"seats": "two"}')
    feed = Feed(Source(trace, over=True))
    feed.pull()
    stored = booked('{"seats": "two"}')
    stored.status, stored.end_ns = Status.ERROR, START_NS + 1
    assert feed.headline().why == headline(stored, Rows.of_traces([stored])).why
    assert "agent reasoning (0." in (feed.headline().why or "")


@pytest.mark.parametrize("schema", [None, 7, {"type": "nonsense"}, {"$ref": "http://nowhere.invalid/x"}])
def test_a_schema_that_is_none_says_nothing(schema: object) -> None:
    trace = booked('{"seats": "two"}')
    trace.agents["Desk"].tools[0]["parameters"] = schema
    feed = Feed(Source(trace, over=False))
    feed.pull()
    assert feed.headline().why == "book: ValueError: no"


def test_a_run_that_was_wrong_without_an_error_opens_on_its_likely_cause() -> None:
    b = Build()
    call = b.add(SpanKind.TOOL, "find", 0, 1)
    call.content_in, call.content_out = "{}", "HTTP 503 Service Unavailable"
    run = CellRun(key="k", name="cell", start_ns=START_NS, end_ns=START_NS + 1, status=Status.OK, success=False)
    head = headline(run, Rows(b.trace.spans))
    assert head.why_row == 0
    assert head.why is not None
    assert head.why.startswith("find did not work: HTTP 503 Service Unavailable · external tool (0.")


def test_a_cause_that_cannot_be_found_leaves_the_view_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenttrace_nb.analysis.failures.attribution.attribute_failure", None)
    b = Build()
    b.add(SpanKind.TOOL, "tool", 0, 1, error=SpanError("no seat", "LookupError"))
    b.close(1).status = Status.ERROR
    assert headline(b.trace, Rows(b.trace.spans)).why == "tool: LookupError: no seat"


def test_an_error_outside_any_step_is_the_reason_too() -> None:
    error = SpanError("'x' is not defined", "NameError")
    run = CellRun(key="k", name="cell", start_ns=START_NS, end_ns=START_NS, status=Status.ERROR, error=error)
    head = headline(run, Rows())
    assert (head.why, head.why_row, head.status) == ("NameError: 'x' is not defined", None, Status.ERROR)


def test_a_trace_on_its_own_is_named_by_its_tags() -> None:
    b = Build(name="Agent workflow")
    b.trace.tags |= {"arch": "triage", "case": "7"}
    head = headline(b.close(1), Rows())
    assert (head.title, head.about) == ("triage", "case 7")
    b.trace.tags.clear()
    assert headline(b.trace, Rows()).title == "Agent workflow"
