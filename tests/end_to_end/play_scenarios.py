"""A user's program: plays every scenario inside ``at.trace`` and ends without waiting for anything.

python -m end_to_end.play_scenarios INDEX [scenario ...]        (with PYTHONPATH=tests)

INDEX becomes a JSON list, one object for each block, in the order in which they were played.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents import set_trace_processors
from bench.scenarios import CASES, run

import agenttrace_nb as at

if TYPE_CHECKING:
    from bench.models import Kind
    from bench.scenarios import Scenario

EXPERIMENT = "scenarios"
TAGS = {"suite": "scenarios"}


async def settle() -> None:
    """Let what was cancelled or left alone come to its end, as it does in a kernel that goes on living."""
    for _ in range(20):
        await asyncio.sleep(0.002)


def play(one: Scenario, kind: Kind) -> dict[str, Any]:
    """Play one scenario in a block and on an event loop of its own; what it raises leaves the block."""
    traced = at.trace(arch=one.name, case=kind.value, experiment=EXPERIMENT, live=False, tags=TAGS)
    error: BaseException | None = None
    try:
        with traced, asyncio.Runner() as loop:
            outcome = loop.run(run(one, kind))
            gc.collect()
            loop.run(settle())
            if outcome.error is not None:
                raise outcome.error  # noqa: TRY301 - it must leave the block, as it does in a cell
            if one.answer is not None:
                traced.success = outcome.final_output == one.answer
    except BaseException as raised:
        if type(raised) is not one.raises:
            raise
        error = raised
    return {
        "scenario": one.name,
        "kind": kind.value,
        "key": traced.key,
        "trace_ids": [trace.trace_id for trace in traced.traces],
        "raised": error and type(error).__name__,
    }


def main(index: Path, wanted: list[str]) -> None:
    """Play all scenarios, or those that are named."""
    set_trace_processors([])  # the SDK's own exporter would look for a server elsewhere
    gc.freeze()  # collecting is then a matter of what the scenarios made
    index.write_text(json.dumps([play(one, kind) for one, kind in CASES if not wanted or one.name in wanted]), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
