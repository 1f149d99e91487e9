"""A log and a journal for one test; MLflow databases as the tests of the writer use them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log
from mlflow_store.conftest import client, cwd, empty_database, shared_server, stores, told, uri

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.place import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog

__all__ = ["client", "cwd", "empty_database", "shared_server", "stores", "told", "uri"]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    folder = tmp_path / "journals"
    folder.mkdir()
    made = Journal(folder / f"20260101T000000-{os.getpid()}-test{SUFFIX}")
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    made = new_log(tmp_path)
    yield made
    made.close()
