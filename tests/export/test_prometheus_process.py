"""From a journal through the process that exports to an address that Prometheus can fetch from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests
from export.recorded import begin_run, begin_span, begin_trace, end_run, end_span, end_trace, record, wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agenttrace_nb.export import control, notices, process
from agenttrace_nb.journal.append import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "20260101T000000-1-abc"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path))
    (tmp_path / "journals").mkdir(mode=0o700)
    made = Journal(tmp_path / "journals" / f"{NAME}.journal")
    monkeypatch.setattr(control, "process_journal", lambda: made)
    yield made
    made.close()
    if (exporting := process._exportings.pop(made.path, None)) is not None:
        exporting.close()
        exporting.companion.process.wait(90)
        wait_for(lambda: exporting.companion._thread is None)


@pytest.mark.timeout(180)
def test_the_port_is_told_to_the_user_and_what_was_recorded_is_there(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setattr(notices, "_listener", said.append)
    control.export_to("prometheus", discovery=str(tmp_path / "targets"))
    record(journal, traces=3, spans=5)
    begin_run(journal, "priced", arch="triage")
    begin_trace(journal, 9, "priced")
    begin_span(journal, 9, 0, "priced", kind="llm", name="gpt-4o-mini")
    usage = {"model": "gpt-4o-mini", "input_tokens": 320, "output_tokens": 41}
    end_span(journal, 9, 0, "priced", **usage)
    end_trace(journal, 9, "priced")
    end_run(journal, "priced")
    journal.flush()
    assert control.flush("prometheus", 90)
    wait_for(lambda: said)
    match = re.fullmatch(r"export prometheus: serves (http://127\.0\.0\.1:\d+/metrics)", said[0])
    assert match, said
    assert match[1].split("/")[2] in (tmp_path / "targets" / f"agenttrace-{NAME}.json").read_text("utf-8")
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    text = requests.get(match[1], headers=accept, timeout=30).text
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["agenttrace_runs_total", ("arch", ""), ("status", "ok")] == 1
    (cost,) = [value for (name, *_), value in samples.items() if name == "agenttrace_cost_usd_total"]
    assert cost == pytest.approx(320 * 0.15e-6 + 41 * 0.6e-6)  # by MLflow's table: nobody else has said
    (target,) = [dict(key[1:]) for key in samples if key[0] == "target_info"]
    assert target["service_instance_id"] == NAME
