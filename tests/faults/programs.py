"""Small programs that tests start as processes of their own, and end, one by one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PRELUDE = """
import os, resource, signal, sys, time
from pathlib import Path
from agenttrace_nb.journal import append as appending
from agenttrace_nb.journal.append import Journal, process_journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.live import LiveFold

def say(journal, name, size=0, **more):
    content = {"input": name + " " * size} if size else {}
    journal.append(EventKind.SPAN_START, run_key="r", trace_id="t", span_id=name, content=content, **more)
"""


@contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program; end it, and only it, when the test is done with it."""
    command = [sys.executable, "-c", PRELUDE + program, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def output_of(program: str, *arguments: str) -> list[str]:
    """Run a program to its end; return the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + program, *arguments], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
