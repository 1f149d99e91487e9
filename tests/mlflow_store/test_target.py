"""Where a run goes: MLflow's own rules, without importing MLflow."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import mlflow
import pytest

from agenttrace_nb.mlflow_store import target

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", None)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("folder", ["plain", "with space", "per%cent"])
def test_the_default_is_mlflows_own(tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cwd = tmp_path / folder
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    assert target.tracking_uri(cwd) == mlflow.get_tracking_uri()


def test_an_option_comes_before_mlflow_and_mlflow_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment")
    assert target.tracking_uri("/projects") == "http://environment"
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", "http://set")
    assert target.tracking_uri("/projects") == "http://set"
    assert target.tracking_uri("/projects", "http://option") == "http://option"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("sqlite:///runs.db", "sqlite:////projects/runs.db"),
        ("sqlite:////data/runs.db", "sqlite:////data/runs.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("databricks", "databricks"),
    ],
)
def test_a_relative_database_is_found_from_any_folder(given: str, found: str) -> None:
    assert target.tracking_uri("/projects", given) == found


def test_the_experiment_is_the_option_the_active_one_or_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert target.experiment() is None
    assert target.experiment(None, "work/flights.ipynb") == "flights"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    assert target.experiment(None, "work/flights.ipynb") == "id:7"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "active")
    assert target.experiment(None, "work/flights.ipynb") == "active"
    assert target.experiment("option", "work/flights.ipynb") == "option"


@pytest.mark.parametrize("uri", ["http://x", "https://x", "sqlite:////x.db", "postgresql+psycopg2://x", "mysql://x"])
def test_servers_and_databases_are_taken(uri: str) -> None:
    assert target.refusal(uri) is None


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "./mlruns", "file:///x", "C:\\runs", "s3://x"])
def test_everything_else_is_refused_with_the_next_step(uri: str) -> None:
    reason = target.refusal(uri)
    assert reason is not None
    assert uri in reason
    assert "MLFLOW_TRACKING_URI" in reason


def test_the_kernel_side_imports_neither_mlflow_nor_the_sdk() -> None:
    code = (
        "import sys\n"
        "from agenttrace_nb.mlflow_store import delivery, target\n"
        "target.tracking_uri('/work'); target.experiment()\n"
        "print(sorted({'mlflow', 'agents', 'pandas', 'sqlalchemy'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
