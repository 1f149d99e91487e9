"""Whether journals are sealed into an audit log, and how far: what its sealer and those who wait for it both know.

With the audit log on, a trace goes nowhere before it is sealed. The sealer follows the journal under a name of its own
and notes how far it is in its follower's state; others only read that.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

from agenttrace_nb.journal.place import journal_folder, open_private

if TYPE_CHECKING:
    from pathlib import Path

FOLLOWER = "audit"
_MARK = "audit.on"


def turn_on(folder: Path | None = None) -> None:
    """Have everything that is recorded from now on sealed."""
    with open((folder or journal_folder()) / _MARK, "w", encoding="utf-8", opener=open_private):
        pass


def turn_off(folder: Path | None = None) -> None:
    """Seal nothing any more."""
    ((folder or journal_folder()) / _MARK).unlink(missing_ok=True)


def is_on(folder: Path | None = None) -> bool:
    """Tell whether what is recorded is sealed."""
    return ((folder or journal_folder()) / _MARK).exists()


class Seal:
    """What of a journal is sealed, for those who wait for that.

    Parameters
    ----------
    path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._state = path.with_suffix(f".{FOLLOWER}.json")
        self._read_at: tuple[int, int] | None = None
        self._cursor = 0
        self._position = 0
        self._sealed: dict[str, int] = {}
        self._held_since: float | None = None

    def covers(self, trace_id: str, seq: int) -> bool:
        """Tell whether a trace may go on to others: sealed up to this event, or nothing is to be sealed."""
        if not is_on(self._folder):
            self._held_since = None
            return True
        self._look()
        covered = self._cursor >= seq or self._sealed.get(trace_id, 0) >= seq
        if covered:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = time.monotonic()
        return covered

    def has_passed(self, seq: int) -> bool:
        """Tell whether the sealer has dealt with all events up to this one, but for traces that go on."""
        if not is_on(self._folder):
            return True
        self._look()
        return self._position >= seq

    def held_for_s(self) -> float:
        """Return for how long nothing was sealed that somebody waits for, in seconds."""
        return 0.0 if self._held_since is None else time.monotonic() - self._held_since

    def _look(self) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = self._state.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._read_at:
                saved = json.loads(self._state.read_text("utf-8"))
                self._cursor = int(saved["cursor"])
                self._sealed = {str(key): int(value) for key, value in saved["state"].get("sealed", {}).items()}
                self._position = int(saved["state"].get("position", self._cursor))
                self._read_at = stamp
