"""Real input: recorded conversations and recorded HTTP, replayed through the real SDK inside a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bench import cassettes, tau
from bench.shared_data import reason_to_skip

from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.spans import Status, Trace
from capture import expected
from capture.recording import Recording, completed, recording

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = slice(3, None, 8)
"""25 of the 200 conversations: every eighth, so that all tasks and trials of the recording have their turn."""


@pytest.fixture(scope="module")
def tau_data() -> Path:
    data = tau.data()
    if data is None:
        pytest.skip(reason_to_skip(tau.DATA_SET))
    return data


@pytest.fixture(scope="module")
def cassette_data() -> Path:
    data = cassettes.data()
    if data is None:
        pytest.skip(reason_to_skip(cassettes.DATA_SET))
    return data


def from_the_file(rec: Recording) -> list[Trace]:
    """Return the traces as anybody reads them who has the journal's file only."""
    rec.journal.flush()
    assert rec.journal.path is not None
    reader = JournalReader(rec.journal.path)
    fold = Fold(reader.item)
    for event in reader.events():
        fold.apply(event)
    for span in [span for one in fold.traces.values() for span in one.spans]:
        _ = span.input, span.output  # they are read from the file when they are first asked for
    reader.close()
    return list(fold.traces.values())


def entries(message: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return a recorded message in the words of `expected.said`."""
    if message["role"] == "tool":
        return [("result", message["tool_call_id"], message["content"])]
    said = [(message["role"], message["content"])] if message.get("content") else []
    functions = [(made["id"], made["function"]) for made in message.get("tool_calls") or []]
    return [*said, *(("call", call_id, function["name"], function["arguments"]) for call_id, function in functions)]


def assistant_messages(record: dict[str, Any]) -> list[list[tuple[Any, ...]]]:
    """Return what the recorded agent said and called, message by message."""
    return [entries(message) for message in tau.with_unique_ids(record["traj"]) if message["role"] == "assistant"]


def tool_messages(record: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the recorded calls of tools that were answered: id, tool, arguments, result."""
    messages = tau.with_unique_ids(record["traj"])
    results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    made = [one for message in messages for one in message.get("tool_calls") or []]
    return [
        (one["id"], one["function"]["name"], one["function"]["arguments"], results[one["id"]])
        for one in made
        if one["id"] in results
    ]


def prompts(record: dict[str, Any]) -> list[list[tuple[Any, ...]]]:
    """Return what stood before each of the agent's messages."""
    messages = tau.with_unique_ids(record["traj"])
    asked = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    return [[entry for message in messages[:at] for entry in entries(message)] for at in asked]


async def compare(records: list[Any], tools: dict[str, Any], folder: Path, *, streamed: bool = False) -> None:
    """Replay conversations with tracing off and on; compare what the SDK makes of them, and what is recorded."""
    untraced = [await tau.replay(record, tools, streamed=streamed) for record in records]
    with recording(folder) as rec:
        traced = [await tau.replay(record, tools, streamed=streamed) for record in records]
        await completed(rec)
    assert rec.notes == []
    assert [tau.as_bytes(tau.rebuilt(one)) for one in traced] == [tau.as_bytes(tau.rebuilt(one)) for one in untraced]
    assert [tau.as_bytes(tau.rebuilt(one)) for one in traced] == [tau.as_bytes(tau.transcript(one)) for one in records]
    traces = from_the_file(rec)
    assert len(traces) == len(records)
    for one, record in zip(traces, records, strict=True):
        _compare_one(one, record)


def _compare_one(one: Trace, record: dict[str, Any]) -> None:
    assert (one.name, one.session) == (tau.WORKFLOW, f"task-{record['task_id']}")
    assert one.metadata == {"task_id": str(record["task_id"]), "trial": str(record["trial"])}
    assert {span.status for span in one.spans} == {one.status} == {Status.OK}
    spans = [span for span in one.spans if span.kind == "llm"]
    assert [expected.said(span.output) for span in spans] == assistant_messages(record)
    assert [expected.said(span.input) for span in spans] == prompts(record)
    assert {span.model for span in spans} == {tau.MODEL}
    assert all(span.input_tokens and span.output_tokens for span in spans)
    tools = [span for span in one.spans if span.kind == "tool"]
    assert [(s.attributes["call_id"], s.name, s.input, s.output) for s in tools] == tool_messages(record)


async def test_a_sample_of_the_recorded_conversations_is_recorded_as_it_was(tau_data: Path, tmp_path: Path) -> None:
    await compare(tau.load_records(tau_data)[SAMPLE], tau.load_tools(tau_data), tmp_path)


async def test_streamed_conversations_are_recorded_as_they_were(tau_data: Path, tmp_path: Path) -> None:
    await compare(tau.load_records(tau_data)[::50], tau.load_tools(tau_data), tmp_path, streamed=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_all_200_recorded_conversations_are_recorded_as_they_were(tau_data: Path, tmp_path: Path) -> None:
    records = tau.load_records(tau_data)
    assert len(records) == 200
    await compare(records, tau.load_tools(tau_data), tmp_path)


@pytest.mark.parametrize("name", cassettes.PROGRAMS)
async def test_recorded_http_is_recorded_through_the_real_models(
    name: str, cassette_data: Path, tmp_path: Path
) -> None:
    cassette = cassettes.Cassette.load(name, cassette_data)
    with recording(tmp_path) as rec:
        result = await cassettes.play(cassette)
        await completed(rec)
    assert rec.notes == []
    assert result.final_output == cassette.last_text
    spans = [span for one in from_the_file(rec) for span in one.spans if span.kind == "llm"]
    assert len(spans) == len(cassette.exchanges)
    for span, exchange, sent in zip(spans, cassette.exchanges, cassette.sent, strict=True):
        answer = exchange["response"]
        assert span.status is Status.OK
        assert span.model == answer["model"]
        assert span.attributes["requested_model"] == sent["model"]
        assert span.attributes["response_id"] == answer["id"]
        if "choices" in answer:
            assert expected.said(span.output)[0][1] == answer["choices"][0]["message"]["content"]
            assert span.attributes["finish_reason"] == answer["choices"][0]["finish_reason"]
        else:
            assert span.output == answer["output"]
            assert span.input[span.input[0].get("role") == "system" :] == sent["input"]
            assert span.attributes["finish_reason"] == answer["status"]
    tokens = [(span.input_tokens, span.output_tokens) for span in spans]
    assert (sum(a or 0 for a, _ in tokens), sum(b or 0 for _, b in tokens)) == (
        cassette.usage.input, cassette.usage.output,
    )  # fmt: skip
    assert sum(span.cached_tokens or 0 for span in spans) == cassette.usage.cached
    assert sum(span.reasoning_tokens or 0 for span in spans) == cassette.usage.reasoning
