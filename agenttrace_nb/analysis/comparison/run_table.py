"""Runs as a table: a row each, its columns as arrays, in an order that does not depend on where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Codes = NDArray[np.int64]
    Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its group, its case, and what is known of it. What is not known is NaN."""

    group: str
    case: str | None
    trial: str | None
    status: str | None
    traces: list[str]
    figures: dict[str, float]


class Labels:
    """A column of texts as places in the sorted list of those there are; what is unknown is at -1."""

    def __init__(self, names: list[str], codes: Codes) -> None:
        self.names = names
        self.codes = codes

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> Labels:
        """Return the labels of texts.

        Examples
        --------
        >>> found = Labels.of(["b", None, "a", "b"])
        >>> found.names, found.codes.tolist()
        (['a', 'b'], [1, -1, 0, 1])
        """
        names = sorted({text for text in texts if text is not None})
        place: dict[str | None, int] = {name: at for at, name in enumerate(names)}
        place[None] = -1
        return cls(names, np.fromiter(map(place.__getitem__, texts), np.int64, len(texts)))

    def only(self, rows: Codes) -> Labels:
        """Return some of the rows."""
        return Labels(self.names, self.codes[rows])

    def __getitem__(self, row: int) -> str | None:
        """Return the text of a row."""
        code = int(self.codes[row])
        return None if code < 0 else self.names[code]


@dataclass(slots=True)
class RunTable:
    """Runs, a row each.

    Attributes
    ----------
    group, case, trial, status
        What they are told apart by, and how they ended.
    ids
        The trace of each, or what stands for it; of a run with several traces the first.
    figures
        By name of the metric.
    more
        All traces of the runs that have several, by the first one.
    """

    group: Labels
    case: Labels
    trial: Labels
    status: Labels
    ids: NDArray[Any]
    figures: dict[str, Values]
    more: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the runs."""
        return len(self.ids)

    def only(self, rows: Codes) -> RunTable:
        """Return some of the rows, in the order in which they are named."""
        group, case, trial, status = (c.only(rows) for c in (self.group, self.case, self.trial, self.status))
        figures = {name: of[rows] for name, of in self.figures.items()}
        return RunTable(group, case, trial, status, self.ids[rows], figures, self.more)

    def traces(self, row: int) -> list[str]:
        """Return the traces of a run."""
        first = str(self.ids[row])
        return self.more.get(first, [first])

    def run(self, row: int) -> Run:
        """Return one of the runs."""
        figures = {name: float(of[row]) for name, of in self.figures.items()}
        group = self.group[row] or ""  # each has one
        return Run(group, self.case[row], self.trial[row], self.status[row], self.traces(row), figures)

    def ordered(self) -> RunTable:
        """Return the runs by group, case, trial and trace.

        An engine gives its rows in any order; what is drawn at random must not depend on it.
        """
        keys = [self.trial.codes, self.case.codes, self.group.codes]
        order = np.lexsort(keys)
        if _is_new([key[order] for key in keys]).all():
            return self.only(order)
        return self.only(np.lexsort([Labels.of(self.ids.tolist()).codes, *keys]))

    def repeated(self) -> Codes:
        """Return the first row of each case and trial that ordered runs hold more than once."""
        starts = np.flatnonzero(_is_new([self.group.codes, self.case.codes, self.trial.codes]))
        counts = np.diff(np.append(starts, len(self)))
        return starts[(counts > 1) & (self.case.codes[starts] >= 0)]


def _is_new(keys: Sequence[Codes]) -> NDArray[np.bool_]:
    """Tell of each row whether it differs from the one before."""
    found = np.ones(len(keys[0]), dtype=bool)
    found[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return found
