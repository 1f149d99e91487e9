"""Datadog's own test agent takes our OTLP traces; it passes nothing on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from export.ended import some_of_everything
from export.recorded_items import items_of
from interop.servers import datadog_agent

from agenttrace_nb.export.handler import Content, Context, Sent
from agenttrace_nb.export.otlp import OtlpHandler
from agenttrace_nb.export.sender import marked_item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.export.handler import Item

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with datadog_agent(tmp_path_factory.mktemp("datadog")) as server:
        yield f"http://127.0.0.1:{server.ports['otlp']}"


def sent(agent: str, *items: Item, **options: Any) -> list[dict[str, Any]]:
    """Send items, and return the spans that the agent read of them."""
    requests.get(f"{agent}/test/session/clear", timeout=30).raise_for_status()
    handler = OtlpHandler()
    options = {"preset": "datadog-agent", "endpoint": agent, **options}
    handler.open(Context(name="datadog", options=options, content=Content.FULL, resource={"service.name": "agents"}))
    assert handler.export(items) == Sent()
    handler.close()
    answer = requests.get(f"{agent}/test/session/traces", timeout=30)
    answer.raise_for_status()
    return [
        span
        for taken in answer.json()
        for of_process in _of(taken, "resource_spans")
        for of_scope in _of(of_process, "scope_spans")
        for span in of_scope["spans"]
    ]


def _of(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    first, *rest = name.split("_")
    return found.get(name) or found.get(first + "".join(word.title() for word in rest)) or []


def known(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


async def test_datadogs_agent_takes_the_spans_of_a_run(agent: str, tmp_path: Path) -> None:
    items = await items_of("triage_with_handoffs", tmp_path)
    spans = sent(agent, *items)
    assert len(spans) == len([item for item in items if item.span.kind != "turn"])
    calls = [known(span) for span in spans if span["name"] == "chat gpt-4o-mini"]
    assert len(calls) == 4
    for call in calls:
        assert call["gen_ai.operation.name"] == "chat"
        assert call["gen_ai.provider.name"] == "openai"
        assert int(call["gen_ai.usage.input_tokens"]) > 0
    ((tool,),) = [[known(s) for s in spans if s["name"] == "execute_tool lookup_order"]]
    assert tool["gen_ai.tool.call.result"] == "order A-17: 2 chairs, delivered"


@pytest.mark.parametrize("convention", ["genai", "openinference"])
def test_a_test_of_the_user_arrives_at_datadogs_agent(agent: str, convention: str) -> None:
    (span,) = sent(agent, marked_item("datadog"), convention=convention)
    assert known(span)["agenttrace.test"] is True


def test_datadogs_agent_takes_metrics_as_what_was_added(agent: str) -> None:
    sent(agent, *some_of_everything(), signals="metrics")
    (taken,) = requests.get(f"{agent}/test/session/metrics", timeout=30).json()
    found = [m for r in _of(taken, "resource_metrics") for s in _of(r, "scope_metrics") for m in s["metrics"]]
    (runs,) = [metric["sum"] for metric in found if metric["name"] == "agenttrace.runs"]
    (temporality,) = [value for name, value in runs.items() if name.lower().startswith("aggregation")]
    assert str(temporality) in {"1", "AGGREGATION_TEMPORALITY_DELTA"}
    points = runs.get("data_points") or runs["dataPoints"]
    assert sum(point.get("as_double", point.get("asDouble")) for point in points) == 6
