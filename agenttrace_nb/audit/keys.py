"""Keys of a log: who signs, where the keys lie, and epochs.

A log has a *log key*, which signs checkpoints, and a *recorder key*, which signs entries. The recorder key changes with
every epoch: a key-rotate entry, signed by the old key, names the new one, and the old private key is destroyed. Who
steals today's keys can therefore not sign an entry of an earlier epoch.

Signers are `securesystemslib` signers, named by its URIs; here ``file2:`` (a PKCS#8 file of the owner's alone). Others,
such as ``hsm:``, can take the place of the log key if they sign with Ed25519.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from agenttrace_nb.audit.place import AuditError, destroy, made_private, read_private, write_new

if TYPE_CHECKING:
    from pathlib import Path

_SCHEME = "file2:"
_CONTENT_KEY_BYTES = 32


class Signer(Protocol):
    """Signs bytes with Ed25519."""

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 bytes."""


class _LibrarySigner:
    """A signer of `securesystemslib`."""

    def __init__(self, uri: str, public_pem: bytes | None) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

        # The library's __init__ names these without saying that they are public
        from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]
        from securesystemslib.signer import Signer as LibrarySigner  # type: ignore[attr-defined]

        self._signer: LibrarySigner
        if uri.startswith(_SCHEME):
            from pathlib import Path

            private = serialization.load_pem_private_key(read_private(Path(uri.removeprefix(_SCHEME))), password=None)
            if not isinstance(private, Ed25519PrivateKey):
                msg = f"the key {uri.removeprefix(_SCHEME)} is no Ed25519 key"
                raise AuditError(msg)
            public = private.public_key()
            self._signer = CryptoSigner(private)
        else:
            if public_pem is None:
                msg = f"the signer {uri.partition(':')[0]}: needs its public key, as PEM"
                raise AuditError(msg)
            loaded = serialization.load_pem_public_key(public_pem)
            if not isinstance(loaded, Ed25519PublicKey):
                msg = "checkpoints are signed with Ed25519; this public key is of another kind"
                raise AuditError(msg)
            public = loaded
            self._signer = LibrarySigner.from_priv_key_uri(uri, SSlibKey.from_crypto(loaded))
        self.public = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        return bytes.fromhex(self._signer.sign(data).signature)


def open_signer(uri: str, public_pem: bytes | None = None) -> Signer:
    """Return the signer that a URI names.

    Parameters
    ----------
    uri
        As `securesystemslib` spells it: ``file2:/path/of/key.pem``.
    public_pem
        The public key, for schemes that cannot tell it.

    Raises
    ------
    AuditError
        If the key cannot be used; a file that others may read is refused.
    """
    return _LibrarySigner(uri, public_pem)


@lru_cache(maxsize=64)
def key_id(public: bytes) -> str:
    """Return the id that envelopes name a public key by.

    Examples
    --------
    >>> len(key_id(bytes(32)))
    64
    """
    return hashlib.sha256(public).hexdigest()


def public_pem(public: bytes) -> bytes:
    """Return a public key as PEM, for openssl."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class KeyRing:
    """The key files of one log.

    Parameters
    ----------
    folder
        Where they lie; made private, and the files in it for their owner alone.
    log_signer
        URI of the log key; by default a file in the folder.
    log_public_pem
        Its public key, where the URI's scheme needs that.
    """

    def __init__(self, folder: Path, *, log_signer: str | None = None, log_public_pem: bytes | None = None) -> None:
        self.folder = folder
        self._log_uri = log_signer or f"{_SCHEME}{folder / 'log.pem'}"
        self._log_public = log_public_pem
        self._log: Signer | None = None
        self._recorder: tuple[int, Signer] | None = None
        self._content: bytes | None = None

    def make(self) -> None:
        """Make the keys of a new log.

        Raises
        ------
        AuditError
            If there are keys already.
        """
        made_private(self.folder)
        if self._log_uri.startswith(_SCHEME):
            self._make_signing_key(self.folder / "log.pem")
        self.make_recorder(0)
        self._write(self.folder / "content.key", os.urandom(_CONTENT_KEY_BYTES))

    def log(self) -> Signer:
        """Return what signs checkpoints."""
        if self._log is None:
            self._log = open_signer(self._log_uri, self._log_public)
        return self._log

    def recorder(self, epoch: int) -> Signer:
        """Return what signs the entries of an epoch."""
        if self._recorder is None or self._recorder[0] != epoch:
            self._recorder = (epoch, open_signer(f"{_SCHEME}{self._path(epoch)}"))
        return self._recorder[1]

    def make_recorder(self, epoch: int) -> Signer:
        """Make the key of an epoch; one that a process left behind before the epoch began is replaced."""
        destroy(self._path(epoch))
        self._make_signing_key(self._path(epoch))
        return open_signer(f"{_SCHEME}{self._path(epoch)}")

    def destroy_before(self, epoch: int) -> None:
        """Destroy the private keys of all earlier epochs."""
        for path in self.folder.glob("recorder-*.pem"):
            if path.stem.removeprefix("recorder-").isdigit() and int(path.stem.removeprefix("recorder-")) < epoch:
                destroy(path)

    def content(self) -> bytes:
        """Return the key that the keys of contents are wrapped with."""
        if self._content is None:
            self._content = read_private(self.folder / "content.key")
        return self._content

    def _path(self, epoch: int) -> Path:
        return self.folder / f"recorder-{epoch}.pem"

    def _make_signing_key(self, path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._write(path, pem)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_new(path, data)
        except FileExistsError as error:
            msg = f"there is a key already: {path}. Keys are never overwritten; move it away if it is of no use"
            raise AuditError(msg) from error
