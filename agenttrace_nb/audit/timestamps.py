"""Time stamps of an authority (RFC 3161): that a checkpoint existed before a time, said by somebody else.

Needs the extra ``agenttrace-nb[tsa]``. The digest of a checkpoint is all that is sent.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.note import Checkpoint, Note
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agenttrace_nb.audit.merkle import Tree
    from agenttrace_nb.audit.report import Report

_TIMEOUT_S = 20.0
_MAX_BYTES = 1_000_000


def timestamp(url: str, *, to: Path | None = None, folder: Path | None = None) -> str:
    """Have the log's last checkpoint time-stamped; the stamp is kept in the vault.

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
        If the authority does not answer, or does not stamp.
    """
    client = _library()
    with contextlib.closing(AuditLog(folder)) as log:
        tip = log.vault.tip()
        if tip is None:
            msg = "there is nothing to be stamped yet"
            raise AuditError(msg)
        text = Note.parse(tip.note).text.encode()
        answer = _asked(url, client.TimestampRequestBuilder().data(text).build().as_bytes())
        try:
            told = client.decode_timestamp_response(answer)
            when: str = told.tst_info.gen_time.isoformat()
        except Exception as error:
            msg = f"the answer of {url} is no time stamp ({error})"
            raise AuditError(msg) from error
        kept = json.dumps({"size": tip.size, "response": base64.b64encode(answer).decode("ascii")}).encode()
        log.keep_pin("tsa", tip.size, kept)
    if to is not None:
        to.write_bytes(kept)
    return when


def check_stamps(report: Report, tree: Tree, stamps: Iterable[bytes], roots: Iterable[Path]) -> None:
    """Compare a log with time stamps.

    Parameters
    ----------
    report
        Takes what is found.
    tree
        The log as it is.
    stamps
        As `timestamp` keeps them.
    roots
        Certificates of the authorities that are trusted, PEM.

    Raises
    ------
    AuditError
        If a certificate cannot be read.
    """
    from cryptography import x509

    client = _library()
    try:
        trusted = [x509.load_pem_x509_certificate(path.read_bytes()) for path in roots]
    except (OSError, ValueError) as error:
        msg = f"a certificate of a time stamp authority cannot be read ({error})"
        raise AuditError(msg) from error
    for stamp in stamps:
        try:
            known = json.loads(stamp)
            size = int(known["size"])
            told = client.decode_timestamp_response(base64.b64decode(known["response"]))
            when = told.tst_info.gen_time.isoformat()
        except Exception as error:  # noqa: BLE001 - whatever the library makes of bytes that are none of its kind
            report.notes.append(f"a time stamp cannot be read ({type(error).__name__}); try `openssl ts -verify` on it")
            continue
        if not 0 < size <= tree.size:
            what = f"ROLLBACK: a time stamp of {when} is of {size} entries, and there are {tree.size}"
            report.findings.append(Finding(Verdict.DIVERGED, what))
            continue
        text = str(Checkpoint(report.origin, size, tree.root(size))).encode()
        if any(_holds(client, told, text, root) for root in trusted):
            report.pins.append(f"a time stamp: {size} entries existed before {when}")
            report.last_pin = max(report.last_pin or 0, size)
        else:
            what = f"FORK: a time stamp of {when} is not of the first {size} entries, or of no trusted authority"
            report.findings.append(Finding(Verdict.DIVERGED, what))


def _holds(client: Any, told: Any, text: bytes, root: Any) -> bool:
    verifier = client.VerifierBuilder().add_root_certificate(root).build()
    try:
        return bool(verifier.verify_message(told, text))
    except client.VerificationError:
        return False


def _library() -> Any:
    try:
        import rfc3161_client
    except ImportError as error:
        msg = "time stamps need the extra: pip install 'agenttrace-nb[tsa]'"
        raise AuditError(msg) from error
    return rfc3161_client


def _asked(url: str, request: bytes) -> bytes:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", parts.path or "/", request, {"Content-Type": "application/timestamp-query"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            msg = f"the time stamp authority at {url} refuses ({answer.status})"
            raise AuditError(msg)
        return answer.read(_MAX_BYTES)
    except OSError as error:
        msg = f"the time stamp authority at {url} does not answer ({error})"
        raise AuditError(msg) from error
    finally:
        connection.close()
