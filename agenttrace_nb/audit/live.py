"""MLflow's rows against what was sealed.

Through MLflow's API one sees what its spans hold. Its search and its dashboards use other columns, which the API does
not show: with a database that SQL reaches, those are derived again from what was sealed and compared too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import recorded
from agenttrace_nb.audit.canon import canonical, original, parse
from agenttrace_nb.audit.content import ContentError, erased_paths
from agenttrace_nb.audit.live_columns import cost_of, expected_cost, rows_differ
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Finding, Verdict
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import stored
from agenttrace_nb.mlflow_store.target import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.audit.report import Report
    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.mlflow_store.restore import TraceHead

BLIND_SQL = (
    "trace_info.experiment_id, spans.experiment_id",
    "trace_info.client_request_id",
    "trace_info.db_payload_generation",
    "trace_info.request_preview, trace_info.response_preview",
    "spans.model_provider",
    "spans.input_cost, spans.output_cost, trace_info.input_cost, trace_info.output_cost",
    "trace_info.cache_read_input_tokens, trace_info.cache_creation_input_tokens*",
    "trace_tags and trace_request_metadata whose names MLflow reserves (mlflow.*), but for session and user",
    "assessments: assessment_id, last_updated_timestamp, error, overrides, run_id, source_type, experiment_id",
    "assessments: trace_timestamp_ms, aggregate_value, is_numeric_value; those that were given in MLflow",
    "artifacts, runs, tags, params, metrics, latest_metrics: sealed as amendments where agenttrace_nb wrote them",
    "entity_associations (which traces belong to which run), experiments, workspaces; sums (*_metrics, *_rollups)",
)
"""Columns that MLflow fills by itself, and that are not compared even by SQL."""

BLIND_REST = (
    *BLIND_SQL,
    "spans: name, type, status, parent_span_id, times, costs and model_name as columns (MLflow's search uses them)",
    "trace_info: trace_name, session_id and tokens as columns",
)
"""What is not compared over REST, since MLflow's API does not show it."""

_SIDE_OF = {names.INPUTS: "inputs", names.OUTPUTS: "outputs"}
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
    compared, said = 0, _said(log)
    try:
        latest = _latest(log)
    except AuditError as error:
        report.find(f"MLflow was not compared: {error}")
        return
    try:
        for trace_id, index in latest.items():
            try:
                parts = log.read(index)
            except (AuditError, ContentError):
                continue  # said where contents were verified
            if parts is not None:
                gone = erased_paths(log.vault.manifest(index) or b"", parts)
                sealed = _Sealed(recorded.from_parts(parts), gone, recorded.cell_run_of(parts).get("tracking_uri"))
                if _compare_one(report, uri, sealed, said, by_sql=by_sql):
                    _compare_feedback(report, log, uri, trace_id)
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


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A trace as it was sealed.

    Attributes
    ----------
    gone
        Paths of what was erased of it.
    uri
        The MLflow that it was recorded into, without a password.
    """

    records: list[SpanRecord]
    gone: list[str]
    uri: str | None

    def gone_of(self, place: int) -> set[str]:
        """Return what was erased of a span: inputs, outputs, attributes, events, message."""
        prefix = f"span/{place}/"
        return {path.removeprefix(prefix) for path in self.gone if path.startswith(prefix)}


def _compare_feedback(report: Report, log: AuditLog, uri: str, trace_id: str) -> None:
    kept = stored.stored_feedback(uri, trace_id)
    for index in log.of_trace(trace_id, "feedback"):
        for part in log.read(index) or ():
            said = original(parse(part.data))
            now = kept.pop(str(said["key"]), None)
            expected = {
                "name": said["name"], "value": said["value"], "comment": said.get("comment"),
                "span_id": said.get("span_id"), "user": said.get("user") or "unknown", "valid": True,
                "time_ms": int(said["time_ns"]) // _NANO_PER_MS,
            }  # fmt: skip
            if now != expected:
                changed = [] if now is None else [name for name in expected if now.get(name) != expected[name]]
                what = f"{' and '.join(changed)} changed" if changed else "gone, or not there yet"
                report.find_in_mlflow(f"the {said['name']} of entry {index}: {what}", trace_id)
    if kept:
        report.notes.append(f"{len(kept)} ratings or reports of trace {trace_id} in MLflow are not sealed")


def _latest(log: AuditLog) -> dict[str, int]:
    """Return the last entry that seals each trace as a whole."""
    return {trace: log.of_trace(trace, "run", "amend")[-1] for trace in log.vault.traces("run", "amend")}


def _said(log: AuditLog) -> dict[str, dict[str, str]]:
    """Return the tags that were given to cell runs later, by the key of the run."""
    found: dict[str, dict[str, str]] = {}
    for index in log.vault.of_kind("said"):
        key = str(log.statement(index).predicate.get("runKey"))
        for part in log.read(index) or ():
            tag = json.loads(part.data).get("tag")
            if tag:
                found.setdefault(key, {})[tag["key"]] = tag["value"]
    return found


def _compare_one(
    report: Report, uri: str, sealed_trace: _Sealed, said: dict[str, dict[str, str]], *, by_sql: bool
) -> bool:
    """Compare one trace; tell whether MLflow has it."""
    sealed = sealed_trace.records
    trace_id = sealed[0].trace_id
    found = stored.stored_records(uri, trace_id)
    if found is None:
        _say_missing(report, uri, sealed_trace)
        return False
    head, records = found
    kept = {record.span_id: record for record in records}
    for what in _differences(sealed_trace, kept):
        report.find_in_mlflow(f"{what}", trace_id)
    if "attributes" not in sealed_trace.gone_of(0):
        _compare_head(report, head, sealed[0], said)
    for what in rows_differ(uri, sealed, sealed_trace.gone_of) if by_sql else ():
        report.find_in_mlflow(f"{what}", trace_id)
    left = [
        f"span/{place}/{side}"
        for place, record in enumerate(sealed)
        for side in sorted(sealed_trace.gone_of(place) & {"inputs", "outputs"})
        if record.span_id in kept and any(_SIDE_OF.get(name) == side for name in kept[record.span_id].attributes)
    ]
    if left:
        report.notes.append(
            f"MLflow still holds {len(left)} parts of trace {trace_id} that were erased here: {left[0]}"
        )
    return True


def _compare_head(report: Report, head: TraceHead, root: SpanRecord, said: dict[str, dict[str, str]]) -> None:
    trace_id = root.trace_id
    for what, now, before in (
        ("session", head.session, root.get(names.SESSION_ID)),
        ("user", head.user, root.get(names.USER_ID)),
    ):
        if now != before:
            report.find_in_mlflow(f"{what} is {now!r}, sealed as {before!r}", trace_id)
    expected = _tags(root)
    later = said.get(expected.get(names.RUN_KEY, ""), {})
    given = {k: v for k, v in head.tags.items() if not k.startswith("mlflow.")}
    for key in sorted(given.keys() | expected.keys()):
        if given.get(key) not in (expected.get(key), later.get(key)) or (key in expected and key not in given):
            report.find_in_mlflow(f"tag {key!r} is {given.get(key)!r}, sealed as {expected.get(key)!r}", trace_id)


def _say_missing(report: Report, uri: str, sealed: _Sealed) -> None:
    trace_id = sealed.records[0].trace_id
    if sealed.uri is not None and sealed.uri != shown(uri):
        what = f"it was recorded into {sealed.uri}, and is not in the MLflow that was given: compare it there"
        report.findings.append(Finding(Verdict.INCOMPLETE, what, trace_id=trace_id))
    else:
        report.find_in_mlflow("it has no rows of this trace any more", trace_id)


def _tags(root: SpanRecord) -> dict[str, str]:
    prefix = names.TRACE_TAG
    tags = {name.removeprefix(prefix): root.get(name) for name in root.attributes if name.startswith(prefix)}
    return {name: value for name, value in tags.items() if not name.startswith("mlflow.")}


def _differences(sealed: _Sealed, kept: dict[str, SpanRecord]) -> Iterator[str]:
    for extra in kept.keys() - {record.span_id for record in sealed.records}:
        yield f"span {extra} was put in"
    for place, record in enumerate(sealed.records):
        now, gone = kept.get(record.span_id), sealed.gone_of(place)
        if now is None:
            yield f"span {record.span_id} ({record.name}) is gone"
            continue
        for name in ("name", "parent_id", "start_ns", "end_ns", "status", "message", "events"):
            before, after = getattr(record, name), getattr(now, name)
            same = before == after or (name == "events" and list(map(list, before)) == list(map(list, after)))
            if not same and name not in gone:
                yield f"span {record.span_id}: {name} was changed"
        yield from _attributes_differ(record, now, gone)


def _attributes_differ(record: SpanRecord, now: SpanRecord, gone: set[str]) -> Iterator[str]:
    for name in sorted(record.attributes.keys() | now.attributes.keys()):
        if _SIDE_OF.get(name, "attributes") in gone:
            continue
        if name == names.COST:
            if cost_of(now) != expected_cost(record):
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
