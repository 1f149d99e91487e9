"""Any value becomes JSON text; nothing is done to the value, and nothing of an unknown object gets into the text."""

from __future__ import annotations

import json
import sys
import threading
from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import MagicMock, Mock
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.dataclasses import dataclass as pydantic_dataclass

from agenttrace_nb.journal.encode import encode

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates included
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


def decoded(value: Any) -> Any:
    return json.loads(encode(value))


class Unknown:
    """An object that nobody here knows, and that minds being looked at."""

    def __init__(self) -> None:
        self.api_key = "hunter2"

    def _mind(self, *_: object) -> NoReturn:
        msg = "hunter2 was looked at"
        raise AssertionError(msg)

    __repr__ = __str__ = __iter__ = __len__ = __bool__ = __format__ = _mind


UNKNOWN = f"[not JSON: {__name__}.Unknown]"


@given(JSON)
def test_json_values_survive_as_they_are(value: Any) -> None:
    raw = encode(value)
    assert json.loads(raw.decode("utf-8")) == value
    assert b"\n" not in raw


def test_text_is_kept_as_utf8_and_not_as_escapes() -> None:
    assert encode("Grüße 🛫") == '"Grüße 🛫"'.encode()


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "ok \ud800 ok", "\x00", "a\x00b"])
def test_lone_surrogates_and_nul_survive(text: str) -> None:
    assert decoded(text) == text
    assert decoded({"k": [text]}) == {"k": [text]}
    assert decoded({text: 1}) == {text: 1}


# ------------------------------------------------------------------------------------------------ unknown objects


def test_an_unknown_object_is_named_and_never_looked_at() -> None:
    assert decoded(Unknown()) == UNKNOWN
    assert decoded({"a": Unknown(), "b": [1, Unknown()]}) == {"a": UNKNOWN, "b": [1, UNKNOWN]}


def test_no_secret_of_an_unknown_object_gets_into_the_text() -> None:
    client = type("Client", (), {"api_key": "hunter2", "__repr__": lambda self: "hunter2"})()
    for value in (client, ValueError("hunter2"), lambda: "hunter2", type(client), {client}, [client], (client,)):
        assert b"hunter2" not in encode(value)


def test_a_generator_is_left_to_the_one_it_is_for() -> None:
    generator = (i for i in range(3))
    encode({"rows": generator, "plain": 1})
    assert list(generator) == [0, 1, 2]


@pytest.mark.parametrize("make", [iter, enumerate, reversed, lambda x: map(str, x), lambda x: zip(x, x, strict=True)])
def test_an_iterator_is_left_to_the_one_it_is_for(make: Any) -> None:
    iterator = make([1, 2, 3])
    encode([iterator])
    assert len(list(iterator)) == 3


def test_an_open_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one\ntwo\n")
    with (tmp_path / "f").open() as file:
        assert decoded({"file": file}) == {"file": "[not JSON: _io.TextIOWrapper]"}
        assert file.read() == "one\ntwo\n"
    for stream in (StringIO("x"), BytesIO(b"x")):
        encode(stream)
        assert len(stream.read()) == 1


def test_stand_ins_that_pretend_to_be_anything_are_named() -> None:
    assert decoded({"m": MagicMock()}) == {"m": "[not JSON: unittest.mock.MagicMock]"}
    for pretended in (str, dict, list, bytes, int, float, datetime, BaseModel, Enum):
        assert decoded([Mock(spec=pretended), 1]) == ["[not JSON: unittest.mock.Mock]", 1]


def test_arrays_are_named_and_their_scalars_are_numbers() -> None:
    assert decoded(np.zeros(3)) == "[not JSON: numpy.ndarray]"
    assert decoded([np.float32(0.5), np.float64(0.25), np.int64(7), np.uint8(3)]) == [0.5, 0.25, 7, 3]


# --------------------------------------------------------------------------------------------------- known objects


class Colour(Enum):
    RED = "red"
    BOTH = ("a", 1)


class Level(IntEnum):
    HIGH = 3


class Mode(StrEnum):
    FAST = "fast"


class Inner(BaseModel):
    n: int


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    text: str
    inner: Inner
    when: datetime
    secret: SecretStr = SecretStr("hunter2")
    hidden: str = Field("hunter2", exclude=True)
    thing: Any = None


@dataclass
class Data:
    a: int
    inner: Any = None
    key: str = field(default="hunter2", repr=False)


@dataclass(slots=True)
class Slots:
    a: int


@pydantic_dataclass
class Checked:
    a: int


WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_pydantic_model_is_kept_as_data_without_what_it_hides() -> None:
    kept = decoded({"m": Model(text="x", inner=Inner(n=1), when=WHEN, thing=Unknown())})["m"]
    assert kept == {
        "text": "x",
        "inner": {"n": 1},
        "when": "2026-01-02T03:04:05+00:00",
        "secret": "[not JSON: pydantic.types.SecretStr]",
        "thing": UNKNOWN,
    }


def test_a_pydantic_model_that_holds_a_generator_does_not_consume_it() -> None:
    generator = (i for i in range(3))
    encode(Model(text="x", inner=Inner(n=1), when=WHEN, thing=generator))
    assert list(generator) == [0, 1, 2]


def test_a_model_with_a_value_of_the_wrong_type_is_kept_without_a_warning() -> None:
    assert decoded(Inner.model_construct(n="not a number")) == {"n": "not a number"}


def test_a_models_own_dump_is_not_called() -> None:
    class Loud(Inner):
        def model_dump(self, **_: Any) -> NoReturn:
            raise AssertionError

    assert decoded(Loud(n=2)) == {"n": 2}


def test_dataclasses_are_kept_without_the_fields_they_hide() -> None:
    assert decoded(Data(1, inner=Slots(2))) == {"a": 1, "inner": {"a": 2}}
    assert decoded(Checked(a=3)) == {"a": 3}
    assert decoded(Data) == f"[not JSON: {type.__module__}.type]"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Colour.RED, "red"),
        (Colour.BOTH, ["a", 1]),
        (Level.HIGH, 3),
        (Mode.FAST, "fast"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset(["b", "a"]), ["a", "b"]),
        (deque([1, 2]), [1, 2]),
        (namedtuple("Pair", "a b")(1, 2), [1, 2]),  # noqa: PYI024
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, {"a": [1]}), {"a": [1]}),
        (b"\xff\x00", "/wA="),
        (bytearray(b"abc"), "YWJj"),
        (WHEN, "2026-01-02T03:04:05+00:00"),
        (WHEN.date(), "2026-01-02"),
        (timedelta(seconds=90), "0:01:30"),
        (Decimal("1.10"), "1.10"),
        (Fraction(1, 3), "1/3"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Path("a/b"), "a/b"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (1j, "[not JSON: builtins.complex]"),
        (range(3), "[not JSON: builtins.range]"),
        (memoryview(b"x"), "[not JSON: builtins.memoryview]"),
    ],
)
@pytest.mark.parametrize("beside_an_unknown", [False, True])
def test_known_kinds_are_kept_as_data(value: Any, kept: Any, beside_an_unknown: bool) -> None:
    beside = Unknown() if beside_an_unknown else None
    assert decoded({"v": value, "beside": beside})["v"] == kept
    assert decoded(value) == kept


def test_a_set_has_the_same_text_in_every_process() -> None:
    words = {f"word {i}" for i in range(50)}
    assert decoded(words) == sorted(words)


def test_subclasses_of_text_and_numbers_are_kept_by_what_they_are() -> None:
    class Shout(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "hunter2"

    assert decoded([Shout("quiet"), Unknown()])[0] == "quiet"


def test_subclasses_that_do_things_when_iterated_are_read_without_them() -> None:
    class Hooked(dict):
        def items(self) -> NoReturn:
            raise AssertionError

        __iter__ = keys = values = items

    class HookedList(list):
        def __iter__(self) -> NoReturn:
            raise AssertionError

    assert decoded({"a": Hooked(x=1), "b": HookedList([1, 2])}) == {"a": {"x": 1}, "b": [1, 2]}


# ------------------------------------------------------------------------------------------------------------ keys


def test_keys_that_are_no_text_become_text() -> None:
    keys = {1: "a", 1.5: "b", None: "c", Mode.FAST: "e", (1, "x"): "f", WHEN: "g", b"k": "h"}
    assert decoded(keys) == {
        "1": "a",
        "1.5": "b",
        "null": "c",
        "fast": "e",
        "1,x": "f",
        "2026-01-02T03:04:05+00:00": "g",
        "aw==": "h",
    }
    assert decoded({True: 1, False: 2}) == {"true": 1, "false": 2}


def test_keys_that_become_the_same_text_do_not_swallow_each_other() -> None:
    assert decoded({1: "a", "1": "b"}) == {"1": "a", "1 #1": "b"}
    assert decoded({object(): "a", object(): "b"}) == {
        "[not JSON: builtins.object]": "a",
        "[not JSON: builtins.object] #1": "b",
    }


def test_a_key_that_minds_being_looked_at_is_named() -> None:
    assert decoded({Unknown(): 1}) == {UNKNOWN: 1}
    assert decoded({(1, Unknown()): 1}) == {f"1,{UNKNOWN}": 1}


# ---------------------------------------------------------------------------------------------------------- limits


def test_a_cycle_ends_in_a_mark() -> None:
    ring: dict[str, Any] = {"name": "ring"}
    ring["self"] = ring
    assert decoded(ring) == {"name": "ring", "self": "[part of itself]"}
    row: list[Any] = [1]
    row.append({"row": row})
    assert decoded(row) == [1, {"row": "[part of itself]"}]


def test_things_that_point_at_each_other_many_times_do_not_explode() -> None:
    nodes: list[dict[str, Any]] = [{"n": i} for i in range(12)]
    for node in nodes:
        node["all"] = nodes
    assert len(encode(nodes)) < 50_000_000


def test_the_same_thing_twice_is_no_cycle() -> None:
    shared = {"a": 1}
    assert decoded([shared, shared, Unknown()]) == [{"a": 1}, {"a": 1}, UNKNOWN]


def test_sharing_that_doubles_on_every_level_is_cut_off() -> None:
    value: Any = ["x"]
    for _ in range(90):
        value = [value, value]
    raw = encode(value)
    assert b"[more than is kept]" in raw
    json.loads(raw)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}, lambda v: (v,)])
def test_a_depth_of_ten_thousand_ends_in_a_mark(wrap: Any) -> None:
    value: Any = "bottom"
    for _ in range(10_000):
        value = wrap(value)
    raw = encode(value)
    assert b"[deeper than is kept]" in raw
    json.loads(raw)


def test_a_depth_that_people_use_is_kept() -> None:
    value: Any = "bottom"
    for _ in range(90):
        value = {"k": [value]} if isinstance(value, list) else [value]
    assert decoded(value) == value


def test_values_are_encoded_far_down_in_the_stack_of_a_recursive_program() -> None:
    def down(levels: int) -> bytes:
        return down(levels - 1) if levels else encode({"a": [Unknown(), {"b": 1}]})

    frames = 0
    frame = sys._getframe()
    while frame is not None:
        frames, frame = frames + 1, frame.f_back
    assert json.loads(down(sys.getrecursionlimit() - frames - 60)) == {"a": [UNKNOWN, {"b": 1}]}


def test_a_number_too_long_to_be_read_again_is_described() -> None:
    assert decoded({"n": 10**5000}) == {"n": f"[a number of {(10**5000).bit_length()} bits]"}
    assert decoded(10**3000) == 10**3000


def test_huge_texts_are_kept_whole() -> None:
    text = "é" * 5_000_000
    assert decoded(text) == text
    assert decoded([text + "\ud800"]) == [text + "\ud800"]


def test_a_mapping_that_another_thread_changes_meanwhile_does_not_raise() -> None:
    shared: dict[str, Any] = {f"k{i}": {"v": i} for i in range(300)}
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            shared[f"new {number % 50}"] = {}
            shared.pop(f"new {(number + 25) % 50}", None)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for beside in (None, Unknown()):
            for _ in range(100):
                assert decoded({"s": shared, "beside": beside})["s"]["k7"] == {"v": 7}
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)
