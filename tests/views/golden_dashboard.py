"""The golden files that hold the dashboard's figures in Python and in TypeScript together.

Two frames, and the figures of what they hold together. Written anew by ``python -m views.golden_dashboard`` (with
``PYTHONPATH=tests``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from views.sample_dashboards import HOUR_MS, NOW_MS, FixedFeed, feed, hours

from agenttrace_nb.analysis.monitor import Standing, Stretch, figures
from agenttrace_nb.analysis.monitor_groups import BY, groups, series

FOLDER = Path(__file__).parents[1] / "golden" / "views"
RUNS = 320
STRETCHES = {
    "20m": Stretch(NOW_MS - HOUR_MS / 3, NOW_MS + 1),
    "1h": Stretch(NOW_MS - HOUR_MS, NOW_MS + 1),
    "all": Stretch(),
    "none": Stretch(NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS),
}


def frames() -> tuple[list[bytes], FixedFeed]:
    """Two hours of runs in one frame; then runs that ended and a run that is known better, in another."""
    runs = hours(count=RUNS, failing=0.9)
    made = feed(runs, rules=())
    made.key = "dgolden"
    first = made.patch() or b""
    flying = [run for run in runs if run.standing is Standing.RUNNING]
    made.take([replace(flying[0], standing=Standing.OK, took_s=2.5), replace(runs[7], cost_usd=0.5, name="renamed")])
    made.take([replace(runs[0], trace_id="f" * 32, start_ms=NOW_MS - 500, arch="new \u202e<b>arch</b>")])
    return [first, made.patch() or b""], made


def expected(of: Any) -> dict[str, Any]:
    """The figures, groups and bins of each stretch."""
    return {
        name: {
            "figures": _figures(of, stretch),
            "groups": {by: [asdict(group) for group in groups(of, by, stretch)] for by in BY},
            "series": [series(of, stretch, NOW_MS)[0], [bin_._asdict() for bin_ in series(of, stretch, NOW_MS)[1]]],
        }
        for name, stretch in STRETCHES.items()
    }


def _figures(of: Any, stretch: Stretch) -> dict[str, Any]:
    found = asdict(figures(of, stretch, NOW_MS))
    latency = found.pop("latency")
    return found | {"latency": [q[0] for q in latency.values()], "latency_of": next(q[1] for q in latency.values())}


def files() -> dict[str, bytes]:
    """All golden files, by name."""
    (first, second), made = frames()
    text = json.dumps(expected(made.board), indent=1, ensure_ascii=True, allow_nan=True).replace("NaN", "null")
    return {"dashboard.bin": first, "dashboard_patch.bin": second, "dashboard.json": f"{text}\n".encode()}


if __name__ == "__main__":
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
        print(f"{name}: {len(data):,} bytes")
