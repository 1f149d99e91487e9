"""The process that exports, beside a kernel: from a journal to a file, killed and started again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from export.recorded import record

from agenttrace_nb.export import control, process
from agenttrace_nb.journal.append import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path, monkeypatch) -> Iterator[Journal]:
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path))
    (tmp_path / "journals").mkdir(mode=0o700)
    journal = Journal(tmp_path / "journals" / "20260101T000000-1-abc.journal")
    monkeypatch.setattr(control, "process_journal", lambda: journal)
    yield journal
    journal.close()
    exporting = process._exportings.pop(journal.path, None)
    if exporting is not None:
        exporting.close()
        if exporting._process is not None:
            exporting._process.wait(60)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.timeout(120)
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
