"""Alerts: what a rule says, how it stands, and that it fires once for each crossing."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from views.sample_dashboards import NOW_MS, board, hours, run

from agenttrace_nb.analysis.monitor import Standing, quantile
from agenttrace_nb.analysis.monitor_rules import FIGURES, Reading, Rule, State, begin, duration_s, parse, read
from agenttrace_nb.config import OptionError

SHARES = st.integers(0, 100)
COUNTS = st.integers(0, 10_000)
LENGTHS = st.tuples(st.integers(1, 500), st.sampled_from(("ms", "s", "m", "min", "h", "d")))
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
SIGNS = st.sampled_from(("<", "<=", ">", ">="))
SPACES = st.sampled_from(("", " ", "   "))


@given(figure=st.sampled_from(("success", "said")), sign=SIGNS, share=SHARES, runs=st.integers(1, 9999), gap=SPACES)
def test_a_share_may_be_written_as_a_number_or_in_per_cent(
    figure: str, sign: str, share: int, runs: int, gap: str
) -> None:
    one, other = parse(
        [f"{figure}{gap}{sign}{gap}{share}% over {runs} runs", f"{figure} {sign} {share / 100} over {runs}"]
    )
    assert (one.figure, one.sign, one.over_runs, one.within_s) == (figure, sign, runs, None)
    assert one.threshold == pytest.approx(other.threshold)


@given(figure=st.sampled_from(("p50", "p95", "p99")), sign=SIGNS, length=LENGTHS, within=LENGTHS)
def test_durations_have_units(figure: str, sign: str, length: tuple[int, str], within: tuple[int, str]) -> None:
    (rule,) = parse([f"{figure} {sign} {length[0]}{length[1]} in {within[0]} {within[1]}"])
    assert rule.threshold == pytest.approx(length[0] * SECONDS[length[1]])
    assert rule.within_s == pytest.approx(within[0] * SECONDS[within[1]])


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_an_error_that_names_it(text: str) -> None:
    try:
        told = str(len(parse(["errors > 1 in 1h", text])))
    except OptionError as error:
        told = str(error)
    assert told == "2" or f"alerts[1]={text!r}" in told


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("succes < 0.9 over 50 runs", "there is no figure 'succes'.*Did you mean success"),
        ("success << 0.9 over 50 runs", "a rule reads FIGURE"),
        ("success < 0.9", "a rule reads FIGURE"),
        ("success < 90 over 50 runs", "a share such as 0.9 or 90%"),
        ("success < 0.9 over fifty runs", "it must be a number of runs from 1"),
        ("success < 0.9 over 0 runs", "it must be a number of runs from 1"),
        ("p95 > 10 over 20 runs", "'10' needs a unit"),
        ("errors > many in 10m", "compared with a number, not with 'many'"),
        ("errors > 5 in a while", "it must be a length of time"),
        ("cost > €2 in 1h", "compared with a number"),
        ("cost > -1 in 1h", "compared with a number"),
        ("errors > 5 in 0m", "it must be a length of time"),
        (17, r"alerts\[0\]=17 cannot be understood"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_named_with_what_is_allowed(rule: str, told: str) -> None:
    with pytest.raises(OptionError, match=told) as raised:
        parse([rule])
    assert "alerts[0]=" in str(raised.value)


def test_a_rule_that_is_not_in_a_list_says_so() -> None:
    with pytest.raises(OptionError, match=r"it must be a list of rules, such as \['errors > 1 in 1h'\]"):
        parse("errors > 1 in 1h")


def test_every_figure_can_be_read() -> None:
    made = board()
    for figure in FIGURES:
        value = "1s" if re.fullmatch(r"p\d\d", figure) else "0.5"
        for scope in ("over 300 runs", "in 2h"):
            reading = read(parse([f"{figure} > {value} {scope}"])[0], made, NOW_MS)
            assert reading.value is not None, figure
            assert math.isfinite(reading.value)


# -------------------------------------------------------------------------------------------------- what is read


def test_over_so_many_runs_are_the_last_ones_that_ended_and_that_the_figure_can_be_told_of() -> None:
    made = board()
    runs = [r for r in hours() if r.standing in (Standing.OK, Standing.ERROR)]
    runs.sort(key=lambda r: r.start_ms + 1000 * (r.took_s or 0))
    wanted = sum(r.standing is Standing.OK for r in runs[-50:]) / 50
    assert read(parse(["success < 0.9 over 50 runs"])[0], made, NOW_MS) == Reading(wanted, 50, 50)
    took = [r for r in hours() if r.took_s is not None]
    took.sort(key=lambda r: r.start_ms + 1000 * (r.took_s or 0))
    p95 = quantile(np.sort([r.took_s or 0 for r in took[-20:]]), 0.95)
    assert read(parse(["p95 > 10s over 20 runs"])[0], made, NOW_MS).value == p95


def test_within_a_time_are_the_runs_that_ended_in_it_however_long_ago_they_began() -> None:
    long_ago = run(1, NOW_MS - 7_200_000, took_s=7190.0, standing=Standing.ERROR)
    made = board([long_ago, run(2, NOW_MS - 7_200_000, standing=Standing.ERROR)])
    assert read(parse(["errors > 0 in 10m"])[0], made, NOW_MS) == Reading(1.0, 1, 0)


def test_of_too_few_runs_nothing_is_said() -> None:
    made = board([run(at, NOW_MS - 1000 * at) for at in range(12)])
    for rule, needed in (("success < 0.9 over 50 runs", 50), ("p95 > 1s in 1h", 59), ("p99 > 1s over 13 runs", 13)):
        assert read(parse([rule])[0], made, NOW_MS) == Reading(None, 12, needed)


def test_an_unknown_cost_is_not_a_cost_of_nothing() -> None:
    rule = parse(["cost < 1 in 1h"])[0]
    assert read(rule, board([run(1, NOW_MS - 1000, known=False)]), NOW_MS).value is None
    assert read(rule, board([]), NOW_MS).value == 0


# ---------------------------------------------------------------------------------------------- how a rule stands


def readings(rule: Rule, values: list[float | None]) -> tuple[list[State], int]:
    """How a rule stands after each reading, and how often it fired."""
    alert, found = begin(rule, 0.0), []
    for at, value in enumerate(values):
        alert = alert.next(Reading(value, 50, 50), float(at))
        found.append(alert.state)
    return found, alert.fired


def test_a_rule_fires_once_for_a_crossing_and_again_only_after_it_has_come_back() -> None:
    rule = parse(["success < 0.9 over 50 runs"])[0]
    states, fired = readings(rule, [0.95, 0.89, 0.9, 0.89, 0.905, 0.88, 0.92, 0.89])
    assert [s is State.FIRING for s in states] == [False, True, True, True, True, True, False, True]
    assert fired == 2


@pytest.mark.parametrize(
    ("rule", "back"), [("errors > 0 in 1h", 0), ("success < 1 over 9 runs", 1), ("errors >= 1 in 1h", 0)]
)
def test_a_rule_at_the_end_of_its_scale_can_be_quiet_again(rule: str, back: float) -> None:
    states, _ = readings(parse([rule])[0], [1 - back, back])
    assert states == [State.FIRING, State.QUIET]


def test_what_fires_goes_on_when_nothing_can_be_said_any_more() -> None:
    states, fired = readings(parse(["p95 > 1s over 20 runs"])[0], [None, 2.0, None, 0.5, None])
    assert states == [State.TOO_FEW, State.FIRING, State.FIRING, State.QUIET, State.TOO_FEW]
    assert fired == 1


@given(
    rule=st.sampled_from(
        ("success < 0.9 over 50 runs", "success >= 0.5 over 2 runs", "errors > 5 in 1h", "cost <= 3 in 1h")
    ),
    values=st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=30),
)
def test_it_fires_exactly_when_it_begins_to_fire_and_never_stands_still_against_its_figure(
    rule: str, values: list[float | None]
) -> None:
    parsed = parse([rule])[0]
    states, fired = readings(parsed, values)
    begun = sum(
        now is State.FIRING and was is not State.FIRING
        for was, now in zip([State.TOO_FEW, *states], states, strict=False)
    )
    assert fired == begun
    for state, value in zip(states, values, strict=True):
        if value is not None and parsed.holds(value):
            assert state is State.FIRING
        if value is not None and parsed.is_back(value):
            assert state is State.QUIET


def test_since_when_it_stands_so_is_kept_while_its_figure_moves() -> None:
    alert = begin(parse(["errors > 5 in 1h"])[0], 0.0)
    alert = alert.next(Reading(6.0, 9, 0), 10.0).next(Reading(8.0, 9, 0), 20.0)
    assert (alert.since_ms, alert.reading.value, alert.fired) == (10.0, 8.0, 1)
    assert replace(alert).rule.text == "errors > 5 in 1h"


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("1.5h", 5400), ("500 ms", 0.5), ("10", None), ("m", None), ("", None)]
)
def test_a_duration_needs_a_number_and_a_unit(text: str, seconds: float | None) -> None:
    assert duration_s(text) == seconds
