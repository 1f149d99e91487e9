"""What `compare` says over thousands of simulated studies whose truth is known (``make stats``).

    python -m benchmarks.simulations [--studies 2000] [--minutes 10] [--only "100 cases"]

*False verdicts*: of studies in which nothing differs, how many get a verdict of better or worse by any of four metrics.
The level is 5 % for all that is shown together. *Coverage*: how many of the 95 % intervals hold what was put in.

Each line is a share of so many studies, with its Monte Carlo error (one standard error). It fails

- where there are more false verdicts than a true level of 5 % gives once in a thousand times (binomial);
- where coverage is not from 93 to 97 %. A share of so many studies may lie outside by chance: a line fails where its
  99 % interval (Wilson) lies wholly outside. With 2,000 studies an interval that covers in just 93 % fails once in 200
  times, one that covers in 90 % nearly always.

The time is shared out evenly. A line whose time is used up has fewer studies, and its error says so.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.stats import binom
from tqdm import tqdm

from agenttrace_nb.analysis.statistics.proportions import wilson
from benchmarks.isolated import close, table

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from analysis import simulated  # noqa: E402 - the tests' modules are found only now

BATCH = 20
LEAST = 200
LEVEL, BY_CHANCE = 0.05, 0.001
LOW, HIGH, SURE = 0.93, 0.97, 0.99


def lines() -> dict[str, Callable[[int], dict[str, bool]]]:
    """Return what is counted: for each kind of study a function of the seed, which says what was found by name."""
    found: dict[str, Callable[[int], dict[str, bool]]] = {
        f"false verdicts, {kind}": partial(false_claim, kind) for kind in simulated.NULLS
    }
    found["false sameness"] = false_sameness
    return found | {f"coverage, {kind}": partial(simulated.covers, of) for kind, of in simulated.SHIFTED.items()}


def false_claim(kind: str, seed: int) -> dict[str, bool]:
    """Return whether anything is claimed where nothing differs."""
    return {"": simulated.false_claim(kind, seed)}


def false_sameness(seed: int) -> dict[str, bool]:
    """Return whether a difference as large as the margin is called equivalent."""
    return {"": simulated.false_sameness(seed)}


def counted(says: Callable[[int], dict[str, bool]], seeds: range) -> Counter[str]:
    """Count what is said over these seeds."""
    return Counter(name for seed in seeds for name, said in says(seed).items() if said)


def studied(
    pool: ProcessPoolExecutor, name: str, says: Callable[[int], dict[str, bool]], studies: int, seconds: float
) -> tuple[Counter[str], int]:
    """Return how often each thing was said, and in how many studies, within the time."""
    found: Counter[str] = Counter()
    done, until = 0, time.monotonic() + seconds
    at_once = BATCH * (os.cpu_count() or 1)
    with tqdm(total=studies, desc=name, unit="study", leave=False) as bar:
        while done < studies and (done < LEAST or time.monotonic() < until):
            ends = range(done, min(done + at_once, studies), BATCH)
            for part in pool.map(partial(counted, says), [range(a, min(a + BATCH, studies)) for a in ends]):
                found += part
            bar.update(min(done + at_once, studies) - done)
            done = min(done + at_once, studies)
    return found, done


def is_allowed(name: str, hits: int, studies: int) -> bool:
    """Tell whether a share may come of what is promised."""
    if name.startswith("coverage"):
        low, high = wilson(hits, studies, SURE)
        return low <= HIGH and high >= LOW
    return bool(binom.sf(hits - 1, studies, LEVEL) > BY_CHANCE)


def main() -> int:
    """Print the table; return 1 if a line fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", default="", help="lines whose names hold this text")
    given = parser.parse_args()
    rows: list[list[Any]] = []
    missed: list[str] = []
    wanted = {name: says for name, says in lines().items() if given.only in name}
    if not wanted:
        parser.error(f"--only {given.only!r} names none of: {', '.join(lines())}")
    end = time.monotonic() + 60 * given.minutes
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for at, (name, says) in enumerate(wanted.items()):
            share_s = (end - time.monotonic()) / (len(wanted) - at)
            found, studies = studied(pool, name, says, given.studies, share_s)
            for part in simulated.COVERED if name.startswith("coverage") else ("",):
                line = f"{name}, {part}" if part else name
                rate = found[part] / studies
                fine = is_allowed(line, found[part], studies)
                missed += [] if fine else [line]
                error = math.sqrt(max(rate * (1 - rate), 1 / studies) / studies)
                rows.append([line, f"{100 * rate:.2f} %", f"{100 * error:.2f}", studies, "" if fine else "NOT ALLOWED"])
    table(["", "share", "± points", "studies", ""], rows)
    close("simulations", {row[0]: row[1] for row in rows})
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
