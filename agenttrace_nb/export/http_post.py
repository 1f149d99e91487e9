"""One HTTP request to a target, within its time, and what came of it in words.

TLS is always verified. Redirects are not followed: the token would go wherever an answer says.
"""

from __future__ import annotations

import gzip
import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import Misconfigured, Retry
from agenttrace_nb.export.http_options import check_certificates, check_header
from agenttrace_nb.export.http_trouble import CONNECT_S, TOTAL_S, explain, host_of
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest, Response, Session

_MAX_ANSWER_BYTES = 64_000
_MIN_GZIP_BYTES = 1_000
_SHOWN_CHARS = 200
_OK, _BAD_REQUEST, _TOO_LARGE, _SERVER_ERRORS = range(200, 300), 400, 413, 500
_UNAUTHORISED, _BUSY = frozenset({401, 403}), frozenset({408, 425, 429})
_TLS_WANTED = ("http request to an https", "plain http request was sent to https", "plain http to an ssl")
"""What servers in Go, nginx and Apache answer to a request without TLS."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a target answered.

    Attributes
    ----------
    text
        The start of the body in one line, for people; empty where it is not text.
    after_s
        Seconds that it asks to wait.
    """

    status: int
    body: bytes = b""
    text: str = ""
    content_type: str = ""
    after_s: float | None = None
    location: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether it took what was sent."""
        return self.status in _OK

    @property
    def is_busy(self) -> bool:
        """Whether it may take the same a little later."""
        return self.status in _BUSY or self.status >= _SERVER_ERRORS

    @property
    def is_too_large(self) -> bool:
        """Whether it would take less at a time."""
        return self.status == _TOO_LARGE

    @property
    def is_unauthorised(self) -> bool:
        """Whether it wants another token or password, or any."""
        return self.status in _UNAUTHORISED


@dataclass(slots=True)
class Poster:
    """Sends bodies to the addresses of one target over kept connections.

    Parameters
    ----------
    headers
        Headers of every request; a value may be a `Secret`.
    ca_file
        Certificates to trust instead of the system's, for a server with one of your own authority.
    client_cert, client_key
        Certificate and key that this side shows, where the server asks for one. Without a key the certificate's file
        holds both.

    Raises
    ------
    ValueError
        If a file is not there or holds no certificate, or a header cannot be sent.
    """

    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    total_s: float = TOTAL_S
    _session: Session | None = None

    def __post_init__(self) -> None:
        check_certificates(self.ca_file, self.client_cert, self.client_key)
        for name, value in self.headers.items():
            check_header(name, value)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply | Retry | Misconfigured:
        """Send a body, compressed if that helps.

        Returns
        -------
        Reply, Retry or Misconfigured
            What the target answered; if it could not be asked, why, in words.
        """
        import requests

        sent = dict(headers)
        if len(body) >= _MIN_GZIP_BYTES:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            sent["Content-Encoding"] = "gzip"
        return self._ask("POST", url, requests, data=body, headers=sent)

    def get(self, url: str) -> Reply | Retry | Misconfigured:
        """Ask for a page, such as one that tells a server's health."""
        import requests

        return self._ask("GET", url, requests)

    def delete(self, url: str) -> Reply | Retry | Misconfigured:
        """Ask for something to be taken away."""
        import requests

        return self._ask("DELETE", url, requests)

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ask(self, method: str, url: str, requests: Any, **what: Any) -> Reply | Retry | Misconfigured:
        give_up = time.monotonic() + self.total_s
        try:
            with self._open().request(
                method, url, timeout=(min(CONNECT_S, self.total_s), self.total_s), allow_redirects=False, stream=True,
                verify=self.ca_file or True, cert=self._client(), **what,
            ) as response:  # fmt: skip
                reply = _reply(response, give_up)
                return _mistaken(reply, url) or reply
        except requests.RequestException as error:
            return explain(error, url, self.total_s)
        except _TooSlowError:
            return Retry(reason=f"{host_of(url)} did not finish its answer within {self.total_s:g} s")

    def _open(self) -> Session:
        if self._session is None:
            import requests

            self._session = requests.Session()
            self._session.auth = _leave_alone
            self._session.headers["User-Agent"] = "agenttrace_nb"
            for name, value in self.headers.items():
                self._session.headers[name] = value.reveal() if isinstance(value, Secret) else value
        return self._session

    def _client(self) -> str | tuple[str, str] | None:
        return (self.client_cert, self.client_key) if self.client_cert and self.client_key else self.client_cert


class _TooSlowError(Exception):
    """The answer trickles in and takes longer than allowed in all."""


def _leave_alone(request: PreparedRequest) -> PreparedRequest:
    """Keep requests from putting a password of the user's ``~/.netrc`` in place of the token."""
    return request


def _mistaken(reply: Reply, url: str) -> Misconfigured | None:
    """Return what is wrong with the address, where an answer of success or refusal comes from something else."""
    if reply.is_taken and reply.content_type == "text/html":
        return Misconfigured(
            reason=f"{url} answers with a web page, so nothing was taken: that is no address to send to"
        )
    if reply.status == _BAD_REQUEST and any(sign in reply.text.lower() for sign in _TLS_WANTED):
        return Misconfigured(reason=f"{host_of(url)} speaks TLS at this port: write https://")
    return None


def _reply(response: Response, give_up: float) -> Reply:
    body = b""
    for piece in response.iter_content(8_192):
        body += piece
        if len(body) >= _MAX_ANSWER_BYTES:
            break
        if time.monotonic() > give_up:
            raise _TooSlowError
    headers = response.headers
    return Reply(
        response.status_code, body, _one_line(body), headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        retry_after(headers.get("Retry-After")), headers.get("Location"),
    )  # fmt: skip


def retry_after(given: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date (RFC 9110, 10.2.3).

    Examples
    --------
    >>> retry_after("7"), retry_after("soon")
    (7.0, None)
    """
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        pass
    else:
        return seconds if 0 <= seconds < math.inf else None
    try:
        until = parsedate_to_datetime(given)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - (now or datetime.now(UTC))).total_seconds(), 0.0)


def _one_line(body: bytes) -> str:
    try:
        text = " ".join(body[: 4 * _SHOWN_CHARS].decode("utf-8", "ignore").split())
    except ValueError:
        return ""
    if not text.isprintable():
        return ""
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + " …"
