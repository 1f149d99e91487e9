"""The runs of this process, from the journal's bus and file: each once, as the journal's own fold has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb.analysis import monitor_journal
from agenttrace_nb.analysis.monitor import Measured, Standing
from agenttrace_nb.analysis.monitor_journal import JournalRuns
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "one.journal")
    yield opened
    opened.close()


def trace_id(at: int) -> str:
    return f"{at:032x}"


def begin(journal: Journal, at: int, **run: Any) -> None:
    """A run with one trace begins."""
    journal.append(EventKind.RUN_START, run_key=f"run{at}", body={"name": "run", **run})
    journal.append(EventKind.TRACE_START, run_key=f"run{at}", trace_id=trace_id(at), body={"name": "workflow"})


def followed(journal: Journal, **options: Any) -> JournalRuns:
    """The runs of a journal, followed from its beginning."""
    runs = JournalRuns(journal, **options)
    runs.begin()
    return runs


def call(journal: Journal, at: int, span: int = 1) -> None:
    """A call of a model begins and ends."""
    ids = {"run_key": f"run{at}", "trace_id": trace_id(at), "span_id": f"{span:016x}"}
    journal.append(EventKind.SPAN_START, **ids, body={"kind": "llm", "name": "m", "model": "gpt-4o-mini"})
    journal.append(EventKind.SPAN_END, **ids, body={"status": "ok", "input_tokens": 10, "output_tokens": 2})


def end(journal: Journal, at: int, status: str = "ok", *, success: bool | None = None) -> None:
    """The run and its trace end."""
    journal.append(EventKind.TRACE_END, run_key=f"run{at}", trace_id=trace_id(at), body={"status": status})
    journal.append(EventKind.RUN_END, run_key=f"run{at}", body={"status": status, "success": success})


def last(found: list[Measured]) -> dict[str, Measured]:
    return {run.trace_id: run for run in found}


def test_a_run_is_in_flight_then_ended_with_its_architecture_and_what_was_said_of_it(journal: Journal) -> None:
    runs = followed(journal)
    begin(journal, 1, arch="triage", case="c1")
    (flying,) = runs.sync()
    assert (flying.standing, flying.arch, flying.case, flying.took_s) == (Standing.RUNNING, "triage", "c1", None)
    call(journal, 1)
    assert runs.sync() == [], "while it runs, nothing of it is shown but that it runs"
    end(journal, 1, success=True)
    done = last(runs.sync())[trace_id(1)]
    assert (done.standing, done.success, done.tokens_in, len(done.calls)) == (Standing.OK, True, 10, 1)
    assert runs.sync() == []


def test_what_began_before_is_read_from_the_file_and_nothing_counts_twice(journal: Journal) -> None:
    begin(journal, 1)
    call(journal, 1)
    end(journal, 1)
    begin(journal, 2)
    call(journal, 2)
    runs = JournalRuns(journal)
    call(journal, 2, span=2)
    runs.begin()
    call(journal, 2, span=3)
    end(journal, 2)
    found = last(runs.sync())
    assert {key: (run.standing, len(run.calls)) for key, run in found.items()} == {
        trace_id(1): (Standing.OK, 1),
        trace_id(2): (Standing.OK, 3),
    }


def test_costs_that_become_known_later_are_taken_in(journal: Journal) -> None:
    runs = followed(journal)
    begin(journal, 1)
    call(journal, 1)
    end(journal, 1)
    assert runs.sync()[0].cost_usd is None
    assert runs.set_costs({trace_id(1): {f"{1:016x}": 0.25}, trace_id(9): {"x": 1.0}}) == [trace_id(1)]
    assert [run.cost_usd for run in runs.sync()] == [0.25]
    assert runs.take_stale() == [trace_id(9)], "MLflow is asked for what is not held here"


def test_a_rating_is_what_success_of_its_run_is(journal: Journal) -> None:
    runs = followed(journal)
    begin(journal, 1)
    end(journal, 1)
    runs.sync()
    body = {"key": "k", "trace_id": trace_id(1), "span_id": None, "name": "rating", "value": False}
    journal.append(EventKind.FEEDBACK, body={**body, "span_id": "s", "value": True})
    journal.append(EventKind.FEEDBACK, body=body)
    assert [run.success for run in runs.sync()] == [False]


def test_only_the_experiment_and_architecture_that_were_asked_for_count(journal: Journal) -> None:
    runs = followed(journal, experiments={"flights"}, arch="triage")
    for at, (experiment, arch) in enumerate(
        [("flights", "triage"), ("flights", "x"), ("id:7", "triage"), (None, "triage")]
    ):
        begin(journal, at, experiment=experiment, arch=arch)
    assert [run.trace_id for run in runs.sync()] == [trace_id(0)]
    # MLflow tells which number the experiment has: runs that name it so are found then.
    runs.accept({"flights", "id:7"})
    assert [run.trace_id for run in runs.sync()] == [trace_id(0), trace_id(2)]


def test_of_many_runs_only_the_last_are_held_and_one_that_goes_on_is_left_to_mlflow(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_journal, "KEPT_TRACES", 5)
    runs = followed(journal)
    for at in range(20):
        begin(journal, at)
        call(journal, at)
        end(journal, at)
        runs.sync()
    assert [at for at in range(20) if runs.trace(trace_id(at))] == [15, 16, 17, 18, 19]
    assert len(runs._fold.runs) == len(runs._fold.spans) == 5
    journal.append(EventKind.TRACE_START, run_key="run99", trace_id=trace_id(3), body={"resumed": True})
    assert runs.sync() == []
    assert runs.take_stale() == [trace_id(3)]


def test_events_that_make_no_sense_are_passed_over(journal: Journal) -> None:
    runs = followed(journal)
    begin(journal, 1)
    ids = {"run_key": "run1", "trace_id": trace_id(1), "span_id": "s"}
    journal.append(EventKind.SPAN_START, **ids, body={"kind": "no such kind"})
    journal.append(EventKind.TRACE_END, run_key="run8", trace_id=trace_id(8), body={"status": "ok"})
    end(journal, 1)
    assert [run.standing for run in runs.sync()] == [Standing.OK]


def test_after_close_nothing_is_collected(journal: Journal) -> None:
    runs = followed(journal)
    runs.close()
    begin(journal, 1)
    assert not runs._queue
