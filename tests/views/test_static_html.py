from __future__ import annotations

import re
from html.parser import HTMLParser

from growth import LINEAR, growth
from views.hostile import hostile_run
from views.sample_runs import Build, planner_executor

from agenttrace_nb.spans import SpanKind, Status
from agenttrace_nb.views.headline import headline
from agenttrace_nb.views.rows import Rows
from agenttrace_nb.views.static_html import BAR_CELLS, pending_twin, static_twin

ALLOWED = {
    "div", "style", "p", "strong", "em", "small", "table", "thead", "tbody", "tr", "th", "td", "code", "details",
    "summary", "pre",
}  # fmt: skip


class Reader(HTMLParser):
    """Reads HTML as a browser without styles would; notes what is in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.deepest = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.open.append(tag)
        self.deepest = max(self.deepest, self.open.count("details"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [], "every element is closed"
    return reader


def twin_of(b: Build) -> str:
    return static_twin(b.close(1000), Rows(b.trace.spans))


def test_it_reads_well_without_styles() -> None:
    run, (trace,) = planner_executor()
    text = read(static_twin(run, Rows(trace.spans))).text
    assert "✓ planner-executor · case task-17 · trial 2 · cell [12] · completed" in text
    assert "4.21 s · 3 agents · 5 turns · 7 tool calls · 7.7k tokens · $0.031 · 1 error" in text
    assert "book_flight: TimeoutError: flights-api did not answer in 2.0 s" in text
    assert "\u2003✕ book_flight tool · TimeoutError" in text, "indented by a letter, not by a style"
    assert 'call get_user {"user_id":"mia_li_3668"}' in text, "what went in and out"


def test_bars_are_characters_and_never_longer_than_the_axis() -> None:
    run, (trace,) = planner_executor()
    bars = re.findall(r"<code[^>]*>(.*?)</code>", static_twin(run, Rows(trace.spans)))
    assert len(bars) == 16
    assert all(0 < len(bar) <= BAR_CELLS and set(bar) <= set("\u00a0█▏▎▍▌▋▊▉") for bar in bars)
    planner, executor = bars[0], bars[6]
    assert len(planner.rstrip("\u00a0")) == executor.count("\u00a0") + 1, "one begins in the cell where the other ends"


def test_nothing_hostile_becomes_markup() -> None:
    run, (trace,) = hostile_run(large=True)
    reader = read(static_twin(run, Rows(trace.spans), notes=["<script>alert(1)</script>"]))
    assert reader.tags <= ALLOWED
    assert reader.attributes <= {"class", "style", "open"}
    assert "<script>window.agtrHacked=1</script>" in reader.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", reader.text)


def test_in_markdown_it_stays_one_block_of_html() -> None:
    b = Build()
    b.add(
        SpanKind.TOOL, "t", 0, 1, content_in="one\n\n[click](javascript:alert(1))\n \n# two", content_out={"a": "\n\n"}
    )
    html = twin_of(b)
    assert not re.search(r"\n[ \t]*\n", html), "an empty line would end it"
    assert "one\n\n[click](javascript:alert(1))" in read(html).text


def test_a_thousand_steps_take_less_than_a_megabyte_and_what_is_left_out_is_said() -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "agent", 0, 1)
    for at in range(999):
        b.add(SpanKind.LLM, "gpt-4o-mini", at, at + 1, agent, content_in="question " * 500, content_out="answer " * 500,
              input_tokens=12345, output_tokens=678)  # fmt: skip
    html = twin_of(b)
    assert len(html.encode()) < 800_000
    assert re.search(r"the content of \d{3} steps were left out", html)


def steps(count: int) -> Build:
    b = Build()
    for at in range(count):
        b.add(SpanKind.TOOL, "t", at, at + 1)
    return b


def test_of_a_huge_run_the_first_thousand_steps_are_listed() -> None:
    huge = steps(20_000)
    html = twin_of(huge)
    assert growth(twin_of, steps(5_000), huge) < 4 * LINEAR
    assert html.count("<tr") == 1_001
    assert "19,000 more steps" in html


def test_nesting_stays_within_what_browsers_take() -> None:
    b = Build()
    parent = None
    for level in range(900):
        parent = b.add(SpanKind.TOOL, f"level {level}", level, level + 1, parent)
    reader = read(twin_of(b))
    assert reader.deepest < 30
    assert "level 899" in reader.text


def test_it_hides_itself_only_where_the_live_view_of_the_same_run_is() -> None:
    run, (trace,) = planner_executor()
    html = static_twin(run, Rows(trace.spans))
    name = re.search(r"agtr-static-(r[0-9a-f]{8})", html)
    assert name
    assert f":root:has(.agtr-live-{name[1]}) .agtr-static-{name[1]}{{display:none}}" in html
    assert ".jp-OutputArea-child:has(.agtr-static):has(+ .jp-OutputArea-child .agtr-live){display:none}" in html
    assert not re.search(r":has\([^()]*:has", html), "`:has` inside `:has` is invalid"
    alone = static_twin(run, Rows(trace.spans), has_live=False)
    assert "display:none" not in alone


def test_a_deterministic_twin_has_the_same_bytes_each_time() -> None:
    pages = []
    for moved in (0, 17_000_000):
        run, (trace,) = planner_executor()
        run.key = f"run {moved}"
        run.start_ns += moved
        for span in trace.spans:
            span.start_ns += moved
            span.end_ns = (span.end_ns or 0) + 3 * moved
        pages.append(static_twin(run, Rows(trace.spans), timed=False, has_live=False))
    assert pages[0] == pages[1]


def test_while_a_run_goes_on_one_line_stands_in_its_place() -> None:
    run, _ = planner_executor()
    run.arch, run.status = "<b>title</b>", Status.RUNNING
    reader = read(pending_twin(headline(run, Rows())))
    assert reader.text.strip() == "<b>title</b> is running; its steps will stand here when the cell has ended."


def test_an_empty_run_says_so() -> None:
    assert "No steps were recorded." in read(twin_of(Build())).text
