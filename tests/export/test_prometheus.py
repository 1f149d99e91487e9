"""A real Prometheus fetches what the handler serves."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
import requests
from export.ended import run, some_of_everything, span
from interop.servers import prometheus, wait_until

from agenttrace_nb.export import metrics
from agenttrace_nb.export.contract import HandlerContract
from agenttrace_nb.export.handler import Context, Handler, Retry, Sent
from agenttrace_nb.export.metrics import MetricBook
from agenttrace_nb.export.prometheus import PrometheusHandler
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.servers import Server

RESOURCE = {"service.name": "agenttrace", "service.instance.id": "20260101T000000-1-test"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as started:
        yield started


@pytest.fixture
def handler() -> Iterator[PrometheusHandler]:
    made = PrometheusHandler()
    made.open(Context(name="here", resource=RESOURCE))
    yield made
    made.close()


def opened(**options: object) -> PrometheusHandler:
    made = PrometheusHandler()
    made.open(Context(name="here", options=options, resource=RESOURCE))
    return made


def served(handler: PrometheusHandler, *, openmetrics: bool = False) -> str:
    accept = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain"
    answer = requests.get(f"http://127.0.0.1:{handler.port}/metrics", headers={"accept": accept}, timeout=10)
    assert answer.ok
    return answer.text


class TestPrometheus(HandlerContract):
    def make(self, tmp_path: Path) -> tuple[Handler, dict[str, str]]:
        return PrometheusHandler(), {"discovery": str(tmp_path / "targets")}


@pytest.mark.timeout(180)
def test_prometheus_has_the_same_figures_and_the_traces_behind_them(server: Server) -> None:
    handler, book, items = opened(discovery=str(server.folder / "targets")), MetricBook(), some_of_everything()
    book.take(items)
    assert handler.export(tuple(items)) == Sent()
    assert handler.export(tuple(items)) == Sent()  # as after an answer that was lost

    def value(query: str) -> dict[tuple[str, ...], float]:
        found = server.get("/api/v1/query", query=query)["data"]["result"]
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}

    try:
        wait_until(lambda: value("agenttrace_runs_total"), "Prometheus has the runs")
        now = book.snapshot().series
        for metric, query, labels in (
            (metrics.RUNS, "sum by (arch, status) (agenttrace_runs_total)", ("arch", "status")),
            (metrics.TOKENS, "sum by (kind, arch) (agenttrace_tokens_total)", ("kind", "arch")),
            (metrics.COST, "sum by (arch) (agenttrace_cost_usd_total)", ("arch",)),
            (metrics.ERRORS, "sum by (tool, type) (agenttrace_errors_total)", ("tool", "type")),
            (metrics.TOOL_DURATION, "sum by (tool) (gen_ai_execute_tool_duration_seconds_sum)", ("tool",)),
        ):
            expected: dict[tuple[tuple[str, str], ...], float] = {}
            for values, point in now[metric].items():
                known = dict(zip(metric.labels, values, strict=True))
                key = tuple(sorted((name, known[name]) for name in labels))
                expected[key] = expected.get(key, 0) + point.value
            assert value(query) == pytest.approx(expected), metric.name
        (info,) = value("target_info")
        assert dict(info)["service_instance_id"] == RESOURCE["service.instance.id"]
        found = server.get(
            "/api/v1/query_exemplars", query="gen_ai_invoke_agent_duration_seconds_bucket", start=0, end=9e9
        )
        shown = {e["labels"]["trace_id"] for one in found["data"] for e in one["exemplars"]}
        assert shown
        assert shown <= {item.span.trace_id for item in items if item.span and item.span.kind is SpanKind.AGENT}
    finally:
        handler.close()
    assert not list((server.folder / "targets").iterdir())


def test_both_formats_are_read_by_the_clients_own_parsers(handler: PrometheusHandler) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as plain

    hostile = 'a"b\\c\nd{e="f"} 1\u2028\ud800'
    handler.export((*some_of_everything(), span(SpanKind.TOOL, hostile, agent=hostile, arch=hostile), run(arch=None)))
    for parse, text in ((openmetrics, served(handler, openmetrics=True)), (plain, served(handler))):
        families = {family.name: family for family in parse(text)}
        buckets = {
            sample.labels["le"]
            for sample in families["gen_ai_execute_tool_duration_seconds"].samples
            if sample.name.endswith("_bucket")
        }
        assert {"0.01", "0.02", "0.64", "81.92", "+Inf"} <= buckets
        assert len(buckets) == 15
        tools = {s.labels.get("tool") for s in families["gen_ai_execute_tool_duration_seconds"].samples}
        assert 'a"b\\c\nd{e="f"} 1\u2028?' in tools


def test_a_port_is_chosen_and_told_or_taken_as_given(handler: PrometheusHandler) -> None:
    assert handler.port
    assert handler.where == f"serves http://127.0.0.1:{handler.port}/metrics"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        free = listening.getsockname()[1]
    second = opened(port=str(free))
    assert second.port == free
    second.close()


def test_it_serves_this_machine_only(handler: PrometheusHandler) -> None:
    assert handler._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_named_and_used_once_it_is_free() -> None:
    first = opened()
    second = opened(port=first.port)  # as after a restart, while the process before is still there
    answer = second.export((run(),))
    assert isinstance(answer, Retry)
    assert answer.reason.startswith(f"port {first.port} is in use")
    first.close()
    assert second.export((run(),)) == Sent()
    assert second.port == first.port
    assert 'agenttrace_runs_total{arch="triage",status="ok"} 1.0' in served(second)
    second.close()


def test_what_is_no_port_is_named() -> None:
    for wrong in ("http", -1, 65_536, "", 1.5):
        with pytest.raises(ValueError, match="whole number from 1 to 65535"):
            opened(port=wrong)


def test_the_address_is_written_for_prometheus_and_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    handler = opened(discovery=str(folder))
    (file,) = folder.iterdir()
    assert json.loads(file.read_text()) == [{"targets": [f"127.0.0.1:{handler.port}"]}]
    handler.close()
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_to_is_named_and_the_port_given_back(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"discovery=.*cannot be written to"):
        opened(discovery=str(tmp_path / "file" / "inside"))


def test_an_empty_book_is_served_too(handler: PrometheusHandler) -> None:
    text = served(handler, openmetrics=True)
    assert text.endswith("# EOF\n")
    assert "# TYPE agenttrace_runs counter" in text
