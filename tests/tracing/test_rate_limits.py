"""A provider's rate limit holds all cases of `run_cases` back for as long as it asks, and costs no case its result."""

from __future__ import annotations

import _thread
import asyncio
import itertools
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import openai
import pandas as pd
import pytest
from agents import Agent, OpenAIResponsesModel, Runner, set_trace_processors
from bench.models import status_error
from bench.script import Script, fail, say
from bench.stub_server import StubServer

import agenttrace_nb as at
from agenttrace_nb.analysis.trace_set import RETRY_OF
from agenttrace_nb.tracing.rate_limits import LONGEST_WAIT_S, wait_asked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.script import Step

WAIT_S = 0.4
LIMITED = fail(429, retry_after=str(WAIT_S))


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_state_dir: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTTRACE_MLFLOW", "off")
    set_trace_processors([])


def desk(server: StubServer, began: list[tuple[str, float]]) -> Callable[[str], Any]:
    """Return what asks the provider about a case, and notes when."""

    async def ask(case: str) -> str:
        began.append((case, time.monotonic()))
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="stub", max_retries=0) as client:
            model = OpenAIResponsesModel("gpt-4o-mini", client)
            agent = Agent(name="Desk", instructions=f"[[{case}]]", model=model)
            return str((await Runner.run(agent, "Hi.")).final_output)

    return ask


def played(steps: dict[str, list[Step]], **options: Any) -> tuple[at.TraceSet, list[tuple[str, float]]]:
    began: list[tuple[str, float]] = []
    with StubServer(Script(steps)) as server:
        found = at.run_cases(desk(server, began), list(steps), arch="plain", **options)
    return found, began


def test_a_case_that_met_a_rate_limit_is_run_again_and_the_last_time_counts() -> None:
    found, began = played({"a": [LIMITED, LIMITED, say("fine")]}, success=lambda said, _: said == "fine")
    assert found.traces()[["status", "success"]].to_numpy().tolist() == [["ok", True]]
    times = [when for _, when in began]
    assert [later - earlier >= WAIT_S for earlier, later in itertools.pairwise(times)] == [True, True]


def test_no_other_case_begins_before_the_time_that_was_asked_for() -> None:
    steps = {"a": [LIMITED, say("fine")], **{case: [say("fine")] for case in "bcd"}}
    found, began = played(steps, concurrency=1)
    assert [case for case, _ in began] == ["a", "a", "b", "c", "d"]
    assert began[1][1] - began[0][1] >= WAIT_S
    assert set(found.traces()["status"]) == {"ok"}


def test_cases_at_work_side_by_side_wait_for_the_limit_that_one_of_them_met() -> None:
    began: dict[str, float] = {}
    met = asyncio.Event()

    async def ask(case: str) -> None:
        is_first = case not in began
        began.setdefault(case, time.monotonic())
        if case == "a" and is_first:
            met.set()
            raise LimitedError(retry_after=str(WAIT_S))
        if case == "b":
            await met.wait()
            for _ in range(100):  # until what comes of it has been done, on the same loop
                await asyncio.sleep(0)

    at.run_cases(ask, list("abcd"), arch="plain", concurrency=2)
    assert min(began["c"], began["d"]) - began["a"] >= WAIT_S


def test_a_limit_that_stays_is_a_failure_of_the_case_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    found, began = played(
        {"a": [fail(429, retry_after="0")] * 3, "b": [say("fine")]}, retries=2, concurrency=1, success=lambda *_: True
    )
    assert found.traces()[["status", "success"]].to_numpy().tolist() == [["error", False], ["ok", True]]
    assert [case for case, _ in began] == ["a", "a", "a", "b"]
    assert "met a rate limit, and its cases wait for 0 s" in caplog.text
    assert "case a failed and is recorded so" in caplog.text


def test_without_retries_a_rate_limit_is_a_failure_like_any_other() -> None:
    found, began = played({"a": [LIMITED]}, retries=0)
    assert found.traces()["status"].tolist() == ["error"]
    assert len(began) == 1


def test_other_errors_are_not_tried_again() -> None:
    _, began = played({"a": [fail(500)]})
    assert len(began) == 1


def test_what_was_made_again_is_recorded_and_not_compared() -> None:
    steps = {f"case-{n}": [say("fine")] for n in range(7)} | {"case-0": [LIMITED, say("fine")]}
    one, _ = played(steps, concurrency=1)
    again = next(trace for trace in one if RETRY_OF in trace.tags)
    assert again.tags["case"] == "case-0"
    # As a search gives them: the first time too, as a failed run of the case
    before = at.spans.Trace(
        trace_id=again.tags[RETRY_OF], name="t", start_ns=0, end_ns=10**12, status=at.spans.Status.ERROR,
        run_id="before", tags={"arch": "plain", "case": "case-0"},
    )  # fmt: skip
    other = [
        at.spans.Trace(
            trace_id=f"{n:032x}", name="t", start_ns=0, end_ns=10**9, status=at.spans.Status.OK, run_id=f"other-{n}",
            tags={"arch": "other", "case": f"case-{n}"},
        )
        for n in range(7)
    ]  # fmt: skip
    found = at.compare([before, *one, *other], metrics=("completed", "latency"), baseline="other")
    assert found.table["runs"].tolist() == [7, 7, 7, 7]
    assert found.table["value"].tolist()[:2] == [1.0, 1.0]
    assert "1 run met a rate limit and was made again: the last time counts" in found.notes
    at.TraceSet([before, *one, *other]).to_parquet("spans.parquet")
    assert RETRY_OF in pd.read_parquet("spans.parquet").columns, "so that a comparison of the spans says so too"


def test_an_interrupt_during_the_wait_ends_at_once_and_the_same_call_goes_on() -> None:
    began: list[tuple[str, float]] = []
    steps = {"a": [fail(429, retry_after="300"), say("fine")], "b": [say("fine")]}
    with StubServer(Script(steps)) as server:
        ask = desk(server, began)

        def interrupt() -> None:
            while not server.requests:
                time.sleep(0.01)
            time.sleep(0.5)  # the answer has come, and the wait has begun
            _thread.interrupt_main()

        waker = threading.Thread(target=interrupt)
        waker.start()
        with pytest.raises(KeyboardInterrupt):
            at.run_cases(ask, ["a", "b"], arch="plain", concurrency=1)
        waker.join()
        assert not [t for t in threading.enumerate() if t.name.startswith("agenttrace-case") and t.is_alive()]
        assert [case for case, _ in began] == ["a"]
        found = at.run_cases(ask, ["a", "b"], arch="plain", concurrency=1)
    assert [case for case, _ in began] == ["a", "a", "b"]
    assert found.traces()["status"].tolist() == ["ok", "ok"]


def test_an_ordinary_function_is_tried_again_too() -> None:
    times: list[str] = []

    def ordinary(case: str) -> str:
        times.append(case)
        if len(times) == 1:
            raise status_error(429)
        return asyncio.run(asyncio.sleep(0, "fine"))

    found = at.run_cases(ordinary, ["a"], arch="plain", success=lambda said, _: said == "fine")
    assert times == ["a", "a"]
    assert found.traces()["success"].tolist() == [True]


# ------------------------------------------------------------------------------------------------- what an error asks


class LimitedError(Exception):
    """As clients of other providers raise it."""

    status_code = 429

    def __init__(self, **headers: str) -> None:
        super().__init__("slow down")
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry_After": "20"}, 20.0),
        ({"retry_after": "20", "Retry_After_Ms": "1500"}, 1.5),
        ({"retry_after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry_after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry_after": "-3"}, 1.0),
        ({"retry_after": "soon"}, 1.0),
        ({"retry_after": "nan"}, 1.0),
        ({}, 1.0),
        ({"retry_after": f"{LONGEST_WAIT_S + 1}"}, None),
    ],
)
def test_the_answer_says_how_long(headers: dict[str, str], wait_s: float | None) -> None:
    assert wait_asked(LimitedError(**headers), 1, now=datetime(2026, 11, 22, 12, tzinfo=UTC)) == wait_s


def test_without_a_time_the_wait_doubles_up_to_a_minute() -> None:
    assert [wait_asked(LimitedError(), n) for n in (1, 2, 3, 7, 50)] == [1.0, 2.0, 4.0, 60.0, 60.0]


def test_a_rate_limit_is_found_below_the_error_that_was_raised_from_it() -> None:
    error = RuntimeError("the desk is closed")
    error.__cause__ = status_error(429)
    assert wait_asked(error, 1) == 1.0


def test_an_account_without_credit_is_no_rate_limit_that_waiting_helps() -> None:
    error = status_error(429)
    error.code = "insufficient_quota"
    assert wait_asked(error, 1) is None
    assert wait_asked(status_error(500), 1) is None


def test_errors_that_name_each_other_as_their_cause_come_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert wait_asked(one, 1) is None
