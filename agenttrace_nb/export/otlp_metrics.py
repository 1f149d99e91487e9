"""Metrics as the bytes of an OTLP request: sums and histograms, as totals or as what was added.

Source of the format: the official protocol buffers, ``opentelemetry-proto``. Names of labels are those of the
conventions where they have one (`genai_names`), so that traces and metrics can be joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.export import genai_names as names
from agenttrace_nb.export.metrics import AGENT_DURATION, BOUNDS_S, CALL_DURATION, ERRORS, TOKENS, TOOL_DURATION
from agenttrace_nb.export.otlp_encode import SCOPE, put_attributes
from agenttrace_nb.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.export.metrics import Metric, Point, Snapshot

_DELTA, _CUMULATIVE = 1, 2
_LABELS = {
    "agent": names.AGENT_NAME,
    "tool": names.TOOL_NAME,
    "model": names.REQUEST_MODEL,
    "arch": names.ARCH,
    "status": names.STATUS,
    "type": "error.type",
}
_OWN_LABELS = {(TOKENS, "kind"): "gen_ai.token.type", (ERRORS, "kind"): names.KIND}
_OPERATIONS = {
    AGENT_DURATION: names.INVOKE_AGENT,
    TOOL_DURATION: names.EXECUTE_TOOL,
    CALL_DURATION: names.CHAT,
}


def encode_metrics(now: Snapshot, resource: Mapping[str, str], *, is_delta: bool) -> bytes:
    """Return the body of an OTLP request for metrics.

    Parameters
    ----------
    now
        The points: totals, or with ``is_delta`` what was added since the last time (`Snapshot.since`).
    resource
        Attributes of the process they come from.
    is_delta
        Which of the two they are.
    """
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    request = ExportMetricsServiceRequest()
    of_process = request.resource_metrics.add()
    put_attributes(of_process.resource.attributes, resource)
    of_scope = of_process.scope_metrics.add()
    of_scope.schema_url = names.SCHEMA_URL
    of_scope.scope.name, of_scope.scope.version = SCOPE, versions().get("agenttrace-nb", "unknown")
    for metric, series in now.series.items():
        made = of_scope.metrics.add()
        made.name, made.unit, made.description = metric.name, metric.unit, metric.about
        data = made.histogram if metric.kind == "histogram" else made.sum
        data.aggregation_temporality = _DELTA if is_delta else _CUMULATIVE
        if metric.kind == "counter":
            data.is_monotonic = True
        for labels, point in series.items():
            target = data.data_points.add()
            target.start_time_unix_nano, target.time_unix_nano = now.start_ns, now.time_ns
            put_attributes(target.attributes, _attributes(metric, labels))
            _put_point(target, metric, point)
    return bytes(request.SerializeToString())


def _attributes(metric: Metric, labels: tuple[str, ...]) -> dict[str, str]:
    found = {
        _OWN_LABELS.get((metric, label)) or _LABELS.get(label, names.OURS + label): value
        for label, value in zip(metric.labels, labels, strict=True)
        if value
    }
    if metric in _OPERATIONS:
        found[names.OPERATION] = _OPERATIONS[metric]
    return found


def _put_point(target: Any, metric: Metric, point: Point) -> None:
    if metric.kind == "histogram":
        target.count, target.sum = point.count, point.value
        target.bucket_counts.extend(point.counts)
        target.explicit_bounds.extend(BOUNDS_S)
    else:
        target.as_double = point.value
    for seen in point.exemplars.values():
        exemplar = target.exemplars.add()
        exemplar.as_double, exemplar.time_unix_nano = seen.value, seen.time_ns
        exemplar.trace_id = bytes.fromhex(seen.trace_id)
