"""Journals as agents write them, and handlers that remember what they were given."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

from agenttrace_nb.export.handler import API_VERSION, Sent
from agenttrace_nb.export.outlet import Outlet
from agenttrace_nb.export.patience import Limits
from agenttrace_nb.export.sender import Sender
from agenttrace_nb.export.settings import HandlerSettings
from agenttrace_nb.journal.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agenttrace_nb.export.handler import Context, Item
    from agenttrace_nb.journal.append import Journal

QUICK = Limits(first_s=0.02, longest_s=0.1)


def trace_id(number: int) -> str:
    """Return the id of a trace."""
    return f"{number:032x}"


def span_id(trace: int, number: int) -> str:
    """Return the id of a span."""
    return f"{trace:08x}{number:08x}"


def event_ids(traces: int, spans: int, first: int = 1) -> set[str]:
    """Return the ids under which spans arrive."""
    return {f"{trace_id(t)}:{span_id(t, s)}" for t in range(first, first + traces) for s in range(spans)}


def begin_run(journal: Journal, key: str = "run", **body: Any) -> None:
    """Write the beginning of a run."""
    journal.append(EventKind.RUN_START, run_key=key, body={"name": "cell [1]", **body})


def end_run(journal: Journal, key: str = "run", **body: Any) -> None:
    """Write the end of a run."""
    journal.append(EventKind.RUN_END, run_key=key, body={"status": "ok", **body}, urgent=True)


def begin_trace(journal: Journal, number: int, key: str = "run", **body: Any) -> None:
    """Write the beginning of a trace."""
    journal.append(EventKind.TRACE_START, run_key=key, trace_id=trace_id(number), body={"name": "flow", **body})


def end_trace(journal: Journal, number: int, key: str = "run", **body: Any) -> None:
    """Write the end of a trace."""
    journal.append(EventKind.TRACE_END, run_key=key, trace_id=trace_id(number), body={"status": "ok", **body})


def begin_span(
    journal: Journal, trace: int, number: int, key: str = "run", *, content: Any = None, **body: Any
) -> None:
    """Write the beginning of a step."""
    journal.append(
        EventKind.SPAN_START, run_key=key, trace_id=trace_id(trace), span_id=span_id(trace, number),
        body={"kind": "tool", "name": f"tool {number}", **body}, content=content or {},
    )  # fmt: skip


def end_span(journal: Journal, trace: int, number: int, key: str = "run", *, content: Any = None, **body: Any) -> None:
    """Write the end of a step."""
    journal.append(
        EventKind.SPAN_END, run_key=key, trace_id=trace_id(trace), span_id=span_id(trace, number),
        body={"status": "ok", **body}, content=content or {},
    )  # fmt: skip


def record(journal: Journal, traces: int, spans: int, *, first: int = 1, key: str = "run") -> set[str]:
    """Write a run with traces; return the ids under which its spans arrive."""
    begin_run(journal, key)
    for trace in range(first, first + traces):
        begin_trace(journal, trace, key)
        for number in range(spans):
            begin_span(journal, trace, number, key, content={"input": f"input {number}"})
            end_span(journal, trace, number, key, content={"output": f"output {number}"})
        end_trace(journal, trace, key)
    end_run(journal, key)
    journal.flush()
    return event_ids(traces, spans, first)


class Remembering:
    """A handler that keeps what it is given; `answer` decides what it says."""

    api_version = API_VERSION
    options: ClassVar[dict[str, str]] = {"endpoint": "where"}
    required: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset({"token"})

    def __init__(self, answer: Callable[[tuple[Item, ...]], Any] | None = None) -> None:
        self.answer = answer or (lambda _: Sent())
        self.batches: list[tuple[Item, ...]] = []
        self.opened: list[Context] = []
        self.closed = 0

    def __call__(self) -> Remembering:
        """Stand in for the class."""
        return self

    def open(self, context: Context) -> None:
        """Remember the context."""
        self.opened.append(context)

    def export(self, batch: tuple[Item, ...]) -> Any:
        """Answer, and remember what was taken."""
        answer = self.answer(batch)
        if isinstance(answer, Sent):
            self.batches.append(batch)
        return answer

    def close(self) -> None:
        """Remember that."""
        self.closed += 1

    @property
    def items(self) -> list[Item]:
        """All items that were taken."""
        return [item for batch in self.batches for item in batch]

    @property
    def ids(self) -> list[str]:
        """The ids of all items that were taken."""
        return [item.event_id for item in self.items]


def sender(handler: Remembering, said: list[str] | None = None, **settings: Any) -> Sender:
    """Return what sends to a handler."""
    chosen = HandlerSettings(**{"name": "mine", "type": "mine", "backlog": "all", "key": "k", **settings})
    notes = said if said is not None else []
    return Sender(chosen, lambda: handler, {"service.name": "tests"}, notes.append, QUICK)


@contextlib.contextmanager
def running(
    path: Path, handler: Remembering, said: list[str] | None = None, linger_s: float = 0.0, **settings: Any
) -> Iterator[Outlet]:
    """Run a handler on a journal."""
    outlet = Outlet(sender(handler, said, **settings), path, linger_s=linger_s)
    outlet.start()
    try:
        yield outlet
    finally:
        assert outlet.stop(30)


def wait_for(condition: Callable[[], Any], what: str = "", seconds: float = 60) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what or "it did not come to be so"
        time.sleep(0.02)
