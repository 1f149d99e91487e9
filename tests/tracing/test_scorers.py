"""MLflow's scorers judge cases, and what MLflow holds of scores is compared by, whoever wrote it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from agents import Agent, Runner, set_trace_processors
from agents.testing import ScriptedModel, assistant_message
from mlflow.entities import AssessmentSource, Feedback
from mlflow.genai.scorers import Scorer, scorer

import agenttrace_nb as at
from agenttrace_nb.config import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)
CASES = {f"task-{n}": {"inputs": {"n": n}, "expectations": {"answer": f"about {n}"}} for n in range(8)}


@scorer
def right(outputs: str, expectations: dict[str, str]) -> bool:
    return outputs == expectations["answer"]


class Length(Scorer):
    """Says how long an answer is, which is neither yes nor no."""

    name: str = "length"

    def __call__(self, *, outputs: str) -> int:
        return len(outputs)


@scorer
def broken(outputs: str) -> bool:
    raise RuntimeError(outputs)


async def plain(case: dict[str, Any]) -> str:
    return await _answer(f"about {case['inputs']['n']}")


async def odd(case: dict[str, Any]) -> str:
    n = case["inputs"]["n"]
    return await _answer(f"about {n}" if n % 2 else "I do not know at all")


def _experiments() -> list[str]:
    return [e.experiment_id for e in mlflow.search_experiments()]


async def _answer(text: str) -> str:
    model = ScriptedModel([[assistant_message(text)]], emit_traces=True)
    return str((await Runner.run(Agent(name="Plain", model=model), "?")).final_output)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two architectures over eight cases, judged by a scorer."""
    folder = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        uri = f"sqlite:///{folder}/mlflow.db"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("AGENTTRACE_STATE_DIR", str(folder / "state"))
        set_trace_processors([])
        mlflow.set_tracking_uri(uri)
        at.run_cases(plain, CASES, arch="plain", success=right)
        at.run_cases(odd, CASES, arch="odd", success=right)
        assert at.last().wait(180)
        assert len(at.search()) == 16
        yield folder


def test_a_scorer_says_whether_a_case_succeeded(store: Path) -> None:
    found = at.search().traces().set_index(["arch", "case"])["success"]
    assert found["plain"].tolist() == [True] * 8
    assert [bool(found["odd", f"task-{n}"]) for n in range(8)] == [False, True] * 4


def test_its_score_is_a_metric_to_compare_by(store: Path) -> None:
    found = at.compare(at.search(), metrics=["score:right"], baseline="plain")
    pair = found.findings.pairs[0]
    assert (pair.estimate, pair.losses, pair.ties) == (-0.5, 4, 4)
    assert pair.metric.label == "right"
    assert pair.test == "exact McNemar"


def test_what_others_said_of_the_traces_in_mlflow_is_compared_by_too(store: Path) -> None:
    client = mlflow.MlflowClient()
    runs = at.search()
    for trace in runs:
        for who, more in (("one", 0.0), ("two", 0.2)):  # two judges, taken together by their mean
            value = (0.5 if trace.tags["arch"] == "plain" else 0.2) + more
            source = AssessmentSource(source_type="HUMAN", source_id=who)
            mlflow.log_feedback(trace_id=f"tr-{trace.trace_id}", name="clarity", value=value, source=source)
        mlflow.log_feedback(
            trace_id=f"tr-{trace.trace_id}", span_id=trace.spans[-1].span_id, name="clarity", value=9.0
        )  # of one step: says nothing of the whole
        client.log_metric(trace.run_id, "depth", 1.0 if trace.tags["arch"] == "odd" else 2.0)
    found = at.compare(runs, metrics=["score:clarity", "-score:depth"], baseline="plain")
    clarity, depth = found.findings.pairs
    assert clarity.estimate == pytest.approx(-0.3)
    assert (clarity.losses, depth.wins, depth.losses) == (8, 8, 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow, using pandas
def test_traces_scored_by_mlflow_evaluate_are_compared_by_its_scores(store: Path) -> None:
    @scorer
    def brief(outputs: Any) -> bool:
        return len(str(outputs)) < 100

    frame = mlflow.search_traces(locations=_experiments())
    mlflow.genai.evaluate(data=frame, scorers=[brief])
    found = at.compare(at.search(), metrics="score:brief")
    assert found.findings.groups["plain"].known(found.findings.metrics[0]).tolist() == [1.0] * 8
    assert found.findings.pairs[0].test == "exact McNemar", "yes and no, though all of them are yes"
    assert found.findings.pairs[0].low < 0 < found.findings.pairs[0].high


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow, using pandas
def test_runs_of_cases_are_evaluated_with_what_was_expected_of_each(store: Path) -> None:
    @scorer
    def as_expected(outputs: Any, expectations: dict[str, str]) -> bool:
        return expectations["answer"] in str(outputs)

    frame = mlflow.search_traces(locations=_experiments())
    frame["expectations"] = [CASES[tags["case"]]["expectations"] for tags in frame["tags"]]
    mlflow.genai.evaluate(data=frame, scorers=[as_expected])
    pair = at.compare(at.search(), metrics="score:as_expected", baseline="plain").findings.pairs[0]
    assert (pair.estimate, pair.losses, pair.ties) == (-0.5, 4, 4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow, using pandas
def test_a_function_that_evaluate_calls_is_traced_once_and_compared_by_its_scores(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION", "true")  # which calls the function once before
    place = mlflow.set_experiment("evaluated").experiment_id
    data = [*CASES.values()]
    try:
        for arch, answer in (("plain", plain), ("odd", odd)):

            @mlflow.trace
            async def predict(n: int, arch: str = arch, answer: Any = answer) -> str:
                with at.trace(arch=arch, case=f"task-{n}", live=False):
                    return await answer({"inputs": {"n": n}})

            mlflow.genai.evaluate(data=data, predict_fn=predict, scorers=[right])
    finally:
        mlflow.set_experiment("Default")
    assert at.last().wait(180)
    ours = [trace for trace in at.search(experiment="evaluated") if trace.agents]
    assert len(ours) == 2 * len(data), "each call once, whoever else traces"
    assert {trace.tags["arch"] for trace in ours} == {"plain", "odd"}
    stored = mlflow.search_traces(locations=[place], return_type="list")
    assert len(stored) == 2 * len(ours), "and MLflow's own of the function, with nothing of the agents in them"
    assert sorted(len(trace.data.spans) for trace in stored)[: len(ours)] == [1] * len(ours)
    found = at.compare(at.search(experiment="evaluated"), metrics="score:right", baseline="plain")
    pair = found.findings.pairs[0]
    assert (pair.test, pair.estimate, pair.losses, pair.ties) == ("exact McNemar", -0.5, 4, 4)


def test_a_score_that_nobody_gave_is_told_with_those_there_are(store: Path) -> None:
    with pytest.raises(OptionError, match=r"metric 'score:rigt': none of these traces .*score:right.* Did you mean"):
        at.compare(at.search(), metrics="score:rigt")


@pytest.mark.parametrize(("judge", "told"), [(Length(), "neither yes nor no (length 7)"), (broken, "RuntimeError")])
def test_a_scorer_that_cannot_tell_leaves_success_unknown_and_says_why(
    store: Path, caplog: pytest.LogCaptureFixture, judge: Any, told: str
) -> None:
    found = at.run_cases(plain, {"task-1": CASES["task-1"]}, arch="third", success=judge, experiment="third")
    assert found.traces()["success"].isna().all()
    assert told in caplog.text


def test_what_is_neither_function_nor_scorer_is_told() -> None:
    with pytest.raises(OptionError, match="success must be a function or an MLflow scorer; this is a int"):
        at.run_cases(plain, CASES, arch="plain", success=3)


def test_a_feedback_counts_by_its_name_and_value() -> None:
    from agenttrace_nb.mlflow_store.scores import ask

    @scorer
    def several(outputs: str) -> list[Feedback]:
        return [Feedback(name="a", value="yes"), Feedback(name="b", value=0.4), Feedback(name="c", value="who knows")]

    assert ask(several, "case", "answer") == {"a": 1.0, "b": 0.4}
    assert asyncio.run(_answer("x")) == "x"
