"""Alerts as rules in words, such as ``success < 0.9 over 50 runs`` or ``cost > 2 in 1h``.

::

    FIGURE < | <= | > | >= VALUE over N runs        the last N runs that the figure can be told of
    FIGURE < | <= | > | >= VALUE in DURATION        the runs that ended within it

A rule that holds fires once, and can fire again only after the figure has come back by a tenth of the way: of the
threshold, or for ``success < 0.9`` of what is left above it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from agenttrace_nb.analysis.monitor import NEEDED, STANDINGS, Standing, quantile
from agenttrace_nb.config import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.monitor_board import Board

LEAST_JUDGED = 5
"""A share of fewer runs than this says nothing."""

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_SHARES = ("success", "said")
_QUANTILES = {f"p{round(100 * p)}": p for p in NEEDED}
_COUNTS = {
    "errors": Standing.ERROR, "guardrail": Standing.GUARDRAIL, "cancelled": Standing.CANCELLED,
    "interrupted": Standing.INTERRUPTED,
}  # fmt: skip
FIGURES = (*_SHARES, *_QUANTILES, *_COUNTS, "runs", "tokens", "cost")
_FORM = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*(\S+)\s+(over|in)\s+(.+?)\s*")
_RUNS = re.compile(r"(\d+)(?:\s+runs?)?")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)")
_ALLOWED = "a rule reads FIGURE < VALUE over N runs, or FIGURE > VALUE in 10m (s, m, h or d)"
_COMES_BACK = 0.1
_MS_PER_S = 1000
_PER_CENT = 100
_YES = 2


class State(StrEnum):
    """How a rule stands."""

    QUIET = "quiet"
    FIRING = "firing"
    TOO_FEW = "too few runs to say"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``threshold`` is a share, s, US dollars or a count; either ``over_runs`` or ``within_s`` is there."""

    text: str
    figure: str
    sign: str
    threshold: float
    over_runs: int | None = None
    within_s: float | None = None

    def holds(self, value: float) -> bool:
        """Tell whether the figure is beyond the threshold."""
        return {
            "<": value < self.threshold,
            "<=": value <= self.threshold,
            ">": value > self.threshold,
            ">=": value >= self.threshold,
        }[self.sign]

    def is_back(self, value: float) -> bool:
        """Tell whether the figure has come back far enough for the rule to be quiet again."""
        if self.holds(value):
            return False
        if self.sign[0] == ">":
            return value <= self.threshold * (1 - _COMES_BACK)
        room = (1 - self.threshold) if self.figure in _SHARES else self.threshold
        return value >= self.threshold + _COMES_BACK * max(room, 0)


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure as a rule sees it: of so many runs, of which so many are needed; ``None`` where it cannot be told."""

    value: float | None
    runs: int
    needed: int


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule and how it stands.

    Attributes
    ----------
    since_ms
        Since when it stands so, ms since the epoch.
    fired
        How often it has fired.
    """

    rule: Rule
    state: State
    since_ms: float
    reading: Reading
    fired: int = 0

    def next(self, reading: Reading, now_ms: float) -> Alert:
        """Return how the rule stands by a new reading."""
        state = self._state(reading)
        if state is self.state:
            return replace(self, reading=reading)
        fired = self.fired + (state is State.FIRING)
        return Alert(self.rule, state, now_ms, reading, fired)

    def _state(self, reading: Reading) -> State:
        if reading.value is None:
            # What fires goes on until there is something better to say.
            return State.FIRING if self.state is State.FIRING else State.TOO_FEW
        if self.state is State.FIRING:
            return State.QUIET if self.rule.is_back(reading.value) else State.FIRING
        return State.FIRING if self.rule.holds(reading.value) else State.QUIET


def parse(texts: Sequence[str]) -> list[Rule]:
    """Return rules.

    Raises
    ------
    OptionError
        If one cannot be understood; the message says which, and what is allowed.

    Examples
    --------
    >>> parse(["p95 > 10s over 20 runs"])[0].threshold
    10.0
    """
    if isinstance(texts, str):
        msg = f"alerts={texts!r} is not allowed; it must be a list of rules, such as [{texts!r}]"
        raise OptionError(msg)
    return [_rule(f"alerts[{at}]={text!r}", text) for at, text in enumerate(texts)]


def begin(rule: Rule, now_ms: float) -> Alert:
    """Return a rule of which nothing is known yet."""
    return Alert(rule, State.TOO_FEW, now_ms, Reading(None, 0, 1))


def read(rule: Rule, board: Board, now_ms: float) -> Reading:
    """Return a rule's figure."""
    runs = board.runs
    standing, took, cost = runs["standing"], runs["took_s"], runs["cost_usd"]
    told = standing != STANDINGS[Standing.RUNNING]
    if rule.figure == "success":
        told = (standing == STANDINGS[Standing.OK]) | (standing == STANDINGS[Standing.ERROR])
    elif rule.figure == "said":
        told &= runs["success"] > 0
    elif rule.figure in _QUANTILES:
        told &= ~np.isnan(took)
    rows = np.flatnonzero(told)
    ended = runs["start_ms"][rows] + np.nan_to_num(took[rows]) * _MS_PER_S
    if rule.over_runs is not None:
        needed = rule.over_runs
        rows = rows[np.argsort(ended, kind="stable")][-needed:]
    else:
        needed = LEAST_JUDGED if rule.figure in _SHARES else NEEDED.get(_QUANTILES.get(rule.figure, 0), 0)
        rows = rows[ended > now_ms - (rule.within_s or 0) * _MS_PER_S]
    if rows.size < needed:
        return Reading(None, rows.size, needed)
    if rule.figure == "cost" and rows.size and np.isnan(cost[rows]).all():
        return Reading(None, rows.size, 0)
    return Reading(_value(rule.figure, board, rows), rows.size, needed)


def duration_s(text: str) -> float | None:
    """Return a duration in seconds; ``None`` if the text is none.

    Examples
    --------
    >>> duration_s("10m"), duration_s("500ms"), duration_s("soon")
    (600.0, 0.5, None)
    """
    match = _NUMBER.fullmatch(text.strip().lower())
    unit = _UNITS_S.get(match[2]) if match else None
    return float(match[1]) * unit if match and unit else None


def _value(figure: str, board: Board, rows: np.ndarray) -> float:
    standing = board.runs["standing"][rows]
    if figure == "success":
        return float((standing == STANDINGS[Standing.OK]).sum()) / rows.size
    if figure == "said":
        return float((board.runs["success"][rows] == _YES).sum()) / rows.size
    if figure in _QUANTILES:
        return quantile(np.sort(board.runs["took_s"][rows]), _QUANTILES[figure]) or 0.0
    if figure == "cost":
        cost = board.runs["cost_usd"][rows]
        return math.fsum(cost[~np.isnan(cost)])
    if figure == "tokens":
        return float(sum(board.runs[name][rows].clip(0).sum() for name in ("tokens_in", "tokens_out")))
    return float(rows.size if figure == "runs" else (standing == STANDINGS[_COUNTS[figure]]).sum())


def _rule(named: str, text: Any) -> Rule:
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        msg = f"{named} cannot be understood: {_ALLOWED}"
        raise OptionError(msg)
    figure, sign, value, word, scope = match.groups()
    figure = figure.lower()
    if figure not in FIGURES:
        msg = f"{named}: there is no figure {figure!r}; there are {', '.join(FIGURES)}.{did_you_mean(figure, FIGURES)}"
        raise OptionError(msg)
    threshold = _threshold(named, figure, value)
    if word == "over":
        number = _RUNS.fullmatch(scope)
        if number is None or int(number[1]) == 0:
            msg = f"{named}: over {scope!r} is not allowed; it must be a number of runs from 1, such as over 50 runs"
            raise OptionError(msg)
        return Rule(text.strip(), figure, sign, threshold, over_runs=int(number[1]))
    within = duration_s(scope)
    if not within:
        msg = f"{named}: in {scope!r} is not allowed; it must be a length of time, such as in 10m (s, m, h or d)"
        raise OptionError(msg)
    return Rule(text.strip(), figure, sign, threshold, within_s=within)


def _threshold(named: str, figure: str, text: str) -> float:
    if figure in _QUANTILES:
        seconds = duration_s(text)
        if seconds is None:
            msg = f"{named}: {figure} is a duration; {text!r} needs a unit, such as 10s or 500ms"
            raise OptionError(msg)
        return seconds
    scale = 1.0
    if figure in _SHARES and text.endswith("%"):
        text, scale = text[:-1], 1 / _PER_CENT
    match = _NUMBER.fullmatch(text.removeprefix("$") if figure == "cost" else text)
    value = float(match[1]) * scale if match and not match[2] else None
    if value is None or (figure in _SHARES and value > 1):
        allowed = "a share such as 0.9 or 90%" if figure in _SHARES else "a number"
        msg = f"{named}: {figure} is compared with {allowed}, not with {text!r}"
        raise OptionError(msg)
    return value
