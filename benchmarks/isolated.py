"""Each side of a comparison in a process of its own, with its own folder, database and journal."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULT = "result "
LIMIT_S = 600


def run_side(program: str, *arguments: str, nice: int = 0) -> dict[str, Any]:
    """Run ``python -m PROGRAM ARGUMENTS FOLDER`` in a new folder; return what it handed to `hand_back`.

    Raises
    ------
    RuntimeError
        If it fails; the message ends with what it printed last.
    """
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", program, *arguments, folder],
            cwd=ROOT,
            env=clean_environment(Path(folder)),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            preexec_fn=(lambda: os.nice(nice)) if nice else None,
        )
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(RESULT):
            return json.loads(line.removeprefix(RESULT))
    said = (done.stderr or done.stdout).strip().splitlines()[-40:]
    raise RuntimeError(f"{program} {' '.join(arguments)} gave no result (exit {done.returncode}):\n" + "\n".join(said))


def clean_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which everything is written into ``folder`` and nothing comes from the user's."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("MLFLOW_", "OPENAI_", "AGENTTRACE_"))}
    return kept | {
        "AGENTTRACE_STATE_DIR": str(folder / "journals"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def hand_back(result: dict[str, Any]) -> None:
    """Give the result of a side to `run_side`."""
    print(RESULT + json.dumps(result), flush=True)


def cpu_s() -> float:
    """Return the CPU seconds, user and system, of this process and all it started, whether they live or not."""
    import psutil

    used = own_cpu_s()
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used += times.user + times.system
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used + ended.ru_utime + ended.ru_stime


def own_cpu_s() -> float:
    """Return the CPU seconds, user and system, of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def end_children() -> None:
    """End what this process started and what still runs."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
            process.wait(10)
        except psutil.Error:
            continue


class Budget:
    """Says when no further round should begin, so that a program ends in time on a slow machine too."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._longest = 0.0
        self._mark = self._began

    def allows_another(self) -> bool:
        """Tell whether one more round, as long as the longest so far, fits; ask once before each round."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._mark)
        self._mark = now
        return now - self._began + self._longest < self._seconds


# ------------------------------------------------------------------------------------------------------- what is told


def median(rounds: list[dict[str, Any]], name: str) -> float:
    """Return the median of a figure over the rounds."""
    return statistics.median(float(one[name]) for one in rounds)


def ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], name: str) -> float:
    """Return the median of the ratios within each round: what disturbs the machine disturbs both sides of a round."""
    return statistics.median(a[name] / b[name] for a, b in zip(ours, theirs, strict=True))


def table(head: list[str], rows: list[list[Any]]) -> None:
    """Print a table: the first column to the left, numbers to the right."""
    texts = [head, *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in texts) for at in range(len(head))]
    for row in texts:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


NOISE = 1.25
"""How many times a figure that is known may come out in one run on one machine."""


def verdict(name: str, value: float, limit: float, *, known: float | None = None) -> bool:
    """Print whether a figure reaches its target, and whether it is worse than it is known to be; return the former.

    Parameters
    ----------
    name
        What it is.
    value, limit
        The figure, and its target.
    known
        What an idle machine gave, where the target is known to be missed.
    """
    reached = value <= limit
    said = "reached" if reached else "NOT reached"
    if known is None or reached:
        print(f"{name}: {value:.3g}, at most {limit:.3g}: {said}")
        return reached
    is_worse = value > known * NOISE
    said += f"; known to be {known:.3g}" + (", now WORSE" if is_worse else "")
    print(f"{name}: {value:.3g}, at most {limit:.3g}: {said}")
    return False


def close(program: str, figures: dict[str, Any]) -> None:
    """Print the line for programs: all figures as JSON, with how busy the machine was."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"benchmark": program, **rounded, "load": round(os.getloadavg()[0], 1), "cores": os.cpu_count()}))


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.2f}" if abs(cell) < 100 else f"{cell:.0f}"
    return "" if cell is None else str(cell)
