"""Runs gathered by group and case: what is paired, and what a case comes to over its trials."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from agenttrace_nb.analysis.comparison.runs import Run, Runs


@dataclass(slots=True)
class Group:
    """One side of a comparison: its runs by case. A run without a case is a case of its own."""

    name: str
    runs: list[Run] = field(default_factory=list)
    of_case: dict[str, list[Run]] = field(default_factory=dict)
    caseless: int = 0
    _known: dict[str, dict[str, list[float]]] = field(default_factory=dict, repr=False)

    def of_cases(self, metric: Metric) -> dict[str, list[float]]:
        """Return the known figures of the runs of each case in which there are any."""
        if metric.name not in self._known:
            self._known[metric.name] = _by_case(self.of_case, metric.name)
        return self._known[metric.name]

    def values(self, metric: Metric) -> dict[str, float]:
        """Return one figure for each case in which the metric is known: a median for amounts, else a mean."""
        return _middles(self.of_cases(metric), metric)

    def values_without_failed(self, metric: Metric) -> dict[str, float]:
        """Return the same from the runs that did not fail."""
        ended_well = {case: [run for run in runs if not failed(run)] for case, runs in self.of_case.items()}
        return _middles(_by_case(ended_well, metric.name), metric)

    def known(self, metric: Metric) -> NDArray[np.float64]:
        """Return the figure of each run in which it is known, case by case."""
        return np.array(list(itertools.chain.from_iterable(self.of_cases(metric).values())))

    def trials(self, metric: Metric) -> list[NDArray[np.float64]]:
        """Return the known figures of the runs, case by case."""
        return [np.array(of) for of in self.of_cases(metric).values()]

    def per_success(self) -> dict[str, tuple[float, float]] | None:
        """Return cost and success of each case as means over its trials; None if a cost or a success is unknown."""
        found: dict[str, tuple[float, float]] = {}
        for case, runs in self.of_case.items():
            cost = statistics.fmean(r.figures["cost_per_success"] for r in runs)
            success = statistics.fmean(r.figures["success"] for r in runs)
            if math.isnan(cost) or math.isnan(success):
                return None
            found[case] = (cost, success)
        return found


def _by_case(runs_of: Mapping[str, list[Run]], name: str) -> dict[str, list[float]]:
    found = {case: [v for run in runs if (v := run.figures[name]) == v] for case, runs in runs_of.items()}
    return {case: of for case, of in found.items() if of}


def _middles(of_cases: Mapping[str, list[float]], metric: Metric) -> dict[str, float]:
    middle = statistics.median if metric.scale is Scale.RATIO else statistics.fmean
    return {case: of[0] if len(of) == 1 else middle(of) for case, of in of_cases.items()}


def failed(run: Run) -> bool:
    """Tell whether a run ended with an error."""
    return run.status == "error"


def grouped(runs: Runs) -> dict[str, Group]:
    """Return the runs by group and case."""
    groups = {name: Group(name) for name in runs.groups}
    for number, run in enumerate(runs.runs):
        group = groups[run.group]
        group.runs.append(run)
        group.caseless += run.case is None
        key = f"\0{number}" if run.case is None else run.case  # no case has such a name
        group.of_case.setdefault(key, []).append(run)
    return groups


def is_case(key: str) -> bool:
    """Tell whether a key of `Group.of_case` is a case and not a run without one."""
    return not key.startswith("\0")


def fewest_trials(group: Group, metric: Metric, cases: list[str]) -> int:
    """Return the fewest known trials that one of the cases has, at least 1."""
    known = group.of_cases(metric)
    return max(min((len(known.get(case, ())) for case in cases), default=1), 1)
