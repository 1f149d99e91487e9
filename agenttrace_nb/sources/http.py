"""Asking a source over HTTP, and what went wrong in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from agenttrace_nb.config import OptionError
from agenttrace_nb.secrets import FORMS, Secret, SecretError, resolve
from agenttrace_nb.sources.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

_TIMEOUT_S = (5.0, 60.0)
_TOLD_CHARS = 300
_UNAUTHORISED = frozenset({401, 403})
_TOO_MANY = 429
_REFERENCES = ("env:", "file:", "keyring:")
_ERRNO = re.compile(r"\[Errno -?\d+\] ")
_NAMES_A_SECRET = re.compile(r"auth|token|key|secret|cookie|password", re.IGNORECASE)


def checked_url(given: Any) -> str:
    """Return an address without a slash at its end.

    Raises
    ------
    OptionError
        If it is none, or holds a user name or password, which is not repeated.

    Examples
    --------
    >>> checked_url("http://127.0.0.1:9090/")
    'http://127.0.0.1:9090'
    """
    try:
        parts = urlsplit(given) if isinstance(given, str) else None
        usable = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        parts, usable = None, False
    if parts is not None and "@" in parts.netloc:
        raise OptionError("url must not hold a user name or password; give user=, and password= by reference")
    if parts is None or not usable:
        raise OptionError(
            f"url={given!r} is not allowed; it must be an address such as https://prometheus.example:9090"
        )
    return parts._replace(query="", fragment="").geturl().rstrip("/").removesuffix("/api/v1")


def session_for(options: Mapping[str, Any]) -> requests.Session:
    """Return a session with the credentials, headers and certificates of the options."""
    import requests

    session = requests.Session()
    session.headers.update(_headers(options.get("headers", {})))
    if tenant := options.get("tenant"):
        session.headers["X-Scope-OrgID"] = str(tenant)
    if ca := options.get("ca_file"):
        session.verify = str(ca)
    user, password, token = (options.get(name) for name in ("user", "password", "token"))
    if (user is None) != (password is None):
        raise OptionError("user and password are given together")
    if isinstance(password, Secret):
        session.auth = (str(user), password.reveal())
    else:
        session.auth = _Bearer(token) if isinstance(token, Secret) else _Anonymous()
    return session


def _headers(given: Any) -> dict[str, str]:
    found = {}
    for name, value in dict(given).items():
        if isinstance(value, str) and value.startswith(_REFERENCES):
            try:
                found[name] = resolve(value).reveal()
            except SecretError as error:
                raise SecretError(f"header {name}: {error}") from None
        elif _NAMES_A_SECRET.search(name):
            raise SecretError(f"header {name} is given by reference, {FORMS}; what was given is not repeated here")
        else:
            found[name] = str(value)
    return found


class _Bearer:
    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class _Anonymous:
    """Without it, requests would send what stands in ``~/.netrc``, which nobody asked for."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def post(session: requests.Session, url: str, form: Mapping[str, str], kind: str) -> requests.Response:
    """Send a form and return the answer, whatever it is.

    Raises
    ------
    SourceError
        If there is none.
    """
    import requests

    try:
        # A redirect would become a GET without the form, mostly to a page to log in at
        return session.post(url, data=form, timeout=_TIMEOUT_S, allow_redirects=False)
    except requests.exceptions.SSLError as error:
        reason = f"its certificate is not accepted ({innermost(error)}); ca_file= names a file with your own"
    except requests.exceptions.Timeout:
        reason = f"no answer within {_TIMEOUT_S[1]:.0f} seconds; ask for a shorter period or a longer step"
    except (requests.exceptions.RequestException, OSError) as error:
        reason = f"{innermost(error)}; is it running, and is the address right?"
    raise SourceError(f"{kind} at {_base(url)} does not answer: {reason}")


def explain(answer: requests.Response, kind: str, told: str | None) -> NoReturn:
    """Raise what an answer means that holds no metrics.

    Parameters
    ----------
    answer, kind
        The answer, and what was asked.
    told
        What it says itself, in the form that was expected; ``None`` if it has another form.

    Raises
    ------
    SourceError
        In any case.
    """
    status, base = answer.status_code, _base(answer.url)
    said = f": {told[:_TOLD_CHARS]}" if told else ""
    if status in _UNAUTHORISED:
        raise SourceError(
            f"{kind} at {base} refuses these credentials (HTTP {status}){said}; see user, password and token"
        )
    if status == _TOO_MANY:
        raise SourceError(f"{kind} at {base} takes no more requests for now (HTTP 429){said}; try again later")
    if told is not None:
        raise SourceError(f"{kind} at {base} refuses this query (HTTP {status}){said}")
    if answer.is_redirect:
        hint = f"it sends us to {answer.headers['location'][:_TOLD_CHARS]}; a page to log in at, or http for https?"
    elif answer.ok:
        hint = "a page to log in at, or another program?"
    else:
        hint = "is the address right, and the server well?"
    raise SourceError(f"{base} answers with HTTP {status}, and not as {kind} does: {hint}")


def innermost(error: BaseException) -> str:
    """Return the cause at the bottom of an error of requests or urllib3, in a few words."""
    seen: Any = error
    while isinstance(inner := getattr(seen, "reason", None) or (seen.args or (None,))[0], BaseException):
        seen = inner
    known = getattr(seen, "verify_message", None) or getattr(seen, "strerror", None)
    text = _ERRNO.split(str(seen))[-1] or type(seen).__name__
    return str(known or text)[:_TOLD_CHARS]


def _base(url: str) -> str:
    return url.partition("/api/v1")[0]
