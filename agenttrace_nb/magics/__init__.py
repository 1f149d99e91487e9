"""The IPython face: ``%load_ext agenttrace_nb``. The only code that hooks cells."""

from __future__ import annotations

import asyncio
import contextlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from agenttrace_nb.config import forget_options
from agenttrace_nb.magics.cell import NAME, rewrite
from agenttrace_nb.magics.config_magic import AgentTrace
from agenttrace_nb.magics.export_magic import NAME as EXPORT
from agenttrace_nb.magics.export_magic import ExportMagics
from agenttrace_nb.magics.extension import AgentTraceMagics, TracedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from IPython.core.interactiveshell import InteractiveShell

_EVENTS = {"pre_run_cell": "cell_begins", "post_run_cell": "cell_ended"}

_NEEDED_BY_THE_FIRST_RUN = ("tracing", "views.live", "views.static_html", "views.widget")
_PAUSE_S = 0.05


def _trace(**options: Any) -> TracedRun:
    from agenttrace_nb.tracing import trace

    run: TracedRun = trace(**options)
    return run


def load(shell: InteractiveShell, engine: Callable[..., TracedRun] = _trace) -> None:
    """Add the magics, their completion and ``%config AgentTrace`` to a shell; loading twice changes nothing."""
    if _loaded(shell) is not None:
        return
    magics = AgentTraceMagics(shell, engine)
    shell.register_magics(magics, ExportMagics)
    shell.configurables.append(cast("Any", AgentTrace(parent=shell)))
    shell.input_transformers_cleanup.append(rewrite)
    for event, method in _EVENTS.items():
        shell.events.register(event, getattr(magics, method))
    with contextlib.suppress(ImportError):  # before 8.6 IPython could not be told to offer nothing else
        from agenttrace_nb.magics.completion import complete

        shell.Completer.custom_matchers.append(complete)
    with contextlib.suppress(RuntimeError):  # a terminal has no loop between its cells
        _warm_up(asyncio.get_running_loop(), iter(_NEEDED_BY_THE_FIRST_RUN))


def _warm_up(loop: asyncio.AbstractEventLoop, rooms: Iterator[str]) -> None:
    """Import what the first traced cell needs while the kernel is idle, one room at a time.

    On the loop and not in a thread: two threads that import the same packages can see half of one.
    """

    def import_next() -> None:
        room = next(rooms, None)
        if room is None:
            return
        with contextlib.suppress(Exception):  # the first traced cell will say what is wrong
            import_module(f"agenttrace_nb.{room}")
        loop.call_later(_PAUSE_S, import_next)

    loop.call_later(_PAUSE_S, import_next)


def unload(shell: InteractiveShell) -> None:
    """Take everything away that `load` and traced cells added, and end what is being traced."""
    from agenttrace_nb.capture.install import uninstall

    magics = _loaded(shell)
    if magics is None:
        return
    for event, method in _EVENTS.items():
        shell.events.unregister(event, getattr(magics, method))
    magics.end_all()
    shell.input_transformers_cleanup[:] = [t for t in shell.input_transformers_cleanup if t is not rewrite]
    manager = shell.magics_manager
    for kind in ("line", "cell"):
        for name in (NAME, EXPORT):
            manager.magics[kind].pop(name, None)
    ours = {type(magics).__name__, ExportMagics.__name__, AgentTrace.__name__}
    for name in ours:
        manager.registry.pop(name, None)
    shell.configurables[:] = [c for c in shell.configurables if type(c).__name__ not in ours]
    matchers = getattr(shell.Completer, "custom_matchers", [])
    matchers[:] = [m for m in matchers if m.__module__ != f"{__name__}.completion"]
    forget_options()
    uninstall()


def _loaded(shell: InteractiveShell) -> AgentTraceMagics | None:
    found: AgentTraceMagics | None = shell.magics_manager.registry.get(AgentTraceMagics.__name__)
    return found
