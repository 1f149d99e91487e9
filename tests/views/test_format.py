from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace_nb.views import format as fmt


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_never_says_sixty_seconds_or_minutes(value: float) -> None:
    words = fmt.seconds(value)
    assert "60" not in words.replace(".60", "").split(" ")


@given(st.floats(min_value=0.01, max_value=59), st.floats(min_value=0.01, max_value=59))
def test_of_two_durations_the_longer_one_is_never_shown_shorter(first: float, second: float) -> None:
    shown = [float(fmt.seconds(v).removesuffix(" s")) for v in sorted((first, second))]
    assert shown[0] <= shown[1]


@pytest.mark.parametrize("words", [fmt.seconds(None), fmt.count(None), fmt.usd(None)])
def test_unknown_is_not_zero(words: str) -> None:
    assert words == "–"


def test_a_small_cost_is_not_nothing() -> None:
    assert fmt.usd(0.000001) == "<$0.0001"
