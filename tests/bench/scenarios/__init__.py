"""All scenarios: importing this package fills :data:`SCENARIOS`.

Examples
--------
>>> import asyncio
>>> from bench.models import Kind
>>> asyncio.run(run(SCENARIOS["triage_with_handoffs"], Kind.BARE)).final_output
'Your refund is on its way.'

What a recording of it has to look like is ``one.golden(kind)``, compared by :func:`bench.tree.difference`, and
``one.expected(kind)``.
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
