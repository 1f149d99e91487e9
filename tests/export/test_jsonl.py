"""The handler `jsonl`: lines in a file, whole after a crash, and clear words where the file cannot be."""

from __future__ import annotations

import json

import pytest

from agenttrace_nb.export.contract import HandlerContract, example_items, hostile_items
from agenttrace_nb.export.handler import Content, Context, Misconfigured, Sent
from agenttrace_nb.export.jsonl import JsonlHandler


class TestJsonl(HandlerContract):
    def make(self, tmp_path):
        return JsonlHandler(), {"path": str(tmp_path / "out" / "agents.jsonl")}


def opened(path) -> JsonlHandler:
    handler = JsonlHandler()
    handler.open(Context(name="file", options={"path": str(path)}))
    return handler


def test_each_line_is_json_that_any_reader_takes(tmp_path):
    path = tmp_path / "agents.jsonl"
    assert isinstance(opened(path).export((*example_items(), *hostile_items())), Sent)

    def no_constants(name):
        raise AssertionError(name)

    lines = [json.loads(line, parse_constant=no_constants) for line in path.read_text("utf-8").splitlines()]
    first = lines[0]
    assert (first["kind"], first["input"], first["trace"]["name"], first["run"]["arch"]) == (
        "workflow", {"question": "where?"}, "contract run", "one",
    )  # fmt: skip
    assert [line["event_id"] for line in lines] == [i.event_id for i in (*example_items(), *hostile_items())]


def test_without_content_no_content_is_in_the_file(tmp_path):
    path = tmp_path / "agents.jsonl"
    assert isinstance(opened(path).export(example_items(Content.OFF)), Sent)
    text = path.read_text()
    for written in ("where?", "there", "no answer", "team", "anything", "Plan."):
        assert written not in text, written
    assert "TimeoutError" in text


def test_a_line_that_a_crash_broke_off_spoils_no_other(tmp_path):
    path = tmp_path / "agents.jsonl"
    path.write_text('{"event_id": "whole"}\n{"event_id": "bro')
    assert isinstance(opened(path).export(example_items()[:1]), Sent)
    whole, broken, new = path.read_text().splitlines()
    assert (json.loads(whole)["event_id"], broken) == ("whole", '{"event_id": "bro')
    assert json.loads(new)["event_id"] == example_items()[0].event_id


def test_a_file_that_cannot_be_written_is_told_with_the_next_step(tmp_path):
    (tmp_path / "file").write_text("")
    answer = opened(tmp_path / "file" / "agents.jsonl").export(example_items())
    assert isinstance(answer, Misconfigured)
    assert "agents.jsonl cannot be written" in answer.reason
    assert "--path" in answer.reason


def test_a_path_is_kept_as_it_is_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert JsonlHandler.prepare({"path": "agents.jsonl"}) == {"path": str(tmp_path / "agents.jsonl")}
    assert JsonlHandler.prepare({"path": "env:AGENTS_FILE"}) == {"path": "env:AGENTS_FILE"}


def test_a_folder_is_refused_with_an_example(tmp_path):
    with pytest.raises(ValueError, match="is a folder; name a file in it"):
        opened(tmp_path)
