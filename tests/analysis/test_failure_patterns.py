"""What failing runs share: published values on recorded conversations, worked counts, and too little to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bench import tau
from bench.shared_data import reason_to_skip

import agenttrace_nb as at
from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Status, Trace


def run(number: int, *calls: tuple[str, Any, str], ok: bool = True, agent: str = "Clerk") -> Trace:
    rows: list[dict[str, Any]] = []
    for at_, (tool, arguments, result) in enumerate(calls):
        made = {"id": f"c{at_}", "function": {"name": tool, "arguments": json.dumps(arguments)}}
        rows += [{"agent": agent, "tool_calls": [made]}, {"role": "tool", "tool_call_id": f"c{at_}", "content": result}]
    trace = Trace.from_messages(rows, name=f"run {number}")
    trace.status = Status.OK if ok else Status.ERROR
    return trace


def test_recorded_conversations_give_the_published_values() -> None:
    data = tau.data()
    if data is None:
        pytest.skip(reason_to_skip(tau.DATA_SET))
    traces, success = [], {}
    for number, record in enumerate(tau.load_records(data)):
        trace = Trace.from_messages(tau.with_unique_ids(record["traj"]), name=str(number))
        trace.run_id = str(number)
        success[str(number)] = record["reward"] == 1.0
        traces.append(trace)
    found = at.failure_patterns(TraceSet(traces, success=success))
    assert found.attrs == {"failing": 116, "passing": 84, "left_out": 0}
    tools = found[found["kind"] == "tool"].set_index("tool")
    book = tools.loc["book_reservation"]
    assert (book["failing_with"], book["passing_with"]) == (23, 1)
    assert book["tarantula"] == pytest.approx(0.943359375, abs=1e-9)
    assert book["ochiai"] == pytest.approx(0.43590637505786944, abs=1e-9)
    assert book["odds_ratio"] == pytest.approx(20.526881720430108, abs=1e-9)
    assert book["p"] == pytest.approx(2.8885162030855488e-05, abs=1e-9)
    errors = found[(found["tool"] == "book_reservation") & (found["what"].str.contains("reported an error"))]
    assert errors["tarantula"].iloc[0] == pytest.approx(0.910, abs=5e-4)
    assert tools["ochiai"].idxmax() == "get_user_details"
    assert (found["p_adjusted"] >= found["p"]).all()


def test_an_outcome_is_said_in_words_with_its_runs() -> None:
    traces = [run(n, ("search", {"q": "x"}, "[]"), ok=n >= 7) for n in range(9)]
    traces += [run(20 + n, ("search", {"q": "x"}, '["a"]')) for n in range(8)]
    found = at.failure_patterns(traces)
    first = found.iloc[0]
    assert first["words"] == "7 of 9 runs in which search returned an empty list failed; of the other 8 none did."
    assert first["trace_ids"] == [t.trace_id for t in traces[:7]]
    assert (first["low"], first["high"]) == (pytest.approx(0.4526, abs=1e-3), pytest.approx(0.9368, abs=1e-3))
    assert first.isna()["odds_ratio"]


def test_what_every_run_has_distinguishes_nothing() -> None:
    traces = [run(n, ("look", {}, str(n)), ok=n % 2 == 0) for n in range(12)]
    found = at.failure_patterns(traces)
    assert not (found["what"] == "look was called").any()


@pytest.mark.parametrize(("failing", "passing"), [(4, 20), (20, 4), (0, 0)])
def test_fewer_than_five_of_either_are_too_few(failing: int, passing: int) -> None:
    traces = [run(n, ok=n >= failing) for n in range(failing + passing)]
    with pytest.raises(OptionError, match=f"{failing} failing and {passing} passing runs are too few"):
        at.failure_patterns(traces)


def test_what_was_said_of_runs_counts_before_how_they_ended() -> None:
    traces = [run(n, ("look", {"n": n}, "x")) for n in range(12)]
    for n, trace in enumerate(traces):
        trace.run_id = str(n)
    said = {str(n): n >= 6 for n in range(11)}
    assert at.failure_patterns(TraceSet(traces, success=said)).attrs == {"failing": 6, "passing": 5, "left_out": 1}


def test_what_is_no_trace_is_refused() -> None:
    with pytest.raises(OptionError, match="a str is not allowed"):
        at.failure_patterns(["x"])
