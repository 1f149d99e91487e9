"""The live picture: one run's events and no other's, complete whatever the threads do, gone when nobody holds it."""

from __future__ import annotations

import gc
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.bus import Bus
from agenttrace_nb.journal.events import Event, EventKind
from agenttrace_nb.journal.live import LiveFold
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACE, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "one.journal")
    yield made
    made.close()


def begin(journal: Journal, run: str, trace: str, **body: Any) -> None:
    journal.append(EventKind.RUN_START, run_key=run, body={"name": run})
    journal.append(EventKind.TRACE_START, run_key=run, trace_id=trace, body={"name": f"trace of {run}", **body})


def span(
    journal: Journal, run: str, trace: str, name: str, kind: EventKind = EventKind.SPAN_START, **body: Any
) -> None:
    journal.append(kind, run_key=run, trace_id=trace, span_id=name, body={"name": name, **body})


def names(live: LiveFold) -> list[str]:
    return [s.name for trace in live.traces for s in trace.spans]


def test_it_shows_what_has_happened_so_far(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    span(journal, "r", TRACE, "tool", kind=EventKind.SPAN_START)
    assert (live.run.name, live.run.status, names(live)) == ("r", Status.RUNNING, ["tool"])
    journal.append(EventKind.RUN_END, run_key="r", body={"status": "ok"})
    assert live.run.status is Status.OK


def test_contents_can_be_read_before_and_after_they_are_in_the_file(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    prompt = [{"role": "user", "content": "hello " * 50}]
    journal.append(EventKind.SPAN_START, run_key="r", trace_id=TRACE, span_id="s", content={"input": prompt})
    (seen,) = live.sync()
    assert seen.input == prompt
    journal.append(
        EventKind.SPAN_UPDATE, run_key="r", trace_id=TRACE, span_id="s", content={"input": prompt}, urgent=True
    )
    (seen,) = live.sync()
    assert seen.input == prompt


def test_sync_tells_each_changed_span_once(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    span(journal, "r", TRACE, "a")
    span(journal, "r", TRACE, "b")
    span(journal, "r", TRACE, "a", EventKind.SPAN_END)
    assert [s.name for s in live.sync()] == ["a", "b"]
    assert live.sync() == []


def test_looking_at_the_run_takes_no_change_away_from_sync(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    span(journal, "r", TRACE, "a")
    assert names(live) == ["a"]
    span(journal, "r", TRACE, "b")
    assert live.run.name == "r"
    assert [s.name for s in live.sync()] == ["a", "b"]


def test_each_of_several_runs_in_one_journal_sees_only_its_own(journal: Journal) -> None:
    first, second = LiveFold(journal, "1"), LiveFold(journal, "2")
    begin(journal, "1", TRACE)
    begin(journal, "2", OTHER)
    for number in range(5):
        span(journal, "1", TRACE, f"1.{number}")
        span(journal, "2", OTHER, f"2.{number}")
    assert names(first) == [f"1.{n}" for n in range(5)]
    assert names(second) == [f"2.{n}" for n in range(5)]
    assert (first.run.name, second.run.name) == ("1", "2")


def test_a_trace_resumed_by_another_run_goes_on_in_both(journal: Journal) -> None:
    first, second = LiveFold(journal, "1"), LiveFold(journal, "2")
    begin(journal, "1", TRACE)
    span(journal, "1", TRACE, "before")
    begin(journal, "2", TRACE, resumed=True)
    span(journal, "2", TRACE, "after")
    journal.append(EventKind.TRACE_END, run_key="2", trace_id=TRACE, body={"status": "ok"})
    assert names(first) == ["before", "after"]
    assert names(second) == ["after"]
    assert [live.traces[0].status for live in (first, second)] == [Status.OK, Status.OK]


def test_costs_reach_the_spans_they_are_for(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    span(journal, "r", TRACE, "a")
    live.sync()
    assert not live.set_costs({OTHER: {"a": 1.0}, TRACE: {"unknown": 1.0}})
    assert live.set_costs({TRACE: {"a": 0.25}})
    assert [(s.name, s.cost_usd) for s in live.sync()] == [("a", 0.25)]


def test_an_event_that_makes_no_sense_is_left_out_of_the_picture(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    span(journal, "r", TRACE, "a")
    journal.append(EventKind.SPAN_START, run_key="r", trace_id=TRACE, span_id="x", body={"kind": "nonsense"})
    span(journal, "r", TRACE, "b")
    assert names(live) == ["a", "b"]


def test_what_is_known_can_be_read_after_it_was_closed(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    span(journal, "r", TRACE, "a")
    live.close()
    span(journal, "r", TRACE, "b")
    assert names(live) == ["a"]
    assert [s.name for s in live.sync()] == ["a"]


def test_a_picture_that_nobody_holds_collects_nothing(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    assert journal.bus._runs
    assert journal.bus._traces
    del live
    gc.collect()
    assert (journal.bus._runs, journal.bus._traces) == ({}, {})


def test_a_thread_that_writes_and_threads_that_look_lose_nothing(journal: Journal) -> None:
    live = LiveFold(journal, "r")
    begin(journal, "r", TRACE)
    over = threading.Event()
    told: list[str] = []
    errors: list[BaseException] = []

    def write() -> None:
        for number in range(2000):
            content = {"input": f"{number} " * 40}
            journal.append(
                EventKind.SPAN_START, run_key="r", trace_id=TRACE, span_id=str(number), body={"kind": "tool"},
                content=content, urgent=number % 50 == 0,
            )  # fmt: skip
        over.set()

    def look(what: str) -> None:
        try:
            while not over.is_set():
                if what == "sync":
                    told.extend(s.span_id for s in live.sync())
                else:
                    assert live.run.name == "r"
                    assert all(s.kind is SpanKind.TOOL and s.input for s in live.traces[0].spans[-3:])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write)]
    threads += [threading.Thread(target=look, args=(what,)) for what in ("sync", "read", "read")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.extend(s.span_id for s in live.sync())
    assert errors == []
    assert [s.span_id for s in live.traces[0].spans] == [str(n) for n in range(2000)]
    assert set(told) == {str(n) for n in range(2000)}


# ------------------------------------------------------------------------------------------------------------- bus


def event(run: str | None, trace: str | None = None) -> Event:
    return Event(1, EventKind.SPAN_START, 1, run, trace, None, b"{}")


def test_who_asks_for_no_run_gets_every_event() -> None:
    bus = Bus()
    queue = bus.subscribe()
    events = [event("1"), event(None), event("2", TRACE)]
    for one in events:
        bus.publish(one)
    assert list(queue) == events


def test_a_queue_that_was_given_back_is_fed_no_more_and_others_are() -> None:
    bus = Bus()
    first, second, everything = bus.subscribe("r"), bus.subscribe("r"), bus.subscribe()
    bus.publish(event("r", TRACE))
    bus.unsubscribe(first)
    bus.unsubscribe(first)
    bus.publish(event("r", TRACE))
    bus.unsubscribe(everything)
    bus.publish(event("r", TRACE))
    assert [len(first), len(second), len(everything)] == [1, 3, 2]


def test_an_event_reaches_each_queue_once_even_if_it_has_two_reasons() -> None:
    bus = Bus()
    first, second = bus.subscribe("1"), bus.subscribe("2")
    bus.publish(event("1", TRACE))
    for _ in range(3):
        bus.publish(event("2", TRACE))
    assert [len(first), len(second)] == [4, 3]


def test_a_body_is_decoded_when_it_is_read() -> None:
    one = Event(1, EventKind.SPAN_START, 1, "r", None, None, json.dumps({"a": 1}).encode())
    assert one.body == {"a": 1}
    assert one.body is one.body
    assert "{'a': 1}" in repr(one)
