"""Metrics to Datadog's own intake: counts, and durations as distributions, which have exact percentiles there.

Source of the formats: the OpenAPI descriptions in the package of Datadog's client (``/api/v2/series``,
``/api/v1/distribution_points``). Datadog keeps the last of several counts with the same time and tags, so that every
request has a second of its own; it cannot tell a request that came twice, as it may after a connection that broke.
What waited for the network is counted at the time when it arrives: Datadog takes nothing that is older than an hour.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import did_you_mean
from agenttrace_nb.export.handler import API_VERSION, Answer, Context, Item, Misconfigured, Refused, Retry, Sent
from agenttrace_nb.export.http_options import LookedAtEarly, check_protected, check_url, file_option
from agenttrace_nb.export.http_post import Poster, Reply
from agenttrace_nb.export.metrics import MetricBook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.export.metrics import Observation

SITES = (
    "datadoghq.com", "us3.datadoghq.com", "us5.datadoghq.com", "datadoghq.eu", "ap1.datadoghq.com", "ap2.datadoghq.com",
    "ddog-gov.com",
)  # fmt: skip
PER_REQUEST = 2_000
"""Observations in one request: far below Datadog's 512 kB."""

_SERIES, _DISTRIBUTIONS = "/api/v2/series", "/api/v1/distribution_points"
_COUNT = 1
_UNITS = {"USD": "dollar"}
_JSON = {"Content-Type": "application/json"}
_REFUSED = frozenset({400, 422})


class DatadogMetricsHandler(LookedAtEarly):
    """Sends runs, tokens, cost and errors as counts, and durations as distributions."""

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "api_key": "API key of the organisation",
        "site": f"Datadog site, one of {', '.join(SITES)} (default: the first)",
        "url": "another address in place of the site's, such as a proxy",
        "tags": "further tags, with commas between them: team:travel,env:dev",
        "ca_file": "certificates to trust instead of the system's (PEM)",
    }
    required: frozenset[str] = frozenset({"api_key"})
    secrets: frozenset[str] = frozenset({"api_key"})

    _base: str
    _post: Poster

    def open(self, context: Context) -> None:
        """Look at the options; nothing is sent yet.

        Raises
        ------
        ValueError
            If an option has a wrong value; the text names it.
        """
        options = context.options
        self._base = _address(options)
        check_protected("url", self._base)
        self._post = Poster(headers={"DD-API-KEY": options["api_key"]}, ca_file=file_option(options, "ca_file"))
        self._host = socket.gethostname()
        self._tags = _tags(options.get("tags", ""))
        for tag, name in (("service", "service.name"), ("instance", "service.instance.id")):
            if value := context.resource.get(name):
                self._tags.append(f"{tag}:{value}")
        self._book = MetricBook()
        self._waiting: dict[str, list[Observation]] = {_SERIES: [], _DISTRIBUTIONS: []}
        self._last_s = 0

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Send what is new in a batch, and what was not taken before."""
        for seen in self._book.take(batch):
            self._waiting[_DISTRIBUTIONS if seen.metric.kind == "histogram" else _SERIES].append(seen)
        for path, waiting in self._waiting.items():
            answer = self._send_all(path, waiting)
            if not isinstance(answer, Sent):
                return answer
        return Sent()

    def close(self) -> None:
        """Close the connections."""
        self._post.close()

    def _send_all(self, path: str, waiting: list[Observation]) -> Answer:
        size = PER_REQUEST
        while waiting:
            reply = self._post.post(self._base + path, self._body(path, waiting[:size]), _JSON)
            if isinstance(reply, Reply) and reply.is_too_large and size > 1:
                size = max(1, size // 2)
                continue
            answer = _meaning(reply, self._base)
            if isinstance(answer, (Sent, Refused)):
                del waiting[:size]
            if not isinstance(answer, Sent):
                return answer
        return Sent()

    def _body(self, path: str, seen: Iterable[Observation]) -> bytes:
        self._last_s = max(int(time.time()), self._last_s + 1)
        grouped: dict[tuple[str, str, tuple[str, ...]], list[float]] = {}
        for one in seen:
            known = zip(one.metric.labels, one.labels, strict=True)
            tags = tuple(f"{name}:{value}" for name, value in known if value)
            grouped.setdefault((one.metric.name, one.metric.unit, tags), []).append(one.value)
        make = self._count if path == _SERIES else self._distribution
        series = [make(name, unit, [*tags, *self._tags], values) for (name, unit, tags), values in grouped.items()]
        return json.dumps({"series": series}, separators=(",", ":"), allow_nan=False).encode()

    def _count(self, name: str, unit: str, tags: list[str], values: list[float]) -> dict[str, Any]:
        made: dict[str, Any] = {
            "metric": name, "type": _COUNT, "points": [{"timestamp": self._last_s, "value": sum(values)}], "tags": tags,
            "resources": [{"type": "host", "name": self._host}],
        }  # fmt: skip
        return made | ({"unit": _UNITS[unit]} if unit in _UNITS else {})

    def _distribution(self, name: str, unit: str, tags: list[str], values: list[float]) -> dict[str, Any]:
        return {"metric": name, "points": [[self._last_s, values]], "tags": tags, "host": self._host}


def _address(options: Mapping[str, Any]) -> str:
    if "url" in options:
        return check_url("url", options["url"])
    site = str(options.get("site", SITES[0]))
    if site not in SITES:
        msg = f"site={site!r} is not known; it must be one of {', '.join(SITES)}.{did_you_mean(site, SITES)}"
        raise ValueError(msg)
    return f"https://api.{site}"


def _tags(given: object) -> list[str]:
    tags = [tag.strip() for tag in str(given).split(",") if tag.strip()]
    if wrong := next((tag for tag in tags if ":" not in tag), None):
        raise ValueError(f"tags: {wrong!r} is not allowed; each is name:value, with commas between them")
    return tags


def _meaning(reply: Reply | Retry | Misconfigured, base: str) -> Answer:
    if not isinstance(reply, Reply):
        return reply
    if reply.is_taken:
        return Sent()
    said = f"{base} answers {reply.status}{f' ({reply.text})' if reply.text else ''}"
    if reply.is_unauthorised:
        return Misconfigured(reason=f"{said}: look at api_key, and whether the site is the right one")
    if reply.is_busy:
        return Retry(reason=said, after_s=reply.after_s)
    if reply.status in _REFUSED or reply.is_too_large:
        return Refused(reason=said)
    return Misconfigured(reason=f"{said}: that is not Datadog's intake; look at url and site")
