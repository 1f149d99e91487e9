"""Erasing components, holds and periods: what was named is gone from every byte, the rest is proven as before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from mlflow_store.journals import record_run
from mlflow_store.samples import booking

from agenttrace_nb.audit.components import matching
from agenttrace_nb.audit.content import salted, seal
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.evidence import export
from agenttrace_nb.audit.log import bound_to
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.retention import PRESETS, expire, hold, retain
from agenttrace_nb.audit.retrieve import show
from agenttrace_nb.audit.sealer import seal_journal
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog

WHY = {"reason": "request", "approver": "DPO"}


@pytest.fixture
def trace(journal, log: AuditLog, tmp_path: Path):
    (made,) = record_run(journal, "k1", "sqlite:///nowhere.db", tmp_path, booking(1), arch="triage")
    journal.flush()
    seal_journal(journal.path, log)
    return made


def bytes_on_disk(log: AuditLog) -> bytes:
    return b"".join(path.read_bytes() for path in log.folder.rglob("*") if path.is_file())


def kept(log: AuditLog, index: int) -> tuple[bytes, bytes]:
    query = "SELECT wrapped, ciphertext FROM content JOIN content_key USING (i) WHERE i = ?"
    return log.vault.db.execute(query, (index,)).fetchone()


def test_an_erased_component_is_gone_and_the_rest_is_proven(trace, log):
    index = show(trace.trace_id, folder=log.folder).index
    before = {part.path: part.data for part in log.read(index)}
    gone = matching(["span/*/inputs"], before)
    assert len(gone) > 2
    wrapped, ciphertext = kept(log, index)
    done = erase(trace.trace_id, component="span/*/inputs", **WHY, folder=log.folder)
    assert done.entries == (index,)
    after = {part.path: part.data for part in log.read(index)}
    assert after == {path: data for path, data in before.items() if path not in gone}
    everything = bytes_on_disk(log)
    assert wrapped not in everything
    assert ciphertext[:64] not in everything
    assert log.vault.manifest(index).count(b"\n") == len(before) - 1, "commitments stay"
    report = verify(folder=log.folder)
    assert report.ok, report
    assert report.checks["components erased with an entry that says so"] == len(gone)
    assert any(f"of entry {index} erased, authorised by entry {done.by[0]}" in note for note in report.notes)
    found = show(trace.trace_id, folder=log.folder)
    assert found.proven
    assert {step.content for step in found.steps if step.what in {"prompt", "call"}} == {
        f"[erased, as entry {done.by[0]} says]"
    }
    assert [step.content for step in found.steps if step.what == "response"] == [
        span.output for span in trace.spans if span.kind.value == "llm"
    ]


def test_components_go_one_after_the_other_and_then_all(trace, log):
    first = erase(trace.trace_id, component=["span/0/inputs", "cell-run"], **WHY, folder=log.folder)
    assert len(first.entries) == 2, "the opening of the run holds its cell too"
    second = erase(trace.trace_id, component="span/0/outputs", **WHY, folder=log.folder)
    assert show(trace.trace_id, folder=log.folder).erased == {
        "cell-run": first.by[0], "span/0/inputs": first.by[0], "span/0/outputs": second.by[0],
    }  # fmt: skip
    assert verify(folder=log.folder).ok
    erase(trace.trace_id, **WHY, folder=log.folder)
    assert verify(folder=log.folder).ok
    with pytest.raises(AuditError, match="was erased, as entry"):
        show(trace.trace_id, folder=log.folder)
    assert "nothing left to erase" in str(erase(trace.trace_id, **WHY, folder=log.folder))


def test_a_component_that_is_gone_without_an_entry_is_tampering(trace, log):
    index = show(trace.trace_id, folder=log.folder).index
    with log.writing() as pen:
        pen.erase_parts(index, ["span/3/outputs"])
    assert "span/3/outputs is gone, and no entry says that it was erased" in str(verify(folder=log.folder))


def test_an_entry_of_erasing_whose_components_are_still_there_is_found(trace, log):
    index = show(trace.trace_id, folder=log.folder).index
    wrapped, ciphertext = kept(log, index)
    erase(trace.trace_id, component="span/3/outputs", **WHY, folder=log.folder)
    log.vault.db.execute("UPDATE content SET ciphertext = ? WHERE i = ?", (ciphertext, index))
    log.vault.db.execute("UPDATE content_key SET wrapped = ? WHERE i = ?", (wrapped, index))
    assert "span/3/outputs was erased by entry" in str(verify(folder=log.folder))


def test_another_part_in_the_place_of_an_erased_one_is_found(trace, log):
    index = show(trace.trace_id, folder=log.folder).index
    parts = [(part.path, part.data) for part in log.read(index)]
    forged = seal(salted([(path, b'"other"') if path == "span/3/outputs" else (path, data) for path, data in parts]),
                  bound_to(log.origin, index))  # fmt: skip
    erase(trace.trace_id, component="span/3/outputs", **WHY, folder=log.folder)
    log.vault.replace_content(index, forged, log.keys.content())
    assert not verify(folder=log.folder).ok


@pytest.mark.parametrize(
    ("component", "said"),
    [
        ("span/0/input", r"names nothing of this trace .*Did you mean span/0/inputs\?"),
        ("span/0", "ids, name, times and status of a step stay"),
        ("span/*", "ids, name, times and status of a step stay"),
        ("../x", "is not allowed; it must be a path such as 'span/3/inputs'"),
        ("a secret word", "is not allowed; it must be a path"),
    ],
)
def test_what_names_no_component_is_refused(trace, log, component, said):
    before = log.vault.size()
    with pytest.raises(AuditError, match=said):
        erase(trace.trace_id, component=component, **WHY, folder=log.folder)
    assert log.vault.size() == before


def test_a_hold_that_was_passed_over_is_told_and_one_that_was_broken_is_found(trace, log):
    hold(trace.trace_id, reason="case 12", folder=log.folder)
    erase(trace.trace_id, component="cell-run", **WHY, override_hold=True, folder=log.folder)
    report = verify(folder=log.folder)
    assert report.ok
    assert any("what was on legal hold, with an override" in note for note in report.notes)
    with closing(sqlite3.connect(log.vault.path)) as db, db:
        db.execute("DELETE FROM source WHERE kind = 'legal-hold'")  # so that the software does not see it
    erase(trace.trace_id, component="span/0/inputs", **WHY, folder=log.folder)
    assert "it erased what was on legal hold, without an override" in str(verify(folder=log.folder))


def test_a_period_of_retention_keeps_from_erasing_until_it_is_over(trace, log):
    retain(preset="eu-ai-act", reason="policy 7", folder=log.folder)
    with pytest.raises(AuditError, match=r"must be kept for 184 days .*override_retention=True"):
        erase(trace.trace_id, **WHY, folder=log.folder)
    with pytest.raises(AuditError, match="and 30 is less"):
        expire(older_than_days=30, folder=log.folder)
    assert expire(preset="hipaa", folder=log.folder).entries == ()
    done = erase(trace.trace_id, component="cell-run", **WHY, override_retention=True, folder=log.folder)
    assert Envelope.parse(log.vault.entry(done.by[0])).statement.predicate["overrodeRetention"] is True
    retain(days=0, reason="policy 8", folder=log.folder)
    assert expire(older_than_days=0, folder=log.folder).traces == (trace.trace_id,)
    assert verify(folder=log.folder).ok


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "hippa"}, r"one of eu-ai-act, .*Did you mean hipaa\?"),
        ({"preset": "21-cfr-11"}, "names no number of days .*give older_than_days"),
        ({}, "give either preset .* or older_than_days"),
        ({"preset": "hipaa", "older_than_days": 1}, "give either preset"),
        ({"older_than_days": -1}, "older_than_days=-1 is not allowed"),
        ({"older_than_days": float("nan")}, "older_than_days=nan is not allowed"),
    ],
)
def test_a_period_that_is_none_is_refused(log, given, said):
    with pytest.raises(AuditError, match=said):
        expire(**given, folder=log.folder)


def test_periods_are_never_shorter_than_their_rule_says():
    assert PRESETS["eu-ai-act"].days >= 31 + 31 + 30 + 31 + 30 + 31
    assert PRESETS["hipaa"].days >= 6 * 365 + 2
    assert PRESETS["sec-17a-4-b"].days >= 3 * 365 + 1


def test_many_traces_expire_at_once_however_long_their_list_is(journal, log, tmp_path):
    many = [booking(n) for n in range(40)]
    record_run(journal, "k1", "sqlite:///nowhere.db", tmp_path, *many)
    journal.flush()
    seal_journal(journal.path, log)
    gone = expire(older_than_days=0, folder=log.folder)
    assert len(gone.traces) == len(gone.by) == 40
    assert verify(folder=log.folder).ok
    with pytest.raises(AuditError, match="no sealed trace"):
        export("f" * 32, tmp_path / "x.zip", folder=log.folder)
