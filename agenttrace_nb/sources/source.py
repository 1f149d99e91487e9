"""What a source of metrics is asked, and what it answers: the contract for ours and yours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

API_VERSION = 1
"""Raised when a source written for an earlier one could no longer work."""


class SourceError(RuntimeError):
    """A source did not answer, or not with metrics. The text is for the user and names the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for.

    Attributes
    ----------
    text
        In the source's own language.
    start_ms, end_ms
        The period, both ends included; milliseconds since the Unix epoch.
    step_ms
        From one point to the next, in milliseconds.
    """

    text: str
    start_ms: int
    end_ms: int
    step_ms: int

    def parts(self, points: int) -> Iterator[Query]:
        """Split it into periods of at most so many points, on one grid.

        Examples
        --------
        >>> [(q.start_ms, q.end_ms) for q in Query(text="up", start_ms=0, end_ms=50, step_ms=10).parts(3)]
        [(0, 20), (30, 50)]
        """
        start = self.start_ms
        while start <= self.end_ms:
            end = min(self.end_ms, start + (points - 1) * self.step_ms)
            yield Query(text=self.text, start_ms=start, end_ms=end, step_ms=self.step_ms)
            start += points * self.step_ms


@dataclass(frozen=True, slots=True)
class Sample:
    """One value at one time (milliseconds since the Unix epoch), and the trace behind it where the source names one."""

    time_ms: int
    value: float
    trace_id: str | None = None


@dataclass(slots=True)
class Series:
    """The values of one metric with one set of labels, in order of time."""

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)


@runtime_checkable
class Source(Protocol):
    """Where metrics come from. One object serves one query.

    Attributes
    ----------
    api_version
        `API_VERSION` of the contract that it was written for.
    options
        The options that it takes: name to one line of help. A name in `required` must be given.
    secrets
        Names of options that are given by reference (``env:``, ``file:``, ``keyring:``) and arrive as `Secret`.
    """

    api_version: int
    options: Mapping[str, str]
    required: frozenset[str]
    secrets: frozenset[str]

    def read(self, query: Query, options: Mapping[str, Any]) -> Iterable[Series]:
        """Return what a query finds.

        Raises
        ------
        SourceError
            If the source does not answer, or refuses the query; any other error is named with its type.
        OptionError
            If the value of an option is not allowed.
        """


def merged(found: Iterable[Series]) -> list[Series]:
    """Return one series for each metric and set of labels, with all its values in order of time.

    Examples
    --------
    >>> parts = [Series("up", {}, [Sample(1, 1.0)]), Series("up", {}, [Sample(0, 0.0)])]
    >>> [[sample.time_ms for sample in series.samples] for series in merged(parts)]
    [[0, 1]]
    """
    whole: dict[tuple[str, frozenset[tuple[str, str]]], Series] = {}
    for part in found:
        key = (part.metric, frozenset(part.labels.items()))
        whole.setdefault(key, Series(part.metric, part.labels)).samples.extend(part.samples)
    for series in whole.values():
        series.samples.sort(key=lambda sample: sample.time_ms)
    return list(whole.values())
