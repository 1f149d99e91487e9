"""How sure a finding is: what share of such findings was the cause, in runs whose cause was known."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.failures.rules import RULES

if TYPE_CHECKING:
    from agenttrace_nb.analysis.failures.findings import Standing

Counts = dict[str, dict[str, tuple[int, int]]]
"""For each rule and standing: how often a finding was the cause, of how many."""

WORTH_OF_PRIOR = 5
"""So many observed runs weigh as much as what was believed of a rule before."""

MOST = 0.99


def confidence(rule: str, standing: Standing, counts: Counts | None = None) -> float:
    """Return the share of such findings that were the cause; a rule that was hardly seen keeps what was believed.

    Parameters
    ----------
    rule, standing
        Of the finding.
    counts
        What was observed; by default what `calibration.json` holds (``python -m benchmarks.attribution --fit``).
    """
    hits, seen = (measured() if counts is None else counts).get(rule, {}).get(standing.value, (0, 0))
    believed = RULES[rule].prior(standing)
    return min(MOST, (hits + WORTH_OF_PRIOR * believed) / (seen + WORTH_OF_PRIOR))


@cache
def measured() -> Counts:
    """Return what was observed in runs with a known cause."""
    text = resources.files(__package__).joinpath("calibration.json").read_text(encoding="utf-8")
    counts: Counts = {
        rule: {standing: (pair[0], pair[1]) for standing, pair in of.items()}
        for rule, of in json.loads(text)["counts"].items()
    }
    return counts
