"""VictoriaMetrics speaks Prometheus' language to us, and takes what we send to Datadog."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from export.ended import some_of_everything
from interop.servers import victoria_metrics, wait_until

from agenttrace_nb.export import metrics
from agenttrace_nb.export.datadog_metrics import DatadogMetricsHandler
from agenttrace_nb.export.handler import Context
from agenttrace_nb.export.metrics import MetricBook
from agenttrace_nb.secrets import Secret
from agenttrace_nb.sources import SourceError
from agenttrace_nb.sources.pull import pull

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
POINTS = 12_500
END_S = int(datetime.now(UTC).timestamp()) // 60 * 60 - 600
START_S = END_S - POINTS + 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with victoria_metrics(tmp_path_factory.mktemp("victoria")) as started:
        yield started


def flushed(server: Server) -> None:
    assert requests.get(f"{server.url}/internal/force_flush", timeout=30).ok


def test_values_are_the_servers_to_the_last_digit_over_many_parts(server: Server) -> None:
    lines = [f'cpu_load{{host="a"}} {math.sin(at) * 10 ** (at % 9)!r} {at * 1000}' for at in range(START_S, END_S + 1)]
    written = requests.post(f"{server.url}/api/v1/import/prometheus", data="\n".join(lines), timeout=60)
    assert written.ok
    flushed(server)
    times = {"start": datetime.fromtimestamp(START_S, UTC), "end": datetime.fromtimestamp(END_S, UTC), "step": 1}
    frame = wait_until(
        lambda: [found] if len(found := pull("prometheus", "cpu_load", url=server.url, store=False, **times)) else None,
        "what was written",
    )[0]
    raw: list[tuple[int, float]] = []
    for start in range(START_S, END_S + 1, 5000):
        told = server.get("/api/v1/query_range", query="cpu_load", start=start, end=min(END_S, start + 4999), step="1")
        raw += [(at * 1000, float(value)) for at, value in told["data"]["result"][0]["values"]]
    assert [(at.value // 1_000_000, value) for at, value in zip(frame["time"], frame["value"], strict=True)] == raw
    assert len(raw) == POINTS


def test_a_bad_query_is_named(server: Server) -> None:
    with pytest.raises(SourceError, match=r"refuses this query \(HTTP 4\d\d\): .*rate\("):
        pull("prometheus", "rate(", start="2026-01-31", end="2026-02-01", url=server.url, store=False)


def test_it_takes_our_counts_as_datadog_does(server: Server) -> None:
    handler, book, items = DatadogMetricsHandler(), MetricBook(), tuple(some_of_everything())
    book.take(items)
    key = Secret("invented", "env:SOME")
    handler.open(Context(name="here", options={"url": f"{server.url}/datadog", "api_key": key}))
    handler.export(items)  # it has no distributions, and says so; counts go first
    handler.close()
    flushed(server)

    def stored() -> dict[tuple[str, str], float]:
        found: list[dict[str, Any]] = server.get("/api/v1/query", query='{__name__="agenttrace.runs"}')["data"][
            "result"
        ]
        return {(one["metric"]["arch"], one["metric"]["status"]): float(one["value"][1]) for one in found}

    assert wait_until(stored, "the runs") == {
        labels: point.value for labels, point in book.snapshot().series[metrics.RUNS].items()
    }
