"""Processes of ours beside the kernel that work on its journal: how they are started, and how they see it end."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import site
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agenttrace_nb.journal.place import JournalError, LeaseTakenError
from agenttrace_nb.journal.recover import close_interrupted

_TRIES = 20
_PAUSE_S = 0.1
_log = logging.getLogger("agenttrace_nb.journal")


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


def tell_where_on_signal() -> None:
    """Have ``kill -USR1 PID`` write to this process's log what each of its threads is doing."""
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1)


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
