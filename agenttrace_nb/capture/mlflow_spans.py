"""The user's own MLflow spans inside a tool, and MLflow's autologging kept from storing a run twice."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agenttrace_nb.capture.state import OpenTrace


def enter_tool(trace: OpenTrace, span_id: str) -> Callable[[], None] | None:
    """Let MLflow spans that start in this context become children of a tool span; return how to leave."""
    if "mlflow" not in sys.modules:
        return None
    from agenttrace_nb.mlflow_store import bridge

    manager = bridge.tool_context(trace.trace_id, span_id)
    manager.__enter__()

    def leave() -> None:
        manager.__exit__(None, None, None)

    return leave


@contextlib.contextmanager
def suppressed() -> Iterator[None]:
    """Keep MLflow's own tracing of the SDK silent inside."""
    if "mlflow" not in sys.modules:
        yield
        return
    from agenttrace_nb.mlflow_store import bridge

    with bridge.suppressed():
        yield


def journal_span(*_: Any) -> None:
    """Placeholder."""
