"""Functions of the user's as handlers: called in a thread of their own, tried again, counted, never in the way."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from end_to_end.programs import Program
from export import recorded as write
from export.recorded import record, wait_for

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import control, functions, notices
from agenttrace_nb.export.functions import handler
from agenttrace_nb.export.status import statuses
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.export.status import HandlerStatus


@pytest.fixture(autouse=True)
def said(monkeypatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(notices, "_listener", heard.append)
    return heard


@pytest.fixture
def journal(tmp_path, monkeypatch) -> Iterator[Journal]:
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path))
    (tmp_path / "journals").mkdir(mode=0o700)
    journal = Journal(tmp_path / "journals" / "20260101T000000-1-abc.journal")
    monkeypatch.setattr(functions, "process_journal", lambda: journal)
    monkeypatch.setattr(control, "process_journal", lambda: journal)
    yield journal
    for outlet in list(functions._outlets.values()):
        assert outlet.stop(30)
    functions._outlets.clear()
    journal.close()


def status(name: str = "mine") -> HandlerStatus:
    (found,) = [one for one in statuses() if one.settings.name == name]
    return found


def test_a_function_is_called_with_each_step_and_run_in_another_thread(journal):
    given: list[Any] = []
    threads: set[str] = set()

    @handler("mine")
    def take(item):
        given.append(item)
        threads.add(threading.current_thread().name)

    expected = record(journal, traces=2, spans=3)
    assert control.flush("mine")
    assert {item.event_id for item in given} == expected | {"run:run"}
    assert threads == {"agenttrace-export-mine"}
    assert (status().sent, status().waiting) == (7, 0)
    assert take.__name__ == "take"


def test_signals_choose_what_it_is_called_with(journal):
    given: list[Any] = []
    handler("mine", signals={"runs"})(given.append)
    handler("steps", signals="spans")(lambda item: None)
    record(journal, traces=2, spans=3)
    assert control.flush()
    assert [item.event_id for item in given] == ["run:run"]
    assert (status().sent, status("steps").sent) == (1, 6)


def test_alerts_of_a_dashboard_come_only_where_they_are_asked_for(journal):
    given: dict[str, list[str]] = {"mine": [], "pager": []}
    handler("mine")(lambda item: given["mine"].append(item.event_id))
    handler("pager", signals={"alerts"})(lambda item: given["pager"].append(item.event_id))
    expected = record(journal, traces=1, spans=2)
    journal.append(EventKind.ALERT, body={"rule": "errors > 5 in 10m"}, urgent=True)
    assert control.flush()
    assert set(given["mine"]) == expected | {"run:run"}
    assert [one[:6] for one in given["pager"]] == ["alert:"]


def test_an_async_function_runs_on_a_loop_of_its_own(journal):
    loops: set[int] = set()

    @handler("mine")
    async def take(item):
        await asyncio.sleep(0)
        loops.add(id(asyncio.get_running_loop()))

    async def main() -> None:
        record(journal, traces=1, spans=3)
        assert await asyncio.to_thread(control.flush, "mine")
        assert loops
        assert id(asyncio.get_running_loop()) not in loops

    asyncio.run(main())
    assert len(loops) == 1


def test_an_exception_is_tried_again_and_then_counted_as_dropped(journal, said):
    calls: list[str] = []

    @handler("mine", tries=3)
    def take(item):
        calls.append(item.event_id)
        if item.event_id == f"{write.trace_id(1)}:{write.span_id(1, 2)}":
            raise KeyError("arch")

    record(journal, traces=1, spans=5)
    wait_for(lambda: status().sent + status().dropped.total() == 6)
    assert sorted(calls.count(one) for one in set(calls)) == [1, 1, 1, 1, 1, 3]
    assert status().dropped == {"the function raised KeyError: 'arch'.": 1}
    assert said == ["export mine: 1 dropped: the function raised KeyError: 'arch'."]


def test_a_function_that_hangs_slows_nobody(journal):
    free = threading.Event()
    handler("mine")(lambda item: free.wait(60))
    began = time.process_time()
    record(journal, traces=1, spans=50)
    given: list[Any] = []
    handler("other", backlog="all")(given.append)
    assert control.flush("other")
    assert len(given) == 51
    assert not control.flush("mine", 0.2)
    assert time.process_time() - began < 30
    free.set()
    assert control.flush("mine")


def test_a_cell_that_is_run_again_takes_the_place_of_the_old_function(journal):
    first: list[Any] = []
    second: list[Any] = []
    handler("mine")(first.append)
    record(journal, traces=1, spans=2)
    assert control.flush("mine")
    handler("mine")(second.append)
    record(journal, traces=1, spans=2, first=2, key="second")
    assert control.flush("mine")
    assert (len(first), len(second), status().sent) == (3, 3, 6)
    assert threading.active_count() < 20
    assert [t.name for t in threading.enumerate()].count("agenttrace-export-mine") == 1


def test_a_marked_item_is_given_to_the_function(journal):
    given: list[Any] = []
    handler("mine", signals="runs")(given.append)
    assert control.send_test("mine").answer == "Sent"
    assert given[0].moment == "test"

    @handler("bad")
    def raises(item):
        raise ValueError("no")

    tested = control.send_test("bad")
    assert (tested.answer, tested.reason) == ("Refused", "the function raised ValueError: no.")


def test_removed_it_is_called_no_more(journal):
    given: list[Any] = []
    handler("mine")(given.append)
    control.remove("mine")
    record(journal, traces=1, spans=2)
    assert given == []
    with pytest.raises(OptionError, match="there is no handler 'mine'"):
        control.remove("mine")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"signals": {"run"}}, "signals='run' is not allowed; it must be spans, runs or alerts. Did you mean runs"),
        ({"signals": ()}, "signals is empty"),
        ({"signals": 5}, "signals=5 is not allowed"),
        ({"tries": 0}, "tries=0 is not allowed"),
        ({"tries": "many"}, "tries='many' is not allowed"),
        ({"content": "everything"}, "content='everything' is not allowed"),
        ({"backlog": "yesterday"}, "backlog='yesterday' is not allowed"),
    ],
)
def test_a_wrong_argument_is_told_where_it_is_given(journal, arguments, words):
    with pytest.raises(OptionError, match=words):
        handler("mine", **arguments)
    assert functions.outlets() == {}


def test_a_name_that_was_forgotten_is_asked_for(journal):
    with pytest.raises(OptionError, match=r'the handler needs a name: @at\.handler\("notes"\)'):
        handler(print)


def test_above_something_that_is_no_function_it_says_so(journal):
    with pytest.raises(OptionError, match=r"@handler\('mine'\) stands above a function, not a int"):
        handler("mine")(5)


def test_names_are_shared_with_the_handlers_that_were_added(journal, tmp_path, monkeypatch):
    monkeypatch.setattr(control, "begin", lambda: None)
    control.export_to("jsonl", path=str(tmp_path / "x"))
    with pytest.raises(OptionError, match="there is a handler 'jsonl' already, added by export_to"):
        handler("jsonl")
    handler("mine")(lambda item: None)
    with pytest.raises(OptionError, match="of this kernel has that name already"):
        control.export_to("jsonl", name="mine", path=str(tmp_path / "x"))
    with pytest.raises(OptionError, match="cannot be paused"):
        control.pause("mine")


def test_a_short_program_calls_its_functions_before_it_ends(tmp_path):
    program = Program(tmp_path, {"AGENTTRACE_MLFLOW": "off"})
    code = (
        "@at.handler('mine')\n"
        "def take(item):\n"
        "    with open('seen.txt', 'a') as file:\n"
        "        file.write(item.event_id + '\\n')\n"
        "with at.trace(live=False):\n    ask()\n"
    )
    program.run(code)
    seen = (tmp_path / "seen.txt").read_text().splitlines()
    assert len(seen) == len(set(seen)) > 4
    assert sum(one.startswith("run:") for one in seen) == 1
