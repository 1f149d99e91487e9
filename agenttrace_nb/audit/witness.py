"""A small witness: it signs checkpoints of logs that only grow, and refuses forks and rollbacks.

It speaks C2SP tlog-witness 1.1: ``add-checkpoint``, and the address where the last checkpoint of a log is read.

Run on another machine, under somebody else's hands, it keeps the holder of a log's keys from rewriting what it has
seen.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.keys import open_signer
from agenttrace_nb.audit.merkle import EMPTY_ROOT, verify_consistency
from agenttrace_nb.audit.note import (
    COSIGNATURE,
    Checkpoint,
    Note,
    NoteError,
    Signature,
    Verifier,
    checkpoint_of,
    cosigned_at,
    cosigned_text,
)
from agenttrace_nb.audit.pins import Pin
from agenttrace_nb.audit.place import AuditError, made_private, sync_folder, write_new
from agenttrace_nb.audit.remote import ask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_BYTES = 100_000
_MAX_PROOF = 63
_PLAIN = "text/plain; charset=utf-8"


class RefusedError(Exception):
    """A checkpoint is not signed; with the status that C2SP tlog-witness gives it."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Witness:
    """A witness and what it has seen.

    Parameters
    ----------
    folder
        Where its key and what it has seen are kept.
    name
        What it is known by; only used when it is made.
    logs
        Keys of the logs that it witnesses.
    """

    def __init__(self, folder: Path, logs: Sequence[Verifier], name: str = "agenttrace-nb/witness") -> None:
        self._folder = made_private(folder)
        self._lock = threading.Lock()
        self._logs = {log.name: log for log in logs}
        key = folder / "witness.pem"
        if not key.exists():
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            write_new(key, Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ))  # fmt: skip
        self._signer = open_signer(f"file2:{key}")
        self.verifier = Verifier(name, self._signer.public, COSIGNATURE)

    def add(self, old_size: int, proof: Sequence[bytes], note: str) -> str:
        """Sign a checkpoint that continues what was seen, and return the line of the signature.

        Raises
        ------
        RefusedError
            404 for a log that is not known, 403 for a wrong signature, 409 if ``old_size`` is not what was seen last,
            422 if the proof does not show that the log only grew.
        """
        try:
            origin = Checkpoint.parse(Note.parse(note).text).origin
        except NoteError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        if origin not in self._logs:
            raise RefusedError(HTTPStatus.NOT_FOUND, "this log is not witnessed here")
        try:
            checkpoint = checkpoint_of(note, self._logs[origin])
        except NoteError as error:
            raise RefusedError(HTTPStatus.FORBIDDEN, str(error)) from error
        with self._lock:
            seen = self.latest(origin)
            size, root = (0, EMPTY_ROOT) if seen is None else (seen.size, seen.root)
            if old_size > checkpoint.size:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "the old size is larger than the new one")
            if old_size != size:
                raise RefusedError(HTTPStatus.CONFLICT, str(size))
            if not verify_consistency(size, checkpoint.size, root, checkpoint.root, proof):
                self._keep_evidence(note)
                raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "the log does not continue what was seen of it")
            self._keep(note, origin)
            now = int(time.time())
            text = str(checkpoint)
            signature = now.to_bytes(8, "big") + self._signer.sign(cosigned_text(text, now))
            line = Signature(self.verifier.name, self.verifier.key_id, signature).line()
            self._place(origin).with_suffix(".cosigned").write_text(note + line, "utf-8")
            return line

    def latest(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint that was seen of a log."""
        path = self._place(origin)
        if not path.exists():
            return None
        return Checkpoint.parse(Note.parse(path.read_text("utf-8")).text)

    def cosigned_at_path(self, path: str) -> str | None:
        """Return the last checkpoint with this witness's signature of the log that an address names."""
        named = {checkpoint_path(origin): origin for origin in self._logs}
        if path not in named:
            return None
        file = self._place(named[path]).with_suffix(".cosigned")
        return file.read_text("utf-8") if file.exists() else None

    def _place(self, origin: str) -> Path:
        return self._folder / f"{_named(origin)}.note"

    def _keep(self, note: str, origin: str) -> None:
        """Keep what is about to be signed, before it is: a crash must not let another history be signed."""
        path = self._place(origin)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        write_new(new, note.encode())
        new.replace(path)
        sync_folder(self._folder)

    def _keep_evidence(self, note: str) -> None:
        """Keep a signed contradiction: it proves what the log did."""
        write_new(self._folder / f"refused-{time.time_ns()}-{os.getpid()}.note", note.encode())

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> ThreadingHTTPServer:
        """Return a server for it; ``serve_forever`` runs it."""
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if self.path != "/add-checkpoint" or not 0 < length <= _MAX_BYTES:
                    self._answer(HTTPStatus.BAD_REQUEST, "send a checkpoint to /add-checkpoint\n")
                    return
                try:
                    self._answer(HTTPStatus.OK, witness.add(*_parsed(self.rfile.read(length))))
                except RefusedError as error:
                    kind = "text/x.tlog.size" if error.status == HTTPStatus.CONFLICT else _PLAIN
                    self._answer(error.status, f"{error}\n", kind)

            def do_GET(self) -> None:
                found = witness.cosigned_at_path(self.path)
                if found is None:
                    self._answer(HTTPStatus.NOT_FOUND, "nothing was seen of this log\n")
                else:
                    self._answer(HTTPStatus.OK, found)

            def _answer(self, status: HTTPStatus, text: str, kind: str = _PLAIN) -> None:
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        return ThreadingHTTPServer((host, port), Handler)


def checkpoint_path(origin: str) -> str:
    """Return where a witness shows the last checkpoint of a log that it has signed."""
    return f"/{_named(origin)}/checkpoint"


def _named(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()


def _parsed(body: bytes) -> tuple[int, list[bytes], str]:
    try:
        head, _, note = body.decode("utf-8").partition("\n\n")
        first, *steps = head.split("\n")
        word, size = first.split(" ")
        old_size, proof = int(size), [base64.b64decode(step, validate=True) for step in steps]
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the request is not understood") from error
    if word != "old" or str(old_size) != size or len(steps) > _MAX_PROOF:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the request is not understood")
    return old_size, proof, note


def witnessed(url: str, note: str, proof_since: Any) -> str:
    """Have a checkpoint signed by a witness, and return the line of its signature.

    Parameters
    ----------
    url
        Address of the witness.
    note
        The checkpoint.
    proof_since
        Gives the proof that the log only grew since it had some number of entries.

    Raises
    ------
    AuditError
        If the witness refuses, or does not answer.
    """
    old_size = 0
    for _ in range(2):
        steps = "".join(f"\n{base64.b64encode(step).decode()}" for step in proof_since(old_size))
        body = f"old {old_size}{steps}\n\n{note}".encode()
        status, data = ask("witness", url, "POST", path="/add-checkpoint", body=body)
        answer = data.decode("utf-8", "replace")
        if status == HTTPStatus.OK:
            return _signed_line(note, answer)
        if status != HTTPStatus.CONFLICT or not answer.strip().isdigit():
            break
        old_size = int(answer)
        if old_size > Checkpoint.parse(Note.parse(note).text).size:
            msg = f"the witness has seen {old_size} entries of this log, and there are fewer: it was rolled back"
            raise AuditError(msg)
    msg = f"the witness refuses ({status}): {answer.strip()}"
    raise AuditError(msg)


def _signed_line(note: str, answer: str) -> str:
    try:
        Note.parse(note + answer)
    except NoteError as error:
        msg = f"what the witness answers is no signature of a checkpoint ({error})"
        raise AuditError(msg) from error
    return answer


def pin_from(url: str, witness: Verifier, origin: str) -> Pin:
    """Return what a witness has last seen of a log, as a pin.

    Raises
    ------
    AuditError
        If it has seen nothing, does not answer, or its signature does not hold.
    """
    status, data = ask("witness", url, "GET", path=checkpoint_path(origin))
    answer = data.decode("utf-8", "replace")
    if status != HTTPStatus.OK:
        msg = f"the witness knows nothing of {origin} ({status}: {answer.strip()})"
        raise AuditError(msg)
    try:
        note = Note.parse(answer)
        mine = [s for s in note.signatures if (s.name, s.key_id) == (witness.name, witness.key_id)]
        when = cosigned_at(mine[0], note.text, witness)
    except (NoteError, IndexError) as error:
        msg = f"what the witness says is not signed by it ({error})"
        raise AuditError(msg) from error
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(when))
    return Pin(Checkpoint.parse(note.text), answer, f"the witness {witness.name}, {at}")


def cosign(url: str, *, folder: Path | None = None) -> str:
    """Have the log's last checkpoint signed by a witness; the signed checkpoint is returned, and kept in the vault.

    Raises
    ------
    AuditError
        If the witness refuses, or does not answer.
    """
    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.audit.merkle import Tree, leaf_hash

    log = AuditLog(folder)
    try:
        tip = log.vault.tip()
        if tip is None:
            msg = "there is nothing to be witnessed yet"
            raise AuditError(msg)
        tree = Tree([leaf_hash(entry) for _, entry in log.vault.entries(0, tip.size)])
        line = witnessed(url, tip.note, lambda size: tree.consistency(size) if size <= tree.size else [])
        log.keep_pin("witness", tip.size, json.dumps({"url": url, "line": line}).encode())
        return tip.note + line
    finally:
        log.close()
