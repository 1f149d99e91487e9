"""kill -9 at every other thing that writes: new epochs, pins, erasing, publishing. Sound after it, and done again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log, run_draft

from agenttrace_nb.audit.erase import erase
from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.repository import publish
from agenttrace_nb.audit.revocation import revoke
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE = run_draft(0).source.trace
WHY = {"reason": "r", "approver": "a"}
DOING: dict[str, Callable[[Path], object]] = {
    "rotate": lambda folder: AuditLog(folder).rotate(),
    "revoke": lambda folder: revoke(reason="r", folder=folder),
    "pin": lambda folder: AuditLog(folder).keep_pin("tsa", 2, b"{}"),
    "erase": lambda folder: erase(TRACE, **WHY, folder=folder),
    "erase a part": lambda folder: erase(TRACE, component="span/*/inputs", **WHY, folder=folder),
    "publish": lambda folder: publish(folder=folder),
}
# What is done, and the step of it at which the process is killed
STEPS = [
    ("rotate", "keys.KeyRing.make_recorder"), ("rotate", "vault.Vault.add_epoch"),
    ("rotate", "keys.KeyRing.destroy_before"), ("revoke", "vault.Vault.add_source"),
    ("pin", "vault.Vault.add_pin"), ("erase", "vault.Vault.erase_content"), ("erase", "erase.scrub"),
    ("erase a part", "vault.Vault.replace_content"), ("erase a part", "erase.scrub"),
    ("publish", "repository.ssh_signature"),
]  # fmt: skip
KILLED = """
import importlib, os, signal, sys
from pathlib import Path
what, step, when, tests, folder = sys.argv[1:]
sys.path.insert(0, tests)
from audit.test_kills import DOING
module, *owners, name = step.split(".")
owner = importlib.import_module(f"agenttrace_nb.audit.{module}")
for each in owners:
    owner = getattr(owner, each)
real = getattr(owner, name)
def killed(*words, **named):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*words, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
DOING[what](Path(folder))
"""


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "after"])
@pytest.mark.parametrize(("what", "step"), STEPS)
def test_a_kill_leaves_a_sound_log_and_the_same_can_be_done_again(tmp_path, what, step, when) -> None:
    log = new_log(tmp_path, runs=2)
    publish(folder=log.folder)
    log.append(run_draft(2))
    ((wrapped,),) = log.vault.db.execute("SELECT wrapped FROM content_key WHERE i = 1").fetchall()
    log.close()
    tests = str(Path(__file__).parents[1])
    words = [sys.executable, "-c", KILLED, what, step, when, tests, str(log.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    report = verify(folder=log.folder)
    assert report.ok, report
    if (what, step) == ("erase a part", "erase.scrub"):
        with pytest.raises(AuditError, match="names nothing of this trace that is still there"):
            DOING[what](log.folder)
    else:
        DOING[what](log.folder)
    if what.startswith("erase"):
        assert not [path for path in log.folder.rglob("*") if path.is_file() and wrapped in path.read_bytes()]
    AuditLog(log.folder).append(run_draft(9))
    report = verify(folder=log.folder)
    assert report.ok, report
    assert len(list((tmp_path / "keys").glob("recorder-*.pem"))) == 1
    if what == "publish":
        fsck = ["git", "fsck", "--strict", "--full"]
        checked = subprocess.run(fsck, cwd=log.folder / "repository.git", capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
