"""Splunk's own client asks a stub, and reads what the stub says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from sources.answering import Answer, Answering, Asked, answering

from agenttrace_nb.config import OptionError
from agenttrace_nb.sources import SourceError
from agenttrace_nb.sources.pull import pull

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
TRACE = "a" * 32
INFO = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:s="http://dev.splunk.com/ns/rest"><title>server-info</title>
<entry><title>server-info</title><content type="text/xml"><s:dict><s:key name="version">9.3.1</s:key></s:dict></content>
</entry></feed>"""
ROWS = [
    {"preview": True, "result": {"_time": "2026-01-31T09:01:00.000+00:00", "host": "a", "cpu": "99"}},
    {"preview": False, "result": {"_time": "2026-01-31T09:01:00.000+00:00", "host": "a", "cpu": "0.1", "queue": "7"}},
    {
        "preview": False,
        "result": {"_time": "2026-01-31T10:02:00.250+01:00", "host": "nan", "cpu": "1e-3", "trace_id": TRACE},
    },
    {"preview": False, "lastrow": True, "result": {"_time": "1769850180", "host": "a", "cpu": "NaN5", "queue": "8"}},
]


def said(asked: Asked, rows: list[dict[str, Any]] | None = None) -> Answer:
    if asked.path.startswith("/services/server/info"):
        return Answer(body=INFO, headers={"content-type": "text/xml"})
    if asked.path.startswith("/services/auth/login"):
        return Answer(body="<response><sessionKey>invented</sessionKey></response>")
    return Answer(body="\n".join(json.dumps(row) for row in (ROWS if rows is None else rows)))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    monkeypatch.setenv("SPLUNK_TEST", "invented-token")
    with answering(said) as started:
        yield started


def ask(stub: Answering, query: str = "index=ops | timechart span=1m avg(cpu) by host", **more: Any) -> Any:
    options = {"url": stub.url, "token": "env:SPLUNK_TEST", **more}
    return pull("splunk", query, start=START, end=START + timedelta(minutes=5), step=60, store=False, **options)


def test_the_search_is_exported_for_the_period_with_the_token(stub: Answering) -> None:
    ask(stub)
    (asked,) = [one for one in stub.asked if "export" in one.path]
    assert asked.headers["authorization"] == "Bearer invented-token"
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    assert form["search"] == "search index=ops | timechart span=1m avg(cpu) by host"
    assert form["output_mode"] == "json"
    assert float(form["earliest_time"]) == START.timestamp()
    assert float(form["latest_time"]) == START.timestamp() + 300.001


def test_a_search_that_begins_with_a_command_is_left_as_it_is(stub: Answering) -> None:
    ask(stub, "| mstats avg(cpu) span=1m")
    (asked,) = [one for one in stub.asked if "export" in one.path]
    assert parse_qs(asked.body.decode())["search"] == ["| mstats avg(cpu) span=1m"]


def test_fields_with_numbers_are_metrics_and_the_others_labels(stub: Answering) -> None:
    frame = ask(stub)
    columns = frame[["time", "value", "metric", "host", "trace_id"]].itertuples(index=False, name=None)
    rows = [(time.isoformat(), *rest) for time, *rest in columns]
    assert sorted(rows, key=str) == [
        ("2026-01-31T09:01:00+00:00", 0.1, "cpu", "a", None),
        ("2026-01-31T09:01:00+00:00", 7.0, "queue", "a", None),
        ("2026-01-31T09:02:00.250000+00:00", 0.001, "cpu", "nan", TRACE),
        ("2026-01-31T09:03:00+00:00", 8.0, "queue", "a", None),
    ]


def test_user_and_password_log_in(stub: Answering) -> None:
    ask(stub, token=None, user="me", password="env:SPLUNK_TEST")
    login, *_ = stub.asked
    assert login.path == "/services/auth/login"
    assert parse_qs(login.body.decode()) == {"username": ["me"], "password": ["invented-token"], "cookie": ["1"]}
    assert stub.asked[-1].headers["authorization"] == "Splunk invented"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"messages": [{"type": "FATAL", "text": "Unknown search command 'zap'."}]}], "Unknown search command 'zap'"),
        ([{"preview": False, "result": {"count": "5"}}], "rows without _time, .* end it with a timechart"),
    ],
)
def test_a_search_without_values_over_time_is_named(stub: Answering, rows: list[dict[str, Any]], words: str) -> None:
    stub.answer = lambda asked: said(asked, rows)
    with pytest.raises(SourceError, match=words):
        ask(stub)


@pytest.mark.parametrize(("status", "words"), [(401, "refuses these cred"), (403, "refuses these"), (400, "HTTP 400")])
def test_what_goes_wrong_is_said_in_words(stub: Answering, status: int, words: str) -> None:
    refused = "<response><messages><msg type='FATAL'>no such thing</msg></messages></response>"
    stub.answer = lambda _: Answer(status, refused, {"content-type": "text/xml"})
    with pytest.raises(SourceError, match=words) as raised:
        ask(stub)
    assert "invented" not in str(raised.value)


def test_a_page_that_is_no_splunk_a_silent_address_and_missing_credentials_are_named(stub: Answering) -> None:
    stub.answer = lambda _: Answer(body="<html>hello</html>")
    with pytest.raises(SourceError, match="does not answer as Splunk does"):
        ask(stub)
    with pytest.raises(SourceError, match="does not answer: Connection refused; is it the management port"):
        ask(stub, url="http://127.0.0.1:9")
    with pytest.raises(OptionError, match="token must be given, or user and password"):
        ask(stub, token=None)


def test_a_certificate_that_nobody_knows_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    import http.server
    import ssl
    import threading

    import trustme

    monkeypatch.setenv("SPLUNK_TEST", "invented-token")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(401)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        options = {"url": f"https://127.0.0.1:{server.server_port}", "token": "env:SPLUNK_TEST", "store": False}
        try:
            with pytest.raises(SourceError, match=r"does not answer: .*unable to get local issuer certificate"):
                pull("splunk", "index=a", start=START, **options)
            assert not asked
            authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            with pytest.raises(SourceError, match="refuses these credentials"):
                pull("splunk", "index=a", start=START, ca_file=str(tmp_path / "ca.pem"), **options)
            assert asked
        finally:
            server.shutdown()
            thread.join()
