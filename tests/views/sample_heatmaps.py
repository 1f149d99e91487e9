"""Heatmaps of errors over runs made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from views.hostile import texts
from views.sample_lists import many

from agenttrace_nb.views.heatmap import Heatmap, error_heatmap

if TYPE_CHECKING:
    from agenttrace_nb.spans import Trace


def desk(count: int = 60) -> Heatmap:
    """Errors reported of runs of several architectures, a common one and rare ones."""
    runs = many(count)
    listed = list(runs)
    categories = ("wrong amount", "rude", "asked twice", "ignored the policy")
    reports = [_report(trace, categories[n * n % 7 % 4]) for n, trace in enumerate(listed) if 7 * n % 5 < 3]
    return error_heatmap(runs, "arch", "category", reports=reports)


def hostile_heatmap() -> Heatmap:
    """Errors whose categories are hostile texts."""
    runs = many(8)
    listed = list(runs)
    reports = [_report(listed[n % 8], text) for n, text in enumerate(texts()) if text.strip()]
    return error_heatmap(runs, "arch", "category", reports=reports)


def _report(trace: Trace, category: str) -> dict[str, Any]:
    return {"trace_id": trace.trace_id, "category": category}
