"""One HTTP request to a target, within its time, and what came of it in words.

TLS is always verified. Redirects are not followed: the token would go wherever an answer says.
"""

from __future__ import annotations

import gzip
import ipaddress
import re
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agenttrace_nb.export.handler import Misconfigured, Retry
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest, Response, Session

CONNECT_S = 3.0
TOTAL_S = 10.0
_MAX_ANSWER_BYTES = 64_000
_MIN_GZIP_BYTES = 1_000
_SHOWN_CHARS = 200
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")


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
        _check_certificates(self.ca_file, self.client_cert, self.client_key)
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
                return _reply(response, give_up)
        except requests.RequestException as error:
            return explain(error, url)
        except _TooSlowError:
            return Retry(reason=f"{_host_of(url)} did not finish its answer within {self.total_s:g} s")

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


def retry_after(given: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date.

    Examples
    --------
    >>> retry_after("7"), retry_after("soon")
    (7.0, None)
    """
    if given is None:
        return None
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _one_line(body: bytes) -> str:
    try:
        text = " ".join(body[: 4 * _SHOWN_CHARS].decode("utf-8", "ignore").split())
    except ValueError:
        return ""
    if not text.isprintable():
        return ""
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + " …"


# --------------------------------------------------------------------------------------------------- what went wrong


def explain(error: Exception, url: str) -> Retry | Misconfigured:
    """Return in words why a target could not be asked."""
    host, causes = _host_of(url), list(_causes(error))
    wrong = _tls_trouble(error, host, causes)
    if wrong is not None:
        return Misconfigured(reason=wrong)
    broken = _network_trouble(error, host, causes)
    if broken is not None:
        return Retry(reason=broken)
    return Misconfigured(reason=f"no request can be made to {host}: {type(error).__name__}")


def _tls_trouble(error: Exception, host: str, causes: list[BaseException]) -> str | None:
    import requests

    refused = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        return _certificate(refused, host)
    told = " ".join(str(cause) for cause in causes).lower().replace("_", " ")
    for signs, words in _TLS_SIGNS:
        if any(sign in told for sign in signs):
            return words.format(host=host)
    if isinstance(error, requests.exceptions.SSLError):
        return f"no TLS connection to {host}: {_last_words(causes)}"
    return None


_TLS_SIGNS = (
    (
        ("certificate required", "alert bad certificate", "certificate unknown", "alert handshake failure"),
        "{host} asks this side for a certificate that it trusts: give client_cert (and client_key)",
    ),
    (("alert unknown ca",), "{host} does not trust the authority that signed client_cert"),
    (
        ("wrong version number", "record layer failure", "packet length too long"),
        "{host} does not speak TLS at this port: write http:// or give its TLS port",
    ),
)
"""What OpenSSL says, and what it means to people."""


def _network_trouble(error: Exception, host: str, causes: list[BaseException]) -> str | None:
    import requests
    from urllib3.exceptions import NameResolutionError

    is_kind = requests.exceptions
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return f"no such host: {host} (is the address right, is the network there?)"
    if isinstance(error, is_kind.ProxyError):
        return f"the proxy of this machine does not lead to {host}: {_last_words(causes)}"
    if isinstance(error, is_kind.Timeout):
        limit_s, what = (CONNECT_S, "take the connection") if _is_connecting(error) else (TOTAL_S, "answer")
        return f"{host} did not {what} within {limit_s:g} s"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"nobody listens at {host}: is it running, is the port right?"
    if isinstance(error, (is_kind.ConnectionError, is_kind.ChunkedEncodingError, is_kind.ContentDecodingError)):
        return f"the connection to {host} broke: {_last_words(causes)}"
    return None


def _is_connecting(error: Exception) -> bool:
    import requests

    return isinstance(error, requests.exceptions.ConnectTimeout)


_CERTIFICATE = {
    10: "it has expired: renew it, or look at this machine's clock",
    9: "it is not valid yet: look at this machine's clock",
    62: "it is for another name: use the name that it is for",
    64: "it is for another address: use a name or an address that it is for",
}
"""OpenSSL's numbers (``X509_V_ERR_*``) of what people can do something about."""


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    why = _CERTIFICATE.get(
        error.verify_code, "nobody whom this machine trusts has signed it: give ca_file, its authority's certificate"
    )
    return f"the certificate of {host} is refused ({error.verify_message}): {why}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _last_words(causes: list[BaseException]) -> str:
    """Return what the operating system or OpenSSL said: wrapped errors repeat addresses and objects."""
    plain = [c for c in causes if isinstance(c, OSError) and c.strerror]
    last = plain[-1] if plain else causes[-1]
    return (last.strerror if isinstance(last, OSError) and last.strerror else str(last))[:_SHOWN_CHARS]


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url


# ----------------------------------------------------------------------------------------------- what a user gives


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


def _check_certificates(ca_file: str | None, client_cert: str | None, client_key: str | None) -> None:
    for option, path in (("ca_file", ca_file), ("client_cert", client_cert), ("client_key", client_key)):
        if path is not None and not Path(path).is_file():
            raise ValueError(f"{option}: there is no file {path}")
    if client_key is not None and client_cert is None:
        raise ValueError("client_key: needs client_cert beside it")
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
