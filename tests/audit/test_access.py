"""Who read what: recorded where that is asked for, and never in the way of reading."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from mlflow_store.journals import record_run
from mlflow_store.samples import booking

from agenttrace_nb.audit.access import accesses, record_access
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.retrieve import find, show
from agenttrace_nb.audit.sealer import seal_journal
from agenttrace_nb.audit.vault import Vault
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog


@pytest.fixture
def trace(journal, log: AuditLog, tmp_path: Path):
    made, _ = record_run(journal, "k1", "sqlite:///nowhere.db", tmp_path, booking(1), booking(2), arch="triage")
    journal.flush()
    seal_journal(journal.path, log)
    return made


def last(log: AuditLog) -> dict:
    return Envelope.parse(log.vault.entry(log.vault.size() - 1)).statement.predicate


def test_reading_leaves_nothing_behind_unless_that_is_asked_for(trace, log):
    before = log.vault.size()
    assert show(trace.trace_id, folder=log.folder).recorded is None
    find("Oslo", folder=log.folder)
    assert log.vault.size() == before
    assert accesses(folder=log.folder) == []


def test_each_reading_is_an_entry_once_that_is_asked_for(trace, log, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "auditor")
    record_access(reason="policy 12", folder=log.folder)
    found = show(f"tr-{trace.trace_id}", folder=log.folder)
    assert found.recorded == log.vault.size() - 1
    assert f"this reading is recorded as entry {found.recorded}" in str(found)
    find("oslo", tag=("arch", "triage"), folder=log.folder)
    find("Bergen", folder=log.folder)
    first, second, third = accesses(folder=log.folder)
    assert (first.what, first.traces, first.user) == ("show", (trace.trace_id,), "auditor")
    assert (second.what, second.asked["text"], second.asked["tag"]) == ("find", "oslo", ["arch", "triage"])
    assert trace.trace_id in second.traces
    assert len(second.traces) == 2
    assert third.traces == (), "who looked for what and found nothing is known too"
    assert len(accesses(trace.trace_id, folder=log.folder)) == 2
    assert f"tr-{trace.trace_id}" in str(first)
    report = verify(folder=log.folder)
    assert report.ok, report
    assert report.checks["  of kind access"] == 3
    record_access(on=False, reason="policy 13", folder=log.folder)
    size = log.vault.size()
    show(trace.trace_id, folder=log.folder)
    assert log.vault.size() == size


def test_one_reading_is_recorded_by_giving_its_purpose(trace, log):
    show(trace.trace_id, purpose="case 12", folder=log.folder)
    find("oslo", purpose="case 13", folder=log.folder)
    assert [access.purpose for access in accesses(folder=log.folder)] == ["case 12", "case 13"]
    assert "case 12" in str(accesses(folder=log.folder)[0])


def test_what_was_looked_for_and_who_it_was_stand_in_no_entry_openly(trace, log, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")
    find("a person's name", purpose="case 12", folder=log.folder)
    entry = Envelope.parse(log.vault.entry(log.vault.size() - 1)).payload
    assert not [word for word in (b"person", b"somebody", b"case 12") if word in entry]
    assert last(log)["kind"] == "access"


def test_reading_goes_on_where_the_log_cannot_be_written_and_it_is_said(trace, log, monkeypatch, caplog):
    record_access(reason="policy 12", folder=log.folder)
    real = Vault.__init__

    def read_only(self, path, *, read_only=False):
        real(self, path, read_only=True)

    monkeypatch.setattr(Vault, "__init__", read_only)
    with caplog.at_level(logging.WARNING, "agenttrace_nb.audit"):
        found = show(trace.trace_id, folder=log.folder)
        hits = find("oslo", folder=log.folder)
    assert found.steps
    assert found.recorded is None
    assert len(hits) == 2
    said = "This reading of sealed content was NOT recorded"
    assert [record.message[: len(said)] for record in caplog.records] == [said, said]


def test_reading_goes_on_without_the_key_that_signs(trace, log, tmp_path, caplog):
    record_access(reason="policy 12", folder=log.folder)
    (tmp_path / "keys" / "recorder-0.pem").unlink()
    with caplog.at_level(logging.WARNING, "agenttrace_nb.audit"):
        assert show(trace.trace_id, folder=log.folder).steps
    assert "recorder-0.pem cannot be read" in caplog.text


def test_a_reading_that_is_refused_is_none(trace, log):
    record_access(reason="policy 12", folder=log.folder)
    before = log.vault.size()
    with pytest.raises(AuditError, match="no sealed trace"):
        show("f" * 32, folder=log.folder)
    assert log.vault.size() == before
    with pytest.raises(AuditError, match="reason"):
        record_access(reason="", folder=log.folder)


def test_the_command_line_records_lists_and_revokes(own_state_dir: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["audit", "init"]) == 0
    assert main(["audit", "record-access", "on", "--reason", "policy 12"]) == 0
    assert main(["audit", "find", "nothing", "--purpose", "case 12"]) == 0
    capsys.readouterr()
    assert main(["audit", "accesses"]) == 0
    told = capsys.readouterr().out
    assert "find  nothing: case 12" in told
    assert main(["audit", "revoke", "--reason", "laptop stolen", "--since", "1"]) == 0
    assert "Publish or pin the log now" in capsys.readouterr().out
    assert main(["audit", "revoke", "--reason", "x", "--epoch", "7"]) == 2
    assert "there are epochs 0 to 1" in capsys.readouterr().err
    assert main(["audit", "verify"]) == 0
    assert "who wrote entries 1 to 3: entry 4 revokes the key of epoch 0" in capsys.readouterr().out
