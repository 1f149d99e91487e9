"""Time stamps of an authority (RFC 3161): that a checkpoint existed before a time, said by somebody else.

Needs the extra ``agenttrace-nb[tsa]``. The digest of a checkpoint is all that is sent.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.note import Checkpoint, Note, NoteError
from agenttrace_nb.audit.pins import Pin, contradiction
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.remote import ask
from agenttrace_nb.audit.report import Finding, Verdict
from agenttrace_nb.audit.tokens import Token, TokenError, certificates, library

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cryptography.x509 import Certificate

    from agenttrace_nb.audit.envelope import Statement
    from agenttrace_nb.audit.examine import Examination
    from agenttrace_nb.audit.report import Report

_CLOCK_S = 2.0
"""Clocks of this machine and of an authority may differ by so much without a word."""


def timestamp(url: str, *, to: Path | None = None, folder: Path | None = None) -> str:
    """Have the log's last checkpoint time-stamped; the stamp is kept in the vault.

    Nothing waits for it: the log is not locked while the authority is asked.

    Parameters
    ----------
    url
        Address of the authority.
    to
        A file for a copy of the stamp; keep it where nobody who can write here can remove it.
    folder
        The log; by default that of this user.

    Returns
    -------
    str
        The time that the authority says, ISO 8601.

    Raises
    ------
    AuditError
        If the authority does not answer, does not stamp, or stamps something else. Nothing is kept then.
    """
    client = library()
    with contextlib.closing(AuditLog(folder)) as log:
        tip = log.vault.tip()
        if tip is None:
            msg = "there is nothing to be stamped yet"
            raise AuditError(msg)
        text = Note.parse(tip.note).text.encode()
        request = client.TimestampRequestBuilder().data(text).build()
        answer, token = _stamped(url, request, text)
        kept = json.dumps({"checkpoint": tip.note, "response": base64.b64encode(answer).decode("ascii")}).encode()
        log.keep_pin("tsa", tip.size, kept)
    if to is not None:
        to.write_bytes(kept)
    return token.at.isoformat()


def _stamped(url: str, request: Any, text: bytes) -> tuple[bytes, Token]:
    who = "time stamp authority"
    status, answer = ask(who, url, "POST", body=request.as_bytes(), kind="application/timestamp-query")
    if status != HTTPStatus.OK:
        msg = f"the {who} at {url} refuses ({status})"
        raise AuditError(msg)
    try:
        token = Token.parse(answer)
    except TokenError as error:
        msg = f"the answer of {url}: {error}"
        raise AuditError(msg) from error
    if not token.is_of(text):
        msg = f"the answer of {url} is a time stamp of something else than was asked for; it is not kept"
        raise AuditError(msg)
    if token.nonce != request.nonce:
        msg = f"the answer of {url} is a time stamp that was made for another request (its nonce); it is not kept"
        raise AuditError(msg)
    return answer, token


def check_stamps(examination: Examination, stamps: Iterable[bytes], roots: Iterable[Path]) -> None:
    """Compare a log with time stamps.

    Parameters
    ----------
    examination
        The log as it is; its report takes what is found.
    stamps
        As `timestamp` keeps them.
    roots
        Certificates of the authorities that are trusted, PEM.

    Raises
    ------
    AuditError
        If a certificate cannot be read.
    """
    trusted = certificates(roots)
    for stamp in stamps:
        try:
            known = json.loads(stamp)
            note = str(known["checkpoint"])
            checkpoint = Checkpoint.parse(Note.parse(note).text)
            token = Token.parse(base64.b64decode(known["response"], validate=True))
        except (ValueError, KeyError, TypeError, NoteError) as error:
            examination.report.notes.append(f"a time stamp cannot be read, and shows nothing ({error})")
            continue
        finding = _wrong(examination, token, Pin(checkpoint, note, f"a time stamp of {_said(token.at)}"), trusted)
        if finding is not None:
            examination.report.findings.append(finding)
        else:
            _say(examination.report, examination.statements, token, checkpoint.size, stamp)


def _wrong(examination: Examination, token: Token, pin: Pin, trusted: Sequence[Certificate]) -> Finding | None:
    if (doubt := token.doubt(trusted)) is not None:
        return Finding(Verdict.INCOMPLETE, f"{pin.kind} shows nothing: {doubt}")
    if not token.is_of(str(pin.checkpoint).encode()):
        what = f"{pin.kind} is of something else than the checkpoint that it is kept with: one of them was exchanged"
        return Finding(Verdict.DIVERGED, what)
    return contradiction(examination.report, examination.tree, pin, examination.verifier)


def _say(report: Report, statements: Sequence[Statement], token: Token, size: int, stamp: bytes) -> None:
    """Add a stamp that holds: what it brackets, and what the clock of this machine says beside it."""
    digest = hashlib.sha256(stamp).hexdigest()
    later = next((s for s in statements if s.kind == "pin" and s.predicate.get("pinDigest") == digest), None)
    since = "" if later is None else f"; entries from {later.index} on were made after it"
    report.pins.append(f"a time stamp: {size} entries existed before {_said(token.at)}{since}")
    report.last_pin = max(report.last_pin or 0, size)
    before = next((s for s in reversed(statements) if s.index < size), None)
    if before is not None and (ahead_s := (_sealed_at(before) - token.at).total_seconds()) > _CLOCK_S:
        report.notes.append(
            f"the clock was ahead: entry {before.index} says that it was sealed {ahead_s:.0f} s after the time stamp "
            f"of {_said(token.at)} that it came before"
        )
    if later is not None and (behind_s := (token.at - _sealed_at(later)).total_seconds()) > _CLOCK_S:
        report.notes.append(
            f"the clock was behind: entry {later.index} says that it was sealed {behind_s:.0f} s before the time stamp "
            f"of {_said(token.at)} that it came after"
        )


def _sealed_at(statement: Statement) -> dt.datetime:
    return dt.datetime.fromisoformat(str(statement.predicate["sealedAt"]))


def _said(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
