"""Trace, understand, compare and prove what OpenAI Agents did, without leaving the notebook.

::

    %load_ext agenttrace_nb

    %%trace_agents --arch planner-executor --case task-17 --role Planner=planner
    result = await Runner.run(planner, "Rebook my flight")

Outside notebooks, ``with agenttrace_nb.trace(arch="planner-executor"): ...`` does the same. Names are imported when
they are first used: ``import agenttrace_nb`` itself loads neither MLflow nor the SDK.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from agenttrace_nb import audit as audit
    from agenttrace_nb.analysis.failure_patterns import failure_patterns
    from agenttrace_nb.analysis.failures.attribution import Attribution, Candidate, attribute_failure
    from agenttrace_nb.analysis.latency import latency
    from agenttrace_nb.analysis.search import load, search
    from agenttrace_nb.analysis.trace_set import TraceSet
    from agenttrace_nb.capture.active import set_role
    from agenttrace_nb.config import OptionError
    from agenttrace_nb.export.control import export_to
    from agenttrace_nb.export.functions import handler
    from agenttrace_nb.replay import replay, save_recording
    from agenttrace_nb.sources.pull import pull
    from agenttrace_nb.spans import Agent, CellRun, Message, Span, SpanError, SpanKind, Status, Trace
    from agenttrace_nb.tracing import Run, last, show, trace
    from agenttrace_nb.tracing.cases import run_cases
    from agenttrace_nb.tracing.dashboard import dashboard
    from agenttrace_nb.tracing.feedback import rate, report_error
    from agenttrace_nb.views.comparison import Comparison, compare
    from agenttrace_nb.views.context_report import ContextReport, context_report
    from agenttrace_nb.views.diff import TraceDiff, diff
    from agenttrace_nb.views.durations import Durations, durations
    from agenttrace_nb.views.exports import Exports, exports
    from agenttrace_nb.views.heatmap import Heatmap, error_heatmap
    from agenttrace_nb.views.overlay import Overlay, overlay

__all__ = [
    "Agent",
    "Attribution",
    "Candidate",
    "CellRun",
    "Comparison",
    "ContextReport",
    "Durations",
    "Exports",
    "Heatmap",
    "Message",
    "OptionError",
    "Overlay",
    "Run",
    "Span",
    "SpanError",
    "SpanKind",
    "Status",
    "Trace",
    "TraceDiff",
    "TraceSet",
    "attribute_failure",
    "compare",
    "context_report",
    "dashboard",
    "diff",
    "durations",
    "error_heatmap",
    "export_to",
    "exports",
    "failure_patterns",
    "handler",
    "last",
    "latency",
    "load",
    "overlay",
    "pull",
    "rate",
    "replay",
    "report_error",
    "run_cases",
    "save_recording",
    "search",
    "set_role",
    "show",
    "trace",
]

_HOME_OF = {
    "Agent": "spans",
    "Attribution": "analysis.failures.attribution",
    "Candidate": "analysis.failures.attribution",
    "CellRun": "spans",
    "Comparison": "views.comparison",
    "ContextReport": "views.context_report",
    "Durations": "views.durations",
    "Exports": "views.exports",
    "Heatmap": "views.heatmap",
    "Message": "spans",
    "OptionError": "config",
    "Overlay": "views.overlay",
    "Run": "tracing",
    "Span": "spans",
    "SpanError": "spans",
    "SpanKind": "spans",
    "Status": "spans",
    "Trace": "spans",
    "TraceDiff": "views.diff",
    "TraceSet": "analysis.trace_set",
    "attribute_failure": "analysis.failures.attribution",
    "compare": "views.comparison",
    "context_report": "views.context_report",
    "dashboard": "tracing.dashboard",
    "diff": "views.diff",
    "durations": "views.durations",
    "error_heatmap": "views.heatmap",
    "export_to": "export.control",
    "exports": "views.exports",
    "failure_patterns": "analysis.failure_patterns",
    "handler": "export.functions",
    "last": "tracing",
    "latency": "analysis.latency",
    "load": "analysis.search",
    "overlay": "views.overlay",
    "pull": "sources.pull",
    "rate": "tracing.feedback",
    "replay": "replay",
    "report_error": "tracing.feedback",
    "run_cases": "tracing.cases",
    "save_recording": "replay",
    "search": "analysis.search",
    "set_role": "capture.active",
    "show": "tracing",
    "trace": "tracing",
}

_ROOMS = frozenset({"audit"})
"""Rooms that are used under their own name: ``at.audit.verify()``."""


class _Package(ModuleType):
    """The package itself: importing the room ``replay`` must not put it in the place of the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in _ROOMS:
        return import_module(f"agenttrace_nb.{name}")
    if name not in _HOME_OF:
        from agenttrace_nb.config import did_you_mean

        msg = f"module 'agenttrace_nb' has no attribute {name!r}.{did_you_mean(name, __all__)}"
        raise AttributeError(msg, name=name, obj=None)  # without `obj` Python adds no second hint
    value = getattr(import_module(f"agenttrace_nb.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return [*__all__, *_ROOMS, "__version__"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add ``%%trace_agents`` to a shell; called by ``%load_ext agenttrace_nb``."""
    import_module("agenttrace_nb.magics").load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take ``%%trace_agents`` away again; called by ``%unload_ext agenttrace_nb``."""
    import_module("agenttrace_nb.magics").unload(shell)
