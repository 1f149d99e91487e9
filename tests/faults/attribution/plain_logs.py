"""Faults put into recorded conversations that are plain logs: nothing but messages, of domains no rule was made with.

Where the agent had asked for something, the log is changed from there on: what follows is the fault and an apology.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import tau2
from faults.attribution import faults

from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agenttrace_nb.analysis.failures.attribution import Attribution
    from agenttrace_nb.analysis.failures.findings import Side

FAULTS = ("soft_error", "empty_output", "invented_id", "call_loop")
_LOOPS = 4
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """A conversation with one fault: its side, and the rows in which it lies."""

    fault: str
    trace: Trace
    side: Side
    rows: frozenset[int]

    def judged(self, said: Attribution) -> tuple[bool, bool]:
        """Return whether side and span are right."""
        if said.top is None:
            return False, False
        span = next(s for s in self.trace.spans if s.span_id == said.top.span_id)
        return said.top.side is self.side, span.attributes.get("row") in self.rows


def faulty(simulations: Iterable[tau2.Simulation]) -> list[Log]:
    """Return each conversation that went well with each fault that fits it."""
    found = []
    for number, simulation in enumerate(s for s in simulations if s.passed):
        rows = tau2.rows(simulation)
        for fault in FAULTS:
            log = _with_fault(fault, rows, simulation.name, random.Random(f"{number}/{fault}"))
            if log is not None:
                found.append(log)
    return found


def _with_fault(fault: str, rows: list[Row], name: str, rng: random.Random) -> Log | None:
    places = [at for at, row in enumerate(rows) if row["role"] == "tool" and _asks(rows, at) is not None]
    if fault == "invented_id":
        places = [at for at in places if _identifier(_asks(rows, at)) is not None]
    if not places:
        return None
    at = rng.choice(places)
    kept = copy.deepcopy(rows[: at + 1])
    asks, call = _asks(kept, at), kept[at]
    where = {at}
    if fault == "soft_error":
        call["content"] = rng.choice(faults.SOFT_ERRORS)
    elif fault == "empty_output":
        call["content"] = rng.choice([text for text in faults.EMPTY if text is not None])
    elif fault == "invented_id":
        _invent(asks, rng)
        call["content"] = rng.choice(faults.MISSING).format(key=_identifier(asks))
        where.add(at - 1)
    else:
        for n in range(_LOOPS):
            again = copy.deepcopy([row for row in kept if asks_for(row, call["tool_call_id"])] + [call])
            for row in again:
                _renumber(row, call["tool_call_id"], f"again-{n}")
            kept += again
        where = set(range(at - 1, len(kept)))
    kept.append({"role": "assistant", "agent": tau2.AGENT, "content": rng.choice(faults.APOLOGIES)})
    trace = Trace.from_messages(kept, name=f"{name}/{fault}")
    return Log(fault, trace, faults.SIDES[fault], frozenset(where))


def asks_for(row: Row, call_id: str) -> bool:
    """Whether a message asks for a call."""
    return any(call["id"] == call_id for call in row.get("tool_calls") or ())


def _asks(rows: list[Row], at: int) -> Row | None:
    """Return the function that a result answers, if the message just before asked for it alone."""
    before = rows[at - 1].get("tool_calls") or ()
    return before[0]["function"] if len(before) == 1 and before[0]["id"] == rows[at]["tool_call_id"] else None


def _identifier(function: Row | None) -> str | None:
    """Return the name of an argument that is an identifier: letters and digits, not words."""
    arguments = json.loads(function["arguments"]) if function is not None else {}
    return next((k for k, v in arguments.items() if isinstance(v, str) and _is_identifier(v)), None)


def _is_identifier(text: str) -> bool:
    return " " not in text and any(map(str.isdigit, text)) and any(map(str.isalpha, text)) and "@" not in text


def _invent(function: Row | None, rng: random.Random) -> None:
    assert function is not None
    arguments, name = json.loads(function["arguments"]), _identifier(function)
    arguments[name] = "".join(
        rng.choice("QXZJKVW") if c.isalpha() and c.isupper() else rng.choice("qxzjkvw") if c.isalpha()
        else rng.choice("0123456789") if c.isdigit() else c
        for c in arguments[name]
    )  # fmt: skip
    function["arguments"] = json.dumps(arguments)


def _renumber(row: Row, old: str, new: str) -> None:
    if row["role"] == "tool":
        row["tool_call_id"] = new
    for call in row.get("tool_calls") or ():
        if call["id"] == old:
            call["id"] = new
