"""The runs of this process: which began last, and what the journal and MLflow have to say to them."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.delivery import Delivery
    from agenttrace_nb.spans import CellRun
    from agenttrace_nb.tracing.run import Run
    from agenttrace_nb.views.dashboard_feed import DashboardFeed

_last: Run | None = None
_deliveries: dict[Path, Delivery] = {}
_heard: weakref.WeakSet[Journal] = weakref.WeakSet()
_running_or_shown: weakref.WeakSet[Run] = weakref.WeakSet()
_dashboards: weakref.WeakSet[DashboardFeed] = weakref.WeakSet()


def last() -> Run:
    """Return the run that was started last in this process.

    Raises
    ------
    LookupError
        If nothing was traced yet.
    """
    if _last is None:
        msg = "nothing was traced yet in this kernel; begin a cell with %%trace_agents, or use `with at.trace():`"
        raise LookupError(msg)
    return _last


def started(run: Run) -> None:
    """Take note of a run that has begun."""
    global _last  # noqa: PLW0603 - what `last` returns
    _last = run
    _running_or_shown.add(run)


def watch_costs(feed: DashboardFeed) -> None:
    """Tell a dashboard what calls cost, as soon as that is known."""
    _dashboards.add(feed)


def run_of(trace_id: str) -> CellRun | None:
    """Return the run of this process that a trace belongs to, as far as it is still at hand."""
    return next((run.recorded for run in list(_running_or_shown) if run.holds(trace_id)), None)


def hear(journal: Journal) -> None:
    """Have the problems of a journal told in the run that began last."""
    if journal not in _heard:
        _heard.add(journal)
        journal.on_problem(_tell_last)


def delivery_of(path: Path) -> Delivery:
    """Return the delivery of a journal; what it says goes to the run that began last."""
    from agenttrace_nb.mlflow_store.delivery import Delivery

    if path not in _deliveries:
        delivery = _deliveries[path] = Delivery(path)
        delivery.on_problem(_tell_last)
        delivery.on_costs(_tell_costs)
    return _deliveries[path]


def seal(path: Path) -> None:
    """Have a journal sealed where the audit log is on; if it is being sealed, say that something is new."""
    from agenttrace_nb.journal.sealing import is_on

    if is_on(path.parent):
        from agenttrace_nb.audit.process import sealing_of

        sealing_of(path, _tell_sealed).start()


def export(path: Path) -> None:
    """Have a journal sent on where handlers were added."""
    from agenttrace_nb.export import notices
    from agenttrace_nb.export.settings import settings_file

    notices.on_notice(_tell_last)
    if settings_file(path.parent).exists():
        from agenttrace_nb.export.process import exporting_of

        exporting_of(path).start()


def _tell_sealed(text: str, run_key: str | None) -> None:
    """Say what the sealing process says; MLflow may have waited for that."""
    _tell(text, run_key)
    for delivery in list(_deliveries.values()):
        delivery.nudge()


def _tell(text: str, run_key: str | None) -> None:
    """Say something to the run that it is about, else to the last one."""
    about = next((run for run in list(_running_or_shown) if run.key == run_key), None)
    if about is not None:
        about.note(text)
    else:
        _tell_last(text)


def _tell_last(text: str) -> None:
    if _last is not None:
        _last.note(text)


def _tell_costs(costs: Mapping[str, Mapping[str, float]]) -> None:
    for run in list(_running_or_shown):
        run.take_costs(costs)
    for feed in list(_dashboards):
        feed.take_costs(costs)
