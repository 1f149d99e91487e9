"""Which handlers a user has added, and how: one small file beside the journals, for this kernel and all later ones.

It holds no secrets, only references to them, and is readable by its owner only.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.export.handler import Content
from agenttrace_nb.journal.place import SUFFIX, JournalError, Lease, LeaseTakenError, journal_folder, open_private
from agenttrace_nb.journal.read import JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FILE = "handlers.json"
MAX_AGE_S = 7 * 86_400.0
"""How long something may wait for a target; journals are kept twice as long."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, None: 1}
_LOCK_S = 10.0

Backlog = Literal["all", "new"] | float


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerSettings:
    """One handler as it was added.

    Attributes
    ----------
    name
        What the user calls it.
    type
        What it is: a built-in name, or that of a plugin.
    options
        Its options as given; secrets are references.
    content
        How much it is sent.
    backlog
        What it gets of that which was recorded before it was added: ``all``, ``new`` (nothing), or what was recorded
        at most so many seconds before.
    max_age_s
        How long something may wait for the target before it is dropped; what failed may wait twice as long.
    paused
        Whether nothing is sent for now.
    key
        Differs each time that a handler is added, also under the same name.
    added_ns
        When it was added, nanoseconds since the epoch.
    seen
        The journals there were then, by name, with the position of their last event: what is behind is new. By
        position and not by time, since clocks are put back.
    signals
        What it is sent: steps, runs or both.
    resumed
        How often it was told to go on: each time it begins anew, also where its target had refused.
    """

    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    content: Content = Content.METADATA
    backlog: Backlog = "new"
    max_age_s: float = MAX_AGE_S
    paused: bool = False
    key: str = ""
    added_ns: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)
    signals: tuple[str, ...] = ("span", "run", "alert")
    resumed: int = 0

    def wants(self, journal: str, seq: int, time_ns: int) -> bool:
        """Tell whether something recorded at a position of a journal is for this handler."""
        if self.backlog == "all" or seq > self.seen.get(journal, 0):
            return True
        return self.backlog != "new" and time_ns >= self.added_ns - self.backlog * 1e9


# ----------------------------------------------------------------------------------------------- what a value may be


def check_name(value: Any) -> str:
    """Return a handler's name.

    Raises
    ------
    OptionError
        If it is not one that a file can have on every system.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        msg = (
            f"name={value!r} is not allowed; it must be 1 to 40 of a-z, 0-9, - and _, and begin with a letter or digit"
        )
        raise OptionError(msg)
    return value


def check_content(value: Any) -> Content:
    """Return a level of content.

    Examples
    --------
    >>> check_content("full").value
    'full'
    """
    levels = [level.value for level in Content]
    word = str(value).strip().lower()
    if word not in levels:
        msg = f"content={value!r} is not allowed; it must be {', '.join(levels[:-1])} or {levels[-1]}."
        raise OptionError(msg + did_you_mean(word, levels))
    return Content(word)


def check_backlog(value: Any) -> Backlog:
    """Return what a handler gets of that which was recorded before.

    Examples
    --------
    >>> check_backlog("2h")
    7200.0
    """
    if value in ("all", "new"):
        return "all" if value == "all" else "new"
    try:
        return _seconds(value)
    except ValueError:
        msg = f"backlog={value!r} is not allowed; it must be new, all, or a time such as 90s, 30m, 2h or 7d"
        raise OptionError(msg + "." + did_you_mean(str(value), ("new", "all"))) from None


def check_max_age(value: Any) -> float:
    """Return how long something may wait, in seconds.

    Examples
    --------
    >>> check_max_age("1d")
    86400.0
    """
    try:
        seconds = _seconds(value)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        msg = f"max_age={value!r} is not allowed; it must be a time such as 90s, 30m, 2h or 7d"
        raise OptionError(msg)
    return seconds


def _seconds(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 <= value < float("inf"):
        return float(value)
    match = _DURATION.fullmatch(str(value).strip().lower())
    if match is None:
        raise ValueError
    return float(match[1]) * _UNIT_S[match[2]]


# ---------------------------------------------------------------------------------------------------------- the file


def settings_file(folder: Path | None = None) -> Path:
    """Return the file that holds them, whether it exists or not."""
    return folder_of_handlers(folder) / FILE


def folder_of_handlers(folder: Path | None = None) -> Path:
    """Return the folder that holds the file: that of the journals.

    Raises
    ------
    OptionError
        If it cannot be used; the message says what to do.
    """
    try:
        return folder or journal_folder()
    except OSError as error:
        raise OptionError(_UNUSABLE.format(error)) from None


_UNUSABLE = "handlers cannot be kept: {}; free some space there, or set AGENTTRACE_STATE_DIR to another local folder"


def read(folder: Path | None = None) -> dict[str, HandlerSettings]:
    """Return the handlers that were added, by name.

    Raises
    ------
    OptionError
        If the file was damaged; the message says what to do.
    """
    path = settings_file(folder)
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {name: _restored(name, entry) for name, entry in kept["handlers"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path} cannot be read ({error}); remove it and add the handlers again"
        raise OptionError(msg) from None


def _restored(name: str, entry: dict[str, Any]) -> HandlerSettings:
    typed = {"content": Content(entry["content"]), "signals": tuple(entry["signals"])}
    return HandlerSettings(**{**entry, **typed, "name": check_name(name)})


def add(settings: HandlerSettings, folder: Path | None = None) -> HandlerSettings:
    """Keep a handler; return it with what is known of the moment.

    Raises
    ------
    OptionError
        If there is one of that name.
    """
    folder = folder_of_handlers(folder)
    settings = replace(settings, key=uuid.uuid4().hex, added_ns=time.time_ns(), seen=last_seqs(folder))
    with _changing(folder) as handlers:
        if settings.name in handlers:
            msg = (
                f"there is a handler {settings.name!r} already; remove it first "
                f"(%trace_export remove {settings.name}), or give this one another name (--name)"
            )
            raise OptionError(msg)
        handlers[settings.name] = settings
    return settings


def remove(name: str, folder: Path | None = None) -> HandlerSettings:
    """Forget a handler.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    with _changing(folder_of_handlers(folder)) as handlers:
        return handlers.pop(known_name(name, handlers))


def pause(name: str, *, paused: bool, folder: Path | None = None) -> None:
    """Send nothing for now, or go on.

    Raises
    ------
    OptionError
        If there is no handler of that name.
    """
    with _changing(folder_of_handlers(folder)) as handlers:
        kept = handlers[known_name(name, handlers)]
        handlers[name] = replace(kept, paused=paused, resumed=kept.resumed + (not paused))


def known_name(name: str, handlers: Mapping[str, Any]) -> str:
    """Return the name if there is a handler of it.

    Raises
    ------
    OptionError
        If there is none; the message says which there are.
    """
    if name not in handlers:
        there = f"there are {', '.join(handlers)}" if handlers else "none was added yet: %trace_export add"
        msg = f"there is no handler {name!r}; {there}.{did_you_mean(str(name), handlers)}"
        raise OptionError(msg)
    return name


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[dict[str, HandlerSettings]]:
    try:
        lease = _waited_for(lambda: Lease((folder / FILE).with_suffix(".lock")))
    except OSError as error:
        raise OptionError(_UNUSABLE.format(error)) from None
    try:
        handlers = read(folder)
        yield handlers
        entries = {name: {k: v for k, v in asdict(of).items() if k != "name"} for name, of in handlers.items()}
        write_private(folder / FILE, {"version": 1, "handlers": entries})
    except OSError as error:
        raise OptionError(_UNUSABLE.format(error)) from None
    finally:
        lease.release()


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace a file by JSON that only its owner may read; whoever reads it sees the old one or the new one."""
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        with open(new, "w", encoding="utf-8", opener=open_private) as file:
            file.write(json.dumps(content, indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _waited_for(take: Callable[[], Lease]) -> Lease:
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            return take()
        except LeaseTakenError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def last_seqs(folder: Path) -> dict[str, int]:
    """Return the position of the last event of every journal in a folder, by name."""
    found: dict[str, int] = {}
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(JournalError), contextlib.closing(JournalReader(path)) as reader:
            found[path.name] = reader.last_seq()
    return found
