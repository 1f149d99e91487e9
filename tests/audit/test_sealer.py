"""From a journal into the log: what is sealed, when, once, and what the writer to MLflow waits for."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from mlflow_store.journals import end_run, end_span, end_trace, record_run, say, start_run, start_span, start_trace
from mlflow_store.samples import START_NS, as_plain, booking

from agenttrace_nb.audit import recorded
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.retrieve import find, show
from agenttrace_nb.audit.sealer import Sealer, seal_journal
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.journal import sealing
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.follow import FollowerBusyError
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.mlflow_store.mapping import to_records
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

if TYPE_CHECKING:
    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.journal.append import Journal

URI = "sqlite:///nowhere.db"


def seal(journal: Journal, log: AuditLog) -> None:
    journal.flush()
    seal_journal(journal.path, log)


def kinds(log: AuditLog) -> list[str]:
    return [Envelope.parse(entry).statement.kind for _, entry in log.vault.entries()]


def facts(log: AuditLog, index: int) -> dict:
    return Envelope.parse(log.vault.entry(index)).statement.predicate


def test_a_run_is_sealed_as_it_is_sent(journal, log, tmp_path):
    (trace,) = record_run(journal, "k1", URI, tmp_path, arch="triage", tags={"team": "blue"})
    seal(journal, log)
    assert kinds(log) == ["genesis", "run-open", "amend", "run"]
    records = recorded.from_parts(log.read(3))
    with closing(JournalReader(journal.path)) as reader:
        fold = Fold(reader.item)
        for event in reader.events():
            fold.apply(event)
        found = fold.traces[trace.trace_id]
        sent = to_records(found, run_tags={"team": "blue", "arch": "triage", "agenttrace.run_key": "k1"})
        assert records == sent
        assert as_plain(recorded.trace_of(records)) == as_plain(found)
    said = facts(log, 3)
    assert (said["open"], said["spans"], said["status"], said["startedNs"]) == (1, len(sent), "ok", trace.start_ns)
    assert recorded.cell_run_of(log.read(3))["arch"] == "triage"


def test_a_trace_that_has_not_ended_is_seen_to_be_open(journal, log, tmp_path):
    trace = booking()
    start_run(journal, "k1", URI, tmp_path)
    start_trace(journal, "k1", trace)
    start_span(journal, "k1", trace.spans[0])
    seal(journal, log)
    assert kinds(log) == ["genesis", "run-open"]
    end_span(journal, "k1", trace.spans[0])
    end_trace(journal, "k1", trace)
    seal(journal, log)
    assert kinds(log) == ["genesis", "run-open", "recovery", "run"]
    assert facts(log, 3)["open"] == 1


def test_nothing_is_sealed_twice_however_often_sealing_begins_anew(journal, log, tmp_path):
    record_run(journal, "k1", URI, tmp_path, booking(1), booking(2))
    seal(journal, log)
    before = log.vault.size()
    for _ in range(2):
        seal(journal, log)
    state = journal.path.with_suffix(".audit.json")
    state.unlink()  # killed between the log and this
    seal(journal, log)
    assert log.vault.size() == before


def test_what_was_half_sealed_when_killed_is_completed(journal, log, tmp_path, monkeypatch):
    record_run(journal, "k1", URI, tmp_path)
    journal.flush()
    with closing(Sealer(journal.path, log)) as sealer, monkeypatch.context() as patch:
        patch.setattr(sealer._follower, "save", lambda cursor: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sealer.step()
    seal(journal, log)
    assert kinds(log) == ["genesis", "run-open", "amend", "run"]


def test_what_is_said_later_is_an_amendment(journal, log, tmp_path):
    start_run(journal, "k1", URI, tmp_path)
    say(journal, "k1", tag={"key": "team", "value": "blue"})
    seal(journal, log)
    say(journal, "k1", success=False)
    end_run(journal, "k1")
    seal(journal, log)
    assert kinds(log) == ["genesis", "amend", "recovery", "amend"]
    (part,) = log.read(1)
    assert json.loads(part.data)["tag"] == {"key": "team", "value": "blue"}
    assert [json.loads(part.data).get("success") for part in log.read(3)] == [False, None]
    assert facts(log, 3)["fromSeq"] == facts(log, 1)["toSeq"] + 1


def rating(trace_id: str, **said) -> dict:
    return {
        "key": "f1", "trace_id": trace_id, "span_id": None, "name": "rating", "value": True, "comment": "as asked",
        "user": "auditor", "time_ns": START_NS, "tracking_uri": "https://me:hunter2@mlflow.invalid/", "cwd": "x",
        **said,
    }  # fmt: skip


def test_a_rating_and_a_report_are_amendments_after_the_run_that_they_are_about(journal, log, tmp_path):
    (trace,) = record_run(journal, "k1", URI, tmp_path)
    journal.append(EventKind.FEEDBACK, body=rating(trace.trace_id), urgent=True)
    report = {"key": "f2", "name": "error", "value": "wrong amount", "comment": "290, not 300", "span_id": "s1"}
    journal.append(EventKind.FEEDBACK, body=rating(trace.trace_id, **report), urgent=True)
    seal(journal, log)
    assert kinds(log) == ["genesis", "run-open", "amend", "run", "amend", "amend"]
    assert [facts(log, n)["amends"] for n in (4, 5)] == [3, 3]
    assert "wrong amount" not in log.vault.entry(5).decode()
    found = show(trace.trace_id, folder=log.folder)
    assert [(said.what, said.value, said.comment, said.user, said.index) for said in found.said] == [
        ("rating", True, "as asked", "auditor", 4), ("error", "wrong amount", "290, not 300", "auditor", 5),
    ]  # fmt: skip
    assert "error of step s1 by auditor (entry 5): wrong amount: 290, not 300" in str(found)
    assert [hit.trace_id for hit in find("WRONG amount", folder=log.folder)] == [trace.trace_id]
    assert not [part for part in log.read(4) if b"hunter2" in part.data]
    assert verify(folder=log.folder).ok
    seal(journal, log)
    assert log.vault.size() == 6


def test_a_rating_of_a_trace_that_is_not_sealed_here_is_an_entry_too(journal, log, tmp_path):
    journal.append(EventKind.FEEDBACK, body=rating("ab" * 16, value=False), urgent=True)
    seal(journal, log)
    assert kinds(log) == ["genesis", "amend"]
    assert facts(log, 1)["amends"] is None
    assert verify(folder=log.folder).ok


def test_a_rating_does_not_close_a_run_that_is_open(journal, log, tmp_path):
    trace = booking()
    start_run(journal, "k1", URI, tmp_path)
    start_trace(journal, "k1", trace)
    journal.append(EventKind.FEEDBACK, body=rating(trace.trace_id), urgent=True)
    seal(journal, log)
    assert any("never closed" in note for note in verify(folder=log.folder).notes)


def test_a_step_that_ends_after_its_trace_amends_the_run(journal, log, tmp_path):
    trace = booking()
    start_run(journal, "k1", URI, tmp_path)
    start_trace(journal, "k1", trace)
    for span in trace.spans:
        start_span(journal, "k1", span)
    for span in trace.spans[:-1]:
        end_span(journal, "k1", span)
    end_trace(journal, "k1", trace)
    seal(journal, log)
    end_span(journal, "k1", trace.spans[-1])
    seal(journal, log)
    assert kinds(log) == ["genesis", "run-open", "run", "recovery", "amend"]
    assert facts(log, 4)["amends"] == 2
    whole = recorded.trace_of(recorded.from_parts(log.read(4)))
    assert [span.span_id for span in whole.spans] == [span.span_id for span in trace.spans]
    assert whole.spans[-1].end_ns == trace.spans[-1].end_ns


def test_missing_events_are_a_gap(journal, log, tmp_path):
    record_run(journal, "k1", URI, tmp_path)
    journal.flush()
    import sqlite3

    with closing(sqlite3.connect(journal.path)) as db, db:
        db.execute("DELETE FROM events WHERE seq IN (5, 6)")
    seal(journal, log)
    gap = next(said for i in range(log.vault.size()) if (said := facts(log, i))["kind"] == "gap")
    assert (gap["fromSeq"], gap["toSeq"]) == (5, 6)


def test_one_journal_has_one_sealer(journal, log):
    with closing(Sealer(journal.path, log)), pytest.raises(FollowerBusyError):
        Sealer(journal.path, log)


def test_with_the_log_on_a_trace_goes_to_mlflow_only_when_it_is_sealed(journal, log, uri, cwd, stores, told, client):
    sealing.turn_on(journal.path.parent)
    (trace,) = record_run(journal, "k1", uri, cwd)
    journal.flush()
    with closing(TraceWriter(journal.path, stores, told.append)) as writer:
        for _ in range(3):
            writer.step(hurry=True)
        assert not writer.is_done()
        assert stores.get(uri, None).find_trace(trace.trace_id) is None
        assert writer.held_for_s() > 0
        seal_journal(journal.path, log)
        writer.step(hurry=True)
        assert writer.is_done()
        assert writer.held_for_s() == 0
    assert stores.get(uri, None).find_trace(trace.trace_id) is not None


def test_a_trace_that_goes_on_does_not_hold_others_back(journal, log, tmp_path):
    long, short = booking("long"), booking("short", start_ns=START_NS + 1)
    sealing.turn_on(journal.path.parent)
    start_run(journal, "k1", URI, tmp_path)
    start_trace(journal, "k1", long)
    start_trace(journal, "k1", short)
    end_trace(journal, "k1", short)
    journal.flush()
    seal(journal, log)
    seal_of = sealing.Seal(journal.path)
    assert seal_of.covers(short.trace_id, 4)
    assert not seal_of.covers(long.trace_id, 5)
    sealing.turn_off(journal.path.parent)
    assert seal_of.covers(long.trace_id, 5)


def test_a_password_in_the_address_of_mlflow_is_not_sealed(journal, log, tmp_path):
    record_run(journal, "k1", "https://me:hunter2@mlflow.invalid/", tmp_path)
    seal(journal, log)
    assert not [part for i in range(log.vault.size()) for part in log.read(i) or () if b"hunter2" in part.data]
