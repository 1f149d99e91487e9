"""`trace`: the one engine behind ``%%trace_agents`` and ``with at.trace(...)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.tracing.run import Run
from agenttrace_nb.tracing.runs import last

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agenttrace_nb.config import CellInfo, Live, Rule
    from agenttrace_nb.spans import Trace

__all__ = ["Run", "last", "show", "trace"]


def trace(
    *,
    arch: str | None = None,
    case: str | int | None = None,
    trial: str | int | None = None,
    experiment: str | None = None,
    roles: Mapping[str, str] | None = None,
    tags: Mapping[str, Any] | None = None,
    session: str | None = None,
    live: Live | None = None,
    message_runs: bool | None = None,
    redact: Rule | Sequence[Rule] | None = None,
    deterministic: bool | None = None,
    cell: CellInfo | None = None,
) -> Run:
    """Trace the agents that run inside a ``with`` block, or between `Run.start` and `Run.finish`.

    Parameters
    ----------
    arch
        Architecture tag that runs are compared by.
    case, trial
        Id of the task, and which repetition of it this is.
    experiment
        MLflow experiment; else the active one, else the notebook's name.
    roles
        What each agent is for, by its name: ``{"Planner": "planner"}``.
    tags
        Further tags of the run.
    session
        Session (conversation) that the traces belong to, where the SDK does not name one.
    live
        Whether a view is shown: ``"auto"`` (in a notebook), ``True`` or ``False``.
    message_runs
        Whether each agent message becomes a nested MLflow run; on by default.
    redact
        What else to take out before anything is stored: regular expressions, or functions from text to text.
    deterministic
        One static view with a fixed clock: the same bytes each time.
    cell
        The notebook cell; given by the magic.

    Returns
    -------
    Run
        A context manager, for ``with`` and ``async with``.

    Raises
    ------
    OptionError
        If an option is unknown or its value is not allowed; the message says what is.

    Examples
    --------
    >>> with trace(arch="planner-executor", case="task-17", live=False) as run:
    ...     pass  # result = await Runner.run(planner, "Rebook my flight")
    >>> run.status.value
    'ok'
    """
    rules = [redact] if callable(redact) or isinstance(redact, str) else redact
    settings = config.current(
        arch=arch,
        experiment=experiment,
        live=live,
        message_runs=message_runs,
        redact=rules,
        deterministic=deterministic,
    )
    named = {"case": case, "trial": trial, "session": session}
    texts = {name: None if value is None else config.check_text(name, value) for name, value in named.items()}
    cell = cell or config.CellInfo()
    return Run(settings, texts, config.check_roles(roles or {}), config.check_tags(tags or {}), cell)


def show(what: Run | Trace | str) -> None:
    """Show a run or a trace below the current cell.

    Parameters
    ----------
    what
        A run, a trace, or an id that `agenttrace_nb.load` takes.

    Raises
    ------
    LookupError
        If there is nothing of that id.

    Examples
    --------
    >>> show(last())  # doctest: +SKIP
    """
    if isinstance(what, Run):
        what.show()
        return
    from agenttrace_nb.analysis.search import load
    from agenttrace_nb.tracing.feedback import take
    from agenttrace_nb.views.live import display_trace

    display_trace(load(what) if isinstance(what, str) else what, feedback=take)
