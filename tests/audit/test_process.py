"""The audit log around users' programs: turned on, sealed beside the kernel, also when it is killed."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from end_to_end.programs import Program

from agenttrace_nb.audit.envelope import Envelope
from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.process import seal_orphans
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.repository import pin_of
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

ON = "\nat.audit.init()\n"


def kinds(folder: Path) -> list[str]:
    with closing(AuditLog(folder, read_only=True)) as log:
        return [Envelope.parse(entry).statement.kind for _, entry in log.vault.entries()]


def sealed_within(folder: Path, wanted: str, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (folder / "settings.json").exists() and wanted in (found := kinds(folder)):
            return found
        time.sleep(0.1)
    return kinds(folder)


def said_by(folder: Path, kind: str, count: int = 1) -> list[dict]:
    deadline = time.monotonic() + 40
    found: list[dict] = []
    while len(found) < count and time.monotonic() < deadline:
        with closing(AuditLog(folder, read_only=True)) as log:
            said = [Envelope.parse(entry).statement.predicate for _, entry in log.vault.entries()]
        found = [each for each in said if each["kind"] == kind]
        time.sleep(0.1)
    return found


@pytest.mark.timeout(120)
def test_a_program_with_the_log_on_is_sealed_without_mlflow(tmp_path):
    program = Program(tmp_path, {"AGENTTRACE_MLFLOW": "off"})
    program.run(ON + "\nwith at.trace(live=False):\n    print(ask())\n")
    found = sealed_within(tmp_path / "state" / "audit", "run", 40)
    assert found.count("run") == found.count("run-open") == 1
    ended = [said for said in said_by(tmp_path / "state" / "audit", "heartbeat", count=2) if said["ends"]]
    assert len(ended) == 1, "a process that ended in order says so"
    repository = tmp_path / "state" / "audit" / "repository.git"
    deadline = time.monotonic() + 20
    while not (repository / "refs" / "heads" / "audit").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    report = verify(folder=tmp_path / "state" / "audit", pins=[pin_of(str(repository))])
    assert report.verdict is Verdict.UNANCHORED, "the repository beside the vault is not outside"
    assert any("it is no pin: it lies beside the vault" in note for note in report.notes)


@pytest.mark.timeout(120)
def test_a_killed_program_leaves_an_open_run_that_is_sealed_as_interrupted(tmp_path):
    program = Program(tmp_path, {"AGENTTRACE_MLFLOW": "off"})
    audit = tmp_path / "state" / "audit"
    killed = ON + (
        "\nfrom agenttrace_nb.journal.append import process_journal\n"
        "@function_tool\ndef hang(a: int) -> int:\n"
        "    'Wait.'\n"
        "    process_journal().flush(); time.sleep(1); os.kill(os.getpid(), signal.SIGKILL)\n"
        "with at.trace(live=False):\n"
        "    ask(asking(function_call('hang', {'a': 1}, call_id='c'), assistant_message('3'), tools=(hang,)))\n"
    )
    program.run(killed, status=-signal.SIGKILL)
    found = sealed_within(audit, "run", 40)
    if "run" not in found:  # the sealing process was killed with it before it had begun
        with closing(AuditLog(audit)) as log:
            seal_orphans(log, print, tmp_path / "state" / "journals")
        found = kinds(audit)
    assert "run-open" in found
    (run,) = said_by(audit, "run")
    assert run["status"] == "interrupted"
