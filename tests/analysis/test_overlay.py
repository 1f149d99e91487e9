"""Many traces as one graph: counts are those of the traces, branches are found, the picture holds what it should."""

from __future__ import annotations

import pytest
from views.hostile import hostile_run
from views.sample_runs import Build, planner_executor

import agenttrace_nb as at
from agenttrace_nb.spans import SpanError, SpanKind, Status, Trace


def run(number: int, *tools: str, success: bool | None = None) -> tuple[Trace, bool | None]:
    """An agent that calls these tools in order; one whose name ends with ``!`` fails."""
    b = Build(trace_id=f"{number:032x}")
    agent = b.add(SpanKind.AGENT, "Desk", 0, 100, agent="Desk")
    for n, tool in enumerate(tools):
        error = SpanError("no") if tool.endswith("!") else None
        b.add(SpanKind.TOOL, tool.rstrip("!"), n + 1, n + 2, agent, agent="Desk", error=error)
    trace = b.close(100)
    trace.run_id = trace.trace_id
    return trace, success


def laid(*runs: tuple[Trace, bool | None]) -> at.Overlay:
    return at.overlay(at.TraceSet([t for t, _ in runs], success={t.trace_id: s for t, s in runs}))


def test_branches_tell_how_often_and_with_which_success() -> None:
    found = laid(
        *(run(n, "look", "refund", success=True) for n in range(3)),
        *(run(n + 10, "look", "reship", success=n == 0) for n in range(2)),
    )
    edges = found.edges.set_index(["from", "to"])
    assert edges.loc[("Desk: look", "Desk: refund"), ["runs", "share", "success"]].tolist() == [3, 0.6, 1.0]
    assert edges.loc[("Desk: look", "Desk: reship"), ["runs", "share", "success"]].tolist() == [2, 0.4, 0.5]
    assert [step for step, _ in found.graph.branches()] == ["Desk: look"]
    text = repr(found)
    assert "after Desk: look (5 runs)" in text
    assert "3 of 5  → Desk: refund   3 of 3 succeeded (44 to 100 %)" in text


def test_every_way_in_is_a_way_out() -> None:
    _, (trace,) = planner_executor()
    found = at.overlay([trace, run(1, "look", "look", "pay!")[0]])
    edges = found.edges
    for step, times in zip(found.nodes["step"], found.nodes["times"], strict=True):
        into, out = edges.loc[edges["to"] == step, "times"].sum(), edges.loc[edges["from"] == step, "times"].sum()
        assert into == (times if step != "start" else 0)
        assert out == (times if step != "end" else 0)


def test_a_failed_call_is_a_step_of_its_own_and_a_repeated_one_counts_each_time() -> None:
    found = laid(run(1, "look", "look", "pay!", "pay"))
    nodes = found.nodes.set_index("step")
    assert (nodes.loc["Desk: look", "runs"], nodes.loc["Desk: look", "times"]) == (1, 2)
    assert {"Desk: pay ✕", "Desk: pay"} <= set(nodes.index)


def test_unknown_success_is_unknown_and_a_failed_trace_did_not_succeed() -> None:
    trace, _ = run(1, "look")
    failed, _ = run(2, "look")
    failed.status = Status.ERROR
    assert at.overlay([trace]).edges["success"].isna().all()
    assert at.overlay([trace, failed]).edges["success"].tolist() == [0.0, 0.0, 0.0]
    assert "All take the same way." in repr(at.overlay([trace, failed]))


def test_the_picture_has_every_step_and_leaves_the_rarest_of_very_many_out() -> None:
    chart = laid(run(1, "look", "pay"), run(2, "look")).chart()
    assert chart._repr_mimebundle_()["image/png"][:4] == b"\x89PNG"
    many = laid(run(1, *(f"tool{n}" for n in range(100)))).chart().to_dict()
    assert "rarest steps are left out" in many["title"]["subtitle"]


def test_hostile_names_are_only_names() -> None:
    _, (trace,) = hostile_run()
    found = at.overlay([trace])
    assert "\x1b" not in repr(found)
    assert found.chart().to_dict()


@pytest.mark.parametrize("wrong", [[], 5, "abc", [1]])
def test_what_cannot_be_laid_over_each_other_is_told(wrong: object) -> None:
    with pytest.raises(at.OptionError, match="traces"):
        at.overlay(wrong)
