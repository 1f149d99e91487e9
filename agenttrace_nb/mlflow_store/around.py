"""The trace of MLflow's own that a run is made in, such as that of a function that ``mlflow.genai.evaluate`` calls."""

from __future__ import annotations

import contextlib
import sys

WITHIN_TRACE = "within_trace"
"""Tag of a run and of its traces: MLflow's id of the trace around them. What is said of that is said of these too."""


def tags() -> dict[str, str]:
    """Return the tag of what begins here; nothing where MLflow is not loaded or traces nothing here."""
    if "mlflow" not in sys.modules:
        return {}
    with contextlib.suppress(Exception):  # never into the user's own code
        from mlflow import get_active_trace_id

        if found := get_active_trace_id():
            return {WITHIN_TRACE: found}
    return {}
