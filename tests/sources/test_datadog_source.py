"""Datadog's own client asks a stub, and its own models read what the stub says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sources.answering import Answer, Answering, Asked, answering

from agenttrace_nb.config import OptionError
from agenttrace_nb.sources import SourceError
from agenttrace_nb.sources.pull import pull

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
KEYS = {"api_key": "env:DD_TEST_API", "app_key": "env:DD_TEST_APP"}


def series(asked: Asked) -> Answer:
    """Two hosts; one of them is silent every third time."""
    wanted = json.loads(asked.body)["data"]["attributes"]
    step = wanted["interval"]
    times = list(range(-(-wanted["from"] // step) * step, wanted["to"], step))  # on its own grid
    values = [[(at - START_MS) / 7 for at in times], [None if n % 3 == 0 else n + 0.1 for n, _ in enumerate(times)]]
    tags = [["host:a", "env:prod:eu"], ["host:b"]]
    attributes = {
        "series": [{"group_tags": these, "query_index": 0, "unit": None} for these in tags],
        "times": times, "values": values,
    }  # fmt: skip
    return Answer(body=json.dumps({"data": {"type": "timeseries_response", "attributes": attributes}}))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    monkeypatch.setenv("DD_TEST_API", "invented-api-key")
    monkeypatch.setenv("DD_TEST_APP", "invented-app-key")
    with answering(series) as started:
        yield started


def ask(stub: Answering, minutes: float = 10, step: Any = 60, **more: Any) -> Any:
    options = {"url": stub.url, **KEYS, **more}
    end = START + timedelta(minutes=minutes)
    return pull("datadog", "avg:load{*} by {host}", start=START, end=end, step=step, store=False, **options)


def test_the_query_is_sent_as_it_is_with_both_keys(stub: Answering) -> None:
    ask(stub)
    (asked,) = stub.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/query/timeseries")
    assert asked.headers["dd-api-key"] == "invented-api-key"
    assert asked.headers["dd-application-key"] == "invented-app-key"
    wanted = json.loads(asked.body)["data"]["attributes"]
    assert wanted["queries"] == [{"data_source": "metrics", "name": "a", "query": "avg:load{*} by {host}"}]
    assert (wanted["from"], wanted["to"], wanted["interval"]) == (START_MS, START_MS + 600_001, 60_000)


def test_values_labels_and_gaps_come_as_they_are(stub: Answering) -> None:
    frame = ask(stub)
    a, b = frame[frame["host"] == "a"], frame[frame["host"] == "b"]
    assert a["value"].tolist() == [60_000 * n / 7 for n in range(11)]
    assert [at.value // 1_000_000 for at in a["time"]] == [START_MS + 60_000 * n for n in range(11)]
    assert set(a["env"]) == {"prod:eu"}
    assert b["value"].tolist() == [n + 0.1 for n in range(11) if n % 3]
    assert frame.attrs["nan"] == 0  # a time without a value is none


def test_a_long_period_is_asked_for_in_parts(stub: Answering) -> None:
    frame = ask(stub, minutes=60, step=1)
    assert len(stub.asked) == 4
    a = frame[frame["host"] == "a"]
    assert [at.value // 1_000_000 for at in a["time"]] == [START_MS + 1000 * n for n in range(3601)]


def test_an_odd_start_loses_no_time_between_the_parts(stub: Answering) -> None:
    start = START + timedelta(milliseconds=400)
    frame = pull(
        "datadog", "q", start=start, end=start + timedelta(minutes=60), step=1, store=False, url=stub.url, **KEYS
    )
    a = frame[frame["host"] == "a"]
    assert [at.value // 1_000_000 for at in a["time"]] == [START_MS + 1000 * n for n in range(1, 3601)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(403, '{"errors":["Forbidden"]}'), "refuses these keys; see api_key, app_key and site"),
        (Answer(401, '{"errors":["Unauthorized"]}'), "refuses these keys"),
        (Answer(400, '{"errors":["unknown function zap"]}'), r"refuses this query \(HTTP 400\): unknown function zap"),
        (Answer(200, '{"errors":"too many series"}'), "refuses this query: too many series"),
        (Answer(200, "<html>", {"content-type": "text/html"}), "does not answer as Datadog does"),
        (Answer(200, '{"data": {"attributes": {"times": "x"}}}'), "does not answer as Datadog does"),
    ],
)
def test_what_goes_wrong_is_said_in_words(stub: Answering, answer: Answer, words: str) -> None:
    stub.answer = lambda _: answer
    with pytest.raises(SourceError, match=words) as raised:
        ask(stub)
    assert "invented" not in str(raised.value)


def test_a_silent_address_is_named(monkeypatch: pytest.MonkeyPatch, stub: Answering) -> None:
    with pytest.raises(SourceError, match=r"Datadog at http://127.0.0.1:9 does not answer"):
        ask(stub, url="http://127.0.0.1:9")


def test_a_wrong_site_and_missing_keys_are_named(stub: Answering) -> None:
    with pytest.raises(OptionError, match=r"site='datadoghq\.de' is not known; .*Did you mean datadoghq\.eu"):
        pull("datadog", "q", start=START, site="datadoghq.de", **KEYS)
    with pytest.raises(OptionError, match="api_key must be given: reference to an API key"):
        pull("datadog", "q", start=START)
