"""Verifying a log: its tree, its signatures, its content, pins from outside, and MLflow's rows against it."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Literal

from agenttrace_nb.audit.examine import Examination
from agenttrace_nb.audit.log import AuditLog, known_anchor
from agenttrace_nb.audit.pins import Pin, check_pins
from agenttrace_nb.audit.place import AuditError, audit_folder
from agenttrace_nb.config import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agenttrace_nb.audit.report import Report

LEVELS = ("fast", "signatures", "full")
_last: dict[Path, Report] = {}


def verify(
    *,
    level: Literal["fast", "signatures", "full"] = "full",
    anchor: str | None = None,
    pins: Iterable[str | Path | Pin] = (),
    stamps: Iterable[Path] = (),
    tsa_roots: Iterable[Path] = (),
    live: str | None = None,
    folder: Path | None = None,
) -> Report:
    """Verify the audit log.

    Parameters
    ----------
    level
        ``fast``: entries, tree and last checkpoint; ``signatures``: also each signature, the history of keys, and the
        order; ``full``: also the content.
    anchor
        What the log is known by, from where nobody who can write here can change it; by default as noted beside the
        keys, which is no protection against their holder.
    pins
        Earlier checkpoints from outside: files of notes, or lines as they are printed below a traced cell.
    stamps
        Time stamps that were kept outside, as `timestamp` writes them.
    tsa_roots
        Certificates of trusted time stamp authorities (PEM); with them, stamps kept in the vault are checked too.
    live
        Tracking URI of the MLflow whose rows are compared too.
    folder
        The log; by default that of this user.

    Returns
    -------
    Report
        Prints as a text with a verdict.

    Raises
    ------
    AuditError
        If there is no log, or an argument is not understood.

    Examples
    --------
    >>> print(verify(pins=["checkpoint.txt"]))  # doctest: +SKIP
    PINNED: audit log agenttrace-nb/2f1c..., 12 entries, level full
    """
    if level not in LEVELS:
        msg = f"level={level!r} is not allowed; it must be one of {', '.join(LEVELS)}.{did_you_mean(level, LEVELS)}"
        raise AuditError(msg)
    folder = folder or audit_folder()
    with contextlib.closing(AuditLog(folder, read_only=True)) as log:
        trusted = anchor or known_anchor(folder)
        told = "as given" if anchor else "as noted on this machine beside the keys (its owner could have changed it)"
        examination = Examination(log.vault, trusted, level)
        examination.report.anchor_from = told
        examination.run(log.keys.content)
        report = examination.report
        if log.origin != examination.origin:
            report.find(f"settings.json beside the vault names the log {log.origin}, which is not that of the anchor")
        check_pins(report, examination.tree, [Pin.of(pin) for pin in pins], examination.verifier)
        if roots := list(tsa_roots):
            from agenttrace_nb.audit.timestamps import check_stamps

            kept = [data for kind, *_, data in log.vault.pins() if kind == "tsa"]
            check_stamps(examination, [*kept, *(path.read_bytes() for path in stamps)], roots)
        if live is not None:
            from agenttrace_nb.audit.live import compare

            compare(report, log, live)
            report.live = True
    report.made_at = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC"
    _last[folder.absolute()] = report
    return report


def last_report(folder: Path) -> Report | None:
    """Return what verifying a log came to the last time in this process; ``None`` where it was not verified."""
    return _last.get(folder.absolute())
