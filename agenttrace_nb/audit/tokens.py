"""Time stamp tokens (RFC 3161): what they say, of which text they are, and whether somebody trusted signed them.

Needs the extra ``agenttrace-nb[tsa]``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.place import AuditError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cryptography.x509 import Certificate

_DIGESTS = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
_UNKNOWN = "it is of no authority whose certificate was given as trusted"
_WHY = (  # what the library or OpenSSL says, the most telling first
    (r"expired|not yet valid", "the authority's certificate was not valid at that time"),
    (
        r"EKU|unsuitable certificate purpose",
        "its signer's certificate is not made for time stamps (extended key usage)",
    ),
    (r"digest failure|signature failure|bad signature", "its signature does not hold"),
    (r"local issuer|self.signed certificate", _UNKNOWN),
)
_SEQUENCE, _CERTIFICATES = 0x30, 0xA0


class TokenError(ValueError):
    """There is no time stamp in an answer, or none that can be read."""


def library() -> Any:
    """Return what reads time stamps.

    Raises
    ------
    AuditError
        If it is not installed.
    """
    try:
        import rfc3161_client
    except ImportError as error:
        msg = "time stamps need the extra: pip install 'agenttrace-nb[tsa]'"
        raise AuditError(msg) from error
    return rfc3161_client


def certificates(paths: Iterable[Path]) -> list[Certificate]:
    """Return the certificates of authorities that are trusted, from files (PEM, one or more in each).

    Raises
    ------
    AuditError
        If one cannot be read.
    """
    from cryptography import x509

    found: list[Certificate] = []
    for path in paths:
        try:
            found += x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            msg = f"the certificate of a time stamp authority in {path} cannot be read ({error})"
            raise AuditError(msg) from error
    return found


@dataclass(frozen=True, slots=True)
class Token:
    """What an authority answered; nothing of it is verified yet."""

    told: Any

    @classmethod
    def parse(cls, answer: bytes) -> Token:
        """Return the time stamp of an answer.

        Raises
        ------
        TokenError
            If there is none, or it cannot be read.
        """
        decode = library().decode_timestamp_response
        try:
            try:
                told = decode(answer)
            except ValueError:
                told = decode(_with_sorted_certificates(answer))
            status = int(told.status)
        except Exception as error:
            msg = f"no time stamp that can be read ({error})"
            raise TokenError(msg) from error
        if status != 0:
            words = "; ".join(map(str, told.status_string)) or "without a reason"
            msg = f"the authority refuses (status {status}, {words})"
            raise TokenError(msg)
        try:
            told.tst_info.gen_time.isoformat()
        except Exception as error:
            msg = f"no time stamp that can be read ({error})"
            raise TokenError(msg) from error
        return cls(told)

    @property
    def at(self) -> dt.datetime:
        """When the authority says that it signed, UTC."""
        found: dt.datetime = self.told.tst_info.gen_time
        return found

    @property
    def nonce(self) -> int | None:
        """What it repeats of the request."""
        found: int | None = self.told.tst_info.nonce
        return found

    def is_of(self, text: bytes) -> bool:
        """Tell whether it stamps this text."""
        imprint = self.told.tst_info.message_imprint
        digest = _DIGESTS.get(imprint.hash_algorithm.dotted_string)
        return digest is not None and bool(imprint.message == digest(text).digest())

    def doubt(self, trusted: Iterable[Certificate]) -> str | None:
        """Return why it is not believed, in words; ``None`` if an authority that is trusted signed it.

        Certificates are looked at as of the time that the token says: a stamp outlives the certificate of its signer.
        """
        client, doubts = library(), []
        for root in trusted:
            verifier = client.VerifierBuilder().add_root_certificate(root).build()
            try:
                verifier.verify(self.told, self.told.tst_info.message_imprint.message)
            except client.VerificationError as error:
                doubts.append(_in_words(str(error)))
            else:
                return None
        return next((doubt for doubt in doubts if doubt != _UNKNOWN), _UNKNOWN)


def _in_words(said: str) -> str:
    return next((words for pattern, words in _WHY if re.search(pattern, said)), said)


# Several servers, OpenSSL's own among them, send their certificates in another order than DER wants, and the library
# refuses that. They are not under the signature: put in order, in place, they are the same certificates.


def _with_sorted_certificates(answer: bytes) -> bytes:
    try:
        _, token = _children(answer, 0, len(answer), inside=_SEQUENCE)
        _, content = _children(answer, *token, inside=_SEQUENCE)
        (signed,) = _children(answer, *content)
        place = next(part for part in _children(answer, *signed, inside=_SEQUENCE) if answer[part[0]] == _CERTIFICATES)
        parts = list(_children(answer, *place))
    except (IndexError, ValueError, StopIteration) as error:
        msg = "it is not built as a time stamp is"
        raise TokenError(msg) from error
    ordered = b"".join(sorted(answer[begin:end] for begin, end in parts))
    return answer[: parts[0][0]] + ordered + answer[parts[-1][1] :]


def _children(data: bytes, begin: int, end: int, inside: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a DER value lie, each with its head."""
    if inside is not None and data[begin] != inside:
        msg = "another kind of value"
        raise ValueError(msg)
    at, stop = _content(data, begin)
    while at < min(stop, end):
        _, after = _content(data, at)
        yield at, after
        at = after


def _content(data: bytes, begin: int) -> tuple[int, int]:
    """Return where the content of a DER value begins and ends."""
    length, at = data[begin + 1], begin + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[at : at + count], "big"), at + count
    return at, at + length
