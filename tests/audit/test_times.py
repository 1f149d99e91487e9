"""Signs of life: silence is visible, and told in words; clocks that go back are told too."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log, run_draft
from mlflow_store.journals import record_run

from agenttrace_nb.audit import log as log_module
from agenttrace_nb.audit import process
from agenttrace_nb.audit.examine_times import span
from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.process import beat, seal_orphans
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)


class Clock:
    def __init__(self) -> None:
        self.at = NOW - dt.timedelta(hours=20)  # within one epoch of keys

    def text(self) -> str:
        return self.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def goes_on(self, **by: float) -> None:
        self.at += dt.timedelta(**by)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(log_module, "now_text", made.text)
    return made


def notes(log: AuditLog) -> list[str]:
    report = verify(folder=log.folder)
    assert report.ok, report
    return report.notes


def test_regular_signs_of_life_and_an_end_are_nothing_to_speak_of(clock: Clock, tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for _ in range(5):
        beat(log, "a.journal")
        clock.goes_on(hours=1)
    beat(log, "a.journal", ends=True)
    clock.goes_on(hours=10)
    beat(log, "b.journal")
    beat(log, "b.journal", ends=True)
    assert notes(log) == []


def test_silence_is_told_with_its_length_and_place(clock: Clock, tmp_path: Path) -> None:
    log = new_log(tmp_path)
    beat(log, "a.journal")
    clock.goes_on(hours=5, minutes=20)
    beat(log, "a.journal")
    beat(log, "a.journal", ends=True)
    (note,) = notes(log)
    assert note.startswith("silence of 5 h 20 min, ")
    assert "(entries 1 and 2): the sealing of a.journal gave no sign of life" in note


def test_a_process_that_never_said_that_it_ended_was_killed(clock: Clock, tmp_path: Path) -> None:
    log = new_log(tmp_path)
    beat(log, "a.journal")
    (note,) = notes(log)
    assert "was last alive" in note
    assert re.search(r"20 h \d+ min ago \(entry 1\), and never said that it ended", note)
    assert "agenttrace-nb recover" in note


def test_a_process_that_lives_is_said_to_be_alive(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    beat(log, "a.journal")
    report = verify(folder=log.folder)
    assert "the sealing of a.journal is alive" in report.notes[0]
    assert report.last_entry.endswith(" s ago")
    assert f"last entry {report.last_entry}" in str(report)


def test_a_clock_that_went_back_is_told(clock: Clock, tmp_path: Path) -> None:
    log = new_log(tmp_path, runs=1)
    clock.goes_on(hours=-3)
    log.append(run_draft(1))
    (note,) = notes(log)
    assert note.startswith("the clock went back by 3 h 0 min between entries 1 and 2")


def test_a_long_list_of_silences_is_cut_and_said_to_be(clock: Clock, tmp_path: Path) -> None:
    log = new_log(tmp_path)
    with log.writing() as _:
        pass
    for _ in range(25):
        beat(log, "a.journal")
        clock.goes_on(hours=3)
    beat(log, "a.journal", ends=True)
    found = notes(log)
    assert len(found) == 21
    assert "and 5 more times" in found[-1]


def test_who_seals_a_journal_that_was_left_says_that_it_ended(journal, log: AuditLog, tmp_path: Path) -> None:
    record_run(journal, "k1", "sqlite:///nowhere.db", tmp_path)
    beat(log, journal.path.name)
    path = journal.path
    journal.close()
    assert seal_orphans(log, print, path.parent) == 1
    assert notes(log) == []
    seal_orphans(log, print, path.parent)
    assert log.statement(log.vault.of_kind("heartbeat")[-1]).predicate["ends"] is True
    assert len(log.vault.of_kind("heartbeat")) == 2


def test_a_running_process_beats_as_often_as_it_says(monkeypatch, journal, log: AuditLog) -> None:
    monkeypatch.setattr(process, "HEARTBEAT_S", 0.2)
    sealing = process._Process(journal.path, log.folder, print)
    with closing(AuditLog(log.folder)) as other, sealing._alive(other):
        sealing._beat(other)
        sealing._beat(other)  # too early
        sealing._beat_at -= 1
        sealing._beat(other)
    said = [log.statement(index).predicate for index in log.vault.of_kind("heartbeat")]
    assert [(each["everyS"], each["ends"]) for each in said] == [(0.2, False), (0.2, False), (0.2, True)]


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 s"), (90, "2 min"), (7260, "2 h 1 min"), (200_000, "2.3 days")])
def test_lengths_of_time_are_told_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
