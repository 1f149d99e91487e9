"""Recorded conversations and recorded HTTP play through the real SDK, and it makes the recording of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents.exceptions import ModelBehaviorError
from agents.tracing import set_trace_processors

from bench import cassettes, tau
from bench.shared_data import reason_to_skip

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_exporter():
    """Take the SDK's own exporter away; it would send what it sees to its maker."""
    set_trace_processors([])
    yield
    set_trace_processors([])


@pytest.fixture(scope="module")
def tau_data() -> Path:
    data = tau.data()
    if data is None:
        pytest.skip(reason_to_skip(tau.DATA_SET))
    return data


@pytest.mark.timeout(120)
async def test_sdk_rebuilds_all_200_recorded_conversations_byte_for_byte(tau_data):
    records, tools = tau.load_records(tau_data), tau.load_tools(tau_data)
    different = []
    for index, record in enumerate(records):
        history = await tau.replay(record, tools)
        if tau.as_bytes(tau.rebuilt(history)) != tau.as_bytes(tau.transcript(record)):
            different.append(index)
    assert (len(records), different) == (200, [])


async def test_sdk_rebuilds_streamed_conversations_byte_for_byte(tau_data):
    records, tools = tau.load_records(tau_data)[::20], tau.load_tools(tau_data)
    for record in records:
        history = await tau.replay(record, tools, streamed=True)
        assert tau.as_bytes(tau.rebuilt(history)) == tau.as_bytes(tau.transcript(record))


def test_comparison_of_conversations_sees_one_changed_byte(tau_data):
    record = tau.load_records(tau_data)[0]
    entries = tau.transcript(record)
    changed = [*entries[:-1], (entries[-1][0], entries[-1][1] + " ")]
    assert tau.as_bytes(changed) != tau.as_bytes(entries)


def _call_ids(messages: list[Any]) -> list[str]:
    return [made["id"] for message in messages for made in message.get("tool_calls") or []]


def test_ids_that_49_recordings_use_twice_are_made_unique(tau_data):
    recordings = [record["traj"] for record in tau.load_records(tau_data)]
    assert sum(len(set(_call_ids(messages))) < len(_call_ids(messages)) for messages in recordings) == 49
    for messages in recordings:
        repaired = tau.with_unique_ids(messages)
        assert len(set(_call_ids(repaired))) == len(_call_ids(messages))
        results = [message["tool_call_id"] for message in repaired if message["role"] == "tool"]
        assert results == _call_ids(repaired)


async def test_sdk_refuses_16_recordings_whose_ids_are_left_as_they_are(tau_data, monkeypatch):
    records, tools = tau.load_records(tau_data), tau.load_tools(tau_data)
    monkeypatch.setattr(tau, "with_unique_ids", lambda messages: messages)
    refused = 0
    for record in records:
        exchanges = tau.split(record["traj"])[1]
        if any(len(set(ids)) < len(ids) for ids in (_call_ids(exchange.answers) for exchange in exchanges)):
            with pytest.raises(ModelBehaviorError, match="reused a completed tool call ID"):
                await tau.replay(record, tools)
            refused += 1
    assert refused == 16


@pytest.fixture(scope="module")
def cassette_data() -> Path:
    data = cassettes.data()
    if data is None:
        pytest.skip(reason_to_skip(cassettes.DATA_SET))
    return data


CHANGED_SINCE = {"responses": 1, "function_tool_exception": 1, "mcp": 1}
"""Tool results that today's SDK words otherwise than the one that made the recording."""


@pytest.mark.parametrize("name", cassettes.PROGRAMS)
async def test_recorded_http_plays_through_the_real_models(name, cassette_data):
    cassette = cassettes.Cassette.load(name, cassette_data)
    result = await cassettes.play(cassette)
    assert result.final_output == cassette.last_text
    assert len(cassette.sent) == len(cassette.exchanges)
    changed = cassette.changed_questions()
    assert len(changed) == CHANGED_SINCE.get(name, 0)
    assert {item["type"] for pair in changed for item in pair} <= {"function_call_output"}


def test_every_recording_has_a_program(cassette_data):
    assert {path.stem.removeprefix("test_") for path in cassette_data.glob("*.json")} == set(cassettes.PROGRAMS)
