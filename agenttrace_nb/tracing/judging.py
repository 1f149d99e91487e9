"""Whether a case of `run_cases` succeeded: by a function, or by one of MLflow's scorers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.mlflow_store import scores

if TYPE_CHECKING:
    from agenttrace_nb.tracing.run import Run

Success = Callable[[Any, Any], bool | None] | Any
"""Takes a result and its case and says whether it succeeded; or one of MLflow's scorers."""


def check_success(success: Success | None) -> None:
    """Raise an error unless this can judge.

    Raises
    ------
    OptionError
        If it is neither a function nor a scorer.
    """
    if success is not None and not callable(success) and not scores.is_scorer(success):
        msg = f"success must be a function or an MLflow scorer; this is a {type(success).__name__}"
        raise OptionError(msg)


def judge(success: Success | None, run: Run, result: Any, case: Any) -> bool | None:
    """Return whether a case succeeded; what a scorer says is logged to the run as a metric too.

    Raises
    ------
    ValueError
        If a scorer gave a number that is neither yes nor no; it is logged all the same.
    """
    if success is None:
        return None
    if not scores.is_scorer(success):
        said = success(result, case)
        return None if said is None else bool(said)
    found = scores.ask(success, case, result)
    for name, value in found.items():
        run.log_metric(name, value)
    verdict = scores.as_success(found)
    if found and verdict is None:
        listed = ", ".join(f"{name} {value:g}" for name, value in found.items())
        msg = f"the scorer says neither yes nor no ({listed}); it is kept as a metric to compare by: score:NAME"
        raise ValueError(msg)
    return verdict
