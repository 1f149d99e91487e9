"""New databases: whole as soon as they are seen, whoever else makes one at the same time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import mlflow
import pytest
from mlflow.store.db.utils import _get_latest_schema_revision

from agenttrace_nb.mlflow_store import database
from agenttrace_nb.mlflow_store.store import Store
from agenttrace_nb.mlflow_store.target import tracking_uri

if TYPE_CHECKING:
    from pathlib import Path

IN_PLACE = """
import sqlite3, sys, time, mlflow
sqlite3.connect(sys.argv[1]).execute("CREATE TABLE begun (x)").connection.close()
print("begun", flush=True)
time.sleep(1)
mlflow.MlflowClient("sqlite:///" + sys.argv[1]).search_experiments()
"""


def revision(path: Path) -> str | None:
    try:
        with sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True) as db:
            return str(db.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return None


def test_a_new_database_is_whole_when_it_is_first_seen(tmp_path: Path) -> None:
    path = tmp_path / "a b%c.db"
    uri = tracking_uri(tmp_path, "sqlite:///" + quote("a b%c.db"))
    seen: list[str | None] = []

    def watch() -> None:
        while not path.exists():
            time.sleep(0.001)
        seen.append(revision(path))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    database.make_whole(uri)
    watcher.join(10)
    assert seen == [_get_latest_schema_revision()]
    assert [file.name for file in tmp_path.iterdir()] == ["a b%c.db"]
    client = mlflow.MlflowClient(uri)
    assert client.get_experiment("0").name == "Default"


def test_a_database_that_somebody_else_is_making_is_left_to_them(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with subprocess.Popen([sys.executable, "-c", IN_PLACE, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        assert Store(f"sqlite:///{path}", str(tmp_path)).experiment_id(None) == "0"
        assert other.wait(30) == 0
    assert revision(path) == _get_latest_schema_revision()


def test_who_makes_a_database_meanwhile_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    make = database._private("_initialize_tables")

    def slowly(engine: object) -> None:
        monkeypatch.undo()
        make(engine)
        mlflow.MlflowClient(f"sqlite:///{path}").create_experiment("theirs")

    monkeypatch.setattr(database._mlflow_db, "_initialize_tables", slowly)
    database.make_whole(f"sqlite:///{path}")
    assert mlflow.MlflowClient(f"sqlite:///{path}").get_experiment_by_name("theirs") is not None
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_a_database_that_was_left_unfinished_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    sqlite3.connect(path).execute("CREATE TABLE begun (x)").connection.close()
    monkeypatch.setattr(database, "QUIET_S", 0.2)
    began = time.monotonic()
    database.make_whole(f"sqlite:///{path}")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:///:memory:", "sqlite://", "sqlite:////no/such/x.db"])
def test_other_stores_are_left_alone(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database.make_whole(uri)
    assert list(tmp_path.iterdir()) == []
