"""Every scenario with every kind of model: the recorded tree is the golden one, each step once."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from bench import tree
from bench.scenarios import SCENARIOS
from bench.scenarios.registry import run

from capture.recording import recording, rows, settle

if TYPE_CHECKING:
    from pathlib import Path

    from bench.models import Kind

CASES = [
    pytest.param(one, kind, id=f"{name}-{kind.value}")
    for name, one in SCENARIOS.items()
    for kind in sorted(one.kinds, key=lambda k: k.value)
]


@pytest.mark.parametrize(("one", "kind"), CASES)
async def test_the_recorded_tree_is_the_golden_one(one: object, kind: Kind, tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        await run(one, kind)
        gc.collect()
        await settle()
        assert rec.notes == []
    problem = tree.difference(one.golden(kind), tree.build(rows(rec.traces)))
    assert not problem, problem
