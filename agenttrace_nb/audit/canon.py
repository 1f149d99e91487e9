"""Canonical bytes of any value: what is hashed, committed to and signed.

The form is RFC 8785 (JSON Canonicalization Scheme). That refuses whole numbers beyond 53 bits, texts that are no
Unicode, keys that are no text, NaN and infinities; here each of these has a spelling of its own, so that nothing that
an agent did is ever left out for its form::

    {"$int": "1790000000000000000"}     a whole number beyond ±(2**53 - 1)
    {"$float": "nan"}                   nan, inf, -inf
    {"$b64": "7aCA"}                    a text with lone surrogates, as UTF-8 that lets them pass
    {"$bytes": "AAE="}                  bytes
    {"$map": [[key, value], ...]}       a mapping with keys that are no text, or that begin with a dollar sign
    {"$other": ["Decimal", "1.5"]}      anything else: the name of its type, and its text

Two values have the same bytes only if they are equal (1 and 1.0 are; a list and a tuple are).
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from typing import Any

_SAFE = 2**53 - 1
_MARKS = frozenset({"$int", "$float", "$b64", "$bytes", "$map", "$other"})


_LONG_NUMBER = re.compile(rb"[:,\[]-?[0-9]{16}")
_MARKED_INT = re.compile(rb'\{"\$int":"(-?[1-9][0-9]*)"\}')


def _refuse(_: str) -> Any:
    raise ValueError


_read = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse).raw_decode
_write = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class CanonicalFormError(ValueError):
    """Bytes are not the canonical form of anything, or a value is nested too deeply to have one."""


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of a value.

    Parameters
    ----------
    value
        What JSON can hold, and more; see above.

    Raises
    ------
    CanonicalFormError
        If it is nested deeper than Python's limit of recursion.

    Examples
    --------
    >>> canonical({"b": 2**60, "a": "é"}).decode()
    '{"a":"é","b":{"$int":"1152921504606846976"}}'
    """
    needs_library: list[bool] = []
    try:
        plain = _plain(value, needs_library)
        if needs_library:
            import rfc8785

            return rfc8785.dumps(plain)
        # Without fractions, and with keys whose order is the same in UTF-16, this is RFC 8785, many times faster.
        return _write(plain).encode("utf-8")
    except RecursionError as error:
        msg = "it is nested too deeply to have a canonical form"
        raise CanonicalFormError(msg) from error


def parse(data: bytes) -> Any:
    """Return the value of canonical bytes, in the spelling above; `original` takes that away.

    Raises
    ------
    CanonicalFormError
        If the bytes are not exactly what `canonical` gives: other spaces, another order, a key twice.

    Examples
    --------
    >>> parse(b'{"a":1}')
    {'a': 1}
    """
    try:
        value = json.loads(data)
        again = canonical(_literal(value))
    except (ValueError, RecursionError) as error:
        msg = f"not canonical JSON ({type(error).__name__})"
        raise CanonicalFormError(msg) from error
    if again != data:
        msg = "not in canonical form: written again it has other bytes"
        raise CanonicalFormError(msg)
    return value


def parse_simple(data: bytes) -> Any:
    """Return the value of canonical bytes if that they are canonical is quickly seen; ``None`` if `parse` must look.

    That is so for ASCII without fractions, and without other marks than ``$int``: most entries of a log.

    Examples
    --------
    >>> parse_simple(b'{"a":{"$int":"9007199254740993"}}')
    {'a': {'$int': '9007199254740993'}}
    >>> parse_simple(b'{"a": 1}'), parse_simple(b'{"a":{"$int":"1"}}'), parse_simple(b"1.0")
    (None, None, None)
    """
    if not data.isascii() or _LONG_NUMBER.search(data):
        return None
    if marks := data.count(b'"$'):
        whole = _MARKED_INT.findall(data)
        if len(whole) != marks or any(abs(int(digits)) <= _SAFE for digits in whole):
            return None
    text = data.decode("ascii")
    try:
        value, _ = _read(text)
        again = _write(value)
    except (ValueError, RecursionError):
        return None
    return value if again == text else None


class _Literal(dict[str, Any]):
    """A mapping that is written as it stands, dollar signs and all."""


def _literal(value: Any) -> Any:
    if isinstance(value, dict):
        return _Literal((key, _literal(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return _unwhole(value)


def original(value: Any) -> Any:
    """Return the value that was made canonical (with lists for tuples, and the text of anything else).

    Examples
    --------
    >>> original(parse(canonical({"at": 2**62, 1: "a"}))) == {"at": 2**62, 1: "a"}
    True
    """
    if isinstance(value, list):
        return [original(inner) for inner in value]
    if not isinstance(value, dict):
        return _unwhole(value)
    if len(value) == 1 and (mark := next(iter(value))) in _MARKS:
        return _unmarked(mark, value[mark])
    return {key: original(inner) for key, inner in value.items()}


def _unwhole(value: Any) -> Any:
    """Return a number as a fraction where it is one: beyond 53 bits only fractions are written as plain numbers."""
    return float(value) if isinstance(value, int) and abs(value) > _SAFE else value


def _unmarked(mark: str, held: Any) -> Any:
    if mark == "$int":
        return int(held)
    if mark == "$float":
        return float(held)
    if mark == "$b64":
        return base64.b64decode(held).decode("utf-8", "surrogatepass")
    if mark == "$bytes":
        return base64.b64decode(held)
    if mark == "$map":
        return {original(key): original(inner) for key, inner in held}
    return held[1]


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hex.

    Examples
    --------
    >>> digest(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any, needs_library: list[bool]) -> Any:  # noqa: PLR0911 - one way out for each kind of value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if type(value) is str and value.isascii() else _text(value)
    if isinstance(value, int):
        return int(value) if -_SAFE <= value <= _SAFE else {"$int": str(int(value))}
    if isinstance(value, float):
        if not math.isfinite(value):
            return {"$float": str(float(value))}
        needs_library.append(True)
        # A fraction of any size is a number; a whole one beyond 53 bits has the same bytes as the text of a number
        return float(value)
    if isinstance(value, dict):
        return _mapping(value, needs_library)
    if isinstance(value, (list, tuple)):
        return [_plain(inner, needs_library) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    return {"$other": [type(value).__name__, _text(str(value))]}


def _text(value: str) -> Any:
    if value.isascii():
        return str(value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return {"$b64": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")}
    return str(value)


def _mapping(value: dict[Any, Any], needs_library: list[bool]) -> Any:
    if _has_simple_keys(value):
        return {
            key: inner if type(inner) is str and inner.isascii() else _plain(inner, needs_library)
            for key, inner in value.items()
        }
    if not isinstance(value, _Literal) and not all(map(_is_plain_key, value)):
        pairs = [[_plain(key, needs_library), _plain(inner, needs_library)] for key, inner in value.items()]
        return {"$map": sorted(pairs, key=_order_of_pair)}
    if not all(map(str.isascii, value)):
        needs_library.append(True)  # which orders keys by UTF-16
    return {key: _plain(inner, needs_library) for key, inner in value.items()}


def _has_simple_keys(value: dict[Any, Any]) -> bool:
    """Tell whether all keys are ASCII without a dollar sign: nearly always so, and quickly seen."""
    try:
        together = "".join(value)
    except TypeError:
        return False
    return together.isascii() and "$" not in together


def _order_of_pair(pair: list[Any]) -> bytes:
    return canonical(_literal(pair[0]))


def _is_plain_key(key: Any) -> bool:
    return isinstance(key, str) and key[:1] != "$" and (key.isascii() or isinstance(_text(key), str))
