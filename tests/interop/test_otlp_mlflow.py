"""MLflow's own OTLP intake reads our spans back as traces with types, tokens and messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bench.models import Kind
from end_to_end.servers import TrackingServer
from export.recorded_items import items_of
from interop.servers import wait_until

from agenttrace_nb.export.handler import Content, Context, Sent
from agenttrace_nb.export.otlp import OtlpHandler
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import mlflow

    from agenttrace_nb.export.handler import Item

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CONVENTIONS = ("genai", "openinference")
TYPES = {
    "genai": {"llm": "CHAT_MODEL", "tool": "TOOL", "agent": "AGENT"},
    "openinference": {"llm": "LLM", "tool": "TOOL", "agent": "AGENT"},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    import mlflow

    with TrackingServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield mlflow.MlflowClient(server.uri)


def sent(client: mlflow.MlflowClient, items: list[Item], convention: str) -> Any:
    """Send items to an experiment of their own, and return the trace that MLflow made of them."""
    experiment = client.create_experiment(f"{convention} {items[0].span.trace_id}")
    options = {
        "endpoint": client.tracking_uri, "convention": convention,
        "headers": Secret(f"x-mlflow-experiment-id={experiment}", "env:HEADERS"),
    }  # fmt: skip
    handler = OtlpHandler()
    handler.open(Context(name="mlflow", options=options, content=Content.FULL, resource={"service.name": "agents"}))
    for _ in range(2):  # as after an answer that was lost: each span is kept once
        assert handler.export(tuple(items)) == Sent()
    handler.close()
    (trace,) = wait_until(lambda: client.search_traces([experiment]), "the trace in MLflow")
    return trace


@pytest.mark.parametrize("convention", CONVENTIONS)
async def test_mlflow_reads_a_run_back_from_otlp(client: mlflow.MlflowClient, convention: str, tmp_path: Path) -> None:
    items = await items_of("single_agent_with_tool", tmp_path, kind=Kind.RESPONSES)
    trace = sent(client, items, convention)
    recorded = {item.span.span_id: item.span for item in items}
    stored = {span.span_id: span for span in trace.data.spans}
    assert len(stored) == len(trace.data.spans)
    assert stored.keys() == {id_ for id_, span in recorded.items() if span.kind != "turn"}
    for span_id, span in stored.items():
        kind = recorded[span_id].kind.value
        assert span.span_type == TYPES[convention].get(kind, span.span_type)
        if kind == "llm":
            usage = span.get_attribute("mlflow.chat.tokenUsage")
            assert usage["input_tokens"] == recorded[span_id].input_tokens
            assert usage["output_tokens"] == recorded[span_id].output_tokens
            assert "What is 2 + 3?" in json.dumps(span.inputs)
        if kind == "tool":
            assert span.inputs == {"a": 2, "b": 3}
            assert str(span.outputs) == "5"
    assert sum(span.input_tokens or 0 for span in recorded.values()) == trace.info.token_usage["input_tokens"]


async def test_a_session_is_one_in_mlflow_too(client: mlflow.MlflowClient, tmp_path: Path) -> None:
    items = await items_of("session_two_runs", tmp_path)
    first = [item for item in items if item.span.trace_id == items[0].span.trace_id]
    trace = sent(client, first, "genai")
    assert trace.info.trace_metadata["mlflow.trace.session"] == items[0].trace.session
