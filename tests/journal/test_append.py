"""What is appended is what is read: any value, in order, each item once, redacted before it is stored or shown."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenttrace_nb.journal import items
from agenttrace_nb.journal.append import FLUSH_S, Journal, process_journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.items import INLINE_BYTES
from agenttrace_nb.journal.place import JournalError, Lease, LeaseTakenError, owner_lock
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.journal.redact import MARK, Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.journal.events import Event

TRACE = "a" * 32
ANY_TEXT = st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
)
LOOKS_LIKE_A_REFERENCE = [{"$i": 1}, {"$l": [1, 2]}, [{"$i": 1}], {"$i": 1, "x": 2}, {"$i": {"$i": 1}}, ({"$i": 1},)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "one.journal")
    yield made
    made.close()


def events(journal: Journal) -> list[Event]:
    assert journal.path is not None
    with closing(JournalReader(journal.path)) as reader:
        return list(reader.events())


def stored_items(journal: Journal) -> list[bytes]:
    journal.flush()
    with closing(sqlite3.connect(journal.path)) as db:
        return [body for (body,) in db.execute("SELECT body FROM items ORDER BY id")]


def say(journal: Journal, number: int = 0, **more: Any) -> None:
    journal.append(EventKind.SPAN_START, run_key="r", trace_id=TRACE, span_id=f"s{number}", **more)


def read_back(journal: Journal, value: Any) -> Any:
    """Append a value as content; return what a reader of the file makes of it."""
    say(journal, content={"input": value}, urgent=True)
    with closing(JournalReader(journal.path)) as reader:
        fold = Fold(reader.item)
        for event in reader.events():
            fold.apply(event)
        return fold.spans[TRACE, "s0"].input


# ------------------------------------------------------------------------------------------------------- round trip


@given(body=st.dictionaries(ANY_TEXT, JSON), time_ns=st.integers(0, 2**62))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_event_is_read_as_it_was_appended(journal: Journal, body: dict[str, Any], time_ns: int) -> None:
    journal.append(
        EventKind.RUN_DATA, run_key="r", trace_id="t", span_id="s", body=body, time_ns=time_ns, urgent=True,
        redactor=Redactor(default=False),
    )  # fmt: skip
    last = events(journal)[-1]
    assert last.body == body
    assert (last.seq, last.kind, last.time_ns) == (journal._seq, EventKind.RUN_DATA, time_ns)
    assert (last.run_key, last.trace_id, last.span_id) == ("r", "t", "s")


@given(JSON | st.sampled_from(LOOKS_LIKE_A_REFERENCE))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_is_read_as_it_was_appended(journal: Journal, value: Any) -> None:
    redactor = Redactor(default=False)
    say(journal, content={"input": value}, redactor=redactor, urgent=True)
    last = events(journal)[-1]
    fold = Fold(journal.item)
    fold.apply(last)
    assert fold.spans[TRACE, "s0"].input == json.loads(json.dumps(value))


@pytest.mark.parametrize("value", LOOKS_LIKE_A_REFERENCE, ids=str)
def test_a_users_value_that_looks_like_a_reference_survives(journal: Journal, value: Any) -> None:
    say(journal, 7, content={"input": "another item " * 20})
    assert read_back(journal, value) == json.loads(json.dumps(value))


def test_a_models_value_that_looks_like_a_reference_survives(journal: Journal) -> None:
    from pydantic import BaseModel, Field

    class Reference(BaseModel):
        model_config = {"serialize_by_alias": True}
        to: int = Field(1, alias="$i")

    assert isinstance(read_back(journal, Reference()), dict)


def test_short_content_stands_in_the_event_and_long_content_is_an_item(journal: Journal) -> None:
    short, long = "x" * (INLINE_BYTES - 2), "x" * (INLINE_BYTES - 1)
    say(journal, content={"input": short, "output": long}, urgent=True)
    body = events(journal)[0].body
    assert body == {"input": short, "output": {"$i": 1}}
    assert stored_items(journal) == [json.dumps(long).encode()]


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", "text", [], {}, float("nan")])
def test_small_values_of_every_kind_come_back(journal: Journal, value: Any) -> None:
    assert read_back(journal, value) == ("NaN" if str(value) == "nan" else value)


# ------------------------------------------------------------------------------------------------------------ items


def test_a_conversation_item_is_stored_once_however_often_it_is_said(journal: Journal) -> None:
    items = [{"role": "user", "content": f"message {n}"} for n in range(10)]
    for turn in range(10):
        say(journal, turn, content={"input": items[: turn + 1]})
    assert stored_items(journal) == [json.dumps(i, separators=(",", ":")).encode() for i in items]
    assert [e.body["input"] for e in events(journal)] == [{"$l": list(range(1, n + 2))} for n in range(10)]


def test_an_item_is_stored_once_across_runs_with_different_rules_that_do_not_concern_it(journal: Journal) -> None:
    text = "hello " * 50
    for number, redactor in enumerate([None, Redactor(), Redactor(["zzz"]), Redactor(default=False), Redactor([str])]):
        say(journal, number, content={"input": text}, redactor=redactor)
    assert len(stored_items(journal)) == 1


def test_rules_of_one_run_do_not_reach_the_items_of_another(journal: Journal) -> None:
    text = "Ada says hello. " * 20
    for number, rules in enumerate([["Ada"], ["hello"], [], ["Ada"]]):
        say(journal, number, content={"input": text}, redactor=Redactor(rules))
    assert [json.loads(i) for i in stored_items(journal)] == [
        text.replace("Ada", MARK), text.replace("hello", MARK), text
    ]  # fmt: skip
    assert [e.body["input"]["$i"] for e in events(journal)] == [1, 2, 3, 1]


def test_a_text_that_comes_again_is_redacted_once(journal: Journal) -> None:
    calls: list[str] = []

    def rule(text: str) -> str:
        calls.append(text)
        return text

    text = "long " * 50
    for number in range(5):
        say(journal, number, content={"input": text}, redactor=Redactor([rule]))
    assert calls.count(text) == 1


def test_items_that_were_forgotten_are_stored_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MAX_KNOWN_ITEMS", 3)
    for turn in range(2):
        for number in range(5):
            say(journal, turn, content={"input": f"{number} " * 100})
    assert len(stored_items(journal)) > 5
    assert len(journal._items._stored) <= 3
    for event in events(journal):
        assert json.loads(journal.item(event.body["input"]["$i"])).startswith(tuple("01234"))


def test_an_item_can_be_read_before_and_after_it_is_in_the_file(journal: Journal) -> None:
    text = "x" * 500
    say(journal, content={"input": text})
    assert json.loads(journal.item(1)) == text
    journal.flush()
    assert json.loads(journal.item(1)) == text
    with pytest.raises(JournalError, match="item 2 is not in this journal"):
        journal.item(2)


# ------------------------------------------------------------------------------------------------ order and threads


def test_positions_are_in_order_without_gaps_under_many_threads(journal: Journal) -> None:
    watched = journal.bus.subscribe()
    barrier = threading.Barrier(16)

    def work(number: int) -> None:
        barrier.wait()
        for step in range(100):
            content = {"input": [f"shared {step} " * 20, f"own {number}.{step} " * 20]}
            say(journal, number, body={"step": step}, content=content, urgent=step % 10 == 0)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.flush()
    written = events(journal)
    assert [e.seq for e in written] == list(range(1, 1601))
    assert [e.seq for e in watched] == list(range(1, 1601))
    assert [(e.span_id, e.body) for e in written] == [(e.span_id, e.body) for e in watched]
    for number in range(16):
        assert [e.body["step"] for e in written if e.span_id == f"s{number}"] == list(range(100))
    assert len(stored_items(journal)) == 100 + 1600
    for event in written[::37]:
        shared, own = [json.loads(journal.item(i)) for i in event.body["input"]["$l"]]
        assert shared.startswith(f"shared {event.body['step']} ")
        assert own.startswith(f"own {event.span_id[1:]}.{event.body['step']} ")


def test_an_event_is_on_the_bus_before_append_returns(journal: Journal) -> None:
    watched = journal.bus.subscribe()
    say(journal, body={"name": "x"})
    assert [e.body for e in watched] == [{"name": "x"}]


def test_an_urgent_event_and_all_before_it_are_in_the_file_when_append_returns(journal: Journal) -> None:
    for number in range(5):
        say(journal, number)
    say(journal, 5, urgent=True)
    assert [e.span_id for e in events(journal)] == [f"s{n}" for n in range(6)]


def test_events_that_are_not_urgent_are_in_the_file_shortly_after(journal: Journal) -> None:
    for _ in range(3):
        say(journal)
        before = time.monotonic()
        while not events(journal)[-1:] or events(journal)[-1].seq < journal._seq:
            assert time.monotonic() - before < 20 * FLUSH_S + 5  # the machine may be busy
            time.sleep(FLUSH_S / 10)
    assert len(events(journal)) == 3


def test_what_a_caller_changes_afterwards_does_not_change_the_event(journal: Journal) -> None:
    watched = journal.bus.subscribe()
    body = {"attributes": {"a": 1}}
    say(journal, body=body)
    body["attributes"]["a"] = 2
    assert watched[0].body == {"attributes": {"a": 1}}


def test_the_file_and_the_bus_hold_the_same_data(journal: Journal) -> None:
    watched = journal.bus.subscribe()
    say(journal, body={"a": object(), "b": (1, 2), "c": float("nan"), "d": {1: 2}}, urgent=True)
    assert watched[0].body == events(journal)[0].body
    assert watched[0].body["a"] == "[not JSON: builtins.object]"


# -------------------------------------------------------------------------------------------------------- redaction


def test_a_secret_is_neither_stored_nor_shown(journal: Journal) -> None:
    key = "sk-" + "a1B2" * 10
    watched = journal.bus.subscribe()
    say(journal, body={"name": f"use {key}"}, content={"input": f"short {key}", "output": [{"text": f"{key} " * 30}]})
    journal.flush()
    shown = repr([e.body for e in watched]) + journal.item(1).decode()
    files = b"".join(f.read_bytes() for f in journal.path.parent.iterdir())
    assert key not in shown
    assert key.encode() not in files
    assert MARK in shown


@pytest.mark.parametrize("rule", ["llm|ok|parent", lambda text: "x", lambda text: 1 / 0])
def test_no_rule_can_break_what_a_run_is_made_of(journal: Journal, rule: Any) -> None:
    redactor = Redactor([rule])
    body = {"kind": "llm", "status": "ok", "parent_id": "parent", "name": "llm"}
    say(journal, body=body, content={"input": [{"role": "user"}]}, redactor=redactor, urgent=True)
    kept = events(journal)[0].body
    assert {k: kept[k] for k in ("kind", "status", "parent_id", "input")} == {
        "kind": "llm", "status": "ok", "parent_id": "parent", "input": {"$l": [1]}
    }  # fmt: skip
    assert kept["name"] != "llm"


def test_where_a_run_is_delivered_to_is_kept_with_its_password(journal: Journal) -> None:
    uri = "postgresql://mlflow:hunter2@db/mlflow"
    journal.append(EventKind.RUN_START, run_key="r", body={"tracking_uri": uri, "tags": {"at": uri}}, urgent=True)
    assert events(journal)[0].body == {"tracking_uri": uri, "tags": {"at": f"postgresql://{MARK}@db/mlflow"}}


def test_a_rule_that_appends_does_not_lock_itself_out(journal: Journal) -> None:
    def rule(text: str) -> str:
        thread = threading.Thread(target=say, args=(journal, 1))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        return text

    say(journal, 0, body={"name": "x"}, redactor=Redactor([rule]))
    assert [e.span_id for e in _flushed(journal)][-1] == "s0"


def _flushed(journal: Journal) -> list[Event]:
    journal.flush()
    return events(journal)


# --------------------------------------------------------------------------------------------------------- the file


def test_the_file_is_its_owners_alone(own_state_dir: Path) -> None:
    journal = Journal()
    say(journal, urgent=True)
    try:
        assert journal.path.parent == own_state_dir / "journals"
        assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
        found = {
            f.name.removeprefix(journal.path.stem): stat.S_IMODE(f.stat().st_mode)
            for f in journal.path.parent.iterdir()
        }
        assert found == dict.fromkeys([".journal", ".journal-wal", ".journal-shm", ".lock", ".tail"], 0o600)
    finally:
        journal.close()


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path, own_state_dir: Path) -> None:
    there = tmp_path / "there.journal"
    there.write_bytes(b"something else")
    journal = Journal(there)
    try:
        assert there.read_bytes() == b"something else"
        assert journal.path != there
        assert len(journal.problems) == 1
    finally:
        journal.close()


def test_closing_writes_the_rest_and_gives_the_lease_up(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    with pytest.raises(LeaseTakenError):
        Lease(owner_lock(journal.path))
    say(journal)
    journal.close()
    journal.close()
    assert len(events(journal)) == 1
    Lease(owner_lock(journal.path)).release()


def test_appending_after_the_end_still_reaches_the_bus_and_fills_no_memory(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "one.journal")
    journal.close()
    watched = journal.bus.subscribe()
    say(journal, urgent=True)
    assert len(watched) == 1
    assert journal._events == []


def test_a_process_has_one_journal_and_a_new_one_after_it_was_closed(own_state_dir: Path) -> None:
    first = process_journal()
    assert process_journal() is first
    first.close()
    second = process_journal()
    try:
        assert second is not first
        assert second.path != first.path
    finally:
        second.close()
