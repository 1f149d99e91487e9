"""The same runs under the official instrumentations and under ours: equal but for the differences that are listed.

OpenTelemetry's own instrumentation of the Agents SDK and OpenInference's play the same scenarios in an environment of
their own (``tests/interop/get_servers oracles``). What differs, and why, is in ``docs/semantic-conventions.md``.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from bench.models import Kind
from export.recorded_items import items_of
from interop.servers import ROOT, program

from agenttrace_nb.export import genai, openinference
from agenttrace_nb.export.handler import Content
from agenttrace_nb.export.otlp_span import Lineage, OtelSpan, Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCENARIOS = (
    "single_agent_with_tool", "parallel_tools", "triage_with_handoffs", "agents_as_tools", "tool_raises",
    "guardrails_pass", "input_guardrail_trips", "model_429", "named_workflow",
)  # fmt: skip
ENDS_IN_AN_ERROR = ("input_guardrail_trips", "model_429")

Row = tuple[str, str | None]
Span = dict[str, Any]


def played(which: str) -> dict[str, list[Span]]:
    words = [program("python", "oracles"), "-m", "interop.play_instrumented", which, *SCENARIOS]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OPENAI_AGENTS_DISABLE_TRACING": "0"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def opentelemetry() -> dict[str, list[Span]]:
    return played("opentelemetry")


@pytest.fixture(scope="module")
def openinference_s() -> dict[str, list[Span]]:
    return played("openinference")


async def ours(name: str, folder: Path, convention: Any, turns: Turns) -> list[Span]:
    """Return what we make of a scenario, in the form of the others."""
    lineage = Lineage(turns)
    placed = [(i, lineage.place(i, i.span)) for i in await items_of(name, folder, Content.FULL, Kind.RESPONSES)]
    return [_as_data(convention.to_otel(i, i.span, place, Content.FULL)) for i, place in placed if place is not None]


def _as_data(span: OtelSpan) -> Span:
    status = "ERROR" if span.failed else "OK" if span.says_ok else "UNSET"
    kind = "CLIENT" if span.is_client else "INTERNAL"
    return {
        "id": span.span_id, "parent": span.parent_id, "name": span.name, "kind": kind, "status": status,
        "attributes": span.attributes,
    }  # fmt: skip


def without(spans: list[Span], is_left_out: Callable[[Span], bool]) -> list[Span]:
    """Leave spans out; what hung under them hangs under what they hung under."""
    by_id = {span["id"]: span for span in spans}

    def above(span: Span) -> str | None:
        parent = by_id.get(span["parent"])
        return span["parent"] if parent is None or not is_left_out(parent) else above(parent)

    return [{**span, "parent": above(span)} for span in spans if not is_left_out(span)]


def tree(spans: list[Span]) -> list[Row]:
    """Return name and parent's name of all spans; what runs side by side begins in any order."""
    names = {span["id"]: span["name"] for span in spans}
    return sorted(((span["name"], names.get(span["parent"])) for span in spans), key=repr)


def matched(theirs: list[Span], own: list[Span]) -> list[tuple[Span, Span]]:
    """Pair the spans of two equal trees: by name and parent, and by what a tool was asked."""
    assert tree(theirs) == tree(own)

    def key(spans: list[Span]) -> Callable[[Span], str]:
        names = {span["id"]: span["name"] for span in spans}
        return lambda span: repr((span["name"], names.get(span["parent"]), _asked(span)))

    return list(zip(sorted(theirs, key=key(theirs)), sorted(own, key=key(own)), strict=True))


def _asked(span: Span) -> str:
    known = span["attributes"]
    asked = known.get("gen_ai.tool.call.arguments") or known.get("llm.output_messages.0.message.content")
    asked = asked or known.get("llm.token_count.prompt") or known.get("input.value") or ""
    return json.dumps(meant(asked), sort_keys=True)


def meant(value: Any) -> Any:
    """Return what JSON text says, so that blanks in it do not matter.

    Whether a tool's schema is strict is not recorded.
    """
    try:
        told = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if isinstance(told, dict) and isinstance(told.get("function"), dict):
        told["function"].pop("strict", None)
    return told


# ------------------------------------------------------------------------------------------------------ OpenTelemetry

# What the official instrumentation has no span for. Model calls it leaves to another one, of the OpenAI client.
ONLY_OURS = ("chat", "handoff ", "guardrail ", "tools/list")


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_tree_and_its_attributes_are_those_of_opentelemetry(
    name: str, opentelemetry: dict[str, list[Span]], tmp_path: Path
) -> None:
    all_of_ours = await ours(name, tmp_path, genai, Turns.FOLD)
    own = without(all_of_ours, lambda span: span["name"].startswith(ONLY_OURS))
    for theirs, mine in matched(opentelemetry[name], own):
        assert theirs["kind"] == mine["kind"]
        for attribute, value in theirs["attributes"].items():
            if attribute == "error.type":
                assert value == "_OTHER"  # and ours is the class of the exception
                assert mine["attributes"][attribute] != "_OTHER"
            else:
                assert meant(mine["attributes"][attribute]) == meant(value), attribute
        if theirs["status"] != mine["status"]:
            # A run that raised: with them its root, and an agent whose guardrail tripped, are not marked
            assert (theirs["status"], mine["status"], name in ENDS_IN_AN_ERROR) == ("UNSET", "ERROR", True)
            assert mine["name"].startswith(("invoke_workflow", "invoke_agent"))


# ------------------------------------------------------------------------------------------------------- OpenInference

ARGUED = {
    "llm.invocation_parameters": "the settings alone; theirs is the whole response",
    "input.value": "of a model call with the system's instructions",
    "output.value": "of a model call the items alone; theirs is the whole response. Of a tool always text",
    "llm.token_count.prompt_details.cache_write": "not recorded",
    "graph.node.parent_id": "not told: the handoffs beside it say who handed over",
}
"""Attributes that differ. They are listed in ``docs/semantic-conventions.md``."""


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_tree_and_its_attributes_are_those_of_openinference(
    name: str, openinference_s: dict[str, list[Span]], tmp_path: Path
) -> None:
    # The SDK's task says nothing that what it stands in does not say, and is not recorded.
    (root,) = [span["name"] for span in openinference_s[name] if span["parent"] is None]
    tasks = (root, "Agent workflow")
    their = without(openinference_s[name], lambda span: span["parent"] is not None and span["name"] in tasks)
    own = await ours(name, tmp_path, openinference, Turns.KEEP)
    for span in their:
        span["name"] = "generation" if span["name"] == "response" else span["name"]
    for theirs, mine in matched(their, own):
        differing = {
            attribute: (value, mine["attributes"].get(attribute))
            for attribute, value in theirs["attributes"].items()
            if meant(mine["attributes"].get(attribute)) != meant(value) and attribute not in ARGUED
        }
        # The text of an answer stands as the message's content; theirs repeats it among its contents.
        differing = {k: v for k, v in differing.items() if ".contents." not in k}
        # The functions by which the SDK lets a model hand over are no tools of the agent: not declared, so not listed.
        differing = {k: v for k, v in differing.items() if "Handoff to the" not in str(v)}
        if name == "parallel_tools":
            # Calls that the model made in one answer stand in one message; theirs has a message for each.
            differing = {k: v for k, v in differing.items() if not k.startswith("llm.input_messages.")}
        assert differing == {}, mine["name"]
