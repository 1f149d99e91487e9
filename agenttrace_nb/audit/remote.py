"""Questions to others on the network: time stamp authorities and witnesses, who may be slow, down or hostile."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from agenttrace_nb.audit.place import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 20.0
"""How long an answer may take, from the first byte asked to the last one read."""
_MAX_BYTES = 1_000_000


def ask(who: str, url: str, method: str, *, path: str = "", body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    """Return the status and the body of an answer.

    Parameters
    ----------
    who
        Whom, in words: ``witness``.
    url
        Address, with ``http`` or ``https``.
    path
        What comes after the path of the address.
    kind
        The content type of the body.

    Raises
    ------
    AuditError
        If the address is none, or nothing that is HTTP comes back in time.
    """
    parts = _parts(who, url)
    connection_of = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connection_of(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    too_late = threading.Event()
    try:
        connection.connect()
        with _no_longer_than(TIMEOUT_S, connection.sock, too_late):
            where = parts.path.rstrip("/") + path if path else parts.path or "/"
            connection.request(method, where, body or None, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        late = too_late.is_set() or isinstance(error, TimeoutError)
        why = f"not within {TIMEOUT_S:g} s" if late else f"{type(error).__name__}: {error}"
        msg = f"the {who} at {url} does not answer ({why})"
        raise AuditError(msg) from error
    finally:
        connection.close()


def _parts(who: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    msg = f"{url!r} is no address of a {who}; it has the form https://HOST/PATH"
    raise AuditError(msg)


@contextlib.contextmanager
def _no_longer_than(seconds: float, connection: Any, too_late: threading.Event) -> Iterator[None]:
    """End a connection that drips: the timeout of a socket begins anew with each byte."""

    def end() -> None:
        too_late.set()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    if too_late.is_set():  # what was read until then may be a part
        raise TimeoutError
