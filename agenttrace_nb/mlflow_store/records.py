"""What is written to MLflow: spans, points of metrics, and values as JSON texts. Nothing here imports MLflow."""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

BOX = "agenttrace.box"
"""Key of the object around a text that MLflow's reading would choke on."""

_SPAN_ID_BYTES = 8
_MAX_INT = 2**63 - 1
_LONG_NUMBER = re.compile(r"\d{19}")
_OPENS_JSON = re.compile(r'[ \t\n\r]*[{\["]')


@dataclass(slots=True, kw_only=True)
class SpanRecord:
    """One span as it is written to and read from MLflow.

    Attributes
    ----------
    status
        ``OK``, ``ERROR`` or ``UNSET``.
    attributes
        JSON text by name.
    events
        Name, time in nanoseconds and attributes of each.
    """

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    parent_id: str | None = None
    end_ns: int | None = None
    status: str = "UNSET"
    message: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)

    def get(self, name: str) -> Any:
        """Return an attribute's value, ``None`` if there is none."""
        text = self.attributes.get(name)
        return None if text is None else value_of(text)


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of a metric of a run."""

    key: str
    value: float
    time_ms: int
    step: int = 0


def text_of(value: Any) -> str:
    r"""Return the JSON text of an attribute, such that MLflow gives back exactly this value.

    MLflow's stores take one layer of JSON off a text that is itself the JSON of a text, list or object (they expect
    to have put it there). Such a text, as tools often answer, is therefore given one layer more.

    Examples
    --------
    >>> text_of({"a": "é"})
    '{"a":"é"}'
    >>> text_of('{"a": 1}')
    '"\\"{\\\\\\"a\\\\\\": 1}\\""'
    """
    if isinstance(value, str):
        if _OPENS_JSON.match(value):
            try:
                if isinstance(json.loads(value), (str, dict, list)):
                    return _dump(_dump(value))
            except RecursionError:
                return _dump({BOX: value})
            except ValueError:
                pass
        return _dump(value)
    text = _dump(value)
    # A number beyond 64 bits does not fit into the protocol between MLflow's client and server.
    return _dump(_small_numbers(value)) if _LONG_NUMBER.search(text) else text


def root_text_of(value: Any) -> str:
    r"""Return the JSON text of what a trace's root was given or gave, from which MLflow cuts the trace's preview.

    No database takes half of a surrogate pair, which models do produce: a preview with one would stop all that follows.

    Examples
    --------
    >>> root_text_of("a\ud800b")
    '"a?b"'
    """
    text = _encode(value)
    cleaned = clean(text)
    return text_of(value if cleaned == text else json.loads(cleaned))


def value_of(text: str) -> Any:
    """Return the value of an attribute's JSON text; a text that is no JSON stands for itself.

    Examples
    --------
    >>> value_of('{"a":1}'), value_of("plain")
    ({'a': 1}, 'plain')
    """
    if text[:1] == '"' and text.find('"', 1) == len(text) - 1 and "\\" not in text and text.isprintable():
        return text[1:-1]  # most of them: a short text with nothing in it that JSON escapes
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value[BOX] if isinstance(value, dict) and len(value) == 1 and BOX in value else value


def span_id_in(stored: Any) -> str | None:
    """Return the id of a span that is stored in base64; ``None`` for none, and for what is no such id.

    Examples
    --------
    >>> span_id_in("EPa4NfJhEfw=")
    '10f6b835f26111fc'
    """
    try:
        found = binascii.a2b_base64(stored, strict_mode=True)
    except (TypeError, ValueError):
        return None
    return found.hex() if len(found) == _SPAN_ID_BYTES else None


def clean(text: str) -> str:
    r"""Return a text that any database takes: no lone surrogates, no NUL.

    Examples
    --------
    >>> clean("a\ud800b\0")
    'a?b'
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "")


# `json.dumps` makes an encoder for each call that asks for anything special.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def _dump(value: Any) -> str:
    text = _encode(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)
    return text


def _small_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _small_numbers(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_small_numbers(v) for v in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MAX_INT:
        return str(value)
    return value
