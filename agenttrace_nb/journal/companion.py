"""Processes of ours beside the kernel that work on its journal: how each side starts, talks, and sees the other end.

Both talk in JSON objects, one a line: the kernel on the process's standard input, whose end means that the kernel is
gone or wants no more; the process on its standard output. What has an ``id`` is a question; its answer has the same.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import itertools
import json
import logging
import os
import signal
import site
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agenttrace_nb.journal.place import JournalError, LeaseTakenError
from agenttrace_nb.journal.recover import close_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

STARTS = 3
"""How often a process is started again if it ends before its time."""
LAUNCH_S = 5.0
"""How long the end of a program waits for a process that is being started."""
POLL_S = 5.0
"""How often it is looked whether a process still lives while there is nothing to say."""
_TRIES = 20
_PAUSE_S = 0.1
_log = logging.getLogger("agenttrace_nb.journal")


# ------------------------------------------------------------------------------------------------- the kernel's side


class Companion:
    """A process of ours beside the kernel: started, told things, heard, and started again if something ends it.

    Parameters
    ----------
    module
        The module of this package that it runs.
    journal
        The journal that it works on.
    log
        How the file beside the journal ends that takes what it writes to standard error.
    does
        What it does, for messages: "writes to MLflow".
    afterwards
        What becomes of what was traced once it has ended too often, in a sentence.
    hear
        Takes what it says, but for answers, message by message, on a thread.
    say
        Takes what the user should know.
    variables
        Returns the variables of the environment that it must know also when they are set later; by default none.
    arguments
        Returns its arguments behind the journal; by default none.
    """

    def __init__(
        self,
        module: str,
        journal: Path,
        *,
        log: str,
        does: str,
        afterwards: str,
        hear: Callable[[dict[str, Any]], None],
        say: Callable[[str], None],
        variables: Callable[[], dict[str, str]] = dict,
        arguments: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.launched = threading.Event()
        self.log = journal.with_suffix(log)
        self._module, self._journal = module, journal
        self._does, self._afterwards = does, afterwards
        self._hear, self._say = hear, say
        self._variables, self._arguments = variables, arguments
        self._told_variables: dict[str, str] = {}
        self._outbox: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._asked: dict[int, dict[str, Any]] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._wake = threading.Event()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pid = os.getpid()

    @property
    def is_of_parent(self) -> bool:
        """Whether this process was forked from the one that the process belongs to: that one's business goes on."""
        return self._pid != os.getpid()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be heard of it."""
        return self._closed or self._thread is None or self.is_of_parent

    def start(self) -> None:
        """Start it if it does not run; returns at once. Says that something is new if it does."""
        if self.is_of_parent:
            return
        with self._news:
            if self._thread is None and not self._closed:
                self.launched.clear()
                self._thread = threading.Thread(target=self._serve, name=f"{self._module}-talk", daemon=True)
                self._thread.start()
                atexit.register(self.close)
        self._wake.set()

    def nudge(self) -> None:
        """Say that something is new; returns at once."""
        self._wake.set()

    def tell(self, message: dict[str, Any]) -> None:
        """Say something; returns at once. It may be lost with a process that is killed at that moment."""
        with self._news:
            self._outbox.append(message)
        self._wake.set()

    def ask(self, message: dict[str, Any], timeout_s: float | None) -> dict[str, Any] | None:
        """Say something that is answered; one that is started instead of a killed one is asked again.

        Parameters
        ----------
        message
            What to say.
        timeout_s
            Seconds; ``None`` for as long as it takes.

        Returns
        -------
        dict or None
            The answer; ``None`` if there was none in this time, or it is over.
        """
        number = next(self._numbers)
        with self._news:
            self._asked[number] = {**message, "id": number}
            self._outbox.append(self._asked[number])
        self._wake.set()
        try:
            self.wait_for(lambda: number in self._answers, timeout_s)
        finally:
            with self._news:
                del self._asked[number]
                answer = self._answers.pop(number, None)
        return answer

    def wait_for(self, true: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until something it said makes this true, it is over, or the time is; return whether one of the former.

        Parameters
        ----------
        true
            Looked at after each message.
        timeout_s
            Seconds; ``None`` for as long as it takes.
        """
        with self._news:
            return self._news.wait_for(lambda: true() or self.is_over, timeout_s)

    def close(self) -> None:
        """Want no more of it: it does what there is to do, and ends. Waits only for one that is being started."""
        atexit.unregister(self.close)
        if self.is_of_parent:
            return
        if self._thread is not None:
            self.launched.wait(LAUNCH_S)  # a short program is at its end before the thread has started the process
        self._closed = True
        self._wake.set()
        if self.process is not None:
            _close(self.process.stdin)
        with self._news:
            self._news.notify_all()

    def changed_variables(self) -> dict[str, str | None]:
        """Return what was set since it was last asked: credentials are often set in a cell, after the start."""
        now, before = self._variables(), self._told_variables
        self._told_variables = now
        changed: dict[str, str | None] = {name: value for name, value in now.items() if before.get(name) != value}
        return changed | dict.fromkeys(before.keys() - now.keys())

    def _serve(self) -> None:
        for attempt in range(STARTS):
            try:
                code = self._talk()
            except OSError as error:
                self._say(f"The process that {self._does} cannot be started ({error}). What is traced is kept.")
                break
            if self._closed or code == 0:  # it has said itself why it does no more
                break
            _log.debug("%s ended early (attempt %s)", self._module, attempt)
            self._told_variables = {}
            time.sleep(attempt)
        else:
            self._say(f"The process that {self._does} ended {STARTS} times; see {self.log}. {self._afterwards}")
        self.launched.set()
        with self._news:
            self._thread = None
            self._news.notify_all()

    def _talk(self) -> int | None:
        """Start the process and talk to it until it ends or nothing more is wanted of it; return its exit code."""
        with self._news:
            self._outbox = [one for one in self._outbox if "id" not in one] + list(self._asked.values())
        self._wake.set()
        with self.log.open("a", encoding="utf-8") as log:
            process = self.process = start(self._module, self._journal, *self._arguments(), log=log)
        self.launched.set()
        reader = threading.Thread(target=self._read, args=(process,), name=f"{self._module}-read", daemon=True)
        reader.start()
        while process.poll() is None and not self._closed:
            self._wake.wait(POLL_S)
            self._wake.clear()
            if not self._closed:
                self._send(process)
        _close(process.stdin)
        if not self._closed:
            reader.join()
        return process.poll()

    def _send(self, process: subprocess.Popen[str]) -> None:
        with self._news:
            messages, self._outbox = self._outbox, []
        changed = self.changed_variables()
        lines = [{"env": changed}] if changed else []
        try:
            if process.stdin is not None:
                process.stdin.write("".join(json.dumps(line) + "\n" for line in [*lines, *messages] or [{}]))
                process.stdin.flush()
        except (OSError, ValueError):
            with self._news:
                self._outbox = messages + self._outbox

    def _read(self, process: subprocess.Popen[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in process.stdout or ():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._take(json.loads(line))
        process.wait()
        _close(process.stdout)
        self._wake.set()

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("id") is None:
            self._hear(message)
        with self._news:
            if message.get("id") in self._asked:
                self._answers[message["id"]] = message
            self._news.notify_all()


def _close(pipe: IO[str] | None) -> None:
    with contextlib.suppress(OSError):  # what was still in it has nobody to go to
        if pipe is not None:
            pipe.close()


def variables() -> dict[str, str]:
    """Return the variables of the environment; the user's code may set and delete some at this moment.

    Examples
    --------
    >>> "PATH" in variables()
    True
    """
    found = ((name, os.environ.get(name)) for name in list(os.environ))
    return {name: value for name, value in found if value is not None}


def start(module: str, journal: Path, *arguments: str, log: Any) -> subprocess.Popen[str]:
    """Start a module of this package as a process of its own, with pipes for lines of text.

    It is not in the kernel's process group, so that an interrupt is not for it too.

    Parameters
    ----------
    module
        The module.
    journal
        The journal that it works on; its first argument.
    *arguments
        The others.
    log
        The file that takes what it writes to standard error.

    Raises
    ------
    OSError
        If no process can be started.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
        # -P: a file of the user's that is called like a module must not be imported
        [sys.executable, "-P", "-m", module, str(journal.absolute()), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=journal.parent,
        env=_environment(),
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """Return our environment, with a way to this package if it is not installed."""
    environment = variables()
    here = str(Path(__file__).resolve().parents[2])
    if here not in {*site.getsitepackages(), site.getusersitepackages()}:
        known = [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p]
        environment["PYTHONPATH"] = os.pathsep.join([*known, here])
    return environment


# ------------------------------------------------------------------------------------------------ the process's side


def listen(take: Callable[[dict[str, Any] | None], None]) -> None:
    """Have what the kernel says taken on a thread, and ``None`` once it is gone or wants no more."""

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in sys.stdin:
                with contextlib.suppress(ValueError):
                    take(json.loads(line))
        take(None)

    threading.Thread(target=read, name="agenttrace-input", daemon=True).start()


def teller() -> Callable[[dict[str, Any]], None]:
    """Return what says something to the kernel.

    Libraries and handlers may print: from here on that goes where standard error goes, and not to the kernel.
    """
    lock = threading.Lock()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError, ValueError):
            out.write(json.dumps(message) + "\n")
            out.flush()

    return tell


def change_variables(changed: dict[str, str | None]) -> None:
    """Set variables of the environment, and take those away that are ``None``."""
    for name, value in changed.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def begin(nice: int) -> None:
    """Let other processes go first; write to the log; have ``kill -USR1 PID`` write there what each thread is doing."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1)
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(nice)


def close_if_orphan(journal: Path) -> None:
    """Close what is open in a journal as interrupted, if its kernel is gone and not just done with us."""
    for _ in range(_TRIES):
        try:
            close_interrupted(journal)
        except LeaseTakenError:
            time.sleep(_PAUSE_S)  # its end and the end of its lease are not one moment
        except JournalError:
            _log.exception("%s", journal)
            return
        else:
            return
