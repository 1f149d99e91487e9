"""Write ``quickstart.json``: the answers that the quickstart's model plays back.

There is no model behind them: they were written for the tutorial, and stand below. This program runs the notebook's
own team on them and records what the agents asked and were answered, so that the questions are those of the real SDK.
Run it again when the team in the notebook changes::

    python notebooks/recordings/record_quickstart.py
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import nbformat
from agents import Agent, Runner
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from agents.usage import Usage

import agenttrace_nb as at

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE.parent / "01_quickstart.ipynb"
RECORDING = HERE / "quickstart.json"

# In the order in which the agents ask: input and output tokens, seconds, and the answer.
ANSWERS: list[tuple[int, int, float, list[Any]]] = [
    (212, 14, 0.5, [function_call("transfer_to_rebooking", {}, call_id="call_1")]),
    (391, 19, 0.5, [function_call("get_booking", {"code": "K4XQ7P"}, call_id="call_2")]),
    (
        478,
        61,
        0.8,
        [
            function_call(
                "find_flights", {"origin": "SFO", "destination": "JFK", "day": "2025-06-12"}, call_id="call_3"
            ),
            function_call(
                "ask_policy", {"input": "What does it cost to rebook after we cancelled a flight?"}, call_id="call_4"
            ),
        ],
    ),
    (118, 17, 0.4, [function_call("read_policy", {"topic": "cancellation by the airline"}, call_id="call_5")]),
    (164, 23, 0.5, [assistant_message("It is free, and the traveller gets a voucher of $100.")]),
    (
        604,
        30,
        0.6,
        [function_call("book_seat", {"code": "K4XQ7P", "flight": "HAT204", "seat": "14A"}, call_id="call_6")],
    ),
    (
        662,
        30,
        0.5,
        [function_call("book_seat", {"code": "K4XQ7P", "flight": "HAT204", "seat": "15F"}, call_id="call_7")],
    ),
    (
        719,
        44,
        0.8,
        [
            assistant_message(
                "You are on HAT204 at 11:40, window seat 15F. The change is free, "
                "and a voucher of $100 is on its way to you."
            )
        ],
    ),
]


def scripted_model() -> ScriptedModel:
    """Return a model that gives the answers above, one after the other."""
    return ScriptedModel(
        [
            ModelStep(
                output=output, usage=Usage(requests=1, input_tokens=got, output_tokens=gave, total_tokens=got + gave)
            )
            for got, gave, _, output in ANSWERS
        ]
    )


def cell(name: str) -> str:
    """Return the source of a cell of the quickstart."""
    return next(c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.id == name)


def names_of(source: str, **names: Any) -> dict[str, Any]:
    """Run a cell with some names given, also where it would make them itself."""
    lines = [line for line in source.splitlines() if not line.startswith(tuple(f"{name} =" for name in names))]
    exec("\n".join(lines), names)  # noqa: S102 - our own notebook
    return names


def main() -> None:
    """Record the team of the quickstart on the answers above."""
    team = names_of(cell("team"), model=scripted_model())
    triage: Agent[Any] = team["triage"]
    question = cell("run").partition('"')[2].partition('"')[0]
    with at.trace(arch="triage", live=False) as run:
        asyncio.run(Runner.run(triage, question))
    at.save_recording(run.traces, RECORDING)
    give_durations()


def give_durations() -> None:
    """Put the seconds above into the file: a script answers at once."""
    from agenttrace_nb.replay.recording import read_recording, write_recording

    calls = read_recording(RECORDING)
    timed = [
        dataclasses.replace(call, model="gpt-4o-mini", duration_s=seconds)
        for call, (_, _, seconds, _) in zip(calls, ANSWERS, strict=True)
    ]
    write_recording(timed, RECORDING)


if __name__ == "__main__":
    main()
