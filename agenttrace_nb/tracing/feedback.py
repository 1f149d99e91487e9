"""What the user says of a trace: whether it was right, and what was wrong where."""

from __future__ import annotations

import getpass
import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.journal.append import process_journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.mlflow_store import target
from agenttrace_nb.mlflow_store.attributes import own_trace_id
from agenttrace_nb.spans import Trace
from agenttrace_nb.tracing import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.spans import Span

COMMENT_CHARACTERS = 4_000
CATEGORY_CHARACTERS = 200
_ID_DIGITS = 32


def rate(trace: Trace | str | Any, ok: bool, *, span_id: str | None = None, comment: str | None = None) -> None:  # noqa: FBT001 - rate(trace, True)
    """Say whether a trace, or one step of it, was right; it becomes an assessment of the trace in MLflow.

    Returns at once: MLflow gets it when it has the trace, also if it is down now. Saying the same twice is saying it
    once. A rating of a whole trace is also what ``success`` of its run is.

    Parameters
    ----------
    trace
        A `Trace`, a `Run` with one trace, or a trace id.
    ok
        Whether it was right.
    span_id
        The step that is meant; the whole trace by default.
    comment
        Why, in your own words.

    Raises
    ------
    OptionError
        If a value is not allowed, or the trace has no such span.

    Examples
    --------
    >>> rate(at.last(), True, comment="exactly what was asked for")  # doctest: +SKIP
    """
    _check("ok", ok, bool, "True or False")
    _say(trace, "rating", ok, span_id, comment)


def report_error(
    trace: Trace | str | Any, *, span_id: str | None = None, category: str, comment: str | None = None
) -> None:
    """Report that something is wrong in a trace, or in one step of it; an assessment of the trace in MLflow.

    Returns at once: MLflow gets it when it has the trace, also if it is down now. Saying the same twice is saying it
    once.

    Parameters
    ----------
    trace
        A `Trace`, a `Run` with one trace, or a trace id.
    span_id
        The step that is meant; the whole trace by default.
    category
        What kind of error, in a word or two (``wrong amount``): `error_heatmap` counts by it.
    comment
        More about it.

    Raises
    ------
    OptionError
        If a value is not allowed, or the trace has no such span.

    Examples
    --------
    >>> report_error(at.last(), category="wrong amount", comment="290, not 300")  # doctest: +SKIP
    """
    _check("category", category or None, str, "a word or two, such as 'wrong amount'")
    _say(trace, "error", " ".join(category.split())[:CATEGORY_CHARACTERS], span_id, comment)


def take(span: Span, said: Mapping[str, Any]) -> None:
    """Take in what the reader of a view thinks of a step; of a trace's first step: of the whole trace.

    Parameters
    ----------
    span
        The step.
    said
        ``kind`` (rate or report), ``ok`` or ``category``, and ``comment``, from the browser.

    Raises
    ------
    OptionError
        If a value is not allowed.
    """
    span_id = span.span_id if span.parent_id is not None else None
    comment = said.get("comment") or None
    if said["kind"] == "rate":
        rate(span.trace_id, said.get("ok"), span_id=span_id, comment=comment)  # type: ignore[arg-type] # checked there
    else:
        report_error(span.trace_id, span_id=span_id, category=said.get("category") or "", comment=comment)


def _say(given: Any, name: str, value: bool | str, span_id: str | None, comment: str | None) -> None:  # noqa: FBT001 - what is said
    trace_id, known = _trace(given)
    _check_span(known, span_id)
    if comment is not None:
        _check("comment", comment, str, "text")
    text = comment[:COMMENT_CHARACTERS] if comment else None
    settings = config.current()
    run = runs.run_of(trace_id)
    cwd = run.cwd if run is not None and run.cwd else str(Path.cwd())
    uri = run.tracking_uri if run is not None else None
    user = _user()
    key = hashlib.sha256(json.dumps([trace_id, span_id, name, value, text, user]).encode()).hexdigest()[:32]
    body = {
        "key": key, "trace_id": trace_id, "span_id": span_id, "name": name, "value": value, "comment": text,
        "user": user, "time_ns": time.time_ns(), "cwd": cwd,
        "tracking_uri": uri or target.tracking_uri(cwd, settings.tracking_uri),
    }  # fmt: skip
    journal = process_journal()
    journal.append(EventKind.FEEDBACK, body=body, urgent=True, redactor=Redactor(settings.redact))
    if journal.path is not None:
        runs.seal(journal.path)
    if settings.mlflow and journal.path is not None:
        delivery = runs.delivery_of(journal.path)
        delivery.start()
        delivery.nudge()


def _check(name: str, value: Any, kind: type, allowed: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, str) and not value.strip()):
        msg = f"{name}={value!r} is not allowed; it must be {allowed}"
        raise config.OptionError(msg)


def _trace(given: Any) -> tuple[str, Trace | None]:
    if isinstance(given, Trace):
        return given.trace_id, given
    if isinstance(given, str):
        digits = own_trace_id(given.strip())
        if len(digits) == _ID_DIGITS and set(digits) <= set("0123456789abcdef"):
            return digits, None
        msg = f"trace={given!r} is no trace id; it must be 32 hex digits, with tr- before them or not"
        raise config.OptionError(msg)
    several = getattr(given, "traces", None)
    found = [t for t in several if isinstance(t, Trace)] if isinstance(several, Iterable) else []
    if len(found) == 1:
        return found[0].trace_id, found[0]
    what = f"a {type(given).__name__} with {len(found)} traces" if found else f"a {type(given).__name__}"
    msg = f"trace: {what} is not allowed; it must be a Trace, a Run with one trace, or a trace id"
    raise config.OptionError(msg)


def _check_span(trace: Trace | None, span_id: str | None) -> None:
    if span_id is None or trace is None:
        return
    ids = [span.span_id for span in trace.spans]
    if span_id not in ids:
        hint = config.did_you_mean(span_id, ids)
        msg = f"span_id={span_id!r} is not in trace {trace.trace_id[:8]}; it must be that of one of its spans.{hint}"
        raise config.OptionError(msg)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
