"""Runs of several architectures, compared case by case: from frames to figures, tests and verdicts."""

from __future__ import annotations

from agenttrace_nb.analysis.comparison.findings import Findings, compare_runs
from agenttrace_nb.analysis.comparison.pairs import Pair
from agenttrace_nb.analysis.comparison.words import Verdict

__all__ = ["Findings", "Pair", "Verdict", "compare_runs"]
