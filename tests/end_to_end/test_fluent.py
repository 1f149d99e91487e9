"""What users log themselves, with MLflow's own functions and with the run's, lands on the run of their block."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from end_to_end.programs import Program
from end_to_end.stored import Stored, restored, wait_until_delivered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow.entities import Run

pytestmark = pytest.mark.timeout(240)

EXPERIMENT = "fluent"

PROGRAM = """
import mlflow

def block(case, **options):
    return at.trace(arch="fluent", case=case, experiment="fluent", live=False, **options)

with block("plain") as run:
    mlflow.log_metric("score", 1.5)
    mlflow.log_param("temperature", 0)
    mlflow.set_tag("colour", "blue")
    mlflow.log_text("said inside", "note.txt")
    ask()
    say(plain_is_active=mlflow.active_run().info.run_id == run.run_id)
say(after=mlflow.active_run())

async def side_by_side(number):
    async with block(f"gather {number}") as run:
        await asyncio.sleep(0.01)
        mlflow.log_metric("number", number)
        await Runner.run(adder(), f"question {number}")
        mlflow.log_metric("number again", number)

async def both():
    await asyncio.gather(side_by_side(1), side_by_side(2))

asyncio.run(both())

with block("with a run of the user's"):
    with mlflow.start_run(run_name="mine") as mine:
        mlflow.log_metric("where", 1)
    mlflow.log_metric("where", 2)
    ask()
say(mine=mine.info.run_id)

with mlflow.start_run(run_name="around") as around:
    with block("inside a run of the user's"):
        mlflow.log_metric("where", 3)
    mlflow.log_metric("where", 4)
say(around=around.info.run_id)

(HERE / "report.txt").write_text("all is well")
with block("by the run", tags={"team": "blue"}) as run:
    for step in range(3):
        run.log_metric("loss", 1 / (step + 1), step)
    run.log_param("k", 3)
    run.set_tag("colour", "red")
    run.log_artifact(HERE / "report.txt")
    ask()
run.success = True
run.log_metric("after", 7)
run.set_tag("colour", "green")

with block("outer"):
    ask(question="of the outer")
    with block("inner"):
        ask(question="of the inner")
    ask(question="of the outer again")

with block("nothing") as last:
    pass
say(arrived=[last.wait(60), run.wait(60)])
"""


@dataclass
class Logged:
    """What the program left in MLflow."""

    stored: Stored
    told: dict[str, Any]
    stderr: str
    runs: dict[str, Run]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("fluent")
    shutil.copy(empty_database, folder / "mlflow.db")
    program = Program(folder)
    try:
        ended = program.run(PROGRAM)
        program.wait_for_writers()
        wait_until_delivered(program.state)
        stored = Stored(program.uri)
        runs = {run.data.tags["case"]: run for run in stored.cell_runs(EXPERIMENT).values() if "case" in run.data.tags}
        yield Logged(stored, ended.told, ended.stderr, runs)
    finally:
        program.clean_up()


def questions(logged: Logged, case: str) -> list[str]:
    found = logged.stored.traces(EXPERIMENT, run_id=logged.runs[case].info.run_id)
    return sorted(trace.info.request_preview for trace in found.values())


def test_every_block_of_a_program_is_a_run_of_its_own(logged: Logged) -> None:
    assert logged.runs.keys() == {
        "plain", "gather 1", "gather 2", "with a run of the user's", "inside a run of the user's", "by the run",
        "outer", "inner", "nothing",
    }  # fmt: skip
    assert {run.info.status for run in logged.runs.values()} == {"FINISHED"}
    assert logged.told["arrived"] == [True, True]
    assert "Traceback" not in logged.stderr
    assert questions(logged, "nothing") == []


def test_fluent_calls_land_on_the_run_of_their_block(logged: Logged) -> None:
    data = logged.runs["plain"].data
    assert (data.metrics["score"], data.params["temperature"], data.tags["colour"]) == (1.5, "0", "blue")
    assert (logged.told["plain_is_active"], logged.told["after"]) == (True, None)
    text = mlflow.artifacts.load_text(f"{logged.runs['plain'].info.artifact_uri}/note.txt")
    assert text == "said inside"


def test_blocks_side_by_side_each_get_their_own(logged: Logged) -> None:
    for number in (1, 2):
        metrics = logged.runs[f"gather {number}"].data.metrics
        assert (metrics["number"], metrics["number again"]) == (number, number)
        assert questions(logged, f"gather {number}") == [f"question {number}"]


def test_a_run_that_the_user_starts_works_as_ever(logged: Logged) -> None:
    mine = logged.stored.client.get_run(logged.told["mine"])
    assert (mine.info.run_name, mine.info.status, mine.data.metrics) == ("mine", "FINISHED", {"where": 1})
    assert logged.runs["with a run of the user's"].data.metrics["where"] == 2


def test_a_block_inside_a_run_of_the_users_takes_what_is_logged_in_it(logged: Logged) -> None:
    around = logged.stored.client.get_run(logged.told["around"])
    assert (around.info.status, around.data.metrics) == ("FINISHED", {"where": 4})
    assert logged.runs["inside a run of the user's"].data.metrics["where"] == 3


def test_what_is_said_of_a_run_arrives_also_after_its_end(logged: Logged) -> None:
    run = logged.runs["by the run"]
    history = logged.stored.client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert (run.data.params["k"], run.data.tags["colour"], run.data.tags["team"]) == ("3", "green", "blue")
    assert (run.data.metrics["after"], run.data.metrics["success"]) == (7, 1.0)
    assert run.data.tags["agenttrace.success"] == "true"
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/report.txt") == "all is well"


def test_a_block_within_a_block_is_a_run_within_its_run(logged: Logged) -> None:
    outer, inner = logged.runs["outer"], logged.runs["inner"]
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert questions(logged, "inner") == ["of the inner"]
    assert questions(logged, "outer") == ["of the outer", "of the outer again"]


# --------------------------------------------------------------------------------------------------- two programs

MANY = """
for number in range(8):
    with at.trace(arch=sys.argv[1], case=number, experiment="many", live=False) as run:
        ask(question=f"{sys.argv[1]} {number}")
        run.log_metric("number", number)
"""


def test_two_programs_write_to_one_database_from_one_folder_of_journals(tmp_path: Path) -> None:
    program = Program(tmp_path)  # without a database: they also make it at the same time
    try:
        both = [program.start(MANY, name) for name in ("one", "two")]
        assert [running.end().stderr for running in both] == ["", ""]
        program.wait_for_writers()
        wait_until_delivered(program.state)
        stored = Stored(program.uri)
        runs = stored.cell_runs("many").values()
        assert sorted((run.data.tags["arch"], run.data.metrics["number"]) for run in runs) == [
            (name, number) for name in ("one", "two") for number in range(8)
        ]
        assert {run.info.status for run in runs} == {"FINISHED"}
        traces = [restored(trace) for trace in stored.traces("many").values()]
        assert (len(traces), {len(trace.spans) for trace in traces}) == (16, {7})
        messages = [run for run in stored.runs("many") if "index" in run.data.tags]
        assert len(messages) == 32
        saved = [json.loads(file.read_text("utf-8")) for file in (program.state / "journals").glob("*.mlflow.json")]
        assert [state["state"].get("parked") for state in saved] == [{}, {}]
    finally:
        program.clean_up()
