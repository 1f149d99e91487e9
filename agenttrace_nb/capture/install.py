"""Putting capture in place, keeping it there, and taking it away without a trace."""

from __future__ import annotations

import sys
from typing import Any

from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.after_import import AfterImport

_processor: Any = None
_runner: Any = None
_waiting: AfterImport | None = None


@quiet
def install() -> None:
    """Record from now on: at once if the SDK is loaded, else as soon as somebody imports it.

    Importing the SDK takes seconds; a cell that does not use it must not pay for it.
    """
    global _waiting  # noqa: PLW0603 - there is one interpreter
    if "agents" in sys.modules and hasattr(sys.modules["agents"], "Runner"):
        ensure()
    elif _waiting is None:
        _waiting = AfterImport(["agents"], _begin)


def _begin() -> None:
    global _waiting  # noqa: PLW0603
    if _waiting is not None:
        _waiting.remove()
        _waiting = None
    ensure()


def ensure() -> None:
    """Put processor and runner where they belong, or back if something removed or overtook them."""
    global _processor, _runner  # noqa: PLW0603
    from agents import run as sdk_run

    from agenttrace_nb.capture import openai_calls, processors
    from agenttrace_nb.capture.processor import JournalProcessor
    from agenttrace_nb.capture.runner import JournalRunner

    if _processor is None:
        _processor = JournalProcessor()
    processors.keep_first(_processor)
    current = sdk_run.get_default_agent_runner()
    if not isinstance(current, JournalRunner):
        _runner = JournalRunner(current)
        sdk_run.set_default_agent_runner(_runner)
    openai_calls.install()


@quiet
def uninstall() -> None:
    """Leave the SDK as it was found."""
    global _processor, _runner, _waiting  # noqa: PLW0603
    if _waiting is not None:
        _waiting.remove()
        _waiting = None
    if _processor is not None and "agents" in sys.modules:
        from agents import run as sdk_run

        from agenttrace_nb.capture import mcp, memory, openai_calls, processors

        processors.let_go(_processor)
        current: Any = sdk_run.get_default_agent_runner()
        if current is _runner:
            sdk_run.set_default_agent_runner(current.inner)
        openai_calls.uninstall()
        mcp.unwatch_all()
        memory.unwatch_all()
    if "agenttrace_nb.mlflow_store.bridge" in sys.modules:
        sys.modules["agenttrace_nb.mlflow_store.bridge"].uninstall()
    _processor = _runner = None
