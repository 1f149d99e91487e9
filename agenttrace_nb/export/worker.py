"""The process that sends on what is recorded, beside the kernel and for a moment after it.

The kernel says ``{"env": {...}}`` (variables that were set since), ``{"test": NAME, "id": N}`` (send a marked item and
say what came back), ``{"flush": NAME}`` (send at once what there is); see `companion`. It answers ``{"say": TEXT}`` for
the user, and ``{"id": N, "answer": KIND, "reason": TEXT}``. Which handlers there are it reads from their settings
file.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import queue
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import prices
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.feed import follower_name
from agenttrace_nb.export.outlet import Outlet
from agenttrace_nb.export.registry import load
from agenttrace_nb.export.sender import Sender
from agenttrace_nb.journal import companion
from agenttrace_nb.journal.place import JournalError, LeaseTakenError, orphans
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.journal.recover import close_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agenttrace_nb.export.handler import Answer
    from agenttrace_nb.export.settings import HandlerSettings

LOOK_EVERY_S = 0.25
ORPHANS_EVERY_S = 10.0
"""How often journals are looked for whose process has ended since."""
GIVE_UP_S = 60.0
"""After the kernel has gone, a target that has taken nothing for so long is left to the next start."""
CLOSE_S = 5.0
NICE = 10
_log = logging.getLogger("agenttrace_nb.export")


def resource_of(journal: Path) -> dict[str, str]:
    """Return the attributes of the process that a journal is of."""
    name = os.environ.get("OTEL_SERVICE_NAME") or "agenttrace_nb"
    return {"service.name": name, "service.instance.id": journal.stem}


class Worker:
    """Runs the handlers of one kernel, each in a thread.

    Parameters
    ----------
    path
        The kernel's journal.
    tell
        Takes what the kernel should know.
    """

    def __init__(self, path: Path, tell: Callable[[dict[str, Any]], None]) -> None:
        self.path = path
        self._tell = tell
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._outlets: dict[str, Outlet] = {}
        self._read_at: tuple[int, int] | None = None
        self._adopted: set[tuple[str, Path]] = set()
        self._look_for_orphans_at = 0.0
        self._hanging: set[str] = set()
        self._gone_at: float | None = None

    def run(self) -> None:
        """Work until the kernel is gone and all is sent, or cannot be."""
        companion.listen(self._inbox.put)
        self._write_hanging()
        while not self._is_over():
            self._follow_settings()
            self._watch()
            if time.monotonic() >= self._look_for_orphans_at:
                self._adopt_orphans()
                self._look_for_orphans_at = time.monotonic() + ORPHANS_EVERY_S
            self._hear_next()
        for outlet in self._outlets.values():
            outlet.stop()
        until = time.monotonic() + CLOSE_S
        for outlet in self._outlets.values():
            outlet.stop(max(0.0, until - time.monotonic()))

    # -- what the kernel says -----------------------------------------------------------------------------------

    def _hear_next(self) -> None:
        with contextlib.suppress(queue.Empty):
            said = self._inbox.get(timeout=LOOK_EVERY_S)
            if said is None:
                self._kernel_is_gone()
                return
            self._follow_settings()
            if "env" in said:
                self._take_environment(said["env"])
            if "flush" in said:
                self._flush(said["flush"])
            if "test" in said:
                self._test(said["test"], said["id"])

    def _take_environment(self, changed: dict[str, str | None]) -> None:
        companion.change_variables(changed)
        for outlet in self._outlets.values():
            if outlet.sender.standing.refused:
                outlet.hurry()

    def _flush(self, name: str | None) -> None:
        for outlet in self._outlets.values():
            if name in (None, outlet.settings.name):
                outlet.hurry()

    def _test(self, name: str, number: int) -> None:
        outlet = self._outlets.get(name)
        if outlet is None:
            self._tell({"id": number, "answer": "Misconfigured", "reason": f"there is no handler {name!r}."})
            return

        def reply(answer: Answer) -> None:
            reason = getattr(answer, "reason", None)
            self._tell({"id": number, "answer": type(answer).__name__, "reason": reason})

        outlet.test(reply)

    # -- which handlers there are -------------------------------------------------------------------------------

    def _follow_settings(self) -> None:
        try:
            found = kept.settings_file(self.path.parent).stat()
            stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            stamp = (0, 0)
        if stamp == self._read_at:
            return
        self._read_at = stamp
        try:
            wanted = kept.read(self.path.parent)
        except OptionError as error:
            self._say(f"exports stay as they were: {error}")
            return
        for name, outlet in list(self._outlets.items()):
            if wanted.get(name) != outlet.settings:
                outlet.stop()
                del self._outlets[name]
        for name, settings in wanted.items():
            if name not in self._outlets:
                self._outlets[name] = self._started(settings)
                self._look_for_orphans_at = 0.0

    def _started(self, settings: HandlerSettings) -> Outlet:
        make = functools.partial(load, settings.type)
        outlet = Outlet(Sender(settings, make, resource_of(self.path), self._say), self.path)
        outlet.start()
        return outlet

    def _say(self, text: str) -> None:
        self._tell({"say": text})

    # -- journals that nobody owns ------------------------------------------------------------------------------

    def _adopt_orphans(self) -> None:
        for path in orphans(self.path.parent):
            if path == self.path:
                continue
            for outlet in self._outlets.values():
                mark = (outlet.settings.key, path)
                if mark in self._adopted or outlet.settings.paused:
                    continue
                try:
                    if has_more(path, outlet.settings):
                        close_interrupted(path)
                        outlet.adopt(path)
                    self._adopted.add(mark)
                except LeaseTakenError:
                    continue  # somebody closes it at this moment
                except (JournalError, OSError) as error:
                    _log.warning("%s: %s", path.name, error)
                    self._adopted.add(mark)

    # -- how it goes --------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Name handlers that do not come back from a call: the others go on."""
        hanging = {name for name, outlet in self._outlets.items() if outlet.hangs_for_s()}
        if hanging == self._hanging:
            return
        for name in hanging - self._hanging:
            self._say(f"export {name}: the handler has not come back for 30 s. The other handlers go on.")
        self._hanging = hanging
        self._write_hanging()

    def _write_hanging(self) -> None:
        with contextlib.suppress(OSError):
            notes = {"pid": os.getpid(), "hanging": sorted(self._hanging)}
            kept.write_private(hanging_file(self.path), notes)

    # -- the end ------------------------------------------------------------------------------------------------

    def _kernel_is_gone(self) -> None:
        self._gone_at = time.monotonic()
        companion.close_if_orphan(self.path)
        self._adopt_orphans()  # not least those of processes that the kernel forked
        for outlet in self._outlets.values():
            outlet.ask()

    def _is_over(self) -> bool:
        if self._gone_at is None:
            return False
        return all(self._is_finished(outlet) for outlet in self._outlets.values())

    def _is_finished(self, outlet: Outlet) -> bool:
        standing = outlet.sender.standing
        if outlet.is_done() or standing.refused or outlet.hangs_for_s():
            return True
        last_ns = standing.success_ns
        silent_s = time.monotonic() - (self._gone_at or 0.0)
        if last_ns is not None:
            silent_s = min(silent_s, (time.time_ns() - last_ns) / 1e9)
        return silent_s > GIVE_UP_S


def hanging_file(journal: Path) -> Path:
    """Return the file beside a journal in which its process names handlers that hang."""
    return journal.with_suffix(".exports.json")


def has_more(path: Path, settings: HandlerSettings) -> bool:
    """Tell whether a journal may hold something that a handler has not got.

    Raises
    ------
    JournalError
        If it cannot be read.
    """
    with contextlib.closing(JournalReader(path)) as reader:
        last = reader.last_seq()
    try:
        state = json.loads(path.with_suffix(f".{follower_name(settings.name)}.json").read_text("utf-8"))["state"]
        if state["key"] == settings.key:
            return bool(state["position"] < last or state["waiting"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return settings.backlog != "new" or last > settings.seen.get(path.name, 0)


def main(arguments: Sequence[str]) -> int:
    """Run the exporting process for one journal."""
    companion.begin(NICE)
    prices.begin()
    Worker(Path(arguments[0]), companion.teller()).run()
    os._exit(0)  # a handler that hangs must not keep the process
