"""A trace as parts of a content, and back: the records that are sent to MLflow, cut where one may want to show less.

Parts of a trace::

    cell-run                the cell run that it belongs to
    span/<n>                ids, name, times and status of the n-th span; never erased alone
    span/<n>/message        what went wrong; absent where nothing did
    span/<n>/inputs         what went in, as MLflow is given it; absent where nothing did
    span/<n>/outputs        what came out
    span/<n>/attributes     everything else that is known of it
    span/<n>/events         errors, with their stack traces

Two things that MLflow has are not in it, since only MLflow knows them: the id of the run, and prices of calls that it
computes from the tokens.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import canon
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.mapping import to_records
from agenttrace_nb.mlflow_store.records import SpanRecord
from agenttrace_nb.mlflow_store.restore import TraceHead, to_trace
from agenttrace_nb.mlflow_store.runs import trace_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.audit.content import Part
    from agenttrace_nb.spans import CellRun, Trace

_SIDES = (("inputs", names.INPUTS), ("outputs", names.OUTPUTS))


def sealed_records(trace: Trace, run: CellRun | None, run_key: str | None) -> list[SpanRecord]:
    """Return the records of a trace as they are sent to MLflow, without what only MLflow knows."""
    marks = trace_tags(run) if run else {names.RUN_KEY: run_key} if run_key else {}
    trace.run_id = None
    return to_records(trace, run_tags=marks)


def to_parts(records: Iterable[SpanRecord], cell_run: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return records as parts: path and canonical bytes of each."""
    parts = [("cell-run", canon.canonical(dict(cell_run)))]
    for number, record in enumerate(records):
        path, rest = f"span/{number}", dict(record.attributes)
        head = {
            "trace_id": record.trace_id, "span_id": record.span_id, "parent_id": record.parent_id, "name": record.name,
            "start_ns": record.start_ns, "end_ns": record.end_ns, "status": record.status,
        }  # fmt: skip
        parts.append((path, canon.canonical(head)))
        if record.message:
            parts.append((f"{path}/message", canon.canonical(record.message)))
        for side, name in _SIDES:
            if (text := rest.pop(name, None)) is not None:
                parts.append((f"{path}/{side}", canon.canonical(text)))
        parts.append((f"{path}/attributes", canon.canonical(rest)))
        if record.events:
            parts.append((f"{path}/events", canon.canonical(record.events)))
    return parts


def from_parts(parts: Iterable[Part]) -> list[SpanRecord]:
    """Return the records that parts hold, in their order."""
    found: dict[int, SpanRecord] = {}
    for part in parts:
        place, _, side = part.path.removeprefix("span/").partition("/")
        if not part.path.startswith("span/") or not place.isdigit():
            continue
        value = canon.original(canon.parse(part.data))
        if not side:
            found[int(place)] = SpanRecord(**value)
        elif side == "attributes":
            found[int(place)].attributes |= value
        elif side == "message":
            found[int(place)].message = value
        elif side == "events":
            found[int(place)].events = [(name, at, told) for name, at, told in value]
        else:
            found[int(place)].attributes[dict(_SIDES)[side]] = value
    return [found[number] for number in sorted(found)]


def cell_run_of(parts: Iterable[Part]) -> dict[str, Any]:
    """Return what is known of the cell run."""
    told = next((part.data for part in parts if part.path == "cell-run"), b"{}")
    found: dict[str, Any] = canon.original(canon.parse(told))
    return found


def trace_of(records: list[SpanRecord]) -> Trace:
    """Return the trace that records hold."""
    root = records[0]
    known = root.get(names.TRACE) or {}
    head = TraceHead(
        trace_id=names.mlflow_trace_id(root.trace_id), experiment_id="", state=root.status,
        start_ms=root.start_ns // 1_000_000, name=known.get("name"),
    )  # fmt: skip
    stored = [
        replace(record, attributes={name: as_stored(text) for name, text in record.attributes.items()})
        for record in records
    ]
    trace = to_trace(head, stored)
    trace.experiment_id = None  # which MLflow gives it
    return trace


def as_stored(text: str) -> str:
    r"""Return the text of an attribute as MLflow's stores keep it: they take one layer off JSON in JSON.

    Examples
    --------
    >>> as_stored('"\\"a\\""'), as_stored('"a"')
    ('"a"', '"a"')
    """
    try:
        inner = json.loads(text)
        if isinstance(inner, str) and isinstance(json.loads(inner), (str, dict, list)):
            return inner
    except (ValueError, RecursionError):
        pass
    return text
