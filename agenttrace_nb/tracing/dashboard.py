"""`dashboard`: figures that move while agents run, in this kernel or wherever the same MLflow is written to."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agenttrace_nb import config
from agenttrace_nb.analysis.search import load
from agenttrace_nb.journal.append import process_journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.mlflow_store import target
from agenttrace_nb.tracing import runs
from agenttrace_nb.views.dashboard import Dashboard
from agenttrace_nb.views.dashboard_text import alert_words
from agenttrace_nb.views.wire import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from agenttrace_nb.analysis.monitor_rules import Alert


def dashboard(
    experiment: str | None = None,
    *,
    arch: str | None = None,
    window: str | timedelta | None = None,
    alerts: Sequence[str] = (),
) -> Dashboard:
    """Return a live dashboard: runs, success rate, errors, latency, tokens, cost and throughput.

    It shows what agents do in this kernel at once, and every few seconds what anybody wrote to the same MLflow. While a
    cell runs, or nobody looks, MLflow is not read.

    Parameters
    ----------
    experiment
        Name of the MLflow experiment; all of them by default.
    arch
        Only the runs of this architecture.
    window
        What is shown first: ``15m``, ``1h`` (by default), ``24h``, ``all``, another length such as ``6h``, or a
        ``timedelta``.
    alerts
        Rules in words, such as ``success < 0.9 over 50 runs``, ``p95 > 10s over 20 runs``, ``errors > 5 in 10m`` or
        ``cost > 2 in 1h``. Figures: success, said (what was said of runs), p50, p95, p99, errors, guardrail,
        cancelled, interrupted, runs, tokens, cost.

    Returns
    -------
    Dashboard
        It shows itself; ``.figures()``, ``.table("tool")``, ``.alerts``, ``.on_alert(callback)``, ``.refresh()``,
        ``.close()``.

    Raises
    ------
    OptionError
        If an option is not allowed or a rule cannot be understood; the message says what is.

    Examples
    --------
    >>> dashboard("flights", alerts=["success < 0.9 over 50 runs"])  # doctest: +SKIP
    """
    settings = config.current()
    cwd = Path.cwd()
    if experiment is not None:
        experiment = config.check_text("experiment", experiment)
    if arch is not None:
        arch = config.check_text("arch", arch)
    made = Dashboard(
        journal=process_journal(),
        uri=target.tracking_uri(cwd, settings.tracking_uri) if settings.mlflow else None,
        load=load,
        experiment=experiment,
        arch=arch,
        window=window,
        alerts=alerts,
    )
    runs.watch_costs(made.feed)
    made.on_alert(partial(_send_on, Redactor(settings.redact), {"experiment": experiment, "arch": arch}))
    return made


def _send_on(redactor: Redactor, about: dict[str, str | None], alert: Alert) -> None:
    """Write an alert to the journal, which the export handlers follow."""
    journal = process_journal()
    told = {
        "rule": alert.rule.text,
        "says": alert_words(alert),
        "value": alert.reading.value,
        "runs": alert.reading.runs,
    }
    body = {**told, "since_ns": int(alert.since_ms * NS_PER_MS), **about}
    journal.append(EventKind.ALERT, body=body, urgent=True, redactor=redactor)
    if journal.path is not None:
        runs.export(journal.path)
