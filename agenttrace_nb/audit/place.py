"""Where the audit log of this user lies, and how its files are kept to their owner.

- ``<state>/audit/log.db``, the vault: entries, checkpoints, encrypted content
- ``<state>/audit/repository.git``: checkpoints and tiles under version control; no content, no keys
- ``<state>/audit/settings.json``: what was chosen at the beginning
- ``<keys>/<id of the log>/``: keys, apart from the rest: a copy of the vault without them shows no content
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agenttrace_nb.config import current
from agenttrace_nb.journal.place import journal_folder

KEYS_VARIABLE = "AGENTTRACE_AUDIT_KEYS"


class AuditError(Exception):
    """The audit log cannot do this; the message says why and what to do."""


def check_given(name: str, value: str) -> None:
    """Refuse an empty text where somebody must say something, such as a reason.

    Raises
    ------
    AuditError
        If it is empty.
    """
    if not str(value).strip():
        msg = f"{name}={value!r} is not allowed; it must be a text that is not empty"
        raise AuditError(msg)


def audit_folder() -> Path:
    """Return the folder of this user's audit log; it may not exist yet."""
    return journal_folder().parent / "audit"


def keys_folder(log_id: str) -> Path:
    """Return the folder for the keys of a log; it may not exist yet.

    The environment variable ``AGENTTRACE_AUDIT_KEYS`` chooses it; else it lies in the folder that the option
    ``state_dir`` names, else in the user's folder for configuration.
    """
    if named := os.environ.get(KEYS_VARIABLE):
        return Path(named).expanduser().absolute() / log_id
    if (chosen := current().state_dir) is not None:
        return chosen / "audit-keys" / log_id
    from platformdirs import user_config_path

    return user_config_path("agenttrace_nb") / "keys" / log_id


def made_private(folder: Path) -> Path:
    """Make a folder that only its owner may enter.

    Raises
    ------
    AuditError
        If it is a link, or somebody else's.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.is_symlink():
        msg = f"{folder} is a link and is not followed; move it away"
        raise AuditError(msg)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        msg = f"{folder} belongs to somebody else; choose another folder"
        raise AuditError(msg)
    folder.chmod(0o700)
    return folder


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, for its owner alone, safely on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """Return the bytes of a file that holds a secret.

    Raises
    ------
    AuditError
        If it is missing, a link, somebody else's, or others may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        why = "it is a link" if path.is_symlink() else error.strerror
        msg = f"the key {path} cannot be read ({why})"
        raise AuditError(msg) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if os.name == "posix":
            if found.st_uid != os.getuid():
                msg = f"the key {path} belongs to somebody else, and is not used"
                raise AuditError(msg)
            if stat.S_IMODE(found.st_mode) & 0o077:
                msg = f"others may read the key {path}; it is not used. If nobody did: chmod 600 {path}"
                raise AuditError(msg)
        return file.read()


def destroy(path: Path) -> None:
    """Overwrite and remove a file. On flash disks and in backups older copies may remain: nothing here reaches them."""
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return
