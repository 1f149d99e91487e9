"""Golden trees are read strictly, and a recorded tree that differs is seen."""

from __future__ import annotations

import pytest

from bench.models import Kind
from bench.scenarios import registry
from bench.tree import build, difference, parse, render

TREE = """\
workflow "Agent workflow" error
  agent Triage ok
    turn 1 ok
      ~ llm gpt-4o ok
      ~ guardrail no swearing ok
      + handoff Triage → Refunds ok
  agent Refunds error
"""


def test_golden_text_is_read_with_names_agents_and_marks():
    (root,) = parse(TREE)
    nodes = {node.kind: node for node in root.walk()}
    assert (root.name, root.agent, [child.name for child in root.children]) == (
        "Agent workflow",
        None,
        ["Triage", "Refunds"],
    )
    assert (nodes["guardrail"].name, nodes["guardrail"].agent, nodes["guardrail"].any_order) == (
        "no swearing",
        "Triage",
        True,
    )
    assert (nodes["handoff"].name, nodes["handoff"].beyond_sdk) == ("Triage → Refunds", True)
    assert render([root]) == TREE.replace("~ ", "").replace("+ ", "")


@pytest.mark.parametrize(
    "line", ["agent Triage fine", "agent ok", "   agent Triage ok", "workflow X ok\n    agent Deep ok", "agent  ok?"]
)
def test_golden_text_with_a_bad_line_is_refused(line):
    with pytest.raises(ValueError, match="not a line of a golden tree"):
        parse(line)


ROWS = [
    ("t", None, "workflow", "Agent workflow", None, "error"),
    ("a", "t", "agent", "Triage", "Triage", "ok"),
    ("1", "a", "turn", "1", "Triage", "ok"),
    ("g", "1", "guardrail", "no swearing", "Triage", "ok"),
    ("l", "1", "llm", "gpt-4o", "Triage", "ok"),
    ("h", "1", "handoff", "Triage → Refunds", "Triage", "ok"),
    ("b", "t", "agent", "Refunds", "Refunds", "error"),
]


def test_recorded_tree_equals_the_golden_one_in_any_order_it_allows():
    assert difference(TREE, build(ROWS)) == ""


@pytest.mark.parametrize(
    ("changed", "shows"),
    [
        (ROWS[:-1], "-  agent Refunds error @Refunds"),
        ([*ROWS, ("x", "b", "tool", "add", "Refunds", "ok")], "+    tool add ok @Refunds"),
        ([*ROWS[:4], ("l", "1", "llm", "gpt-4o", "Triage", "error"), *ROWS[5:]], "+      llm gpt-4o error @Triage"),
        ([*ROWS[:4], ("l", "1", "llm", "gpt-4o", "Refunds", "ok"), *ROWS[5:]], "+      llm gpt-4o ok @Refunds"),
        ([*ROWS[:4], ("l", "a", "llm", "gpt-4o", "Triage", "ok"), *ROWS[5:]], "+    llm gpt-4o ok @Triage"),
        ([ROWS[0], ROWS[-1], *ROWS[1:-1]], "+  agent Refunds error @Refunds"),
        ([*ROWS[:4], ("l", "gone", "llm", "gpt-4o", "Triage", "ok"), *ROWS[5:]], "+llm gpt-4o ok @Triage"),
    ],
    ids=["missing", "one too many", "status", "agent", "parent", "order", "orphan"],
)
def test_recorded_tree_that_differs_is_shown(changed, shows):
    assert shows in difference(TREE, build(changed)).splitlines()


def test_golden_lines_can_hold_for_some_kinds_only():
    text = "workflow W ok\n  [RC] llm MODEL ok\n  [E] llm MODEL error\n"
    assert registry.for_kind(text, Kind.CHAT) == "workflow W ok\n  llm gpt-4o-mini ok\n"
    assert registry.for_kind(text, Kind.BARE) == "workflow W ok\n"
    assert registry.for_kind(text, Kind.SCRIPTED) == "workflow W ok\n  llm ScriptedModel error\n"
