"""The kernel's side of the dashboard: what it sends and how often, its twin and text, MLflow's troubles in words."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from views import golden_dashboard
from views.hostile import RUN as HACK
from views.sample_dashboards import NOW_MS, FixedFeed, feed, hostile, hours, run

import agenttrace_nb as at
from agenttrace_nb.analysis.monitor import Measured, Standing, Stretch, figures
from agenttrace_nb.analysis.monitor_rules import begin, parse
from agenttrace_nb.config import OptionError
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.views.dashboard import Dashboard
from agenttrace_nb.views.dashboard_html import static_dashboard
from agenttrace_nb.views.dashboard_pulse import Repeated, StoreReader
from agenttrace_nb.views.dashboard_text import Picture, text_dashboard
from agenttrace_nb.views.dashboard_watch import Watch
from agenttrace_nb.views.dashboard_windows import windows
from agenttrace_nb.views.kernel_state import KernelState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 60


def picture(of: FixedFeed, **more: Any) -> Picture:
    """What a feed shows of the last hour."""
    hour = Stretch(NOW_MS - 3_600_000, NOW_MS + 1)
    shown = figures(of.board, hour, NOW_MS)
    return Picture(title="All runs", board=of.board, stretch=hour, figures=shown, now_ms=NOW_MS, **more)


def until(true: Any) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


# --------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("name", list(golden_dashboard.files()))
def test_golden_files_are_what_the_code_writes(name: str) -> None:
    stored = (golden_dashboard.FOLDER / name).read_bytes()
    assert stored == golden_dashboard.files()[name], (
        "write them anew: PYTHONPATH=tests python -m views.golden_dashboard"
    )


def test_where_nothing_changed_nothing_is_sent_but_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    of = feed(rules=())
    assert of.patch() is not None
    assert of.patch() is None
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 6)
    assert of.patch() is not None


def test_a_frame_holds_only_what_changed_since_the_last_one() -> None:
    of = feed(rules=())
    whole = of.patch() or b""
    of.take([run(3, NOW_MS - 10)])
    assert len(of.patch() or b"") < 2500 < len(whole)


# -------------------------------------------------------------------------------------------------------- pulses


class Listened:
    """Stands in for the widget: keeps what is sent."""

    is_looked_at = True

    def __init__(self) -> None:
        self.sent: list[tuple[float, int]] = []

    def send_patch(self, data: bytes) -> None:
        self.sent.append((time.monotonic(), len(data)))


@contextmanager
def kernel_dashboard(tmp_path: Path, **options: Any) -> Iterator[tuple[Dashboard, Journal, Listened]]:
    """A dashboard of a kernel's journal alone, that sends to a widget that listens."""
    journal = Journal(tmp_path / "one.journal")
    made = Dashboard(journal=journal, uri=None, load=lambda _: pytest.fail("not asked for"), **options)
    widget = Listened()
    made._widget = widget
    made._start()
    try:
        yield made, journal, widget
    finally:
        made.close()
        journal.close()


def play(journal: Journal, count: int, *, first: int = 0, status: str = "ok") -> None:
    """Runs begin and end."""
    for at_ in range(first, first + count):
        ids = {"run_key": f"run{at_}", "trace_id": f"{at_ + 1:032x}"}
        journal.append(EventKind.RUN_START, run_key=ids["run_key"], body={"name": "run", "arch": "desk"})
        journal.append(EventKind.TRACE_START, **ids, body={"name": "Support"})
        for step in range(8):
            span = {**ids, "span_id": f"{step:016x}"}
            journal.append(EventKind.SPAN_START, **span, body={"kind": "tool", "name": "t"})
            journal.append(EventKind.SPAN_END, **span, body={"status": "ok"})
        journal.append(EventKind.TRACE_END, **ids, body={"status": status})
        journal.append(EventKind.RUN_END, run_key=ids["run_key"], body={"status": status})


def test_thousands_of_steps_become_a_few_messages_at_most_four_a_second(tmp_path: Path) -> None:
    with kernel_dashboard(tmp_path, window="all") as (made, journal, widget):
        began = time.monotonic()
        for first in range(0, 300, 30):
            play(journal, 30, first=first)
            time.sleep(0.1)
        until(lambda: made.figures().runs == 300)
        made._step()
        took = time.monotonic() - began
        assert 2 <= len(widget.sent) <= 4 * took + 3
        gaps = sorted(after - before for (before, _), (after, _) in zip(widget.sent, widget.sent[1:-1], strict=False))
        assert not gaps or gaps[0] > 0.2


def test_an_alert_is_told_once_for_each_crossing_and_a_callback_that_fails_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fired: list[float] = []
    with kernel_dashboard(tmp_path, alerts=["errors > 2 in 1h", "success < 0.9 over 500 runs"]) as (made, journal, _):
        with pytest.raises(OptionError, match="on_alert takes a function, not a int"):
            made.on_alert(5)
        made.on_alert(lambda _: 1 / 0)
        made.on_alert(lambda alert: fired.append(alert.reading.value))
        with caplog.at_level(logging.WARNING, "agenttrace_nb"):
            play(journal, 5, status="error")
            until(lambda: fired)
            play(journal, 5, first=5, status="error")
            until(lambda: made.figures().errors == 10 and made.alerts[0].reading.value == 10)
    assert len(fired) == 1
    assert [a.state.value for a in made.alerts] == ["firing", "too few runs to say"]
    assert "a callback of the alert 'errors > 2 in 1h' failed: ZeroDivisionError" in caplog.text


def test_close_ends_its_threads_and_its_listening(tmp_path: Path) -> None:
    with kernel_dashboard(tmp_path) as (made, journal, _):
        assert {t.name for t in threading.enumerate()} & {"agenttrace-dashboard"}
        made.close()
        assert not {t.name for t in threading.enumerate()} & {"agenttrace-dashboard"}
        assert not journal.bus._all
        assert made.figures().runs == 0
        assert "It is no longer followed." in made.text()


def test_of_many_dashboards_only_the_last_few_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenttrace_nb.views.dashboard.FOLLOWED_LIMIT", 2)
    with kernel_dashboard(tmp_path) as (first, journal, _):
        others = [Dashboard(journal=journal, uri=None, load=lambda _: pytest.fail("no")) for _ in range(2)]
        assert not others[1].feed.ended, "one that nobody looked at takes nothing in"
        assert len(journal.bus._all) == 1
        for one in others:
            one.figures()
        assert [one.feed.ended for one in (first, *others)] == [True, False, False]
        for one in others:
            one.close()


def test_work_that_fails_is_reported_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise RuntimeError("no")

    with caplog.at_level(logging.WARNING, "agenttrace_nb"):
        thread = Repeated("test", 0.01, fail)
        thread.start()
        until(lambda: len(calls) > 3)
        thread.stop()
    assert caplog.text.count("the dashboard's test failed: RuntimeError: no") == 1


# -------------------------------------------------------------------------------------------------------- MLflow


class FakeStore:
    """Stands in for `StoreRuns`: gives batches, or raises."""

    def __init__(self, *batches: list[Measured] | Exception) -> None:
        self.batches = list(batches)
        self.progress = SimpleNamespace(read=0, of=0)
        self.asked: list[tuple[float, list[str]]] = []

    def experiments(self) -> None:
        return None

    def read(self, since_ms: float, _: float, *, wanted: list[str], is_known: Any) -> Iterator[list[Measured]]:
        self.asked.append((since_ms, wanted))
        while self.batches:
            batch = self.batches.pop(0)
            if isinstance(batch, Exception):
                raise batch
            self.progress.read += len(batch)
            yield batch


def reader_of(store: FakeStore, of: FixedFeed, reason: str | None = None) -> StoreReader:
    made = StoreReader(store, of, lambda: reason)
    made.since(0)
    return made


def test_an_mlflow_that_does_not_answer_is_said_and_the_last_figures_stay() -> None:
    of = feed([run(1, NOW_MS)], rules=())
    store = FakeStore(ConnectionError("MLflow at http://127.0.0.1:9 does not answer (refused)."))
    reader_of(store, of).step()
    assert of.source is not None
    assert "does not answer (refused)" in (of.source.problem or "")
    assert figures(of.board, Stretch(), NOW_MS).runs == 1
    store.batches = [[run(2, NOW_MS)]]
    made = reader_of(store, of)
    made.step()
    assert of.source.problem is None
    assert figures(of.board, Stretch(), NOW_MS).runs == 2


def test_while_a_cell_runs_mlflow_is_not_read_and_the_foot_says_so() -> None:
    of, store = feed([], rules=()), FakeStore([run(1, NOW_MS)])
    reader_of(store, of, "a cell runs").step()
    assert of.source is not None
    assert (store.asked, of.source.paused) == ([], "a cell runs")


def test_reading_stops_in_between_when_a_cell_begins() -> None:
    of, store = feed([], rules=()), FakeStore([run(1, NOW_MS)], [run(2, NOW_MS)])
    reasons = iter([None, "a cell runs"])
    made = StoreReader(store, of, lambda: next(reasons))
    made.since(0)
    made.step()
    assert len(of.board.ids) == 1
    assert len(store.batches) == 1


def test_a_run_that_still_runs_here_is_not_taken_from_mlflow() -> None:
    of = feed([run(1, NOW_MS, took_s=2.0)], rules=())
    of.take([run(1, NOW_MS, took_s=None)])
    assert of.board.standing(f"{2:032x}") is Standing.OK


def test_a_kernel_is_busy_from_the_beginning_of_a_cell_to_its_end() -> None:
    hooks: dict[str, Any] = {}
    shell = SimpleNamespace(kernel=object(), events=SimpleNamespace(register=hooks.__setitem__))
    state = KernelState(shell)
    assert state.is_busy, "it was made within a cell"
    hooks["post_run_cell"](None)
    assert not state.is_busy
    hooks["pre_run_cell"](None)
    hooks["pre_run_cell"](None)
    hooks["post_run_cell"](None)
    assert state.is_busy, "a cell within a cell"
    assert state.idle_s == 0
    assert not KernelState.of(None).is_busy


# ------------------------------------------------------------------------------------------------ twin, text, options


def test_the_twin_and_the_text_say_what_the_tiles_say() -> None:
    of = feed()
    watch = Watch(["success < 0.9 over 50 runs"])
    watch.look(of.board, NOW_MS, changed=True)
    shown = picture(of, alerts=watch.alerts, notes=["a note"])
    html, text = static_dashboard(shown, key="dk"), text_dashboard(shown)
    for words in ("Success rate", "318 of 339 ended without error", "6 turned away by a guardrail", "a note"):
        assert words in html
        assert words in text
    assert "▲ success < 0.9 over 50 runs: now 78 % of 50 runs" in text
    assert ".agtr-live-dk" in html
    assert "TimeoutError: the warehouse did not answer" in html
    assert "more errors: 0.9 % → 14 %" in text


def test_of_too_few_runs_the_twin_shows_no_quantile() -> None:
    text = text_dashboard(picture(feed([run(at_, NOW_MS - 1000) for at_ in range(5)], rules=())))
    assert "too few   p95 too few · p99 too few · 5 runs" in text


def test_an_unknown_cost_is_a_dash_and_never_zero() -> None:
    text = text_dashboard(picture(feed([run(at_, NOW_MS - 1000, known=False) for at_ in range(7)], rules=())))
    assert "Cost                      —   7 runs without a known cost" in text
    assert "$0" not in text


def test_hostile_texts_are_escaped_in_the_twin_and_cleaned_in_the_text() -> None:
    of = feed(hostile(), rules=())
    shown = picture(of)
    html, text = static_dashboard(shown), text_dashboard(shown)
    assert f"<script>{HACK}" not in html
    assert "<img" not in html.replace("&lt;img", "")
    assert not [c for c in ("\x1b", "\u202e", "\x00", "\u2028") if c in html + text]


def test_rules_are_shown_to_the_browser_in_words() -> None:
    watch = Watch(["cost > 2 in 1h"])
    watch.look(feed([run(1, NOW_MS - 5000, known=False)], rules=()).board, NOW_MS, changed=True)
    (shown,) = watch.shown()
    assert (shown["state"], shown["says"]) == ("too few runs to say", "no run has a known cost")
    assert begin(parse(["cost > 2 in 1h"])[0], 0.0).fired == 0


@pytest.mark.parametrize(
    ("given", "name"), [(None, "1h"), ("all", "all"), ("6h", "6h"), (timedelta(minutes=15), "15m")]
)
def test_a_window_may_be_a_name_a_length_or_a_timedelta(given: Any, name: str) -> None:
    choices, first = windows(given)
    assert first == name
    assert first in [w.name for w in choices]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"window": "soon"}, "window='soon' is not allowed; it must be 15m, 1h, 24h, all"),
        ({"window": timedelta(0)}, "is not allowed"),
        ({"alerts": ["succes < 1 over 5 runs"]}, "Did you mean success"),
        ({"alerts": "errors > 5 in 1h"}, "it must be a list of rules"),
        ({"arch": ""}, "arch"),
        ({"experiment": ["flights"]}, "experiment="),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        at.dashboard(**wrong)


def test_a_table_of_something_else_says_what_there_is(tmp_path: Path) -> None:
    with kernel_dashboard(tmp_path) as (made, journal, _):
        play(journal, 2)
        until(lambda: made.figures("all").runs == 2)
        assert list(made.table("tool")["n"]) == [16]
        with pytest.raises(OptionError, match=r"by='tol'.*Did you mean tool"):
            made.table("tol")
        with pytest.raises(OptionError, match="window='2h' is not allowed; it must be one of 15m, 1h, 24h, all"):
            made.figures("2h")


def test_two_hours_of_runs_are_worked_out_by_hand_too() -> None:
    runs = [r for r in hours() if r.start_ms >= NOW_MS - 3_600_000 and r.took_s is not None]
    assert picture(feed(rules=())).figures.runs == len(runs)
