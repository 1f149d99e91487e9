"""A new SQLite database for MLflow appears whole, or not at all.

MLflow fills an empty database in place, table by table, for seconds and without a lock. Two processes that do so at
the same time leave a file that nobody can open any more, and here there are two: the user's, whose cell may call MLflow
itself, and the one that writes. So this side makes the database under another name, gives it its own in one step, and
lets others finish who are making one in place.

The names of MLflow's that are used here are not documented; they are held by this module's tests, which make databases.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow.store.db import utils as _mlflow_db

QUIET_S = 30.0
"""A database that is not whole and that nobody has written to for so long was left so: MLflow says what to do."""
LONGEST_WAIT_S = 90.0
_LOOK_S = 0.1


def make_whole(uri: str) -> None:
    """See to it that the SQLite database at a tracking URI is there and nobody is still making it.

    Does nothing for other stores, and for a database that is whole.

    Parameters
    ----------
    uri
        The tracking URI.
    """
    path = _file_of(uri)
    if path is None or not path.parent.is_dir():
        return
    if not path.exists():
        _make(path)
    _let_others_finish(path)


def _file_of(uri: str) -> Path | None:
    if not uri.startswith("sqlite:"):
        return None
    place = sqlalchemy.make_url(uri).database
    return None if not place or place.startswith((":memory:", "file:")) else Path(place)


def _make(path: Path) -> None:
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        engine = _engine(new)
        # Hundreds of statements, each brought safely to a busy disk, take long: once will do, at the end.
        sqlalchemy.event.listen(engine, "connect", _write_carelessly)
        try:
            _private("_initialize_tables")(engine)
        finally:
            engine.dispose()
        _bring_to_disk(new)
        with contextlib.suppress(FileExistsError):  # somebody else was faster
            _give_name(new, path)
    finally:
        new.unlink(missing_ok=True)


def _write_carelessly(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")


def _bring_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _give_name(new: Path, path: Path) -> None:
    """Name a file, unless that name is taken."""
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from None
        new.rename(path)


def _let_others_finish(path: Path) -> None:
    until = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < until and not _is_whole(path):
        if _quiet_for_s(path) > QUIET_S:
            return
        time.sleep(_LOOK_S)


def _is_whole(path: Path) -> bool:
    engine = _engine(path)
    try:
        _private("_verify_schema")(engine)
        return True
    except Exception:
        return False
    finally:
        engine.dispose()


def _quiet_for_s(path: Path) -> float:
    touched = [0.0]
    for file in (path, path.with_name(path.name + "-journal")):
        with contextlib.suppress(OSError):
            touched.append(file.stat().st_mtime)
    return time.time() - max(touched)


def _engine(path: Path) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))


def _private(name: str) -> Any:
    return getattr(_mlflow_db, name)
