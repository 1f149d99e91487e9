"""Why a target could not be asked, in words that say what to do."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agenttrace_nb.export.handler import Misconfigured, Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_S = 3.0
TOTAL_S = 10.0
_SHOWN_CHARS = 200


def explain(error: Exception, url: str, total_s: float = TOTAL_S) -> Retry | Misconfigured:
    """Return in words why a target could not be asked."""
    host, causes = host_of(url), list(_causes(error))
    wrong = _tls_trouble(host, causes)
    if wrong is not None:
        return Misconfigured(reason=wrong)
    broken = _network_trouble(error, url, causes, total_s)
    if broken is not None:
        return Retry(reason=broken)
    return Misconfigured(reason=f"no request can be made to {host}: {type(error).__name__}")


def _tls_trouble(host: str, causes: list[BaseException]) -> str | None:
    refused = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        return _certificate(refused, host)
    told = " ".join(str(cause) for cause in causes).lower().replace("_", " ")
    for signs, words in _TLS_SIGNS:
        if any(sign in told for sign in signs):
            return words.format(host=host)
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


def _network_trouble(error: Exception, url: str, causes: list[BaseException], total_s: float) -> str | None:
    import requests
    from urllib3.exceptions import NameResolutionError

    kinds = requests.exceptions
    host, words = host_of(url), _last_words(causes)
    is_unknown = any(isinstance(cause, NameResolutionError) for cause in causes)
    is_refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    hint = "if it asks this side for a certificate, give client_cert"
    troubles = (  # the first that is true; the later ones are wider
        (is_unknown, f"no such host: {host} (is the address right, is the network there?)"),
        (isinstance(error, kinds.SSLError), f"the TLS connection to {host} broke ({words}): {hint}"),
        (isinstance(error, kinds.ProxyError), f"the proxy of this machine does not lead to {host}: {words}"),
        (isinstance(error, kinds.ConnectTimeout), f"{host} did not take the connection within {CONNECT_S:g} s"),
        (isinstance(error, kinds.Timeout), f"{host} did not answer within {total_s:g} s"),
        (is_refused, f"nobody listens at {host}: is it running, is the port right?"),
        (isinstance(error, kinds.ConnectionError), f"the connection to {host} broke: {words}{_perhaps_tls(url)}"),
        (isinstance(error, kinds.ChunkedEncodingError), f"the connection to {host} broke: {words}"),
        (isinstance(error, kinds.ContentDecodingError), f"{host} answers in a compression that it does not keep to"),
    )
    return next((text for is_true, text in troubles if is_true), None)


def _perhaps_tls(url: str) -> str:
    return " (if it speaks TLS, write https://)" if url.startswith("http:") else ""


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


def host_of(url: str) -> str:
    """Return the host and port of an address.

    Examples
    --------
    >>> host_of("https://tempo.example.com:4318/v1/traces")
    'tempo.example.com:4318'
    """
    return urlsplit(url).netloc.rpartition("@")[2] or url
