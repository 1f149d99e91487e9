"""The process that exports, beside a kernel: from a journal to a file, killed and started again."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from end_to_end.programs import Program
from export.receiver import Response, receiving
from export.recorded import event_ids, record, wait_for

from agenttrace_nb.export import control, notices, process
from agenttrace_nb.export.status import statuses
from agenttrace_nb.journal.append import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.export.process import Exporting
    from agenttrace_nb.export.status import HandlerStatus

TAKEN = Response(200, b'{"text":"Success","code":0}')

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def said(monkeypatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(notices, "_listener", heard.append)
    return heard


@pytest.fixture
def journal(tmp_path, monkeypatch) -> Iterator[Journal]:
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path))
    (tmp_path / "journals").mkdir(mode=0o700)
    journal = Journal(tmp_path / "journals" / "20260101T000000-1-abc.journal")
    monkeypatch.setattr(control, "process_journal", lambda: journal)
    yield journal
    journal.close()
    end(journal)


def end(journal: Journal) -> None:
    exporting = process._exportings.pop(journal.path, None)
    if exporting is not None:
        exporting.close()
        exporting.companion.process.wait(90)
        wait_for(lambda: exporting.companion._thread is None)


def exporting(journal: Journal) -> Exporting:
    return process.exporting_of(journal.path)


def status(name: str = "jsonl") -> HandlerStatus:
    (found,) = [one for one in statuses() if one.settings.name == name]
    return found


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def event_ids_in(body: bytes) -> list[str]:
    """Return the ids of the events in a request to Splunk: JSON objects, one behind the other."""
    text, at, found = body.decode(), 0, []
    while at < len(text):
        event, at = json.JSONDecoder().raw_decode(text, at)
        found.append(event["fields"]["event_id"])
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def test_what_is_recorded_arrives_in_a_file(journal, tmp_path):
    target = tmp_path / "agents.jsonl"
    control.export_to("jsonl", path=str(target))
    expected = record(journal, traces=3, spans=5)
    assert control.flush("jsonl")
    lines = lines_of(target)
    assert [line["event_id"] for line in lines if line["moment"] == "run"] == ["run:run"]
    assert {line["event_id"] for line in lines if line["moment"] == "span"} == expected
    assert len(lines) == len(expected) + 1
    assert target.stat().st_mode & 0o777 == 0o600
    found = status()
    assert (found.sent, found.waiting, found.dropped.total(), found.problem) == (16, 0, 0, None)
    assert found.success_s < 60


def test_killed_in_the_middle_it_goes_on_and_sends_nothing_twice(journal, tmp_path):
    target = tmp_path / "agents.jsonl"
    control.export_to("jsonl", path=str(target))
    expected = record(journal, traces=20, spans=50)
    control.begin()
    wait_for(lambda: exporting(journal).companion.process and lines_of(target))
    os.kill(exporting(journal).companion.process.pid, signal.SIGKILL)
    expected |= record(journal, traces=20, spans=50, first=100, key="second")
    assert control.flush("jsonl", 90)
    ids = [line["event_id"] for line in lines_of(target)]
    assert set(ids) == expected | {"run:run", "run:second"}
    # It may die between the answer of a target and its own note of it: one batch, under the same ids.
    assert len(ids) <= len(set(ids)) + 512


def test_what_a_dead_kernel_left_is_sent_by_the_next_one(journal, tmp_path):
    target = tmp_path / "agents.jsonl"
    control.export_to("jsonl", path=str(target))
    left = Journal(tmp_path / "journals" / "20260101T000001-2-dead.journal")
    expected = record(left, traces=2, spans=5)
    left.close()
    expected |= record(journal, traces=1, spans=5, first=50, key="own")
    assert control.flush("jsonl", 90)
    wait_for(lambda: status().waiting == 0)
    assert {line["event_id"] for line in lines_of(target)} == expected | {"run:run", "run:own"}
    assert status().sent == len(expected) + 2


def test_the_kernel_may_end_at_once_and_everything_arrives(journal, tmp_path):
    target = tmp_path / "agents.jsonl"
    control.export_to("jsonl", path=str(target))
    expected = record(journal, traces=2, spans=100)
    journal.close()
    end(journal)
    assert {line["event_id"] for line in lines_of(target)} == expected | {"run:run"}


def test_a_token_that_is_set_later_brings_a_handler_on(journal, said, monkeypatch):
    monkeypatch.delenv("TOKEN_FOR_TESTS", raising=False)
    with receiving() as receiver:
        control.export_to("splunk-hec", url=receiver.url, token="env:TOKEN_FOR_TESTS")
        record(journal, traces=1, spans=2)
        wait_for(lambda: said)
        assert "token: the environment variable TOKEN_FOR_TESTS is not set" in said[0]
        wait_for(lambda: status("splunk-hec").state == "stopped")
        receiver.answer(TAKEN)
        monkeypatch.setenv("TOKEN_FOR_TESTS", "invented")
        control.begin()
        wait_for(lambda: status("splunk-hec").sent == 3)


def test_a_marked_item_is_sent_and_what_came_back_is_told(journal, tmp_path):
    control.export_to("jsonl", path=str(tmp_path / "agents.jsonl"))
    assert control.send_test("jsonl").answer == "Sent"
    (line,) = lines_of(tmp_path / "agents.jsonl")
    assert (line["moment"], line["name"]) == ("test", "agenttrace_nb test of jsonl")
    (tmp_path / "file").write_text("")
    control.export_to("jsonl", name="wrong", path=str(tmp_path / "file" / "x"))
    wrong = control.send_test("wrong")
    assert wrong.answer == "Misconfigured"
    assert "cannot be written" in wrong.reason
    wait_for(lambda: status("wrong").problem)


def test_a_handler_can_be_paused_resumed_and_removed_while_it_runs(journal, tmp_path):
    target = tmp_path / "agents.jsonl"
    control.export_to("jsonl", path=str(target))
    record(journal, traces=1, spans=2)
    assert control.flush()
    control.pause("jsonl")
    assert status().state == "paused"
    record(journal, traces=1, spans=2, first=2, key="second")
    assert not control.flush("jsonl", 1.0)
    assert status().waiting == 3
    control.resume("jsonl")
    assert control.flush("jsonl")
    assert len(lines_of(target)) == 6
    control.remove("jsonl")
    record(journal, traces=1, spans=2, first=3, key="third")
    control.export_to("jsonl", path=str(target))
    fourth = record(journal, traces=1, spans=2, first=4, key="fourth")
    assert control.flush("jsonl")
    assert {line["event_id"] for line in lines_of(target)[6:]} == fourth | {"run:fourth"}


def test_a_whole_program_is_exported_also_when_it_is_killed(tmp_path):
    program = Program(tmp_path, {"AGENTTRACE_MLFLOW": "off"})
    target = tmp_path / "agents.jsonl"
    killed = (
        f"at.export_to('jsonl', path={str(target)!r}, content='full')\n"
        "with at.trace(live=False, arch='one', tags={'team': 'red'}):\n    ask()\n"
        "from agenttrace_nb.journal.append import process_journal\n"
        "process_journal().flush(); time.sleep(1.5); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    program.run(killed, status=-signal.SIGKILL)
    wait_for(lambda: any(line["moment"] == "run" for line in lines_of(target)))
    lines = lines_of(target)
    assert {line["kind"] for line in lines if line["moment"] == "span"} >= {"agent", "llm", "tool", "workflow"}
    (tool,) = [line for line in lines if line.get("kind") == "tool"]
    assert json.loads(tool["input"]) == {"a": 1, "b": 2}
    assert (tool["run"]["arch"], tool["run"]["tags"]["team"]) == ("one", "red")


def test_three_thousand_of_three_thousand_arrive_through_an_outage(journal, monkeypatch, said):
    monkeypatch.setenv("TOKEN_FOR_TESTS", "invented")
    with receiving() as receiver:
        receiver.answer(Response(503))
        control.export_to("splunk-hec", url=receiver.url, token="env:TOKEN_FOR_TESTS")
        expected = record(journal, traces=30, spans=100)
        wait_for(lambda: len(receiver.requests) >= 2)
        receiver.answer(TAKEN)
        refused = len(receiver.requests)
        assert control.flush("splunk-hec", 90)
        arrived = [found for request in receiver.requests[refused:] for found in event_ids_in(request.body)]
    spans = [event_id for event_id in arrived if not event_id.startswith("run:")]
    assert set(spans) == expected == event_ids(30, 100)
    assert len(spans) == len(set(spans)) == 3000
    found = status("splunk-hec")
    assert (found.sent, found.waiting, found.dropped.total()) == (3001, 0, 0)
