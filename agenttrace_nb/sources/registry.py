"""Which sources there are: ours, and those that installed packages bring. Only the one in use is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.plugins import Kinds, check_contract, check_names
from agenttrace_nb.secrets import SecretError, resolve
from agenttrace_nb.sources.source import API_VERSION, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = Kinds(
    "source",
    "agenttrace_nb.sources",
    "agenttrace_nb.sources",
    {
        "prometheus": "prometheus:PrometheusSource",
        "grafana": "grafana:GrafanaSource",
        "datadog": "datadog:DatadogSource",
        "splunk": "splunk:SplunkSource",
    },
)
_NEEDED = ("read", "options", "required", "secrets")


def make(name: str) -> Source:
    """Return a source by its name.

    Raises
    ------
    OptionError
        If there is none of that name, or its package is broken; the message names the package.

    Examples
    --------
    >>> "url" in make("prometheus").options
    True
    """
    kind, origin = KINDS.load(str(name))
    try:
        made: Source = kind()
    except Exception as error:
        raise OptionError(f"{origin} cannot be loaded: {type(error).__name__}: {error}") from error
    check_contract(made, origin, needed=_NEEDED, version=API_VERSION, contract="agenttrace_nb.sources.Source")
    return made


def checked(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the source takes them: known, complete, secrets resolved.

    Raises
    ------
    OptionError
        If one is unknown or missing.
    SecretError
        If a reference leads nowhere, or a secret itself was given.
    """
    found = {name: value for name, value in given.items() if value is not None}
    check_names(found.keys(), source.options, source.required, of="this source")
    for name in source.secrets & found.keys():
        try:
            found[name] = resolve(found[name])
        except SecretError as error:
            raise SecretError(f"{name}: {error}") from None
    return found
