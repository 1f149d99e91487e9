"""Every field of every table, and of every kind of entry, is changed: each change is found, and they are counted."""

# ruff: noqa: S608 - statements are put together from the names of our own tables
from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from audit.logs import new_log, run_draft
from audit.test_tampering import attacked

from agenttrace_nb.audit.access import Reading, record_access, recorded
from agenttrace_nb.audit.canon import _literal, canonical
from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.examine import Examination
from agenttrace_nb.audit.log import KINDS, AuditLog, Draft, known_anchor
from agenttrace_nb.audit.retention import hold
from agenttrace_nb.audit.revocation import revoke
from agenttrace_nb.audit.vault import Source, Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNS = 4
TABLES = ("entry", "content", "content_key", "checkpoint", "epoch", "source", "pin")

# What entries say that no log of a test would come to by itself
SAID = {
    "run-open": {"traceId": "ab" * 16, "runKey": "k", "startedNs": 10**18},
    "amend": {"runKey": "k", "fromSeq": 1, "toSeq": 2},
    "retain-expire": {"traceId": f"{1:032x}", "targets": [], "paths": [], "olderThanDays": 9.0, "preset": None},
    "gap": {"journal": "a.journal", "fromSeq": 3, "toSeq": 4},
    "recovery": {"journal": "a.journal", "fromSeq": 5},
    "export": {"traces": [f"{1:032x}"], "entries": [2], "redacted": False},
    "heartbeat": {"journal": "a.journal", "everyS": 3600.0, "ends": True},
    "audit-off": {},
    "audit-on": {},
}


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory) -> Path:
    """A log with an entry of each kind, closed, all of it in one file."""
    folder = tmp_path_factory.mktemp("kinds")
    log = new_log(folder, RUNS)
    log.keep_pin("tsa", RUNS + 1, b'{"response":"","size":5}')
    log.keep_pin("witness", RUNS + 1, b'{"line":"","url":""}')
    log.rotate()
    for number, (kind, facts) in enumerate(SAID.items()):
        source = Source("a.journal", kind, str(facts.get("traceId", "")), number)
        log.append(Draft(kind=kind, subject="x", facts=facts, parts=[("why", b'"a reason"')], source=source))
    record_access(reason="r", folder=log.folder)
    recorded(log, Reading("show", (f"{1:032x}",), purpose="p"))
    recorded(log, Reading("find", (f"{1:032x}", f"{2:032x}"), {"text": "secret"}))
    hold(f"{2:032x}", reason="r", folder=log.folder)
    erase(f"{1:032x}", reason="r", approver="a", folder=log.folder)
    revoke(reason="r", since=RUNS + 5, folder=log.folder)
    log.append(run_draft(RUNS))
    log.vault.scrub()
    log.close()
    with closing(sqlite3.connect(folder / "audit" / "log.db")) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    return folder / "audit"


@pytest.fixture
def copy(every_kind: Path, tmp_path: Path) -> Path:
    shutil.copytree(every_kind, tmp_path / "audit")
    return tmp_path / "audit"


def changes(db: sqlite3.Connection, most: int | None) -> Iterator[tuple[str, str, tuple]]:
    """Every field of every row of every table: changed, longer, shorter, NULL, another row's; every row gone."""
    for table in TABLES:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        rows = db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        for at in sorted({0, len(rows) // 2, len(rows) - 1}) if most else range(len(rows)):
            row = rows[at]
            where = " AND ".join(f"{c} IS ?" for c in columns)
            yield f"{table} row {at} deleted", table, (f"DELETE FROM {table} WHERE {where}", row)
            for number, (column, value) in enumerate(zip(columns, row, strict=True)):
                others = {other[number] for other in rows} - {value}
                for new in [*variants(value), *sorted(others, key=repr)[:1]]:
                    statement = f"UPDATE {table} SET {column} = ? WHERE {where}"
                    yield f"{table}.{column} row {at}: {str(new)[:30]!r}", table, (statement, (new, *row))


def variants(value: Any) -> list[Any]:
    if isinstance(value, bytes):
        middle = len(value) // 2
        flipped = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        return [flipped, value[:-1], value + b"\0", value + b" ", b"", None, value.decode("latin-1")]
    if isinstance(value, str):
        return [value + " ", value[:-1], value.swapcase(), value.replace("\n", "\r\n"), "", None, value.encode()]
    if isinstance(value, int):
        return [value + 1, value - 1, value + 1000, -1, None, f"{value} "]
    return [0, b"", "x"]


@pytest.mark.parametrize("rows", [3, pytest.param(None, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_every_change_of_every_field_is_found(copy: Path, rows: int | None) -> None:
    """In the default run of three rows of each table, else of all."""
    attacked(copy)
    anchor, key = known_anchor(copy), AuditLog(copy, read_only=True).keys.content()
    tried, refused, missed = 0, 0, []
    with (
        closing(sqlite3.connect(copy / "log.db", isolation_level=None)) as db,
        closing(Vault(copy / "log.db")) as vault,
    ):
        db.execute("PRAGMA synchronous=OFF")
        for name, table, statement in list(changes(db, rows)):
            before = rows_of(db, table)
            try:
                db.execute(*statement)
            except sqlite3.IntegrityError:
                refused += 1
                continue
            if rows_of(db, table) != before:
                tried += 1
                examination = Examination(vault, anchor, "full")
                examination.run(lambda: key)
                if examination.report.ok:
                    missed.append(name)
            db.execute("BEGIN")
            db.execute(f"DELETE FROM {table}")
            db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(before[0]))})", before)
            db.execute("COMMIT")
    print(f"{tried} changes tried, {tried - len(missed)} found; the database itself refused {refused}")
    assert not missed
    assert tried > 200


def altered(said: Any) -> Iterator[tuple[str, Any]]:
    """Every field of a statement, however deep: another value in its place, and gone."""
    for name in said if isinstance(said, dict) else range(len(said)):
        value = said[name]
        inner = altered(value) if isinstance(value, (dict, list)) and value else ()
        for place, new in inner:
            yield f"{name}.{place}", other(said, name, new)
        yield str(name), other(said, name, changed(value))
        yield f"{name} gone", other(said, name)


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return f"{value}x" if isinstance(value, str) else "x"


def other(said: Any, name: Any, *new: Any) -> Any:
    made = said.copy()
    if new:
        made[name] = new[0]
    else:
        del made[name]
    return made


def test_every_change_of_what_any_kind_of_entry_says_is_found(copy: Path) -> None:
    attacked(copy)
    anchor = known_anchor(copy)
    tried: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    with (
        closing(sqlite3.connect(copy / "log.db", isolation_level=None)) as db,
        closing(Vault(copy / "log.db")) as vault,
    ):
        db.execute("PRAGMA synchronous=OFF")
        for index, entry in list(vault.entries()):
            envelope = Envelope.parse(entry)
            if envelope.statement.kind in tried:
                continue
            for name, said in altered(json.loads(envelope.payload)):
                forged = Envelope(canonical(_literal(said)), envelope.key_id, envelope.signature).to_bytes()
                db.execute("UPDATE entry SET envelope = ? WHERE i = ?", (forged, index))
                examination = Examination(vault, anchor, "signatures")
                examination.run(bytes)
                # The tree finds it at once; what is asked here is whether the entry itself is found too
                about = [finding for finding in examination.report.findings if finding.index == index]
                if examination.report.ok or (index > 0 and not about):
                    missed[f"{envelope.statement.kind}: {name}"] += 1
                tried[envelope.statement.kind] += 1
            db.execute("UPDATE entry SET envelope = ? WHERE i = ?", (entry, index))
    counts = "; ".join(f"{kind} {count}" for kind, count in sorted(tried.items()))
    print(f"{tried.total()} changes of what entries say tried, {tried.total() - missed.total()} found: {counts}")
    assert not missed
    assert set(tried) == KINDS
    assert min(tried.values()) > 15


def rows_of(db: sqlite3.Connection, table: str) -> list[tuple]:
    return db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def test_no_table_of_the_vault_is_left_out(every_kind: Path) -> None:
    with closing(sqlite3.connect(every_kind / "log.db")) as db:
        assert {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} == set(TABLES)
        for table in TABLES:
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0
