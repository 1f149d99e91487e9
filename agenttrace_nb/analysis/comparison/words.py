"""Verdicts in plain words, each with its evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.comparison.metrics import Metric, Scale

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison.pairs import Pair


class Word(StrEnum):
    """The only verdicts there are."""

    BETTER = "better"
    WORSE = "worse"
    NO_EVIDENCE = "no evidence of a difference"
    EQUIVALENT = "equivalent within the margin"
    TOO_FEW = "too few runs"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the runs say of b against a by one metric.

    Attributes
    ----------
    word
        ``better``, ``worse``, ``no evidence of a difference``, ``equivalent within the margin`` or ``too few runs``.
    metric, a, b
        Of what, and of whom: b against a.
    evidence
        Estimate, interval, test and cases, in one sentence.
    """

    word: Word
    metric: str
    a: str
    b: str
    evidence: str

    def __str__(self) -> str:
        """Return the verdict as one line."""
        said = f"{self.word} than" if self.word in (Word.BETTER, Word.WORSE) else f"{self.word}:"
        if self.word in (Word.BETTER, Word.WORSE):
            return f"{self.metric}: {self.b} is {said} {self.a}. {self.evidence}"
        return f"{self.metric}: {self.b} against {self.a}: {self.word}. {self.evidence}"


def counted(n: int, one: str, many: str) -> str:
    """Return a number with the words that go with it.

    Examples
    --------
    >>> counted(1, "run has no arch", "runs have no arch"), counted(1200, "run", "runs")
    ('1 run has no arch', '1,200 runs')
    """
    return f"{n:,} {one if n == 1 else many}"


def verdict(pair: Pair, alpha: float, level: float, *, compared: int) -> Verdict:
    """Return the verdict on a pair whose p-values are adjusted."""
    word = word_of(pair, alpha)
    return Verdict(word, pair.metric.label, pair.a, pair.b, _evidence(pair, word, level, compared))


def word_of(pair: Pair, alpha: float) -> Word:
    """Return the verdict itself."""
    if pair.why_not or pair.cases < pair.needs or math.isnan(pair.p):
        return Word.TOO_FEW
    if pair.p_equivalent_adjusted <= alpha:
        return Word.EQUIVALENT
    if pair.p_adjusted <= alpha and pair.is_improvement:
        return Word.BETTER
    if pair.p_adjusted <= alpha and pair.is_deterioration:
        return Word.WORSE
    return Word.NO_EVIDENCE


def _evidence(pair: Pair, word: Word, level: float, compared: int) -> str:
    if pair.why_not:
        return f"{pair.why_not[0].upper()}{pair.why_not[1:]}."
    paired = "paired cases" if pair.is_paired else "cases, none of them on both sides"
    if word is Word.TOO_FEW:
        return f"{pair.cases} {paired}; fewer than {pair.needs} cannot show a difference, whatever they say."
    interval = "" if math.isnan(pair.low) else f", {100 * level:g} % interval {span(pair.metric, pair.low, pair.high)}"
    p = p_value(pair.p_adjusted) + (f", adjusted for {compared} comparisons" if compared > 1 else "")
    if word is Word.EQUIVALENT:
        p = f"{p_value(pair.p_equivalent_adjusted)} that the difference lies beyond the margin"
    return f"{effect(pair.metric, pair.estimate)}{interval} ({pair.test}, {p}, {pair.cases} {paired})."


def effect(metric: Metric, value: float) -> str:
    """Return the effect of b against a.

    Examples
    --------
    >>> from agenttrace_nb.analysis.comparison.metrics import metrics_of
    >>> success, latency = metrics_of(("success", "latency"), ["success", "latency_s"], ())
    >>> effect(success, 0.125), effect(latency, 0.8)
    ('+12.5 points', '−20.0 %')
    """
    return "unknown" if math.isnan(value) else f"{_number(metric, value)}{_unit(metric)}"


def span(metric: Metric, low: float, high: float) -> str:
    """Return an interval of effects."""
    if math.isnan(low) or math.isnan(high):
        return "none"
    return f"{_number(metric, low)} to {_number(metric, high)}{_unit(metric)}"


def p_value(p: float) -> str:
    """Return a p-value.

    Examples
    --------
    >>> p_value(0.04), p_value(0.00002)
    ('p = 0.040', 'p < 0.001')
    """
    return "p unknown" if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"  # noqa: PLR2004


def _unit(metric: Metric) -> str:
    return {Scale.RATE: " points", Scale.DIFFERENCE: ""}.get(metric.scale, " %")


def _number(metric: Metric, value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if metric.scale is Scale.DIFFERENCE:
        text = f"{value:+.3g}"
    else:
        share = value if metric.scale is Scale.RATE else value - 1
        text = f"{100 * share:+.1f}" if abs(share) < 10 else f"{100 * share:+.0f}"  # noqa: PLR2004 - a thousand percent
    return "0" + text[2:] if float(text) == 0 else text.replace("-", "−")
