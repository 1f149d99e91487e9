"""Splunk's own client and our handler speak alike with the collector that the other tests play."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from export.collector import Collector
from export.receiver import receiving
from interop.servers import ROOT, servers_folder
from requirements_met import require_or_skip

from agenttrace_nb.export.contract import example_items
from agenttrace_nb.export.handler import Content, Context, Sent
from agenttrace_nb.export.splunk_hec import SplunkHecHandler
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from export.receiver import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TOKEN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def collector() -> Iterator[tuple[Collector, Receiver]]:
    collector = Collector(TOKEN)
    with receiving() as receiver:
        receiver.answer(collector)
        yield collector, receiver


def splunks_client(url: str, token: str) -> dict[str, Any]:
    folder = servers_folder() / "splunk-logging"
    require_or_skip(folder.exists(), "needs splunk-logging: tests/interop/get_servers splunk-logging")
    program = ROOT / "tests" / "interop" / "post_with_splunk_logging.js"
    words = ["node", str(program), str(folder), url, token]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[0])


def test_splunks_client_and_our_handler_send_events_of_one_form(collector: tuple[Collector, Receiver]) -> None:
    taken, receiver = collector
    assert splunks_client(receiver.url, TOKEN) == {"body": {"text": "Success", "code": 0}}
    theirs, taken.events = taken.events, []
    handler = SplunkHecHandler()
    options = {"url": receiver.url, "token": Secret(TOKEN, "env:T"), "index": "agents", "host": "laptop"}
    handler.open(Context(name="splunk", options=options, content=Content.FULL))
    assert handler.export(example_items()) == Sent()
    handler.close()
    assert len(theirs) == 3
    for event in taken.events:
        assert event.keys() - {"fields"} == theirs[0].keys()
        assert {name: type(value) for name, value in event.items() if name != "fields"} == {
            name: type(value) for name, value in theirs[0].items()
        }


def test_splunks_client_understands_a_refusal(collector: tuple[Collector, Receiver]) -> None:
    taken, receiver = collector
    told = splunks_client(receiver.url, "wrong")
    assert told == {"error": "Invalid token", "code": 4}
    assert taken.events == []
