"""Searches of Splunk that give numbers over time, by Splunk's own client."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agenttrace_nb.config import OptionError
from agenttrace_nb.secrets import Secret
from agenttrace_nb.sources.http import checked_url, innermost
from agenttrace_nb.sources.source import API_VERSION, Query, Sample, Series, SourceError, merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOLD_CHARS = 300
_UNAUTHORISED = frozenset({401, 403})
_MANAGEMENT_PORT = 8089
_PORTS = {"http": 80, "https": 443}
_TRACE_FIELDS = ("trace_id", "traceId")


class SplunkSource:
    """Searches in SPL whose results have ``_time``, such as ``search index=ops | timechart span=1m avg(cpu) by host``.

    Each field that holds numbers is a metric, each other field a label. The step is the search's own (``span=``).
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "url": "address of Splunk's management port; https://127.0.0.1:8089 without it",
        "token": "reference to a token",
        "user": "user name, with password",
        "password": "reference to the password of user",
        "ca_file": "file with the certificates to trust, where they are your own",
    }
    required: frozenset[str] = frozenset()
    secrets = frozenset({"token", "password"})

    def read(self, query: Query, options: Mapping[str, Any]) -> list[Series]:
        """Return what a search finds; it is streamed, so that it has no limit of rows."""
        try:
            from splunklib import binding, results
        except ImportError:
            raise SourceError("this needs Splunk's client: pip install 'agenttrace-nb[splunk]'") from None
        url = checked_url(options.get("url", f"https://127.0.0.1:{_MANAGEMENT_PORT}"))
        text = query.text.strip()
        asked = text if text.startswith(("|", "search ")) else f"search {text}"
        period = {"earliest_time": query.start_ms / 1000, "latest_time": (query.end_ms + 1) / 1000}
        try:
            service = _service(url, options)
            stream = service.jobs.export(asked, output_mode="json", search_mode="normal", **period)
            rows = list(_rows(results.JSONResultsReader(stream), url))
        except binding.AuthenticationError:
            raise SourceError(f"Splunk at {url} refuses these credentials; see token, user, password") from None
        except binding.HTTPError as error:
            if error.status in _UNAUTHORISED:
                raise SourceError(f"Splunk at {url} refuses these credentials (HTTP {error.status})") from None
            told = str(error)[:_TOLD_CHARS]
            raise SourceError(f"Splunk at {url} refuses this search (HTTP {error.status}): {told}") from None
        except OSError as error:
            hint = "is it the management port, 8089?"
            raise SourceError(f"Splunk at {url} does not answer: {innermost(error)}; {hint}") from None
        except (ValueError, AttributeError, KeyError, SyntaxError) as error:  # its client expects Splunk's own XML
            if isinstance(error, OptionError):
                raise
            raise SourceError(f"{url} does not answer as Splunk does; is it the management port, 8089?") from error
        return merged(_series(rows, query))


def _service(url: str, options: Mapping[str, Any]) -> Any:
    import ssl

    from splunklib import client

    token, user, password = (options.get(name) for name in ("token", "user", "password"))
    if (user is None) != (password is None) or (token is None and password is None):
        raise OptionError("token must be given, or user and password: references for token and password")
    parts = urlsplit(url)
    # Certificates are not checked by the client's own default.
    try:
        trusted = ssl.create_default_context(cafile=options.get("ca_file"))
    except OSError as error:
        raise OptionError(f"ca_file={options.get('ca_file')!r} cannot be read: {error.strerror}") from None
    service = client.Service(
        scheme=parts.scheme, host=parts.hostname, port=parts.port or _PORTS[parts.scheme], verify=True, context=trusted,
        **({"splunkToken": token.reveal()} if isinstance(token, Secret) else {}),
        **({"username": str(user), "password": password.reveal()} if isinstance(password, Secret) else {}),
    )  # fmt: skip
    if not isinstance(token, Secret):
        service.login()
    return service


def _rows(reader: Any, url: str) -> Iterator[dict[str, Any]]:
    from splunklib import results

    for row in reader:
        if isinstance(row, results.Message):
            if row.type in ("ERROR", "FATAL"):
                raise SourceError(f"Splunk at {url} refuses this search: {str(row.message)[:_TOLD_CHARS]}")
        elif not reader.is_preview:
            yield row


def _series(rows: list[dict[str, Any]], query: Query) -> Iterator[Series]:
    for row in rows:
        at = _time_ms(row.get("_time"))
        if at is None:
            msg = "the search gives rows without _time, so that they have no place in time; end it with a timechart"
            raise SourceError(f"{msg}, or keep _time in the fields")
        if not query.start_ms <= at <= query.end_ms:
            continue
        named = next((str(row[name]) for name in _TRACE_FIELDS if row.get(name)), None)
        fields = {name: value for name, value in row.items() if name[0] != "_" and name not in _TRACE_FIELDS}
        values = {name: value for name, text in fields.items() if (value := _number(text)) is not None}
        labels = {name: str(text) for name, text in fields.items() if name not in values and text not in (None, "")}
        for name, value in values.items():
            yield Series(name, labels, [Sample(at, value, named)])


def _number(text: Any) -> float | None:
    """Return the number that a field holds: one that was calculated, not the text ``nan`` or ``infinity``."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) or not str(text).isalpha() else None


def _time_ms(text: Any) -> int | None:
    try:
        return round(float(text) * 1000)
    except (TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return round(moment.timestamp() * 1000) if moment.tzinfo else None
