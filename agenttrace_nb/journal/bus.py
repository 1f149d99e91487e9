"""The in-process bus: every event, at once, to whoever watches in this process."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agenttrace_nb.journal.events import Event


class Bus:
    """Hands each event to every subscription. Publishing only appends: it never waits and never fails."""

    def __init__(self) -> None:
        self._subscriptions: tuple[deque[Event], ...] = ()

    def subscribe(self) -> deque[Event]:
        """Return a queue that receives all events from now on."""
        queue: deque[Event] = deque()
        self._subscriptions = (*self._subscriptions, queue)
        return queue

    def unsubscribe(self, queue: deque[Event]) -> None:
        """Stop feeding a queue."""
        self._subscriptions = tuple(q for q in self._subscriptions if q is not queue)

    def publish(self, event: Event) -> None:
        """Hand an event on."""
        for queue in self._subscriptions:
            queue.append(event)
