"""Which sources there are: ours, and those that installed packages bring. Only the one in use is loaded."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.secrets import SecretError, resolve
from agenttrace_nb.sources.source import API_VERSION, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "agenttrace_nb.sources"
"""The group of entry points in which a package names its sources."""

BUILT_IN: Mapping[str, str] = {
    "prometheus": "prometheus:PrometheusSource",
    "grafana": "grafana:GrafanaSource",
    "datadog": "datadog:DatadogSource",
    "splunk": "splunk:SplunkSource",
}


def names() -> list[str]:
    """Return the names of all sources, without loading any.

    Examples
    --------
    >>> "prometheus" in names()
    True
    """
    return [*BUILT_IN, *(name for name in sorted(entry_points(group=GROUP).names) if name not in BUILT_IN)]


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
    if name in BUILT_IN:
        module, _, class_ = BUILT_IN[name].partition(":")
        built_in: Source = getattr(import_module(f"agenttrace_nb.sources.{module}"), class_)()
        return built_in
    found = entry_points(group=GROUP, name=str(name))
    if not found:
        known = names()
        msg = f"source={name!r} is not known; there are {', '.join(known)}.{did_you_mean(str(name), known)}"
        raise OptionError(msg)
    (entry, *_) = found
    of = f"the source {name!r} of the package {entry.dist.name if entry.dist else entry.value}"
    try:
        made = entry.load()()
    except Exception as error:
        raise OptionError(f"{of} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(made, Source):
        missing = [name for name in ("read", "options", "required", "secrets") if not hasattr(made, name)]
        msg = f"{of} is no source: it has no {', '.join(missing)} (see agenttrace_nb.sources.Source)"
        raise OptionError(msg)
    if made.api_version != API_VERSION:
        msg = f"{of} was written for version {made.api_version} of the contract, this is {API_VERSION}; update it"
        raise OptionError(msg)
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
    for name in given:
        if name not in source.options:
            known = list(source.options)
            msg = f"there is no option {name!r} for this source; there are {', '.join(known)}."
            raise OptionError(msg + did_you_mean(name, known))
    if missing := [name for name in source.options if name in source.required and given.get(name) is None]:
        raise OptionError(f"{missing[0]} must be given: {source.options[missing[0]]}")
    found = {name: value for name, value in given.items() if value is not None}
    for name in source.secrets & found.keys():
        try:
            found[name] = resolve(found[name])
        except SecretError as error:
            raise SecretError(f"{name}: {error}") from None
    return found
