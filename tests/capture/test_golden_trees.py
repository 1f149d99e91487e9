"""Every scenario with every kind of model: the recorded tree is the golden one, each step once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench import tree
from bench.scenarios import CASE_IDS, CASES, run

from capture.recording import completed, recording, rows

if TYPE_CHECKING:
    from pathlib import Path

    from bench.models import Kind
    from bench.scenarios import Scenario


@pytest.mark.parametrize(("one", "kind"), CASES, ids=CASE_IDS)
async def test_the_recorded_tree_is_the_golden_one(one: Scenario, kind: Kind, tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        await run(one, kind)
        traces = await completed(rec)
    assert rec.notes == []
    assert len(traces) == one.traces
    assert not (problem := tree.difference(one.golden(kind), tree.without(tree.build(rows(traces)), ["memory"]))), (
        problem
    )
