"""The golden files that hold Python and TypeScript together.

Frames as `wire` writes them, beside what they must decode to, taken from the spans themselves; and figures with the
words that both sides must make of them. Written anew by ``python -m views.golden_frames`` (with ``PYTHONPATH=tests``).
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from views.bus_source import Recorded
from views.hostile import hostile_run
from views.sample_lists import small
from views.sample_runs import START_NS, planner_executor

from agenttrace_nb.analysis.latency_measure import timed
from agenttrace_nb.spans import SpanKind, Status
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.run_list import RunList

FOLDER = Path(__file__).parents[1] / "golden" / "views"
STEPS = (0.3, 0.4, 0.45, 0.5, 0.55, 0.9, 1.0)
SECONDS = (
    None,
    0,
    0.00004,
    0.0004,
    0.00096,
    0.004,
    0.0094,
    0.0096,
    0.064,
    0.64,
    9.999,
    12.3,
    59.99,
    60,
    102,
    3599.6,
    3720,
)
COUNTS = (None, 0, 7, 812, 999, 1000, 1234, 18200, 999_949, 999_950, 3_400_000)
GROUPED = (0, 812, 1034, 12345, 1_000_000)
COSTS = (None, 0, 0.00001, 0.0001, 0.00123, 0.0314, 0.09, 0.0999, 0.1, 0.9, 1.239, 12)


def figures() -> dict[str, list[list[Any]]]:
    """Values and the words for them."""
    return {
        "duration_ms": [[None if v is None else v * 1000, fmt.seconds(v)] for v in SECONDS],
        "count": [[v, fmt.count(v)] for v in COUNTS],
        "grouped": [[v, fmt.grouped(v)] for v in GROUPED],
        "usd": [[v, fmt.usd(v)] for v in COSTS],
    }


def whole_frame() -> tuple[bytes, dict[str, Any]]:
    """A run that is over, in one frame."""
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.pull(work_s=None)
    feed.measure()
    data = feed.patch()
    assert data is not None
    rows = [_row(feed, row) for row in range(len(feed.rows))]
    found = timed(feed.rows.spans)
    for row, own, critical in zip(rows, found.self_ns, found.critical_ns, strict=True):
        row |= {"self": None if own is None else own / 1e6, "critical": None if critical is None else critical / 1e6}
    return data, {"rows": rows, "title": feed.headline().title}


def live_frames() -> tuple[list[bytes], dict[str, Any]]:
    """A run as it goes on: one frame for each step, and what stands at the end."""
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + 1_000_000_000)
    frames = []
    for until in STEPS:
        recorded.play(until=until)
        feed.pull(work_s=None)
        frames.append(feed.patch() or b"")
    assert all(frames)
    return frames, {"rows": [_row(feed, row) for row in range(len(feed.rows))]}


def hostile_frame() -> bytes:
    """A run of hostile texts, with all content."""
    run, traces = hostile_run()
    feed = Feed(Finished(run, traces), keep_all=True)
    feed.pull(work_s=None)
    feed.measure()
    return feed.snapshot()


def _row(feed: Feed, row: int) -> dict[str, Any]:
    span = feed.rows.spans[row]
    parent = feed.rows.parents[row]
    return {
        "parent": parent,
        "kind": list(SpanKind).index(span.kind),
        "status": list(Status).index(span.status),
        "start": (span.start_ns - START_NS) / 1e6,
        "end": None if span.end_ns is None else (span.end_ns - START_NS) / 1e6,
        "name": span.name,
        "agent": span.agent or "",
        "role": span.role or "",
        "note": labels.note(feed.rows, row),
        "tokens_in": -1 if span.input_tokens is None else span.input_tokens,
        "cost": span.cost_usd,
        "input": span.input,
        "output": span.output,
        "error": span.error.type if span.error else None,
    }


def files() -> dict[str, bytes]:
    """All golden files, by name."""
    whole, expected = whole_frame()
    live, expected_live = live_frames()
    framed = [base64.b64encode(frame).decode() for frame in live]
    return {
        "whole.bin": whole,
        "whole.json": _json(expected),
        "live.json": _json({"frames": framed, **expected_live}),
        "hostile.bin": hostile_frame(),
        "figures.json": _json(figures()),
        "runs.bin": RunList(small()).frame(),
        "runs.json": _json([asdict(line) for line in RunList(small()).lines]),
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
        print(f"{name}: {len(data):,} bytes")
