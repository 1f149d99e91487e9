"""What leaves: no secret wherever it stands, no more than the level of content allows, and what is new unchanged."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pytest
from agents import custom_span, set_trace_processors, trace
from agents.tracing import SpanData, get_trace_provider
from capture.recording import OPEN_JOURNALS, recording
from export import recorded as write
from export.recorded import Remembering, running, wait_for

from agenttrace_nb.capture import install, state
from agenttrace_nb.export.handler import Content, Retry, Sent
from agenttrace_nb.export.jsonl import as_json
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.export.handler import Item

CANARY = "canary-4711"


@pytest.fixture
def journal(tmp_path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "20260101T000000-1-abc.journal")
    yield journal
    journal.close()


def data_of(item: Item) -> dict[str, Any]:
    parts = {name: getattr(item, name) for name in ("span", "trace", "run", "parent")}
    found = {name: asdict(part) for name, part in parts.items() if part is not None}
    if item.span is not None:
        found["read"] = [item.span.input, item.span.output]
    return found


def sing_everywhere(journal: Journal) -> None:
    """Write a secret wherever a user, a model or a tool may have written it."""
    error = {"type": f"E{CANARY}", "message": CANARY, "chain": [f"X: {CANARY}"], "traceback": CANARY}
    texts = {"case": CANARY, "arch": CANARY, "session": CANARY, "notebook": CANARY, "trial": CANARY}
    write.begin_run(journal, **texts, tags={"k": CANARY, CANARY: "v"}, roles={"a": CANARY})
    journal.append(EventKind.RUN_DATA, run_key="run", body={"param": {"key": "p", "value": CANARY}})
    about = {"session": CANARY, "user": CANARY, "tags": {"t": CANARY}, "metadata": {"m": [CANARY]}}
    write.begin_trace(journal, 1, **{**about, "name": f"flow {CANARY}"})
    agent = {"name": f"A {CANARY}", "instructions": CANARY, "model": CANARY, "tools": [{"description": CANARY}]}
    journal.append(EventKind.AGENT, run_key="run", trace_id=write.trace_id(1), body=agent)
    who = {"agent": f"A {CANARY}", "role": CANARY, "model": CANARY}
    write.begin_span(journal, 1, 0, **{**who, "name": f"parent {CANARY}"})
    write.begin_span(
        journal, 1, 1, parent_id=write.span_id(1, 0), attributes={"call_id": CANARY, "data": {CANARY: [CANARY]}},
        content={"input": json.dumps({"key": CANARY}) + " " * 500}, **{**who, "name": f"tool {CANARY}"},
    )  # fmt: skip
    write.end_span(journal, 1, 1, status="error", error=error, content={"output": [{"text": CANARY}]})
    write.end_span(journal, 1, 0, status="error", error=error)
    write.end_trace(journal, 1)
    write.end_run(journal, status="error", error=error)
    journal.flush()


@pytest.mark.parametrize("level", list(Content))
def test_a_secret_is_in_nothing_that_a_handler_is_given(journal, monkeypatch, level):
    sing_everywhere(journal)
    # Recorded without this rule, so that only the second redaction can find it.
    monkeypatch.setenv("AGENTTRACE_REDACT", r"canary-\d+")
    handler = Remembering()
    with running(journal.path, handler, content=level):
        wait_for(lambda: len(handler.ids) == 3)
    assert {item.moment.value for item in handler.items} == {"span", "run"}
    for item in handler.items:
        shown = repr(data_of(item)) + json.dumps(as_json(item))
        assert CANARY not in shown
        assert "[redacted]" in shown


def test_the_secret_is_there_without_the_rule(journal):
    sing_everywhere(journal)
    handler = Remembering()
    with running(journal.path, handler, content=Content.FULL):
        wait_for(lambda: len(handler.ids) == 3)
    assert all(CANARY in repr(data_of(item)) for item in handler.items)


def test_a_rule_that_is_none_stops_the_handler_and_nothing_leaves(journal, monkeypatch):
    sing_everywhere(journal)
    monkeypatch.setenv("AGENTTRACE_REDACT", "canary-(")
    handler, said = Remembering(), list[str]()
    with running(journal.path, handler, said):
        wait_for(lambda: said)
    assert "AGENTTRACE_REDACT" in said[0]
    assert handler.batches == []


def test_no_note_beside_the_journal_holds_what_a_target_repeated(journal, monkeypatch, tmp_path):
    sing_everywhere(journal)
    monkeypatch.setenv("SOME_TOKEN", CANARY)
    handler = Remembering(lambda _: Retry(reason=f"bad token {CANARY}"))
    handler.options, handler.secrets = {"token": "a token"}, frozenset({"token"})
    with running(journal.path, handler, options={"token": "env:SOME_TOKEN"}) as outlet:
        wait_for(lambda: outlet.sender.patience.failures > 2)
    assert "bad token ***" in journal.path.with_suffix(".export-mine.json").read_text()
    assert CANARY not in journal.path.with_suffix(".export-mine.json").read_text()


def words_at(journal: Journal, level: Content) -> str:
    handler = Remembering()
    with running(journal.path, handler, content=level, name=level.value):
        wait_for(lambda: len(handler.ids) == 3)
    return "\n".join(json.dumps(data_of(item), default=str) for item in handler.items)


def test_each_level_of_content_holds_what_it_says_and_no_more(journal):
    error = {"type": "KeyError", "message": "error text", "chain": ["E: chain text"], "traceback": "trace text"}
    settings = {"temperature": 0.5, "extra": {"x": "extra text"}}
    write.begin_run(journal, arch="arch one", tags={"team": "tag text"}, notebook="book text")
    write.begin_trace(journal, 1, metadata={"m": "metadata text"}, session="session text")
    agent = {"name": "Planner", "role": "planner", "instructions": "instruction text"}
    journal.append(EventKind.AGENT, run_key="run", trace_id=write.trace_id(1), body=agent)
    write.begin_span(
        journal, 1, 0, kind="llm", name="step name", agent="Planner", content={"input": "prompt text"},
        attributes={"call_id": "id-1", "data": "payload", "model_settings": settings},
    )  # fmt: skip
    write.begin_span(journal, 1, 1, parent_id=write.span_id(1, 0))
    write.end_span(journal, 1, 1)
    write.end_span(journal, 1, 0, status="error", error=error, content={"output": "answer text"}, input_tokens=12)
    write.end_trace(journal, 1)
    write.end_run(journal)
    journal.flush()
    always = {"step name", "Planner", "arch one", "KeyError", "id-1", '"input_tokens": 12'}
    metadata = {"error text", "chain text", "tag text", "metadata text", "session text", "book text", "temperature"}
    full = {"prompt text", "answer text", "payload", "instruction text", "trace text", "extra text"}
    for level, there in (
        (Content.OFF, always),
        (Content.METADATA, always | metadata),
        (Content.FULL, always | metadata | full),
    ):
        shown = words_at(journal, level)
        assert {word for word in always | metadata | full if word in shown} == there, level


def test_the_step_above_comes_along_without_content(journal):
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    write.begin_span(journal, 1, 0, kind="turn", name="turn 1", content={"input": "prompt text"})
    write.begin_span(journal, 1, 1, parent_id=write.span_id(1, 0))
    write.end_span(journal, 1, 1)
    journal.flush()
    handler = Remembering()
    with running(journal.path, handler, content=Content.FULL):
        wait_for(lambda: handler.ids)
    parent = handler.items[0].parent
    assert (parent.kind, parent.name, parent.input, parent.end_ns) == (SpanKind.TURN, "turn 1", None, None)


class NewPrimitive(SpanData):
    """A kind of span that the SDK may bring tomorrow."""

    type = "telepathy"

    def export(self) -> dict[str, Any]:
        return {"type": self.type, "distance": {"km": 12.5}, "minds": ["a", "b"]}


def test_a_primitive_that_the_sdk_brings_tomorrow_arrives_with_its_name_and_data(tmp_path: Path):
    set_trace_processors([])
    handler = Remembering()
    try:
        with recording(tmp_path) as rec:
            with trace("flow"), get_trace_provider().create_span(NewPrimitive()), custom_span("mine", {"x": [1, None]}):
                pass
            with running(rec.journal.path, handler, content=Content.FULL):
                wait_for(lambda: len(handler.ids) == 3)
    finally:
        install.uninstall()
        state.forget_all()
        while OPEN_JOURNALS:
            OPEN_JOURNALS.pop().close()
        set_trace_processors([])
    mine, new, _ = [item.span for item in handler.items]
    assert (mine.kind, mine.name, mine.attributes["data"]) == (SpanKind.OTHER, "mine", {"x": [1, None]})
    assert (new.kind, new.name) == (SpanKind.OTHER, "telepathy")
    assert new.attributes == {"type": "telepathy", "data": {"distance": {"km": 12.5}, "minds": ["a", "b"]}}
    assert mine.parent_id == new.span_id


def test_what_a_handler_does_to_an_item_reaches_nobody(journal):
    def spoil(batch: tuple[Item, ...]) -> Any:
        for item in batch:
            for part in (item.span, item.trace, item.run):
                for field in fields(part) if part is not None else ():
                    setattr(part, field.name, "spoiled")
        return Sent()

    write.begin_run(journal, tags={"team": "red"})
    write.begin_trace(journal, 1)
    for number in range(3):
        write.end_span(journal, 1, number, parent_id="p", name=f"tool {number}")
    journal.flush()
    first, second = Remembering(spoil), Remembering()
    with running(journal.path, first) as outlet:
        outlet.sender._largest = 1
        wait_for(lambda: len(first.ids) == 3)
    with running(journal.path, second, name="other"):
        wait_for(lambda: len(second.ids) == 3)
    assert [item.span.name for item in second.items] == ["tool 0", "tool 1", "tool 2"]
    assert second.items[0].run.tags == {"team": "red"}
