"""The thread of a handler: what comes of each answer, and that what is produced is sent, dropped or waits."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from export import recorded as write
from export.recorded import Remembering, record, running, wait_for

from agenttrace_nb.export import outlet as outlets
from agenttrace_nb.export import sender as senders
from agenttrace_nb.export.feed import follower_name
from agenttrace_nb.export.handler import Misconfigured, Moment, Refused, Retry, Sent, TooLarge
from agenttrace_nb.export.patience import Limits, Patience
from agenttrace_nb.journal.append import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def journal(tmp_path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "20260101T000000-1-abc.journal")
    yield journal
    journal.close()


def law_holds(outlet: Any, produced: int) -> bool:
    (feed,) = outlet._feeds.values()
    return produced == feed.sent + feed.dropped.total() + feed.waiting()


def settled(outlet: Any, produced: int) -> bool:
    feeds = list(outlet._feeds.values())
    return bool(feeds) and feeds[0].sent + feeds[0].dropped.total() == produced


def test_what_ends_is_sent_in_batches_with_its_trace_and_run(journal):
    handler = Remembering()
    expected = record(journal, traces=2, spans=300)
    with running(journal.path, handler) as outlet:
        wait_for(lambda: settled(outlet, 601))
    assert set(handler.ids) == expected | {"run:run"}
    assert len(handler.ids) == 601
    assert [len(batch) for batch in handler.batches] == [512, 89]
    first = handler.items[0]
    assert (first.trace.name, first.run.name, first.moment) == ("flow", "cell [1]", Moment.SPAN)
    assert handler.closed == len(handler.opened) == 1


def test_what_is_in_a_batch_is_at_most_a_mebibyte(journal):
    handler = Remembering()
    write.begin_run(journal)
    for number in range(10):
        write.end_span(journal, 1, number, parent_id="p", content={"output": "x" * 300_000})
    journal.flush()
    with running(journal.path, handler, content="full") as outlet:
        wait_for(lambda: settled(outlet, 10))
    assert [len(batch) for batch in handler.batches] == [3, 3, 3, 1]


def test_one_thing_larger_than_a_batch_goes_alone(journal):
    handler = Remembering()
    for number in range(2):
        write.end_span(journal, 1, number, parent_id="p", content={"output": "x" * 2_000_000})
    journal.flush()
    with running(journal.path, handler, content="full") as outlet:
        wait_for(lambda: settled(outlet, 2))
    assert [len(batch) for batch in handler.batches] == [1, 1]


def test_a_target_that_is_down_gets_everything_once_when_it_is_back(journal):
    down = threading.Event()
    down.set()
    handler = Remembering(lambda _: Retry(reason="no answer") if down.is_set() else Sent())
    said: list[str] = []
    with running(journal.path, handler, said) as outlet:
        expected = record(journal, traces=30, spans=100)
        wait_for(lambda: outlet.sender.patience.is_broken)
        assert law_holds(outlet, 3001)
        down.clear()
        wait_for(lambda: settled(outlet, 3001))
        assert law_holds(outlet, 3001)
    assert sorted(handler.ids) == sorted(expected | {"run:run"})
    assert "no answer. It is tried again; nothing is lost." in said[0]
    assert "the target is back" in said[1]


def test_a_broken_target_is_tried_with_one_thing(journal):
    tried: list[int] = []

    def answer(batch: Any) -> Any:
        tried.append(len(batch))
        return Retry(reason="no") if len(tried) <= 7 else Sent()

    record(journal, traces=1, spans=100)
    with running(journal.path, Remembering(answer)) as outlet:
        wait_for(lambda: settled(outlet, 101))
    assert tried == [101] * 5 + [1, 1, 1, 100]


def test_a_target_that_asks_for_time_gets_it():
    patience = Patience(Limits(first_s=0.01, longest_s=0.02))
    patience.failed(after_s=25.0)
    assert 20 < patience.wait_s() <= 25
    patience.failed(after_s=float("nan"))
    patience.failed(after_s=float("inf"))
    assert patience.wait_s() <= 3600
    patience.succeeded()
    assert patience.wait_s() == 0


def test_waits_grow_and_are_drawn_at_random():
    waits: list[list[float]] = []
    for _ in range(200):
        patience = Patience(Limits())
        one = []
        for _ in range(8):
            patience.failed()
            one.append(patience.wait_s())
        waits.append(one)
    longest = [max(column) for column in zip(*waits, strict=True)]
    assert [0.5 * 2**n >= longest[n] > 0.35 * 2**n for n in range(4)] == [True] * 4
    assert all(14 < min(column) <= 30 for column in list(zip(*waits, strict=True))[4:])
    assert min(column[3] for column in waits) < 1


def test_a_batch_that_is_too_large_is_halved_until_it_fits(journal):
    sizes: list[int] = []

    def answer(batch: Any) -> Any:
        sizes.append(len(batch))
        return TooLarge(reason="at most 20") if len(batch) > 20 else Sent()

    handler = Remembering(answer)
    expected = record(journal, traces=1, spans=100)
    with running(journal.path, handler) as outlet:
        wait_for(lambda: settled(outlet, 101))
    assert sizes[:4] == [101, 50, 25, 12]
    assert sum(size > 20 for size in sizes) <= 4, sizes  # it does not try what is too large again and again
    assert sorted(handler.ids) == sorted(expected | {"run:run"})


def test_a_single_thing_that_is_too_large_is_dropped_and_counted(journal):
    poison = write.span_id(1, 3)
    handler = Remembering(
        lambda batch: TooLarge(reason="too big") if any(poison in i.event_id for i in batch) else Sent()
    )
    said: list[str] = []
    record(journal, traces=1, spans=10)
    with running(journal.path, handler, said) as outlet:
        wait_for(lambda: settled(outlet, 11))
        (feed,) = outlet._feeds.values()
        assert (feed.sent, feed.dropped) == (10, {"too big.": 1})
    assert len(handler.ids) == 10
    assert said == ["export mine: 1 dropped: too big."]


@pytest.mark.parametrize(
    ("refusal", "lost"),
    [
        (Refused(reason="bad"), 11),
        (Refused(reason="bad", event_ids=frozenset({"run:run", "unknown"})), 1),
        (Refused(reason="bad", count=4), 4),
        (Refused(reason="bad", count=400), 11),
    ],
)
def test_what_a_target_refuses_is_dropped_and_counted(journal, refusal, lost):
    record(journal, traces=1, spans=10)
    with running(journal.path, Remembering(lambda _: refusal)) as outlet:
        wait_for(lambda: settled(outlet, 11))
        (feed,) = outlet._feeds.values()
        assert (feed.sent, feed.dropped.total()) == (11 - lost, lost)


def test_a_target_that_refuses_is_left_alone_until_it_is_told_to_go_on(journal):
    allowed = threading.Event()
    tries: list[int] = []

    def answer(batch: Any) -> Any:
        tries.append(len(batch))
        return Sent() if allowed.is_set() else Misconfigured(reason="401: the token is not known")

    handler, said = Remembering(answer), list[str]()
    with running(journal.path, handler, said) as outlet:
        record(journal, traces=1, spans=10)
        wait_for(lambda: outlet.sender.standing.refused)
        record(journal, traces=1, spans=10, first=2, key="second")
        wait_for(lambda: law_holds(outlet, 22))
        assert tries == [11]
        allowed.set()
        outlet.hurry()
        wait_for(lambda: settled(outlet, 22))
    assert len(set(handler.ids)) == 22
    assert len(handler.opened) == 2
    (notice,) = said
    assert "401: the token is not known. Nothing is sent until that is put right" in notice
    assert "%trace_export resume mine" in notice


def test_a_handler_that_raises_is_tried_again_and_told_once(journal):
    left = [7]

    def answer(_: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise SystemExit("out of order") if left[0] % 2 else KeyError("x")
        return Sent()

    handler, said = Remembering(answer), list[str]()
    record(journal, traces=1, spans=10)
    with running(journal.path, handler, said) as outlet:
        wait_for(lambda: settled(outlet, 11))
    assert len(handler.ids) == 11
    assert len(said) == 2
    assert "the handler failed: " in said[0]


@pytest.mark.parametrize("returned", [None, True, "ok", Sent])
def test_a_handler_that_answers_with_something_else_loses_nothing(journal, returned):
    said: list[str] = []
    record(journal, traces=1, spans=10)
    with running(journal.path, Remembering(lambda _: returned), said) as outlet:
        wait_for(lambda: outlet.sender.standing.refused)
        assert law_holds(outlet, 11)
    assert "it must return Sent()" in said[0]


def test_a_wrong_option_is_told_before_anything_is_recorded(journal):
    class Closed(Remembering):
        def open(self, context):
            raise ValueError("endpoint='x' is no address")

    said: list[str] = []
    with running(journal.path, Closed(), said):
        wait_for(lambda: said)


def test_an_error_of_our_own_does_not_end_the_thread(journal, monkeypatch):
    left = [3]
    real = outlets.Feed.read

    def read(feed: Any) -> bool:
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError
        return real(feed)

    monkeypatch.setattr(outlets.Feed, "read", read)
    record(journal, traces=1, spans=10)
    with running(journal.path, Remembering()) as outlet:
        wait_for(lambda: settled(outlet, 11))


@pytest.mark.parametrize("error", [ValueError("endpoint='x' is no address"), RuntimeError("no library"), SystemExit(3)])
def test_a_handler_that_cannot_be_opened_says_why_and_others_go_on(journal, error):
    class Closed(Remembering):
        def open(self, context):
            raise error

    said: list[str] = []
    other = Remembering()
    with running(journal.path, Closed(), said), running(journal.path, other, name="other") as outlet:
        record(journal, traces=1, spans=10)
        wait_for(lambda: settled(outlet, 11))
        wait_for(lambda: said)
    assert str(error) in said[0]


def test_a_handler_that_hangs_is_named_and_holds_up_nobody(journal, monkeypatch):
    monkeypatch.setattr(outlets, "HANGS_S", 0.3)
    free = threading.Event()
    other = Remembering()

    def hang(_: Any) -> Any:
        free.wait(60)
        return Sent()

    slow = Remembering(hang)
    with running(journal.path, slow) as hanging, running(journal.path, other, name="other") as outlet:
        record(journal, traces=1, spans=10)
        wait_for(lambda: settled(outlet, 11))
        wait_for(hanging.hangs_for_s)
        assert outlet.hangs_for_s() == 0
        free.set()
        wait_for(lambda: settled(hanging, 11))
        assert hanging.hangs_for_s() == 0


def test_a_secret_in_an_error_is_not_shown(journal, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_TESTS", "invented-token-for-tests")
    handler = Remembering(lambda _: Retry(reason="GET https://x?key=invented-token-for-tests failed\n" + "x" * 1000))
    handler.options = {"token": "a token"}
    handler.secrets = frozenset({"token"})
    record(journal, traces=1, spans=1)
    with running(journal.path, handler, options={"token": "env:TOKEN_OF_TESTS"}) as outlet:
        wait_for(lambda: outlet.sender.standing.problem)
        problem = outlet.sender.standing.problem
    assert "invented-token" not in problem
    assert len(problem) <= senders._REASON_CHARS
    assert "\n" not in problem


def test_reasons_that_differ_each_time_do_not_fill_the_notes(journal):
    numbers = iter(range(1000))
    handler = Remembering(lambda _: Refused(reason=f"request {next(numbers)} was refused"))
    for number in range(60):
        write.end_span(journal, 1, number, parent_id="p")
    journal.flush()
    with running(journal.path, handler) as outlet:
        outlet.sender._largest = 1
        wait_for(lambda: settled(outlet, 60))
        (feed,) = outlet._feeds.values()
        assert len(feed.dropped) <= senders._REASONS_KEPT + 1


def test_paused_it_sends_nothing_and_loses_nothing(journal):
    handler = Remembering()
    record(journal, traces=1, spans=10)
    with running(journal.path, handler, paused=True) as outlet:
        outlet.ask()
        wait_for(outlet.is_done)
    assert handler.ids == []
    with running(journal.path, handler) as outlet:
        wait_for(lambda: settled(outlet, 11))


def test_how_long_a_target_asks_to_be_left_alone_is_told_and_a_question_keeps_its_mark(journal):
    answers = [Retry(reason="429", after_s=7.0), Retry(reason="is the port right?"), Retry(reason="x", after_s=0)]
    told: list[Any] = []
    with running(journal.path, Remembering(lambda _: answers.pop(0))) as outlet:
        for _ in range(3):
            outlet.test(told.append)
        wait_for(lambda: len(told) == 3)
    assert [answer.reason for answer in told] == ["429; it asks to wait 7 s.", "is the port right?", "x."]


def test_a_marked_item_that_arrived_is_in_the_notes(journal):
    told: list[Any] = []
    with running(journal.path, Remembering()) as outlet:
        outlet.test(told.append)
        wait_for(lambda: told)
        notes = journal.path.with_suffix(f".{follower_name(outlet.settings.name)}.json")
        wait_for(lambda: notes.exists() and json.loads(notes.read_text())["state"].get("success_ns"))


def test_a_marked_item_is_sent_at_once_and_brings_a_refusing_target_back(journal):
    answers = [Misconfigured(reason="401"), Sent(), Sent()]
    handler = Remembering(lambda _: answers.pop(0))
    record(journal, traces=1, spans=10)
    told: list[Any] = []
    with running(journal.path, handler) as outlet:
        wait_for(lambda: outlet.sender.standing.refused)
        outlet.test(told.append)
        wait_for(lambda: settled(outlet, 11))
    assert isinstance(told[0], Sent)
    assert [item.moment for item in handler.batches[0]] == [Moment.TEST]
    assert handler.items[0].event_id.startswith("test:")


def test_what_is_not_a_number_or_runs_backwards_goes_out_as_unknown(journal):
    handler = Remembering()
    write.begin_run(journal)
    write.begin_trace(journal, 1)
    write.begin_span(journal, 1, 0)
    write.end_span(
        journal, 1, 0, end_ns=5, cost_usd=float("nan"), ttft_s=float("inf"), input_tokens="many",
        attributes={"data": {"x": float("-inf"), "y": "\ud800"}},
    )  # fmt: skip
    write.end_trace(journal, 1)
    journal.flush()
    with running(journal.path, handler, content="full") as outlet:
        wait_for(lambda: settled(outlet, 1))
    (item,) = handler.items
    span = item.span
    assert (span.cost_usd, span.ttft_s, span.input_tokens) == (None, None, None)
    assert span.end_ns == span.start_ns > 0
    assert span.attributes == {"data": {"x": "-Infinity", "y": "\ufffd"}}
