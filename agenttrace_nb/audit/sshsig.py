"""SSH signatures (OpenSSH's PROTOCOL.sshsig) with Ed25519: what git and ``ssh-keygen -Y verify`` check."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agenttrace_nb.audit.keys import Signer

_MAGIC = b"SSHSIG"
_VERSION = 1
_TYPE = b"ssh-ed25519"
_HASH = b"sha512"


def ssh_signature(data: bytes, signer: Signer, namespace: str) -> str:
    """Return the armoured signature of data.

    Parameters
    ----------
    data
        What is signed.
    signer
        Whose signature it is.
    namespace
        What it is for: ``git`` for commits, ``file`` for files.
    """
    about = _string(namespace.encode()) + _string(b"") + _string(_HASH)
    signature = signer.sign(_MAGIC + about + _string(hashlib.sha512(data).digest()))
    blob = (
        _MAGIC + _VERSION.to_bytes(4, "big") + _string(_key(signer.public)) + about
        + _string(_string(_TYPE) + _string(signature))
    )  # fmt: skip
    lines = "\n".join(textwrap.wrap(base64.b64encode(blob).decode("ascii"), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n"


def ssh_public_key(public: bytes) -> str:
    """Return a public key as OpenSSH writes it."""
    return f"{_TYPE.decode()} {base64.b64encode(_key(public)).decode('ascii')}"


def allowed_signers(name: str, public: bytes) -> str:
    """Return a line that lets a key sign, for git and ``ssh-keygen``."""
    return f"{name} {ssh_public_key(public)}\n"


def _key(public: bytes) -> bytes:
    return _string(_TYPE) + _string(public)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
