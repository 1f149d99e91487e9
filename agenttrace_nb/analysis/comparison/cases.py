"""Runs gathered by group and case: what is paired, and what a case comes to over its trials."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agenttrace_nb.analysis.comparison.runs import Run, Runs


@dataclass(slots=True)
class Group:
    """One side of a comparison: its runs by case. A run without a case is a case of its own."""

    name: str
    runs: list[Run] = field(default_factory=list)
    of_case: dict[str, list[Run]] = field(default_factory=dict)
    caseless: int = 0
    _known: dict[tuple[Metric, bool], dict[str, float]] = field(default_factory=dict, repr=False)

    def values(self, metric: Metric) -> dict[str, float]:
        """Return one figure for each case in which the metric is known: a median for amounts, else a mean."""
        return self._of_cases(metric, without_failed=False)

    def values_without_failed(self, metric: Metric) -> dict[str, float]:
        """Return the same from the runs that did not fail."""
        return self._of_cases(metric, without_failed=True)

    def _of_cases(self, metric: Metric, *, without_failed: bool) -> dict[str, float]:
        key = metric, without_failed
        if key not in self._known:
            middle = statistics.median if metric.scale is Scale.RATIO else statistics.fmean
            listed = {
                case: [
                    v
                    for r in runs
                    if not math.isnan(v := r.figures[metric.name]) and not (without_failed and failed(r))
                ]
                for case, runs in self.of_case.items()
            }
            self._known[key] = {case: of[0] if len(of) == 1 else middle(of) for case, of in listed.items() if of}
        return self._known[key]

    def known(self, metric: Metric) -> NDArray[np.float64]:
        """Return the figure of each run in which it is known."""
        return np.array([v for r in self.runs if not math.isnan(v := r.figures[metric.name])])

    def trials(self, metric: Metric) -> list[NDArray[np.float64]]:
        """Return the known figures of the runs, case by case."""
        found = [
            np.array([v for r in runs if not math.isnan(v := r.figures[metric.name])]) for runs in self.of_case.values()
        ]
        return [of for of in found if of.size]

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


def fewest_trials(groups: list[Group], metric: Metric, cases: list[str]) -> int:
    """Return the fewest known trials that one of the cases has in one of the groups."""
    counts = [
        sum(not math.isnan(r.figures[metric.name]) for r in group.of_case[case]) for group in groups for case in cases
    ]
    return max(min(counts, default=1), 1)
