from __future__ import annotations

import re

import pytest
from growth import growth
from views.hostile import LARGE, hostile_run
from views.sample_runs import START_NS, Build, planner_executor

from agenttrace_nb.spans import CellRun, Span, SpanError, SpanKind, Status
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.safe_text import width
from agenttrace_nb.views.text import text_tree


def tree(b: Build, **options: object) -> str:
    return text_tree(b.close(1000), Rows(b.trace.spans), **options)


def test_the_tree_says_everything_at_a_glance() -> None:
    run, (trace,) = planner_executor()
    assert text_tree(run, Rows(trace.spans), columns=80) == EXPECTED.strip("\n")


EXPECTED = """
planner-executor · case task-17 · trial 2 · cell [12]                ✓ completed
4.21 s · 3 agents · 5 turns · 7 tool calls · 7.7k tokens · $0.031 · 1 error

✓ Planner (planner)                                                       1.12 s
├─ ✓ guardrail travel-only · passed                                       0.06 s
├─ ✓ llm gpt-4o-mini                                      812 → 96 tok    0.64 s
├─ ✓ tool get_user                                                        0.08 s
├─ ✓ llm gpt-4o-mini                                    1\u202f034 → 41 tok    0.33 s
└─ ✓ handoff · Planner → Executor                                            0 s
✓ Executor (executor)                                                     3.09 s
├─ ✓ llm gpt-4o                                         2\u202f120 → 77 tok    0.41 s
├─ ✓ tool search_flights                                                  0.17 s
├─ ✓ tool search_flights                                                  0.29 s
├─ ✓ tool search_flights                                                  0.38 s
├─ ✓ tool search_flights                                                  0.52 s
├─ ✕ tool book_flight                                                     1.48 s
│      TimeoutError: flights-api did not answer in 2.0 s (POST /v2/bookings)
├─ ✓ llm gpt-4o                                        3\u202f388 → 120 tok    0.58 s
└─ ✓ tool evaluate                                                        0.09 s
   └─ ✓ Evaluator (evaluator) · as tool                                   0.09 s
"""


@pytest.mark.parametrize("columns", [48, 60, 80, 120])
def test_no_line_is_wider_than_asked_for(columns: int) -> None:
    run, (trace,) = hostile_run()
    for line in text_tree(run, Rows(trace.spans), columns=columns).splitlines():
        assert width(line) <= columns


def test_wide_letters_do_not_push_figures_out_of_line() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "東京から大阪", 0, 1000)
    b.add(SpanKind.TOOL, "tokyo", 0, 1000)
    lines = tree(b).splitlines()[-2:]
    assert len({width(line) for line in lines}) == 1


def test_each_standing_has_a_mark_of_its_own() -> None:
    b = Build()
    for status in Status:
        end = None if status is Status.RUNNING else 1
        b.add(SpanKind.TOOL, status.value, 0, end, status=status)
    lines = tree(b).splitlines()[-len(Status) :]
    assert len({line[0] for line in lines}) == len(Status)
    assert [line.split()[-1] for line in lines if "running" in line] == ["–"], "a running step has no duration yet"


def test_an_error_that_passes_upwards_is_said_once_and_one_that_changes_on_its_way_again() -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 9, error=SpanError("5 turns", "MaxTurnsExceeded"))
    inner = b.add(SpanKind.AGENT, "inner", 0, 9, agent, error=SpanError("no seat", "LookupError"))
    b.add(SpanKind.TOOL, "tool", 0, 9, inner, error=SpanError("no seat", "LookupError"))
    assert [line.split() for line in tree(b).splitlines()[3:]] == [
        ["✕", "agent", "9", "ms"], ["│", "MaxTurnsExceeded:", "5", "turns"], ["└─", "✕", "inner", "9", "ms"],
        ["└─", "✕", "tool", "9", "ms"], ["LookupError:", "no", "seat"],
    ]  # fmt: skip


def test_an_http_error_says_its_status() -> None:
    b = Build()
    b.add(SpanKind.LLM, "m", 0, 1, error=SpanError("slow down", "RateLimitError", http_status=429))
    assert "RateLimitError: slow down (HTTP 429)" in tree(b)


def test_a_run_that_failed_outside_any_step_says_why() -> None:
    run = CellRun(
        key="k",
        name="cell",
        start_ns=0,
        end_ns=1,
        status=Status.ERROR,
        error=SpanError("'x' is not defined", "NameError"),
    )
    assert text_tree(run, Rows()).splitlines()[-1] == "✕ NameError: 'x' is not defined"


def test_without_steps_it_says_so() -> None:
    assert "no steps were recorded" in tree(Build())


def test_unknown_tokens_are_not_zero() -> None:
    b = Build()
    b.add(SpanKind.LLM, "m", 0, 1, input_tokens=5)
    b.add(SpanKind.LLM, "n", 0, 1)
    text = tree(b)
    assert "5 → ? tok" in text
    assert "tok" not in text.splitlines()[-1]


def test_nothing_in_it_acts_on_a_terminal() -> None:
    run, (trace,) = hostile_run(large=True)
    text = text_tree(run, Rows(trace.spans))
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u2028\u2029\ud800-\udfff]", text
    )
    text.encode()


def test_a_name_of_ten_megabytes_takes_hardly_more_than_one_of_some_kilobytes() -> None:
    def named(name: str) -> Build:
        b = Build()
        for _ in range(20):
            b.add(SpanKind.TOOL, name, 0, 1, error=SpanError(name, name))
        return b

    large = named(LARGE)
    assert len(tree(large)) < 10_000
    assert growth(tree, named(LARGE[:5_000]), large) < 20, "two thousand times as much"


def test_a_very_deep_row_still_shows_its_name() -> None:
    b = Build()
    parent: Span | None = None
    for level in range(200):
        parent = b.add(SpanKind.TOOL, f"level {level}", level, level + 1, parent)
    assert "level 199" in tree(b, columns=48).splitlines()[-1]


def test_of_a_huge_run_it_says_how_much_is_left_out() -> None:
    b = Build()
    for at in range(6_000):
        b.add(SpanKind.TOOL, "t", at, at + 1)
    lines = tree(b).splitlines()
    assert len(lines) < 5_100
    assert "1,000 more steps" in lines[-1]


def test_a_deterministic_tree_holds_no_time() -> None:
    run, (trace,) = planner_executor()
    before = text_tree(run, Rows(trace.spans), timed=False)
    for at, span in enumerate(trace.spans):
        span.start_ns += at
        span.end_ns = START_NS * 2
    run.end_ns = START_NS * 3
    assert text_tree(run, Rows(trace.spans), timed=False) == before
    assert not re.search(r"\d s\b", before.replace("in 2.0 s", ""))
