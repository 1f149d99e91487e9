"""Keeps a test run on this machine: a connection or lookup that would leave it is refused, and says so."""

from __future__ import annotations

import ipaddress
import sys

LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost"})


class LeftTheMachineError(OSError):
    """A test tried to reach another machine."""


def is_local(host: object) -> bool:
    """Tell whether `host` (a name, an address as text or bytes, or None) is this machine."""
    if host is None:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text.lower() in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_other_machines(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: raise `LeftTheMachineError` for a connection or lookup of another machine."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path or None: a socket of this machine
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    else:
        return
    if not is_local(host):
        message = (
            f"{event} to {host!r}: tests stay on this machine; serve what they need on 127.0.0.1 "
            "(see tests/loopback_only.py)"
        )
        raise LeftTheMachineError(message)


def install() -> None:
    """Refuse other machines for the rest of this process; an audit hook cannot be taken out again."""
    sys.addaudithook(refuse_other_machines)
