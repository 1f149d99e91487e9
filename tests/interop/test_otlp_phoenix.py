"""Arize Phoenix takes our spans over OTLP and knows what each is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bench.models import Kind
from export.recorded_items import items_of
from interop.servers import phoenix, wait_until

from agenttrace_nb.export.handler import Content, Context, Sent
from agenttrace_nb.export.otlp import OtlpHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with phoenix(tmp_path_factory.mktemp("phoenix")) as running:
        yield running


async def test_phoenix_reads_a_run_under_openinference(server: Server, tmp_path: Path) -> None:
    items = await items_of("single_agent_with_tool", tmp_path, kind=Kind.RESPONSES)
    handler = OtlpHandler()
    options = {"endpoint": server.url, "convention": "openinference"}
    handler.open(Context(name="phoenix", options=options, content=Content.FULL, resource={"service.name": "agents"}))
    for _ in range(2):  # as after an answer that was lost
        assert handler.export(tuple(items)) == Sent()
    handler.close()
    expected = {i.span.span_id: i.span for i in items if i.span.kind != "turn"}

    def stored() -> list[dict[str, Any]]:
        found = server.get("/v1/projects/default/spans", limit=100)["data"]
        return found if len(found) >= len(expected) else []

    spans = {span["context"]["span_id"]: span for span in wait_until(stored, "the spans in Phoenix")}
    assert spans.keys() == expected.keys()
    kinds = {"workflow": "AGENT", "agent": "AGENT", "llm": "LLM", "tool": "TOOL"}
    assert {id_: span["span_kind"] for id_, span in spans.items()} == {
        id_: kinds[span.kind.value] for id_, span in expected.items()
    }
    for id_, span in spans.items():
        if expected[id_].kind == "llm":
            assert span["attributes"]["llm.token_count.prompt"] == expected[id_].input_tokens
            assert span["attributes"]["llm.model_name"] == expected[id_].model
