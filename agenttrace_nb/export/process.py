"""The kernel's handle of the process that exports. Nothing here waits, except where waiting is what was asked for."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import notices
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.registry import variables_in
from agenttrace_nb.journal import companion

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

STARTS = 3
"""How often the process is started again if it ends before its time."""
LAUNCH_S = 5.0
POLL_S = 5.0
_ENVIRONMENT = ("OTEL_", "HTTP_", "HTTPS_", "NO_PROXY", "ALL_PROXY", "REQUESTS_", "SSL_", "AGENTTRACE_REDACT")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back for a marked item: the kind of answer (``Sent``, ``Retry`` ...), and the reason in words."""

    answer: str
    reason: str | None = None


class Exporting:
    """Starts the exporting process of a journal; made by `exporting_of`.

    Parameters
    ----------
    journal_path
        The journal.
    """

    def __init__(self, journal_path: Path) -> None:
        self.path = journal_path
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._launched = threading.Event()
        self._wake = threading.Event()
        self._news = threading.Condition()
        self._outbox: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._tested: dict[int, Outcome] = {}
        self._sent_environment: dict[str, str] | None = None
        self._closed = False
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin to export; returns at once. Safe to call again: has variables that were set since passed on."""
        if self._pid != os.getpid():
            return  # a forked child: its journal is adopted by its parent's process
        with self._news:
            if self._thread is None and not self._closed:
                self._launched.clear()
                self._thread = threading.Thread(target=self._serve, name="agenttrace-exporting", daemon=True)
                self._thread.start()
                atexit.register(self.close)
        self._wake.set()

    def flush(self, name: str | None) -> None:
        """Have what there is sent at once; returns at once."""
        self._say_to_process({"flush": name})

    def test(self, name: str, timeout_s: float) -> Outcome | None:
        """Have one marked item sent, and return what came back; ``None`` if nothing did in this time."""
        number = next(self._numbers)
        self._say_to_process({"test": name, "id": number})
        with self._news:
            self._news.wait_for(lambda: number in self._tested or self._thread is None, timeout_s)
            return self._tested.pop(number, None)

    def close(self) -> None:
        """Want no more of the process: it sends what there is, and ends. Waits only for one that is being started."""
        atexit.unregister(self.close)
        if self._pid != os.getpid() or self._thread is None:
            return
        self._launched.wait(LAUNCH_S)
        self._closed = True
        self._wake.set()
        _close(self._process)

    # -- the threads that talk to the process -------------------------------------------------------------------

    def _say_to_process(self, message: dict[str, Any]) -> None:
        with self._news:
            self._outbox.append(message)
        self.start()

    def _serve(self) -> None:
        for attempt in range(STARTS):
            began = time.monotonic()
            try:
                self._talk()
            except OSError as error:
                notices.say(f"The process that exports cannot be started ({error}). What is traced is kept.")
                break
            if self._closed:
                break
            self._sent_environment = None
            time.sleep(0 if time.monotonic() - began > POLL_S else attempt)
        else:
            log = self._log_path()
            notices.say(f"The process that exports ended {STARTS} times; see {log}. The next run starts it again.")
        self._launched.set()
        with self._news:
            self._thread = None
            self._news.notify_all()

    def _talk(self) -> None:
        with self._log_path().open("a", encoding="utf-8") as log:
            process = self._process = companion.start("agenttrace_nb.export", self.path, log=log)
        self._launched.set()
        reader = threading.Thread(target=self._read, args=(process,), name="agenttrace-export-read", daemon=True)
        reader.start()
        while process.poll() is None and not self._closed:
            self._send(process)
            self._wake.wait(POLL_S)
            self._wake.clear()
        _close(process)
        if not self._closed:
            reader.join()

    def _send(self, process: subprocess.Popen[str]) -> None:
        with self._news:
            messages, self._outbox = self._outbox, []
        if changed := self._changed_environment():
            messages.insert(0, {"env": changed})
        if not messages or process.stdin is None:
            return
        try:
            process.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
            process.stdin.flush()
        except (OSError, ValueError):
            with self._news:
                self._outbox = [m for m in messages if "env" not in m] + self._outbox

    def _changed_environment(self) -> dict[str, str | None]:
        """Return what was set since: a token is often put into the environment after the process has started."""
        named: set[str] = set()
        with contextlib.suppress(OptionError):
            for settings in kept.read(self.path.parent).values():
                named |= variables_in(settings.options.values())
        now = {n: v for n, v in companion.variables().items() if n in named or n.upper().startswith(_ENVIRONMENT)}
        before = self._sent_environment
        self._sent_environment = now
        if before is None:
            # What was set while the process began may or may not be in its environment.
            return dict(now)
        return {n: v for n, v in now.items() if before.get(n) != v} | dict.fromkeys(before.keys() - now.keys())

    def _read(self, process: subprocess.Popen[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in process.stdout or ():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._hear(json.loads(line))
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._wake.set()

    def _hear(self, message: dict[str, Any]) -> None:
        if "tested" in message:
            with self._news:
                self._tested[message["tested"]] = Outcome(message["answer"], message["reason"])
                self._news.notify_all()
        if "say" in message:
            notices.say(message["say"])

    def _log_path(self) -> Path:
        return self.path.with_suffix(".export.log")


def _close(process: subprocess.Popen[str] | None) -> None:
    with contextlib.suppress(OSError):  # what was still in it has nobody to go to
        if process is not None and process.stdin is not None:
            process.stdin.close()


_exportings: dict[Path, Exporting] = {}


def exporting_of(journal_path: Path) -> Exporting:
    """Return the exporting of a journal of this process."""
    return _exportings.setdefault(journal_path, Exporting(journal_path))
