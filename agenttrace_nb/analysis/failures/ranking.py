"""From findings to causes: one for each place, the earliest that explains the rest first, each with its confidence."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.failures.confidence import Counts, confidence
from agenttrace_nb.analysis.failures.findings import Evidence, Finding, Standing
from agenttrace_nb.analysis.failures.rules import FINDERS, RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agenttrace_nb.analysis.failures.story import Story

MOST_PER_RULE = 50
LIKELY = 0.5
"""From here on a finding is called the cause; below it is only mentioned."""

_ORDER = {rule: place for place, rule in enumerate(RULES)}
_log = logging.getLogger("agenttrace_nb")


@dataclass(slots=True, frozen=True)
class Ranked:
    """A finding and how likely it is the cause of the failure."""

    finding: Finding
    confidence: float


def find(story: Story) -> tuple[list[Finding], list[str]]:
    """Apply every rule; return what they found, one finding for each span, and which rules could not be applied."""
    found: list[Finding] = []
    problems: list[str] = []
    for finder in FINDERS:
        try:
            found += islice(finder(story), MOST_PER_RULE)
        except Exception as error:  # noqa: BLE001 - a strange trace must not take the other rules' word away
            _log.debug("rule %s", finder.__name__, exc_info=True)
            problems.append(f"the rule {finder.__name__} could not be applied: {type(error).__name__}: {error}")
    return merged(found), problems


def merged(found: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each span, in order of time: the one that says most, with what the others saw."""
    by_span: dict[str, list[Finding]] = {}
    for finding in found:
        by_span.setdefault(finding.span.span_id, []).append(finding)
    return sorted((_one(its) for its in by_span.values()), key=lambda f: f.at)


def _one(its: Sequence[Finding]) -> Finding:
    best, *others = sorted(its, key=lambda f: (f.standing is Standing.RECOVERED, _ORDER[f.rule]))
    if not others:
        return best
    standing = Standing.FATAL if any(f.standing is Standing.FATAL for f in its) else best.standing
    more = [Evidence(f"also: {other.reason}", other.span.span_id) for other in others]
    return replace(best, standing=standing, evidence=(*best.evidence, *more))


def ranked(found: Sequence[Finding], counts: Counts | None = None) -> list[Ranked]:
    """Return findings with their confidence, the likeliest cause first.

    The cause is taken to be the first thing that really went wrong: each likely finding takes its share from those
    that come after it. What ended the run by itself comes before all else; what often follows from other errors comes
    last.
    """
    left, result = 1.0, []
    for finding in sorted(found, key=turn):
        alone = confidence(finding.rule, finding.standing, counts)
        result.append(Ranked(finding, alone * left))
        if alone >= LIKELY:
            left *= 1 - alone
    total = max(1.0, sum(r.confidence for r in result))
    scaled = [Ranked(r.finding, r.confidence / total) for r in result]
    return sorted(scaled, key=lambda r: -r.confidence)


def turn(finding: Finding) -> tuple[int, int]:
    """Return what findings are put in order by: what ended the run, then by time, then what mostly follows."""
    rule = RULES[finding.rule]
    ended_it = finding.standing is Standing.FATAL and rule.direct
    return (0 if ended_it else 2 if rule.follows else 1), finding.at
