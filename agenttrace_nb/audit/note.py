"""Checkpoints: the size and root of a log as a text with signatures (C2SP signed-note 1.0, tlog-checkpoint 1.0).

Cosignatures of witnesses follow C2SP tlog-cosignature 1.0 (Ed25519). Reading is strict: a note is taken only if it is,
byte for byte, what writing it again gives.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from agenttrace_nb.audit.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = 1
COSIGNATURE = 4
_SIGNATURE_BYTES = 64
_KEY_BYTES = 32
_ID_BYTES = 4
_MAX_BYTES = 100_000
_MAX_SIGNATURES = 100
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[!-*,-~]+")  # printable, no space, no plus sign


class NoteError(ValueError):
    """A note, a key or a signature of one is not well formed, or does not hold."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A name and a public key that notes are checked with.

    Attributes
    ----------
    kind
        1 for signatures of a log, 4 for cosignatures of a witness.
    public
        32 bytes, Ed25519.
    """

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes that signatures name the key by."""
        return _key_id(self.name, self.kind, self.public)

    def __str__(self) -> str:
        """Return it as C2SP writes it: name, id and key."""
        return f"{self.name}+{self.key_id.hex()}+{_b64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Return the verifier that a text spells.

        Raises
        ------
        NoteError
            If it is none, or its id does not belong to its key.
        """
        parts = text.split("+", 2)
        if len(parts) != 3 or not _NAME.fullmatch(parts[0]):  # noqa: PLR2004 - name, id, key
            msg = f"{text[:80]!r} is no key of a log; it has the form NAME+ID+KEY"
            raise NoteError(msg)
        key = _unb64(parts[2])
        if len(key) != 1 + _KEY_BYTES or key[0] not in (ED25519, COSIGNATURE):
            msg = f"the key of {parts[0]!r} is of a kind that is not known here; Ed25519 is (1, or 4 of a witness)"
            raise NoteError(msg)
        found = cls(parts[0], key[1:], key[0])
        if found.key_id.hex() != parts[1]:
            msg = f"the id {parts[1]!r} does not belong to the key of {parts[0]!r}"
            raise NoteError(msg)
        return found

    def verify(self, signature: bytes, text: bytes) -> None:
        """Check a signature.

        Raises
        ------
        NoteError
            If it does not hold.
        """
        verify_ed25519(self.public, signature, text)


def verify_ed25519(public: bytes, signature: bytes, data: bytes) -> None:
    """Check an Ed25519 signature.

    Raises
    ------
    NoteError
        If it does not hold.
    """
    try:
        _public_key(public).verify(signature, data)
    except _refusals() as error:
        msg = "the signature does not hold"
        raise NoteError(msg) from error


def _refusals() -> tuple[type[Exception], ...]:
    from cryptography.exceptions import InvalidSignature

    return InvalidSignature, ValueError


@lru_cache(maxsize=64)
def _key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_ID_BYTES]


@lru_cache(maxsize=64)
def _public_key(public: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(public)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return it as it stands in the note."""
        return f"— {self.name} {_b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text with signatures; nothing of it is verified yet.

    Attributes
    ----------
    text
        What is signed, with the line feed at its end.
    """

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """Return its one written form."""
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)

    @classmethod
    def parse(cls, data: str | bytes) -> Note:
        """Return a note.

        Raises
        ------
        NoteError
            If it is not exactly in the form that notes are written in.
        """
        text = _decoded(data)
        body, separator, tail = text.rpartition("\n\n")
        lines = tail.splitlines(keepends=True)
        if not separator or not lines or len(lines) > _MAX_SIGNATURES:
            msg = "no note: it is a text, an empty line, and lines of signatures"
            raise NoteError(msg)
        note = cls(body + "\n", tuple(_signature(line) for line in lines))
        if str(note) != text:
            msg = "the note is not in its one written form"
            raise NoteError(msg)
        return note

    def verified_by(self, verifier: Verifier) -> bool:
        """Tell whether a key has signed it.

        Raises
        ------
        NoteError
            If a signature under its name and id does not hold.
        """
        mine = [s for s in self.signatures if (s.name, s.key_id) == (verifier.name, verifier.key_id)]
        for signature in mine:
            if verifier.kind == COSIGNATURE:
                cosigned_at(signature, self.text, verifier)
            else:
                verifier.verify(signature.signature, self.text.encode())
        return bool(mine)


def signed_alone(data: str, text: str, verifier: Verifier) -> bool:
    """Tell whether a note is this text with one signature, of this log, in its one written form.

    Raises
    ------
    NoteError
        If the signature does not hold.
    """
    before = f"{text}\n— {verifier.name} "
    if not (data.startswith(before) and data.endswith("\n")):
        return False
    signature = _unb64(data[len(before) : -1])
    if signature[:_ID_BYTES] != verifier.key_id:
        return False
    verifier.verify(signature[_ID_BYTES:], text.encode())
    return True


def cosigned_at(signature: Signature, text: str, witness: Verifier) -> int:
    """Return when a witness says to have seen a checkpoint, in seconds since the epoch.

    Raises
    ------
    NoteError
        If the cosignature does not hold.
    """
    if len(signature.signature) != 8 + _SIGNATURE_BYTES:
        msg = "a cosignature has 72 bytes: a time and a signature"
        raise NoteError(msg)
    time_s = int.from_bytes(signature.signature[:8], "big")
    witness.verify(signature.signature[8:], cosigned_text(text, time_s))
    return time_s


def cosigned_text(text: str, time_s: int) -> bytes:
    """Return what a witness signs."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How large a log is, and its root then."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Return the checkpoint that the text of a note spells.

        Raises
        ------
        NoteError
            If it is not exactly in the form that checkpoints are written in.
        """
        lines = text.split("\n")
        if len(lines) != 4 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):  # noqa: PLR2004 - and an empty end
            msg = "no checkpoint: it is an origin, a size and a root, a line each"
            raise NoteError(msg)
        found = cls(lines[0], int(lines[1]), _unb64(lines[2]))
        if len(found.root) != HASH_BYTES or str(found) != text or not _NAME.fullmatch(found.origin):
            msg = "the checkpoint is not in its one written form"
            raise NoteError(msg)
        return found


def checkpoint_of(data: str | bytes, log: Verifier) -> Checkpoint:
    """Return the checkpoint of a note that a log has signed.

    Raises
    ------
    NoteError
        If it is not well formed, is of another log, or its signature does not hold.
    """
    note = Note.parse(data)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        msg = f"the checkpoint is of the log {checkpoint.origin!r}, not of {log.name!r}"
        raise NoteError(msg)
    if not note.verified_by(log):
        msg = f"the checkpoint is not signed by {log.name!r} with the key that is trusted"
        raise NoteError(msg)
    return checkpoint


def inclusion_proof_file(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """Return a proof that an entry is in a log, as a file (C2SP tlog-proof)."""
    steps = "".join(f"{_b64(step)}\n" for step in proof)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{steps}\n{checkpoint}"


def _decoded(data: str | bytes) -> str:
    if len(data) > _MAX_BYTES:
        msg = f"a note has at most {_MAX_BYTES} bytes"
        raise NoteError(msg)
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        text.encode("utf-8")
    except UnicodeError as error:
        msg = "a note is UTF-8"
        raise NoteError(msg) from error
    if _CONTROL.search(text):
        msg = "a note holds no control characters"
        raise NoteError(msg)
    return text


def _signature(line: str) -> Signature:
    parts = line.removesuffix("\n").split(" ")
    if len(parts) != 3 or parts[0] != "—" or not _NAME_ANY.fullmatch(parts[1]):  # noqa: PLR2004 - dash, name, signature
        msg = "a line of a signature has the form '— NAME SIGNATURE'"
        raise NoteError(msg)
    data = _unb64(parts[2])
    if len(data) <= _ID_BYTES:
        msg = "a signature is missing after the id of its key"
        raise NoteError(msg)
    return Signature(parts[1], data[:_ID_BYTES], data[_ID_BYTES:])


_NAME_ANY = re.compile(r"[^\s+]+")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        msg = "base64 that cannot be read"
        raise NoteError(msg) from error
    if _b64(data) != text:
        msg = "base64 that is not in its one written form"
        raise NoteError(msg)
    return data
