"""`run_cases` runs every case in a run of its own, whatever one of them does, and goes on where it was stopped."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from agents import Agent, Runner, set_trace_processors
from agents.testing import ScriptedModel, assistant_message

import agenttrace_nb as at
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_state_dir: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTTRACE_MLFLOW", "off")
    set_trace_processors([])


async def answer(question: Any) -> str:
    model = ScriptedModel([[assistant_message(f"about {question}")]], emit_traces=True)
    return str((await Runner.run(Agent(name="Plain", model=model), str(question))).final_output)


def test_each_case_and_trial_is_a_run_of_its_own() -> None:
    found = at.run_cases(answer, {"one": "a", "two": "b"}, arch="plain", repeats=3, tags={"team": "red"})
    table = found.traces()
    assert list(zip(table["case"], table["trial"], strict=True)) == [
        (c, str(t)) for c in ("one", "two") for t in (1, 2, 3)
    ]
    assert set(table["arch"]) == {"plain"}
    assert table["run_id"].nunique() == 6
    assert set(table["llm_calls"]) == {1}
    assert {t.spans[0].kind for t in found} >= {SpanKind.WORKFLOW}


def test_success_is_what_the_function_says_of_the_result_and_the_case() -> None:
    says = {"a": True, "b": False, "c": None}
    found = at.run_cases(
        answer, ["a", "b", "c"], arch="plain", success=lambda result, case: result == f"about {case}" and says[case]
    )
    assert found.traces()["success"].tolist() == [True, False, pd.NA]


def test_a_case_that_raises_is_a_failed_run_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def picky(case: int) -> str:
        if case % 2:
            msg = f"not {case}"
            raise ValueError(msg)
        return await answer(case)

    table = at.run_cases(picky, range(6), arch="plain", success=lambda *_: True).traces()
    assert table["status"].tolist() == ["ok", "error"] * 3
    assert table["success"].tolist() == [True, False] * 3
    assert len([r for r in caplog.records if "failed and is recorded so" in r.message]) == 1


def test_a_success_function_that_raises_leaves_success_unknown() -> None:
    found = at.run_cases(answer, ["a"], arch="plain", success=lambda result, case: result.nothing)
    assert found.traces()["success"].isna().all()
    assert found[0].status is Status.OK


def test_an_ordinary_function_runs_on_threads_and_its_agents_are_traced() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def ordinary(case: str) -> str:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        said = asyncio.run(answer(case))
        with lock:
            at_once -= 1
        return said

    found = at.run_cases(ordinary, list("abcdef"), arch="plain", concurrency=3)
    assert set(found.traces()["llm_calls"]) == {1}
    assert 1 < most <= 3


def test_no_more_than_so_many_run_at_once() -> None:
    at_once, most = 0, 0

    async def counted(case: int) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1

    at.run_cases(counted, range(12), arch="plain", concurrency=3)
    assert most == 3


async def test_it_works_while_an_event_loop_is_running() -> None:
    assert len(at.run_cases(answer, ["a"], arch="plain")) == 1


def test_an_interrupt_keeps_what_is_done_and_the_same_call_goes_on() -> None:
    began: list[int] = []

    async def slow(case: int) -> str:
        began.append(case)
        if case == 2 and began.count(2) == 1:
            _thread.interrupt_main()
            await asyncio.sleep(30)
        return await answer(case)

    with pytest.raises(KeyboardInterrupt):
        at.run_cases(slow, range(5), arch="plain", concurrency=1)
    assert began == [0, 1, 2]
    found = at.run_cases(slow, range(5), arch="plain", concurrency=1)
    assert began == [0, 1, 2, 2, 3, 4]
    assert found.traces()["case"].tolist() == ["0", "1", "2", "3", "4"]


def test_an_interrupt_before_the_first_look_leaves_no_case_running(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[int] = []

    async def quick(case: int) -> None:
        began.append(case)

    def interrupted(*_: Any, **__: Any) -> None:
        time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr("tqdm.auto.tqdm", interrupted)
    with pytest.raises(KeyboardInterrupt):
        at.run_cases(quick, range(3), arch="plain")
    assert began == []


def test_after_an_interrupt_no_other_case_begins_though_one_swallows_that_it_is_cancelled() -> None:
    began: list[int] = []

    async def stubborn(case: int) -> None:
        began.append(case)
        if case == 0:
            _thread.interrupt_main()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        at.run_cases(stubborn, range(3), arch="plain", concurrency=1)
    assert not [t for t in threading.enumerate() if t.name == "agenttrace-cases" and t.is_alive()]
    assert began == [0]


def test_what_was_run_can_be_compared_at_once() -> None:
    one = at.run_cases(answer, range(7), arch="plain")
    other = at.run_cases(answer, range(7), arch="other")
    found = at.compare([*one, *other], metrics="latency", baseline="plain")
    assert found.pairs["cases"][0] == 7
    assert found.table["runs"].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("cases", "ids"),
    [
        ([{"case": "x", "q": 1}, {"id": 7}, {"q": 2}], ["x", "7", "case-003"]),
        (["short", "long " * 40, 3], ["short", "case-002", "3"]),
        (pd.DataFrame({"case": ["p", "q"], "text": ["a", "b"]}), ["p", "q"]),
        ({"a": None, 5: None}, ["a", "5"]),
    ],
)
def test_cases_are_named_by_what_they_carry(cases: Any, ids: list[str]) -> None:
    async def nothing(case: Any) -> None:
        return None

    assert at.run_cases(nothing, cases, arch="plain").traces()["case"].tolist() == ids


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cases": []}, "cases is empty"),
        ({"cases": "abc"}, "cases must be a mapping"),
        ({"cases": ["a", "a"]}, "two cases have the id 'a'"),
        ({"repeats": 0}, "repeats=0 is not allowed; it must be a whole number from 1 to 10,000"),
        ({"concurrency": 2.5}, "concurrency=2.5"),
        ({"success": True}, "success must be a function"),
        ({"fn": "answer"}, "fn must be a function"),
        ({"arch": ""}, "arch=''"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(options: dict, told: str) -> None:
    given = {"fn": answer, "cases": ["a"], "arch": "plain", **options}
    with pytest.raises(at.OptionError, match=told):
        at.run_cases(given.pop("fn"), given.pop("cases"), **given)
