"""The SDK's list of trace processors: ours first, and MLflow's silent on what is recorded here."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from agents import TracingProcessor
from agents.tracing import get_trace_provider

from agenttrace_nb.capture.state import TRACES

_REMEMBERED = 1000


class KeepsSilent(TracingProcessor):
    """Passes on to another processor whatever is not recorded by this package.

    MLflow's autologging would store a recorded trace once more. Outside traced cells it works as ever.
    """

    def __init__(self, inner: TracingProcessor) -> None:
        self.inner = inner
        self._recorded: OrderedDict[str, None] = OrderedDict()

    def _is_recorded(self, trace_id: str) -> bool:
        if trace_id in TRACES:
            self._recorded[trace_id] = None
            while len(self._recorded) > _REMEMBERED:
                self._recorded.popitem(last=False)
        return trace_id in self._recorded

    def on_trace_start(self, trace: Any) -> None:
        """Pass on, unless the trace is recorded."""
        if not self._is_recorded(trace.trace_id):
            self.inner.on_trace_start(trace)

    def on_trace_end(self, trace: Any) -> None:
        """Pass on, unless the trace is recorded."""
        if not self._is_recorded(trace.trace_id):
            self.inner.on_trace_end(trace)

    def on_span_start(self, span: Any) -> None:
        """Pass on, unless the trace is recorded."""
        if not self._is_recorded(span.trace_id):
            self.inner.on_span_start(span)

    def on_span_end(self, span: Any) -> None:
        """Pass on, unless the trace is recorded."""
        if not self._is_recorded(span.trace_id):
            self.inner.on_span_end(span)

    def shutdown(self) -> None:
        """Pass on."""
        self.inner.shutdown()

    def force_flush(self) -> None:
        """Pass on."""
        self.inner.force_flush()


def keep_first(ours: TracingProcessor) -> None:
    """Put our processor first in the list, and keep it there whoever writes the list.

    ``mlflow.openai.autolog()`` empties the list, also in the middle of a cell. The list has no public reader; where
    the SDK's own holder of it is not as expected, the processor is only added.
    """
    multi = getattr(get_trace_provider(), "_multi_processor", None)
    if multi is None or not hasattr(multi, "set_processors"):
        get_trace_provider().register_processor(ours)
        return
    if "set_processors" in vars(multi):
        return
    write = multi.set_processors

    def set_processors(processors: Any) -> None:
        write(_arranged(processors, ours))

    def add_tracing_processor(processor: TracingProcessor) -> None:
        write(_arranged([*_list_of(multi), processor], ours))

    set_processors(_list_of(multi))
    multi.set_processors = set_processors
    multi.add_tracing_processor = add_tracing_processor


def let_go(ours: TracingProcessor) -> None:
    """Leave the list as it was found."""
    multi = getattr(get_trace_provider(), "_multi_processor", None)
    if multi is None:
        return
    for name in ("set_processors", "add_tracing_processor"):
        vars(multi).pop(name, None)
    rest = [p.inner if isinstance(p, KeepsSilent) else p for p in _list_of(multi) if p is not ours]
    multi.set_processors(rest)


def _list_of(multi: Any) -> list[TracingProcessor]:
    return list(multi._processors)  # noqa: SLF001 - it has no public reader


def _arranged(processors: Any, ours: TracingProcessor) -> list[TracingProcessor]:
    others = [p for p in processors if p is not ours]
    return [ours, *(KeepsSilent(p) if type(p).__module__.split(".")[0] == "mlflow" else p for p in others)]
