"""Items as a handler gets them, from runs of the real SDK: recorded, rebuilt, cut and redacted by the real parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import set_trace_processors
from bench.models import Bench, Kind
from bench.scenarios import SCENARIOS, play
from capture.recording import OPEN_JOURNALS, completed, recording

from agenttrace_nb.capture import install, state
from agenttrace_nb.export.handler import Content, Item
from agenttrace_nb.export.outgoing import Cutter
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.spans import CellRun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agenttrace_nb.spans import Trace

RUN = CellRun(key="run-1", name="cell", start_ns=1, arch="triage", case="order-17", trial="2", tags={"team": "red"})


async def items_of(name: str, folder: Path, content: Content = Content.FULL, kind: Kind = Kind.BARE) -> list[Item]:
    """Play a scenario and return its steps in the order in which they ended; nothing of ours stays in the SDK."""
    one = SCENARIOS[name]
    set_trace_processors([])
    try:
        async with Bench(kind, one.script()) as bench:
            with recording(folder) as rec:
                await play(one, bench)
                return items_from(await completed(rec), content)
    finally:
        install.uninstall()
        state.forget_all()
        while OPEN_JOURNALS:
            OPEN_JOURNALS.pop().close()
        set_trace_processors([])


def items_from(traces: Iterable[Trace], content: Content = Content.FULL, run: CellRun = RUN) -> list[Item]:
    cutter = Cutter(content, Redactor())
    made = []
    for trace in traces:
        by_id = {span.span_id: span for span in trace.spans}
        for span in trace.spans:
            item, _ = cutter.span(span, trace, run, by_id.get(span.parent_id or ""))
            made.append(item)
    return sorted(made, key=lambda item: (item.span.end_ns or 0, -item.span.start_ns))
