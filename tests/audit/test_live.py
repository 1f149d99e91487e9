"""MLflow's rows against the log: what was written is found sound, and every change of it is found or published."""

# ruff: noqa: S608 - statements are put together from names of MLflow's tables
from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from mlflow_store.journals import record_run
from mlflow_store.samples import booking

from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.live import BLIND_SQL
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.sealer import seal_journal
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.journal import sealing
from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog

# What MLflow fills by itself (see BLIND_SQL), as columns of its database
BLIND = {
    "trace_info": {
        "experiment_id", "client_request_id", "request_preview", "response_preview", "db_payload_generation",
        "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_input_tokens_above_1hr", "input_cost",
        "output_cost", "total_cost",
    },
    "spans": {"experiment_id", "model_provider", "input_cost", "output_cost"},
    "assessments": {
        "assessment_id", "last_updated_timestamp", "error", "overrides", "run_id", "source_type", "experiment_id",
        "trace_timestamp_ms", "aggregate_value", "is_numeric_value",
    },
    "trace_tags": set(),
    "trace_request_metadata": set(),
}  # fmt: skip


def test_what_was_written_is_what_was_sealed(sealed: AuditLog, uri: str) -> None:
    report = verify(folder=sealed.folder, live=uri)
    assert not report.findings
    assert report.checks["traces in MLflow compared with what was sealed, by SQL"] == 2
    assert any("model_provider" in what for what in report.not_seen)


def test_every_changed_column_of_mlflow_is_found_or_published(sealed: AuditLog, uri: str) -> None:
    path = uri.removeprefix("sqlite:///")
    found, missed = 0, []
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for table, blind in BLIND.items():
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for column in columns:
                rows = db.execute(f"SELECT rowid, {column}, * FROM {table} WHERE {TARGET[table]} LIMIT 1").fetchall()
                assert rows or table in EMPTY
                for rowid, value, *_ in rows:
                    new = value + 1 if isinstance(value, (int, float)) else f"{value or ''}x"
                    if column in ("value", "valid", "assessment_metadata"):
                        new = {"value": '"right amount"', "valid": 0, "assessment_metadata": "{}"}[column]
                    if column == "content":
                        new = value.replace("Sunny", "Rainy") if "Sunny" in value else value.replace("OK", "ERROR")
                    db.execute("PRAGMA foreign_keys=OFF")
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, rowid))
                    try:
                        caught = not verify(folder=sealed.folder, live=uri).ok
                    except Exception:  # MLflow itself cannot read it any more
                        caught = True
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, rowid))
                    found += caught
                    if not caught and column not in blind:
                        missed.append(f"{table}.{column}")
    print(f"{found} changed columns of MLflow found; published as not seen: {sum(map(len, BLIND.values()))}")
    assert not missed
    assert not verify(folder=sealed.folder, live=uri).findings


# This version of MLflow keeps in columns what earlier ones kept there
EMPTY = {"trace_request_metadata"}


def test_every_table_that_holds_something_is_compared_or_published(sealed: AuditLog, uri: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        filled = {name for name in tables if db.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()}
    published = " ".join(BLIND_SQL)
    assert not [name for name in filled - BLIND.keys() - {"alembic_version"} if f" {name}" not in published]


TARGET = {
    "trace_info": "1", "assessments": "1", "spans": "type = 'CHAT_MODEL'", "trace_tags": "key = 'team'",
    "trace_request_metadata": "key = 'mlflow.trace.session'",
}  # fmt: skip


def test_a_rating_that_was_changed_taken_away_or_put_in_is_told(sealed: AuditLog, uri: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as db:
        db.execute("UPDATE assessments SET rationale = 'fine'")
        assert "comment changed" in str(verify(folder=sealed.folder, live=uri))
        db.execute("UPDATE assessments SET rationale = '290, not 300'")
        columns = [row[1] for row in db.execute("PRAGMA table_info(assessments)")]
        new = ", ".join({"assessment_id": "'a-other'", "assessment_metadata": "NULL"}.get(c, c) for c in columns)
        db.execute(f"INSERT INTO assessments SELECT {new} FROM assessments")
        report = verify(folder=sealed.folder, live=uri)
        assert report.ok, report
        assert any("in MLflow are not sealed" in note for note in report.notes)
        db.execute("DELETE FROM assessments")
    assert "gone, or not there yet" in str(verify(folder=sealed.folder, live=uri))


def test_what_was_erased_here_is_not_compared_and_said_to_be_in_mlflow_still(sealed: AuditLog, uri: str) -> None:
    why = {"reason": "r", "approver": "a", "folder": sealed.folder}
    erase(booking(1).trace_id, component=["span/*/inputs", "span/*/attributes"], **why)
    report = verify(folder=sealed.folder, live=uri)
    assert report.ok, report
    assert any("MLflow still holds" in note for note in report.notes)
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as db:
        db.execute("UPDATE spans SET content = replace(content, 'Sunny', 'Rainy')")
    assert "was changed" in str(verify(folder=sealed.folder, live=uri))


def test_a_trace_of_another_mlflow_is_not_called_deleted(sealed: AuditLog, tmp_path: Path, empty_database) -> None:
    other = tmp_path / "other.db"
    shutil.copy2(empty_database, other)
    report = verify(folder=sealed.folder, live=f"sqlite:///{other}")
    assert report.verdict is Verdict.INCOMPLETE
    assert "is not in the MLflow that was given" in str(report)


def test_rows_gone_or_put_in_are_found(sealed: AuditLog, uri: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as db:
        db.execute("INSERT INTO trace_tags (key, value, request_id) SELECT 'fake', 'x', request_id FROM trace_info")
        assert "tag 'fake' is 'x'" in str(verify(folder=sealed.folder, live=uri))
        db.execute("DELETE FROM trace_tags WHERE key = 'fake'")
        db.execute(
            "INSERT INTO trace_request_metadata (key, value, request_id) SELECT 'f', 'x', request_id FROM trace_info"
        )
        assert "trace_request_metadata 'f' was put in" in str(verify(folder=sealed.folder, live=uri))
        db.execute("DELETE FROM trace_request_metadata")
        db.execute("DELETE FROM spans WHERE type = 'TOOL'")
        assert "(get_weather) is gone" in str(verify(folder=sealed.folder, live=uri))
        db.execute("DELETE FROM spans")
        db.execute("DELETE FROM trace_info")
    report = verify(folder=sealed.folder, live=uri)
    assert report.verdict is Verdict.INVALID
    assert "no rows of this trace any more" in str(report)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_over_rest_contents_are_compared_and_index_columns_are_said_not_to_be(
    journal, log: AuditLog, shared_server, cwd: Path, stores, told
) -> None:
    sealing.turn_on(journal.path.parent)
    record_run(journal, "k1", shared_server.uri, cwd, booking("over REST"), arch="a")
    journal.flush()
    seal_journal(journal.path, log)
    with closing(TraceWriter(journal.path, stores, told.append)) as writer:
        while writer.step(hurry=True):
            pass
        assert writer.is_done()
    report = verify(folder=log.folder, live=shared_server.uri)
    assert not report.findings
    assert report.checks["traces in MLflow compared with what was sealed, over REST"] == 1
    assert any("MLflow's search uses them" in what for what in report.not_seen)
    with closing(sqlite3.connect(shared_server.folder / "server.db", isolation_level=None)) as db:
        db.execute("UPDATE spans SET name = 'other' WHERE type = 'TOOL'")
        assert not verify(folder=log.folder, live=shared_server.uri).findings, "published as not seen"
        db.execute("UPDATE spans SET content = replace(content, 'Sunny', 'Rainy')")
    assert verify(folder=log.folder, live=shared_server.uri).verdict is Verdict.INVALID
