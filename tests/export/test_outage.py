"""Half a minute without a target, the kernel and its exporting process killed; a plugin that never comes back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from end_to_end.programs import Program
from export import plugins
from export.receiver import Response, receiving
from export.recorded import record, wait_for
from export.test_process import TAKEN, event_ids_in, journal, lines_of, said, status

from agenttrace_nb.export import control
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.read import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["journal", "said"]

OUTAGE_S = 30.0
SPANS = 3000
RECORD = """
import asyncio
count = 0
async def run_some():
    global count
    while count < 1500:
        with at.trace(live=False) as run:
            await asyncio.gather(*(Runner.run(adder(), "What is 1 + 2?") for _ in range(20)))
        count += sum(len(trace.spans) for trace in run.traces)
asyncio.run(run_some())
from agenttrace_nb.journal.append import process_journal
process_journal().flush()
say(spans=count)
"""


def recorded(folder: Path) -> set[str]:
    """Return the ids of all steps that ended in any journal."""
    found = set()
    for path in folder.glob("*.journal"):
        with contextlib.closing(JournalReader(path)) as reader:
            found |= {f"{e.trace_id}:{e.span_id}" for e in reader.events() if e.kind is EventKind.SPAN_END}
    return found


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_outage_of_half_a_minute_and_a_restart_of_the_kernel_lose_nothing_and_double_nothing(tmp_path):
    program = Program(tmp_path, {"AGENTTRACE_MLFLOW": "off", "SPLUNK_HEC": "invented"})
    journals = tmp_path / "state" / "journals"
    with receiving() as receiver:
        receiver.answer(Response(503))
        began = time.monotonic()
        add = f"at.export_to('splunk-hec', url={receiver.url!r}, token='env:SPLUNK_HEC')\n"
        killed = "time.sleep(3); os.kill(os.getpid(), signal.SIGKILL)\n"
        program.run(add + RECORD + killed, status=-signal.SIGKILL)
        (notes,) = journals.glob("*.exports.json")
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(notes.read_text())["pid"], signal.SIGKILL)
        running = program.start(RECORD + "time.sleep(40)\n")
        try:
            wait_for(lambda: time.monotonic() - began > OUTAGE_S)
            refused = len(receiver.requests)
            assert refused > 5
            receiver.answer(TAKEN)
            expected = recorded(journals)
            assert len(expected) >= SPANS / 2

            def arrived() -> list[str]:
                ids = [found for request in receiver.requests[refused:] for found in event_ids_in(request.body)]
                return [found for found in ids if not found.startswith("run:")]

            wait_for(lambda: recorded(journals) <= set(arrived()) and len(set(arrived())) >= SPANS, seconds=180)
            assert set(arrived()) == recorded(journals)
            assert len(arrived()) == len(set(arrived()))
        finally:
            running.kill()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_plugin_that_never_comes_back_is_named_and_the_others_go_on(tmp_path, monkeypatch, said, request):
    plugins.install(tmp_path / "site", monkeypatch)
    journal = request.getfixturevalue("journal")
    control.export_to("hanging", path=str(tmp_path / "never"))
    control.export_to("jsonl", path=str(tmp_path / "agents.jsonl"))
    record(journal, traces=1, spans=5)
    wait_for(lambda: len(lines_of(tmp_path / "agents.jsonl")) == 6)
    wait_for(lambda: status("hanging").state == "hanging", seconds=90)
    assert any("export hanging: the handler has not come back for 30 s" in line for line in said)
    assert (status("hanging").sent, status("hanging").waiting) == (0, 6)
    record(journal, traces=1, spans=5, first=2, key="second")
    assert control.flush("jsonl")
