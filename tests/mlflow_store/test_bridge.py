"""MLflow in the kernel: the user's spans join a tool, autologging stays quiet, fluent calls reach the cell's run."""

from __future__ import annotations

import asyncio
import contextvars
import shutil
import threading
from typing import TYPE_CHECKING

import mlflow
import pytest

from agenttrace_nb.mlflow_store import bridge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.mlflow_store.bridge import MlflowSpan

TRACE, TOOL = "ab" * 16, "cd" * 8


@pytest.fixture(autouse=True)
def store(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("bridge")
    yield uri
    bridge.uninstall()
    while mlflow.active_run() is not None:
        mlflow.end_run()


@mlflow.trace
def outer(x: int) -> int:
    return inner(x) + 1


@mlflow.trace(span_type="TOOL")
def inner(x: int) -> int:
    if x < 0:
        raise ValueError("negative")
    return x


def test_a_users_span_becomes_a_child_of_the_tool_with_its_values() -> None:
    seen: list[MlflowSpan] = []
    with bridge.tool_context(TRACE, TOOL, seen.append):
        outer(1)
    ended = {span.name: span for span in seen if span.end_ns is not None}
    assert (ended["outer"].trace_id, ended["outer"].parent_id) == (TRACE, TOOL)
    assert ended["inner"].parent_id == ended["outer"].span_id
    assert (ended["inner"].inputs, ended["inner"].outputs, ended["inner"].span_type) == ({"x": 1}, 1, "TOOL")
    assert {span.name for span in seen if span.end_ns is None} == {"outer", "inner"}


def test_an_error_in_a_users_span_keeps_its_type_and_text() -> None:
    seen: list[MlflowSpan] = []
    with bridge.tool_context(TRACE, TOOL, seen.append), pytest.raises(ValueError, match="negative"):
        inner(-1)
    assert (seen[-1].failed, seen[-1].error_type, seen[-1].error_message) == (True, "ValueError", "negative")


def test_mlflow_stores_nothing_of_such_spans_by_itself() -> None:
    with bridge.tool_context(TRACE, TOOL, lambda _: None):
        outer(1)
    mlflow.flush_trace_async_logging()
    assert mlflow.search_traces(return_type="list") == []


async def test_tools_side_by_side_get_their_own_spans_however_long_they_take() -> None:
    # MLflow keeps one entry for a trace and exports after five spans or five seconds: both must not matter here.
    seen: dict[int, list[MlflowSpan]] = {n: [] for n in range(3)}

    async def tool(number: int, for_s: float) -> None:
        with bridge.tool_context(TRACE, f"{number + 1:016x}", seen[number].append):
            for again in range(3):
                outer(number)
                assert again >= 0
            await asyncio.sleep(for_s)
            with mlflow.start_span("late") as span:
                assert mlflow.get_current_active_span() is span
                span.set_attribute("mine", number)

    await asyncio.gather(tool(0, 0.01), tool(1, 0.3), tool(2, 5.5))
    for number, spans in seen.items():
        ended = [span for span in spans if span.end_ns is not None]
        assert [span.name for span in ended] == ["inner", "outer"] * 3 + ["late"]
        assert {s.parent_id for s in ended if s.name != "inner"} == {f"{number + 1:016x}"}
        assert ended[-1].attributes["mine"] == number
        assert len(spans) == 2 * len(ended)
    mlflow.flush_trace_async_logging()
    assert mlflow.search_traces(return_type="list") == []
    assert not bridge._joins


def test_a_thread_that_works_on_after_its_tool_is_seen_to_its_end() -> None:
    seen: list[MlflowSpan] = []
    go = threading.Event()

    def work() -> None:
        with mlflow.start_span("slow"):
            started.set()
            go.wait(10)
            inner(1)

    started = threading.Event()
    with bridge.tool_context(TRACE, TOOL, seen.append):
        here = contextvars.copy_context()
        worker = threading.Thread(target=here.run, args=(work,))
        worker.start()
        started.wait(10)
    go.set()
    worker.join(10)
    assert [span.name for span in seen if span.end_ns is not None] == ["inner", "slow"]
    assert not bridge._joins


def test_entering_a_tool_opens_no_store(tmp_path: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/untouched.db")
    with bridge.tool_context(TRACE, TOOL, lambda _: None):
        pass
    assert not (tmp_path / "untouched.db").exists()
    seen: list[MlflowSpan] = []
    with bridge.tool_context(TRACE, TOOL, seen.append):
        inner(1)
    assert [span.name for span in seen] == ["inner", "inner"]


def test_spans_outside_of_tools_are_stored_by_mlflow_as_ever() -> None:
    with bridge.tool_context(TRACE, TOOL, lambda _: None):
        inner(1)
    outer(5)
    mlflow.flush_trace_async_logging()
    (trace,) = mlflow.search_traces(return_type="list")
    assert [span.name for span in trace.data.spans] == ["outer", "inner"]


def test_where_tracing_is_switched_off_tools_run_as_ever() -> None:
    seen: list[MlflowSpan] = []
    mlflow.tracing.disable()
    try:
        with bridge.tool_context(TRACE, TOOL, seen.append):
            assert outer(1) == 2
    finally:
        mlflow.tracing.enable()
    assert seen == []
    with bridge.tool_context(TRACE, TOOL, seen.append):
        inner(1)
    assert len(seen) == 2


def test_spans_are_seen_again_after_mlflow_has_made_a_new_provider(store: str) -> None:
    seen: list[MlflowSpan] = []
    for again in range(3):
        mlflow.set_experiment(f"bridge {again}")
        mlflow.set_tracking_uri(store)
        with bridge.tool_context(TRACE, TOOL, seen.append):
            inner(again)
    assert [span.outputs for span in seen if span.end_ns is not None] == [0, 1, 2]


def test_nothing_is_traced_inside_a_suppressed_block_but_a_tool_switches_it_on_again() -> None:
    seen: list[MlflowSpan] = []
    with bridge.suppressed():
        outer(1)
        with bridge.tool_context(TRACE, TOOL, seen.append):
            inner(2)
        outer(3)
    mlflow.flush_trace_async_logging()
    assert mlflow.search_traces(return_type="list") == []
    assert [span.outputs for span in seen if span.end_ns is not None] == [2]


def test_a_listener_that_fails_does_not_reach_the_users_code() -> None:
    def broken(_: MlflowSpan) -> None:
        raise RuntimeError

    with bridge.tool_context(TRACE, TOOL, broken):
        assert outer(1) == 2


@pytest.fixture
def two_runs() -> tuple[str, str]:
    client = mlflow.MlflowClient()
    experiment = mlflow.get_experiment_by_name("bridge").experiment_id
    return tuple(client.create_run(experiment).info.run_id for _ in range(2))


def test_fluent_calls_land_on_the_cells_run(two_runs: tuple[str, str]) -> None:
    with bridge.ambient_run(lambda: two_runs[0]):
        assert mlflow.active_run().info.run_id == two_runs[0]
        mlflow.log_metric("score", 0.5)
        mlflow.log_param("k", 3)
    run = mlflow.get_run(two_runs[0])
    assert (run.data.metrics, run.data.params) == ({"score": 0.5}, {"k": "3"})
    assert mlflow.active_run() is None


async def test_fluent_calls_are_right_in_tasks_side_by_side(two_runs: tuple[str, str]) -> None:
    async def one(run_id: str, value: float) -> None:
        with bridge.ambient_run(lambda: run_id):
            await asyncio.sleep(0)
            mlflow.log_metric("value", value)
            await asyncio.sleep(0)
            assert mlflow.active_run().info.run_id == run_id

    await asyncio.gather(one(two_runs[0], 1.0), one(two_runs[1], 2.0))
    assert [mlflow.get_run(r).data.metrics["value"] for r in two_runs] == [1.0, 2.0]


def test_a_run_that_the_user_starts_wins(two_runs: tuple[str, str]) -> None:
    with bridge.ambient_run(lambda: two_runs[0]):
        with mlflow.start_run() as own:
            mlflow.log_metric("mine", 1)
            assert mlflow.active_run().info.run_id == own.info.run_id != two_runs[0]
        assert mlflow.active_run().info.run_id == two_runs[0]
    assert mlflow.get_run(own.info.run_id).data.metrics == {"mine": 1}


def test_a_run_that_was_active_before_does_not_win_and_is_active_again_afterwards(two_runs: tuple[str, str]) -> None:
    with mlflow.start_run() as around:
        with bridge.ambient_run(lambda: two_runs[0]):
            mlflow.log_metric("inside", 1)
            with mlflow.start_run(nested=True) as own:
                assert mlflow.active_run().info.run_id == own.info.run_id
                with bridge.ambient_run(lambda: two_runs[1]):
                    assert mlflow.active_run().info.run_id == two_runs[1]
                assert mlflow.active_run().info.run_id == own.info.run_id
        assert mlflow.active_run().info.run_id == around.info.run_id
    assert mlflow.get_run(two_runs[0]).data.metrics == {"inside": 1}
    assert mlflow.get_run(around.info.run_id).data.metrics == {}


def test_without_an_id_mlflow_does_as_it_always_does() -> None:
    with bridge.ambient_run(lambda: None):
        assert mlflow.active_run() is None
        mlflow.log_metric("x", 1)
        assert mlflow.active_run() is not None


def test_uninstalling_leaves_mlflow_as_it_was() -> None:
    before = (mlflow.active_run, mlflow.tracking.fluent.active_run, mlflow.tracking.fluent._get_or_start_run)
    with bridge.ambient_run(lambda: None):
        assert mlflow.active_run is not before[0]
    bridge.uninstall()
    assert "set" not in vars(mlflow.tracing.provider.provider)
    assert (mlflow.active_run, mlflow.tracking.fluent.active_run, mlflow.tracking.fluent._get_or_start_run) == before
