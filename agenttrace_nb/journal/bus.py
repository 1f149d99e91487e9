"""The in-process bus: every event, at once, to whoever watches in this process."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agenttrace_nb.journal.events import Event

    Queues = tuple[deque[Event], ...]


class Bus:
    """Hands each event to those who watch its run. Publishing only appends: it never waits and never fails.

    A run's watchers also see what other runs add to its traces (a trace that is resumed in another cell).
    """

    def __init__(self) -> None:
        self._all: Queues = ()
        self._runs: dict[str, Queues] = {}
        self._traces: dict[str, Queues] = {}

    def subscribe(self, run_key: str | None = None) -> deque[Event]:
        """Return a queue that receives from now on the events of a run, or all events."""
        queue: deque[Event] = deque()
        if run_key is None:
            self._all = (*self._all, queue)
        else:
            self._runs[run_key] = (*self._runs.get(run_key, ()), queue)
        return queue

    def unsubscribe(self, queue: deque[Event]) -> None:
        """Stop feeding a queue."""
        self._all = _without(queue, self._all)
        for watched in (self._runs, self._traces):
            for key, queues in list(watched.items()):
                if len(left := _without(queue, queues)) < len(queues):
                    watched[key] = left
                    if not left:
                        watched.pop(key, None)

    def publish(self, event: Event) -> None:
        """Hand an event on."""
        for queue in self._all:
            queue.append(event)
        if self._runs:
            for queue in self._watching(event):
                queue.append(event)

    def _watching(self, event: Event) -> Queues:
        of_run = self._runs.get(event.run_key or "", ())
        if event.trace_id is None:
            return of_run
        of_trace = self._traces.get(event.trace_id, ())
        if of_run is of_trace:
            return of_trace
        seen = {id(queue) for queue in of_trace}
        together = (*of_trace, *(queue for queue in of_run if id(queue) not in seen))
        if len(together) > len(of_trace):
            self._traces[event.trace_id] = together if of_trace else of_run
        return together


def _without(queue: deque[Event], queues: Queues) -> Queues:
    return tuple(q for q in queues if q is not queue)
