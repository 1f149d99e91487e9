"""Metrics over OTLP: the figures of `MetricBook`, decoded with the official protocol buffers; totals and deltas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from export.ended import call, run, some_of_everything
from export.receiver import Receiver, Response, receiving
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from agenttrace_nb.export.handler import Content, Context, Misconfigured, Refused, Retry, Sent
from agenttrace_nb.export.metrics import BOUNDS_S, MetricBook
from agenttrace_nb.export.otlp import OtlpHandler
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from export.receiver import Request

DELTA, CUMULATIVE = 1, 2


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def opened(receiver: Receiver, **options: Any) -> OtlpHandler:
    handler = OtlpHandler()
    options = {"endpoint": receiver.url, "signals": "metrics", **options}
    handler.open(Context(name="test", options=options, content=Content.OFF, resource={"service.name": "agents"}))
    return handler


def metrics(request: Request) -> dict[str, Any]:
    read = ExportMetricsServiceRequest()
    read.ParseFromString(request.body)
    return {m.name: m for r in read.resource_metrics for s in r.scope_metrics for m in s.metrics}


def points(metric: Any) -> dict[frozenset[tuple[str, str]], Any]:
    data = getattr(metric, metric.WhichOneof("data"))
    return {frozenset((a.key, a.value.string_value) for a in p.attributes): p for p in data.data_points}


def test_all_figures_of_the_book_arrive(receiver: Receiver) -> None:
    items = some_of_everything()
    book = MetricBook()
    book.take(items)
    handler = opened(receiver)
    assert handler.export(tuple(items)) == Sent()
    handler.close()
    (request,) = receiver.requests
    assert request.path == "/v1/metrics"
    found = metrics(request)
    expected = book.snapshot().series
    assert found.keys() == {metric.name for metric in expected}
    for metric, series in expected.items():
        made = found[metric.name]
        assert made.unit == metric.unit
        data = getattr(made, made.WhichOneof("data"))
        assert data.aggregation_temporality == CUMULATIVE
        by_value = sorted(p.sum if metric.kind == "histogram" else p.as_double for p in data.data_points)
        assert by_value == pytest.approx(sorted(point.value for point in series.values()), abs=0)
        if metric.kind == "histogram":
            assert all(tuple(p.explicit_bounds) == BOUNDS_S for p in data.data_points)
            assert sorted(tuple(p.bucket_counts) for p in data.data_points) == sorted(p.counts for p in series.values())
        else:
            assert data.is_monotonic


def test_labels_have_the_names_of_the_conventions(receiver: Receiver) -> None:
    item = call()
    handler = opened(receiver)
    handler.export((item,))
    handler.close()
    found = metrics(receiver.requests[0])
    ((labels, duration),) = points(found["gen_ai.client.operation.duration"]).items()
    assert labels == {
        ("gen_ai.agent.name", "Planner"), ("gen_ai.request.model", "gpt-4o-mini"), ("agenttrace.arch", "triage"),
        ("agenttrace.status", "ok"), ("gen_ai.operation.name", "chat"),
    }  # fmt: skip
    (exemplar,) = duration.exemplars
    assert exemplar.trace_id.hex() == item.span.trace_id
    tokens = {
        dict(labels)["gen_ai.token.type"]: p.as_double for labels, p in points(found["agenttrace.tokens"]).items()
    }
    assert tokens == {"input": 320.0, "output": 41.0}


def test_totals_grow_and_deltas_do_not(receiver: Receiver) -> None:
    for options, temporality, expected in (
        ({}, CUMULATIVE, [1.0, 3.0]),
        ({"preset": "datadog-agent"}, DELTA, [1.0, 2.0]),
    ):
        receiver.requests.clear()
        handler = opened(receiver, **options)
        handler.export((run(),))
        handler.export((run(), run()))
        handler.close()
        told = [metrics(request)["agenttrace.runs"] for request in receiver.requests]
        assert [m.sum.aggregation_temporality for m in told] == [temporality] * 2
        assert [p.as_double for m in told for p in m.sum.data_points] == expected
        starts = [p.start_time_unix_nano for m in told for p in m.sum.data_points]
        assert (starts[0] == starts[1]) is (temporality == CUMULATIVE)


def test_what_did_not_arrive_is_in_the_next_delta(receiver: Receiver) -> None:
    receiver.answer(Response(503), Response(200))
    handler = opened(receiver, preset="datadog-agent")
    items = (run(), run())
    assert isinstance(handler.export(items), Retry)
    assert handler.export(items) == Sent()
    assert handler.export(items) == Sent()  # nothing new: nothing is sent
    handler.close()
    assert len(receiver.requests) == 2
    assert [p.as_double for p in metrics(receiver.requests[1])["agenttrace.runs"].sum.data_points] == [2.0]


def test_both_signals_go_to_their_own_address_and_nothing_is_counted_twice(receiver: Receiver) -> None:
    receiver.answer(Response(200), Response(503), Response(200))
    handler = opened(receiver, signals="traces,metrics")
    items = (call(), run())
    assert isinstance(handler.export(items), Retry)
    assert handler.export(items) == Sent()
    handler.close()
    assert [request.path for request in receiver.requests] == ["/v1/metrics", "/v1/traces", "/v1/traces"]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(404, Misconfigured, "signals=traces"), (413, Misconfigured, "leave the metrics out"), (400, Refused, "400")],
)
def test_a_receiver_without_metrics_is_told_of(status: int, kind: type, words: str, receiver: Receiver) -> None:
    receiver.answer(Response(status))
    handler = opened(receiver, token=Secret("invented", "env:T"))
    answer = handler.export((run(),))
    handler.close()
    assert type(answer) is kind
    assert words in answer.reason


def test_a_signal_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="signals: 'logs' is none of traces, metrics"):
        OtlpHandler().open(Context(name="test", options={"signals": "traces,logs"}))
