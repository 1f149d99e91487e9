from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from views.sample_runs import Build, planner_executor

from agenttrace_nb.spans import Span, SpanError, SpanKind, Status
from agenttrace_nb.views.rows import GUIDE_LIMIT, TOP, Rows, line_count, reading_order

if TYPE_CHECKING:
    import random


def names(rows: Rows, **options: bool) -> list[str]:
    return [f"{'.' * line.depth}{rows.spans[line.row].name}" for line in reading_order(rows, **options)]


def test_rows_keep_their_numbers_when_spans_change() -> None:
    b = Build()
    first = b.add(SpanKind.AGENT, "a", 0, None)
    second = b.add(SpanKind.TOOL, "t", 1, None, first)
    rows = Rows()
    assert rows.take([first, second]) == [0, 1]
    second.status = Status.OK
    third = b.add(SpanKind.TOOL, "u", 2, None, first)
    assert rows.take([third, second]) == [1, 2]
    assert [span.name for span in rows.spans] == ["a", "t", "u"]
    assert rows.row(third) == 2


def test_a_child_that_comes_before_its_parent_is_hung_under_it_later() -> None:
    b = Build()
    parent = b.add(SpanKind.AGENT, "parent", 0, 9)
    child = b.add(SpanKind.TOOL, "child", 1, 2, parent)
    rows = Rows([child])
    assert rows.parents == [TOP]
    assert rows.take([parent]) == [0, 1], "the child has changed too"
    assert rows.parents == [1, TOP]
    assert names(rows) == ["parent", ".child"]


def test_siblings_stand_in_order_of_start() -> None:
    b = Build()
    parent = b.add(SpanKind.AGENT, "parent", 0, 9)
    late = b.add(SpanKind.TOOL, "late", 5, 6, parent)
    early = b.add(SpanKind.TOOL, "early", 1, 2, parent)
    assert names(Rows([parent, late, early])) == ["parent", ".early", ".late"]


def test_turns_and_a_lone_workflow_are_folded_into_what_holds_them() -> None:
    _, (trace,) = planner_executor()
    rows = Rows(trace.spans)
    assert names(rows)[:4] == ["Planner", ".travel-only", ".gpt-4o-mini", ".get_user"]
    assert names(rows, fold_layers=False)[:4] == ["Rebook a flight", ".Planner", "..travel-only", "..turn 1"]


def test_workflows_of_several_traces_are_not_folded() -> None:
    runs = [Build(trace_id=f"{i:032x}", name=f"trace {i}") for i in (1, 2)]
    for b in runs:
        root = b.add(SpanKind.WORKFLOW, b.trace.name, 0, 2)
        b.add(SpanKind.AGENT, "agent", 0, 1, root)
    rows = Rows(span for b in runs for span in b.trace.spans)
    assert names(rows) == ["trace 1", ".agent", "trace 2", ".agent"]


def test_a_turn_in_which_an_error_began_is_shown() -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 9, error=SpanError("bad output", "ModelBehaviorError"))
    turn = b.add(SpanKind.TURN, "turn 1", 0, 9, agent, error=SpanError("bad output", "ModelBehaviorError"))
    b.add(SpanKind.LLM, "model", 1, 2, turn)
    rows = Rows(b.trace.spans)
    assert rows.error_origins() == [rows.row(turn)]
    assert names(rows) == ["agent", ".turn 1", "..model"]


def test_a_turn_without_steps_is_shown() -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 9)
    b.add(SpanKind.TURN, "turn 1", 0, None, agent)
    assert names(Rows(b.trace.spans)) == ["agent", ".turn 1"]


def test_an_error_is_counted_where_it_began() -> None:
    b = Build()
    fail = SpanError("no", "ValueError")
    root = b.add(SpanKind.WORKFLOW, "run", 0, 9, error=fail)
    agent = b.add(SpanKind.AGENT, "agent", 0, 9, root, error=fail)
    tool = b.add(SpanKind.TOOL, "tool", 0, 9, agent, error=fail)
    other = b.add(SpanKind.TOOL, "other", 0, 9, agent, error=fail)
    rows = Rows(b.trace.spans)
    assert rows.error_origins() == [rows.row(tool), rows.row(other)]


def test_spans_that_name_each_other_as_parents_are_all_shown_once() -> None:
    def span(name: str, parent: str | None) -> Span:
        return Span(trace_id="t", span_id=name, parent_id=parent, kind=SpanKind.OTHER, name=name, start_ns=0)

    rows = Rows([span("a", "c"), span("b", "a"), span("c", "b"), span("self", "self")])
    assert sorted(name.strip(".") for name in names(rows)) == ["a", "b", "c", "self"]


def test_absurd_depth_is_no_recursion() -> None:
    b = Build()
    parent = None
    for level in range(20_000):
        parent = b.add(SpanKind.TOOL, str(level), level, level + 1, parent)
    lines = reading_order(Rows(b.trace.spans))
    assert lines[-1].depth == 19_999
    assert len(lines[-1].last) == GUIDE_LIMIT
    assert lines[0].below == 19_999


@given(st.lists(st.integers(min_value=-1, max_value=30), max_size=30), st.randoms(use_true_random=False))
def test_every_row_is_read_once_above_its_children(parents: list[int], shuffle: random.Random) -> None:
    spans = [
        Span(
            trace_id="t", span_id=str(i), kind=SpanKind.OTHER, name=str(i), start_ns=i % 3,
            parent_id=str(parent) if parent >= 0 else None,
        )
        for i, parent in enumerate(parents)
    ]  # fmt: skip
    shuffle.shuffle(spans)
    rows = Rows()
    for at in range(0, len(spans), 4):
        rows.take(spans[at : at + 4])
    lines = reading_order(rows)
    assert sorted(line.row for line in lines) == list(range(len(spans)))
    place = {line.row: at for at, line in enumerate(lines)}
    for line in lines:
        parent = rows.parents[line.row]
        if parent != TOP:
            above = lines[place[parent]]
            assert above.depth == line.depth - 1
            assert place[parent] < place[line.row] <= place[parent] + above.below


def test_a_limit_gives_the_first_lines_of_the_same_order() -> None:
    _, (trace,) = planner_executor()
    rows = Rows(trace.spans)
    every, first = reading_order(rows), reading_order(rows, limit=7)
    assert [(line.row, line.depth, line.last) for line in first] == [(x.row, x.depth, x.last) for x in every[:7]]
    assert line_count(rows) == len(every)
    assert line_count(rows, fold_layers=False) == len(rows)
