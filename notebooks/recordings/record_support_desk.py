"""Write the recording that ``02_compare_architectures.ipynb`` plays back: ``recordings/support_desk.json``.

No language model is asked. Agents, tools and handoffs are real and run here; what their models say is made up below:
how often each architecture does the right thing, how long a call takes and how many tokens it uses. Run it again only
if the agents in ``support_desk.py`` change, since answers are found again by what was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from agents import Model, ModelProvider, ModelResponse, Usage
from agents.testing import assistant_message, function_call

import agenttrace_nb as at

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support_desk import ARCHITECTURES, CASES, desk

RECORDING = Path(__file__).resolve().parent / "support_desk.json"
RIGHT = {"single": 0.45, "planner-executor": 0.9, "team": 0.6}
"""Chance of the right action for a customer of middling difficulty."""
SECONDS = {"gpt-4o-mini": 0.8, "gpt-4o": 1.3}


def action_of(arch: str, case: dict[str, str]) -> str:
    """Return what an architecture does to an order: the right thing, or what a customer might talk it into."""
    hard = random.Random(case["order"]).uniform(-0.25, 0.25)  # noqa: S311
    if random.Random(arch + case["order"]).random() < RIGHT[arch] + hard:  # noqa: S311
        return case["action"]
    return {"reship": "refund", "refund": "reship", "refuse": "refund"}[case["action"]]


class Scripted(Model, ModelProvider):
    """Every model of one architecture."""

    def __init__(self, arch: str) -> None:
        self.arch = arch

    def get_model(self, model_name: str | None) -> Model:
        """Return itself under any name."""
        return self

    async def get_response(self, *args: Any, **asked: Any) -> ModelResponse:
        """Answer as the script has it; the SDK gives everything by name."""
        question, tools, handoffs = asked["input"], asked["tools"], asked["handoffs"]
        items = question if isinstance(question, list) else [{"role": "user", "content": question}]
        case = next(case for case in CASES.values() if case["order"] in str(items[0]["content"]))
        called = [item["name"] for item in items if item.get("type") == "function_call"]
        said = self._next(case, called, {tool.name for tool in tools} | {handoff.tool_name for handoff in handoffs})
        usage = Usage(requests=1, input_tokens=80 + len(json.dumps(items)) // 3, output_tokens=20 + len(str(said)) // 4)
        usage.total_tokens = usage.input_tokens + usage.output_tokens
        return ModelResponse(output=[said], usage=usage, response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        """Not played here."""
        raise NotImplementedError

    def _next(self, case: dict[str, str], called: list[str], tools: set[str]) -> Any:
        order, action = {"order": case["order"]}, action_of(self.arch, case)
        steps = [("get_order", order), ("read_policy", {"topic": case["kind"]})]
        if self.arch == "team":
            steps.append(("transfer_to_parcels" if action == "reship" else "transfer_to_money", {}))
        else:
            steps.append(("transfer_to_executor", {}))
        steps.append((action, order))
        for name, arguments in steps:
            if name in tools and name not in called:
                return function_call(name, arguments, call_id=f"call_{len(called)}")
        return assistant_message(f"About {case['order']}: {'nothing can be done' if action == 'refuse' else action}.")


async def record() -> list[at.Trace]:
    """Serve every customer with every architecture; return the traces."""
    found: list[at.Trace] = []
    for arch in ARCHITECTURES:
        serve = desk(arch, Scripted(arch))
        for case in CASES.values():
            with at.trace(arch=arch, live=False) as run:
                await serve(case)
            found += run.traces
    return found


def with_times(path: Path) -> None:
    """Give every call of a recording the model, the time and so the cost that its agent would have had."""
    recording = json.loads(path.read_text("utf-8"))
    dice = random.Random(11)  # noqa: S311
    for call in recording["calls"]:
        call["model"] = "gpt-4o" if call["agent"] == "Planner" else "gpt-4o-mini"
        call["duration_s"] = round(SECONDS[call["model"]] * dice.lognormvariate(0, 0.35), 3)
    path.write_text(json.dumps(recording, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> None:
    """Write the recording."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"AGENTTRACE_MLFLOW": "off", "AGENTTRACE_STATE_DIR": folder}
        traces = asyncio.run(record())
        at.save_recording(traces, RECORDING)
    with_times(RECORDING)
    print(f"{RECORDING.name}: {RECORDING.stat().st_size:,} bytes, {len(traces)} traces")


if __name__ == "__main__":
    main()
