"""The trace view at 100,000 spans in headless Chromium: no task over 50 ms, 60 frames a second, few elements.

    python -m benchmarks.trace_view_100k [--spans 100000]

Measured in the built widget on an empty page, with a model that stands in for the kernel: the longest task of the
page's main thread while one folds, types a search, chooses, zooms and goes to the end; the frames while one scrolls;
the elements in the document. Tasks are told by their CPU time, which other work on the machine does not make longer,
and beside it by the time that passed; both are the browser's own figures, from its trace.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import Span, SpanError, SpanKind, Status, Trace
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

ROUNDS = 5
TARGET_TASK_MS = 50
TARGET_ELEMENTS = 3_000
TARGET_FRAME_MS = 1000 / 60
START_NS = 1_763_800_000_000_000_000
TOOLS = ("search_flights", "get_user", "book_flight", "list_reservations", "send_email")
AGENTS = ("Planner", "Executor", "Evaluator", "Policy expert")


def large_trace(count: int) -> Trace:
    """Return a trace of so many spans: agents with turns, each an LLM call and its tools; one tool in 200 fails."""
    chance = random.Random(1)
    trace = Trace(trace_id="0" * 31 + "1", name="large", start_ns=START_NS)
    clock = 0

    def add(kind: SpanKind, name: str, parent: Span | None, took_ms: int, **more: Any) -> Span:
        span = Span(
            trace_id=trace.trace_id, span_id=f"{len(trace.spans) + 1:016x}", kind=kind, name=name,
            start_ns=START_NS + clock * 1_000_000, end_ns=START_NS + (clock + took_ms) * 1_000_000,
            parent_id=parent.span_id if parent else None, **{"status": Status.OK, **more},
        )  # fmt: skip
        trace.spans.append(span)
        return span

    root = add(SpanKind.WORKFLOW, "nightly batch", None, 0)
    while len(trace.spans) < count:
        who = chance.choice(AGENTS)
        agent = add(SpanKind.AGENT, who, root, 0, agent=who, role=who.lower())
        for number in range(chance.randint(1, 4)):
            turn = add(SpanKind.TURN, f"turn {number + 1}", agent, 0, agent=who)
            took = chance.randint(300, 1500)
            said = [{"role": "assistant", "content": f"I look for flight {chance.randint(1, 9999)}."}]
            add(SpanKind.LLM, "gpt-4o", turn, took, agent=who, model="gpt-4o", input_tokens=900, content_out=said)
            clock += took
            tool = chance.choice(TOOLS)
            for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
                took = chance.randint(20, 700)
                bad = chance.random() < 1 / 200
                more = {"status": Status.ERROR, "error": SpanError("no seat left", "LookupError")} if bad else {}
                given = {"destination": chance.choice(("BOS", "SFO", "NRT")), "row": chance.randint(1, 9999)}
                add(SpanKind.TOOL, tool, turn, took, agent=who, content_in=given, **more)
                clock += took
            turn.end_ns = START_NS + clock * 1_000_000
        agent.end_ns = START_NS + clock * 1_000_000
    root.end_ns = trace.end_ns = START_NS + clock * 1_000_000
    trace.status = Status.OK
    return trace


SCROLL = """() => new Promise((done) => {
  const tree = document.querySelector(".agtr-tree"), frames = [];
  tree.scrollTop = 0;
  let last;
  const step = (now) => {
    if (last) frames.push(now - last);
    last = now;
    tree.scrollTop += 90;
    if (frames.length < 240) requestAnimationFrame(step); else done(frames);
  };
  requestAnimationFrame(step);
})"""


def longest_tasks(page: Page, act: Callable[[], None]) -> dict[str, list[float]]:
    """Return, for each round, the longest task in ms while something is done and after it: CPU time, and time."""
    browser = page.context.browser
    assert browser is not None
    found: dict[str, list[float]] = {"cpu": [], "wall": []}
    for _ in range(ROUNDS):
        browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
        act()
        page.wait_for_timeout(400)
        events = json.loads(browser.stop_tracing())["traceEvents"]
        named = [e for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"]
        threads = {(event["pid"], event["tid"]) for event in named}
        tasks = [e for e in events if e["name"].endswith("RunTask") and (e["pid"], e["tid"]) in threads]
        found["cpu"].append(max((task.get("tdur", 0) / 1000 for task in tasks), default=0.0))
        found["wall"].append(max((task.get("dur", 0) / 1000 for task in tasks), default=0.0))
    return found


def measure(page: Page) -> dict[str, Any]:
    """Return the figures of a page that shows the view."""
    grid = page.locator("#a [role=treegrid]")
    field = page.get_by_label("Search the steps")
    turns = page.get_by_label("fold turns")

    def type_a_search() -> None:
        field.fill("")
        field.press_sequentially("flight 42 kind:llm", delay=60)

    def fold_a_row() -> None:
        grid.press("Home")
        for key in ("ArrowDown", "Enter", "Enter"):
            grid.press(key)

    def zoom() -> None:
        for key in ("z", "+", "-", "0"):
            grid.press(key)

    acts: dict[str, Callable[[], None]] = {
        "fold a row": fold_a_row,
        "fold turns": turns.click,
        "close and open all": lambda: [grid.press(key) for key in ("Shift+ArrowLeft", "Shift+ArrowRight")] and None,
        "choose": lambda: [grid.press(key) for key in ("ArrowDown", "PageDown", "e", "e")] and None,
        "zoom": zoom,
        "go to the end": lambda: [grid.press(key) for key in ("Home", "End")] and None,
        "search as you type": type_a_search,
        "go through matches": lambda: [field.press("Enter") for _ in range(4)] and None,
        "only matches": lambda: page.get_by_role("button", name="Only matches").click(),
    }
    tasks = {name: longest_tasks(page, act) for name, act in acts.items()}
    field.fill("")
    page.wait_for_timeout(500)
    frames = sorted(page.evaluate(SCROLL))
    return {
        "longest_task_ms": tasks,
        "frame_ms_median": frames[len(frames) // 2],
        "frame_ms_p95": frames[int(len(frames) * 0.95)],
        "elements": page.evaluate("() => document.querySelectorAll('*').length"),
    }


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from lab.harness import Harness
    from lab.jupyter_server import chromium_browser

    trace = large_trace(options.spans)
    feed = Feed(Finished(trace, [trace]))
    feed.pull()
    with chromium_browser(Path(options.chromium)) as browser, Harness.opened(browser) as harness:
        harness.start(feed.snapshot())
        harness.page.wait_for_timeout(1000)
        figures = measure(harness.page)
    print(f"{len(trace.spans):,} spans; longest task in ms, CPU time (time) for each round")
    for name, tasks in figures["longest_task_ms"].items():
        rounds = zip(tasks["cpu"], tasks["wall"], strict=True)
        print(f"  {name:20} {'  '.join(f'{cpu:4.0f} ({wall:4.0f})' for cpu, wall in rounds)}")
    print(f"  frame while scrolling: median {figures['frame_ms_median']:.1f} ms, p95 {figures['frame_ms_p95']:.1f} ms")
    print(f"  elements in the document: {figures['elements']:,}")
    # The middle round: the first compiles the code.
    middle = {name: sorted(tasks["cpu"])[ROUNDS // 2] for name, tasks in figures["longest_task_ms"].items()}
    missed = [name for name, task in middle.items() if task > TARGET_TASK_MS]
    if figures["frame_ms_median"] > TARGET_FRAME_MS * 1.05:
        missed.append("frames")
    if figures["elements"] >= TARGET_ELEMENTS:
        missed.append("elements")
    print("reached" if not missed else f"MISSED: {', '.join(missed)}")
    print(json.dumps({"benchmark": "trace_view_100k", **figures, "missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
