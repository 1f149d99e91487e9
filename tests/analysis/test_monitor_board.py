"""What a dashboard keeps: every run once, and no more than fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from views.sample_dashboards import NOW_MS, board, hours, run

from agenttrace_nb.analysis.monitor import Standing, Stretch, figures
from agenttrace_nb.analysis.monitor_board import Board
from agenttrace_nb.analysis.monitor_groups import groups


def told(of: Board) -> tuple[object, ...]:
    """Everything that is said of a board."""
    tools = [replace(g) for g in groups(of, "tool", Stretch())]
    return figures(of, Stretch(), NOW_MS), tools, sorted(of.ids)


def test_a_run_that_is_known_better_replaces_what_was_known_of_it() -> None:
    made = board([run(1, NOW_MS, took_s=None), run(2, NOW_MS)])
    assert figures(made, Stretch(), NOW_MS).in_flight == 1
    for _ in range(3):
        made.put(run(1, NOW_MS, took_s=3.0, standing=Standing.ERROR))
    f = figures(made, Stretch(), NOW_MS)
    assert (f.runs, f.in_flight, f.errors, f.latency_sum_s) == (2, 0, 1, 4.0)
    assert [(g.name, g.n) for g in groups(made, "tool", Stretch())] == [("get_order", 2)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1000), st.booleans()), max_size=120))
def test_whatever_comes_in_whatever_order_the_figures_are_those_of_the_last_word_on_each_run(
    words: list[tuple[int, int, bool]],
) -> None:
    made, last = Board(), {}
    for at, start, over in words:
        last[at] = run(at, NOW_MS - start, took_s=start / 100 if over else None, tool=f"tool {start % 3}")
        made.put(last[at])
    assert told(made) == told(board(list(last.values())))


def test_beyond_the_limit_the_oldest_runs_are_dropped_and_counted() -> None:
    runs = hours()
    made = board(runs, run_limit=200)
    assert made.runs.n <= 200
    assert made.left_out == len(runs) - made.runs.n
    kept = sorted(runs, key=lambda r: r.start_ms)[-made.runs.n :]
    assert told(made) == told(board(kept))
    assert made.generation > 0


def test_beyond_the_limit_of_steps_the_oldest_runs_are_dropped_too() -> None:
    runs = hours(count=400)
    made = board(runs, call_limit=300)
    assert np.count_nonzero(made.calls["run"] >= 0) <= 300
    assert told(made) == told(board(sorted(runs, key=lambda r: r.start_ms)[-made.runs.n :]))


def test_runs_that_change_again_and_again_take_no_more_room() -> None:
    made = Board(call_limit=600)
    for turn in range(200):
        for at in range(20):
            made.put(run(at, NOW_MS - at, took_s=1 + turn / 100, name=f"name {turn}"))
    assert made.calls.n < 600
    assert made.left_out == 0
    assert len(made.texts) < 200
    assert figures(made, Stretch(), NOW_MS).runs == 20


def test_even_one_run_of_more_steps_than_fit_is_kept() -> None:
    large = run(1, NOW_MS)
    made = board([run(0, NOW_MS - 10), replace(large, calls=large.calls * 400)], call_limit=300)
    assert made.ids == [large.trace_id]
    assert figures(made, Stretch(), NOW_MS).runs == 1
