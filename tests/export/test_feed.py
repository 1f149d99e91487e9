"""What a handler has still to get: rebuilt after a restart, nothing twice, nothing of before it was added."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from export import recorded as write
from export.recorded import record, span_id, trace_id

from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.feed import READ_AHEAD, Feed
from agenttrace_nb.export.handler import Content
from agenttrace_nb.export.outgoing import Cutter
from agenttrace_nb.export.settings import HandlerSettings
from agenttrace_nb.journal import sealing
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.recover import close_interrupted, remove_old
from agenttrace_nb.journal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.export.feed import Waiting

ALL = HandlerSettings(name="mine", type="mine", backlog="all", key="k")
CUTTER = Cutter(Content.FULL, Redactor())


@pytest.fixture
def journal(tmp_path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "20260101T000000-1-abc.journal")
    yield journal
    journal.close()


@contextlib.contextmanager
def feed_of(journal: Journal, settings: HandlerSettings = ALL) -> Iterator[Feed]:
    journal.flush()
    with contextlib.closing(Feed(journal.path, settings)) as feed:
        while feed.read():
            pass
        yield feed


def ids(waiting: list[Waiting]) -> list[str]:
    return [one.item(CUTTER)[0].event_id for one in waiting]


def take(feed: Feed, count: int = 10_000) -> list[str]:
    found = feed.head(count)
    feed.settle(len(found))
    feed.save()
    return ids(found)


def test_steps_come_in_the_order_in_which_they_ended_then_their_run(journal):
    write.begin_run(journal, arch="one")
    write.begin_trace(journal, 1)
    for number in (0, 1):
        write.begin_span(journal, 1, number, parent_id="p")
    for number in (1, 0):
        write.end_span(journal, 1, number)
    write.end_trace(journal, 1)
    write.end_run(journal)
    with feed_of(journal) as feed:
        assert take(feed) == [f"{trace_id(1)}:{span_id(1, 1)}", f"{trace_id(1)}:{span_id(1, 0)}", "run:run"]
        assert feed.is_at_end()


@pytest.mark.parametrize("taken", [0, 1, 7, 13, 14])
def test_after_a_restart_it_goes_on_exactly_where_it_was(journal, taken):
    expected = record(journal, traces=3, spans=4) | {"run:run"}
    with feed_of(journal) as feed:
        first = take(feed, taken)
    with feed_of(journal) as feed:
        rest = take(feed)
        assert feed.sent == len(expected)
    assert sorted(first + rest) == sorted(expected)


def test_what_is_open_at_a_restart_is_whole_when_it_ends(journal):
    write.begin_run(journal, arch="one")
    write.begin_trace(journal, 1, session="s-1")
    write.begin_span(journal, 1, 0, parent_id="p", agent="Planner", content={"input": "where?"})
    for number in range(1, 5):
        write.begin_span(journal, 1, number, parent_id=span_id(1, 0))
        write.end_span(journal, 1, number)
    with feed_of(journal) as feed:
        assert len(take(feed)) == 4
    write.end_span(journal, 1, 0, content={"output": "there"})
    write.end_trace(journal, 1)
    write.end_run(journal)
    with feed_of(journal) as feed:
        step, run = feed.head(10)
        item, _ = step.item(CUTTER)
        assert (item.span.agent, item.span.input, item.span.output) == ("Planner", "where?", "there")
        assert (item.trace.session, item.run.arch) == ("s-1", "one")
        assert ids([run]) == ["run:run"]


def test_a_trace_that_goes_on_after_it_was_forgotten_is_found_again(journal, monkeypatch):
    monkeypatch.setattr("agenttrace_nb.export.feed.TRACES_REMEMBERED", 0)
    write.begin_run(journal, arch="one")
    write.begin_trace(journal, 1, session="s-1")
    write.begin_span(journal, 1, 0, parent_id="p", agent="Planner")
    write.end_trace(journal, 1)
    write.end_run(journal)
    with feed_of(journal) as feed:
        assert take(feed) == ["run:run"]
        cursor = feed._follower.cursor
        write.begin_run(journal, "later")
        write.begin_trace(journal, 1, "later", resumed=True)
        write.end_span(journal, 1, 0, "later")
        write.end_trace(journal, 1, "later")
        write.end_run(journal, "later")
        journal.flush()
        assert feed.read()
        (step, _) = feed.head(10)
        item, _ = step.item(CUTTER)
        assert (item.span.agent, item.trace.session, item.run.key) == ("Planner", "s-1", "later")
        assert item.span.duration_s > 0
    assert cursor > 0


def test_why_a_guardrail_tripped_goes_out_with_it(journal):
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    write.begin_span(journal, 1, 0, kind="guardrail", parent_id="p")
    write.end_span(journal, 1, 0, status="error", error={"type": "Tripwire", "message": "tripwire triggered"})
    write.begin_span(journal, 1, 1, parent_id="p")
    write.end_span(journal, 1, 1)
    with feed_of(journal) as feed:
        assert take(feed) == [f"{trace_id(1)}:{span_id(1, 1)}"]
    journal.append(
        EventKind.SPAN_UPDATE, run_key="run", trace_id=trace_id(1), span_id=span_id(1, 0),
        body={"error": {"type": "Tripwire", "message": "it asks for a password"}},
    )  # fmt: skip
    write.end_trace(journal, 1)
    with feed_of(journal) as feed:
        (step,) = feed.head(10)
        assert step.item(CUTTER)[0].span.error.message == "it asks for a password"


def test_a_step_that_ends_twice_is_sent_once(journal):
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    write.begin_span(journal, 1, 0)
    write.end_span(journal, 1, 0)
    write.end_span(journal, 1, 0, attributes={"pending_approvals": 0})
    write.end_trace(journal, 1)
    with feed_of(journal) as feed:
        (step,) = feed.head(10)
        assert step.item(CUTTER)[0].span.attributes == {"pending_approvals": 0}


def test_what_was_open_when_its_process_ended_is_sent_as_interrupted(journal):
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    write.begin_span(journal, 1, 0)
    journal.close()
    close_interrupted(journal.path)
    with feed_of(journal) as feed:
        step, run = feed.head(10)
        assert {step.span.status.value, run.run.status.value} == {"interrupted"}


def test_a_run_that_a_forked_child_goes_on_with_is_told_once(journal):
    joined = {"joined": True}
    journal.append(EventKind.RUN_START, run_key="run", body={"name": "cell", **joined})
    journal.append(EventKind.RUN_END, run_key="run", body=joined)
    write.begin_span(journal, 1, 0, parent_id="p")
    write.end_span(journal, 1, 0)
    with feed_of(journal) as feed:
        assert take(feed) == [f"{trace_id(1)}:{span_id(1, 0)}"]
        assert feed.is_at_end()


# ---------------------------------------------------------------------------------------------------------- backlog


def since_now(journal: Journal, **more) -> HandlerSettings:
    journal.flush()
    return replace(ALL, seen=kept.last_seqs(journal.path.parent), **more)


def test_what_was_recorded_before_it_was_added_is_not_for_it(journal):
    record(journal, traces=1, spans=2)
    settings = since_now(journal, backlog="new")
    after = record(journal, traces=1, spans=2, first=2, key="second")
    with feed_of(journal, settings) as feed:
        assert set(take(feed)) == after | {"run:second"}
        assert feed.sent == 3


def test_a_run_that_was_on_when_it_was_added_is_told_with_its_beginning(journal):
    write.begin_run(journal, arch="one")
    write.begin_trace(journal, 1)
    write.begin_span(journal, 1, 0, agent="Planner")
    settings = since_now(journal, backlog="new")
    write.end_span(journal, 1, 0)
    write.end_trace(journal, 1)
    write.end_run(journal)
    with feed_of(journal, settings) as feed:
        step, _ = feed.head(10)
        assert (step.span.agent, step.run.arch) == ("Planner", "one")


def test_a_clock_that_is_put_back_hides_nothing(journal):
    settings = since_now(journal, backlog="new", added_ns=2**62)
    write.begin_run(journal)
    journal.append(EventKind.RUN_END, run_key="run", time_ns=5, body={"status": "ok"})
    with feed_of(journal, settings) as feed:
        (run,) = feed.head(10)
        assert run.item(CUTTER)[0].run.end_ns >= run.item(CUTTER)[0].run.start_ns


def test_a_backlog_of_seconds_reaches_that_far_back(journal):
    second = 1_000_000_000
    for key, time_ns in (("old", 1), ("new", 100 * second)):
        journal.append(EventKind.RUN_START, run_key=key, time_ns=time_ns, body={"name": key})
        journal.append(EventKind.RUN_END, run_key=key, time_ns=time_ns, body={"status": "ok"})
    with feed_of(journal, since_now(journal, backlog=10.0, added_ns=105 * second)) as feed:
        assert take(feed) == ["run:new"]


def test_what_waited_too_long_is_dropped_and_what_failed_waits_twice_as_long(journal):
    second = 1_000_000_000
    for key, status in (("a", "ok"), ("b", "ok"), ("c", "error"), ("d", "ok")):
        journal.append(EventKind.RUN_START, run_key=key, time_ns=1, body={"name": key})
        journal.append(EventKind.RUN_END, run_key=key, time_ns=1, body={"status": status})
    with feed_of(journal, replace(ALL, max_age_s=10.0)) as feed:
        assert feed.drop_aged(9 * second) == 0
        assert feed.drop_aged(15 * second) == 2
        assert ids(feed.head(10)) == ["run:c", "run:d"]
        assert feed.drop_aged(25 * second) == 2
        assert feed.dropped == Counter({"waited longer than 10 s": 4})
        assert (feed.sent, feed.waiting()) == (0, 0)


def test_the_same_name_added_again_begins_anew(journal):
    expected = record(journal, traces=1, spans=2) | {"run:run"}
    with feed_of(journal) as feed:
        take(feed)
    with feed_of(journal, replace(ALL, key="another")) as feed:
        assert feed.sent == 0
        assert set(take(feed)) == expected


# ------------------------------------------------------------------------------------------------------------- limits


def test_no_more_is_held_in_memory_than_allowed(journal):
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    for number in range(READ_AHEAD + 3000):
        write.end_span(journal, 1, number, parent_id="p")
    with feed_of(journal) as feed:
        assert READ_AHEAD <= feed.waiting() < READ_AHEAD + 2500
        sent = take(feed, 4000)
        while feed.read():
            pass
        sent += take(feed)
        assert len(sent) == len(set(sent)) == READ_AHEAD + 3000


def test_with_the_audit_log_on_nothing_leaves_before_it_is_sealed(journal):
    sealing.turn_on(journal.path.parent)
    record(journal, traces=1, spans=2)
    with feed_of(journal) as feed:
        assert feed.head(10) == []
        assert feed.waiting() == 3
        state = {"cursor": 1, "state": {"position": 7, "sealed": {trace_id(1): 100}}}
        kept.write_private(journal.path.with_suffix(".audit.json"), state)
        assert len(feed.head(10)) == 2
        state["state"]["position"] = 100
        kept.write_private(journal.path.with_suffix(".audit.json"), state)
        assert len(feed.head(10)) == 3


def test_a_journal_is_not_cleared_away_while_a_handler_waits_for_it(journal):
    record(journal, traces=1, spans=2)
    with feed_of(journal) as feed:
        feed.save()
    journal.close()
    assert remove_old(journal.path.parent, keep_days=0, delivered=()) == []
    with feed_of(journal) as feed:
        take(feed)
    assert remove_old(journal.path.parent, keep_days=0, delivered=()) == [journal.path]
