"""A log and a journal for one test; MLflow databases as the tests of the writer use them."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log
from mlflow_store.conftest import client, cwd, empty_database, shared_server, stores, told, uri
from mlflow_store.journals import record_run, say
from mlflow_store.samples import START_NS, booking

from agenttrace_nb.audit.sealer import seal_journal
from agenttrace_nb.journal import sealing
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.place import SUFFIX
from agenttrace_nb.mlflow_store.feedback import FeedbackWriter
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog

__all__ = ["client", "cwd", "empty_database", "shared_server", "stores", "told", "uri"]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    folder = tmp_path / "journals"
    folder.mkdir()
    made = Journal(folder / f"20260101T000000-{os.getpid()}-test{SUFFIX}")
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    made = new_log(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sealed(journal, log: AuditLog, uri: str, cwd: Path, stores, told) -> AuditLog:
    """A run with two traces, sealed and in MLflow; one tag was given while they ran, one trace was rated."""
    sealing.turn_on(journal.path.parent)
    record_run(journal, "k1", uri, cwd, booking(1), booking(2, start_ns=START_NS + 1), arch="a", tags={"team": "blue"})
    say(journal, "k1", tag={"key": "later", "value": "yes"})
    rate(journal, booking(1).trace_id, uri, cwd)
    journal.flush()
    seal_journal(journal.path, log)
    with closing(TraceWriter(journal.path, stores, told.append)) as writer:
        while writer.step(hurry=True):
            pass
        assert writer.is_done()
    with closing(FeedbackWriter(journal.path, stores, told.append)) as writer:
        writer.step(hurry=True)
        assert not writer._waiting
    return log


def rate(journal, trace_id: str, uri: str, cwd: Path) -> None:
    said = {
        "key": "f1", "trace_id": trace_id, "span_id": booking(1).spans[0].span_id, "name": "error",
        "value": "wrong amount", "comment": "290, not 300", "user": "auditor", "time_ns": START_NS,
        "tracking_uri": uri, "cwd": str(cwd),
    }  # fmt: skip
    journal.append(EventKind.FEEDBACK, body=said, urgent=True)
