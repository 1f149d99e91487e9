"""What people say of traces reaches MLflow once, also when it is down, and comes back as it was said."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from mlflow_store.journals import end_run, end_trace, record_trace, start_run
from mlflow_store.samples import booking

from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.mlflow_store.feedback import FeedbackWriter, read_reports
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.spans import Trace


def say(journal: Journal, uri: str, trace: Trace, **more: Any) -> None:
    said = {"key": "k1", "span_id": None, "name": "error", "value": "wrong amount", "comment": "290, not 300"}
    place = {"trace_id": trace.trace_id, "user": "me", "time_ns": time.time_ns(), "tracking_uri": uri}
    body = {**said, **place, **more}
    journal.append(EventKind.FEEDBACK, body=body, urgent=True)


def deliver(journal: Journal, stores: Stores) -> None:
    journal.flush()
    assert journal.path is not None
    with closing(TraceWriter(journal.path, stores, lambda _: None)) as writer:
        while writer.step(hurry=True):
            pass


@pytest.fixture
def trace(journal: Journal, stores: Stores, uri: str, cwd: Path) -> Trace:
    """A trace that MLflow has."""
    one = booking()
    start_run(journal, "run", uri, cwd)
    record_trace(journal, "run", one)
    end_trace(journal, "run", one)
    end_run(journal, "run")
    deliver(journal, stores)
    return one


def test_a_report_arrives_at_its_span_once_however_often_it_is_sent(
    journal: Journal, stores: Stores, uri: str, trace: Trace, client: Any
) -> None:
    span = trace.spans[-1].span_id
    for _ in range(3):
        say(journal, uri, trace, span_id=span)
    journal.flush()
    for _ in range(2):  # the second one starts anew, as after a crash that lost the cursor
        with closing(FeedbackWriter(journal.path, stores, lambda _: None)) as writer:
            writer.step()
            assert writer.is_done()
        journal.path.with_suffix(".feedback.json").unlink()
    (said,) = read_reports(uri, [trace.trace_id])
    assert (said.span_id, said.category, said.comment, said.user) == (span, "wrong amount", "290, not 300", "me")
    assert said.time is not None


def test_a_rating_is_also_what_success_of_the_run_is(
    journal: Journal, stores: Stores, uri: str, trace: Trace, client: Any
) -> None:
    say(journal, uri, trace, name="rating", value=False)
    journal.flush()
    with closing(FeedbackWriter(journal.path, stores, lambda _: None)) as writer:
        writer.step()
    assert [said.ok for said in read_reports(uri, [trace.trace_id])] == [False]
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert (run.data.metrics["success"], run.data.tags["agenttrace.success"]) == (0.0, "false")


def test_what_is_said_before_the_trace_is_there_waits_for_it(
    journal: Journal, stores: Stores, uri: str, cwd: Path, told: list[dict]
) -> None:
    one = booking()
    say(journal, uri, one)
    journal.flush()
    with closing(FeedbackWriter(journal.path, stores, told.append)) as writer:
        writer.step()
    assert told == []
    assert read_reports(uri, [one.trace_id]) == []
    start_run(journal, "run", uri, cwd)
    record_trace(journal, "run", one)
    end_trace(journal, "run", one)
    end_run(journal, "run")
    deliver(journal, stores)
    with closing(FeedbackWriter(journal.path, stores, lambda _: None)) as writer:
        writer.step(hurry=True)
    assert [said.category for said in read_reports(uri, [one.trace_id])] == ["wrong amount"]


def test_what_cannot_be_written_is_kept_and_told(journal: Journal, told: list[dict], stores: Stores, cwd: Path) -> None:
    silent = f"sqlite:///{cwd / 'nowhere' / 'mlflow.db'}"
    (cwd / "nowhere").write_text("a file where a folder should be")
    say(journal, silent, booking())
    journal.flush()
    with closing(FeedbackWriter(journal.path, stores, told.append)) as writer:
        writer.step()
        kept = not writer.is_done()
    assert kept
    assert told
    with closing(FeedbackWriter(journal.path, stores, told.append)) as writer:
        assert not writer.is_done()


def test_a_trace_that_is_nowhere_holds_nothing_up(journal: Journal, stores: Stores, uri: str, trace: Trace) -> None:
    other = booking()
    say(journal, uri, other, trace_id="f" * 32, key="k0")
    say(journal, uri, trace)
    journal.flush()
    with closing(FeedbackWriter(journal.path, stores, lambda _: None)) as writer:
        writer.step()
        assert writer.is_done()
    assert len(read_reports(uri, [trace.trace_id])) == 1
