"""How it goes with each handler: from the notes that the exporting processes leave beside the journals.

So it can be told in any process, also after the kernel was restarted, or while another kernel exports.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export import functions
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.feed import follower_name
from agenttrace_nb.export.worker import hanging_file
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.place import SUFFIX, JournalError
from agenttrace_nb.journal.read import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.export.settings import HandlerSettings

_ENDS = {"span": EventKind.SPAN_END, "run": EventKind.RUN_END, "alert": EventKind.ALERT}
_NS_PER_S = 1e9


@dataclass(slots=True, kw_only=True)
class HandlerStatus:
    """How it goes with one handler, in all journals of this user.

    Attributes
    ----------
    settings
        The handler.
    sent, waiting
        Numbers of steps and runs.
    dropped
        How many were dropped, by reason.
    oldest_ns, success_ns, problem_ns
        When the oldest of what waits ended, when something last arrived, when the problem was last met; nanoseconds
        since the epoch, ``None`` where unknown.
    problem
        What is wrong at this moment, in words.
    state
        ``sending``, ``paused``, ``stopped`` (the target refuses until something is changed) or ``hanging``.
    """

    settings: HandlerSettings
    sent: int = 0
    waiting: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    oldest_ns: int | None = None
    success_ns: int | None = None
    problem: str | None = None
    problem_ns: int | None = None
    state: str = "sending"
    _noted_ns: int = 0

    @property
    def oldest_s(self) -> float | None:
        """For how long the oldest of what waits has waited, in seconds."""
        return None if self.oldest_ns is None else max(0.0, (time.time_ns() - self.oldest_ns) / _NS_PER_S)

    @property
    def success_s(self) -> float | None:
        """How long ago something last arrived, in seconds."""
        return None if self.success_ns is None else max(0.0, (time.time_ns() - self.success_ns) / _NS_PER_S)

    @property
    def target(self) -> str:
        """Where it sends to, from its options; no secrets, but where those are kept."""
        return " ".join(f"{name}={value}" for name, value in self.settings.options.items())


def statuses(folder: Path | None = None) -> list[HandlerStatus]:
    """Return how it goes with every handler, in the order in which they were added.

    Raises
    ------
    OptionError
        If the settings of the handlers are damaged.
    """
    folder = kept.folder_of_handlers(folder)
    handlers = kept.read(folder)
    handlers |= {name: outlet.settings for name, outlet in functions.outlets().items()}
    found = [HandlerStatus(settings=settings) for settings in handlers.values()]
    for path in sorted(folder.glob(f"*{SUFFIX}")) if found else ():
        hanging = _hanging(path)
        hanging |= {name for name, outlet in functions.outlets().items() if outlet.hangs_for_s()}
        for status in found:
            if status.settings.type != functions.TYPE or functions.follows(path):
                _add(status, path, hanging)
    for status in found:
        if status.settings.paused:
            status.state = "paused"
    return found


def waiting_in(path: Path, name: str | None = None) -> int:
    """Return how many things of one journal wait for handlers that can send, or for one handler."""
    handlers = {**kept.read(path.parent), **{n: outlet.settings for n, outlet in functions.outlets().items()}}
    total = 0
    for settings in handlers.values():
        if name in (None, settings.name):
            status = HandlerStatus(settings=settings)
            _add(status, path, set())
            total += status.waiting
    return total


def _add(status: HandlerStatus, path: Path, hanging: set[str]) -> None:
    settings = status.settings
    state = _state(path, settings)
    position = 0
    if state is not None:
        position = int(state.get("position", 0))
        status.sent += int(state.get("sent", 0))
        status.dropped += Counter(state.get("dropped", {}))
        status.waiting += int(state.get("waiting", 0))
        _note(status, state)
    unread, oldest_ns = _unread(path, settings, position)
    status.waiting += unread
    for ns in (oldest_ns, state.get("oldest_ns") if state else None):
        if ns is not None and (status.oldest_ns is None or ns < status.oldest_ns):
            status.oldest_ns = ns
    if settings.name in hanging:
        status.state = "hanging"


def _note(status: HandlerStatus, state: dict[str, Any]) -> None:
    """Take over what one journal's notes say, if it is newer than what the others say."""
    success, problem_ns = state.get("success_ns"), state.get("problem_ns")
    status.success_ns = max(filter(None, (status.success_ns, success)), default=None)
    noted = max(filter(None, (success, problem_ns)), default=0)
    if noted >= status._noted_ns:  # noqa: SLF001 - of this module
        status._noted_ns = noted  # noqa: SLF001
        status.problem, status.problem_ns = state.get("problem"), problem_ns
        status.state = "stopped" if state.get("refused") else "sending"


def _state(path: Path, settings: HandlerSettings) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads(path.with_suffix(f".{follower_name(settings.name)}.json").read_text("utf-8"))["state"]
        if isinstance(state, dict) and state.get("key") == settings.key:
            return state
    return None


def _unread(path: Path, settings: HandlerSettings, position: int) -> tuple[int, int | None]:
    """Return how many things are in a journal behind a position, and when the first of them ended."""
    kinds = frozenset(_ENDS[signal] for signal in settings.signals)
    seen = settings.seen.get(path.name, 0)
    with contextlib.suppress(JournalError, OSError), contextlib.closing(JournalReader(path)) as reader:
        if reader.last_seq() <= position:
            return 0, None
        count, oldest = reader.count(kinds, max(position, seen) if settings.backlog != "all" else position)
        if isinstance(settings.backlog, float) and position < seen:
            since = int(settings.added_ns - settings.backlog * _NS_PER_S)
            earlier, first = reader.count(kinds, position, until=seen, since_ns=since)
            count, oldest = count + earlier, first if first is not None else oldest
        return count, oldest
    return 0, None


def _hanging(path: Path) -> set[str]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return set(json.loads(hanging_file(path).read_text("utf-8"))["hanging"])
    return set()
