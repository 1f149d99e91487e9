"""MLflow's rows against what was sealed.

Through MLflow's API one sees what its spans hold. Its search and its dashboards use other columns, which the API does
not show: with a database that SQL reaches, those are derived again from what was sealed and compared too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import recorded
from agenttrace_nb.audit.canon import canonical
from agenttrace_nb.audit.content import ContentError
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.audit.report import Report
    from agenttrace_nb.mlflow_store.records import SpanRecord

BLIND_SQL = (
    "trace_info.experiment_id, spans.experiment_id",
    "trace_info.client_request_id",
    "trace_info.db_payload_generation",
    "trace_info.request_preview, trace_info.response_preview",
    "spans.model_provider",
    "spans.input_cost, spans.output_cost, trace_info.input_cost, trace_info.output_cost",
    "trace_info.cache_read_input_tokens, trace_info.cache_creation_input_tokens*",
    "trace_tags and trace_request_metadata whose names MLflow reserves (mlflow.*), but for session and user",
    "assessments, runs, metrics, params, artifacts: sealed as amendments where they went through agenttrace_nb",
)
"""Columns that MLflow fills by itself, and that are not compared even by SQL."""

BLIND_REST = (
    *BLIND_SQL,
    "spans: name, type, status, parent_span_id, times, costs and model_name as columns (MLflow's search uses them)",
    "trace_info: trace_name, session_id and tokens as columns",
)
"""What is not compared over REST, since MLflow's API does not show it."""

_COMPUTED = frozenset({names.COST, names.TRACE})
_NANO_PER_MS = 1_000_000


def compare(report: Report, log: AuditLog, uri: str) -> None:
    """Compare MLflow's rows of every sealed trace with what was sealed.

    Parameters
    ----------
    report
        Takes what is found.
    log
        The log; its content must have been verified.
    uri
        Tracking URI.

    Raises
    ------
    AuditError
        If MLflow does not answer.
    """
    by_sql = "://" in uri and not uri.startswith(("http:", "https:"))
    compared = 0
    latest = _latest(log)
    try:
        for index in latest.values():
            try:
                parts = log.read(index)
            except (AuditError, ContentError):
                continue  # said where contents were verified
            if parts is not None:
                _compare_one(report, uri, recorded.from_parts(parts), _said(log), by_sql=by_sql)
                compared += 1
        known = stored.trace_ids(uri) if by_sql else None
    except ConnectionError as error:
        raise AuditError(str(error)) from error
    if unsealed := set(known or ()) - latest.keys():
        report.notes.append(
            f"{len(unsealed)} traces in MLflow are not sealed: recorded before or without the log, or put in; "
            f"for example {min(unsealed)}"
        )
    report.checks["traces in MLflow compared with what was sealed" + (", by SQL" if by_sql else ", over REST")] = (
        compared
    )
    report.not_seen += tuple(f"MLflow: {what}" for what in (BLIND_SQL if by_sql else BLIND_REST))


def _latest(log: AuditLog) -> dict[str, int]:
    rows = log.vault.db.execute(
        "SELECT trace, max(i) FROM source WHERE kind IN ('run', 'amend') GROUP BY trace ORDER BY 2"
    )
    return {str(trace): int(index) for trace, index in rows}


def _said(log: AuditLog) -> dict[str, dict[str, str]]:
    """Return the tags that were given to cell runs later, by the key of the run."""
    found: dict[str, dict[str, str]] = {}
    for (index,) in log.vault.db.execute("SELECT i FROM source WHERE kind = 'said' ORDER BY i").fetchall():
        entry = log.vault.entry(index)
        key = "" if entry is None else str(Envelope.parse(entry).statement.predicate.get("runKey"))
        for part in log.read(index) or ():
            tag = json.loads(part.data).get("tag")
            if tag:
                found.setdefault(key, {})[tag["key"]] = tag["value"]
    return found


def _compare_one(
    report: Report, uri: str, sealed: list[SpanRecord], said: dict[str, dict[str, str]], *, by_sql: bool
) -> None:
    trace_id = sealed[0].trace_id
    found = stored.stored_records(uri, trace_id)
    if found is None:
        report.find("MLflow has no rows of it any more; `show` gives it from the vault", trace_id=trace_id)
        return
    head, records = found
    kept = {record.span_id: record for record in records}
    for what in _differences(sealed, kept):
        report.find(f"MLflow: {what}", trace_id=trace_id)
    root = sealed[0]
    for what, now, before in (
        ("session", head.session, root.get(names.SESSION_ID)),
        ("user", head.user, root.get(names.USER_ID)),
    ):
        if now != before:
            report.find(f"MLflow: {what} is {now!r}, sealed as {before!r}", trace_id=trace_id)
    expected = _tags(root)
    later = said.get(expected.get(names.RUN_KEY, ""), {})
    given = {k: v for k, v in head.tags.items() if not k.startswith("mlflow.")}
    for key in sorted(given.keys() | expected.keys()):
        if given.get(key) not in (expected.get(key), later.get(key)) or (key in expected and key not in given):
            report.find(
                f"MLflow: tag {key!r} is {given.get(key)!r}, sealed as {expected.get(key)!r}", trace_id=trace_id
            )
    for what in _rows_differ(uri, sealed) if by_sql else ():
        report.find(f"MLflow: {what}", trace_id=trace_id)


def _tags(root: SpanRecord) -> dict[str, str]:
    prefix = names.TRACE_TAG
    tags = {name.removeprefix(prefix): root.get(name) for name in root.attributes if name.startswith(prefix)}
    return {name: value for name, value in tags.items() if not name.startswith("mlflow.")}


def _differences(sealed: list[SpanRecord], kept: dict[str, SpanRecord]) -> Iterator[str]:
    for extra in kept.keys() - {record.span_id for record in sealed}:
        yield f"span {extra} was put in"
    for record in sealed:
        now = kept.get(record.span_id)
        if now is None:
            yield f"span {record.span_id} ({record.name}) is gone"
            continue
        for name in ("name", "parent_id", "start_ns", "end_ns", "status", "message", "events"):
            before, after = getattr(record, name), getattr(now, name)
            if before != after and not (name == "events" and list(map(list, before)) == list(map(list, after))):
                yield f"span {record.span_id}: {name} was changed"
        yield from _attributes_differ(record, now)


def _attributes_differ(record: SpanRecord, now: SpanRecord) -> Iterator[str]:
    for name in sorted(record.attributes.keys() | now.attributes.keys()):
        if name == names.COST:
            if _cost(now) != _expected_cost(record):
                yield f"span {record.span_id}: {name} is not what the sealed tokens cost"
            continue
        before, after = record.attributes.get(name), now.attributes.get(name)
        if name == names.TRACE and before is not None and after is not None:
            if _without_run(before) == _without_run(after):
                continue
        elif before is not None and after is not None and _same(recorded.as_stored(before), after):
            continue
        yield f"span {record.span_id}: {name} was {_what(before, after)}"


def _same(before: str, after: str) -> bool:
    """Tell whether two texts are the same, or JSON of the same value: over REST, MLflow writes it anew."""
    if before == after:
        return True
    try:
        return canonical(json.loads(before)) == canonical(json.loads(after))
    except (ValueError, RecursionError):
        return False


def _what(before: str | None, after: str | None) -> str:
    return "put in" if before is None else "taken away" if after is None else "changed"


def _without_run(text: str) -> Any:
    known = json.loads(text)
    return {k: v for k, v in known.items() if k != "run_id"} if isinstance(known, dict) else known


def _cost(record: SpanRecord) -> float | None:
    cost = record.get(names.COST)
    return cost.get("total_cost") if isinstance(cost, dict) else None


def _expected_cost(record: SpanRecord) -> float | None:
    if (recorded_cost := _cost(record)) is not None:
        return recorded_cost
    model, counts = record.get(names.MODEL), record.get(names.TOKEN_USAGE)
    price = stored.price_of(model, counts) if model and counts else None
    return None if price is None else price.get("total_cost")


# ------------------------------------------------------------------------------------------------- columns, by SQL


def _rows_differ(uri: str, sealed: list[SpanRecord]) -> Iterator[str]:
    trace_id = sealed[0].trace_id
    rows = {str(row["span_id"]): row for row in stored.table_rows(uri, "spans", "trace_id", trace_id) or ()}
    for record in sealed:
        row = rows.get(record.span_id, {})
        if not row:
            yield f"spans: there is no row of span {record.span_id}"
        for column, expected in _span_columns(record).items():
            if column in row and row[column] != expected:
                yield f"spans.{column} of span {record.span_id} is {row[column]!r}, sealed as {expected!r}"
    for row in stored.table_rows(uri, "trace_info", "request_id", trace_id) or ():
        for column, expected in _trace_columns(sealed).items():
            if column in row and row[column] != expected:
                yield f"trace_info.{column} is {row[column]!r}, sealed as {expected!r}"
    yield from _metadata_differ(uri, sealed[0])


def _metadata_differ(uri: str, root: SpanRecord) -> Iterator[str]:
    rows = stored.table_rows(uri, "trace_request_metadata", "request_id", root.trace_id) or ()
    kept = {str(row["key"]): row["value"] for row in rows}
    wanted = {names.TRACE_SESSION: root.get(names.SESSION_ID), names.TRACE_USER: root.get(names.USER_ID)}
    for key, value in wanted.items():
        if key in kept and kept[key] != value:  # newer versions of MLflow keep the session with the trace alone
            yield f"trace_request_metadata {key!r} is {kept.get(key)!r}, sealed as {value!r}"
    for key in kept:
        if not key.startswith("mlflow."):
            yield f"trace_request_metadata {key!r} was put in"


def _span_columns(record: SpanRecord) -> dict[str, Any]:
    return {
        "name": record.name, "type": record.get(names.SPAN_TYPE), "status": record.status,
        "parent_span_id": record.parent_id, "start_time_unix_nano": record.start_ns,
        "end_time_unix_nano": record.end_ns, "total_cost": _expected_cost(record),
        "model_name": record.get(names.MODEL),
    }  # fmt: skip


def _trace_columns(sealed: list[SpanRecord]) -> dict[str, Any]:
    root = sealed[0]
    start_ms = root.start_ns // _NANO_PER_MS
    totals: dict[str, int | None] = {"input_tokens": None, "output_tokens": None, "total_tokens": None}
    for record in sealed:
        for name, value in (record.get(names.TOKEN_USAGE) or {}).items():
            if name in totals:
                totals[name] = (totals[name] or 0) + value
    return {
        "timestamp_ms": start_ms, "execution_time_ms": (root.end_ns or root.start_ns) // _NANO_PER_MS - start_ms,
        "status": "ERROR" if root.status == "ERROR" else "OK",
        "trace_name": root.get(names.TRACE_TAG + names.TRACE_NAME), "session_id": root.get(names.SESSION_ID), **totals,
    }  # fmt: skip
