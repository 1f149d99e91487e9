"""Content of an entry: parts that are committed to one by one, and encrypted together under a key of their own.

A commitment is the SHA-256 of a random salt and the part. The salts lie inside the ciphertext: with the key destroyed,
nobody can try out what a commitment stands for. The manifest lists path and commitment of each part; its Merkle root
stands in the entry, so that one part can be shown and proven without the others.

A part that was erased keeps its line in the manifest; its salt and its bytes are gone, and the rest is encrypted anew
under another key.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.audit import canon
from agenttrace_nb.audit.merkle import Edge, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

SALT_BYTES = 16
KEY_BYTES = 32
_NONCE = bytes(12)  # each key encrypts one content only
_LENGTH = struct.Struct(">I")
_GONE = 0xFFFF_FFFF
"""Stands for the length of a part that was erased."""
_COMPRESSION = 6
_MAX_BYTES = 1 << 30
_SIMPLE_PATH = re.compile(r"[a-z0-9/-]+")


class ContentError(ValueError):
    """Content cannot be read, or is not what was committed to."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a content.

    Attributes
    ----------
    path
        Its name, such as ``span/3/inputs``.
    data
        Its canonical bytes.
    """

    path: str
    data: bytes
    salt: bytes = b""

    @property
    def commitment(self) -> str:
        """What stands for it, in hex."""
        return hashlib.sha256(self.salt + self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A content as it is kept.

    Attributes
    ----------
    manifest
        A line for each part: its path and its commitment.
    key
        What its ciphertext is opened with.
    """

    manifest: bytes
    ciphertext: bytes
    key: bytes

    @property
    def root(self) -> str:
        """Root of the manifest, in hex."""
        return manifest_root(self.manifest)


def salted(parts: Iterable[tuple[str, bytes]]) -> list[Part]:
    """Return parts with a random salt each."""
    return [Part(path, data, os.urandom(SALT_BYTES)) for path, data in parts]


def seal(parts: Sequence[Part], bound_to: bytes) -> Sealed:
    """Return parts sealed under a new key.

    Parameters
    ----------
    parts
        Parts with salts.
    bound_to
        What the ciphertext belongs to: it opens only together with the same bytes.
    """
    return _encrypted(b"\n".join(_line(part) for part in parts), parts, bound_to)


def reduced(sealed: Sealed, gone: Collection[str], bound_to: bytes) -> Sealed:
    """Return a content without some of its parts, under a new key; the manifest stays as it was committed to.

    Raises
    ------
    ContentError
        If the content was changed.
    """
    kept = {part.path: part for part in unseal(sealed, bound_to) if part.path not in gone}
    places = [kept.get(path) for path, _ in manifest_lines(sealed.manifest)]
    return _encrypted(sealed.manifest, places, bound_to)


def erased_paths(manifest: bytes, parts: Iterable[Part]) -> list[str]:
    """Return the paths of parts that were committed to and are not there any more."""
    there = {part.path for part in parts}
    return [path for path, _ in manifest_lines(manifest) if path not in there]


def _encrypted(manifest: bytes, places: Sequence[Part | None], bound_to: bytes) -> Sealed:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salts = b"".join(bytes(SALT_BYTES) if part is None else part.salt for part in places)
    packed = b"".join(
        _LENGTH.pack(_GONE) if part is None else _LENGTH.pack(len(part.data)) + part.data for part in places
    )
    key = os.urandom(KEY_BYTES)
    plain = salts + zlib.compress(packed, _COMPRESSION)
    return Sealed(manifest, AESGCM(key).encrypt(_NONCE, plain, bound_to), key)


def unseal(sealed: Sealed, bound_to: bytes) -> list[Part]:
    """Return the parts that are there, each checked against its commitment.

    Raises
    ------
    ContentError
        If the content was changed, or belongs to something else.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    listed = manifest_lines(sealed.manifest)
    try:
        plain = AESGCM(sealed.key).decrypt(_NONCE, sealed.ciphertext, bound_to)
        salts, packed = plain[: SALT_BYTES * len(listed)], _unpacked(plain[SALT_BYTES * len(listed) :])
    except (InvalidTag, ValueError, zlib.error, OverflowError) as error:
        msg = "the content cannot be opened: it was changed, or belongs to another entry"
        raise ContentError(msg) from error
    parts, at = [], 0
    for number, (path, commitment) in enumerate(listed):
        length = int.from_bytes(packed[at : at + 4], "big")
        if length == _GONE:
            at += 4
            continue
        data = packed[at + 4 : at + 4 + length]
        at += 4 + length
        part = Part(path, data, salts[SALT_BYTES * number : SALT_BYTES * (number + 1)])
        if part.commitment != commitment:
            msg = f"{path} is not what was committed to"
            raise ContentError(msg)
        parts.append(part)
    if at != len(packed):
        msg = "the content holds more than was committed to"
        raise ContentError(msg)
    return parts


def manifest_root(manifest: bytes) -> str:
    """Return the Merkle root of a manifest, in hex."""
    edge = Edge()
    for line in manifest.split(b"\n") if manifest else ():
        edge.append(leaf_hash(line))
    return edge.root().hex()


def manifest_lines(manifest: bytes) -> list[tuple[str, str]]:
    """Return path and commitment of each part.

    Raises
    ------
    ContentError
        If it is not exactly in the form that manifests are written in.
    """
    found = []
    for line in manifest.split(b"\n") if manifest else ():
        try:
            path, commitment = canon.parse(line)
        except (ValueError, TypeError) as error:
            msg = "the manifest cannot be read"
            raise ContentError(msg) from error
        found.append((path, commitment))
    return found


def _line(part: Part) -> bytes:
    if _SIMPLE_PATH.fullmatch(part.path):  # in canonical form as it stands
        return f'["{part.path}","{part.commitment}"]'.encode("ascii")
    return canon.canonical([part.path, part.commitment])


def _unpacked(data: bytes) -> bytes:
    opened = zlib.decompressobj()
    plain = opened.decompress(data, _MAX_BYTES)
    if not opened.eof or opened.unused_data or opened.unconsumed_tail:
        msg = "cut off, or too large"
        raise ValueError(msg)
    return plain
