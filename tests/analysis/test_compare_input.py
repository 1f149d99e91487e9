"""`compare` takes traces by any tag and any frame, adds up what belongs together, and names what is wrong."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import agenttrace_nb as at
from agenttrace_nb.analysis.comparison import compare_runs
from agenttrace_nb.spans import Span, SpanKind, Status, Trace

from .runs_to_compare import runs


def words(found: at.Comparison) -> dict[str, str]:
    return {v.metric: v.word.value for v in found.verdicts}


# -------------------------------------------------------------------------------------------------- what it takes


def test_polars_gives_what_pandas_gives() -> None:
    import polars as pl

    table = runs(("a", "b", "c"), trials=2)
    frame = pl.from_pandas(table)
    expected = at.compare(table).pairs
    pd.testing.assert_frame_equal(at.compare(frame).pairs, expected)
    pd.testing.assert_frame_equal(at.compare(frame.lazy()).pairs, expected)


def trace(arch: str, case: str, seconds: float, run_id: str | None = None, **tags: str) -> Trace:
    end = int(seconds * 1e9)
    made = Trace(
        trace_id=f"{arch}{case}{seconds}", name="t", start_ns=0, end_ns=end, status=Status.OK, run_id=run_id,
        tags={"arch": arch, "case": case, **tags},
    )  # fmt: skip
    call = {"trace_id": made.trace_id, "kind": SpanKind.LLM, "name": "llm", "start_ns": 0, "end_ns": end}
    made.spans = [
        Span(**call, span_id="a" * 16, input_tokens=10, output_tokens=5, cost_usd=0.1, model=tags.get("model")),
        Span(**call, span_id="b" * 16, input_tokens=10, output_tokens=5, cost_usd=None if "free" in tags else 0.1),
    ]
    return made


def test_traces_are_compared_by_any_of_their_tags() -> None:
    traces = [
        trace("x", f"{i}", 1 + i / 10 + (prompt == "v2"), prompt=prompt) for i in range(8) for prompt in ("v1", "v2")
    ]
    found = at.compare(at.TraceSet(traces), by="prompt", metrics=("latency", "tokens", "cost"))
    assert words(found)["latency"] == "worse"
    assert found.pairs["b"].tolist() == ["v2"] * 3
    assert words(at.compare(iter(traces), by="prompt", metrics="latency"))["latency"] == "worse"


def test_traces_are_compared_by_the_model_that_was_called() -> None:
    traces = [trace("x", f"{i}", 1 + i / 10 + (m == "big"), model=m) for i in range(8) for m in ("big", "small")]
    assert at.compare(traces, by="model", metrics="latency").pairs["b"][0] == "small"


def test_a_cost_known_in_part_is_unknown() -> None:
    traces = [trace(arch, f"{i}", 1 + i, **({"free": "yes"} if arch == "b" else {})) for i in range(8) for arch in "ab"]
    found = at.compare(traces, metrics="cost")
    assert found.pairs["why_not"][0] == "cost of b is unknown"
    assert any("without a price" in note for note in found.notes)


def test_traces_of_one_run_are_added_up() -> None:
    traces = [
        trace(arch, f"{i}", 1 + i + part / 8, run_id=f"{arch}{i}") for i in range(8) for arch in "ab" for part in (0, 1)
    ]
    found = at.compare(traces, metrics="latency")
    assert found.table["runs"].tolist() == [8, 8]
    assert found.table["value"][0] == pytest.approx(2 * 4.5 + 1 / 8)


def test_a_case_recorded_twice_is_told() -> None:
    table = runs(trials=2)
    found = at.compare(pd.concat([table, table[table["case"] == "task-000"]]), metrics="latency")
    assert any("task-000, trial 0 of plain and 3 others were recorded more than once" in n for n in found.notes)


def test_negative_and_endless_durations_are_unknown() -> None:
    table = runs()
    table.loc[table.index[:2], "latency_s"] = [-1.0, math.inf]
    found = at.compare(table, metrics="latency")
    assert found.pairs.iloc[0]["cases"] == 38
    assert any("negative latency" in note for note in found.notes)


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metrics": "latencies"}, r"'latencies' is not known.*Did you mean latency\?"),
        ({"metrics": ()}, "metrics=.*must be names"),
        ({"metrics": "turns"}, "needs the column turns"),
        ({"by": "archi"}, r"by='archi': there is no such tag or column.*Did you mean arch\?"),
        ({"by": ""}, "by=''"),
        ({"case": "cases"}, r"case='cases'.*Did you mean case\?"),
        ({"baseline": "plan"}, r"baseline='plan' is not there; arch is one of plain, planner\."),
        ({"alpha": 5}, "alpha=5 is not allowed; it must be a number between 0 and 0.5"),
        ({"power": 80}, "power=80"),
        ({"margin": -0.1}, "margin=-0.1"),
        ({"margin": {"latenzy": 0.1}}, r"margin names 'latenzy'.*Did you mean latency\?"),
        ({"metrics": "status"}, "'status' is not known"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(options: dict, told: str) -> None:
    with pytest.raises(at.OptionError, match=told):
        at.compare(runs(cases=3), **options)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (runs(cases=3).query("arch == 'plain'"), "all have arch plain"),
        (runs(cases=3, arch=None), "no run has this tag"),
        (runs(cases=3).iloc[:0], "there are no runs to compare"),
        (runs(cases=3, status="running"), "none of them came to its end"),
        (runs(tuple("abcdefghijklmnopqrstuv"), cases=1), "22 values, more than the 20"),
        (runs(cases=3, latency_s="fast"), "column 'latency_s' holds 'fast'"),
        (runs(cases=3, success=0.5), "success holds 0.5; it must be true, false or unknown"),
        ([1, 2], "traces holds a int"),
        (5, "traces is a int"),
        (trace("a", "1", 1.0), "takes several traces"),
    ],
)
def test_what_cannot_be_compared_is_told_why(table: object, told: str) -> None:
    with pytest.raises(at.OptionError, match=told):
        at.compare(table)


def test_what_is_compared_is_data_too() -> None:
    found = compare_runs(runs(), metrics="latency")
    assert found.pairs[0].is_improvement != found.pairs[0].is_deterioration
