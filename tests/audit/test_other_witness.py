"""An independent witness (aics-witness, C2SP tlog-witness 1.1) takes what we send, and its library what ours signs.

It needs Python 3.12, and is not collected under 3.11.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from aics_tlog.checkpoint import checkpoint_from_note, verify_checkpoint
from aics_tlog.note import parse_note, parse_vkey
from audit.logs import new_log, run_draft
from audit.test_tampering import cut

from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.merkle import Tree, leaf_hash
from agenttrace_nb.audit.note import Note, Verifier
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.audit.witness import Witness, cosign, pin_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 60.0


def other(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aics_witness", *words, "--config", str(folder / "witness.json")],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    words = ["serve", "--listen", f"127.0.0.1:{port}", "--config", str(folder / "witness.json")]
    process = subprocess.Popen([sys.executable, "-m", "aics_witness", *words], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(WAIT_S)


@pytest.mark.timeout(180)
def test_it_cosigns_our_growth_and_refuses_our_forks_and_rollbacks(tmp_path: Path) -> None:
    log = new_log(tmp_path, runs=3)
    folder = tmp_path / "other"
    folder.mkdir()
    key = next(word for word in other(folder, "init", "--name", "witness.example/w1").split() if word.count("+") >= 2)
    theirs = Verifier.parse(key)
    other(folder, "add-log", "--origin", log.origin, "--vkey", str(log.verifier()))
    with serving(folder) as url:
        for number in range(3, 12):
            assert Note.parse(cosign(url, folder=log.folder)).verified_by(theirs)
            log.append(run_draft(number))
        pin = pin_from(url, theirs, log.origin)
        assert pin.checkpoint.size == log.vault.size() - 2, "the cosignature and one run came after it"
        assert verify(folder=log.folder, pins=[pin]).verdict is Verdict.PINNED
        log.close()
        cut(log.folder, 2)
        with closing(AuditLog(log.folder)) as again:
            for number in range(600, 630):
                again.append(run_draft(number))
        assert verify(folder=log.folder, pins=[pin_from(url, theirs, log.origin)]).verdict is Verdict.DIVERGED
        with pytest.raises(AuditError, match=r"refuses \(422\)"):
            cosign(url, folder=log.folder)
        cut(log.folder, 3)
        with pytest.raises(AuditError, match="rolled back"):
            cosign(url, folder=log.folder)
    assert log.origin in other(folder, "evidence"), "it kept the contradiction"


def test_its_library_verifies_our_notes_and_our_witness(tmp_path: Path) -> None:
    log = new_log(tmp_path, runs=6)
    witness = Witness(tmp_path / "ours", [log.verifier()])
    tree = Tree([leaf_hash(entry) for _, entry in log.vault.entries()])
    seen = 0
    for size in range(1, tree.size + 1):
        note = log.vault.checkpoint(size)
        line = witness.add(seen, tree.consistency(seen, size) if seen else [], note)
        found = verify_checkpoint(
            parse_note(note + line), parse_vkey(str(log.verifier())), [parse_vkey(str(witness.verifier))], quorum=1,
            expected_origin=log.origin,
        )  # fmt: skip
        assert found.ok, found.error
        checkpoint, _ = checkpoint_from_note(note)
        assert (checkpoint.size, checkpoint.root) == (size, tree.root(size))
        seen = size
    forged = (note + line).replace(f"\n{size}\n", f"\n{size + 1}\n", 1)
    assert not verify_checkpoint(
        parse_note(forged), parse_vkey(str(log.verifier())), [parse_vkey(str(witness.verifier))], quorum=1
    ).ok
