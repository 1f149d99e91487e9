"""OpenTelemetry spans as the bytes of an OTLP request, and what a receiver's answer says.

Source of the format: the official protocol buffers, ``opentelemetry-proto``.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.genai_names import MAPPING_VERSION, SCHEMA_URL
from agenttrace_nb.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.export.otlp_span import OtelSpan

SCOPE = "agenttrace_nb"
_INT64 = range(-(2**63), 2**63)
_STATUS_OK, _STATUS_ERROR = 1, 2
_INTERNAL, _CLIENT = 1, 3
_FLAGS_SAMPLED = 1
_JSON = "application/json"
_PROTOBUF = ("application/x-protobuf", "application/protobuf", "application/octet-stream")
_REJECTED = ("rejectedSpans", "rejectedDataPoints", "rejectedLogRecords")


def encode_spans(spans: Iterable[OtelSpan], resource: Mapping[str, str], *, schema_url: str = SCHEMA_URL) -> bytes:
    """Return the body of an OTLP request for traces.

    Parameters
    ----------
    spans
        The spans.
    resource
        Attributes of the process they come from.
    schema_url
        The release of the conventions that the attributes follow; empty where they follow none of OpenTelemetry's.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    of_process = request.resource_spans.add()
    put_attributes(of_process.resource.attributes, resource)
    of_scope = of_process.scope_spans.add()
    of_scope.schema_url = schema_url
    of_scope.scope.name = SCOPE
    of_scope.scope.version = versions().get("agenttrace-nb", "unknown")
    put_attributes(of_scope.scope.attributes, {"agenttrace.mapping.version": MAPPING_VERSION})
    for span in spans:
        _put_span(of_scope.spans.add(), span)
    return bytes(request.SerializeToString())


def _put_span(target: Any, span: OtelSpan) -> None:
    target.trace_id = bytes.fromhex(span.trace_id)
    target.span_id = bytes.fromhex(span.span_id)
    if span.parent_id is not None:
        target.parent_span_id = bytes.fromhex(span.parent_id)
    target.flags = _FLAGS_SAMPLED
    target.name = clean(span.name)
    target.kind = _CLIENT if span.is_client else _INTERNAL
    target.start_time_unix_nano = max(0, span.start_ns)
    target.end_time_unix_nano = max(0, span.end_ns)
    put_attributes(target.attributes, span.attributes)
    for name, time_ns, attributes in span.events:
        event = target.events.add()
        event.name, event.time_unix_nano = name, max(0, time_ns)
        put_attributes(event.attributes, attributes)
    if span.failed:
        target.status.code = _STATUS_ERROR
        target.status.message = clean(span.message)
    elif span.says_ok:
        target.status.code = _STATUS_OK


def put_attributes(target: Any, attributes: Mapping[str, Any]) -> None:
    """Write attributes; a value of a type that OTLP has none for goes as its text."""
    for name, value in attributes.items():
        pair = target.add()
        pair.key = clean(name)
        _put_value(pair.value, value)


def _put_value(target: Any, value: Any) -> None:
    if isinstance(value, str):
        target.string_value = clean(value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int) and value in _INT64:
        target.int_value = value
    elif isinstance(value, float):
        if math.isfinite(value):
            target.double_value = value
        else:
            target.string_value = str(value)  # receivers that go on in JSON have no word for these
    elif isinstance(value, (list, tuple)):
        target.array_value.SetInParent()
        for one in value:
            _put_value(target.array_value.values.add(), one)
    else:
        target.string_value = clean(str(value))


def clean(text: str) -> str:
    """Return a text that can be written in UTF-8: half a surrogate pair, which models do produce, becomes ``?``.

    Examples
    --------
    >>> clean("a" + chr(0xD83D))
    'a?'
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


# ------------------------------------------------------------------------------------------------------ the answer


def partial_success(body: bytes, content_type: str) -> tuple[int, str]:
    """Return how many spans or points a receiver rejected, and why, from the body of its answer with status 200.

    Examples
    --------
    >>> partial_success(b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}', "application/json")
    (2, 'too old')
    """
    if content_type == _JSON:
        told = _json_object(_json_object(body).get("partialSuccess"))
        rejected = next((told[name] for name in _REJECTED if name in told), 0)
        return int(rejected) if str(rejected).isdigit() else 0, str(told.get("errorMessage") or "")
    answer = _parsed(_answer_type()(), body, content_type)
    return (
        (int(answer.partial_success.rejected_spans), str(answer.partial_success.error_message)) if answer else (0, "")
    )


def status_message(body: bytes, content_type: str) -> str:
    """Return the text of a ``google.rpc.Status``, which receivers answer errors with; empty if it is none.

    Examples
    --------
    >>> status_message(b'{"code": 3, "message": "no such tenant"}', "application/json")
    'no such tenant'
    """
    if content_type == _JSON:
        return str(_json_object(body).get("message") or "")
    # The same numbers and types of fields as a partial success: 1 is a number, 2 is a text.
    status = _parsed(type(_answer_type()().partial_success)(), body, content_type)
    return str(status.error_message) if status else ""


def _parsed(message: Any, body: bytes, content_type: str) -> Any:
    from google.protobuf.message import DecodeError

    if content_type not in _PROTOBUF:
        return None  # a proxy's own page
    try:
        message.ParseFromString(body)
    except DecodeError:
        return None
    return message


def _json_object(given: Any) -> dict[str, Any]:
    if isinstance(given, bytes):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return {}
    return given if isinstance(given, dict) else {}


@cache
def _answer_type() -> Any:
    # Those of traces, metrics and logs are the same on the wire.
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    return ExportTraceServiceResponse
