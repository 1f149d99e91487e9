"""A cell that begins with ``%%trace_agents``: how its code is rewritten, and which cell it is."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from IPython.core.inputtransformer2 import cell_magic as _rewrite_cell_magic

from agenttrace_nb.config import CellInfo

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell

NAME = "trace_agents"
BEGIN = "get_ipython().magics_manager.registry['AgentTraceMagics'].begin"

_MAGIC_LINE = re.compile(rf"%%{NAME}(?:[ \t]+(?P<options>.*))?")
_VS_CODE_CELL = "vscode-notebook-cell"


def rewrite(lines: list[str]) -> list[str]:
    """Turn the line of the magic into a call, one line for one line; the rest of the cell stays what it is.

    A pure function: IPython rewrites a cell more than once. The cell then runs natively: ``await``, the value of the
    last expression, line numbers and errors are those of the cell without the magic. A cell magic that follows is
    rewritten too, since IPython would look for it in the first line only.
    """
    at = _first_code(lines)
    match = _MAGIC_LINE.fullmatch(lines[at].rstrip()) if at is not None else None
    if at is None or match is None:
        return lines
    rest = lines[at + 1 :]
    below = _first_code(rest)
    if below is not None and rest[below].startswith("%%"):
        rest = [*rest[:below], *_rewrite_cell_magic(rest[below:])]
    options = (match["options"] or "").strip()
    return [*lines[:at], f"{BEGIN}({options!r})\n", *rest]


# IPython asks whether a cell is complete through rewriters that have no side effects. It must see the magic itself
# there, or a terminal would run the first line as soon as it is typed.
rewrite.has_side_effects = True  # type: ignore[attr-defined]


def _first_code(lines: list[str]) -> int | None:
    return next((at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), None)


def own_code(cell: str) -> str:
    """Return a cell's source without the line of the magic, with plain line ends."""
    lines = [line.rstrip("\r") for line in cell.split("\n")]
    return "\n".join(line for line in lines if not _MAGIC_LINE.fullmatch(line.strip())).strip("\n")


def has_code(cell: str) -> bool:
    """Tell whether a cell holds more than the magic, blank lines and comments."""
    return _first_code(own_code(cell).split("\n")) is not None


def names_the_magic(cell: str) -> bool:
    """Tell whether a cell says something to the magic itself."""
    return re.search(rf"(?m)^\s*%%?{NAME}\b", cell) is not None


def describe(shell: InteractiveShell, info: ExecutionInfo) -> CellInfo:
    """Return what is known of the cell that is about to run."""
    cell_id = getattr(info, "cell_id", None) or None
    # Some versions of IPython count a cell before it runs and some after; the display hook knows.
    count = shell.displayhook.prompt_count if info.store_history else None
    digest = hashlib.sha256(own_code(info.raw_cell or "").encode("utf-8", "surrogatepass")).hexdigest()
    return CellInfo(notebook=_notebook(shell, cell_id), cell_id=cell_id, execution_count=count, source_hash=digest)


def _notebook(shell: InteractiveShell, cell_id: str | None) -> str | None:
    named = shell.user_ns.get("__vsc_ipynb_file__")
    if isinstance(named, str) and named:
        return named
    if cell_id and cell_id.startswith(_VS_CODE_CELL):
        return unquote(urlsplit(cell_id).path) or None
    # Jupyter names a console here too; that has no file.
    path = os.environ.get("JPY_SESSION_NAME", "")
    return path if PurePath(path).suffix else None
