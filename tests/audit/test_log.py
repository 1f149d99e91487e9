"""Appending: one transaction, several processes, sudden ends, keys and their epochs."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from audit.logs import SEALING, new_log, run_draft

from agenttrace_nb.audit import log as log_module
from agenttrace_nb.audit.content import ContentError
from agenttrace_nb.audit.envelope import Envelope, EnvelopeError
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.merkle import Edge, leaf_hash
from agenttrace_nb.audit.note import NoteError, checkpoint_of
from agenttrace_nb.audit.place import AuditError


def assert_sound(log: AuditLog) -> list[Envelope]:
    """Entries without gaps, each covered by a checkpoint of its own."""
    edge, found = Edge(), []
    for at, (index, entry) in enumerate(log.vault.entries()):
        assert index == at
        edge.append(leaf_hash(entry))
        checkpoint = checkpoint_of(log.vault.checkpoint(at + 1), log.verifier())
        assert (checkpoint.size, checkpoint.root) == (at + 1, edge.root())
        found.append(Envelope.parse(entry))
        assert found[-1].statement.index == at
    return found


def test_a_log_begins_with_an_entry_that_names_its_keys(tmp_path):
    log = new_log(tmp_path)
    (genesis,) = assert_sound(log)
    said = genesis.statement.predicate
    assert (said["kind"], said["logKey"]) == ("genesis", str(log.verifier()))
    genesis.verify(bytes.fromhex(said["recorderKey"]))
    assert log.anchor() == f"{log.origin}#{leaf_hash(log.vault.entry(0)).hex()}" == log_module.known_anchor(log.folder)


def test_an_entry_holds_nothing_of_the_content(tmp_path):
    log = new_log(tmp_path, runs=1)
    assert b"secret" not in log.vault.entry(1)
    assert b"secret" not in (tmp_path / "audit" / "log.db").read_bytes()
    assert [part.data for part in log.read(1)] == [b'{"n":0}', b'"the secret question 0"']


def test_the_same_source_is_sealed_once(tmp_path):
    log = new_log(tmp_path, runs=2)
    again = log.append(run_draft(1))
    assert (again.index, log.vault.size()) == (2, 3)
    assert again.checkpoint == log.vault.checkpoint(3)


def test_nothing_of_a_failed_block_is_written(tmp_path):
    log = new_log(tmp_path)

    def fail_midway():
        with log.writing() as pen:
            pen.append(run_draft(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert log.vault.size() == 1
    log.append(run_draft(0))
    assert len(assert_sound(log)) == 2


def test_an_unknown_kind_and_a_long_entry_are_refused(tmp_path):
    log = new_log(tmp_path)
    with pytest.raises(AuditError, match="no kind of entry 'runn'"):
        log.append(Draft(kind="runn", subject="x"))
    with pytest.raises(EnvelopeError, match="more than the 65535"):
        log.append(Draft(kind="run", subject="x" * 70_000))
    assert log.vault.size() == 1


def test_files_and_folders_are_their_owners_alone(tmp_path):
    new_log(tmp_path, runs=1).close()
    for path in [
        tmp_path / "audit",
        tmp_path / "keys",
        *(tmp_path / "audit").iterdir(),
        *(tmp_path / "keys").iterdir(),
    ]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_key_that_others_may_read_is_refused(tmp_path):
    log = new_log(tmp_path)
    log.close()
    (tmp_path / "keys" / "recorder-0.pem").chmod(0o644)
    with pytest.raises(AuditError, match=r"others may read the key .*chmod 600"):
        AuditLog(log.folder).append(run_draft(0))


def test_a_key_that_is_a_link_is_refused(tmp_path):
    log = new_log(tmp_path)
    log.close()
    key = tmp_path / "keys" / "log.pem"
    key.rename(tmp_path / "elsewhere.pem")
    key.symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(AuditError, match="it is a link"):
        AuditLog(log.folder).append(run_draft(0))


def test_a_new_epoch_destroys_the_key_of_the_old_one(tmp_path):
    log = new_log(tmp_path, runs=1)
    old = (tmp_path / "keys" / "recorder-0.pem").read_bytes()
    log.rotate()
    log.append(run_draft(1))
    assert [path.name for path in sorted((tmp_path / "keys").glob("recorder-*"))] == ["recorder-1.pem"]
    assert not [path for path in (tmp_path / "keys").iterdir() if old in path.read_bytes()]
    entries, (first, second) = assert_sound(log), log.vault.epochs()
    entries[2].verify(first.public)  # the old key names the new one
    entries[3].verify(second.public)
    with pytest.raises(EnvelopeError):
        entries[3].verify(first.public)


def test_a_newer_key_cannot_sign_what_is_older_under_the_old_keys_name(tmp_path):
    log = new_log(tmp_path, runs=1)
    log.rotate()
    first, _ = log.vault.epochs()
    payload = Envelope.parse(log.vault.entry(1)).payload
    from agenttrace_nb.audit.envelope import signed_bytes
    from agenttrace_nb.audit.keys import key_id

    forged = Envelope(payload, key_id(first.public), log.keys.recorder(1).sign(signed_bytes(payload)))
    with pytest.raises(NoteError):
        forged.verify(first.public)


def test_an_epoch_ends_by_itself(tmp_path, monkeypatch):
    log = new_log(tmp_path)
    monkeypatch.setattr(log_module, "EPOCH_LENGTH", dt.timedelta(0))
    log.append(run_draft(0))
    assert [e.statement.kind for e in assert_sound(log)] == ["genesis", "key-rotate", "run"]


def test_an_epoch_that_a_kill_interrupted_is_begun_again(tmp_path):
    log = new_log(tmp_path, runs=1)
    log.keys.make_recorder(1)  # and then the process ends
    log.close()
    log = AuditLog(log.folder)
    log.append(run_draft(1))
    log.rotate()
    log.append(run_draft(2))
    assert len(assert_sound(log)) == 5


def test_a_vault_from_an_old_copy_cannot_be_continued_once_its_key_is_destroyed(tmp_path):
    log = new_log(tmp_path, runs=1)
    log.vault.scrub()
    copy = (log.folder / "log.db").read_bytes()
    log.rotate()
    log.close()
    for leftover in log.folder.glob("log.db-*"):
        leftover.unlink()
    (log.folder / "log.db").write_bytes(copy)
    with pytest.raises(AuditError, match=r"recorder-0.pem cannot be read"):
        AuditLog(log.folder).append(run_draft(1))


def test_entries_are_not_changed_by_mistake(tmp_path):
    log = new_log(tmp_path, runs=1)
    for statement in ("UPDATE entry SET envelope = x'00'", "DELETE FROM checkpoint"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            log.vault.db.execute(statement)


def test_a_changed_content_is_not_read(tmp_path):
    log = new_log(tmp_path, runs=2)
    log.vault.db.execute("UPDATE content SET ciphertext = (SELECT ciphertext FROM content WHERE i = 2) WHERE i = 1")
    with pytest.raises(ContentError, match="cannot be opened"):
        log.read(1)


def test_eight_processes_share_one_log(tmp_path):
    log = new_log(tmp_path)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SEALING, str(log.folder), f"{n}.journal", "12"], stdout=subprocess.PIPE, text=True
        )
        for n in range(8)
    ]
    said = [line.split() for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 8
    assert sorted(int(index) for _, _, index in said) == list(range(1, 97))
    entries = assert_sound(log)
    for name, seq, index in said:
        source = entries[int(index)].statement.predicate["source"]
        assert (source["journal"], source["seq"]) == (name, int(seq))


def killed_at_random(folder, name: str, delay_s: float) -> list[list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SEALING, str(folder), name, "1000"], stdout=subprocess.PIPE, text=True
    )
    first = process.stdout.readline()
    time.sleep(delay_s)
    os.kill(process.pid, signal.SIGKILL)
    rest = process.communicate()[0]
    return [line.split() for line in (first + rest).splitlines(keepends=False) if len(line.split()) == 3]


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_whatever_was_acknowledged_before_a_kill_is_there(tmp_path, rounds):
    log = new_log(tmp_path)
    acknowledged, seed = 0, random.Random(7)
    for number in range(rounds):
        for name, seq, index in killed_at_random(log.folder, f"{number}.journal", seed.random() * 0.15):
            entry = log.vault.entry(int(index))
            assert entry is not None
            source = Envelope.parse(entry).statement.predicate["source"]
            assert (source["journal"], source["seq"]) == (name, int(seq))
            acknowledged += 1
    assert_sound(log)
    print(f"{acknowledged} acknowledged, {acknowledged} there, after {rounds} kills")
    assert acknowledged >= rounds


# A process that is killed at one step of sealing: before it, or right after
KILLED_AT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from audit.logs import run_draft
from agenttrace_nb.audit import log as log_module
from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.vault import Vault
owner = {"Vault": Vault, "log": log_module}[sys.argv[1].split(".")[0]]
name, when = sys.argv[1].split(".")[1], sys.argv[2]
real = getattr(owner, name)
def killed(*words, **named):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*words, **named)
    os.kill(os.getpid(), signal.SIGKILL)
log = AuditLog(Path(sys.argv[4]))
setattr(owner, name, killed)
log.append(run_draft(7))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["log.signed", "Vault.add_entry", "Vault.add_content", "Vault.add_source"])
def test_a_kill_at_any_step_of_sealing_leaves_all_of_it_or_nothing(tmp_path, step, when):
    log = new_log(tmp_path, runs=1)
    tests = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILLED_AT, step, when, tests, str(log.folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [entry.statement.kind for entry in assert_sound(log)] == ["genesis", "run"]
    assert log.append(run_draft(7)).index == 2
    assert log.read(2) is not None
    assert_sound(log)


def test_a_full_disk_is_an_error_and_no_half_of_an_entry(tmp_path):
    log = new_log(tmp_path, runs=1)
    (pages,) = log.vault.db.execute("PRAGMA page_count").fetchone()
    log.vault.db.execute(f"PRAGMA max_page_count = {pages}")
    big = Draft(kind="run", subject="x", parts=[("info", os.urandom(200_000))])
    with pytest.raises(sqlite3.OperationalError, match="full"):
        log.append(big)
    log.vault.db.execute("PRAGMA max_page_count = 1000000")
    assert log.append(big).index == 2
    assert_sound(log)
