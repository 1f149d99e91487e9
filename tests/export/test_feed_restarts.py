"""Whatever is recorded in whatever order, and however often the process is started again: each thing once."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from export import recorded as write
from export.test_feed import ALL, ids
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace_nb.export.feed import Feed
from agenttrace_nb.journal.append import Journal

TRACES = st.integers(1, 3)
SPANS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), TRACES, SPANS),
        st.tuples(st.just("end"), TRACES, SPANS),
        st.tuples(st.just("trace ends"), TRACES),
        st.tuples(st.just("trace goes on"), TRACES),
        st.tuples(st.just("run ends")),
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("start again")),
    ),
    max_size=40,
)


class Story:
    """A journal, its feed, what should arrive and what did."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self.feed = Feed(path, ALL)
        self.produced: set[str] = set()
        self.arrived: list[str] = []
        self.run = 0
        write.begin_run(self.journal, "run 0")

    def play(self, what: str, *numbers: int) -> None:
        key = f"run {self.run}"
        if what == "begin":
            write.begin_span(
                self.journal, *numbers, key, kind="guardrail" if numbers[1] == 3 else "tool", parent_id="p"
            )
        elif what == "end":
            write.end_span(self.journal, *numbers, key, parent_id="p")
            self.produced.add(f"{write.trace_id(numbers[0])}:{write.span_id(*numbers)}")
        elif what == "trace ends":
            write.end_trace(self.journal, *numbers, key)
        elif what == "trace goes on":
            write.begin_trace(self.journal, *numbers, key, resumed=True)
        elif what == "run ends":
            write.end_run(self.journal, key)
            self.produced.add(f"run:{key}")
            self.run += 1
            write.begin_run(self.journal, f"run {self.run}")
        elif what == "take":
            self.take(*numbers)
        else:
            self.feed.close()
            self.feed = Feed(self.journal.path, ALL)

    def take(self, count: int) -> None:
        self.journal.flush()
        while self.feed.read():
            pass
        found = self.feed.head(count)
        self.arrived += ids(found)
        self.feed.settle(len(found))
        self.feed.save()

    def end(self) -> None:
        for trace in (1, 2, 3):
            self.play("trace ends", trace)
        self.play("run ends")
        self.take(1000)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_each_thing_arrives_once(steps):
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder) / "20260101T000000-1-abc.journal")
        with closing(story.journal):
            for step in steps:
                story.play(*step)
            story.end()
            assert sorted(story.arrived) == sorted(story.produced)
            assert story.feed.sent == len(story.produced)
            assert story.feed.is_at_end()
            story.feed.close()
