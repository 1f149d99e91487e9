"""Two traces side by side: text, HTML and table say what differs; nothing hostile gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from views.hostile import MARKUP, hostile_run
from views.sample_runs import planner_executor

import agenttrace_nb as at
from agenttrace_nb.spans import SpanKind

from .test_comparison import Tags

if TYPE_CHECKING:
    from pathlib import Path


def changed() -> at.TraceDiff:
    _, (a,) = planner_executor()
    _, (b,) = planner_executor()
    b.spans = [s for s in b.spans if s.kind is not SpanKind.GUARDRAIL]
    for span in b.spans:
        if span.name == "get_user":
            span.content_in = {"user_id": "mia_li_3669"}
            span.start_ns -= 100_000_000
        if span.input_tokens == 3388:
            span.input_tokens, span.cost_usd = 2388, 0.0121
    return at.diff(a, b)


def test_text_says_where_they_part_and_what_was_and_is() -> None:
    text = repr(changed())
    assert "They part at step 3: guardrail travel-only of Planner is only in a." in text
    assert '~     tool get_user of Planner   +0.10 s\n        arguments: {"user_id": "mia_li_3668"}' in text
    assert '→ {"user_id": "mia_li_3669"}' in text
    assert "−1.0k" in text
    assert "… " in text


def test_the_same_trace_is_one_line() -> None:
    _, (a,) = planner_executor()
    found = at.diff(a, a)
    assert "All 17 steps are the same." in repr(found)
    assert found.first is None
    assert found.counts == {"same": 17, "changed": 0, "added": 0, "removed": 0, "moved": 0}


def test_the_table_has_every_step_and_deltas() -> None:
    table = changed().steps
    assert len(table) == 17
    row = table[table["name"] == "get_user"].iloc[0]
    assert (row["class"], row["changed"]) == ("changed", "arguments")
    assert row["duration_s"] == pytest.approx(0.1)
    assert table["input_tokens"].sum() == -1000


def test_html_marks_the_words_that_differ() -> None:
    html = changed()._repr_html_()
    assert "<del>mia_li_3668</del>" in html
    assert "<ins>mia_li_3669</ins>" in html
    assert Tags(html).depth == 0


def test_hostile_content_is_text(tmp_path: Path) -> None:
    _, (a,) = hostile_run()
    _, (b,) = hostile_run()
    for at_, span in enumerate(b.spans):
        if at_ % 3 == 0:
            span.content_out = MARKUP[at_ % len(MARKUP)] + "\n\n" + MARKUP[0]
    b.spans = b.spans[:30] + b.spans[33:]
    found = at.diff(a, b)
    for html in (found._repr_html_(), found.to_html(tmp_path / "diff.html").read_text("utf-8")):
        tags = Tags(html)
        assert not tags.running
        assert not tags.names & {"script", "iframe", "img", "a", "svg", "math", "textarea"}
        assert "\x1b" not in html
    assert "\n\n" not in found._repr_html_()
    assert "\x1b" not in repr(found)


def test_long_differences_are_cut_to_where_they_are() -> None:
    _, (a,) = planner_executor()
    _, (b,) = planner_executor()
    tool_a, tool_b = (next(s for s in t.spans if s.name == "get_user") for t in (a, b))
    tool_a.content_out, tool_b.content_out = "x" * 5_000 + "left", "x" * 5_000 + "right"
    text = repr(at.diff(a, b))
    assert "left" in text
    assert "right" in text
    assert len(text) < 3_000


@pytest.mark.parametrize("wrong", [5, None, [1]])
def test_what_is_no_trace_is_told(wrong: object) -> None:
    _, (a,) = planner_executor()
    with pytest.raises(at.OptionError, match="b must be a trace, its id, or a run with one trace"):
        at.diff(a, wrong)
