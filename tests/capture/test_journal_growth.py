"""A conversation of fifty turns is stored once, and not once more with each turn."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from agents import Runner, SQLiteSession
from bench.models import Bench, Kind
from bench.scenarios.flows import add, assistant
from bench.script import Script, call, say, use

from agenttrace_nb.journal.follow import checkpoint
from capture.recording import recording

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "a sentence of some length that stands in every answer, so that the content outweighs its frame; " * 4


async def conversation(turns: int, kind: Kind, folder: Path) -> dict[str, int]:
    """Talk for so many turns, each with a tool call; return what that took in the journal."""
    script = Script({
        "assistant": [
            step
            for turn in range(turns)
            for step in (use(call("add", a=turn, b=10_000_000 + turn)), say(f"{turn}: {TEXT}"))
        ]
    })  # fmt: skip
    async with Bench(kind, script) as bench:
        session = SQLiteSession("talk")
        with recording(folder) as rec:
            agent = assistant(bench, add)
            for turn in range(turns):
                await Runner.run(agent, f"question {turn}? {TEXT}", session=session)
            prompts = [span.input for span in rec.all("llm")]
        session.close()
    assert rec.notes == []
    rec.journal.flush()
    assert rec.journal.path is not None
    checkpoint(rec.journal.path)
    with closing(sqlite3.connect(rec.journal.path)) as db:
        items, item_bytes = db.execute("SELECT count(*), sum(length(body)) FROM items").fetchone()
        events, event_bytes = db.execute("SELECT count(*), sum(length(body)) FROM events").fetchone()
        doubles = db.execute("SELECT count(*) - count(DISTINCT hash) FROM items").fetchone()[0]
    shown = sum(len(prompt) for prompt in prompts)
    return {
        "items": items, "item bytes": item_bytes, "events": events, "event bytes": event_bytes,
        "doubles": doubles, "shown": shown,
    }  # fmt: skip


@pytest.mark.parametrize("kind", [Kind.BARE, Kind.CHAT])
async def test_each_conversation_item_is_stored_once(kind: Kind, tmp_path: Path) -> None:
    turns = 50
    found = await conversation(turns, kind, tmp_path)
    # Per turn: the question, the call, its result, the answer; in the form that the provider gave and, where the SDK
    # rewrites it, in the form that it asks with; the system prompt once.
    assert found["shown"] > 10_000
    assert found["items"] <= 6 * turns + 5
    assert found["doubles"] == 0


async def test_four_times_the_turns_take_four_times_the_content(tmp_path: Path) -> None:
    short, long = await conversation(12, Kind.BARE, tmp_path), await conversation(48, Kind.BARE, tmp_path)
    assert long["shown"] > 14 * short["shown"]  # the prompts themselves grow with the square
    assert long["items"] <= 4 * short["items"]
    assert long["item bytes"] <= 4.1 * short["item bytes"]
    assert long["events"] <= 4 * short["events"]
    # A prompt names its items by number, a few bytes each: all that grows faster.
    assert long["item bytes"] + long["event bytes"] <= 5 * (short["item bytes"] + short["event bytes"])
