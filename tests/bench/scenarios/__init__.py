"""All scenarios: importing this package fills :data:`SCENARIOS`.

outcome = await run(SCENARIOS["triage_with_handoffs"], Kind.RESPONSES)
"""

from __future__ import annotations

from bench.scenarios import extras, flows, limits, state, streams, tools
from bench.scenarios.registry import ALL, SCENARIOS, Expected, Outcome, Scenario, play, run

__all__ = [
    "ALL",
    "CASES",
    "CASE_IDS",
    "SCENARIOS",
    "Expected",
    "Outcome",
    "Scenario",
    "extras",
    "flows",
    "limits",
    "play",
    "run",
    "state",
    "streams",
    "tools",
]

CASES = [(one, kind) for one in SCENARIOS.values() for kind in sorted(one.kinds, key=lambda kind: kind.value)]
"""Each scenario with each kind of model it applies to: the list to parametrise tests with."""

CASE_IDS = [f"{one.name}-{kind.value}" for one, kind in CASES]
