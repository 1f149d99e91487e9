"""Two traces set side by side: which steps are the same, and where they part."""

from __future__ import annotations

from agenttrace_nb.analysis.trace_diff.steps import Change, Class, Step, StepDiff, diff_steps

__all__ = ["Change", "Class", "Step", "StepDiff", "diff_steps"]
