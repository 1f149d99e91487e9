"""What a user gives of an address, a header, a certificate or a switch: allowed, or refused in words."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from agenttrace_nb.export.handler import Context
from agenttrace_nb.export.registry import is_reference, resolved, unresolved
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.export.handler import Handler

_FILES = ("ca_file", "client_cert", "client_key")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")


def check_url(option: str, given: Any) -> str:
    """Return an address without a slash at its end.

    Raises
    ------
    ValueError
        If it is no address that can be asked; the text names the option.

    Examples
    --------
    >>> check_url("endpoint", "http://localhost:4318/")
    'http://localhost:4318'
    """
    text = str(given).strip()
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc.rpartition(":")[0] or parts.netloc)
        valid = valid or (parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc))
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        valid = port_is_right = False
    if "@" in text.partition("?")[0]:
        raise ValueError(f"{option}: an address holds no user and password; give the token by its own option")
    if not valid or not port_is_right or parts.fragment or any(c.isspace() for c in text):
        raise ValueError(f"{option}: an address begins with http:// or https:// and a host, not {text[:80]!r}")
    return text.rstrip("/")


def switch(option: str, given: Any) -> bool:
    """Return whether an option is switched on.

    Raises
    ------
    ValueError
        If it is neither on nor off; the text names the option.

    Examples
    --------
    >>> switch("ack", "on"), switch("ack", False)
    (True, False)
    """
    word = str(given).strip().lower()
    if word not in ("true", "on", "yes", "1", "false", "off", "no", "0"):
        raise ValueError(f"{option}: on or off, not {word[:40]!r}")
    return word in ("true", "on", "yes", "1")


def file_option(options: Mapping[str, Any], name: str) -> str | None:
    """Return the path that an option gives, with ``~`` as the home folder."""
    given = options.get(name)
    return None if given is None else str(Path(str(given)).expanduser())


class LookedAtEarly:
    """A handler whose options are looked at where they are given, in the user's kernel: its ``open`` sends nothing."""

    @classmethod
    def prepare(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options as they may be kept: paths in full, as kernels begin in different folders.

        Where one refers to what is not there yet, their values are looked at when the handler is opened.

        Raises
        ------
        ValueError
            If a value is not allowed; the text names the option.
        """
        made = cast("type[Handler]", cls)
        known = dict(options)
        for name in _FILES:
            if name in known and not is_reference(known[name]):
                known[name] = str(Path(str(known[name])).expanduser().absolute())
        if not unresolved(known):
            made().open(Context(name="check", options=resolved(made, known)))
        return known


def check_protected(option: str, url: str) -> None:
    """Refuse to send a secret in the clear to another machine.

    Raises
    ------
    ValueError
        If the address has no TLS and is not of this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_here(parts.hostname or ""):
        raise ValueError(
            f"{option}: a token is not sent without TLS to another machine; use https:// for {parts.netloc}"
        )


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_header(name: str, value: str | Secret) -> None:
    """Refuse a header that cannot be sent; the text never holds its value.

    Raises
    ------
    ValueError
        If name or value hold characters that no header may hold.
    """
    text = value.reveal() if isinstance(value, Secret) else str(value)
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"headers: {name[:40]!r} is no name of a header")
    if not _HEADER_VALUE.fullmatch(text):
        raise ValueError(f"the value of header {name} holds characters that a header cannot hold")


def check_certificates(ca_file: str | None, client_cert: str | None, client_key: str | None) -> None:
    """Refuse files that are not there or hold no certificate.

    Raises
    ------
    ValueError
        The text names the option and the file.
    """
    for option, path in (("ca_file", ca_file), ("client_cert", client_cert), ("client_key", client_key)):
        if path is not None and not Path(path).is_file():
            raise ValueError(f"{option}: there is no file {path}")
    if client_key is not None and client_cert is None:
        raise ValueError("client_key: needs client_cert beside it")
    if ca_file is None and client_cert is None:
        return
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (ssl.SSLError, OSError):
            raise ValueError(f"ca_file: {ca_file} holds no certificate in PEM form") from None
    if client_cert is not None:
        try:
            # An encrypted key would otherwise ask for its password on the terminal, and hang.
            context.load_cert_chain(client_cert, client_key, password="")
        except (ssl.SSLError, OSError):
            where = client_cert if client_key is None else f"{client_cert} and {client_key}"
            raise ValueError(f"client_cert: {where} hold no certificate with its key, unlocked, in PEM form") from None
