"""Datadog's own test agent takes our OTLP traces; forwarding is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb.export.handler import Content, Context, Sent
from agenttrace_nb.export.otlp import OtlpHandler
from export.recorded_items import items_of
from interop.servers import datadog_agent, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.servers import Server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with datadog_agent(tmp_path_factory.mktemp("datadog")) as server:
        yield server


def received(agent: Server, count: int) -> list[dict[str, Any]]:
    def spans() -> list[dict[str, Any]]:
        return [span for request in agent.get("/test/session/traces") for span in _spans(request)]

    return wait_until(lambda: found if len(found := spans()) >= count else None, "spans at the agent")


def _spans(request: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        span
        for of_process in request.get("resource_spans", [])
        for of_scope in of_process.get("scope_spans", [])
        for span in of_scope.get("spans", [])
    ]


async def test_datadogs_agent_takes_the_spans_of_a_run(agent: Server, tmp_path: Path) -> None:
    items = await items_of("triage_with_handoffs", tmp_path)
    handler = OtlpHandler()
    endpoint = f"http://127.0.0.1:{agent.ports['otlp']}"
    options = {"preset": "datadog-agent", "endpoint": endpoint}
    handler.open(Context(name="datadog", options=options, content=Content.FULL, resource={"service.name": "agents"}))
    assert handler.export(tuple(items)) == Sent()
    handler.close()
    print(received(agent, 1)[:2])
    assert 0
