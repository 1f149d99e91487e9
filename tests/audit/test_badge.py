"""What views say of a seal: no more than is known, and nothing while the log is off."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from mlflow_store.samples import booking

from agenttrace_nb.audit.badge import badge_of
from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.journal import sealing
from agenttrace_nb.views.feed import Feed, Finished
from agenttrace_nb.views.seal import seal_of
from agenttrace_nb.views.static_html import static_twin
from agenttrace_nb.views.text import text_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.audit.badge import Badge
    from agenttrace_nb.audit.log import AuditLog


@pytest.fixture
def badge(sealed: AuditLog, uri: str, stores, own_state_dir: Path) -> Callable[[], Badge]:
    """The badge of a trace that was read back from MLflow."""
    sealing.turn_on()

    def of() -> Badge:
        trace = stores.get(uri, None).find_trace(booking(1).trace_id)
        return badge_of([trace], compare=True, folder=sealed.folder)

    return of


def changed(uri: str, statement: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as db:
        db.execute(statement)


def test_sealed_is_not_called_verified(badge, sealed: AuditLog) -> None:
    found = badge()
    assert found.state == "sealed"
    assert "Sealed as entry" in found.why
    assert "Sealed is not verified: at.audit.verify() does that." in found.why
    verify(folder=sealed.folder, level="fast")
    verify(folder=sealed.folder, level="signatures")
    assert badge().state == "sealed", "its content was not looked at"


def test_verified_says_when_and_against_what(badge, sealed: AuditLog, uri: str) -> None:
    verify(folder=sealed.folder)
    found = badge()
    assert found.state == "verified"
    assert "no pin from outside was there to compare with, MLflow's rows were not compared" in found.why
    pin = sealed.vault.checkpoint(2)
    verify(folder=sealed.folder, pins=[pin], live=uri)
    assert "it continues 1 pin, MLflow's rows were compared too" in badge().why


def test_what_was_sealed_after_verifying_is_not_verified(badge, sealed: AuditLog) -> None:
    with sealed.writing() as _:
        pass
    report = verify(folder=sealed.folder)
    report.entries = 2  # as if the log had been that short then
    assert badge().state == "sealed"


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE spans SET content = replace(content, 'Sunny', 'Rainy')", "output was changed"),
        ("DELETE FROM spans WHERE type = 'TOOL'", "is not here any more"),
    ],
)
def test_what_somebody_changed_in_mlflow_differs(badge, uri: str, statement: str, what: str) -> None:
    changed(uri, statement)
    found = badge()
    assert found.state == "differs"
    assert what in found.why
    assert "at.audit.show() gives what was sealed" in found.why


def test_a_log_that_did_not_verify_differs(badge, sealed: AuditLog) -> None:
    (mine,) = sealed.vault.of_kind("run", trace=booking(1).trace_id)
    (other,) = sealed.vault.of_kind("run", trace=booking(2).trace_id)
    (kept,) = sealed.vault.db.execute("SELECT ciphertext FROM content WHERE i = ?", (other,)).fetchone()
    sealed.vault.db.execute("UPDATE content SET ciphertext = x'00' WHERE i = ?", (other,))
    verify(folder=sealed.folder)
    assert badge().state == "sealed"
    assert "found something elsewhere in the log" in badge().why
    sealed.vault.db.execute("UPDATE content SET ciphertext = ? WHERE i = ?", (kept, other))
    sealed.vault.db.execute("UPDATE content SET ciphertext = x'00' WHERE i = ?", (mine,))
    verify(folder=sealed.folder)
    assert badge().state == "differs"
    assert "cannot be opened" in badge().why


def test_what_was_erased_does_not_differ(badge, sealed: AuditLog) -> None:
    erase(booking(1).trace_id, component="span/*/inputs", reason="r", approver="a", folder=sealed.folder)
    assert badge().state == "sealed"
    erase(booking(1).trace_id, reason="r", approver="a", folder=sealed.folder)
    assert badge().state == "sealed"


def test_a_run_without_an_entry_is_not_sealed(log: AuditLog, own_state_dir: Path) -> None:
    sealing.turn_on()
    assert badge_of([booking(7)], folder=log.folder).state == "not sealed"
    assert badge_of([], folder=log.folder) is None


def test_while_the_log_is_off_nothing_is_said(sealed: AuditLog, own_state_dir: Path) -> None:
    assert badge_of([booking(1)], folder=sealed.folder) is None
    assert seal_of([booking(1)], compare=True) is None


def test_a_log_that_cannot_be_read_is_told_and_breaks_no_view(own_state_dir: Path) -> None:
    sealing.turn_on()
    found = seal_of([booking(1)], compare=True)
    assert found["state"] == "seal unknown"
    assert "at.audit.init() makes one" in found["why"]


def test_every_view_says_it_and_a_hostile_reason_stays_text() -> None:
    trace = booking(1)
    feed = Feed(Finished(trace, [trace]))
    feed.pull(work_s=None)
    seal = {"state": "differs", "why": "Step '<script>alert(1)</script>' was put in."}
    twin = static_twin(trace, feed.rows, seal=seal)
    assert "audit log: <strong>differs</strong>. Step &#39;&lt;script&gt;" in twin.replace("&#x27;", "&#39;")
    assert "audit log: differs. Step" in text_tree(trace, feed.rows, seal=seal)
    assert "audit log" not in static_twin(trace, feed.rows) + text_tree(trace, feed.rows)
    assert b'"seal"' not in feed.snapshot()
    feed.seal = seal
    assert b'"seal":{"state":"differs"' in feed.snapshot()
