"""Secrets by reference: what is written in a notebook or a settings file only says where a token is kept.

A token typed into a cell would be saved with the notebook and in IPython's history; so the text itself is refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NoReturn

FORMS = "env:NAME, file:PATH or keyring:SERVICE/NAME"
"""What a reference looks like, for help texts."""

_MASK = "***"
_MAX_FILE_BYTES = 64_000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class SecretError(ValueError):
    """A reference that leads to no secret. Its text never holds one."""


class Secret:
    """A text that does not show itself: not in ``repr``, a log, an exception, a format, a pickle or a copy on disk.

    Examples
    --------
    >>> token = Secret("hunter2", "env:TOKEN")
    >>> token, f"{token}", token.reveal()
    (Secret('env:TOKEN'), '***', 'hunter2')
    """

    __slots__ = ("_text", "reference")

    def __init__(self, text: str, reference: str) -> None:
        self._text = text
        self.reference = reference
        """Where it came from; harmless to show."""

    def reveal(self) -> str:
        """Return the text, where it is put into a request and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "a secret is not pickled; pass its reference on and resolve it there"
        raise TypeError(msg)


def resolve(reference: str | Secret) -> Secret:
    """Return the secret that a reference leads to.

    Parameters
    ----------
    reference
        ``env:NAME`` (an environment variable), ``file:PATH`` (a file's content without the line end; ``~`` is the home
        folder) or ``keyring:SERVICE/NAME`` (the system's key ring, with ``pip install 'agenttrace-nb[keyring]'``).

    Raises
    ------
    SecretError
        If it is no reference (the text given is not repeated, as it may be the secret itself), or leads nowhere.

    Examples
    --------
    >>> import os
    >>> os.environ["DASHBOARD_TOKEN"] = "hunter2"
    >>> resolve("env:DASHBOARD_TOKEN")
    Secret('env:DASHBOARD_TOKEN')
    """
    if isinstance(reference, Secret):
        return reference
    given: object = reference  # from a notebook, where types are not checked
    kind, colon, place = given.partition(":") if isinstance(given, str) else ("", "", "")
    find = _KINDS.get(kind)
    if find is None or not colon or not place.strip():
        msg = (
            f"a secret is given by reference, {FORMS}, so that it is not saved with the notebook; "
            "what was given is none of these and is not repeated here"
        )
        raise SecretError(msg)
    text = find(place.strip())
    if not text:
        raise SecretError(f"{reference} is empty")
    if _CONTROL.search(text):
        raise SecretError(f"{reference} holds a line break or another control character, which no token has")
    return Secret(text, reference)


def _from_environment(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise SecretError("what follows env: is no name of an environment variable (letters, digits and _)")
    value = os.environ.get(name)
    if value is None:
        msg = f"the environment variable {name} is not set; set it before the kernel starts, or with %env in a cell"
        raise SecretError(f"{msg} that you do not save")
    return value.strip()


def _from_file(place: str) -> str:
    path = Path(place).expanduser()
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
        if len(raw) > _MAX_FILE_BYTES:
            raise SecretError(f"file:{place} is longer than {_MAX_FILE_BYTES} bytes, so it is no token")
        return raw.decode("utf-8").strip()
    except OSError as error:
        raise SecretError(f"file:{place} cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise SecretError(f"file:{place} is no text in UTF-8") from None


def _from_key_ring(place: str) -> str:
    service, slash, name = place.partition("/")
    if not (service and slash and name):
        raise SecretError("a reference to the key ring is keyring:SERVICE/NAME")
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise SecretError("keyring: needs the key ring's package: pip install 'agenttrace-nb[keyring]'") from None
    try:
        text = keyring.get_password(service, name)
    except KeyringError as error:
        raise SecretError(f"keyring:{place} cannot be read: {error}") from None
    if text is None:
        raise SecretError(f"keyring:{place} is not in the key ring; put it there with: keyring set {service} {name}")
    return text


_KINDS = {"env": _from_environment, "file": _from_file, "keyring": _from_key_ring}
