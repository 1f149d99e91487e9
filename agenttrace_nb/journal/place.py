"""Where journals live, and who owns which: folder, file names, leases.

A journal is one SQLite file per process. Beside ``NAME.journal`` lie ``NAME.lock`` (held while its process lives),
``NAME.tail`` (what is about to be written to it, see `agenttrace_nb.journal.tail`) and one small state file per
follower.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import tempfile
import time
import uuid
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from agenttrace_nb.config import OptionError, current

SUFFIX = ".journal"
_NETWORK_FILE_SYSTEMS = frozenset(
    ["nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs",
     "glusterfs", "ocfs2", "orangefs", "pvfs2", "davfs", "webdav", "ncpfs"]
)  # fmt: skip
# Most file systems in user space are remote ones (sshfs, s3fs, rclone ...); these are not.
_LOCAL_IN_USER_SPACE = frozenset(["fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.ntfs-3g", "fuse.bindfs", "fuse.encfs"])
_OCTAL = re.compile(r"\\([0-7]{3})")


class JournalError(Exception):
    """A journal cannot be used; the message says why and what to do."""


class LeaseTakenError(JournalError):
    """Somebody else holds the lease."""


def journal_folder() -> Path:
    """Return the folder for this user's journals, made if need be, readable by this user only.

    The option ``state_dir`` (``AGENTTRACE_STATE_DIR``) chooses it; the default is the state directory of the platform.
    SQLite's shared memory does not work on a network file system, so that a home directory on one leads to a local
    folder instead.

    Examples
    --------
    >>> journal_folder().is_dir()
    True
    """
    chosen = _chosen()
    if chosen is not None:
        folder = chosen.expanduser().absolute() / "journals"
    else:
        from platformdirs import user_state_path

        folder = user_state_path("agenttrace_nb") / "journals"
        if is_network_path(folder):
            folder = _local_folder()
    return _made(folder)


def _chosen() -> Path | None:
    with suppress(OptionError):  # which is told where a run begins; it may be about another option
        return current().state_dir
    named = os.environ.get("AGENTTRACE_STATE_DIR")
    return Path(named) if named else None


def fallback_folder() -> Path:
    """Return a folder for journals on this machine's temporary disk, made if need be.

    Raises
    ------
    JournalError
        If somebody else has made it.
    """
    folder = _local_folder()
    for each in (folder.parent, folder):
        # Anybody may write to the temporary disk: a link there may have been laid by somebody else.
        if each.is_symlink():
            msg = f"{each} is a link and is not followed; set AGENTTRACE_STATE_DIR to a folder of your own"
            raise JournalError(msg)
        _made(each)
    return folder


def _local_folder() -> Path:
    owner = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"agenttrace_nb-{owner}" / "journals"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid"):
        found = folder.stat()
        if found.st_uid != os.getuid():
            msg = f"{folder} belongs to somebody else; set AGENTTRACE_STATE_DIR to a folder of your own"
            raise JournalError(msg)
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    return folder


def open_private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, for `open` as ``opener``."""
    return os.open(path, flags, 0o600)


def is_network_path(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Tell whether a path lies on a network file system (known on Linux; ``False`` where it cannot be told)."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    target, best, kind = os.path.realpath(path), "", ""
    for line in lines:
        parts = line.split()
        if len(parts) < 3:  # noqa: PLR2004 - device, mount point, type
            continue
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), parts[1])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, parts[2]
    return kind in _NETWORK_FILE_SYSTEMS or (kind.startswith("fuse.") and kind not in _LOCAL_IN_USER_SPACE)


def new_path(folder: Path) -> Path:
    """Return an unused file name for this process's journal; names sort by time."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return folder / f"{stamp}-{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}"


_TAKEN = frozenset([errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK])


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
    JournalError
        If the file system knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = open(path, "ab", opener=open_private)  # noqa: SIM115 - Path has no opener
        try:
            _lock(self._file)
        except OSError as error:
            self.release()
            if error.errno in _TAKEN:
                msg = f"{path.name} is held by another process; let that process finish, or end it, then try again"
                raise LeaseTakenError(msg) from error
            msg = f"files cannot be locked in {path.parent} ({error}); set AGENTTRACE_STATE_DIR to a local folder"
            raise JournalError(msg) from error
        _held.add(self)

    def release(self) -> None:
        """Give the lease up."""
        if self._file is not None:
            self._file.close()
            self._file = None


_held: weakref.WeakSet[Lease] = weakref.WeakSet()


def _after_fork() -> None:
    # A lease belongs to the process that took it, and ends with it, not with a child that lives on.
    for lease in list(_held):
        lease.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
    """Return the journals whose process has ended, oldest first.

    Parameters
    ----------
    folder
        Where to look; by default in the journal folder. On the temporary disk it is looked too if the journal folder
        cannot be used, or was not chosen by ``AGENTTRACE_STATE_DIR``.
    """
    found: list[Path] = []
    for place in [folder] if folder is not None else _places():
        for path in place.glob(f"*{SUFFIX}"):
            with suppress(LeaseTakenError, JournalError, OSError):
                Lease(owner_lock(path)).release()
                found.append(path)
    return sorted(found, key=lambda path: path.name)


def _places() -> list[Path]:
    places = []
    with suppress(JournalError, OSError):
        places.append(journal_folder())
    local = _local_folder()
    if local not in places and local.is_dir() and not (places and _chosen()):
        places.append(local)
    return places
