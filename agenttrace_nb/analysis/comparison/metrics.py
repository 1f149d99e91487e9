"""What runs can be compared by, and how each of it is read and judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from agenttrace_nb.config import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SCORE = "score:"
"""Before the name of a score that MLflow holds of a run or a trace."""

DEFAULT = ("success", "latency", "cost", "tokens")


class Scale(StrEnum):
    """How two sides are set against each other."""

    RATE = "rate"  # shares of cases; their difference, in points
    RATIO = "ratio"  # positive amounts; how many times as much
    DIFFERENCE = "difference"  # counts and scores; how much more
    PER_SUCCESS = "per success"  # one total over another; how many times as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing to compare by.

    Attributes
    ----------
    name
        As it was asked for.
    label
        As people read it.
    columns
        Columns of the frame that make it; added up where there are several.
    scale
        How two sides are set against each other.
    more_is_better
        Which way is better.
    unit
        ``share``, ``s``, ``usd``, ``tokens`` or ``""``.
    """

    name: str
    label: str
    columns: tuple[str, ...]
    scale: Scale
    more_is_better: bool = False
    unit: str = ""


_KNOWN = {
    m.name: m
    for m in (
        Metric(name="success", label="success", columns=("success",), scale=Scale.RATE, more_is_better=True,
               unit="share"),
        Metric(name="completed", label="completed without error", columns=("status",), scale=Scale.RATE,
               more_is_better=True, unit="share"),
        Metric(name="latency", label="latency", columns=("latency_s",), scale=Scale.RATIO, unit="s"),
        Metric(name="cost", label="cost", columns=("cost_usd",), scale=Scale.RATIO, unit="usd"),
        Metric(name="tokens", label="tokens", columns=("input_tokens", "output_tokens"), scale=Scale.RATIO,
               unit="tokens"),
        Metric(name="input_tokens", label="input tokens", columns=("input_tokens",), scale=Scale.RATIO, unit="tokens"),
        Metric(name="output_tokens", label="output tokens", columns=("output_tokens",), scale=Scale.RATIO,
               unit="tokens"),
        Metric(name="turns", label="turns", columns=("turns",), scale=Scale.DIFFERENCE),
        Metric(name="llm_calls", label="LLM calls", columns=("llm_calls",), scale=Scale.DIFFERENCE),
        Metric(name="tool_calls", label="tool calls", columns=("tool_calls",), scale=Scale.DIFFERENCE),
        Metric(name="errors", label="tool errors", columns=("tool_errors",), scale=Scale.DIFFERENCE),
        Metric(name="handoffs", label="handoffs", columns=("handoffs",), scale=Scale.DIFFERENCE),
        Metric(name="cost_per_success", label="cost per success", columns=("cost_usd", "success"),
               scale=Scale.PER_SUCCESS, unit="usd"),
    )
}  # fmt: skip
_SAME = {"latency_s": "latency", "cost_usd": "cost", "tool_errors": "errors"}


def metrics_of(wanted: Sequence[str] | str, columns: Collection[str], taken: Collection[str]) -> list[Metric]:
    """Return the metrics that were asked for.

    Parameters
    ----------
    wanted
        Names: of the built-in metrics, or of numeric columns, for which more is better; ``-name`` says that less is.
    columns
        Of the frame.
    taken
        Columns that say what a run is, and so are no metrics.

    Raises
    ------
    OptionError
        If there is no such metric, or the frame lacks its column.
    """
    names: list[object] = [wanted] if isinstance(wanted, str) else list(wanted)
    texts = [name for name in names if isinstance(name, str) and name.strip("-")]
    if not names or len(texts) < len(names):
        msg = f"metrics={wanted!r} is not allowed; it must be names, such as {', '.join(_KNOWN)}"
        raise OptionError(msg)
    found: dict[str, Metric] = {}
    for name in texts:
        metric = _metric(name, columns, taken)
        found[metric.name] = metric
    return list(found.values())


def _metric(name: str, columns: Collection[str], taken: Collection[str]) -> Metric:
    plain = _SAME.get(name.removeprefix("-"), name.removeprefix("-"))
    known = _KNOWN.get(plain)
    if known is not None:
        missing = [c for c in known.columns if c not in columns]
        if missing:
            msg = f"metric {name!r} needs the column {', '.join(missing)}; the frame has {', '.join(columns)}"
            raise OptionError(msg)
        return replace(known, more_is_better=False) if name.startswith("-") else known
    own = [column for column in columns if column not in taken]
    if plain not in own:
        read_by_name = {column for metric in _KNOWN.values() for column in metric.columns}
        allowed = list(dict.fromkeys([*_KNOWN, *(column for column in own if column not in read_by_name)]))
        msg = f"metric {name!r} is not known; there are {', '.join(allowed)}.{did_you_mean(plain, allowed)}"
        raise OptionError(msg)
    label = plain.removeprefix(SCORE).replace("_", " ").replace("/", " ")
    return Metric(name=plain, label=label, columns=(plain,), scale=Scale.DIFFERENCE, more_is_better=name[0] != "-")
