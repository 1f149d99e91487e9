"""Runs gathered by group and case: what is paired, and what a case comes to over its trials."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agenttrace_nb.analysis.comparison.run_table import Run, RunTable

    Values = NDArray[np.float64]
    Places = NDArray[np.int64]


class Group:
    """One side of a comparison: its runs by case. A run without a case is a case of its own.

    Parameters
    ----------
    name
        Its name.
    table
        Its runs, ordered by case.
    """

    def __init__(self, name: str, table: RunTable) -> None:
        self.name = name
        self._table = table
        codes = table.case.codes
        is_first = np.ones(codes.size, dtype=bool)
        is_first[1:] = (codes[1:] != codes[:-1]) | (codes[1:] < 0)
        self._starts = np.flatnonzero(is_first)
        self._case_of_run = np.cumsum(is_first) - 1
        # No case has a name with a null in it.
        self._cases = [table.case[row] or f"\0{name}\0{row}" for row in self._starts.tolist()]
        self._values: dict[tuple[str, bool], dict[str, float]] = {}

    def __len__(self) -> int:
        """Count the runs."""
        return len(self._table)

    @property
    def caseless(self) -> int:
        """How many runs have no case."""
        return int((self._table.case.codes < 0).sum())

    @property
    def failed(self) -> int:
        """How many runs ended with an error."""
        return int(self._has_failed.sum())

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many runs each case has."""
        counts = np.diff(np.append(self._starts, len(self))).tolist()
        return dict(zip(self._cases, counts, strict=True))

    @cached_property
    def of_case(self) -> dict[str, list[Run]]:
        """The runs of each case."""
        found: dict[str, list[Run]] = {case: [] for case in self._cases}
        for row, place in enumerate(self._case_of_run.tolist()):
            found[self._cases[place]].append(self._table.run(row))
        return found

    def values(self, metric: Metric) -> dict[str, float]:
        """Return one figure for each case in which the metric is known: a median for amounts, else a mean."""
        return self._of_cases(metric, without_failed=False)

    def values_without_failed(self, metric: Metric) -> dict[str, float]:
        """Return the same from the runs that did not fail."""
        return self._of_cases(metric, without_failed=True)

    def _of_cases(self, metric: Metric, *, without_failed: bool) -> dict[str, float]:
        key = f"{metric.name} {metric.scale}", without_failed
        if key not in self._values:
            known, starts, places = self._known(metric, without_failed=without_failed)
            middles = _medians(known, starts, places) if metric.scale is Scale.RATIO else _means(known, starts)
            cases = [self._cases[place] for place in places[starts].tolist()]
            self._values[key] = dict(zip(cases, middles.tolist(), strict=True))
        return self._values[key]

    def _known(self, metric: Metric, *, without_failed: bool = False) -> tuple[Values, Places, Places]:
        """Return the known figures, case by case, where each case starts among them, and the place of their cases."""
        figures = self._table.figures[metric.name]
        is_known = ~np.isnan(figures)
        if without_failed:
            is_known &= ~self._has_failed
        places = self._case_of_run[is_known]
        return figures[is_known], np.flatnonzero(np.diff(places, prepend=-1)), places

    @cached_property
    def _has_failed(self) -> NDArray[np.bool_]:
        status = self._table.status
        found: NDArray[np.bool_] = status.codes == (status.names.index("error") if "error" in status.names else -2)
        return found

    def known(self, metric: Metric) -> Values:
        """Return the figure of each run in which it is known, case by case."""
        return self._known(metric)[0]

    def trials(self, metric: Metric) -> list[Values]:
        """Return the known figures of the runs, case by case."""
        known, starts, _ = self._known(metric)
        return np.split(known, starts[1:]) if known.size else []

    def fewest_trials(self, metric: Metric, cases: list[str]) -> int:
        """Return the fewest known trials that one of the cases has, at least 1."""
        known, starts, places = self._known(metric)
        counts = dict(zip(places[starts].tolist(), np.diff(np.append(starts, known.size)).tolist(), strict=True))
        wanted = set(cases)
        of_cases = [counts.get(place, 0) for place, case in enumerate(self._cases) if case in wanted]
        return max(min(of_cases, default=1), 1)

    def per_success(self) -> dict[str, tuple[float, float]] | None:
        """Return cost and success of each case as means over its trials; None if a cost or a success is unknown."""
        cost, success = (_means(self._table.figures[name], self._starts) for name in ("cost_per_success", "success"))
        if np.isnan(cost).any() or np.isnan(success).any():
            return None
        return dict(zip(self._cases, zip(cost.tolist(), success.tolist(), strict=True), strict=True))

    def unknown_per_success(self) -> int:
        """Return of how many runs cost or success is unknown."""
        cost, success = self._table.figures["cost_per_success"], self._table.figures["success"]
        return int((np.isnan(cost) | np.isnan(success)).sum())


def _means(values: Values, starts: Places) -> Values:
    if not values.size:
        return values
    found: Values = np.add.reduceat(values, starts) / np.diff(np.append(starts, values.size))
    return found


def _medians(values: Values, starts: Places, places: Places) -> Values:
    ordered = values[np.lexsort([values, places])]
    counts = np.diff(np.append(starts, values.size))
    found: Values = (ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2
    return found


def grouped(table: RunTable, names: list[str]) -> dict[str, Group]:
    """Return the groups of ordered runs, by name."""
    place = {name: code for code, name in enumerate(table.group.names)}
    return {name: Group(name, table.only(np.flatnonzero(table.group.codes == place[name]))) for name in names}


def is_case(key: str) -> bool:
    """Tell whether a key of `Group.of_case` is a case and not a run without one."""
    return not key.startswith("\0")
