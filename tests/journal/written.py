"""Journals written for a test, and how their files are broken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind

if TYPE_CHECKING:
    from pathlib import Path

TRACE = "a" * 32


def write_journal(path: Path, spans: int = 3, **body: Any) -> Path:
    """Write a run with a trace and spans, and close the file."""
    journal = Journal(path)
    journal.append(EventKind.RUN_START, run_key="r", body={"name": "cell"})
    journal.append(EventKind.TRACE_START, run_key="r", trace_id=TRACE, body={"name": "flow"})
    for number in range(spans):
        journal.append(
            EventKind.SPAN_START, run_key="r", trace_id=TRACE, span_id=f"s{number}",
            body={"kind": "tool", "name": f"tool {number}", **body}, content={"input": f"input {number} " * 30},
        )  # fmt: skip
    journal.close()
    assert journal.path == path
    return path


def leaf_pages(path: Path, table: str) -> list[int]:
    """Return the offsets of the pages that hold a table's rows, in order of the rows (SQLite file format, 1.6)."""
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    data = path.read_bytes()

    def below(page: int) -> list[int]:
        at = (page - 1) * size
        if data[at] == 13:  # a leaf
            return [at]
        assert data[at] == 5, data[at]  # an interior page: its cells begin with the number of a page
        count = int.from_bytes(data[at + 3 : at + 5], "big")
        cells = [int.from_bytes(data[at + 12 + 2 * i : at + 14 + 2 * i], "big") for i in range(count)]
        pages = [int.from_bytes(data[at + cell : at + cell + 4], "big") for cell in cells]
        last = int.from_bytes(data[at + 8 : at + 12], "big")
        return [leaf for page in [*pages, last] for leaf in below(page)]

    return below(root)


def damage(path: Path, offset: int, size: int = 2048) -> None:
    """Overwrite part of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * size)
