"""Trace, understand, compare and prove what OpenAI Agents did, without leaving the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add ``%%trace_agents`` to a shell; called by ``%load_ext agenttrace_nb``."""
    from agenttrace_nb.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take ``%%trace_agents`` away again; called by ``%unload_ext agenttrace_nb``."""
    from agenttrace_nb.magics import unload

    unload(shell)
