"""A rule of a dashboard that fired goes to every handler, once, as a step that failed; to functions that ask for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bench.models import Kind
from bench.scenarios import SCENARIOS, run
from export.receiver import receiving
from export.recorded import record
from export.test_feed import CUTTER, feed_of, take
from export.test_otlp import decoded, opened

import agenttrace_nb as at
from agenttrace_nb.export import control, functions
from agenttrace_nb.export.handler import Content, Context, Moment, Sent
from agenttrace_nb.export.jsonl import as_json
from agenttrace_nb.export.metrics import MetricBook
from agenttrace_nb.export.outgoing import Cutter
from agenttrace_nb.export.splunk_hec import SplunkHecHandler
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttrace_nb.export.handler import Item

BODY = {
    "rule": "success < 0.9 over 20 runs", "says": "now 70 % of 20 runs", "value": 0.7, "runs": 20, "arch": "triage",
    "since_ns": 1_700_000_000_000_000_000,
}  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "20260101T000000-1-abc.journal")
    yield journal
    journal.close()


def fire(journal: Journal, **body: Any) -> None:
    journal.append(EventKind.ALERT, body=BODY | body, urgent=True)


@pytest.fixture
def alert(journal: Journal) -> Item:
    fire(journal)
    with feed_of(journal) as feed:
        (waiting,) = feed.head(10)
        return waiting.item(CUTTER)[0]


def test_it_is_handed_on_once_between_the_steps_also_after_a_restart(journal: Journal) -> None:
    record(journal, traces=1, spans=2)
    fire(journal)
    with feed_of(journal) as feed:
        first = take(feed, 1)
        rest = take(feed)
        assert sum(one.startswith("alert:") for one in [*first, *rest]) == 1
        assert feed.is_at_end()
    with feed_of(journal) as feed:
        assert take(feed) == []


def test_it_says_which_rule_and_by_what_figure(alert: Item) -> None:
    assert alert.moment is Moment.ALERT
    told = as_json(alert)
    assert told["name"] == "alert: success < 0.9 over 20 runs"
    assert told["status"] == "error"
    assert told["error"]["message"] == "success < 0.9 over 20 runs: now 70 % of 20 runs"
    assert told["attributes"] == {
        "alert.rule": BODY["rule"], "alert.value": 0.7, "alert.runs": 20, "alert.arch": "triage"
    }  # fmt: skip
    json.dumps(told, allow_nan=False)


def test_without_content_the_rule_still_goes_out(journal: Journal) -> None:
    fire(journal)
    with feed_of(journal) as feed:
        item, _ = feed.head(1)[0].item(Cutter(Content.OFF, Redactor()))
    assert item.span.attributes["alert.rule"] == BODY["rule"]


def test_targets_that_take_steps_take_it_and_no_metric_counts_it_as_one(alert: Item) -> None:
    with receiving() as receiver:
        assert opened(endpoint=receiver.url).export((alert,)) == Sent()
        assert [span.name for span in decoded(receiver)] == ["alert: success < 0.9 over 20 runs"]
        splunk = SplunkHecHandler()
        splunk.open(Context(name="splunk", options={"url": receiver.url, "token": Secret("invented", "env:NAME")}))
        event = splunk._event(alert)
    assert (event["fields"]["moment"], event["event"]["attributes"]["alert.value"]) == ("alert", 0.7)
    assert MetricBook().take((alert,)) == []


async def test_a_dashboards_alert_reaches_a_function(
    own_state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: list[Item] = []
    at.handler("pager", signals="alerts")(given.append)
    made = at.dashboard(alerts=["errors >= 0 in 1h"])
    try:
        with at.trace(live=False):
            await run(SCENARIOS["single_agent_with_tool"], Kind.BARE)
        made.refresh()
        assert control.flush("pager")
        assert [item.span.attributes["alert.rule"] for item in given] == ["errors >= 0 in 1h"]
    finally:
        made.close()
        functions.stop_handler("pager")
