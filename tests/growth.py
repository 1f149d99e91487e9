"""How work grows with what it is given: a ratio of CPU times, which a busy machine changes little."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = TypeVar("Given")

LINEAR = 2.5
"""What is given four times as much may take so many times four times as long: twice is noise, four times is squared."""


def cpu_s(work: Callable[[Given], object], given: Given, *, rounds: int = 2) -> float:
    """Return the CPU seconds of this thread that work takes at least."""
    least = float("inf")
    for _ in range(rounds):
        gc.collect()
        began = time.thread_time()
        work(given)
        least = min(least, time.thread_time() - began)
    return least


def growth(work: Callable[[Given], object], small: Given, large: Given) -> float:
    """Return how many times as long work takes with the larger one."""
    return cpu_s(work, large) / max(cpu_s(work, small), 1e-4)
