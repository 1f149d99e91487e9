"""The process that seals, and the kernel's handle of it.

Sealing is a process of its own: the keys are not in the kernel's memory, the kernel does not wait, and what was
recorded is sealed also when the kernel has died.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.place import AuditError, audit_folder
from agenttrace_nb.journal import companion
from agenttrace_nb.journal.companion import close_if_orphan
from agenttrace_nb.journal.follow import FollowerBusyError
from agenttrace_nb.journal.place import LeaseTakenError, orphans
from agenttrace_nb.journal.recover import close_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.audit.sealer import SealedRun

POLL_S = 0.2
"""How often the journal is looked at while nobody says that something is new, as is said when a run begins or ends."""
PUBLISH_EVERY_S = 60.0
"""How often what was sealed is committed to the log's repository, and pushed where a remote was named."""
RETRY_S = 5.0
"""How long a log that cannot be written is left alone before it is tried again."""
HEARTBEAT_S = 3600.0
"""How often the log is told that the process is alive: without an entry of its own, silence would not be seen."""
NICE = 5
_log = logging.getLogger("agenttrace_nb.audit")


class Sealing:
    """The kernel's handle of the process that seals a journal; made by `sealing_of`.

    Parameters
    ----------
    journal_path
        The journal.
    say
        Takes lines for the user: where a run was sealed, with the key of that run, and what goes wrong.
    """

    def __init__(self, journal_path: Path, say: Callable[[str, str | None], None]) -> None:
        self._companion = companion.Companion(
            "agenttrace_nb.audit",
            journal_path,
            log=".audit.log",
            does="seals the audit log",
            afterwards="What is traced is kept in the journal and waits; `agenttrace-nb recover` seals it.",
            hear=lambda message: say(message["say"], message.get("run")),
            say=lambda text: say(text, None),
            arguments=lambda: (str(audit_folder()),),
        )

    def start(self) -> None:
        """Begin to seal; returns at once. Safe to call again: tells the process that something is new."""
        self._companion.start()

    def close(self) -> None:
        """Want no more of the process: it seals what there is, and ends."""
        self._companion.close()


_sealings: dict[Path, Sealing] = {}


def sealing_of(journal_path: Path, say: Callable[[str, str | None], None]) -> Sealing:
    """Return the sealing of a journal of this process."""
    if journal_path not in _sealings:
        _sealings[journal_path] = Sealing(journal_path, say)
    return _sealings[journal_path]


# ----------------------------------------------------------------------------------------------------- in the process


class _Process:
    def __init__(self, path: Path, folder: Path, say: Callable[..., None]) -> None:
        self.path = path
        self._folder = folder
        self._say = say
        self._said: set[str] = set()
        self._unpublished = False
        self._published_at = time.monotonic()
        self._gone = threading.Event()
        self._news = threading.Event()
        self._beat_at = -HEARTBEAT_S

    def run(self) -> None:
        """Seal until the kernel is gone and its journal is sealed; then the journals that nobody owns."""
        companion.listen(self._hear)
        log = self._opened()
        if log is None:
            return
        with contextlib.closing(log):
            with contextlib.suppress(FollowerBusyError):
                self._follow(log)
            if seal_orphans(log, self._say, self.path.parent):
                self._unpublished = True
        self._publish()

    def _opened(self) -> AuditLog | None:
        """Return the log; ``None`` if it could not be opened before the kernel was gone."""
        from agenttrace_nb.audit.log import AuditLog

        while True:
            try:
                return AuditLog(self._folder)
            except AuditError as error:
                self._tell_once(f"Nothing is sealed, and nothing goes on to MLflow: {error}")
            if self._gone.wait(RETRY_S):
                return None

    def _follow(self, log: AuditLog) -> None:
        from agenttrace_nb.audit.sealer import Sealer

        sealer = Sealer(self.path, log, self._tell)
        with contextlib.closing(sealer), self._alive(log):
            while not (self._gone.is_set() and sealer.is_at_end()):
                if not self._step(sealer):
                    self._gone.wait(RETRY_S)
                elif sealer.is_at_end():
                    if time.monotonic() - self._published_at > PUBLISH_EVERY_S:
                        self._publish()
                    self._news.wait(POLL_S)
                    self._news.clear()
                self._beat(log)
            close_if_orphan(self.path)
            while self._step(sealer) and not sealer.is_at_end():
                pass

    @contextlib.contextmanager
    def _alive(self, log: AuditLog) -> Iterator[None]:
        """Have the log told that this process begins to seal, is alive, and has sealed everything."""
        self._beat_at = -HEARTBEAT_S
        yield
        if self._beat_at >= 0:
            with contextlib.suppress(Exception):  # then it is seen to have ended without a word
                beat(log, self.path.name, ends=True)

    def _beat(self, log: AuditLog) -> None:
        if time.monotonic() - self._beat_at < HEARTBEAT_S:
            return
        try:
            beat(log, self.path.name)
        except Exception:  # noqa: BLE001 - a full disk is told where sealing fails
            _log.warning("sign of life", exc_info=True)
        self._beat_at = time.monotonic()
        self._unpublished = True

    def _step(self, sealer: Any) -> bool:
        try:
            sealer.step()
        except Exception as error:  # noqa: BLE001 - a full disk, a key that was moved: tried again
            _log.warning("sealing", exc_info=True)
            self._tell_once(f"The audit log cannot be written ({error}). Traces wait for it, and are tried again.")
            return False
        return True

    def _publish(self) -> None:
        from agenttrace_nb.audit.log import read_settings
        from agenttrace_nb.audit.repository import publish

        self._published_at = time.monotonic()
        if not self._unpublished:
            return
        try:
            publish(remote=read_settings(self._folder).get("remote"), folder=self._folder)
            self._unpublished = False
        except Exception as error:  # noqa: BLE001 - a remote that is away: tried again, with all that is new
            _log.warning("publishing", exc_info=True)
            self._tell_once(f"The audit log was not committed or pushed ({error}). It is tried again.")

    def _tell(self, sealed: SealedRun) -> None:
        from agenttrace_nb.audit.note import Note

        self._unpublished = True
        origin, size, root = Note.parse(sealed.receipt.checkpoint).text.split("\n")[:3]
        self._say(f"audit: entry {sealed.receipt.index}, checkpoint {origin} {size} {root}", sealed.run_key)

    def _tell_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def _hear(self, said: dict[str, Any] | None) -> None:
        if said is None:
            self._gone.set()
        self._news.set()


def beat(log: AuditLog, journal: str, *, ends: bool = False) -> None:
    """Write a sign of life of what seals a journal; the last one says that everything is sealed."""
    from agenttrace_nb.audit.log import Draft
    from agenttrace_nb.audit.vault import Source

    with log.writing() as pen:
        facts = {"journal": journal, "everyS": HEARTBEAT_S, "ends": ends}
        source = Source(journal, "heartbeat", "", pen.size)
        pen.append(Draft(kind="heartbeat", subject=f"journal:{journal}", facts=facts, source=source))


def _end_of_orphan(log: AuditLog, journal: str) -> None:
    """Say that what seals a journal has ended, where it was killed before it could say so itself."""
    beats = log.vault.db.execute(
        "SELECT i FROM source WHERE journal = ? AND kind = 'heartbeat' ORDER BY i DESC LIMIT 1", (journal,)
    ).fetchall()
    if beats and not log.statement(beats[0][0]).predicate["ends"]:
        beat(log, journal, ends=True)


def seal_orphans(log: AuditLog, say: Callable[[str], None], folder: Path | None = None) -> int:
    """Seal the journals whose process has ended, and return how many could be sealed to their end."""
    from agenttrace_nb.audit.sealer import seal_journal

    done = 0
    for path in orphans(folder):
        try:
            close_interrupted(path)
            seal_journal(path, log)
            _end_of_orphan(log, path.name)
            done += 1
        except (FollowerBusyError, LeaseTakenError):
            continue
        except Exception as error:  # noqa: BLE001 - one that cannot be read must not keep the others
            _log.warning("%s", path, exc_info=True)
            say(f"{path.name} was not sealed: {error}")
    return done


def main(arguments: Sequence[str]) -> int:
    """Run the sealing process for one journal."""
    companion.begin(NICE)

    tell = companion.teller()

    def say(text: str, run_key: str | None = None) -> None:
        tell({"say": text, "run": run_key})

    _Process(Path(arguments[0]), Path(arguments[1]), say).run()
    return 0
