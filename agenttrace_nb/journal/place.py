"""Where journals live, and who owns which: folder, file names, leases.

A journal is one SQLite file per process. Beside ``NAME.journal`` lie ``NAME.lock`` (held while its process lives) and
one small state file per follower.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import IO

SUFFIX = ".journal"
_NETWORK_FILE_SYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
    ]
)


class JournalError(Exception):
    """A journal cannot be used; the message says why and what to do."""


class LeaseTakenError(JournalError):
    """Somebody else holds the lease."""


def journal_folder() -> Path:
    """Return the folder for this user's journals, made if need be, readable by this user only.

    ``AGENTTRACE_STATE_DIR`` chooses it; the default is the state directory of the platform. SQLite's shared memory
    does not work on a network file system, so that a home directory on one leads to a local folder instead.

    Examples
    --------
    >>> journal_folder().is_dir()
    True
    """
    chosen = os.environ.get("AGENTTRACE_STATE_DIR")
    if chosen:
        folder = Path(chosen).expanduser() / "journals"
    else:
        from platformdirs import user_state_path

        folder = user_state_path("agenttrace_nb") / "journals"
        if is_network_path(folder):
            folder = _local_folder()
    return _made(folder)


def fallback_folder() -> Path:
    """Return a folder for journals on this machine's temporary disk."""
    return _made(_local_folder())


def _local_folder() -> Path:
    owner = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"agenttrace_nb-{owner}" / "journals"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        msg = f"{folder} belongs to somebody else; set AGENTTRACE_STATE_DIR to a folder of your own"
        raise JournalError(msg)
    return folder


def is_network_path(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Tell whether a path lies on a network file system (known on Linux; ``False`` where it cannot be told)."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    target, best, kind = str(path.absolute()), "", ""
    for line in lines:
        parts = line.split()
        if len(parts) < 3:  # noqa: PLR2004 - device, mount point, type
            continue
        point = parts[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, parts[2]
    return kind in _NETWORK_FILE_SYSTEMS


def new_path(folder: Path) -> Path:
    """Return an unused file name for this process's journal; names sort by time."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return folder / f"{stamp}-{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}"


class Lease:
    """An exclusive lock on a file beside a journal, given up when its process ends, however it ends.

    Parameters
    ----------
    path
        The lock file.

    Raises
    ------
    LeaseTakenError
        If another process, or another part of this one, holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = path.open("ab")
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            self._file = None
            msg = f"{path.name} is held by another process; let that process finish, or end it, then try again"
            raise LeaseTakenError(msg) from error

    def release(self) -> None:
        """Give the lease up."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def owner_lock(journal: Path) -> Path:
    """Return the lock file that the owning process of a journal holds."""
    return journal.with_suffix(".lock")


def orphans(folder: Path | None = None) -> list[Path]:
    """Return the journals whose process has ended, oldest first."""
    found = []
    for path in sorted((folder or journal_folder()).glob(f"*{SUFFIX}")):
        try:
            Lease(owner_lock(path)).release()
        except LeaseTakenError:
            continue
        found.append(path)
    return found
