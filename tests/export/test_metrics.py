"""Metrics are right, bounded, and counted once."""

from __future__ import annotations

import itertools
import threading

import pytest
from export.ended import call, failed, run, some_of_everything, span, test_item
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace_nb.export import metrics
from agenttrace_nb.export.metrics import MetricBook, Point
from agenttrace_nb.spans import SpanKind, Status

test_item.__test__ = False


def series(book: MetricBook, metric: metrics.Metric) -> dict[tuple[str, ...], Point]:
    return dict(book.snapshot().series.get(metric, {}))


def values(book: MetricBook, metric: metrics.Metric) -> dict[tuple[str, ...], float]:
    return {labels: point.value for labels, point in series(book, metric).items()}


def test_the_buckets_double_from_a_hundredth_to_eighty_two_seconds() -> None:
    assert metrics.BOUNDS_S[0] == 0.01
    assert [round(bound, 9) for bound in metrics.BOUNDS_S[-2:]] == [40.96, 81.92]
    assert all(b == 2 * a for a, b in zip(metrics.BOUNDS_S, metrics.BOUNDS_S[1:], strict=False))


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.01, 0), (0.011, 1), (0.64, 6), (81.92, 13), (82.0, 14)])
def test_a_duration_falls_into_its_bucket(seconds: float, bucket: int) -> None:
    book = MetricBook()
    book.take([span(SpanKind.TOOL, "search", seconds, agent="Executor")])
    (point,) = series(book, metrics.TOOL_DURATION).values()
    assert point.counts[bucket] == 1
    assert point.count == 1
    assert point.value == pytest.approx(seconds)


def test_each_kind_of_step_goes_where_it_belongs() -> None:
    book = MetricBook()
    book.take([
        span(SpanKind.AGENT, "Planner", 3, agent="Planner"),
        span(SpanKind.TOOL, "search", 2, agent="Executor", status=Status.CANCELLED),
        call(1, cached_tokens=100, reasoning_tokens=7),
        span(SpanKind.TURN, "turn", 9, agent="Planner"),
        span(SpanKind.OTHER, "my own", 9),
        run(4, Status.ERROR),
        run(4, Status.INTERRUPTED, None),
        test_item(),
    ])  # fmt: skip
    assert list(series(book, metrics.AGENT_DURATION)) == [("Planner", "triage", "ok")]
    assert list(series(book, metrics.TOOL_DURATION)) == [("search", "Executor", "triage", "cancelled")]
    assert list(series(book, metrics.CALL_DURATION)) == [("gpt-4o-mini", "Planner", "triage", "ok")]
    assert values(book, metrics.RUNS) == {("triage", "error"): 1, ("", "interrupted"): 1}
    whose = ("gpt-4o-mini", "Planner", "triage")
    tokens = {"input": 320, "output": 41, "cached": 100, "reasoning": 7}
    assert values(book, metrics.TOKENS) == {(kind, *whose): amount for kind, amount in tokens.items()}
    assert values(book, metrics.COST) == {whose: 0.0005}
    assert values(book, metrics.TESTS) == {(): 1}
    assert not series(book, metrics.ERRORS)


def test_what_is_not_known_is_no_zero() -> None:
    book = MetricBook()
    book.take([call(input_tokens=None, output_tokens=None, cost_usd=None, model=None, agent=None, arch=None)])
    assert not series(book, metrics.TOKENS)
    assert not series(book, metrics.COST)
    assert list(series(book, metrics.CALL_DURATION)) == [("", "", "", "ok")]


def test_an_item_that_comes_twice_is_counted_once() -> None:
    book, items = MetricBook(), some_of_everything()
    first = book.take(items)
    before = book.snapshot().series
    assert first
    assert book.take(items) == []
    assert book.take(reversed(items)) == []
    assert book.snapshot().series == before


def test_an_error_is_counted_where_it_began() -> None:
    book, trace = MetricBook(), "a" * 32
    ids = {"trace_id": trace, "agent": "Executor"}
    book.take([
        span(SpanKind.TOOL, "book", span_id="3" * 16, parent_id="2" * 16, error=failed(), **ids),
        span(SpanKind.TURN, "turn", span_id="2" * 16, parent_id="1" * 16, error=failed(None), **ids),
        span(SpanKind.AGENT, "Executor", span_id="1" * 16, parent_id="0" * 16, error=failed("MaxTurnsExceeded"), **ids),
        span(SpanKind.WORKFLOW, "w", span_id="0" * 16, error=failed("MaxTurnsExceeded"), trace_id=trace),
    ])  # fmt: skip
    assert values(book, metrics.ERRORS) == {
        ("tool", "Executor", "book", "TimeoutError", "triage"): 1,
        ("agent", "Executor", "", "MaxTurnsExceeded", "triage"): 1,  # for a reason of its own
    }


@pytest.mark.parametrize("told", [None, "", "Error: user 4711 not found", "x" * 200, "Ä" * 3, "<b>"])
def test_only_a_class_name_is_the_type_of_an_error(told) -> None:
    book = MetricBook()
    book.take([span(SpanKind.TOOL, "book", agent="Executor", error=failed(told))])
    assert list(series(book, metrics.ERRORS)) == [("tool", "Executor", "book", "_OTHER", "triage")]


def test_a_label_has_at_most_two_hundred_values_and_nothing_is_lost() -> None:
    book = MetricBook()
    book.take([span(SpanKind.TOOL, f"tool-{n}", agent="Executor") for n in range(500)])
    tools = {labels[0] for labels in series(book, metrics.TOOL_DURATION)}
    assert len(tools) == 201
    assert metrics.OTHER in tools
    points = series(book, metrics.TOOL_DURATION).values()
    assert sum(point.count for point in points) == 500


def test_a_metric_has_at_most_two_thousand_series_and_nothing_is_lost() -> None:
    book = MetricBook()
    book.take([span(SpanKind.TOOL, f"t{n % 90}", agent=f"a{n // 90}", seconds=0) for n in range(90 * 90)])
    found = series(book, metrics.TOOL_DURATION)
    assert len(found) == metrics.MAX_SERIES + 1
    assert found[(metrics.OTHER,) * 4].count == 90 * 90 - metrics.MAX_SERIES
    assert sum(point.count for point in found.values()) == 90 * 90


@settings(max_examples=40, deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_name_is_a_label_that_can_be_sent(agent: str, tool: str, arch: str) -> None:
    book = MetricBook()
    book.take([span(SpanKind.TOOL, tool, agent=agent, arch=arch, error=failed(tool))])
    for points in book.snapshot().series.values():
        for labels in points:
            assert all(len(value.encode("utf-8")) <= 400 for value in labels)


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), float("-inf"), -1.0])
def test_an_amount_that_is_no_number_from_zero_is_left_out_and_counted(amount: float) -> None:
    book = MetricBook()
    book.take([call(cost_usd=amount), call(cost_usd=0.25)])
    assert values(book, metrics.COST) == {("gpt-4o-mini", "Planner", "triage"): 0.25}
    assert book.refused == 1


def test_a_clock_that_was_put_back_makes_no_negative_duration() -> None:
    book = MetricBook()
    book.take([span(SpanKind.TOOL, "search", -5, agent="Executor")])
    assert not series(book, metrics.TOOL_DURATION)
    assert book.refused == 1


def test_no_label_holds_an_id_or_a_text_that_somebody_wrote() -> None:
    names = {label for metric in metrics.METRICS for label in metric.labels}
    assert names == {"agent", "tool", "model", "arch", "status", "kind", "type"}
    book = MetricBook()
    item = span(
        SpanKind.TOOL, "book", agent="Executor", error=failed(message="CANARY-1"), content_in="CANARY-2",
        content_out="CANARY-3", attributes={"a": "CANARY-4"}, trace_id="b" * 32,
    )  # fmt: skip
    book.take([item])
    shown = [value for points in book.snapshot().series.values() for labels in points for value in labels]
    assert not [value for value in shown if "CANARY" in value or "b" * 32 in value]


def test_exemplars_name_the_last_trace_of_each_bucket() -> None:
    book = MetricBook()
    for number, seconds in ((1, 0.02), (2, 0.02), (3, 5.0)):
        book.take([span(SpanKind.TOOL, "search", seconds, agent="Executor", trace_id=f"{number:032x}")])
    (point,) = series(book, metrics.TOOL_DURATION).values()
    assert {at: int(e.trace_id, 16) for at, e in point.exemplars.items()} == {1: 2, 9: 3}


def test_differences_add_up_to_the_whole() -> None:
    book, items = MetricBook(), some_of_everything()
    before, added = None, []
    for start in range(0, len(items), 7):
        book.take(items[start : start + 7])
        now = book.snapshot()
        added.append(now.since(before))
        before = now
    assert book.snapshot().since(before).series == {}
    for metric, points in book.snapshot().series.items():
        for labels, whole in points.items():
            parts = [part.series[metric][labels] for part in added if labels in part.series.get(metric, {})]
            assert sum(part.value for part in parts) == pytest.approx(whole.value)
            assert tuple(map(sum, zip(*(part.counts for part in parts), strict=True))) == whole.counts
    assert all(a.time_ns == b.start_ns for a, b in itertools.pairwise(added))


def test_a_difference_that_was_not_sent_is_in_the_next_one() -> None:
    book = MetricBook()
    book.take([call()])
    sent = book.snapshot()
    book.take([call()])
    assert book.snapshot().since(sent)  # and it did not arrive
    book.take([call()])
    (point,) = book.snapshot().since(sent).series[metrics.CALL_DURATION].values()
    assert point.count == 2


def test_it_is_read_while_it_takes() -> None:
    book, items = MetricBook(), [span(SpanKind.TOOL, f"t{n % 40}", agent="a") for n in range(4000)]
    read, over = [], threading.Event()

    def reading() -> None:
        while not over.is_set():
            read.append(sum(p.count for p in series(book, metrics.TOOL_DURATION).values()))

    reader = threading.Thread(target=reading)
    reader.start()
    for start in range(0, len(items), 50):
        book.take(items[start : start + 50])
    over.set()
    reader.join()
    assert read == sorted(read)
    assert all(count % 50 == 0 for count in read)
