"""Values are joined to runs by what proves most, and say by what."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from agenttrace_nb.sources.join import join
from agenttrace_nb.spans import NS_PER_S, Trace


def trace(number: int, start: float, end: float | None, **more: Any) -> Trace:
    more.setdefault("run_id", f"run{number}")
    start_ns, end_ns = int(start * NS_PER_S), None if end is None else int(end * NS_PER_S)
    return Trace(trace_id=f"{number:032x}", name="t", start_ns=start_ns, end_ns=end_ns, **more)


def joined(traces: list[Trace], at: float, step: float = 0, trace_id: str | None = None, **labels: Any) -> list[Any]:
    time = pd.to_datetime([at * 1000], unit="ms", utc=True)
    frame = pd.DataFrame({"time": time, "value": [1.0], "metric": ["m"], "trace_id": [trace_id]} | labels)
    frame.attrs = {"step_s": step, "query": "q"}
    found = join(frame, traces)
    assert found.attrs == frame.attrs
    assert len(found) == 1
    return [None if pd.isna(v) else v for v in found[["trace_id", "run_id", "joined"]].iloc[0]]


def test_a_trace_that_is_named_decides() -> None:
    two = [trace(1, 0, 10), trace(2, 0, 10)]
    assert joined(two, 5, trace_id=f"{2:032x}", session="s") == [f"{2:032x}", "run2", "trace id"]
    assert joined(two, 500, trace_id=f"tr-{2:032x}") == [f"{2:032x}", "run2", "trace id"]


def test_a_trace_that_is_named_and_not_among_these_is_joined_to_no_other() -> None:
    assert joined([trace(1, 0, 10)], 5, trace_id="e" * 32) == ["e" * 32, None, None]


@pytest.mark.parametrize("label", ["session", "gen_ai_conversation_id"])
def test_then_a_label_that_a_trace_has(label: str) -> None:
    two = [trace(1, 0, 10, session="mia"), trace(2, 0, 10, session="li")]
    assert joined(two, 5, **{label: "li"}) == [f"{2:032x}", "run2", f"label {label}"]
    assert joined(two, 5, **{label: "nobody"}) == [None, None, None]
    assert joined(two, 50, mlflow_run_id="run1") == [f"{1:032x}", "run1", "label mlflow_run_id"]


def test_of_several_traces_of_a_session_the_one_at_that_time() -> None:
    two = [trace(1, 0, 10, session="mia"), trace(2, 20, 30, session="mia")]
    assert joined(two, 25, session="mia") == [f"{2:032x}", "run2", "label session"]
    assert joined(two, 15, session="mia") == [None, None, "label session, 2 runs at that time"]


def test_then_the_time_and_it_says_so() -> None:
    two = [trace(1, 0, 10), trace(2, 20, 30)]
    assert joined(two, 25) == [f"{2:032x}", "run2", "window, approximate"]
    assert joined(two, 30) == [f"{2:032x}", "run2", "window, approximate"]
    assert joined(two, 15) == [None, None, None]


def test_a_run_shorter_than_a_step_is_met() -> None:
    assert joined([trace(1, 2, 6)], 10, step=10) == [f"{1:032x}", "run1", "window, approximate"]
    assert joined([trace(1, 2, 6)], 10, step=1) == [None, None, None]


def test_where_several_runs_fit_none_is_chosen() -> None:
    several = [trace(n, 0, 10) for n in range(3)]
    assert joined(several, 5) == [None, None, "window, 3 runs at that time"]
    assert joined([trace(1, 0, 10, run_id="r"), trace(2, 0, 10, run_id="r")], 5) == [None, "r", "window, approximate"]


def test_labels_that_speak_against_a_run_rule_it_out() -> None:
    two = [trace(1, 0, 10, tags={"arch": "triage"}), trace(2, 0, 10, tags={"arch": "planner"})]
    assert joined(two, 5, arch="planner") == [f"{2:032x}", "run2", "window, approximate"]


def test_a_long_run_before_short_ones_is_found() -> None:
    traces = [trace(0, 0, 1000), *[trace(n, n * 10, n * 10 + 1) for n in range(1, 90)]]
    assert joined(traces, 955) == [f"{0:032x}", "run0", "window, approximate"]


def test_a_frame_without_rows_and_no_traces_are_no_error() -> None:
    assert joined([], 5) == [None, None, None]
    empty = pd.DataFrame({"time": pd.to_datetime([], utc=True), "value": [], "metric": [], "trace_id": []})
    assert list(join(empty, [trace(1, 0, 1)]).columns) == ["time", "value", "metric", "trace_id", "run_id", "joined"]
