"""Every hostile text in every place of every view, in a real browser: none runs, asks for anything or gets out."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from views.hostile import LARGE, hostile_run
from views.sample_runs import START_NS, Build

from agenttrace_nb.spans import CellRun, SpanKind
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.live import text_of
from agenttrace_nb.views.page import write_page

if TYPE_CHECKING:
    from pathlib import Path

    from lab.harness import Harness

pytestmark = pytest.mark.lab

# Chooses every step and opens all that can be opened there, in each look; then reads the other tabs to their ends.
WALK = """async ([root, thorough]) => {
  const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const all = (what) => [...document.querySelectorAll(`${root} ${what}`)];
  const tab = (name) => all("[role=tab]").find((one) => one.textContent === name).click();
  const press = (on, key) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const grid = all("[role=treegrid]")[0];
  let rows = 0;
  press(grid, "Home");
  for (; rows < Number(grid.getAttribute("aria-rowcount")); rows++) {
    await drawn();
    const open = ".agtr-detail :is(.agtr-earlier, [aria-expanded=false]:not([role]))";
    for (const button of all(open)) button.click();
    const looks = thorough ? all(".agtr-looks button").map((one) => one.textContent) : [];
    for (const look of ["JSON", "Raw"]) {
      if (!looks.includes(look)) continue;
      for (const button of all(".agtr-looks button")) if (button.textContent === look) button.click();
      await drawn();
      for (const line of all(".agtr-line").slice(0, 3)) line.click();
    }
    for (const button of all(".agtr-looks button:first-child")) button.click();
    press(grid, "ArrowDown");
  }
  tab("Messages");
  await drawn();
  const feed = all("[role=feed]")[0];
  let said = 0;
  for (feed.scrollTop = 0; ; feed.scrollTop += 300) {
    const before = feed.scrollTop;
    await drawn();
    for (const button of all("article :is(.agtr-earlier, [aria-expanded=false])")) button.click();
    for (const message of all("article").slice(0, 1)) message.click();
    said = Math.max(said, ...all("article").map((one) => Number(one.getAttribute("aria-posinset"))));
    await drawn();
    if (before + feed.clientHeight >= feed.scrollHeight - 1) break;
  }
  const total = Number(all("article")[0].getAttribute("aria-setsize"));
  for (const name of ["Graph", "Latency", "Tree"]) { tab(name); await drawn(); await drawn(); }
  return { rows, said, total };
}"""

OUTSIDE = """(root) => {
  const frame = document.querySelector(root).getBoundingClientRect();
  const sticks = (e) => {
    for (let clip = e; clip && clip !== document.body; clip = clip.parentElement) {
      if (clip.matches(root)) break;
      if (getComputedStyle(clip).overflowX !== "visible") return clip.getBoundingClientRect().right > frame.right + 1;
    }
    const { right, left, width } = e.getBoundingClientRect();
    return width > 1 && (right > frame.right + 1 || left < frame.left - 1);
  };
  return [...document.querySelectorAll(`${root} *`)]
    .filter((e) => getComputedStyle(e).position === "fixed" || sticks(e)).map((e) => `${e.tagName} ${e.className}`);
}"""

ACTIVE = ":is(script, img, iframe, object, embed, video, audio, form, base, link, meta, style, math, a[href])"


def assert_harmless(harness: Harness, root: str, *, thorough: bool) -> None:
    walked = harness.page.evaluate(WALK, [root, thorough])
    assert walked["rows"] > 100
    assert walked["said"] == walked["total"] > 50
    assert harness.page.evaluate("() => window.agtrHacked") is None
    assert harness.page.evaluate("() => ({}).polluted") is None
    assert harness.page.locator(f"{root} {ACTIVE}").count() == 0
    assert harness.page.evaluate(OUTSIDE, root) == []
    assert harness.page.locator(".agtr-note.agtr-bad").count() == 0, "the view has no problem of its own"


@pytest.mark.timeout(180)
def test_nothing_hostile_acts_in_the_widget(harness: Harness) -> None:
    feed = Feed(Finished(*hostile_run()), keep_all=True)
    feed.pull(work_s=None)
    harness.start(feed.snapshot())
    assert_harmless(harness, "#a", thorough=True)


@pytest.mark.timeout(180)
def test_nothing_hostile_acts_in_a_page(harness: Harness, tmp_path: Path) -> None:
    path = write_page(tmp_path / "run.html", *hostile_run())
    harness.page.goto(path.as_uri())
    harness.complaints[:] = [c for c in harness.complaints if c != f"request: {path.as_uri()}"]
    assert_harmless(harness, "#agtr-view", thorough=False)


def test_nothing_hostile_acts_in_a_terminal() -> None:
    text = text_of(*hostile_run())
    acting = {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs") and letter != "\n"}
    assert not acting
    assert not re.search(r"[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]", text)
    assert max(map(len, text.splitlines())) < 1_000


def test_ten_megabytes_are_read_in_each_look(harness: Harness) -> None:
    b = Build()
    b.add(SpanKind.TOOL, "first", 0, 1)
    b.add(SpanKind.LLM, "large", 2, 3, agent="A", content_in=[{"role": "user", "content": LARGE}])
    trace = b.close(4)
    run = CellRun(key="k", name="n", start_ns=START_NS, end_ns=trace.end_ns, trace_ids=[trace.trace_id])
    feed = Feed(Finished(run, [trace]), keep_all=True)
    feed.pull(work_s=None)
    harness.start(feed.snapshot())
    began = harness.page.evaluate("() => performance.now()")
    harness.row("large").click()
    expect(harness.detail).to_contain_text("more of 10\u202f485\u202f760 characters")
    for look in ("JSON", "Raw", "Chat"):
        harness.detail.get_by_role("button", name=look).first.click()
        harness.settle()
    harness.page.get_by_role("tab", name="Messages").click()
    harness.settle()
    assert harness.page.evaluate("() => performance.now()") - began < 4_000
    assert harness.page.evaluate("() => document.querySelector('#a').textContent.length") < 40_000
