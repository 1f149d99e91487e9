"""Time until the rows of a trace are on screen, in real JupyterLab and headless Chromium, against three rivals.

The same spans for all (`trace_view_sides.spans`): 1,000 to 100,000. For agenttrace_nb (``at.show(trace)``) and
``wigglystuff.TraceView`` the clock starts with the command to run the cell and stops with the frame after the first row
stands; both were shown once before. MLflow's notebook viewer is shown by a cell too; its clock stops when the trace's
name is seen in its frame. speedscope is a page: its clock starts with the request and stops with the drawn chart; all
comes from this machine, the page from the browser's cache.

*Live.* Spans recorded as fast as they come: CPU that the kernel spends on the view, bytes to the browser, and how long
after the end of the cell the last span is seen. Of TraceView the bytes are counted without being sent.

    python -m benchmarks.trace_view [--rounds 3] [--sizes 1000 10000 50000 100000] [--skip mlflow ...]

Rivals are fetched from PyPI and npm into a temporary folder; one that cannot be fetched is told and left out.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import ROOT, close, table, verdict
from benchmarks.trace_view_sides import rivals, spans
from benchmarks.trace_view_sides.lab import LIMIT_MS, Lab, lab_in_chromium

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

SIZES = (1_000, 10_000, 50_000, 100_000)
LARGEST_OF_MLFLOW = 10_000
LARGEST_OF_TRACE_VIEW = 50_000
IN_TURN = 10_000  # beyond, TraceView holds the page up for so long that its turn comes last
LIVE_SPANS = 10_000
COMPARED_SPANS = 3_000
ROWS = ".agtr-live [role=row] .agtr-label"
THEIR_ROWS = ".traceview .tv-span"
SETUP = """
import sys
sys.path.insert(0, {root!r}); sys.path.append({trace_view!r})
import agenttrace_nb as at
from benchmarks.trace_view_sides import spans, live
of = {{n: spans.trace(n) for n in {sizes!r}}}
"""
WATCHED = """
from benchmarks.trace_view_sides import live
taken = live.Taken()
taken.count_messages(send={send})
play = live.{side}({count}, taken)
"""
TOLD = "import json; taken.silent = True; print(json.dumps([taken.cpu_s, taken.messages, taken.bytes]))"
LAST_SEEN = """async ([text, limit]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content, run = window.jupyterapp.commands;
  notebook.activeCellIndex = 1; notebook.deselectAll();
  await run.execute("notebook:clear-cell-output");
  notebook.widgets[1].model.sharedModel.setSource("play()");
  const cell = notebook.widgets[1].node, frame = () => new Promise(requestAnimationFrame);
  const began = performance.now();
  let ended = -1, seen = -1;
  run.execute("notebook:run-cell").then(() => { ended = performance.now(); });
  while ((ended < 0 || seen < 0) && performance.now() - began < limit) {
    // When all of the run is there, its last row stands at the end of the tree.
    const tree = cell.querySelector(".agtr-dot.agtr-s-ok") && cell.querySelector("[role=treegrid]")?.parentElement;
    if (tree) tree.scrollTop = tree.scrollHeight;
    if (seen < 0 && [...cell.querySelectorAll("[role=row]")].some((row) => row.textContent.includes(text)))
      seen = performance.now();
    await frame();
  }
  return { lag: seen < 0 ? -1 : Math.max(0, seen - ended), took: ended - began };
}"""

Found = dict[str, dict[int, float]]


def rows_on_screen(lab: Lab, sizes: list[int], rounds: int, theirs: Path | None) -> tuple[Found, int, float]:
    """Return ms until rows are painted, of agenttrace_nb and TraceView in turn; nodes and end of our largest."""
    found: Found = {"agenttrace_nb": {}, "TraceView": {}}
    lab.timed("at.show(spans.trace(50))", ROWS)
    if theirs:
        lab.run("from wigglystuff import TraceView")
        lab.timed("TraceView(spans.for_trace_view(spans.trace(50)))", THEIR_ROWS)
    nodes, ended = 0, -1.0
    for size in sizes:
        ours: list[float] = []
        rival: list[float] = []
        with_rival = theirs is not None and size <= IN_TURN
        if with_rival:
            lab.run(f"given = spans.for_trace_view(of[{size}])")
        for _ in range(rounds if size <= IN_TURN else min(rounds, 2)):
            one = lab.timed(f"at.show(of[{size}])", ROWS)
            ours.append(one["rows"])
            nodes, ended = int(one["nodes"]), one["ended"]
            if with_rival:
                rival.append(lab.timed("TraceView(given)", THEIR_ROWS)["rows"])
        found["agenttrace_nb"][size] = _middle(ours)
        if rival:
            found["TraceView"][size] = _middle(rival)
        lab.run("given = None")
    return found, nodes, ended


def _middle(times: list[float]) -> float:
    return -1 if min(times) < 0 else statistics.median(times)


def speedscope(browser: Browser, folder: Path, sizes: list[int], rounds: int) -> dict[int, float]:
    """Return ms until speedscope has drawn each trace."""
    release = rivals.fetch_speedscope(folder)
    if release is None:
        return {}
    profiles = {size: spans.for_speedscope(spans.trace(size)) for size in sizes}
    return {size: statistics.median(rivals.speedscope_ms(browser, release, p, rounds)) for size, p in profiles.items()}


def mlflow(lab: Lab, folder: Path, sizes: list[int], rounds: int) -> dict[int, float]:
    """Return ms until MLflow's notebook viewer shows each trace; -1 where it never does."""
    from end_to_end.servers import TrackingServer

    found = {}
    with TrackingServer(folder) as server:
        for size in sizes:
            made = lab.value(
                f"from benchmarks.trace_view_sides import mlflow_side\nmlflow_side.told(of[{size}], {server.uri!r})"
            )
            lab.run(f"frame = mlflow_side.frame({made!r})")
            times: list[float] = []
            for _ in range(rounds):
                times.append(lab.until_text("frame", "notebook-trace-renderer", "Agent 0"))
                lab.timed("'between'", ".jp-OutputArea-output")
                if times[-1] < 0:
                    break
            found[size] = _middle(times)
    return found


def live(lab: Lab, theirs: Path | None) -> dict[str, float]:
    """Return what views take of spans that are recorded live."""
    found: dict[str, float] = {}
    for count in (COMPARED_SPANS, LIVE_SPANS):
        lab.run(WATCHED.format(send=True, side="ours", count=count))
        seen = lab.page.evaluate(LAST_SEEN, ["the last step", LIMIT_MS])
        cpu_s, messages, size = lab.value(TOLD)
        found |= {
            f"cpu_s_{count}": cpu_s,
            f"messages_{count}": messages,
            f"bytes_{count}": size,
            f"lag_ms_{count}": seen["lag"],
        }
    if theirs:
        lab.run(WATCHED.format(send=False, side="trace_view", count=COMPARED_SPANS) + "play()")
        found["trace_view_cpu_s"], found["trace_view_messages"], found["trace_view_bytes"] = lab.value(TOLD)
    return found


def main() -> int:
    """Print the tables; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--skip", nargs="*", default=[], choices=["trace_view", "speedscope", "mlflow", "live"])
    options = parser.parse_args()
    chromium = next(
        (Path(p) for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None
    )
    if chromium is None:
        print("not measured: there is no Chromium")
        return 1
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-", ignore_cleanup_errors=True) as name:
        return _measured(Path(name), chromium, options)


def _measured(folder: Path, chromium: Path, options: Any) -> int:
    theirs = None if "trace_view" in options.skip else rivals.fetch_trace_view(folder)
    setup = SETUP.format(root=str(ROOT), trace_view=str(theirs or ""), sizes=options.sizes)
    with lab_in_chromium(folder / "lab", chromium, setup) as (lab, browser):
        found, nodes, ended = rows_on_screen(lab, options.sizes, options.rounds, theirs)
        steps: dict[str, Callable[[], dict[int, float]]] = {
            "speedscope": lambda: speedscope(browser, folder, options.sizes, options.rounds),
            "mlflow": lambda: mlflow(lab, folder, [n for n in options.sizes if n <= LARGEST_OF_MLFLOW], options.rounds),
        }
        for side, measure in steps.items():
            if side not in options.skip:
                found[side] = measure()
        _tell_rows(found, options.sizes)
        print(f"{max(options.sizes):,} spans: the cell is over, and all has been sent, after {ended:,.0f} ms")
        recorded = {} if "live" in options.skip else live(lab, theirs)
        for size in options.sizes:
            if theirs and IN_TURN < size <= LARGEST_OF_TRACE_VIEW:
                code = f"TraceView(spans.for_trace_view(of[{size}]))"
                found["TraceView"][size] = lab.timed(code, THEIR_ROWS)["rows"]
                print(f"TraceView, {size:,} spans: {_cell(found['TraceView'][size])}", flush=True)
    return _told(found, nodes, recorded, options.sizes)


def _tell_rows(found: Found, sizes: list[int]) -> None:
    print("Rows on screen, ms, medians")
    sides = [side for side, of in found.items() if of]
    table(["spans", *sides], [[f"{size:,}", *(_cell(found[side].get(size)) for side in sides)] for size in sizes])
    sys.stdout.flush()


def _told(found: Found, nodes: int, recorded: dict[str, float], sizes: list[int]) -> int:
    reached = [verdict(f"our nodes with {max(sizes):,} spans", nodes, 3_000)]
    ours = found["agenttrace_nb"]
    for side, size, share in (("TraceView", 1_000, 1 / 2), ("mlflow", 1_000, 1 / 20), ("speedscope", 100_000, 1.0)):
        if found.get(side, {}).get(size, -1) > 0 and size in ours:
            reached.append(verdict(f"{size:,} spans, ours to {side}'s", ours[size] / found[side][size], share))
    if 100_000 in ours:
        reached.append(verdict("100,000 spans (ms)", ours[100_000], 1_000))
    if recorded:
        reached += _live_told(recorded)
    close("trace_view", {"ms": found, "nodes": nodes, "live": recorded})
    return int(not all(reached))


def _live_told(of: dict[str, float]) -> list[bool]:
    print(f"\nRecorded live: {LIVE_SPANS:,} spans in {of[f'messages_{LIVE_SPANS}']:.0f} messages")
    larger, smaller = of[f"bytes_{LIVE_SPANS}"], of[f"bytes_{COMPARED_SPANS}"]
    print(f"bytes: {smaller:,.0f} of {COMPARED_SPANS:,} spans, {larger:,.0f} of {LIVE_SPANS:,}")
    found = [
        verdict(f"kernel CPU on the view, {LIVE_SPANS:,} spans (s)", of[f"cpu_s_{LIVE_SPANS}"], 1.0),
        verdict("last span seen after the cell's end (ms)", _or_never(of[f"lag_ms_{LIVE_SPANS}"]), 500),
        verdict(
            "bytes a span, at the larger size to the smaller", larger / LIVE_SPANS / (smaller / COMPARED_SPANS), 1.2
        ),
    ]
    if "trace_view_bytes" in of:
        print(
            f"TraceView, {COMPARED_SPANS:,} spans: {of['trace_view_cpu_s']:.1f} s, {of['trace_view_bytes']:,.0f} bytes"
        )
        found.append(verdict("bytes, ours to TraceView's", smaller / of["trace_view_bytes"], 1 / 20))
    return found


def _or_never(ms: float) -> float:
    return ms if ms >= 0 else math.inf


def _cell(ms: float | None) -> Any:
    return None if ms is None else f"not in {LIMIT_MS / 1000:.0f} s" if ms < 0 else ms


if __name__ == "__main__":
    sys.exit(main())
