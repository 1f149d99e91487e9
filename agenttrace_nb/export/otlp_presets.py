"""Where OTLP goes and with which headers, for each service that has its own idea of that.

Source of addresses and headers: the vendors' pages, named in ``docs/export.md`` with what was tested for real.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from agenttrace_nb.config import did_you_mean
from agenttrace_nb.export.datadog_metrics import SITES
from agenttrace_nb.export.http_options import check_protected, check_url, switch
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_ENDPOINT = "http://localhost:4318"
_REALM = re.compile(r"[a-z]{2}\d{1,2}")

Options = dict[str, Any]
Headers = dict[str, str | Secret]


@dataclass(slots=True, kw_only=True)
class Destination:
    """Where the signals go.

    Attributes
    ----------
    traces_url, metrics_url
        The full address of each signal; ``None`` for one that the service does not take.
    trace_headers
        Headers of requests with traces alone.
    is_delta
        Whether metrics must tell what was added since the last time, instead of sums since the start.
    token_option
        The option that a refused token was given by; for messages.
    """

    traces_url: str | None
    metrics_url: str | None
    headers: Headers = field(default_factory=dict)
    trace_headers: dict[str, str] = field(default_factory=dict)
    is_delta: bool = False
    token_option: str = "headers"  # noqa: S105 - the name of an option


def destination(options: Mapping[str, Any]) -> Destination:
    """Return where a handler sends, from its options.

    Raises
    ------
    ValueError
        If an option is missing, not allowed for this preset, or has a wrong value; the text names it.

    Examples
    --------
    >>> destination({"endpoint": "http://localhost:4318"}).traces_url
    'http://localhost:4318/v1/traces'
    """
    given = {name: value for name, value in options.items() if value is not None}
    preset = str(given.get("preset", "generic")).strip().lower()
    if preset not in PRESETS:
        raise ValueError(f"preset: {preset!r} is none of {', '.join(PRESETS)}.{did_you_mean(preset, PRESETS)}")
    needs, may, make = _PRESETS[preset]
    for option, meaning in _SERVICE_OPTIONS.items():
        if option in needs and option not in given:
            raise ValueError(f"{option}: preset {preset} needs it ({meaning})")
        if option in given and option not in needs and option not in may:
            takers = [name for name, (need, can, _) in _PRESETS.items() if option in need or option in can]
            raise ValueError(f"{option}: preset {preset} has no use for it; it is for {', '.join(takers)}")
    made = make(given)
    for option in ("traces_url", "metrics_url"):
        if option in given:
            setattr(made, option, check_url(option, given[option]))
    made.headers |= parse_headers(given.get("headers"))
    if any(isinstance(value, Secret) for value in made.headers.values()):
        for option, url in (("traces_url", made.traces_url), ("metrics_url", made.metrics_url)):
            if url is not None:
                check_protected(option if option in given else "endpoint", url)
    return made


def parse_headers(given: Any) -> Headers:
    """Return headers written as OpenTelemetry's environment variables have them: ``name=value,name=value``.

    Values may be percent-encoded. They are kept as secrets, as one of them usually is a token.

    Raises
    ------
    ValueError
        If it is not of this form; what was given is not repeated.

    Examples
    --------
    >>> parse_headers("X-Scope-OrgID=team%20one")["X-Scope-OrgID"].reveal()
    'team one'
    """
    if given is None:
        return {}
    text = given.reveal() if isinstance(given, Secret) else str(given)
    reference = given.reference if isinstance(given, Secret) else "headers"
    found: Headers = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError("headers: write name=value,name=value; a comma inside a value is written %2C")
        found[name.strip()] = Secret(unquote(value.strip()), reference)
    return found


# ---------------------------------------------------------------------------------------------------------- presets


def _signals(base: str, **more: Any) -> Destination:
    for ending in ("/v1/traces", "/v1/metrics", "/v1/logs"):
        if base.endswith(ending):
            raise ValueError(f"endpoint: {ending} is added to it; for a full address give traces_url or metrics_url")
    return Destination(traces_url=f"{base}/v1/traces", metrics_url=f"{base}/v1/metrics", **more)


def _receiver(given: Options) -> Destination:
    made = _signals(check_url("endpoint", given.get("endpoint", DEFAULT_ENDPOINT)))
    if "token" in given:
        made.headers["Authorization"] = _joined("Bearer ", given["token"])
        made.token_option = "token"  # noqa: S105 - the name of an option
    return made


def _grafana_cloud(given: Options) -> Destination:
    token, instance = given["token"], str(given["instance_id"]).strip()
    if not instance.isdigit():
        raise ValueError(
            f"instance_id: the number of your stack, shown beside the OTLP endpoint, not {instance[:40]!r}"
        )
    both = base64.b64encode(f"{instance}:{_text(token)}".encode()).decode("ascii")
    basic = Secret(f"Basic {both}", getattr(token, "reference", "token"))
    base = check_url("endpoint", given["endpoint"])
    return _signals(base, headers={"Authorization": basic}, token_option="token")  # noqa: S106 - the name of an option


def _datadog(given: Options) -> Destination:
    site = str(given.get("site", SITES[0])).strip().lower()
    if site not in SITES:
        hint = did_you_mean(site, SITES) or " For another one give traces_url and metrics_url."
        raise ValueError(f"site: {site[:60]!r} is none of {', '.join(SITES)}.{hint}")
    made = _signals(f"https://otlp.{site}", headers={"dd-api-key": _joined("", given["token"])}, is_delta=True)
    made.token_option = "token"  # noqa: S105 - the name of an option
    if switch("llmobs", given.get("llmobs", False)):
        made.trace_headers["dd-otlp-source"] = "llmobs"
    return made


def _datadog_agent(given: Options) -> Destination:
    made = _receiver(given)
    made.is_delta = True
    return made


def _splunk_o11y(given: Options) -> Destination:
    realm = str(given["realm"]).strip().lower()
    if not _REALM.fullmatch(realm):
        raise ValueError(f"realm: two letters and a number, such as us1 or eu0, not {realm[:40]!r}")
    base = f"https://ingest.{realm}.signalfx.com/v2"
    return Destination(
        traces_url=f"{base}/trace/otlp", metrics_url=f"{base}/datapoint/otlp",
        headers={"X-SF-Token": _joined("", given["token"])}, token_option="token",  # noqa: S106 - the name of an option
    )  # fmt: skip


def _joined(prefix: str, token: Any) -> Secret:
    return Secret(prefix + _text(token), getattr(token, "reference", "token"))


def _text(token: Any) -> str:
    return token.reveal() if isinstance(token, Secret) else str(token)


_SERVICE_OPTIONS = {
    "endpoint": "the address before /v1/traces",
    "token": "a reference to the token or API key",
    "instance_id": "the number of the Grafana Cloud stack",
    "site": "the Datadog site, such as datadoghq.eu",
    "realm": "the Splunk Observability realm, such as us1",
    "llmobs": "on: the traces go to Datadog's LLM Observability",
}
_PRESETS: dict[str, tuple[frozenset[str], frozenset[str], Callable[[Options], Destination]]] = {
    "generic": (frozenset(), frozenset({"endpoint", "token"}), _receiver),
    "grafana": (frozenset(), frozenset({"endpoint", "token"}), _receiver),
    "grafana-cloud": (frozenset({"endpoint", "token", "instance_id"}), frozenset(), _grafana_cloud),
    "datadog": (frozenset({"token"}), frozenset({"site", "llmobs"}), _datadog),
    "datadog-agent": (frozenset(), frozenset({"endpoint"}), _datadog_agent),
    "splunk-o11y": (frozenset({"token", "realm"}), frozenset(), _splunk_o11y),
}
"""For each preset: the options that it needs, those that it may be given, and what it makes of them."""

PRESETS = tuple(_PRESETS)
