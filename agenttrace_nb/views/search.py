"""Full content searched by the kernel: what a browser cannot search because it does not hold it."""

from __future__ import annotations

import logging
import sys
import threading
import time
from array import array
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agenttrace_nb.spans import Span
    from agenttrace_nb.views.feed import Feed

FOUND_LIMIT_ROWS = 10_000
TIME_LIMIT_S = 10.0
WAITING_LIMIT = 4
WORK_S = 0.002
REST_S = 0.001

# Of a conversation's items they say what they are, not what they say: every call holds them.
_NAMING = frozenset({"role", "type", "id", "call_id", "status"})

_log = logging.getLogger("agenttrace_nb")


def holds(value: Any, needle: str) -> bool:
    """Tell whether a text or a number anywhere in a value holds a text; both sides in lower case.

    Examples
    --------
    >>> holds([{"role": "user", "content": [{"text": "To Boston"}]}], "boston")
    True
    >>> holds([{"role": "user", "content": "To Boston"}], "user")
    False
    """
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            if needle in part.lower():
                return True
        elif isinstance(part, dict):
            is_item = "role" in part or "call_id" in part
            stack.extend(inner for key, inner in part.items() if not (is_item and key in _NAMING))
        elif isinstance(part, list | tuple):
            stack.extend(part)
        elif isinstance(part, int | float) and not isinstance(part, bool) and needle in str(part):
            return True
    return False


class ContentSearch:
    """Searches the content of a feed's rows on a thread of its own, gently: the agents go on beside it.

    Parameters
    ----------
    feed
        Whose rows to search.
    answer
        What to do with an answer: a message, and one buffer with the numbers of the rows found (u4, little-endian).
    """

    def __init__(self, feed: Feed, answer: Callable[[dict[str, Any], list[bytes]], None]) -> None:
        self._feed = feed
        self._answer = answer
        self._lock = threading.Lock()
        # As one types, what was asked first is not what is wanted any more.
        self._waiting: deque[tuple[int, str]] = deque(maxlen=WAITING_LIMIT)
        self._running = False

    def ask(self, number: int, text: str) -> None:
        """Search for a text, after those that wait already. Returns at once; the number comes back in the answer."""
        with self._lock:
            self._waiting.append((number, text))
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._work, name="agenttrace-search", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                number, text = self._waiting.popleft()
            try:
                self._search(number, text)
            except Exception as error:  # a search must not take the view or the run with it
                _log.warning("content could not be searched: %s: %s", type(error).__name__, error)

    def _search(self, number: int, text: str) -> None:
        with self._feed.lock:
            spans = list(self._feed.rows.spans)
        needle = text.lower()
        rows, whole = array("I"), True
        for row in self._paced(range(len(spans))):
            if row < 0 or len(rows) >= FOUND_LIMIT_ROWS:
                whole = False
                break
            if _span_holds(spans[row], needle):
                rows.append(row)
        if sys.byteorder == "big":
            rows.byteswap()
        message = {"kind": "found", "id": number, "text": text, "whole": whole}
        self._answer(message, [rows.tobytes()])

    @staticmethod
    def _paced(rows: range) -> Iterator[int]:
        # Rests between pieces of work leave the interpreter to the agents; -1 says that time is up.
        begun = since = time.monotonic()
        for row in rows:
            yield row
            now = time.monotonic()
            if now - since > WORK_S:
                time.sleep(REST_S)
                since = time.monotonic()
            if now - begun > TIME_LIMIT_S:
                yield -1


def _span_holds(span: Span, needle: str) -> bool:
    error = span.error
    if error is not None and holds([error.type, error.message, list(error.chain), error.traceback], needle):
        return True
    return any(_side_holds(span, side, needle) for side in ("output", "input", "attributes"))


def _side_holds(span: Span, side: str, needle: str) -> bool:
    try:
        return holds(getattr(span, side), needle)
    except Exception:  # a content that cannot be read holds nothing
        return False
