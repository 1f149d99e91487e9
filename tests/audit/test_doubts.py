"""What else a sceptical auditor tries: files beside the vault, torn ones, others' keys and programs, no network."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log, run_draft
from audit.test_evidence import accepted, need, opened
from mlflow_store.journals import record_run
from mlflow_store.samples import as_plain, booking

from agenttrace_nb.audit.content import ContentError, salted, seal
from agenttrace_nb.audit.envelope import Envelope, Statement, signed_bytes
from agenttrace_nb.audit.evidence import export
from agenttrace_nb.audit.keys import key_id
from agenttrace_nb.audit.log import AuditLog, known_anchor
from agenttrace_nb.audit.note import Checkpoint, Note, Signature, Verifier, checkpoint_of
from agenttrace_nb.audit.place import AuditError, read_private
from agenttrace_nb.audit.repository import publish
from agenttrace_nb.audit.retrieve import find, show
from agenttrace_nb.audit.sealer import seal_journal
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


def verdict_or_error(folder: Path, anchor: str) -> str:
    try:
        return verify(folder=folder, anchor=anchor).verdict.value
    except (AuditError, ContentError) as error:
        return f"refused: {error}"


NOT_SOUND = ("INVALID", "INCOMPLETE", "refused")
# Who changes one can sign no more; nothing that was signed rests on it
NO_PART_OF_THE_LOG = {"log.pem", "recorder-0.pem"}


def test_every_changed_file_beside_the_vault_is_found(tmp_path: Path) -> None:
    log = new_log(tmp_path, runs=2)
    anchor = log.anchor()
    log.vault.scrub()
    log.close()
    tried = 0
    for path in (path for path in (tmp_path / "keys").iterdir() if path.name not in NO_PART_OF_THE_LOG):
        original = path.read_bytes()
        for at in range(len(original)):
            path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
            tried += 1
            given = known_anchor(log.folder) if path.name == "anchor.txt" else anchor
            if given != anchor or path.name != "anchor.txt":  # a line feed at its end is no part of it
                assert verdict_or_error(log.folder, given).startswith(NOT_SOUND), (path, at)
        path.write_bytes(original)
    settings = log.folder / "settings.json"
    known = json.loads(settings.read_bytes())
    assert set(known) == {"version", "origin", "keys"}
    for name in ("origin", "keys"):
        settings.write_text(json.dumps({**known, name: f"{known[name]}x"}), "utf-8")
        assert verdict_or_error(log.folder, anchor).startswith(NOT_SOUND), name
        settings.write_text(json.dumps({key: value for key, value in known.items() if key != name}), "utf-8")
        assert verdict_or_error(log.folder, anchor).startswith("refused"), name
    settings.write_text(json.dumps(known), "utf-8")
    print(f"{tried + 4} changes of files beside the vault, all found")
    assert verify(folder=log.folder, anchor=anchor).ok


def test_a_write_ahead_log_that_was_torn_leaves_whole_entries(tmp_path: Path) -> None:
    log = new_log(tmp_path, runs=3)
    log.vault.scrub()
    for n in range(3, 6):
        log.append(run_draft(n))
    wal = (log.folder / "log.db-wal").read_bytes()
    assert len(wal) > 10_000
    sizes = set()
    for number, length in enumerate([*range(0, len(wal), len(wal) // 16), len(wal)]):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(log.folder, copy)
        (copy / "log.db-shm").unlink(missing_ok=True)
        (copy / "log.db-wal").write_bytes(wal[:length])
        report = verify(folder=copy)
        assert report.ok, report
        with closing(AuditLog(copy)) as again:
            assert again.append(run_draft(90)).index == report.entries
        sizes.add(report.entries)
    assert sizes == {4, 5, 6, 7}, "whole entries, however much was lost"


def test_a_key_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_log(tmp_path).close()
    uid = (tmp_path / "keys" / "log.pem").stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: uid + 1)
    with pytest.raises(AuditError, match="belongs to somebody else, and is not used"):
        read_private(tmp_path / "keys" / "log.pem")


NODE_SIGNS = """
const { generateKeyPairSync, sign } = require("node:crypto");
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const of = (text) => sign(null, Buffer.from(text, "base64"), privateKey).toString("base64");
const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("base64");
console.log(JSON.stringify({ key: raw, signatures: process.argv.slice(1).map(of) }));
"""


def test_we_verify_what_node_signs(tmp_path: Path) -> None:
    import base64

    need("node")
    payload = Statement("x", "00" * 32, {"kind": "run", "index": 1}).to_bytes()
    text = str(Checkpoint("log", 7, bytes(32)))
    words = [base64.b64encode(each).decode() for each in (signed_bytes(payload), text.encode())]
    done = subprocess.run(["node", "-e", NODE_SIGNS, *words], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    key = base64.b64decode(said["key"])
    entry, note = (base64.b64decode(each) for each in said["signatures"])
    Envelope(payload, key_id(key), entry).verify(key)
    verifier = Verifier("log", key)
    assert checkpoint_of(str(Note(text, (Signature("log", verifier.key_id, note),))), verifier).size == 7


def test_we_verify_what_openssl_signs(tmp_path: Path) -> None:
    need("openssl")
    payload = Statement("x", "00" * 32, {"kind": "run", "index": 1}).to_bytes()
    (tmp_path / "data").write_bytes(signed_bytes(payload))
    for words in (
        ["genpkey", "-algorithm", "ed25519", "-out", "key.pem"],
        ["pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "key.der"],
        ["pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "data", "-out", "signature"],
    ):
        subprocess.run(["openssl", *words], cwd=tmp_path, capture_output=True, check=True)
    key = (tmp_path / "key.der").read_bytes()[-32:]
    Envelope(payload, key_id(key), (tmp_path / "signature").read_bytes()).verify(key)


def test_the_same_words_are_never_committed_to_in_the_same_way() -> None:
    parts = [("a", b'"yes"'), ("b", b'"yes"')]
    made = [seal(salted(parts), b"x").manifest for _ in range(50)]
    commitments = {line.split(b",")[1] for manifest in made for line in manifest.split(b"\n")}
    assert len(commitments) == 100, "what is easily guessed cannot be tried out"


def test_nothing_of_the_audit_log_opens_a_connection(journal, log: AuditLog, tmp_path, monkeypatch) -> None:
    need("node", "openssl", "ssh-keygen")

    def refused(*_words, **_named):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    (trace,) = record_run(journal, "k1", "sqlite:///nowhere.db", tmp_path, booking(1))
    journal.flush()
    seal_journal(journal.path, log)
    publish(folder=log.folder)
    assert verify(folder=log.folder).ok
    assert find("oslo", folder=log.folder)
    found = show(trace.trace_id, folder=log.folder)
    assert as_plain(found.trace)["spans"] == as_plain(trace)["spans"], "every byte of every step, without MLflow"
    export(trace.trace_id, tmp_path / "e.zip", folder=log.folder)
    folder = opened(tmp_path / "e.zip", tmp_path / "e")
    assert accepted(folder, log.anchor(), node=True)
    assert accepted(folder, log.anchor(), node=False)
