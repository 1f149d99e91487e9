"""Recording a piece of code the way a traced cell does, without cell, view or MLflow."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.capture import install
from agenttrace_nb.capture.active import ACTIVE, Recorder
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.live import LiveFold
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.spans import Span, Trace

PATIENCE_S = 20.0
OPEN_JOURNALS: list[Journal] = []
"""Closed at the end of each test (conftest.py): until then contents can be read, and late events arrive."""


@dataclass
class Recording:
    """What was recorded, while it is and afterwards."""

    journal: Journal
    live: LiveFold
    notes: list[str]

    @property
    def traces(self) -> list[Trace]:
        return self.live.traces

    @property
    def spans(self) -> list[Span]:
        return [span for trace in self.traces for span in trace.spans]

    def one(self, kind: str) -> Span:
        found = [s for s in self.spans if s.kind == kind]
        assert len(found) == 1, [(s.kind, s.name) for s in self.spans]
        return found[0]

    def all(self, kind: str) -> list[Span]:
        return [s for s in self.spans if s.kind == kind]


@contextmanager
def recording(
    folder: Path,
    redactor: Redactor | None = None,
    *,
    journal: Journal | None = None,
    run_key: str = "run",
    **roles: str,
) -> Iterator[Recording]:
    """Record what runs inside, into a new journal or a given one."""
    if journal is None:
        journal = Journal(folder / f"{uuid.uuid4().hex}.journal")
        OPEN_JOURNALS.append(journal)
    notes: list[str] = []
    recorder = Recorder(journal, run_key, redactor or Redactor(), roles=dict(roles), note=notes.append)
    live = LiveFold(journal, run_key)
    recorder.append(EventKind.RUN_START, body={"name": "test"}, urgent=True)
    install.install()
    token = ACTIVE.set(recorder)
    try:
        yield Recording(journal, live, notes)
    finally:
        ACTIVE.reset(token)


def rows(traces: list[Trace]) -> list[tuple[str, str | None, str, str, str | None, str]]:
    """Return the spans as rows from which golden trees are built."""
    return [
        (s.span_id, s.parent_id, s.kind.value, s.name.removeprefix("turn "), s.agent, s.status.value)
        for trace in traces
        for s in trace.spans
    ]


async def completed(rec: Recording) -> list[Trace]:
    """Return the traces once everything in them has ended; tasks that were left alone may need a moment.

    What never ends is returned as it is after `PATIENCE_S`: the comparison then shows it.
    """
    give_up = time.monotonic() + PATIENCE_S
    while any(one.status is Status.RUNNING for one in [*rec.traces, *rec.spans]) and time.monotonic() < give_up:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    return rec.traces
