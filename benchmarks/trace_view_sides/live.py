"""Spans recorded live as fast as they come, run inside the notebook's kernel: what the view takes of it.

Bytes are counted where a comm hands its message to the kernel. Time is CPU of the threads that are inside the view.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import ROOT
from benchmarks.trace_view_sides.spans import START_NS, trace

sys.path.append(str(ROOT / "tests"))

if TYPE_CHECKING:
    from collections.abc import Callable

LAST = "the last step"


class Taken:
    """What views took: seconds of CPU, and messages and bytes to the browser."""

    def __init__(self) -> None:
        self.cpu_s, self.messages, self.bytes = 0.0, 0, 0
        self._inside = threading.local()

    def watch(self, owner: type, name: str) -> None:
        """Count the time in a method; where watched methods call each other, once."""
        method: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "yes", False):
                return method(*args, **kwargs)
            self._inside.yes, began = True, time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                self._inside.yes = False
                self.cpu_s += time.thread_time() - began

        setattr(owner, name, watched)

    def count_messages(self, *, send: bool) -> None:
        """Count what comms send; without ``send`` it goes no further."""
        from comm.base_comm import BaseComm

        for comm in {BaseComm, *BaseComm.__subclasses__()}:
            if "publish_msg" in vars(comm):
                comm.publish_msg = self._counted(comm.publish_msg, send=send)

    def _counted(self, publish: Callable[..., None], *, send: bool) -> Callable[..., None]:
        from ipykernel.kernelbase import Kernel

        def counted(comm: Any, msg_type: str, *args: Any, **message: Any) -> None:
            if not getattr(self, "silent", False):
                began = time.thread_time()
                self.messages += 1
                buffers = sum(memoryview(b).nbytes for b in message.get("buffers") or ())
                self.bytes += buffers + len(json.dumps(message.get("data"), default=str))
                # What counting takes is not the view's.
                if getattr(self._inside, "yes", False):
                    self.cpu_s -= time.thread_time() - began
            if send:
                publish(comm, msg_type, *args, **message)
            else:
                comm.kernel = Kernel.instance()  # as publishing does; without it a widget sends nothing more

        return counted


def ours(count: int, taken: Taken) -> Callable[[], None]:
    """Return what records and shows so many spans with agenttrace_nb, watched."""
    from views.bus_source import Recorded

    from agenttrace_nb.spans import CellRun, Status
    from agenttrace_nb.views.live import LiveView

    made = trace(count)
    made.spans[-1].name = LAST
    run = CellRun(
        key=f"live {count}",
        name="live",
        start_ns=START_NS,
        end_ns=made.end_ns,
        status=Status.OK,
        trace_ids=[made.trace_id],
    )
    recorded = Recorded(run, [made])
    events = recorded.events()
    for name in ("_show", "_flush", "_finish"):
        taken.watch(LiveView, name)
    view = LiveView(recorded.live)

    def play() -> None:
        view.show()
        for at_ns, kind, body, span in events:
            recorded.append(kind, at_ns, body=dict(body), span=span)
        view.finish()

    return play


def trace_view(count: int, taken: Taken) -> Callable[[], None]:
    """Return what records so many OpenTelemetry spans with `wigglystuff.TraceView`, watched."""
    from IPython.display import display
    from opentelemetry import trace as otel
    from opentelemetry.sdk.trace import TracerProvider
    from wigglystuff import TraceView

    taken.watch(TraceView, "_record")
    provider = TracerProvider()
    tracer = provider.get_tracer("benchmark")

    def play() -> None:
        view = TraceView(title="live")
        provider.add_span_processor(view.span_processor())
        display(view)
        root = tracer.start_span("benchmark")
        within = otel.set_span_in_context(root)
        for number in range(count - 2):
            tracer.start_span(f"tool_{number % 12}", context=within).end()
        tracer.start_span(LAST, context=within).end()
        root.end()

    return play
