"""What goes to Datadog is read by the models of Datadog's own client, and adds up."""

from __future__ import annotations

import gzip
import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from datadog_api_client import Configuration
from datadog_api_client.model_utils import validate_and_convert_types
from datadog_api_client.v1.model.distribution_points_payload import DistributionPointsPayload
from datadog_api_client.v2.model.metric_payload import MetricPayload
from export.ended import call, run, some_of_everything, span
from sources.answering import Answer, Answering, Asked, answering

from agenttrace_nb.export import metrics
from agenttrace_nb.export.contract import HandlerContract
from agenttrace_nb.export.datadog_metrics import DatadogMetricsHandler
from agenttrace_nb.export.handler import Context, Misconfigured, Refused, Retry, Sent
from agenttrace_nb.export.metrics import MetricBook
from agenttrace_nb.export.registry import load
from agenttrace_nb.secrets import Secret
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERIES, DISTRIBUTIONS = "/api/v2/series", "/api/v1/distribution_points"
MODELS = {SERIES: MetricPayload, DISTRIBUTIONS: DistributionPointsPayload}
KEY = Secret("invented-api-key", "env:DD_TEST_API")


def body(asked: Asked) -> dict[str, Any]:
    raw = gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body
    return json.loads(raw)


def accepted(asked: Asked) -> Answer:
    """Answer as Datadog does, for what its own models read without anything left over."""
    told = body(asked)
    configuration = Configuration(discard_unknown_keys=False)
    validate_and_convert_types(
        told, (MODELS[asked.path],), ["body"], spec_property_naming=True, check_type=True, configuration=configuration
    )  # fmt: skip
    return Answer(202, '{"errors":[]}' if asked.path == SERIES else '{"status":"ok"}')


@pytest.fixture
def stub() -> Iterator[Answering]:
    with answering(accepted) as started:
        yield started


def opened(stub: Answering, **options: Any) -> DatadogMetricsHandler:
    made = DatadogMetricsHandler()
    resource = {"service.name": "agenttrace_nb", "service.instance.id": "journal-1"}
    made.open(Context(name="here", options={"url": stub.url, "api_key": KEY, **options}, resource=resource))
    return made


def arrived(stub: Answering) -> tuple[dict[Any, float], dict[Any, list[float]]]:
    """The sums of counts and all values of distributions, by name and tags."""
    counts: dict[Any, float] = defaultdict(float)
    values: dict[Any, list[float]] = defaultdict(list)
    for asked in stub.asked:
        for one in body(asked)["series"]:
            key = (one["metric"], *sorted(one["tags"]))
            if asked.path == SERIES:
                counts[key] += sum(point["value"] for point in one["points"])
            else:
                values[key] += [value for _, listed in one["points"] for value in listed]
    return counts, values


class TestDatadogMetrics(HandlerContract):
    @pytest.fixture(autouse=True)
    def _stub(self, stub: Answering) -> None:
        self._url = stub.url

    def make(self, tmp_path: Path) -> tuple[DatadogMetricsHandler, dict[str, Any]]:
        return DatadogMetricsHandler(), {"url": self._url, "api_key": KEY}


def test_it_is_found_by_its_name() -> None:
    assert load("datadog-metrics") is DatadogMetricsHandler


def test_what_arrives_adds_up_to_what_happened(stub: Answering) -> None:
    handler, book, items = opened(stub), MetricBook(), some_of_everything()
    book.take(items)
    for start in range(0, len(items), 10):
        assert handler.export(tuple(items[start : start + 10])) == Sent()
    assert handler.export(tuple(items)) == Sent()
    counts, values = arrived(stub)
    own = ("instance:journal-1", "service:agenttrace_nb")
    for metric, points in book.snapshot().series.items():
        for labels, point in points.items():
            tags = [f"{name}:{value}" for name, value in zip(metric.labels, labels, strict=True) if value]
            key = (metric.name, *sorted([*tags, *own]))
            if metric.kind == "counter":
                assert counts.pop(key) == pytest.approx(point.value)
            else:
                assert len(values[key]) == point.count
                assert sum(values.pop(key)) == pytest.approx(point.value)
    assert not counts
    assert not values
    assert all(asked.headers["dd-api-key"] == "invented-api-key" for asked in stub.asked)


def test_no_two_requests_have_the_same_second(stub: Answering) -> None:
    handler = opened(stub)
    for _ in range(5):
        handler.export((call(),))
    seconds = [body(asked)["series"][0]["points"][0]["timestamp"] for asked in stub.asked if asked.path == SERIES]
    assert seconds == sorted(set(seconds))
    assert abs(seconds[0] - time.time()) < 60


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, Misconfigured, "look at api_key, and whether the site"), (401, Misconfigured, "look at api_key"),
        (404, Misconfigured, "not Datadog's intake"), (302, Misconfigured, "look at url and site"),
        (429, Retry, "429"), (408, Retry, "408"), (503, Retry, "503"), (400, Refused, "400"),
    ],
)  # fmt: skip
def test_each_answer_is_what_it_means(stub: Answering, status: int, kind: type, words: str) -> None:
    stub.answer = lambda _: Answer(status, '{"errors":["because"]}', {"retry-after": "7"})
    answer = opened(stub).export((run(),))
    assert isinstance(answer, kind)
    assert words in answer.reason
    assert "because" in answer.reason
    assert "invented" not in answer.reason
    if kind is Retry:
        assert answer.after_s == 7


@pytest.mark.parametrize("failing", [SERIES, DISTRIBUTIONS])
def test_what_was_not_taken_is_sent_again_and_what_was_is_not(stub: Answering, failing: str) -> None:
    handler, items = opened(stub), (call(), run())
    stub.answer = lambda asked: Answer(503) if asked.path == failing else accepted(asked)
    assert isinstance(handler.export(items), Retry)
    stub.answer = accepted
    refused = [asked for asked in stub.asked if asked.path == failing]
    stub.asked = [asked for asked in stub.asked if asked.path != failing]
    assert handler.export((*items, span(SpanKind.TOOL, "search", agent="a"))) == Sent()
    counts, values = arrived(stub)
    assert refused
    assert sum(value for (name, *_), value in counts.items() if name == metrics.RUNS.name) == 1
    assert sum(len(v) for (name, *_), v in values.items() if name == metrics.CALL_DURATION.name) == 1
    assert sum(len(v) for (name, *_), v in values.items() if name == metrics.TOOL_DURATION.name) == 1


def test_what_is_too_large_goes_in_smaller_parts(stub: Answering) -> None:
    def small_only(asked: Asked) -> Answer:
        return Answer(413, "too large") if len(body(asked)["series"]) > 3 else accepted(asked)

    stub.answer = small_only
    items = tuple(span(SpanKind.TOOL, f"tool-{n}", agent="a") for n in range(20))
    assert opened(stub).export(items) == Sent()
    taken = [asked for asked in stub.asked if len(body(asked)["series"]) <= 3]
    assert sum(len(body(asked)["series"]) for asked in taken) == 20


def test_further_tags_are_sent_and_wrong_options_named(stub: Answering) -> None:
    opened(stub, tags="team:travel, env:dev").export((run(),))
    assert {"team:travel", "env:dev"} <= set(body(stub.asked[0])["series"][0]["tags"])
    with pytest.raises(ValueError, match="tags: 'travel' is not allowed; each is name:value"):
        opened(stub, tags="travel")
    made = DatadogMetricsHandler()
    with pytest.raises(ValueError, match=r"site='datadoghq\.de' is not known; .*Did you mean datadoghq\.eu"):
        made.open(Context(name="here", options={"api_key": KEY, "site": "datadoghq.de"}))
    made.open(Context(name="here", options={"api_key": KEY, "site": "us5.datadoghq.com"}))
    assert made._base == "https://api.us5.datadoghq.com"
