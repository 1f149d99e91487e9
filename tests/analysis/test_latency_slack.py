"""How steps stand to those beside them: how much later they could end, and their share of a time they had together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace_nb.analysis.latency_slack import equal_split, slack
from agenttrace_nb.analysis.latency_steps import Steps, critical_path, lay_out
from analysis.test_latency import EXAMPLES, laid_out, trees


def test_slack_and_equal_split_of_the_worked_example() -> None:
    _, steps = laid_out(EXAMPLES["parallel children"][0])
    assert slack(steps) == [0, 3, 0, 5]
    split = equal_split(steps)
    assert split == pytest.approx([10, 13 / 6, 31 / 6, 2 / 3], abs=1e-9)
    assert sum(split[1:]) == pytest.approx(8, abs=1e-9)


def test_the_slack_of_a_step_includes_that_of_what_holds_it() -> None:
    names, steps = laid_out([
        ("root", None, 0, 20), ("slow", "root", 0, 18), ("quick", "root", 0, 10),
        ("a", "quick", 1, 4), ("b", "quick", 1, 9), ("then", "quick", 9, 10),
    ])  # fmt: skip
    assert dict(zip(names, slack(steps), strict=True)) == {
        "root": 0, "slow": 0, "quick": 8, "a": 13, "b": 8, "then": 8,
    }  # fmt: skip


def lengthened(steps: Steps, step: int, longer: int, more: int) -> int:
    """How long a step takes when another one takes longer: the definition of the replay, word for word."""
    new_end: dict[int, int] = {}
    children = sorted(steps.below.get(step, ()), key=lambda c: (steps.start[c], steps.end[c]))
    for child in children:
        ended = [c for c in new_end if steps.end[c] <= steps.start[child]]
        before = max([steps.start[step], *(steps.end[c] for c in ended)])
        after = max([0, *(new_end[c] for c in ended)])
        new_end[child] = after + (steps.start[child] - before) + lengthened(steps, child, longer, more)
    rest = steps.end[step] - max([steps.start[step], *(steps.end[c] for c in children)])
    return max([0, *new_end.values()]) + rest + (more if step == longer else 0)


@settings(max_examples=300)
@given(trees(inside=True), st.data())
def test_slack_is_how_much_longer_a_step_can_take_and_no_more(tree: Any, data: st.DataObject) -> None:
    steps = lay_out(*tree)
    step = data.draw(st.integers(0, steps.whole - 1))
    spare = slack(steps)[step]
    assert spare is not None
    assert lengthened(steps, 0, step, spare) == steps.total_ns
    assert lengthened(steps, 0, step, spare + 1) == steps.total_ns + 1


@given(trees())
def test_what_is_on_the_critical_path_has_no_slack(tree: Any) -> None:
    steps = lay_out(*tree)
    spare = slack(steps)
    assert all(spare[piece.step] == 0 for piece in critical_path(steps) if piece.step != steps.whole)


@given(trees())
def test_equal_shares_sum_to_the_time_in_which_any_of_them_ran(tree: Any) -> None:
    steps = lay_out(*tree)
    split = equal_split(steps)
    for inner in steps.below.values():
        ran = {m for child in inner for m in range(steps.start[child], steps.end[child])}
        assert sum(split[child] or 0 for child in inner) == pytest.approx(len(ran), abs=1e-9)
        assert all(0 <= (split[child] or 0) <= steps.took(child) + 1e-9 for child in inner)
