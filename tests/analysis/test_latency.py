"""Self time, critical path and savings: worked examples, properties on random trees, and real shapes of runs."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from agents import set_trace_processors
from bench.models import Kind
from bench.scenarios import SCENARIOS, run
from capture.recording import recording
from hypothesis import given, settings
from hypothesis import strategies as st
from views.sample_runs import Build, planner_executor

import agenttrace_nb as at
from agenttrace_nb.analysis.latency_measure import timed
from agenttrace_nb.analysis.latency_savings import Replay, outermost, savings
from agenttrace_nb.analysis.latency_steps import TOP, Steps, concurrency, critical_path, lay_out, on_path, self_times
from agenttrace_nb.config import OptionError
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.spans import SpanKind, Status, Trace

if TYPE_CHECKING:
    from pathlib import Path

# Name, parent, start, end.
EXAMPLES: dict[str, tuple[list[tuple[str, str | None, int, int]], dict[str, int]]] = {
    "parallel children": (
        [("root", None, 0, 10), ("T1", "root", 1, 6), ("T2", "root", 1, 9), ("T3", "root", 2, 4)],
        {"root": 2, "T2": 8},
    ),
    "one after the other": (
        [("root", None, 0, 10), ("LLM", "root", 0, 3), ("tool", "root", 4, 9)],
        {"LLM": 3, "tool": 5, "root": 2},
    ),
    "a child that overflows": ([("root", None, 0, 10), ("late", "root", 5, 14)], {"late": 5, "root": 5}),
    "nested": (
        [
            ("root", None, 0, 12),
            ("agent", "root", 1, 11),
            ("llm1", "agent", 1, 4),
            ("toolA", "agent", 4, 7),
            ("toolB", "agent", 4, 9),
            ("llm2", "agent", 9, 11),
        ],
        {"root": 2, "llm1": 3, "toolB": 5, "llm2": 2},
    ),
}


def laid_out(rows: list[tuple[str, str | None, int, int]]) -> tuple[list[str], Steps]:
    names = [row[0] for row in rows]
    parents = [TOP if above is None else names.index(above) for _, above, _, _ in rows]
    return names, lay_out([row[2] for row in rows], [row[3] for row in rows], parents)


# ------------------------------------------------------------------------------------------------- worked examples


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_critical_path_of_worked_examples(name: str) -> None:
    rows, expected = EXAMPLES[name]
    names, steps = laid_out(rows)
    parts = on_path(steps, critical_path(steps))
    assert {n: part for n, part in zip(names, parts, strict=True) if part} == expected


def test_self_time_subtracts_the_union_of_the_children_not_their_sum() -> None:
    _, steps = laid_out(EXAMPLES["parallel children"][0])
    assert self_times(steps) == [2, 5, 8, 2]
    assert concurrency([(1, 6), (1, 9), (2, 4)]) == 1.875


@pytest.mark.parametrize(
    ("name", "gone", "left"),
    [
        ("parallel children", ["T2"], 7),  # a share of 80 % is worth 30 %
        ("parallel children", ["T1", "T2"], 5),
        ("parallel children", ["T1"], 10),
        ("one after the other", ["LLM"], 7),
        ("one after the other", ["LLM", "tool"], 2),
        ("a child that overflows", ["late"], 5),
        ("nested", ["toolB"], 10),
        ("nested", ["toolA"], 12),
        ("nested", ["toolA", "toolB"], 7),
        ("nested", ["agent"], 2),
        ("nested", ["agent", "llm1"], 2),
        ("nested", ["root"], 0),
    ],
)
def test_what_is_left_of_worked_examples_when_steps_take_no_time(name: str, gone: list[str], left: int) -> None:
    names, steps = laid_out(EXAMPLES[name][0])
    saved = Replay(steps).saving([names.index(n) for n in gone])
    assert steps.total_ns is not None
    assert steps.total_ns - saved == left


def test_a_step_waits_for_all_siblings_that_had_ended_before_it() -> None:
    rows = [
        ("root", None, 0, 20),
        ("a", "root", 0, 6),
        ("b", "root", 0, 9),
        ("then", "root", 10, 15),
        ("x", "root", 2, 18),
    ]
    names, steps = laid_out(rows)
    replay = Replay(steps)
    saved = {n: replay.saving([names.index(n)]) for n in names[1:]}
    assert saved == {"a": 0, "b": 0, "then": 0, "x": 3}, "without x, `then` ends at 15"
    assert replay.saving([names.index(n) for n in ("b", "x")]) == 6, "then starts at 7: a still has to be waited for"


# -------------------------------------------------------------------------------------------------- random trees


@st.composite
def trees(draw: st.DrawFn, *, inside: bool = False) -> tuple[list[int], list[int], list[int]]:
    """Starts, ends and parents of up to 24 steps under one root; anywhere, or inside their parents."""
    starts, ends, parents = [0], [draw(st.integers(0, 60))], [TOP]
    for at_step in range(1, draw(st.integers(1, 24))):
        parent = draw(st.integers(0, at_step - 1))
        low, high = (starts[parent], ends[parent]) if inside else (-10, 80)
        one, other = draw(st.integers(low, high)), draw(st.integers(low, high))
        starts.append(min(one, other))
        ends.append(max(one, other))
        parents.append(parent)
    return starts, ends, parents


@given(trees())
def test_the_critical_path_sums_to_the_root_and_has_no_gap(tree: Any) -> None:
    steps = lay_out(*tree)
    path = critical_path(steps)
    assert sum(p.end_ns - p.start_ns for p in path) == steps.total_ns == tree[1][0] - tree[0][0]
    assert all(a.end_ns == b.start_ns for a, b in itertools.pairwise(path))
    for step, start, end in path:
        assert steps.start[step] <= start < end <= steps.end[step]
        lasting = [c for c in steps.below.get(step, ()) if steps.start[c] < steps.end[c]]
        assert not any(start < steps.end[c] <= end for c in lasting), "no step under it ended within a step's own piece"


@given(trees())
def test_self_time_is_the_time_in_which_no_child_ran(tree: Any) -> None:
    steps = lay_out(*tree)
    for step, own in enumerate(self_times(steps)):
        moments = range(steps.start[step], steps.end[step])
        children = steps.below.get(step, ())
        assert own == sum(not any(steps.start[c] <= m < steps.end[c] for c in children) for m in moments)
        assert own >= 0


def replayed(steps: Steps, step: int, gone: set[int]) -> int:
    """How long a step takes when others take no time: the definition, word for word, without any shortcut."""
    if step in gone:
        return 0
    new_end: dict[int, int] = {}
    children = sorted(steps.below.get(step, ()), key=lambda c: (steps.start[c], steps.end[c]))
    for child in children:
        ended = [c for c in new_end if steps.end[c] <= steps.start[child]]
        before = max([steps.start[step], *(steps.end[c] for c in ended)])
        after = max([0, *(new_end[c] for c in ended)])
        new_end[child] = after + (steps.start[child] - before) + replayed(steps, child, gone)
    rest = steps.end[step] - max([steps.start[step], *(steps.end[c] for c in children)])
    return max([0, *new_end.values()]) + rest


@settings(max_examples=300)
@given(trees(inside=True), st.data())
def test_savings_are_those_of_the_run_played_again(tree: Any, data: st.DataObject) -> None:
    steps = lay_out(*tree)
    gone = data.draw(st.sets(st.integers(0, steps.whole - 1)))
    saved = Replay(steps).saving(gone)
    assert steps.total_ns is not None
    assert saved == steps.total_ns - replayed(steps, 0, gone)
    more = gone | data.draw(st.sets(st.integers(0, steps.whole - 1)))
    assert saved <= Replay(steps).saving(more) <= steps.total_ns, "more steps gone never save less"


@given(trees(), st.data())
def test_a_saving_is_at_most_the_part_of_the_critical_path_and_none_beside_it(tree: Any, data: st.DataObject) -> None:
    steps = lay_out(*tree)
    group = {("tool", "x"): sorted(data.draw(st.sets(st.integers(0, steps.whole - 1))))}
    path = critical_path(steps)
    part, saved = savings(steps, path, group)["tool", "x"]
    assert saved is not None
    assert 0 <= saved <= part
    assert Replay(steps).saving(group["tool", "x"]) == saved, "also where it is told to be nothing beforehand"


@given(trees(), st.data())
def test_the_outermost_steps_of_a_group_hold_all_others(tree: Any, data: st.DataObject) -> None:
    steps = lay_out(*tree)
    group = data.draw(st.sets(st.integers(0, steps.whole - 1)))

    def above(step: int) -> set[int]:
        parent = steps.parent[step]
        return set() if parent == steps.whole else {parent, *above(parent)}

    assert sorted(outermost(steps, group)) == sorted(step for step in group if not above(step) & group)


# -------------------------------------------------------------------------------------------------- what is amiss


def test_a_trace_that_still_runs_has_self_times_but_no_path() -> None:
    b = Build()
    root = b.add(SpanKind.AGENT, "Planner", 0, None, agent="Planner")
    b.add(SpanKind.TOOL, "search", 1, 4, root, agent="Planner")
    found = at.latency(b.trace)
    assert found.critical_path.empty
    assert found.savings.empty
    assert found.unknown == 1
    own = found.self_time.set_index("name")["self_s"]
    assert own["search"] == pytest.approx(0.003)
    assert found.steps["self_s"].isna().tolist() == [True, False]
    assert found.steps["slack_s"].isna().all(), "when the whole ends is not known"
    assert found.steps["split_s"].isna().tolist() == [True, False]
    assert "not known yet" in found.text()


def test_an_open_step_counts_as_far_as_it_is_known_and_its_own_time_is_unknown() -> None:
    # 0 is open and holds 1, which ended at 6; 2 comes after it.
    steps = lay_out([0, 1, 2, 7], [10, None, 6, 9], [TOP, 0, 1, 0])
    assert self_times(steps) == [None, None, 4, 2]
    assert on_path(steps, critical_path(steps)) == [3, 1, 4, 2]


def test_a_cancelled_run_ends_where_it_was_cancelled() -> None:
    b = Build()
    root = b.add(SpanKind.AGENT, "Planner", 0, 8, agent="Planner", status=Status.CANCELLED)
    b.add(SpanKind.TOOL, "fast", 1, 3, root, agent="Planner")
    b.add(SpanKind.TOOL, "slow", 1, 8, root, agent="Planner", status=Status.CANCELLED)
    saved = at.latency(b.close(8, Status.CANCELLED)).savings.set_index("name")["saved_s"]
    assert saved["slow"] == pytest.approx(0.005)
    assert saved["fast"] == 0


def test_orphans_rings_and_a_clock_that_goes_backwards_are_survived() -> None:
    b = Build()
    one = b.add(SpanKind.TOOL, "one", 0, 5)
    two = b.add(SpanKind.TOOL, "two", 1, 4, one)
    one.parent_id = two.span_id
    orphan = b.add(SpanKind.LLM, "orphan", 6, 9)
    orphan.parent_id = "f" * 16
    backwards = b.add(SpanKind.TOOL, "backwards", 8, 9)
    backwards.end_ns = backwards.start_ns - 5
    measured = timed(b.trace.spans)
    assert measured.total_ns == 9_000_000
    assert sum(p.end_ns - p.start_ns for p in measured.path) == 9_000_000
    assert measured.self_ns[3] == 0


@given(st.lists(st.integers(-1, 8), max_size=9))
def test_any_ring_is_opened(parents: list[int]) -> None:
    n = len(parents)
    steps = lay_out([0] * n, [1] * n, [p if p < n else TOP for p in parents])
    assert sorted(steps.order) == list(range(n))


def test_without_steps_there_is_nothing_to_say() -> None:
    empty = at.latency(Trace(trace_id="a" * 32, name="t", start_ns=0))
    assert "without an end" in empty.text()
    assert at.latency([]).text() == "no trace"
    assert at.latency([]).savings.empty


def test_a_run_is_measured_by_its_traces() -> None:
    _, traces = planner_executor()
    assert len(at.latency(SimpleNamespace(traces=traces))) == 1


@pytest.mark.parametrize("wrong", [3, "tr-1", [1], None, {"a": 1}])
def test_what_is_no_trace_is_told(wrong: object) -> None:
    with pytest.raises(OptionError, match=r"trace_or_set=\w+ is not allowed; it must be a Trace, a Run, a TraceSet"):
        at.latency(wrong)


# -------------------------------------------------------------------------------------------------- the tables


def test_one_run_in_tables_and_words() -> None:
    _, (trace,) = planner_executor()
    found = at.latency(trace)
    row = found.traces.iloc[0]
    assert row["duration_s"] == pytest.approx(4.21)
    assert row[["llm_s", "tool_s", "waiting_s", "other_s"]].sum() == pytest.approx(4.21)
    assert row["first_token_s"] == pytest.approx(0.278)
    assert found.critical_path["critical_s"].sum() == pytest.approx(4.21, abs=1e-9)
    steps = found.steps
    assert (steps["slack_s"][steps["critical_s"] > 0] == 0).all()
    together = steps[steps["slack_s"] > 0]
    assert together["name"].tolist() == ["travel-only", *["search_flights"] * 3], "of four at once one is waited for"
    assert (together["split_s"] < together["duration_s"]).all()
    own = found.self_time.set_index(["what", "name"])
    assert own.loc[("tool", "search_flights"), "n"] == 4
    assert own.loc[("tool", "search_flights"), "self_s"] == pytest.approx(1.366)
    assert own.loc[("model", "gpt-4o-mini"), "ttft_s"] == pytest.approx(0.21)
    assert own.loc["agent", "self_s"].sum() == pytest.approx(own.loc["kind", "self_s"].sum()), "each span has an agent"
    assert "without tool book_flight: 4.21 s -> 2.73 s (saves 1.48 s)" in found.text()


def test_over_many_runs_bottlenecks_are_ranked_with_intervals() -> None:
    def run(case: int, slow_ms: float) -> Trace:
        b = Build(f"{case:032x}")
        root = b.add(SpanKind.AGENT, "Planner", 0, 100 + slow_ms, agent="Planner")
        b.add(SpanKind.TOOL, "slow", 0, slow_ms, root, agent="Planner")
        if case % 2:
            b.add(SpanKind.TOOL, "rare", slow_ms, slow_ms + 50, root, agent="Planner")
        b.trace.tags["case"] = str(case)
        return b.close(100 + slow_ms)

    few, many = [run(case, 200 + 20 * case) for case in range(4)], [run(case, 200 + 20 * case) for case in range(10)]
    assert at.latency(few).savings["low_s"].isna().all(), "too few cases for an interval"
    found = at.latency(many)
    slow, rare = (found.savings.set_index("name").loc[name] for name in ("slow", "rare"))
    assert (slow["traces"], slow["on_path"], rare["traces"], rare["on_path"]) == (10, 10, 5, 5)
    assert slow["saved_s"] == pytest.approx(0.29)
    assert rare["saved_s"] == pytest.approx(0.025), "the mean is over all runs"
    assert slow["low_s"] < 0.29 < slow["high_s"]
    assert found.tool_correlation is not None
    assert found.tool_correlation > 0.9
    assert "on the critical path of 5 of 10" in found.text()


def test_the_table_of_spans_has_derived_columns_when_asked_for() -> None:
    _, (trace,) = planner_executor()
    still = Build("2" * 32)
    still.add(SpanKind.AGENT, "A", 0, None, agent="A")
    found = at.TraceSet([trace, still.trace])
    assert "self_s" not in found.spans()
    table = found.spans(derived=True)
    assert list(table.columns[-2:]) == ["self_s", "critical_s"]
    assert table["critical_s"].sum() == pytest.approx(4.21, abs=1e-9)
    assert table["self_s"].isna().sum() == 1


@pytest.mark.parametrize(
    "name", ["parallel_tools", "agents_as_tools", "plan_execute_evaluate", "task_cancelled_in_tool"]
)
def test_the_path_of_what_the_sdk_really_ran_is_as_long_as_its_root(name: str, tmp_path: Path) -> None:
    set_trace_processors([])  # nothing is sent anywhere
    journal = Journal(tmp_path / "one.journal")

    async def play() -> list[Trace]:
        with recording(tmp_path, journal=journal) as recorded:
            await run(SCENARIOS[name], Kind.BARE)
            await asyncio.sleep(0.05)
            recorded.live.sync()
            return recorded.traces

    traces = asyncio.run(play())
    journal.close()
    for trace in traces:
        measured = timed(trace.spans)
        assert trace.root is not None
        assert trace.root.end_ns is not None
        took_ns = trace.root.end_ns - trace.root.start_ns
        assert sum(p.end_ns - p.start_ns for p in measured.path) == measured.total_ns == took_ns
        assert all(own is None or own >= 0 for own in measured.self_ns)
    assert traces


def test_the_chart_is_a_picture() -> None:
    _, traces = planner_executor()
    shown = at.latency(traces).chart()._repr_mimebundle_()
    assert shown["image/png"].startswith(b"\x89PNG")


def test_a_hostile_name_is_one_line_of_words() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "evil\n\x1b[31mname " + "x" * 500, 0, 5)
    assert len(at.latency(b.close(5)).text().splitlines()) == 3
    assert "\x1b" not in at.latency(b.trace).text()
