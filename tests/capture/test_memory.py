"""Sessions: what is read and written is in the trace, and the session itself is left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agents import Agent, Runner, SQLiteSession, trace
from agents.testing import ScriptedModel, assistant_message

from agenttrace_nb.capture import install
from capture.recording import recording

if TYPE_CHECKING:
    from pathlib import Path


def talker(*answers: str) -> Agent[None]:
    return Agent(name="Talker", model=ScriptedModel([[assistant_message(text)] for text in answers], emit_traces=False))


async def test_reading_and_writing_a_session_are_spans_with_their_items(tmp_path: Path) -> None:
    agent, session = talker("Hello Ada.", "You are Ada."), SQLiteSession("conversation-1")
    with recording(tmp_path) as rec:
        await Runner.run(agent, "I am Ada.", session=session)
        await Runner.run(agent, "Who am I?", session=session)
        reads = [s for s in rec.all("memory") if s.name == "SQLiteSession.get_items"]
        writes = [s for s in rec.all("memory") if s.name == "SQLiteSession.add_items"]
        assert [span.attributes["items"] for span in reads] == [0, 2]
        assert reads[1].output[0]["content"] == "I am Ada."
        assert {span.attributes["session"] for span in [*reads, *writes]} == {"conversation-1"}
        assert sum(span.attributes["items"] for span in writes) == 4
        assert [t.session for t in rec.traces] == ["conversation-1"] * 2
        roots = {t.root.span_id for t in rec.traces if t.root}
        assert {span.parent_id for span in reads} == roots
    assert rec.notes == []


async def test_a_session_inside_a_trace_of_the_users_own_hangs_under_it(tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        with trace("Chat"):
            await Runner.run(talker("hi"), "hello", session=SQLiteSession("s"))
        (one,) = rec.traces
        memory = rec.all("memory")
        assert memory
        assert {span.trace_id for span in memory} == {one.trace_id}


class BrokenSession(SQLiteSession):
    async def get_items(self, *_: object, **__: object) -> list[object]:
        raise OSError("disk gone")


async def test_a_session_that_fails_is_an_error_and_its_exception_is_the_users(tmp_path: Path) -> None:
    with recording(tmp_path) as rec:
        with trace("Chat"), pytest.raises(OSError, match="disk gone"):
            await Runner.run(talker("hi"), "hello", session=BrokenSession("s"))
        span = rec.one("memory")
        assert (span.status.value, span.error.type, span.error.message) == ("error", "OSError", "disk gone")


async def test_the_session_is_left_as_it_was_found(tmp_path: Path) -> None:
    session = SQLiteSession("s")
    before = dict(vars(session))
    with recording(tmp_path):
        await Runner.run(talker("hi"), "hello", session=session)
    install.uninstall()
    assert vars(session).keys() == before.keys()
    assert len(await session.get_items()) == 2


async def test_without_sensitive_data_only_the_number_of_items_is_kept(tmp_path: Path) -> None:
    from agents import RunConfig

    with recording(tmp_path) as rec:
        config = RunConfig(trace_include_sensitive_data=False)
        await Runner.run(talker("hi"), "hello", session=SQLiteSession("s"), run_config=config)
        assert {(span.input, span.output) for span in rec.all("memory")} == {(None, None)}
