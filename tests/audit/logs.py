"""Audit logs for tests, and programs that write to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.vault import Source

if TYPE_CHECKING:
    from pathlib import Path

# What a process is told to do by itself: seal COUNT entries from the journal NAME, one transaction each
SEALING = """
import sys
from pathlib import Path
from agenttrace_nb.audit.log import AuditLog, Draft
from agenttrace_nb.audit.vault import Source
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = AuditLog(folder)
for n in range(count):
    source = Source(name, "run", f"{n:032x}", n)
    draft = Draft(kind="run", subject=f"mlflow-trace:tr-{n:032x}", parts=[("info", b'{"n":%d}' % n)], source=source)
    print(name, n, log.append(draft).index, flush=True)
"""


def new_log(folder: Path, runs: int = 0) -> AuditLog:
    log = AuditLog.make(folder / "audit", keys=folder / "keys")
    for n in range(runs):
        log.append(run_draft(n))
    return log


def run_draft(n: int, journal: str = "a.journal") -> Draft:
    trace = f"{n:032x}"
    parts = [("info", b'{"n":%d}' % n), (f"span/{n}/inputs", b'"the secret question %d"' % n)]
    return Draft(
        kind="run", subject=f"mlflow-trace:tr-{trace}", facts={"spans": 1, "traceId": trace}, parts=parts,
        source=Source(journal, "run", trace, n),
    )  # fmt: skip
