"""Canonical bytes: the same everywhere, one form only, and nothing is refused for its form."""

from __future__ import annotations

import json
import math

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace_nb.audit.canon import CanonicalFormError, canonical, original, parse, parse_simple

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Sc"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
odd = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(plain)
def test_what_the_standard_takes_is_written_as_the_standard_says(value):
    assert canonical(value) == rfc8785.dumps(value)


@settings(max_examples=120, deadline=None)
@given(odd)
def test_every_value_has_a_form_that_gives_it_back(value):
    data = canonical(value)
    assert same(original(parse(data)), value)


def same(a, b):
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (2**60, str(2**60)),
        (2**60, {"$int": str(2**60)}),
        (float("nan"), "nan"),
        ("\ud800", "?"),
        (b"\0", "AA=="),
        ({1: "a"}, {"1": "a"}),
        (float(2**60), 2**60),
        ({"$map": []}, {}),
    ],
)
def test_different_values_have_different_bytes(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}', b'"\\u0041"',
        b"[01]", b"NaN", b"", b"\xff", b'"\\ud800"', b"[" * 100_000, b"1E2", b"-0", b"9007199254740993",
    ],
)  # fmt: skip
def test_other_spellings_of_a_value_are_refused(data):
    with pytest.raises(CanonicalFormError):
        parse(data)


def test_nesting_beyond_measure_is_said_to_be():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CanonicalFormError, match="nested too deeply"):
        canonical(deep)


def test_keys_are_ordered_by_utf_16():
    keys = ["\ufb33", "\U0001f600", "\r", "1", "€"]
    assert list(json.loads(canonical(dict.fromkeys(keys, 0)))) == ["\r", "1", "€", "\U0001f600", "\ufb33"]


@given(
    odd
    | plain
    | st.dictionaries(
        st.text(st.characters(max_codepoint=127), max_size=4), st.integers() | st.text(st.characters(max_codepoint=127))
    )
)
def test_what_is_quickly_seen_to_be_canonical_is(value):
    data = canonical(value)
    found = parse_simple(data)
    assert found is None or (found == parse(data) and canonical(original(found)) == data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":{"$int":"5"}}', b'{"a":{"$int":"09007199254740993"}}',
        b'{"a":9007199254740993}', b'{"$map":[]}', b'{"a":"\\u0041"}', b'{"a":"\\/"}', b'{"a":1.0}',
        b'{"a":1e3}', b"NaN",
        b'{"a":"\\ud800"}', b'{"a":-0}', b'\xef\xbb\xbf{"a":1}', b'{"a":1}\n',
        b'{"a":{"$int":"9007199254740993","b":1}}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_canonical_is_never_taken_for_it_quickly(data):
    assert parse_simple(data) is None
