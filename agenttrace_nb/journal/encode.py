"""Values of any kind to JSON text: without ever failing, and without doing anything to what is recorded."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import numbers
from collections import deque
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import SchemaSerializer, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_DEPTH = 100
_MAX_PARTS = 200_000
"""Lists, mappings and objects in one value."""
_MAX_INT = 10**4000  # Python itself refuses to read numbers of more than 4300 digits

_CYCLE = "[part of itself]"
_DEEP = "[deeper than is kept]"
_MANY = "[more than is kept]"

_LEAVES = frozenset({str, bool, float, type(None)})
_CONTAINERS = frozenset({dict, list, tuple})
# The base class is asked for its items, not the object, which may do anything when it is iterated.
_SEQUENCES: tuple[tuple[type, Any], ...] = (
    (list, list.__iter__),
    (tuple, tuple.__iter__),
    (deque, deque.__iter__),
    (set, set.__iter__),
    (frozenset, frozenset.__iter__),
)
_AS_TEXT = (Decimal, Fraction, UUID, PurePath, timedelta)
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_KEYS = {True: "true", False: "false", None: "null"}


def encode(value: Any) -> bytes:
    r"""Return a value as compact JSON.

    Kept as data are what JSON knows, pydantic models, dataclasses (without the fields that they hide from their
    ``repr``), enumerations, sets, dates, paths, bytes (base64) and numbers of any kind; what is not finite becomes a
    text. Any other object is named, not dumped: ``"[not JSON: module.Class]"``, since its text may hold secrets, and
    reading it (an open file, a generator) may take it away from the one it is for. Lone surrogates and NUL survive as
    escapes; a cycle and absurd depth end in a mark.

    Examples
    --------
    >>> encode({"a": [1, "x"]})
    b'{"a":[1,"x"]}'
    >>> encode("\ud800")
    b'"\\ud800"'
    >>> encode(open)
    b'"[not JSON: builtins.builtin_function_or_method]"'
    """
    try:
        if type(value) is str or _is_plain(value):
            return to_json(value, inf_nan_mode="strings")
    except Exception:  # noqa: S110 - text that UTF-8 cannot hold, or deeper than pydantic goes
        pass
    try:
        return _dump(_Keeper().keep(value, 0))
    except Exception:
        return _dump(_named(value))


def encode_each(values: list[Any]) -> list[bytes]:
    """Return each value of a list as `encode` does; looks at all of them at once."""
    try:
        if _is_plain(values):
            return [to_json(value, inf_nan_mode="strings") for value in values]
    except Exception:  # noqa: S110 - as in `encode`
        pass
    return [encode(value) for value in values]


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def _is_plain(value: Any) -> bool:
    """Tell whether a value is made of nothing but what JSON knows, in a sensible amount."""
    waiting: list[Any] = [value if type(value) in _CONTAINERS else (value,)]
    for part in waiting:  # grows on the way
        inner: Iterable[Any] = part
        if type(part) is dict:
            for key in part:
                if type(key) is not str:
                    return False
            inner = part.values()
        for item in inner:
            kind = type(item)
            if kind in _LEAVES:
                continue
            if kind in _CONTAINERS:
                waiting.append(item)
            elif kind is not int or not -_MAX_INT < item < _MAX_INT:
                return False
        if len(waiting) > _MAX_PARTS:
            return False
    return True


def _named(value: Any) -> str:
    kind = type(value)
    return f"[not JSON: {kind.__module__}.{kind.__qualname__}]"


class _Keeper:
    """Makes plain what is not."""

    def __init__(self) -> None:
        self._above: set[int] = set()
        self._parts = 0

    def keep(self, value: Any, depth: int) -> Any:
        try:
            leaf = _leaf(value)
            if leaf is not None or value is None:
                return leaf
            self._parts += 1
            if id(value) in self._above:
                return _CYCLE
            if depth > _MAX_DEPTH or self._parts > _MAX_PARTS:
                return _DEEP if depth > _MAX_DEPTH else _MANY
            self._above.add(id(value))
            kept = self._keep_parts(value, depth + 1)
            self._above.discard(id(value))
        except Exception:
            self._above.discard(id(value))
            return _named(value)
        return kept

    def _keep_parts(self, value: Any, depth: int) -> Any:
        kind = type(value)  # not isinstance: an object may lie about its class
        if issubclass(kind, dict):
            return self._mapping(list(dict.items(value)), depth)
        for base, items_of in _SEQUENCES:
            if issubclass(kind, base):
                kept = [self.keep(item, depth) for item in list(items_of(value))]
                return sorted(kept, key=repr) if base in (set, frozenset) else kept
        if issubclass(kind, Enum):
            return self.keep(value.value, depth)
        return self._object(value, kind, depth)

    def _mapping(self, items: list[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in items:
            name = _key(key)
            kept[name if name not in kept else f"{name} #{len(kept)}"] = self.keep(value, depth)
        return kept

    def _object(self, value: Any, kind: type, depth: int) -> Any:
        serializer = getattr(kind, "__pydantic_serializer__", None)
        if isinstance(serializer, SchemaSerializer):
            data = serializer.to_python(value, warnings=False)
            return _named(value) if data is value else self.keep(data, depth)
        if dataclasses.is_dataclass(kind):
            shown = [field.name for field in dataclasses.fields(kind) if field.repr]
            return self._mapping([(name, getattr(value, name)) for name in shown], depth)
        return _named(value)


def _leaf(value: Any) -> Any:
    """Return the JSON value of something without parts; ``None`` for anything else."""
    kind = type(value)
    if kind is bool or issubclass(kind, Enum):
        return value if kind is bool else None
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if issubclass(kind, (date, time)):
        return value.isoformat()
    if issubclass(kind, _AS_TEXT):
        return str(value)
    return _number(value, kind)


def _number(value: Any, kind: type) -> Any:
    if issubclass(kind, numbers.Integral):
        whole = int(value)
        return whole if -_MAX_INT < whole < _MAX_INT else f"[a number of {whole.bit_length()} bits]"
    if issubclass(kind, numbers.Real):
        broken = float(value)
        return broken if math.isfinite(broken) else _NOT_FINITE[str(broken)]
    return None


def _key(key: Any) -> str:
    kind = type(key)
    try:
        if key is None or kind is bool:
            return _KEYS[key]
        if issubclass(kind, Enum):
            return _key(key.value)
        if issubclass(kind, tuple):
            return ",".join([_key(part) for part in tuple.__iter__(key)])
        leaf = _leaf(key)
    except Exception:
        leaf = None
    return _named(key) if leaf is None else str(leaf)
