"""A folder for each test's program, with an MLflow database that is there already: making one takes seconds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import mlflow
import pytest
from end_to_end.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without anything in it."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").get_experiment("0")
    return path


@pytest.fixture(autouse=True, scope="module")
def mlflows_own_tracking_uri() -> Iterator[None]:
    """Give MLflow's functions back the tracking URI that they had."""
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture
def program(tmp_path: Path, empty_database: Path) -> Iterator[Program]:
    """A user's program in a folder with a database."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    made = Program(tmp_path)
    yield made
    made.clean_up()
