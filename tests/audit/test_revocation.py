"""A key that somebody else may hold: it signs nothing any more, and what it signed is said to be in doubt."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log, run_draft
from audit.test_evidence import accepted, need, opened
from audit.test_tampering import attacked, cut

from agenttrace_nb.audit import log as log_module
from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.envelope import Envelope, signed
from agenttrace_nb.audit.evidence import export
from agenttrace_nb.audit.keys import open_signer
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.revocation import revocations, revoke
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stolen(tmp_path: Path) -> tuple[AuditLog, Path]:
    """A log of three runs, and a thief's copy of its keys."""
    log = new_log(tmp_path, runs=3)
    shutil.copytree(tmp_path / "keys", tmp_path / "thief")
    return log, tmp_path / "thief"


def test_a_revoked_key_is_replaced_destroyed_and_named(stolen, tmp_path):
    log, _ = stolen
    by = revoke(reason="laptop stolen", since=2, folder=log.folder)
    said = Envelope.parse(log.vault.entry(by)).statement
    assert (by, said.kind, said.predicate["epoch"], said.predicate["since"]) == (5, "key-revoke", 0, 2)
    assert [part.data for part in log.read(by)] == [canonical({"reason": "laptop stolen"})]
    assert [path.name for path in (tmp_path / "keys").glob("recorder-*")] == ["recorder-1.pem"]
    log.append(run_draft(9))
    report = verify(folder=log.folder)
    assert report.verdict is Verdict.UNANCHORED, report
    (doubt,) = report.revoked
    assert (doubt.epoch, doubt.by, doubt.first, doubt.last) == (0, 5, 2, 4)
    text = str(report)
    assert "who wrote entries 2 to 4: entry 5 revokes the key of epoch 0" in text[text.index("Not proven:") :]
    assert "who wrote entries 2 to 4" in report.to_json()
    assert revocations(log) == [doubt], "without verifying, the same is told"


def with_the_keys_of(log: AuditLog, thief: Path) -> AuditLog:
    """The log as a thief writes to it: with all keys as they were when they were copied."""
    settings = (log.folder / "settings.json").read_text("utf-8")
    keys = log.keys.folder
    log.close()
    (log.folder / "settings.json").write_text(settings.replace(str(keys), str(thief)), "utf-8")
    (thief / "anchor.txt").write_bytes((keys / "anchor.txt").read_bytes())
    return AuditLog(log.folder)


def forged(log: AuditLog, key: Path) -> None:
    """Append an entry that is right in everything but the key that signs it."""
    signer = open_signer(f"file2:{key}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "signed", lambda statement, _right: signed(statement, signer))
        log.append(run_draft(666))


def test_what_a_revoked_key_signs_after_that_is_refused_and_it_is_said_why(stolen):
    log, thief = stolen
    revoke(reason="laptop stolen", folder=log.folder)
    forged(log, thief / "recorder-0.pem")
    report = verify(folder=log.folder, level="signatures")
    assert report.verdict is Verdict.INVALID
    assert "entry 6: it is signed with the key of epoch 0, which entry 5 revoked" in str(report)


def test_a_key_that_was_not_revoked_is_refused_in_other_words(stolen):
    log, thief = stolen
    log.rotate()
    forged(log, thief / "recorder-0.pem")
    assert "entry 5: the entry names a key that is not the one that was to sign here" in str(verify(folder=log.folder))


def test_who_stole_all_keys_can_hide_the_revocation_from_all_but_a_pin(stolen):
    log, thief = stolen
    revoke(reason="laptop stolen", folder=log.folder)
    pin = str(log.vault.checkpoint(log.vault.size()))
    log.close()
    cut(log.folder, 4)
    with closing(with_the_keys_of(log, thief)) as other:
        for n in range(50, 55):
            other.append(run_draft(n))
    assert verify(folder=log.folder).ok, "without a pin it cannot be found"
    report = verify(folder=log.folder, pins=[pin])
    assert report.verdict is Verdict.DIVERGED
    assert "FORK" in str(report)


def test_the_key_of_an_epoch_that_is_over_is_revoked_without_another_one(stolen):
    log, _ = stolen
    log.rotate()
    log.append(run_draft(3))
    assert revoke(reason="found in a backup", epoch=0, since=3, folder=log.folder) == 6
    assert len(log.vault.epochs()) == 2
    (doubt,) = verify(folder=log.folder).revoked
    assert (doubt.first, doubt.last) == (3, 4)
    revoke(reason="earlier than we thought", epoch=0, since=1, folder=log.folder)
    assert [each.first for each in verify(folder=log.folder).revoked] == [1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": 3}, r"epoch=3 is not allowed; there are epochs 0 to 1"),
        ({"epoch": -1}, "epoch=-1 is not allowed"),
        ({"since": 2}, "since=2 is not allowed; the key of epoch 1 signed entries 5 to 5"),
        ({"epoch": 0, "since": 5}, "the key of epoch 0 signed entries 0 to 4"),
        ({"reason": " "}, "reason=' ' is not allowed"),
    ],
)
def test_what_cannot_be_revoked_is_refused(stolen, given, said):
    log, _ = stolen
    log.rotate()
    log.append(run_draft(3))
    with pytest.raises(AuditError, match=said):
        revoke(**{"reason": "r", **given}, folder=log.folder)
    assert log.vault.size() == 6


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"epoch": 5}, "it revokes a key that this log never had"),
        ({"recorderKey": "00" * 32}, "it revokes a key that this log never had"),
        ({"epoch": 1, "recorderKey": None}, "it revokes the key that goes on signing"),
        ({"since": 99}, "it revokes a key since an entry that the key did not sign"),
        ({"since": "x"}, "it revokes a key since an entry that the key did not sign"),
    ],
)
def test_a_revocation_that_says_nonsense_is_found(stolen, facts, said):
    log, _ = stolen
    log.rotate()
    first, second = log.vault.epochs()
    told = {"epoch": 0, "recorderKey": first.public.hex(), "since": 0, **facts}
    if told["recorderKey"] is None:
        told["recorderKey"] = second.public.hex()
    log.append(Draft(kind="key-revoke", subject="x", facts=told))
    assert said in str(verify(folder=log.folder))


def test_an_epoch_that_begins_with_a_key_that_was_used_before_is_found(stolen):
    log, thief = stolen
    log.rotate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log.keys, "make_recorder", lambda _epoch: open_signer(f"file2:{thief / 'recorder-0.pem'}"))
        log.rotate()
    assert "it begins an epoch with a key that was used before" in str(verify(folder=log.folder))


def test_a_bundle_says_that_the_key_of_what_it_proves_was_revoked(stolen, tmp_path):
    need("node", "openssl", "ssh-keygen")
    log, _ = stolen
    revoke(reason="laptop stolen", since=3, folder=log.folder)
    log.append(run_draft(9))
    traces = [run_draft(n).source.trace for n in (0, 2, 9)]
    with pytest.MonkeyPatch.context() as patch:  # these runs are no spans that a page could show
        patch.setattr("agenttrace_nb.audit.evidence._Shelf.timeline", lambda *_: {})
        export(traces, tmp_path / "e.zip", folder=log.folder)
    folder = opened(tmp_path / "e.zip", tmp_path / "e")
    done = subprocess.run(["node", "verify.mjs", log.anchor()], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line.split(":")[0] for line in done.stdout.splitlines() if "its key was revoked by entry 5" in line]
    assert told == [traces[1]], "the run before the doubt and the one after the revocation stand"
    assert accepted(folder, log.anchor(), node=False)


def test_a_revocation_that_was_taken_out_of_the_vaults_index_is_found(stolen):
    log, _ = stolen
    revoke(reason="laptop stolen", folder=log.folder)
    log.close()
    attacked(log.folder, "DELETE FROM source WHERE kind = 'key-revoke'")
    report = verify(folder=log.folder)
    assert report.verdict is Verdict.INVALID
    assert report.revoked, "the entries are judged by themselves"
