"""The kernel's handle of the process that exports. Nothing here waits, except where waiting is what was asked for."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import notices
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.registry import variables_in
from agenttrace_nb.journal import companion

if TYPE_CHECKING:
    from pathlib import Path

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
        self.companion = companion.Companion(
            "agenttrace_nb.export",
            journal_path,
            log=".export.log",
            does="exports",
            afterwards="The next run starts it again.",
            hear=self._hear,
            say=notices.say,
            variables=self._variables,
        )

    def start(self) -> None:
        """Begin to export; returns at once. Safe to call again: has variables that were set since passed on."""
        self.companion.start()

    def flush(self, name: str | None) -> None:
        """Have what there is sent at once; returns at once."""
        self.companion.tell({"flush": name})
        self.start()

    def test(self, name: str, timeout_s: float) -> Outcome | None:
        """Have one marked item sent, and return what came back; ``None`` if nothing did in this time."""
        self.start()
        answer = self.companion.ask({"test": name}, timeout_s)
        return None if answer is None else Outcome(answer["answer"], answer["reason"])

    def close(self) -> None:
        """Want no more of the process: it sends what there is, and ends. Waits only for one that is being started."""
        self.companion.close()

    def _variables(self) -> dict[str, str]:
        """Return what a token may be in: it is often put into the environment after the process has started."""
        named: set[str] = set()
        with contextlib.suppress(OptionError):
            for settings in kept.read(self.path.parent).values():
                named |= variables_in(settings.options.values())
        known = companion.variables()
        return {n: v for n, v in known.items() if n in named or n.upper().startswith(_ENVIRONMENT)}

    def _hear(self, message: dict[str, Any]) -> None:
        notices.say(message["say"])


_exportings: dict[Path, Exporting] = {}


def exporting_of(journal_path: Path) -> Exporting:
    """Return the exporting of a journal of this process."""
    return _exportings.setdefault(journal_path, Exporting(journal_path))
