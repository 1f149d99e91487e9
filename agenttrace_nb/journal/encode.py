"""Values of any kind to JSON text, without ever failing and without calling back into the user's objects."""

from __future__ import annotations

import json
from typing import Any

_MAX_DEPTH = 100
_UNKNOWN = "[not JSON: {}]"


def encode(value: Any) -> bytes:
    r"""Return a value as compact JSON.

    What JSON cannot hold is named, not dumped: an unknown object becomes ``"[not JSON: module.Class]"``, since its
    text may hold secrets. Lone surrogates and NUL survive as escapes; a cycle or absurd depth ends in a mark.

    Examples
    --------
    >>> encode({"a": [1, "x"]})
    b'{"a":[1,"x"]}'
    >>> encode("\ud800")
    b'"\\ud800"'
    """
    from pydantic_core import to_json

    try:
        return to_json(value, bytes_mode="base64", inf_nan_mode="strings", fallback=_named)
    except Exception:
        return json.dumps(_bounded(value, 0), ensure_ascii=True, separators=(",", ":")).encode()


def _named(value: Any) -> str:
    kind = type(value)
    return _UNKNOWN.format(f"{kind.__module__}.{kind.__qualname__}")


def _bounded(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if depth > _MAX_DEPTH:
        return "[deeper than is kept]"
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {k if isinstance(k, str) else str(k): _bounded(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_bounded(v, depth + 1) for v in value]
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        try:
            return _bounded(dump(), depth + 1)
        except Exception:
            return _named(value)
    return _named(value)
