"""Whether a cell runs in this kernel."""

from __future__ import annotations

import time
import weakref
from typing import Any

_known: weakref.WeakKeyDictionary[Any, KernelState] = weakref.WeakKeyDictionary()


class KernelState:
    """Knows whether a cell runs. Made by `of`, once for each shell; made within a cell, that one counts."""

    def __init__(self, shell: Any) -> None:
        self.is_busy = shell is not None and getattr(shell, "kernel", None) is not None
        self._depth = int(self.is_busy)
        self._idle_since_s = time.monotonic()
        if self.is_busy:
            shell.events.register("pre_run_cell", self._begin)
            shell.events.register("post_run_cell", self._end)

    @classmethod
    def of(cls, shell: Any) -> KernelState:
        """Return what is known of a shell; without a shell nothing ever runs."""
        if shell is None:
            return cls(None)
        if shell not in _known:
            _known[shell] = cls(shell)
        return _known[shell]

    def _begin(self, *_: Any) -> None:
        self._depth += 1
        self.is_busy = True

    def _end(self, *_: Any) -> None:
        self._depth = max(0, self._depth - 1)
        self.is_busy = self._depth > 0
        self._idle_since_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Return for how long no cell has run, in seconds; 0 while one does."""
        return 0.0 if self.is_busy else time.monotonic() - self._idle_since_s
