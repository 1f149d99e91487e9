"""Durations over many traces: quantiles have intervals where cases suffice, repeated calls do not count as cases."""

from __future__ import annotations

import numpy as np
import pytest
from views.hostile import hostile_run
from views.sample_runs import Build

import agenttrace_nb as at
from agenttrace_nb.analysis.statistics.quantiles import quantile
from agenttrace_nb.spans import SpanKind, Trace


def run(number: int, arch: str = "plain", calls: int = 1) -> Trace:
    length = 1000 * float(np.random.default_rng(number).lognormal(0, 0.5))
    b = Build(trace_id=f"{number:032x}", at=number * 60_000)
    agent = b.add(SpanKind.AGENT, "Desk", 0, length, agent="Desk")
    for _ in range(calls):
        b.add(SpanKind.TOOL, "look", 0, length / 2, agent, agent="Desk")
    b.add(SpanKind.LLM, "llm", 0, length / 4, agent, agent="Desk", model="gpt")
    trace = b.close(length)
    trace.end_ns = trace.start_ns + int(length * 1_000_000)
    trace.tags = {"arch": arch, "case": f"case {number}"}
    return trace


def test_quantiles_of_runs_have_the_interval_of_their_order_statistics() -> None:
    traces = [run(n) for n in range(60)]
    table = at.durations(traces).table.set_index("p")
    expected = quantile([t.duration_s for t in traces], 0.95)
    assert table.loc[0.95, ["value", "low", "high"]].tolist() == pytest.approx(list(expected))
    assert table.loc[0.99, ["value", "low", "high"]].isna().all()


@pytest.mark.parametrize(("by", "name", "count"), [("agent", "Desk", 60), ("tool", "look", 180), ("model", "gpt", 60)])
def test_steps_are_grouped_by_agent_tool_and_model(by: str, name: str, count: int) -> None:
    table = at.durations([run(n, calls=3) for n in range(60)], by=by).table
    assert table[by].tolist() == [name] * 3
    assert (table["count"][0], table["cases"][0]) == (count, 60)
    assert table["low"].notna().tolist() == [True, True, False]


def test_repeated_calls_of_few_cases_have_no_interval() -> None:
    table = at.durations([run(n, calls=100) for n in range(5)], by="tool").table
    assert table["low"].isna().all()
    assert table["value"].notna().tolist() == [True, False, False]


@pytest.mark.parametrize("kind", ["groups", "ecdf", "histogram", "over_time", "waterfall"])
def test_charts_are_pictures(kind: str) -> None:
    found = at.durations([run(n, arch) for n in range(40) for arch in ("a", "b")])
    assert found.chart(kind)._repr_mimebundle_()["image/png"][:4] == b"\x89PNG"


def test_a_mean_run_sets_the_nth_step_of_a_name_beside_the_nth_of_other_runs() -> None:
    def one(number: int, *searches: tuple[float, float]) -> Trace:
        b = Build(trace_id=f"{number:032x}")
        root = b.add(SpanKind.AGENT, "Desk", 0, 1000, agent="Desk")
        b.add(SpanKind.TURN, "turn", 0, 1000, root)
        for start, end in searches:
            b.add(SpanKind.TOOL, "search", start, end, root, agent="Desk")
        b.trace.tags["arch"] = "plain"
        return b.close(1000)

    open_ = one(9, (0, 100))
    open_.end_ns = None
    found = at.durations([one(1, (100, 300), (400, 500)), one(2, (200, 300)), open_]).mean_steps
    told = found[["arch", "name", "nth", "runs", "of", "start_s", "duration_s"]].round(9).values.tolist()
    assert told == [
        ["plain", "Desk", 1, 2, 2, 0.0, 1.0], ["plain", "search", 1, 2, 2, 0.15, 0.15],
        ["plain", "search", 2, 1, 2, 0.4, 0.1],
    ]  # fmt: skip


def test_of_very_many_steps_a_waterfall_shows_those_that_most_runs_have() -> None:
    drawn = at.durations([run(1, calls=100), run(2, calls=2)]).chart("waterfall").to_dict()
    values = drawn["data"]["values"]
    assert len(values) == 30
    assert sum(v["runs"] == "2 of 2" for v in values) == 4
    assert "72 rarer steps are left out" in drawn["title"]["subtitle"]


def test_the_slowest_lead_to_their_traces() -> None:
    traces = [run(n) for n in range(20)]
    slowest = max(traces, key=lambda t: t.duration_s or 0)
    assert at.durations(traces).slowest(3)["trace_id"][0] == slowest.trace_id
    assert "p50 · p95 · p99" in repr(at.durations(traces))


def test_the_slowest_runs_of_a_group_are_a_list_to_open_them_from() -> None:
    traces = [run(n, arch=("plain", "planner")[n % 2], calls=2) for n in range(20)]
    by_length = sorted(traces, key=lambda t: -(t.duration_s or 0))
    assert [t.trace_id for t in at.durations(traces).runs(n=3)] == [t.trace_id for t in by_length[:3]]
    planner = [t.trace_id for t in by_length if t.tags["arch"] == "planner"]
    assert [t.trace_id for t in at.durations(at.TraceSet(traces)).runs("planner")] == planner
    assert len(at.durations(traces, by="tool").runs("look")) == 10, "each run once, though it calls the tool twice"
    with pytest.raises(at.OptionError, match=r"group='planer' is not there; there are .* Did you mean planner\?"):
        at.durations(traces).runs("planer")


def test_hostile_names_are_only_names() -> None:
    found = at.durations([hostile_run()[1][0]], by="agent")
    assert "\x1b" not in repr(found)
    assert found.chart().to_dict()
    assert found.chart("waterfall")._repr_mimebundle_()["image/png"][:4] == b"\x89PNG"


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(at.OptionError, match=r"by='tol'.*Did you mean tool\?"):
        at.durations([run(1)], by="tol")
    with pytest.raises(at.OptionError, match="several traces"):
        at.durations([])
    with pytest.raises(at.OptionError, match=r"Did you mean ecdf\?"):
        at.durations([run(1)]).chart("edcf")
