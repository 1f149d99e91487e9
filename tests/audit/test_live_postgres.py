"""The same over PostgreSQL: traces are delivered there, and every column that was changed there is found or published.

`make test-postgres` fetches the server and runs this; no other target does.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
import sqlalchemy as sa
from audit.test_live import BLIND, EMPTY
from mlflow_store.conftest import free_port

from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.audit.log import AuditLog

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]
_OWNER = "postgres"


class Postgres:
    """A server of its own in a folder of its own, on this machine alone."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="agenttrace-postgres-"))
        self._as: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            owner = pwd.getpwnam(_OWNER)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._as = ["runuser", "-u", _OWNER, "--"]
        self._run("initdb", "-A", "trust", "-U", _OWNER, "-D", "data")
        said = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-o", said, "-l", "log", "-w", "start")

    def _run(self, program: str, *words: str) -> None:
        places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        found = str(places[-1]) if places else shutil.which(program)
        assert found, f"{program} is missing: make test-postgres fetches PostgreSQL"
        # What the server goes on writing must not hold the pipe of the program that started it
        with (self.folder / "said").open("w+", encoding="utf-8") as out:
            done = subprocess.run([*self._as, found, *words], cwd=self.folder, stdout=out, stderr=out, check=False)
            out.seek(0)
            assert done.returncode == 0, out.read()

    def database(self, name: str) -> str:
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _OWNER, name)
        return f"postgresql+psycopg://{_OWNER}@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def uri(postgres: Postgres, cwd: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An MLflow database on it; what `sealed` records goes there."""
    made = postgres.database(f"mlflow_{abs(hash(request.node.name))}")
    with monkeypatch.context() as patch:
        patch.chdir(cwd)  # MLflow puts artifacts where the database is first opened
        mlflow.MlflowClient(made).get_experiment("0")
    return made


@contextmanager
def changing(uri: str) -> Iterator[sa.Connection]:
    """A connection as somebody has it who may do everything, and whom no foreign key stops."""
    engine = sa.create_engine(uri, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text("SET session_replication_role = replica"))
        yield db
    engine.dispose()


# Rows of each table in which every column has something to say
TARGET = {
    "spans": ("type", "CHAT_MODEL"), "trace_tags": ("key", "team"),
    "trace_request_metadata": ("key", "mlflow.trace.session"),
}  # fmt: skip


def another(value: Any, column: sa.Column) -> Any:
    if column.name in ("value", "valid", "assessment_metadata"):
        return {"value": '"right amount"', "valid": False, "assessment_metadata": "{}"}[column.name]
    if column.name == "content":
        return value.replace("Sunny", "Rainy") if "Sunny" in value else value.replace("OK", "ERROR")
    kind = column.type.python_type
    if kind is bool:
        return not value
    if kind is str:
        return f"{value or ''}x"[-(column.type.length or 10_000) :] if value != "" else "x"
    if kind is dict:
        return {"x": 1}
    return (value or 0) + 1


def test_what_was_written_to_postgresql_is_what_was_sealed(sealed: AuditLog, uri: str) -> None:
    report = verify(folder=sealed.folder, live=uri)
    assert report.verdict is Verdict.UNANCHORED, report
    assert report.checks["traces in MLflow compared with what was sealed, by SQL"] == 2
    assert not [note for note in report.notes if "are not sealed" in note]


def test_every_changed_column_in_postgresql_is_found_or_published(sealed: AuditLog, uri: str) -> None:
    found, missed, blind_after_all = 0, [], []
    with changing(uri) as db:
        tables = sa.MetaData()
        tables.reflect(db, only=list(BLIND))
        for name, blind in BLIND.items():
            table = tables.tables[name]
            where = table.c[TARGET[name][0]] == TARGET[name][1] if name in TARGET else sa.true()
            row = db.execute(sa.select(table).where(where).limit(1)).mappings().one_or_none()
            if row is None:
                assert name in EMPTY
                continue
            for column in (each for each in table.columns if each.computed is None):  # which the server itself derives
                same = sa.and_(*(c == row[c.name] for c in table.primary_key.columns))
                new = another(row[column.name], column)
                changed = {**row, column.name: new}
                db.execute(sa.update(table).where(same).values({column.name: new}))
                try:
                    caught = not verify(folder=sealed.folder, live=uri).ok
                except Exception:  # MLflow itself cannot read it any more
                    caught = True
                back = sa.and_(*(c == changed[c.name] for c in table.primary_key.columns))
                db.execute(sa.update(table).where(back).values({column.name: row[column.name]}))
                found += caught
                if not caught and column.name not in blind:
                    missed.append(f"{name}.{column.name}")
                if caught and column.name in blind:
                    blind_after_all.append(f"{name}.{column.name}")
    print(f"{found} changed columns of MLflow on PostgreSQL found; published as not seen, and found: {blind_after_all}")
    assert not missed
    assert not verify(folder=sealed.folder, live=uri).findings


def test_rows_gone_or_put_in_are_found_in_postgresql(sealed: AuditLog, uri: str) -> None:
    with changing(uri) as db:
        put_in = "INSERT INTO trace_tags (key, value, request_id) SELECT 'fake', 'x', request_id FROM trace_info"
        db.execute(sa.text(put_in))
        assert "tag 'fake' is 'x'" in str(verify(folder=sealed.folder, live=uri))
        db.execute(sa.text("DELETE FROM trace_tags WHERE key = 'fake'"))
        db.execute(sa.text("DELETE FROM spans WHERE type = 'TOOL'"))
        assert "(get_weather) is gone" in str(verify(folder=sealed.folder, live=uri))
        db.execute(sa.text("DELETE FROM spans"))
        db.execute(sa.text("DELETE FROM trace_info"))
    assert "no rows of this trace any more" in str(verify(folder=sealed.folder, live=uri))
