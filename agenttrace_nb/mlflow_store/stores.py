"""The stores that this process writes to, and when one that did not answer is asked again."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.journal.secret_forms import MARK
from agenttrace_nb.mlflow_store.store import Store, StoreUnavailableError
from agenttrace_nb.mlflow_store.target import shown

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class _Silence:
    since: float
    until: float
    tries: int
    told: str


class Stores:
    """Gives stores by tracking URI. Safe to use from several threads.

    Parameters
    ----------
    report
        Takes a message for the user.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._stores: dict[str, Store] = {}
        self._silent: dict[str, _Silence] = {}
        self._lock = threading.RLock()

    def get(self, uri: str, cwd: str | None) -> Store:
        """Return the store at a tracking URI.

        Raises
        ------
        StoreUnavailableError
            If it does not answer, or did not a moment ago.
        StoreRefusedError
            If that kind of store cannot hold traces.
        """
        with self._lock:
            silence = self._silent.get(uri)
            if silence is not None and time.monotonic() < silence.until:
                raise StoreUnavailableError(silence.told)
            if uri not in self._stores:
                self._stores[uri] = Store(_with_credentials(uri), cwd)
            return self._stores[uri]

    def failed(self, uri: str, error: StoreUnavailableError) -> None:
        """Note that a store did not take something; the first time the user is told."""
        now = time.monotonic()
        with self._lock:
            if (store := self._stores.get(uri)) is not None:
                store.connect_anew()
            silence = self._silent.get(uri)
            if silence is None:
                silence = self._silent[uri] = _Silence(now, now, 0, str(error))
                self._report(str(error))
            elif now < silence.until:
                return  # not asked, just not ready yet
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**silence.tries)
            silence.until = now + pause * random.uniform(0.5, 1.0)  # noqa: S311 - many kernels, one server
            silence.tries += 1

    def worked(self, uri: str) -> None:
        """Note that a store took something; after a silence the user is told that it is over."""
        with self._lock:
            silence = self._silent.pop(uri, None)
        if silence is not None:
            minutes = (time.monotonic() - silence.since) / 60
            self._report(
                f"MLflow at {shown(uri)} takes data again after {minutes:.1f} minutes; what was kept is being sent."
            )

    def silent_for_s(self) -> float:
        """Return for how long a store has not answered, 0 if all do."""
        with self._lock:
            return max((time.monotonic() - s.since for s in self._silent.values()), default=0.0)

    def next_try_s(self) -> float | None:
        """Return in how many seconds a silent store is asked again; ``None`` if none is silent."""
        with self._lock:
            waits = [s.until - time.monotonic() for s in self._silent.values()]
        return max(0.0, min(waits)) if waits else None


def _with_credentials(uri: str) -> str:
    """Return a tracking URI with the user and password that were taken out before it was stored.

    They stand in the environment, which this process has from the kernel and which no file holds.
    """
    if MARK not in uri:
        return uri
    rules = Redactor()
    candidates = (os.environ.get(name, "") for name in ("MLFLOW_TRACKING_URI", "AGENTTRACE_TRACKING_URI"))
    return next((known for known in candidates if known and rules.clean_text(known) == uri), uri)
