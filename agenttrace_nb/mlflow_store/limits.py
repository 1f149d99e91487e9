"""What MLflow takes as names and values of tags, parameters and metrics; anything else is brought into that form."""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING

from agenttrace_nb.mlflow_store.records import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_CHARS = 250
TAG_CHARS = 8000
PARAM_CHARS = 6000
SESSION_CHARS = 250
_NOT_IN_NAMES = re.compile(r"[^\w./ :-]", re.ASCII)


def name(text: str) -> str:
    """Return a name that MLflow takes.

    Examples
    --------
    >>> name("résumé (1)")
    'r_sum_ _1_'
    """
    text = _NOT_IN_NAMES.sub("_", clean(text))[:NAME_CHARS].strip("/") or "_"
    return "/".join(part if part not in {"", ".", ".."} else "_" for part in text.split("/"))


def tags(given: Mapping[str, object]) -> dict[str, str]:
    """Return tags that MLflow takes; those without a value are left out.

    Examples
    --------
    >>> tags({"arch": "triage", "case": None})
    {'arch': 'triage'}
    """
    return {name(key): shortened(str(value), TAG_CHARS) for key, value in given.items() if value is not None}


def param(value: object) -> str:
    """Return a parameter's value as MLflow takes it."""
    return shortened(str(value), PARAM_CHARS)


def metric(value: float) -> float | None:
    """Return a metric's value, ``None`` for infinity (which MLflow would store as a finite number)."""
    return None if math.isinf(value) else float(value)


def session_value(text: str) -> str:
    """Return a session or user that MLflow takes: a longer one is cut and told apart by its hash."""
    text = clean(text)
    if len(text) <= SESSION_CHARS:
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: SESSION_CHARS - 17]}-{mark}"


def shortened(text: str, limit: int) -> str:
    """Return a text of at most ``limit`` characters, with a mark where it was cut."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
