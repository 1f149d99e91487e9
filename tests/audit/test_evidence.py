"""Bundles: verified by openssl, ssh-keygen and Node alone; every change of any file in them is found."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
from mlflow_store.journals import record_run
from mlflow_store.samples import START_NS, booking
from requirements_met import require_or_skip

from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.evidence import export, hand_over
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.retention import expire, hold
from agenttrace_nb.audit.retrieve import find, show
from agenttrace_nb.audit.sealer import seal_journal
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def traces(journal, log: AuditLog, tmp_path: Path) -> list:
    one, two = booking(1), booking(2, name=HOSTILE)
    record_run(journal, "k1", "sqlite:///nowhere.db", tmp_path, one, two, arch="triage", tags={"team": "blue"})
    journal.flush()
    seal_journal(journal.path, log)
    return [one, two]


def opened(bundle: Path, to: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(to)
    return to


def accepted(folder: Path, anchor: str, *, node: bool) -> bool:
    command = ["node", "verify.mjs", anchor] if node else ["sh", "verify.sh", anchor]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode == 0


def need(*programs: str) -> None:
    for program in programs:
        require_or_skip(condition=shutil.which(program) is not None, reason=f"needs {program}")


def test_others_verify_a_bundle_without_this_software(traces, log, tmp_path):
    need("openssl", "ssh-keygen", "node")
    export([t.trace_id for t in traces], tmp_path / "e.zip", folder=log.folder, recipient="an auditor")
    folder = opened(tmp_path / "e.zip", tmp_path / "e")
    assert log.anchor() in (folder / "README.txt").read_text("utf-8").split("\n\n")[1]
    assert accepted(folder, log.anchor(), node=False)
    assert accepted(folder, log.anchor(), node=True)
    other = log.anchor()[:-1] + ("0" if log.anchor()[-1] != "0" else "1")
    assert not accepted(folder, other, node=False)
    assert not accepted(folder, other, node=True)
    last = Envelope.parse(log.vault.entry(log.vault.size() - 1)).statement
    assert last.kind == "export"
    assert verify(folder=log.folder).ok


def test_a_bundle_holds_what_was_said_and_what_was_erased_and_nothing_may_be_left_out(traces, log, journal, tmp_path):
    need("node", "openssl", "ssh-keygen")
    said = {
        "trace_id": traces[0].trace_id, "span_id": None, "name": "error", "value": "wrong amount", "comment": HOSTILE,
        "user": "auditor", "time_ns": START_NS, "key": "f", "tracking_uri": "x", "cwd": "x",
    }  # fmt: skip
    journal.append(EventKind.FEEDBACK, body=said, urgent=True)
    journal.flush()
    seal_journal(journal.path, log)
    erase(traces[0].trace_id, component="span/*/outputs", reason="r", approver="a", folder=log.folder)
    export(traces[0].trace_id, tmp_path / "e.zip", folder=log.folder)
    folder = opened(tmp_path / "e.zip", tmp_path / "e")
    place = folder / "traces" / traces[0].trace_id
    kinds = {Envelope.parse(path.read_bytes()).statement.kind for path in place.glob("beside/*/entry.dsse.json")}
    assert kinds == {"run-open", "amend", "erase"}
    told = said_by_node(folder, log.anchor())
    assert "outputs was erased, as entry" in told
    assert accepted(folder, log.anchor(), node=False)
    page = (place / "timeline.html").read_text("utf-8")
    assert "wrong amount" in page
    assert "[erased, as entry" in page
    assert HOSTILE not in page
    parts = json.loads((place / "content.json").read_text("utf-8"))
    (place / "content.json").write_text(json.dumps(parts[:-1]), "utf-8")
    with_right_sums(folder)
    assert not accepted(folder, log.anchor(), node=True), "a part was left out"
    (place / "content.json").unlink()
    with_right_sums(folder)
    assert "the content of 1 entry is not in this bundle" in said_by_node(folder, log.anchor())


def said_by_node(folder: Path, anchor: str) -> str:
    done = subprocess.run(["node", "verify.mjs", anchor], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_right_sums(folder: Path) -> None:
    """A forger mends the digests too."""
    from hashlib import sha256

    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "SHA256SUMS"]
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")


# What carries no proof: texts and pages for people, the programs themselves, and other forms of what Node reads
FOR_PEOPLE = {"README.txt", "verify.sh", "verify.mjs", "anchor.txt", "timeline.html", "SHA256SUMS"}
OTHER_FORMS = {
    "checkpoint.txt", "checkpoint.sig", "checkpoint.sshsig", "allowed_signers", "log.pub.pem", "log.vkey",
    "statement.json", "signed.bin", "signature.bin", "recorder.pub.pem", "record.tlog-proof",
}  # fmt: skip


def test_every_changed_file_of_a_bundle_is_found_also_with_its_digest_mended(traces, log, tmp_path):
    need("node")
    export(traces[0].trace_id, tmp_path / "e.zip", folder=log.folder)
    folder = opened(tmp_path / "e.zip", tmp_path / "e")
    tried, missed = 0, []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        original = path.read_bytes()
        at = original.find(b'"data": "') + 12 if path.name == "content.json" else len(original) // 2
        path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
        tried += 1
        if path.name not in FOR_PEOPLE | OTHER_FORMS:
            with_right_sums(folder)
        if path.name != "SHA256SUMS" and accepted(folder, log.anchor(), node=True):
            missed.append(path.name)
        path.write_bytes(original)
        with_right_sums(folder)
    print(f"{tried} files changed")
    assert not missed


def test_a_redacted_bundle_proves_the_record_and_shows_nothing_of_it(traces, log, tmp_path):
    need("node")
    export(traces[0].trace_id, tmp_path / "e.zip", folder=log.folder, redacted=True)
    folder = opened(tmp_path / "e.zip", tmp_path / "e")
    assert accepted(folder, log.anchor(), node=True)
    everything = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert b"Oslo" not in everything
    salts = [part.salt for part in log.read(show(traces[0].trace_id, folder=log.folder).index)]
    assert not [salt for salt in salts if salt in everything or salt.hex().encode() in everything]


def test_what_a_model_wrote_stays_text_in_the_timeline(traces, log, tmp_path):
    export(traces[1].trace_id, tmp_path / "e.zip", folder=log.folder)
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        page = archive.read(f"traces/{traces[1].trace_id}/timeline.html").decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_handover_is_an_entry_with_the_digest_of_the_bundle(traces, log, tmp_path):
    export(traces[0].trace_id, tmp_path / "e.zip", folder=log.folder)
    index = hand_over(tmp_path / "e.zip", recipient="an auditor", folder=log.folder)
    said = Envelope.parse(log.vault.entry(index)).statement
    assert said.kind == "export"
    assert said.predicate["handedOver"] == hashlib.sha256((tmp_path / "e.zip").read_bytes()).hexdigest()
    assert [part.data for part in log.read(index)] == [b'"an auditor"']
    assert verify(folder=log.folder).ok
    with pytest.raises(AuditError, match="cannot be read"):
        hand_over(tmp_path / "none.zip", recipient="an auditor", folder=log.folder)
    with pytest.raises(AuditError, match="recipient"):
        hand_over(tmp_path / "e.zip", recipient=" ", folder=log.folder)


def test_a_bundle_is_never_overwritten(traces, log, tmp_path):
    (tmp_path / "e.zip").write_text("mine")
    with pytest.raises(AuditError, match="never overwritten"):
        export(traces[0].trace_id, tmp_path / "e.zip", folder=log.folder)
    with pytest.raises(AuditError, match="no sealed trace"):
        export("f" * 32, tmp_path / "f.zip", folder=log.folder)


def test_a_sealed_trace_gives_prompts_responses_and_calls_in_order(traces, log):
    found = show(f"tr-{traces[0].trace_id}", folder=log.folder)
    assert found.proven
    told = [(step.what, step.content) for step in found.steps if step.name != "Agent workflow"]
    spans = {kind: [s for s in traces[0].spans if s.kind is kind] for kind in (SpanKind.LLM, SpanKind.TOOL)}
    first, second = spans[SpanKind.LLM]
    (tool,) = spans[SpanKind.TOOL]
    assert told == [
        ("prompt", first.input), ("response", first.output), ("call", tool.input), ("result", tool.output),
        ("prompt", second.input), ("response", second.output),
    ]  # fmt: skip
    assert found.cell_run["arch"] == "triage"
    assert "Weather in Oslo?" in str(found)


def test_sealed_traces_are_found_by_what_was_said_and_by_tag(traces, log):
    ids = {t.trace_id for t in traces}
    assert {hit.trace_id for hit in find("weather in OSLO", folder=log.folder)} == ids
    assert {hit.trace_id for hit in find(tag=("team", "blue"), folder=log.folder)} == ids
    assert find("Bergen", folder=log.folder) == []
    assert find(tag=("arch", "other"), folder=log.folder) == []


def bytes_on_disk(log: AuditLog) -> bytes:
    return b"".join(path.read_bytes() for path in log.folder.rglob("*") if path.is_file())


def test_erased_content_is_gone_from_every_byte_and_all_proofs_stay(traces, log, tmp_path):
    wanted, kept = traces
    index = show(wanted.trace_id, folder=log.folder).index
    ((wrapped,),) = log.vault.db.execute("SELECT wrapped FROM content_key WHERE i = ?", (index,)).fetchall()
    ((cipher,),) = log.vault.db.execute("SELECT ciphertext FROM content WHERE i = ?", (index,)).fetchall()
    assert wrapped in bytes_on_disk(log)
    plan = erase(wanted.trace_id, reason="request", approver="DPO", plan=True, folder=log.folder)
    assert plan.by == ()
    assert show(wanted.trace_id, folder=log.folder)
    done = erase(wanted.trace_id, reason="request", approver="DPO", folder=log.folder)
    everything = bytes_on_disk(log)
    assert wrapped not in everything
    assert cipher[:64] not in everything
    report = verify(folder=log.folder)
    assert report.ok
    assert f"entry {index} was erased, authorised by entry {done.by[0]}" in report.notes
    with pytest.raises(AuditError, match="was erased"):
        show(wanted.trace_id, folder=log.folder)
    assert show(kept.trace_id, folder=log.folder).proven


def test_content_that_is_gone_without_an_entry_is_tampering(traces, log):
    index = show(traces[0].trace_id, folder=log.folder).index
    with log.vault.transaction():
        log.vault.erase_content([index])
    report = verify(folder=log.folder)
    assert "no entry says that it was erased" in str(report)


def test_what_is_held_is_neither_erased_nor_expires(traces, log):
    hold(traces[0].trace_id, reason="case 12", folder=log.folder)
    with pytest.raises(AuditError, match="legal hold"):
        erase(traces[0].trace_id, reason="x", approver="y", folder=log.folder)
    gone = expire(older_than_days=0, folder=log.folder)
    assert gone.traces == (traces[1].trace_id,)
    hold(traces[0].trace_id, reason="case closed", release=True, folder=log.folder)
    erase(traces[0].trace_id, reason="x", approver="y", folder=log.folder)
    assert verify(folder=log.folder).ok


@pytest.mark.parametrize("missing", ["reason", "approver"])
def test_nothing_is_erased_without_a_reason_and_an_approver(traces, log, missing):
    given = {"reason": "r", "approver": "a", missing: " "}
    with pytest.raises(AuditError, match=missing):
        erase(traces[0].trace_id, **given, folder=log.folder)
