"""What MLflow stores of our own traces, straight to columns: for a frame of spans no span has to be restored.

What is not exactly as this version of this package writes it is refused, and the trace is then restored as a whole; so
what comes out here is what `restore` would give.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.records import span_id_in, value_of
from agenttrace_nb.mlflow_store.restore import is_synthetic, own_trace
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agenttrace_nb.mlflow_store.restore import TraceHead
    from agenttrace_nb.spans import Trace

_KINDS: dict[str | None, str] = {None: SpanKind.OTHER.value, **{f'"{kind.value}"': kind.value for kind in SpanKind}}
_STATUSES: dict[str | None, str] = {None: Status.OK.value, **{f'"{status.value}"': status.value for status in Status}}
_SEEN_BEFORE = (names.KIND, names.STATUS, names.AGENT, names.ROLE, names.MODEL, names.SPAN)
"""Attributes with few different texts, that are decoded once for all."""


class NotOursError(ValueError):
    """The trace has to be restored as a whole."""


def columns_of(head: TraceHead, text: str, count: int) -> tuple[Trace, list[tuple[Any, ...]]]:
    """Return a trace without its spans, and the values of each of its spans in the order of `columns.FIELDS`.

    Parameters
    ----------
    head
        What MLflow says of the trace.
    text
        The JSON texts of its spans, with commas between them.
    count
        How many they are.

    Raises
    ------
    NotOursError
        If anything in it is not as this package writes it.
    """
    try:
        return _columns(head, _reader()(f"[{text}]"), count)
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # to restore it tells what is wrong
        raise NotOursError from error


def _columns(head: TraceHead, spans: list[dict[str, Any]], count: int) -> tuple[Trace, list[tuple[Any, ...]]]:
    (root,) = (span for span in spans if names.TRACE in span["attributes"])
    if len(spans) != count:
        raise NotOursError
    known = root["attributes"][names.TRACE]
    trace = own_trace(head, known, count)
    hidden = root if is_synthetic(known) else None
    ids = {span["span_id"]: span_id_in(span["span_id"]) for span in spans}
    found = sorted([_numbered(span, ids, count) for span in spans if span is not hidden])
    return trace, [values for *_, values in found]


def _numbered(span: dict[str, Any], ids: dict[str, str | None], count: int) -> tuple[int, int, str, tuple[Any, ...]]:
    """Return the values of a span's columns, and before them what its place in the trace depends on."""
    get = span["attributes"].get
    number, rest = _rest(get(names.SPAN))
    tokens, cost, error = get(names.TOKENS), get(names.COST), get(names.ERROR)
    name, model, cost_usd = span["name"], _text(get(names.MODEL)), cost.get("total_cost") if cost else None
    start_ns, end_ns = span["start_time_unix_nano"], span["end_time_unix_nano"] or None
    span_id, above = ids[span["span_id"]], span["parent_span_id"] or None
    if span_id is None or (above and (above := ids.get(above) or span_id_in(above)) is None):
        raise NotOursError
    if rest:
        name, above, model = rest.get("name", name), rest.get("parent_id", above), rest.get("model", model)
        end_ns, cost_usd = None if rest.get("open") else end_ns, rest.get("cost_usd", cost_usd)
    values = (
        span_id, above, _KINDS[get(names.KIND)], name, _text(get(names.AGENT)), _text(get(names.ROLE)),
        _STATUSES[get(names.STATUS)], error.get("type") if error else None, start_ns, end_ns, get(names.TTFT_S),
        tokens.get("input") if tokens else None, tokens.get("output") if tokens else None, cost_usd, model,
    )  # fmt: skip
    return count if number is None else number, start_ns, span_id, values


@lru_cache(maxsize=4096)
def _text(stored: str | None) -> str | None:
    if stored is None:
        return None
    value = value_of(stored)
    if value is not None and not isinstance(value, str):
        raise NotOursError
    return value


@lru_cache(maxsize=4096)
def _rest(stored: str | None) -> tuple[int | None, Mapping[str, Any]]:
    """Return the number of a span, and what else its columns depend on."""
    known = dict(_rest_reader()(stored) or {}) if stored is not None else {}
    for only_content in ("in", "out", "attributes"):
        known.pop(only_content, None)
    return known.pop("n", None), known


def _known(**types: Any) -> Any:
    """Return the schema of an object in which all that is there is known."""
    from pydantic_core import core_schema as cs

    fields = {name: cs.typed_dict_field(one, required=False) for name, one in types.items()}
    return cs.typed_dict_schema(fields, extra_behavior="forbid")


@cache
def _rest_reader() -> Callable[[str], dict[str, Any] | None]:
    from pydantic_core import SchemaValidator
    from pydantic_core import core_schema as cs

    text, number, anything = cs.str_schema(strict=True), cs.float_schema(strict=True), cs.any_schema()
    maybe_text = cs.nullable_schema(text)
    rest = _known(
        n=cs.int_schema(strict=True), name=text, parent_id=maybe_text, open=cs.bool_schema(strict=True),
        cost_usd=cs.nullable_schema(number), model=maybe_text, attributes=cs.dict_schema(),
        **{"in": anything, "out": anything},
    )  # fmt: skip
    read: Callable[[str], dict[str, Any] | None] = SchemaValidator(cs.nullable_schema(rest)).validate_json
    return read


@cache
def _reader() -> Callable[[str], list[dict[str, Any]]]:
    """Return what reads a JSON list of spans, and of them only what columns are made of.

    Attributes of spans are JSON texts. A value that is not of its type, and a name that is not known in an attribute of
    ours, is refused with a `ValueError`.
    """
    from pydantic_core import SchemaValidator
    from pydantic_core import core_schema as cs

    def as_json(one: Any) -> Any:
        return cs.typed_dict_field(cs.json_schema(cs.nullable_schema(one)), required=False)

    text, number, whole = cs.str_schema(strict=True), cs.float_schema(strict=True), cs.int_schema(strict=True)
    maybe_text, maybe_whole, anything = cs.nullable_schema(text), cs.nullable_schema(whole), cs.any_schema()
    error = _known(type=maybe_text, message=anything, http_status=anything, chain=cs.list_schema(), traceback=anything)
    error["fields"]["message"]["required"] = True
    cost = dict.fromkeys(("input_cost", "output_cost", "total_cost"), cs.nullable_schema(number))
    attributes = {
        **dict.fromkeys(_SEEN_BEFORE, cs.typed_dict_field(text, required=False)),
        names.TTFT_S: as_json(number),
        names.TOKENS: as_json(_known(**dict.fromkeys(("input", "output", "cached", "reasoning"), maybe_whole))),
        names.ERROR: as_json(error),
        names.COST: as_json(_known(**cost)),
        names.TRACE: as_json(cs.dict_schema(text, anything)),
    }
    span = {
        "span_id": text, "parent_span_id": maybe_text, "name": text, "start_time_unix_nano": whole,
        "end_time_unix_nano": maybe_whole, "attributes": cs.typed_dict_schema(attributes),
    }  # fmt: skip
    fields = {name: cs.typed_dict_field(one) for name, one in span.items()}
    read: Callable[[str], list[dict[str, Any]]]
    read = SchemaValidator(cs.list_schema(cs.typed_dict_schema(fields))).validate_json
    return read
