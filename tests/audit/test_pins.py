"""Pins outside: a git repository that git itself accepts, and a witness that refuses forks and rollbacks."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log, run_draft
from audit.test_tampering import cut

from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.merkle import Tree, leaf_hash
from agenttrace_nb.audit.note import Note, Verifier
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.repository import pin_of, publish
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.audit.witness import RefusedError, Witness, cosign, pin_from

if TYPE_CHECKING:
    from pathlib import Path


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def rewritten(log: AuditLog, size: int) -> None:
    """What a holder of the keys does: cut the log, and go on with something else."""
    log.close()
    cut(log.folder, size)
    with closing(AuditLog(log.folder)) as again:
        for n in range(600, 605):
            again.append(run_draft(n))


def test_git_itself_accepts_the_repository(tmp_path):
    log = new_log(tmp_path, runs=3)
    first = publish(folder=log.folder)
    log.append(run_draft(3))
    second = publish(folder=log.folder)
    assert publish(folder=log.folder) is None
    repository = log.folder / "repository.git"
    assert git("fsck", "--strict", "--full", cwd=repository) is not None
    assert git("log", "--format=%H", "audit", cwd=repository).split() == [second, first]
    (tmp_path / "allowed").write_text(git("show", "audit:allowed_signers", cwd=repository))
    signers = f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}"
    for commit in (first, second):
        assert "Good" in git("-c", signers, "verify-commit", commit, cwd=repository)
    names = git("ls-tree", "-r", "--name-only", "audit", cwd=repository).split()
    assert names == [
        "README",
        "allowed_signers",
        "anchor",
        "checkpoint",
        "log.vkey",
        "tile/0/000.p/5",
        "tile/entries/000.p/5",
    ]


def test_no_content_and_no_key_is_in_the_repository(tmp_path):
    log = new_log(tmp_path, runs=3)
    publish(folder=log.folder)
    everything = git("cat-file", "--batch-all-objects", "--batch", cwd=log.folder / "repository.git")
    assert "secret" not in everything
    assert "PRIVATE" not in everything
    log.close()


def test_a_remote_is_a_pin_against_the_holder_of_the_keys(tmp_path):
    log = new_log(tmp_path, runs=4)
    remote = tmp_path / "remote.git"
    git("init", "--bare", str(remote), cwd=tmp_path)
    publish(folder=log.folder, remote=str(remote))
    pin = pin_of(str(remote))
    assert verify(folder=log.folder, pins=[pin]).verdict is Verdict.PINNED
    rewritten(log, 2)
    shutil.rmtree(log.folder / "repository.git")
    assert verify(folder=log.folder).ok, "without the pin it cannot be found"
    assert verify(folder=log.folder, pins=[pin_of(str(remote))]).verdict is Verdict.DIVERGED
    with pytest.raises(AuditError, match="Nothing there was overwritten"):
        publish(folder=log.folder, remote=str(remote))
    assert pin_of(str(remote)) == pin


def test_a_remote_without_a_log_is_no_pin(tmp_path):
    git("init", "--bare", str(tmp_path / "empty.git"), cwd=tmp_path)
    with pytest.raises(AuditError, match="no branch 'audit'"):
        pin_of(str(tmp_path / "empty.git"))


@contextmanager
def running(witness: Witness):
    server = witness.serve()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_witness_signs_growth_and_refuses_forks_and_rollbacks(tmp_path):
    log = new_log(tmp_path, runs=3)
    witness = Witness(tmp_path / "witness", [log.verifier()])
    with running(witness) as url:
        assert Note.parse(cosign(url, folder=log.folder)).verified_by(witness.verifier)
        log.append(run_draft(3))
        cosign(url, folder=log.folder)
        cosign(url, folder=log.folder)  # the same again is growth by nothing
        pin = pin_from(url, witness.verifier, log.origin)
        assert verify(folder=log.folder, pins=[pin]).verdict is Verdict.PINNED
        rewritten(log, 2)
        assert verify(folder=log.folder).ok, "without the witness it cannot be found"
        report = verify(folder=log.folder, pins=[pin_from(url, witness.verifier, log.origin)])
        assert report.verdict is Verdict.DIVERGED
        with pytest.raises(AuditError, match=r"refuses \(422\)"):
            cosign(url, folder=log.folder)
        assert list((tmp_path / "witness").glob("refused-*.note")), "the contradiction is kept as evidence"
        cut(log.folder, 3)
        with pytest.raises(AuditError, match="rolled back"):
            cosign(url, folder=log.folder)


def test_a_witness_signs_only_for_logs_that_it_knows(tmp_path):
    log, other = new_log(tmp_path), new_log(tmp_path / "other")
    witness = Witness(tmp_path / "witness", [log.verifier()])
    note = other.vault.checkpoint(1)
    with pytest.raises(RefusedError) as unknown:
        witness.add(0, [], note)
    assert unknown.value.status == 404
    with pytest.raises(RefusedError) as forged:
        witness.add(0, [], note.replace(other.origin, log.origin))
    assert forged.value.status == 403
    with pytest.raises(RefusedError) as stale:
        witness.add(1, [], log.vault.checkpoint(1))
    assert stale.value.status == 409
    with pytest.raises(RefusedError) as nonsense:
        witness.add(0, [], "x")
    assert nonsense.value.status == 400


def test_a_witness_that_does_not_answer_is_named(tmp_path):
    log = new_log(tmp_path)
    with pytest.raises(AuditError, match="does not answer"):
        cosign("http://127.0.0.1:9", folder=log.folder)
    stranger = Verifier("w", bytes(32), 4)
    with running(Witness(tmp_path / "w", [log.verifier()])) as url, pytest.raises(AuditError, match="knows nothing"):
        pin_from(url, stranger, log.origin)


def test_a_witness_that_is_started_again_goes_on_from_what_it_has_seen(tmp_path: Path) -> None:
    log = new_log(tmp_path, runs=2)
    witness = Witness(tmp_path / "ours", [log.verifier()])
    tree = Tree([leaf_hash(entry) for _, entry in log.vault.entries()])
    witness.add(0, [], log.vault.checkpoint(2))
    again = Witness(tmp_path / "ours", [log.verifier()])
    assert again.latest(log.origin).size == 2
    assert again.add(2, tree.consistency(2, 3), log.vault.checkpoint(3))
