"""Evidence bundles: a zip that shows traces and proves them, to be verified without this software.

Each export is itself an entry of the log.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import zipfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import evidence_programs, recorded
from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.envelope import Envelope, signed_bytes
from agenttrace_nb.audit.erase import erased_parts
from agenttrace_nb.audit.keys import public_pem
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.merkle import Tree, leaf_hash
from agenttrace_nb.audit.note import Note, inclusion_proof_file
from agenttrace_nb.audit.place import AuditError, check_given
from agenttrace_nb.audit.report import NOT_PROVEN
from agenttrace_nb.audit.retrieve import said_of, steps_of, time_text
from agenttrace_nb.audit.revocation import revocations
from agenttrace_nb.audit.sshsig import allowed_signers, ssh_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agenttrace_nb.audit.content import Part
    from agenttrace_nb.audit.retrieve import Said


def export(
    traces: str | Sequence[str],
    path: str | Path,
    *,
    redacted: bool = False,
    recipient: str | None = None,
    folder: Path | None = None,
) -> Path:
    """Write a bundle that proves traces.

    Parameters
    ----------
    traces
        Ids of sealed traces.
    path
        The zip to be written; it must not exist.
    redacted
        Whether content and salts are left out: the bundle proves then that the record exists, and later, together with
        the content, what it was.
    recipient
        Who it is for; kept as content of the entry.
    folder
        The log; by default that of this user.

    Returns
    -------
    Path
        The zip.

    Raises
    ------
    AuditError
        If a trace is not sealed, or the file exists.

    Examples
    --------
    >>> export("tr-0123...", "evidence.zip")  # doctest: +SKIP
    PosixPath('evidence.zip')
    """
    path = Path(path)
    if path.exists():
        msg = f"{path} exists; bundles are never overwritten"
        raise AuditError(msg)
    wanted = [t.removeprefix("tr-") for t in ([traces] if isinstance(traces, str) else traces)]
    with contextlib.closing(AuditLog(folder)) as log:
        indices = [(trace, _last(log, trace), _beside(log, trace)) for trace in wanted]
        facts = {"traces": wanted, "entries": [index for _, index, _ in indices], "redacted": redacted}
        parts = [("recipient", canonical(recipient))]
        log.append(Draft(kind="export", subject=f"audit-log:{log.origin}", facts=facts, parts=parts))
        files, shelf = _shared(log), _Shelf(log, redacted=redacted)
        for trace, index, beside in indices:
            place = f"traces/{trace}"
            files |= shelf.entry(index, place) | shelf.timeline(trace, index, place)
            for each in beside:
                files |= shelf.entry(each, f"{place}/beside/{each}")
        for revoked in revocations(log):
            files |= shelf.entry(revoked.by, f"revocations/{revoked.by}")
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in sorted({**files, "SHA256SUMS": sums.encode()}.items()):
            bundle.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return path


def hand_over(path: str | Path, *, recipient: str, folder: Path | None = None) -> int:
    """Record that a bundle is given to somebody: an entry with the digest of the file, for the chain of custody.

    Parameters
    ----------
    path
        The bundle, as it is given away.
    recipient
        To whom; kept as content of the entry.
    folder
        The log; by default that of this user.

    Returns
    -------
    int
        The entry that says so.

    Raises
    ------
    AuditError
        If the file cannot be read, or nobody is named.

    Examples
    --------
    >>> hand_over("evidence.zip", recipient="auditor")  # doctest: +SKIP
    """
    check_given("recipient", recipient)
    try:
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        msg = f"the bundle {path} cannot be read ({error.strerror})"
        raise AuditError(msg) from error
    with contextlib.closing(AuditLog(folder)) as log:
        parts = [("recipient", canonical(recipient))]
        facts = {"handedOver": digest}
        return log.append(Draft(kind="export", subject=f"audit-log:{log.origin}", facts=facts, parts=parts)).index


def _last(log: AuditLog, trace: str) -> int:
    whole = log.of_trace(trace, "run", "amend")
    if not whole:
        msg = f"there is no sealed trace {trace!r}; at.audit.find() lists what there is"
        raise AuditError(msg)
    return whole[-1]


def _beside(log: AuditLog, trace: str) -> list[int]:
    """Return the other entries of a trace: its opening, what it was before, ratings, holds, what was erased of it."""
    kinds = ("run-open", "run", "amend", "feedback", "legal-hold", "erase", "retain-expire")
    return [index for index in log.of_trace(trace, *kinds) if index != _last(log, trace)]


def _shared(log: AuditLog) -> dict[str, bytes]:
    tip = log.vault.tip()
    note = Note.parse("" if tip is None else tip.note)
    text, signer = note.text.encode(), log.keys.log()
    epochs = [
        {"epoch": e.number, "entry": e.index, "key": e.public.hex(), "since": e.since} for e in log.vault.epochs()
    ]
    return {
        "README.txt": evidence_programs.README.replace("@ANCHOR@", log.anchor()).replace(
            "@NOT_PROVEN@", "\n".join(f"- {limit}" for limit in NOT_PROVEN)
        ).encode(),
        "verify.sh": evidence_programs.VERIFY_SH.encode(),
        "verify.mjs": evidence_programs.VERIFY_MJS.encode(),
        "anchor.txt": f"{log.anchor()}\n".encode(),
        "checkpoint": str(note).encode(),
        "checkpoint.txt": text,
        "checkpoint.sig": note.signatures[0].signature,
        "checkpoint.sshsig": ssh_signature(text, signer, "file").encode(),
        "allowed_signers": allowed_signers("audit@localhost", signer.public).encode(),
        "log.pub.pem": public_pem(signer.public),
        "log.vkey": f"{log.verifier()}\n".encode(),
        "genesis.dsse.json": log.vault.entry(0) or b"",
        "keys.json": json.dumps(epochs, indent=1).encode(),
    }  # fmt: skip


class _Shelf:
    """Entries of a log as files, with their proofs."""

    def __init__(self, log: AuditLog, *, redacted: bool) -> None:
        self._log = log
        self._redacted = redacted
        self._entries = [entry for _, entry in log.vault.entries()]
        self._tree = Tree([leaf_hash(entry) for entry in self._entries])
        self._epochs = log.vault.epochs()
        tip = log.vault.tip()
        self._note = "" if tip is None else tip.note

    def entry(self, index: int, place: str) -> dict[str, bytes]:
        """Return an entry with its proof and what it commits to."""
        entry = self._entries[index]
        envelope = Envelope.parse(entry)
        epoch = [e for e in self._epochs if e.index < index][-1]
        proof = self._tree.inclusion(index)
        facts = {"index": index, "size": self._tree.size, "proof": [step.hex() for step in proof]}
        files = {
            f"{place}/entry.dsse.json": entry,
            f"{place}/statement.json": envelope.payload,
            f"{place}/signed.bin": signed_bytes(envelope.payload),
            f"{place}/signature.bin": envelope.signature,
            f"{place}/recorder.pub.pem": public_pem(epoch.public),
            f"{place}/record.tlog-proof": inclusion_proof_file(index, proof, self._note).encode(),
            f"{place}/proof.json": json.dumps(facts, indent=1).encode(),
            f"{place}/manifest": self._log.vault.manifest(index) or b"",
        }
        parts = None if self._redacted else self._log.read(index)
        if parts is not None:
            shown = [
                {"path": p.path, "salt": base64.b64encode(p.salt).decode(), "data": base64.b64encode(p.data).decode()}
                for p in parts
            ]
            files[f"{place}/content.json"] = json.dumps(shown, indent=1).encode()
        return files

    def timeline(self, trace_id: str, index: int, place: str) -> dict[str, bytes]:
        """Return the page for people."""
        parts = None if self._redacted else self._log.read(index)
        if parts is None:
            return {}
        erased = erased_parts(self._log, trace_id, index, parts)
        return {f"{place}/timeline.html": _timeline(parts, index, erased, [*said_of(self._log, trace_id)]).encode()}


def _timeline(parts: list[Part], index: int, erased: Mapping[str, int], said: Sequence[Said]) -> str:
    """Return what happened, for people: one page, nothing fetched, everything escaped."""
    trace = recorded.trace_of(recorded.from_parts(parts))
    rows = "".join(
        f"<tr><td>{time_text(step.at_ns)}</td><td>{escape(step.what)}</td><td>{escape(step.name)}</td>"
        f"<td>{escape(step.agent or '')}</td><td><pre>{escape(_readable(step.content))}</pre></td></tr>"
        for step in steps_of(trace, erased)
    )
    after = "".join(f"<li>{escape(str(each))}</li>" for each in said)
    gone = "".join(f"<li>{escape(path)}: erased, as entry {by} says</li>" for path, by in erased.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Trace {escape(trace.trace_id)}</title><style>body{{font:15px/1.5 system-ui,sans-serif;margin:2rem}}"
        "table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8886;padding:.3rem .6rem;"
        "text-align:left;vertical-align:top}td:first-child{white-space:nowrap}"
        "pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font-size:13px}"
        "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}</style>"
        f"<h1>{escape(trace.name)}</h1><p>Trace tr-{escape(trace.trace_id)}, entry {index}, "
        f"{escape(trace.status.value)}. This page is for reading; what proves it is beside it (README.txt).</p>"
        "<table><thead><tr><th>time (UTC)</th><th>what</th><th>name</th><th>agent</th><th>content</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        f"{f'<h2>Said of it</h2><ul>{after}</ul>' if after else ''}"
        f"{f'<h2>Erased</h2><ul>{gone}</ul>' if gone else ''}</html>"
    )


def _readable(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1, default=str)
