"""Events become runs, traces and spans again; what is not known is ignored, what makes no sense changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agenttrace_nb.journal.events import Event, EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.spans import Span, SpanError, SpanKind, Status

TRACE, OTHER = "a" * 32, "b" * 32
ITEMS = {1: b'"prompt"', 2: b'{"role":"user"}', 3: b'{"$i":1}'}
UNKNOWN = {"from_a_later_version": {"x": 1}}


class Folding:
    """A fold that is fed one event after the other."""

    def __init__(self) -> None:
        self.loads: list[int] = []
        self.fold = Fold(self._load)
        self._seq = 0

    def _load(self, item_id: int) -> bytes:
        self.loads.append(item_id)
        return ITEMS[item_id]

    def add(
        self, event: EventKind, /, trace: str | None = TRACE, span: str | None = None, run: str = "r", **body: Any
    ) -> None:
        self._seq += 1
        self.fold.apply(Event(self._seq, event, self._seq * 10, run, trace, span, json.dumps({**UNKNOWN, **body})))

    def span(self, span: str, **body: Any) -> Span:
        self.add(EventKind.SPAN_START, span=span, **body)
        return self.fold.spans[TRACE, span]


@pytest.fixture
def folding() -> Folding:
    made = Folding()
    made.add(EventKind.RUN_START, trace=None, name="cell", arch="triage", roles={"A": "planner"}, message_runs=False)
    made.add(EventKind.TRACE_START, name="flow", session="s", metadata={"m": 1})
    return made


def test_a_run_starts_with_what_is_known_of_it_and_still_runs(folding: Folding) -> None:
    run = folding.fold.runs["r"]
    assert (run.key, run.name, run.arch, run.roles, run.message_runs) == (
        "r",
        "cell",
        "triage",
        {"A": "planner"},
        False,
    )
    assert (run.start_ns, run.end_ns, run.status, run.success, run.case) == (10, None, Status.RUNNING, None, None)


def test_a_run_without_a_name_has_one_all_the_same() -> None:
    made = Folding()
    made.add(EventKind.RUN_START, trace=None)
    assert made.fold.runs["r"].name == "run"


def test_what_the_user_says_of_a_run_is_kept(folding: Folding) -> None:
    folding.add(EventKind.RUN_DATA, trace=None, tag={"key": "t", "value": "1"})
    folding.add(EventKind.RUN_DATA, trace=None, param={"key": "p", "value": "2"})
    folding.add(EventKind.RUN_DATA, trace=None, metric={"key": "m", "value": 3, "step": None})
    folding.add(EventKind.RUN_DATA, trace=None, success=False)
    run = folding.fold.runs["r"]
    assert (run.tags, run.params, run.success) == ({"t": "1"}, {"p": "2"}, False)


def test_a_run_ends_with_status_error_and_what_was_said_of_its_success(folding: Folding) -> None:
    folding.add(EventKind.RUN_DATA, trace=None, success=True)
    folding.add(EventKind.RUN_END, trace=None, status="error", error={"type": "E", "message": "m", "chain": ["a"]})
    run = folding.fold.runs["r"]
    assert (run.status, run.end_ns, run.success) == (Status.ERROR, 40, True)
    assert run.error == SpanError("m", "E", chain=("a",))


@pytest.mark.parametrize("kind", [EventKind.RUN_DATA, EventKind.RUN_END, EventKind.TRACE_END, EventKind.AGENT])
def test_what_belongs_to_nothing_known_is_ignored(kind: EventKind) -> None:
    made = Folding()
    made.add(kind, name="x", success=True)
    assert (made.fold.runs, made.fold.traces) == ({}, {})


def test_a_trace_belongs_to_its_run(folding: Folding) -> None:
    trace = folding.fold.traces[TRACE]
    assert (trace.name, trace.session, trace.metadata, trace.status) == ("flow", "s", {"m": 1}, Status.RUNNING)
    assert folding.fold.runs["r"].trace_ids == [TRACE]
    assert folding.fold.run_of == {TRACE: ["r"]}
    folding.add(EventKind.TRACE_END, status="cancelled")
    assert (trace.status, trace.end_ns) == (Status.CANCELLED, 30)


def test_a_trace_that_is_resumed_runs_again_and_belongs_to_both_runs(folding: Folding) -> None:
    folding.add(EventKind.TRACE_END, status="ok")
    folding.add(EventKind.RUN_START, trace=None, run="second")
    folding.add(EventKind.TRACE_START, run="second", resumed=True)
    trace = folding.fold.traces[TRACE]
    assert (trace.name, trace.session, trace.status, trace.end_ns) == ("flow", "s", Status.RUNNING, None)
    assert folding.fold.run_of == {TRACE: ["r", "second"]}
    assert [run.trace_ids for run in folding.fold.runs.values()] == [[TRACE], [TRACE]]
    folding.add(EventKind.TRACE_END, run="second", status="ok")
    assert (trace.status, trace.end_ns) == (Status.OK, 60)


def test_an_agent_is_kept_once_for_each_name_with_its_instructions(folding: Folding) -> None:
    folding.add(EventKind.AGENT, name="A", instructions={"$i": 1}, tools=[{"name": "t"}], model="gpt")
    folding.add(EventKind.AGENT, instructions="of nobody")
    agents = folding.fold.traces[TRACE].agents
    assert list(agents) == ["A"]
    assert (agents["A"].instructions, agents["A"].tools, agents["A"].model) == ("prompt", [{"name": "t"}], "gpt")


def test_a_span_lives_from_its_start_to_its_end(folding: Folding) -> None:
    span = folding.span("s", kind="tool", name="search", parent_id="p", agent="A", role="planner")
    assert (span.kind, span.name, span.parent_id, span.agent, span.role) == (
        SpanKind.TOOL,
        "search",
        "p",
        "A",
        "planner",
    )
    assert (span.start_ns, span.end_ns, span.status) == (30, None, Status.RUNNING)
    folding.add(EventKind.SPAN_END, span="s", status="error", error={"message": "no", "http_status": 429})
    assert (span.end_ns, span.status, span.error) == (40, Status.ERROR, SpanError("no", http_status=429))
    assert folding.fold.traces[TRACE].spans == [span]


def test_an_end_may_tell_an_earlier_time(folding: Folding) -> None:
    span = folding.span("s")
    folding.add(EventKind.SPAN_END, span="s", end_ns=33)
    assert (span.end_ns, span.status) == (33, Status.OK)


def test_updates_add_to_a_span_also_after_its_end(folding: Folding) -> None:
    span = folding.span("s", attributes={"a": 1, "b": 1})
    folding.add(EventKind.SPAN_UPDATE, span="s", attributes={"b": 2}, input_tokens=3)
    assert (span.status, span.end_ns) == (Status.RUNNING, None)
    folding.add(
        EventKind.SPAN_END, span="s", status="ok", output_tokens=4, cached_tokens=1, reasoning_tokens=0, ttft_s=0.5
    )
    folding.add(EventKind.SPAN_UPDATE, span="s", attributes=None, status="cancelled", model="gpt", cost_usd=0.1)
    assert span.attributes == {"a": 1, "b": 2}
    assert (span.input_tokens, span.output_tokens, span.cached_tokens, span.reasoning_tokens) == (3, 4, 1, 0)
    assert (span.status, span.end_ns, span.model, span.cost_usd, span.ttft_s) == (Status.CANCELLED, 50, "gpt", 0.1, 0.5)


def test_a_span_whose_trace_began_out_of_sight_has_one_all_the_same() -> None:
    made = Folding()
    made.add(EventKind.SPAN_UPDATE, trace=OTHER, span="s", name="late")
    trace = made.fold.traces[OTHER]
    assert [s.name for s in trace.spans] == ["late"]
    made.add(EventKind.TRACE_START, trace=OTHER, name="its real name")
    assert trace.name == "its real name"


def test_spans_of_two_traces_with_the_same_id_are_two(folding: Folding) -> None:
    folding.span("s")
    folding.add(EventKind.SPAN_START, trace=OTHER, span="s")
    assert [len(t.spans) for t in folding.fold.traces.values()] == [1, 1]


def test_contents_are_loaded_when_they_are_read(folding: Folding) -> None:
    span = folding.span("s", input={"$l": [2, 1]}, output={"$i": 1})
    assert folding.loads == []
    assert (span.input, span.output) == ([{"role": "user"}, "prompt"], "prompt")
    assert folding.loads == [2, 1, 1]


def test_short_contents_stand_in_the_event(folding: Folding) -> None:
    span = folding.span("s", input="hi", output=[1, {"$i": 1}])
    assert (span.input, span.output, folding.loads) == ("hi", [1, {"$i": 1}], [])


def test_a_value_that_looks_like_a_reference_is_not_followed(folding: Folding) -> None:
    assert folding.span("s", input={"$i": 3}).input == {"$i": 1}


@pytest.mark.parametrize("body", [{"kind": "nonsense"}, {"status": "nonsense", "name": "changed"}])
@pytest.mark.parametrize("kind", [EventKind.SPAN_START, EventKind.SPAN_UPDATE, EventKind.SPAN_END])
def test_a_span_event_that_makes_no_sense_changes_nothing(
    folding: Folding, kind: EventKind, body: dict[str, Any]
) -> None:
    span = folding.span("s", name="before")
    with pytest.raises(ValueError, match="nonsense"):
        folding.add(kind, span="s", **body)
    assert (span.name, span.status, span.end_ns) == ("before", Status.RUNNING, None)
    with pytest.raises(ValueError, match="nonsense"):
        folding.add(kind, span="new", **body)
    assert [s.span_id for s in folding.fold.traces[TRACE].spans] == ["s"]


def test_an_end_that_makes_no_sense_ends_nothing(folding: Folding) -> None:
    for kind, trace in ((EventKind.RUN_END, None), (EventKind.TRACE_END, TRACE)):
        with pytest.raises(ValueError, match="nonsense"):
            folding.add(kind, trace=trace, status="nonsense")
    assert folding.fold.runs["r"].end_ns is None
    assert folding.fold.traces[TRACE].end_ns is None


def test_each_changed_span_is_told_once_in_order_of_its_first_change(folding: Folding) -> None:
    first, second = folding.span("1"), folding.span("2")
    folding.add(EventKind.SPAN_END, span="1")
    assert folding.fold.take_touched() == [first, second]
    assert folding.fold.take_touched() == []
    folding.add(EventKind.SPAN_UPDATE, span="2")
    folding.fold.restore_touched([first])
    assert folding.fold.take_touched() == [first, second]


def test_a_trace_that_is_forgotten_takes_its_spans_along(folding: Folding) -> None:
    folding.span("s")
    folding.fold.forget(TRACE)
    folding.fold.forget("never seen")
    assert (folding.fold.traces, folding.fold.spans) == ({}, {})
