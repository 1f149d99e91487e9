"""What measuring a run costs: no heavy imports, and time that grows with the number of steps."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb.analysis.latency_savings import savings
from agenttrace_nb.analysis.latency_steps import TOP, critical_path, lay_out, self_times

if TYPE_CHECKING:
    from collections.abc import Callable


def test_measuring_a_run_for_a_view_loads_nothing_heavy() -> None:
    code = (
        "import sys, agenttrace_nb.analysis.latency_measure\n"
        "print([m for m in ('pandas', 'numpy', 'altair', 'mlflow', 'agents') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def flat(n: int) -> tuple[list[int], list[int], list[int]]:
    return [0, *range(n - 1)], [n, *range(1, n)], [TOP] + [0] * (n - 1)


def crowded(n: int) -> tuple[list[int], list[int], list[int]]:
    spread = random.Random(1)
    starts = sorted(spread.randrange(n) for _ in range(n - 1))
    return [0, *starts], [2 * n, *(s + spread.randrange(1, n) for s in starts)], [TOP] + [0] * (n - 1)


def deep(n: int) -> tuple[list[int], list[int], list[int]]:
    return list(range(n)), [2 * n - i for i in range(n)], list(range(-1, n - 1))


@pytest.mark.parametrize("shape", [flat, crowded, deep])
def test_the_work_grows_with_the_number_of_steps_not_with_its_square(shape: Any) -> None:
    def lines_run(n: int) -> int:
        tree = shape(n)
        groups = {("tool", str(i)): list(range(1 + i, n, 20)) for i in range(20)}

        def measure() -> None:
            steps = lay_out(*tree)
            self_times(steps)
            savings(steps, critical_path(steps), groups)

        return _count_lines(measure)

    assert lines_run(5_000) < 16 * lines_run(500)


def _count_lines(call: Callable[[], None]) -> int:
    """Count the lines of Python that run: the same on every machine, however busy."""
    count = 0

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count
