"""A password in a tracking URI is in no file, and reaches MLflow all the same."""

from __future__ import annotations

import pytest

from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.mlflow_store import stores

WHOLE = "postgresql://me:pa55word@127.0.0.1/mlflow"


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "AGENTTRACE_TRACKING_URI"])
def test_a_password_that_was_taken_out_is_put_back_from_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Redactor().clean_text(WHOLE)
    assert "pa55word" not in stored
    monkeypatch.setenv(name, WHOLE)
    assert stores._with_credentials(stored) == WHOLE


def test_another_servers_password_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:pa55word@127.0.0.2/mlflow")
    stored = Redactor().clean_text(WHOLE)
    assert stores._with_credentials(stored) == stored
