"""An independent witness (aics-witness, C2SP tlog-witness 1.1) takes what we send, and its library what ours signs.

It needs Python 3.12 or newer, and lies in an environment of its own: `make test-witness` makes it and runs this.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log, run_draft
from audit.test_tampering import cut
from requirements_met import require_or_skip

from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.merkle import Tree, leaf_hash
from agenttrace_nb.audit.note import Note, Verifier
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.audit.witness import Witness, cosign, pin_from

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.witness
WAIT_S = 60.0
PYTHON = Path(sys.prefix) / "witness" / "bin" / "python"


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    require_or_skip(condition=PYTHON.exists(), reason="needs the other witness: make test-witness")


def other(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [PYTHON, "-m", "aics_witness", *words, "--config", str(folder / "witness.json")],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    words = ["serve", "--listen", f"127.0.0.1:{port}", "--config", str(folder / "witness.json")]
    process = subprocess.Popen([PYTHON, "-m", "aics_witness", *words], cwd=folder, stderr=subprocess.DEVNULL)
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
    known = {"log": str(log.verifier()), "witness": str(witness.verifier), "origin": log.origin}
    questions, seen = [], 0
    for size in range(1, tree.size + 1):
        note = log.vault.checkpoint(size)
        line = witness.add(seen, tree.consistency(seen, size) if seen else [], note)
        questions.append({**known, "note": note + line})
        seen = size
    forged = questions[-1]["note"].replace(f"\n{seen}\n", f"\n{seen + 1}\n", 1)
    *answers, last = asked([*questions, {**known, "note": forged}])
    assert [(said["ok"], said["size"], said["root"]) for said in answers] == [
        (True, size, tree.root(size).hex()) for size in range(1, tree.size + 1)
    ], answers
    assert not last["ok"]


def asked(questions: list[dict]) -> list[dict]:
    program = Path(__file__).with_name("other_witness.py")
    done = subprocess.run(
        [PYTHON, str(program)], input=json.dumps(questions), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
