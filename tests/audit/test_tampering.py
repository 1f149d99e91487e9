"""What a sceptical auditor tries: every change of the vault is found, and it is said which ones need a pin."""

# ruff: noqa: S608 - statements are put together from the names of our own tables
from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from audit.logs import new_log, run_draft

from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.evidence import export
from agenttrace_nb.audit.log import AuditLog, known_anchor
from agenttrace_nb.audit.note import Note
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.retrieve import find, show
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 4
FIRST_EPOCH = RUNS + 3  # the first entry, the runs, two pins
ENTRIES = FIRST_EPOCH + 2


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A log with two epochs and a pin of each kind, closed, all of it in one file."""
    folder = tmp_path_factory.mktemp("sound")
    log = new_log(folder, RUNS)
    log.keep_pin("tsa", RUNS + 1, b'{"response":"","size":5}')
    log.keep_pin("witness", RUNS + 1, b'{"line":"","url":""}')
    log.rotate()
    log.append(run_draft(RUNS))
    log.vault.scrub()
    log.close()
    with closing(sqlite3.connect(folder / "audit" / "log.db")) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound / "audit", tmp_path / "audit")
    return tmp_path / "audit"


def attacked(folder: Path, *statements: Any) -> None:
    with closing(sqlite3.connect(folder / "log.db")) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(*statement) if isinstance(statement, tuple) else db.execute(statement)


def test_a_sound_log_is_said_to_be_sound(copy: Path) -> None:
    for level in ("fast", "signatures", "full"):
        report = verify(folder=copy, level=level)
        assert report.ok, report
        assert report.verdict is Verdict.UNANCHORED
        assert report.entries == ENTRIES
    assert "Not proven" in str(report)
    assert report.exit_status == 0


def test_rows_put_in_are_found(copy: Path) -> None:
    original = (copy / "log.db").read_bytes()
    for statement in (
        "INSERT INTO entry SELECT i + 100, envelope FROM entry WHERE i = 2",
        "INSERT INTO content SELECT i + 100, manifest, ciphertext FROM content WHERE i = 2",
        "INSERT INTO content_key SELECT i + 100, wrapped FROM content_key WHERE i = 2",
        "INSERT INTO checkpoint SELECT size + 100, note, edge FROM checkpoint WHERE size = 2",
        "INSERT INTO epoch SELECT n + 5, i, public, since FROM epoch WHERE n = 0",
        "INSERT INTO source SELECT 'other', kind, trace, seq, i FROM source LIMIT 1",
        "INSERT INTO pin SELECT id + 100, kind, size, at, data FROM pin LIMIT 1",
    ):
        (copy / "log.db").write_bytes(original)
        attacked(copy, statement)
        assert verify(folder=copy).verdict is Verdict.INVALID, statement


def pins_before(folder: Path, size: int) -> int:
    with closing(sqlite3.connect(folder / "log.db")) as db:
        entries = [row[0] for row in db.execute("SELECT envelope FROM entry WHERE i < ?", (size,))]
    return sum(Envelope.parse(entry).statement.kind == "pin" for entry in entries)


def cut(folder: Path, size: int) -> None:
    """Cut the log off as somebody would who knows it well: with checkpoints and all that is derived."""
    attacked(
        folder, ("DELETE FROM entry WHERE i >= ?", (size,)), ("DELETE FROM content WHERE i >= ?", (size,)),
        ("DELETE FROM content_key WHERE i >= ?", (size,)), ("DELETE FROM checkpoint WHERE size > ?", (size,)),
        ("DELETE FROM epoch WHERE i >= ?", (size,)), ("DELETE FROM source WHERE i >= ?", (size,)),
        ("DELETE FROM pin WHERE id > ?", (pins_before(folder, size),)),
    )  # fmt: skip


def test_cut_entries_are_found_at_every_length_by_the_last_checkpoint(copy: Path) -> None:
    original = (copy / "log.db").read_bytes()
    for size in range(ENTRIES):
        (copy / "log.db").write_bytes(original)
        attacked(copy, ("DELETE FROM entry WHERE i >= ?", (size,)))
        assert verify(folder=copy, level="fast").verdict is Verdict.INVALID, size


def test_a_log_cut_with_its_checkpoints_is_found_only_with_a_pin(copy: Path) -> None:
    original = (copy / "log.db").read_bytes()
    with closing(AuditLog(copy, read_only=True)) as log:
        pin = log.vault.checkpoint(ENTRIES)
    for size in range(1, ENTRIES):
        (copy / "log.db").write_bytes(original)
        cut(copy, size)
        assert verify(folder=copy).ok, "undetectable without a pin, and said to be UNANCHORED"
        report = verify(folder=copy, pins=[pin])
        assert report.verdict is Verdict.DIVERGED
        assert "ROLLBACK" in str(report)


def rewritten_by_an_insider(sound: Path, tmp_path: Path) -> tuple[Path, str]:
    """Everything that a holder of all of today's keys can do: cut where this epoch began, and go on differently."""
    folder, keys = tmp_path / "audit", tmp_path / "keys"
    shutil.copytree(sound / "audit", folder)
    shutil.copytree(sound / "keys", keys)
    settings = (folder / "settings.json").read_text("utf-8").replace(str(sound / "keys"), str(keys))
    (folder / "settings.json").write_text(settings, "utf-8")
    with closing(AuditLog(folder, read_only=True)) as log:
        true_end = str(log.vault.checkpoint(ENTRIES))
    cut(folder, FIRST_EPOCH + 1)
    with closing(AuditLog(folder)) as log:
        log.append(run_draft(666))
    return folder, true_end


def test_an_insider_with_the_keys_is_found_only_with_a_pin(sound: Path, tmp_path: Path) -> None:
    folder, pin = rewritten_by_an_insider(sound, tmp_path)
    honest = verify(folder=folder)
    assert honest.ok, "without a pin this cannot be found"
    assert honest.verdict is Verdict.UNANCHORED
    line = " ".join(Note.parse(pin).text.split("\n")[:3])
    for given in (pin, f"audit: entry 6, checkpoint {line}"):
        report = verify(folder=folder, pins=[given])
        assert report.verdict is Verdict.DIVERGED
        assert "FORK" in str(report)
        assert report.exit_status == 1


def test_todays_keys_cannot_rewrite_an_epoch_that_is_over(sound: Path, tmp_path: Path) -> None:
    folder, _ = rewritten_by_an_insider(sound, tmp_path)
    cut(folder, 2)
    attacked(folder, "INSERT INTO epoch SELECT 1, 1, public, since FROM epoch WHERE n = 0")
    keys = tmp_path / "keys"
    (keys / "recorder-0.pem").write_bytes((keys / "recorder-1.pem").read_bytes())
    (keys / "recorder-0.pem").chmod(0o600)
    attacked(folder, "DELETE FROM epoch WHERE n = 1")
    with closing(AuditLog(folder)) as log:
        log.append(run_draft(666))
    report = verify(folder=folder)
    assert report.verdict is Verdict.INVALID
    assert "names a key that is not the one that was to sign here" in str(report)


def test_another_log_does_not_pass_for_this_one(sound: Path, tmp_path: Path) -> None:
    anchor = known_anchor(sound / "audit")
    other = new_log(tmp_path, RUNS)
    other.close()
    report = verify(folder=other.folder, anchor=anchor)
    assert report.verdict is Verdict.INVALID
    assert "not that of the anchor" in str(report)


def test_an_entry_of_another_log_has_no_place_here(sound: Path, copy: Path, tmp_path: Path) -> None:
    other = new_log(tmp_path / "other", 1)
    attacked(copy, ("UPDATE entry SET envelope = ? WHERE i = 1", (other.vault.entry(1),)))
    other.close()
    assert verify(folder=copy).verdict is Verdict.INVALID


def test_entries_that_changed_places_are_found(copy: Path) -> None:
    attacked(
        copy, "UPDATE entry SET i = -1 WHERE i = 2", "UPDATE entry SET i = 2 WHERE i = 3",
        "UPDATE entry SET i = 3 WHERE i = -1",
    )  # fmt: skip
    assert verify(folder=copy, level="fast").verdict is Verdict.INVALID


def test_without_the_content_key_the_report_says_incomplete(sound: Path, tmp_path: Path) -> None:
    folder, _ = rewritten_by_an_insider(sound, tmp_path)
    (tmp_path / "keys" / "content.key").unlink()
    report = verify(folder=folder)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.exit_status == 3


def test_a_hostile_text_in_a_finding_stays_text(copy: Path) -> None:
    report = verify(folder=copy)
    report.find("<script>alert(1)</script>")
    assert "<script>" not in report.to_html()
    assert "&lt;script&gt;" in report.to_html()
    assert '"verdict": "INVALID"' in report.to_json()


def test_an_index_that_names_another_trace_deceives_nobody(copy: Path, tmp_path: Path) -> None:
    one, two = run_draft(0).source.trace, run_draft(1).source.trace
    attacked(copy, (f"UPDATE source SET i = (SELECT i FROM source WHERE trace = '{two}') WHERE trace = ?", (one,)))
    for asked in (
        lambda: show(one, folder=copy),
        lambda: find("secret", folder=copy),
        lambda: export(one, tmp_path / "e.zip", folder=copy),
        lambda: erase(one, reason="r", approver="a", folder=copy),
    ):
        with pytest.raises(AuditError, match="that entry is of another trace: the index was edited"):
            asked()
    report = verify(folder=copy)
    assert report.verdict is Verdict.INVALID
    assert f"in rows of {one}: it was edited" in str(report)


def test_the_report_says_where_to_begin(copy: Path) -> None:
    attacked(copy, "UPDATE content SET ciphertext = x'00' WHERE i IN (2, 3)")
    report = str(verify(folder=copy))
    assert "Next: The first entry that is wrong is 2. Copy the log's folder" in report
