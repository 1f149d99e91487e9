"""Splunk's HTTP Event Collector, played with its documented replies: what is sent, and what each reply means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from export.collector import Collector, reply
from export.receiver import Receiver, Request, Response, receiving
from export.recorded_items import RUN, items_of

from agenttrace_nb.export import splunk_hec
from agenttrace_nb.export.contract import example_items, hostile_items
from agenttrace_nb.export.handler import Content, Context, Item, Misconfigured, Moment, Refused, Retry, Sent, TooLarge
from agenttrace_nb.export.splunk_hec import SplunkHecHandler
from agenttrace_nb.secrets import Secret
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "11111111-2222-3333-4444-555555555555"


SUCCESS = reply(200, "Success", 0)


@pytest.fixture
def splunk() -> Iterator[Receiver]:
    with receiving() as made:
        made.answer(SUCCESS)
        yield made


def opened(splunk: Receiver, **options: Any) -> SplunkHecHandler:
    handler = SplunkHecHandler()
    options = {"url": splunk.url, "token": Secret(TOKEN, "env:SPLUNK"), **options}
    handler.open(Context(name="splunk", options=options, content=Content.FULL))
    return handler


def events(request: Request) -> list[dict[str, Any]]:
    """Read the events that stand in a body one after the other, as Splunk does."""
    decoder, text, at, found = json.JSONDecoder(), request.body.decode(), 0, []
    while at < len(text):
        event, at = decoder.raw_decode(text, at)
        found.append(event)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def marked(count: int) -> tuple[Item, ...]:
    return tuple(Item(moment=Moment.TEST, event_id=f"test:{n}") for n in range(count))


async def test_each_step_is_an_event_with_its_time_and_fields(splunk: Receiver, tmp_path: Path) -> None:
    items = await items_of("single_agent_with_tool", tmp_path)
    handler = opened(splunk, index="agents", host="laptop")
    assert handler.export(tuple(items)) == Sent()
    handler.close()
    (request,) = splunk.requests
    assert request.path == "/services/collector/event"
    assert request.headers["authorization"] == f"Splunk {TOKEN}"
    assert request.was_gzip
    sent = events(request)
    assert len(sent) == len(items)
    for item, event in zip(items, sent, strict=True):
        assert event["time"] == f"{item.span.start_ns / 1e9:.0f}"[:4] + event["time"][4:]
        assert int(event["time"].replace(".", "")) == item.span.start_ns
        assert (event["index"], event["host"], event["source"], event["sourcetype"]) == (
            "agents", "laptop", "agenttrace_nb", "agenttrace:event",
        )  # fmt: skip
        fields = event["fields"]
        assert fields["event_id"] == item.event_id == f"{item.span.trace_id}:{item.span.span_id}"
        assert all(isinstance(value, str) for value in fields.values())
        assert (fields["kind"], fields["run"], fields["arch"]) == (item.span.kind.value, RUN.key, "triage")
        assert event["event"]["name"] == item.span.name
    (tool,) = [e["event"] for e in sent if e["event"]["kind"] == "tool"]
    assert json.loads(tool["input"]) == {"a": 2, "b": 3}
    assert tool["output"] == 5


def test_a_run_is_an_event_too(splunk: Receiver) -> None:
    handler = opened(splunk)
    handler.export((Item(moment=Moment.RUN, event_id="run:run-1", run=RUN),))
    handler.close()
    ((event,),) = [events(request) for request in splunk.requests]
    assert event["fields"] == {
        "event_id": "run:run-1", "moment": "run", "status": Status.RUNNING.value, "arch": "triage", "run": "run-1",
    }  # fmt: skip
    assert "index" not in event


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (reply(403, "Token disabled", 1), Misconfigured, "switch it on"),
        (reply(401, "Token is required", 2), Misconfigured, "option token"),
        (reply(401, "Invalid authorization", 3), Misconfigured, "option token"),
        (reply(403, "Invalid token", 4), Misconfigured, "no such token"),
        (reply(400, "No data", 5), Refused, "nothing to store"),
        (reply(400, "Invalid data format", 6), Refused, "does not understand"),
        (reply(400, "Incorrect index", 7), Misconfigured, "option index"),
        (reply(500, "Internal server error", 8), Retry, "error of its own"),
        (reply(503, "Server is busy", 9), Retry, "busy"),
        (reply(400, "Data channel is missing", 10), Misconfigured, "ack=on"),
        (reply(400, "Invalid data channel", 11), Misconfigured, "channel"),
        (reply(400, "Event field is required", 12), Refused, "missing"),
        (reply(400, "Event field cannot be blank", 13), Refused, "empty"),
        (reply(400, "ACK is disabled", 14), Misconfigured, "ack=off"),
        (reply(400, "Error in handling indexed fields", 15), Refused, "fields"),
        (reply(503, "HEC is unhealthy, queues are full", 18), Retry, "queues are full"),
        (Response(413, b"Content-Length of 900000000 too large"), TooLarge, "413"),
        (Response(429, headers={"Retry-After": "3"}), Retry, "429"),
        (Response(401, b"Unauthorized"), Misconfigured, "options token and url"),
        (Response(404, b"<html>Not found</html>"), Misconfigured, "8088"),
        (Response(303, headers={"Location": "/en-US/"}), Misconfigured, "no HTTP Event Collector"),
    ],
)  # fmt: skip
def test_every_reply_is_told_in_words(answer: Response, kind: type, words: str, splunk: Receiver) -> None:
    splunk.answer(answer)
    handler = opened(splunk)
    told = handler.export(marked(1))
    handler.close()
    assert type(told) is kind
    assert words in told.reason
    assert TOKEN not in repr(told)
    assert getattr(told, "after_s", None) == (3.0 if answer.status == 429 else None)


def test_an_event_that_splunk_calls_invalid_is_left_out_and_the_others_arrive(splunk: Receiver) -> None:
    splunk.answer(reply(400, "Invalid data format", 6, invalid_event_number=1), SUCCESS)
    handler = opened(splunk)
    told = handler.export(marked(3))
    handler.close()
    assert isinstance(told, Refused)
    assert told.event_ids == {"test:1"}
    assert [e["fields"]["event_id"] for e in events(splunk.requests[-1])] == ["test:0", "test:2"]


def test_when_the_rest_does_not_arrive_all_is_tried_again(splunk: Receiver) -> None:
    splunk.answer(reply(400, "Invalid data format", 6, invalid_event_number=1), reply(503, "Server is busy", 9))
    handler = opened(splunk)
    assert isinstance(handler.export(marked(3)), Retry)
    handler.close()


async def test_a_collector_by_the_rules_takes_every_kind_of_step(splunk: Receiver, tmp_path: Path) -> None:
    collector = Collector(TOKEN)
    splunk.answer(collector)
    items = [*await items_of("mcp_over_stdio", tmp_path), *hostile_items(), *example_items()]
    handler = opened(splunk, index="agents")
    assert handler.export(tuple(items)) == Sent()
    handler.close()
    assert [event["fields"]["event_id"] for event in collector.events] == [item.event_id for item in items]


def test_a_wrong_index_or_token_stops_the_handler_and_not_the_collector(splunk: Receiver) -> None:
    collector = Collector(TOKEN)
    splunk.answer(collector)
    for options, words in (
        ({"index": "secret"}, "option index"),
        ({"token": Secret("other", "env:T")}, "no such token"),
    ):
        handler = opened(splunk, **options)
        told = handler.export(marked(2))
        handler.close()
        assert isinstance(told, Misconfigured)
        assert words in told.reason
    assert collector.events == []


# --------------------------------------------------------------------------------------------------- acknowledgements


class Acknowledging:
    """A collector that stores batches some time after it took them."""

    def __init__(self, asked_in_vain: int) -> None:
        self.taken: list[list[str]] = []
        self.in_vain = asked_in_vain

    def __call__(self, request: Request) -> Response:
        channel = request.headers["x-splunk-request-channel"]
        if request.path.startswith("/services/collector/ack"):
            assert request.path.endswith(f"?channel={channel}")
            ids = json.loads(request.body)["acks"]
            self.in_vain -= 1
            done = self.in_vain < 0
            return Response(200, json.dumps({"acks": {str(n): done for n in ids}}).encode())
        self.taken.append([e["fields"]["event_id"] for e in events(request)])
        return reply(200, "Success", 0, ackId=len(self.taken) - 1)


def test_with_acknowledgements_a_batch_has_arrived_when_it_is_stored(splunk: Receiver, monkeypatch) -> None:
    monkeypatch.setattr(splunk_hec, "_FIRST_PAUSE_S", 0.001)
    collector = Acknowledging(asked_in_vain=3)
    splunk.answer(collector)
    handler = opened(splunk, ack="on")
    assert handler.export(marked(2)) == Sent()
    handler.close()
    assert collector.taken == [["test:0", "test:1"]]


def test_what_was_taken_is_asked_for_before_it_is_sent_again(splunk: Receiver, monkeypatch) -> None:
    monkeypatch.setattr(splunk_hec, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(splunk_hec, "_ACK_WAIT_S", 0.0)
    collector = Acknowledging(asked_in_vain=2)
    splunk.answer(collector)
    handler = opened(splunk, ack="on")
    assert isinstance(handler.export(marked(2)), Retry)
    assert isinstance(handler.export(marked(2)), Retry)
    assert handler.export(marked(3)) == Sent()  # meanwhile one more waits
    handler.close()
    assert collector.taken == [["test:0", "test:1"], ["test:2"]]


def test_what_is_never_stored_is_sent_again(splunk: Receiver, monkeypatch) -> None:
    monkeypatch.setattr(splunk_hec, "_ACK_WAIT_S", 0.0)
    monkeypatch.setattr(splunk_hec, "_ACK_GIVE_UP_S", -1.0)
    collector = Acknowledging(asked_in_vain=1)
    splunk.answer(collector)
    handler = opened(splunk, ack="on")
    assert isinstance(handler.export(marked(1)), Retry)
    assert handler.export(marked(1)) == Sent()
    handler.close()
    assert collector.taken == [["test:0"], ["test:0"]]


# -------------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "splunk:8088"}, "url: an address begins"),
        ({"url": "http://splunk.example:8088"}, "without TLS"),
        ({"ack": "maybe"}, "ack: on or off"),
        ({"ca_file": "/absent.pem"}, "ca_file: there is no file"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], words: str, splunk: Receiver) -> None:
    with pytest.raises(ValueError, match=words) as told:
        opened(splunk, **options)
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize("ending", ["", "/", "/services/collector", "/services/collector/event"])
def test_the_collectors_path_may_be_given_or_left_out(ending: str, splunk: Receiver) -> None:
    handler = opened(splunk, url=splunk.url + ending)
    assert handler.export(marked(1)) == Sent()
    handler.close()
    assert splunk.requests[0].path == "/services/collector/event"
