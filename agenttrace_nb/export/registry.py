"""Which kinds of handlers there are: ours, and those that installed packages bring. Only those in use are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agenttrace_nb.config import OptionError
from agenttrace_nb.export.handler import API_VERSION, Handler
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.plugins import Kinds, check_contract, check_names
from agenttrace_nb.secrets import FORMS, Secret, SecretError, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS = Kinds(
    "handler",
    "agenttrace_nb.handlers",
    "agenttrace_nb.export",
    {
        "otlp": "otlp:OtlpHandler",
        "prometheus": "prometheus:PrometheusHandler",
        "pushgateway": "pushgateway:PushgatewayHandler",
        "splunk-hec": "splunk_hec:SplunkHecHandler",
        "datadog-metrics": "datadog_metrics:DatadogMetricsHandler",
        "jsonl": "jsonl:JsonlHandler",
    },
)

_REFERENCES = ("env:", "file:", "keyring:")
_NEEDED = ("open", "export", "close", "options", "required", "secrets")


def load(kind: str) -> type[Handler]:
    """Return the class of a kind of handler.

    Raises
    ------
    OptionError
        If there is no such kind, or its package is broken; the message names the package.

    Examples
    --------
    >>> load("jsonl").__name__
    'JsonlHandler'
    """
    return checked(*KINDS.load(str(kind)))


def checked(made: Any, origin: str) -> type[Handler]:
    """Return a class if it keeps to the contract.

    Raises
    ------
    OptionError
        If it does not.
    """
    contract = "agenttrace_nb.export.handler.Handler"
    check_contract(made, origin, needed=_NEEDED, version=API_VERSION, contract=contract)
    return cast("type[Handler]", made)


# ----------------------------------------------------------------------------------------------------------- options


def check_options(made: type[Handler], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they may be kept: known, complete, and without a secret in them.

    Raises
    ------
    OptionError
        If one is unknown or missing, or holds a secret itself; that is not repeated then.
    """
    check_names(options.keys(), made.options, made.required, of="this handler", more=_OF_ALL)
    for name, value in options.items():
        _check_value(name, value, secret=name in made.secrets)
    prepare = getattr(made, "prepare", None)
    try:
        return dict(options) if prepare is None else dict(prepare(options))
    except ValueError as error:
        raise OptionError(str(error)) from None


_OF_ALL = ("name", "content", "backlog", "max_age")


def _check_value(name: str, value: Any, *, secret: bool) -> None:
    if secret:
        if not is_reference(value):
            msg = (
                f"{name} must be a reference ({FORMS}), so that no secret is saved with the notebook. What was given "
                "is not repeated here; if it was a real one, clear this cell and replace the secret."
            )
            raise OptionError(msg)
        return
    if not isinstance(value, (str, int, float, bool)):
        msg = f"{name} must be a text, a number or a switch, not a {type(value).__name__}"
        raise OptionError(msg)
    if isinstance(value, str) and Redactor().clean_text(f"{name}={value}") != f"{name}={value}":
        msg = f"{name} holds what looks like a secret; give it by reference ({FORMS}). It is not repeated here."
        raise OptionError(msg)


def is_reference(value: Any) -> bool:
    """Tell whether a value says where a text is kept."""
    return isinstance(value, str) and value.startswith(_REFERENCES) and bool(value.partition(":")[2].strip())


def resolved(made: type[Handler], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with what their references lead to: `Secret` for a secret, else the text.

    Raises
    ------
    SecretError
        If a reference leads nowhere.
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        if not is_reference(value):
            found[name] = value
            continue
        try:
            secret: Secret = resolve(value)
        except SecretError as error:
            raise SecretError(f"{name}: {error}") from None
        found[name] = secret if name in made.secrets else secret.reveal()
    return found


def unresolved(options: Mapping[str, Any]) -> list[str]:
    """Return which references lead nowhere at this moment, in words."""
    found = []
    for name, value in options.items():
        if is_reference(value):
            try:
                resolve(value)
            except SecretError as error:
                found.append(f"{name}: {error}")
    return found


def variables_in(options: Iterable[Any]) -> set[str]:
    """Return the variables of the environment that options refer to."""
    return {value[4:].strip() for value in options if isinstance(value, str) and value.startswith("env:")}
