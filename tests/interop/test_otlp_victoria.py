"""VictoriaMetrics takes our metrics over OTLP, and gives the figures back by Prometheus' language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from export.ended import some_of_everything
from interop.servers import victoria_metrics, wait_until

from agenttrace_nb.export.handler import Context, Sent
from agenttrace_nb.export.metrics import RUNS, TOKENS, TOOL_DURATION, MetricBook
from agenttrace_nb.export.otlp import OtlpHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with victoria_metrics(tmp_path_factory.mktemp("victoria")) as running:
        yield running


def total(server: Server, query: str) -> float:
    def answer() -> list[float]:
        requests.get(f"{server.url}/internal/force_flush", timeout=30)
        found = server.get("/api/v1/query", query=query)["data"]["result"]
        return [float(one["value"][1]) for one in found]

    (value,) = wait_until(answer, query)
    return value


def test_victoria_metrics_gives_the_figures_back(server: Server) -> None:
    items = some_of_everything()
    book = MetricBook()
    book.take(items)
    series = book.snapshot().series
    handler = OtlpHandler()
    options = {"signals": "metrics", "metrics_url": f"{server.url}/opentelemetry/v1/metrics"}
    handler.open(Context(name="victoria", options=options, resource={"service.name": "agents"}))
    assert handler.export(tuple(items)) == Sent()
    handler.close()
    assert total(server, "sum(agenttrace_runs_total)") == sum(point.value for point in series[RUNS].values())
    assert total(server, "sum(agenttrace_tokens_total)") == sum(point.value for point in series[TOKENS].values())
    tools = series[TOOL_DURATION].values()
    assert total(server, "sum(gen_ai_execute_tool_duration_seconds_count)") == sum(point.count for point in tools)
    expected = pytest.approx(sum(point.value for point in tools), rel=1e-12)
    assert total(server, "sum(gen_ai_execute_tool_duration_seconds_sum)") == expected
