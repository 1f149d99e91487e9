"""A real Prometheus is asked, and its values come to the last digit."""

from __future__ import annotations

import itertools
import json
import math
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from export.ended import some_of_everything
from interop.servers import program, prometheus, wait_until
from sources.answering import Answer, Answering, answering

from agenttrace_nb.config import OptionError
from agenttrace_nb.export.handler import Context
from agenttrace_nb.export.prometheus import PrometheusHandler
from agenttrace_nb.secrets import SecretError
from agenttrace_nb.sources import SourceError
from agenttrace_nb.sources.join import join
from agenttrace_nb.sources.pull import pull
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.servers import Server

POINTS = 23_000  # more than twice what Prometheus gives at once
END_S = (int(datetime.now(UTC).timestamp()) - 3600) // 60 * 60
START_S = END_S - POINTS + 1
START, END = (datetime.fromtimestamp(at, UTC) for at in (START_S, END_S))
TOKEN = "invented-token-for-tests"


def odd_value(at: int) -> float:
    """A value that has many digits."""
    return math.sin(at) * 10 ** (at % 19 - 9)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prometheus")
    _write_history(folder)
    with prometheus(folder) as started:
        yield started


def _write_history(folder: Path) -> None:
    """Hours of values from before it was started, by Prometheus' own program."""
    seconds = range(START_S, END_S + 1)
    lines = ["# TYPE cpu_load gauge"]
    lines += [f'cpu_load{{host="{host}"}} {odd_value(at + ord(host))!r} {at}' for host in "ab" for at in seconds]
    special = {0: "NaN", 60: "1.5", 120: "+Inf", 180: "-Inf", 240: "2.5"}
    lines += ["# TYPE queue_depth gauge"]
    lines += [f"queue_depth {value} {END_S - 600 + at}" for at, value in special.items()]
    (folder / "history.txt").write_text("\n".join([*lines, "# EOF", ""]), "utf-8")
    promtool = program("promtool", server="prometheus")
    words = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", "--quiet", "history.txt", "data"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def raw(server: Server, query: str, start_s: int, end_s: int, step: str) -> dict[str, list[tuple[int, float]]]:
    found = server.get("/api/v1/query_range", query=query, start=start_s, end=end_s, step=step)["data"]["result"]
    return {one["metric"].get("host", ""): [(round(at * 1000), float(v)) for at, v in one["values"]] for one in found}


def by_host(frame: Any) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for at, value, host in zip(frame["time"], frame["value"], frame["host"], strict=True):
        found.setdefault(host, []).append((at.value // 1_000_000, value))
    return found


def test_values_are_the_servers_to_the_last_digit(server: Server) -> None:
    frame = pull("prometheus", "cpu_load", start=END - timedelta(hours=2), end=END, step=1, url=server.url, store=False)
    assert by_host(frame) == raw(server, "cpu_load", END_S - 7200, END_S, "1")
    assert by_host(frame)["a"] == [(at * 1000, odd_value(at + ord("a"))) for at in range(END_S - 7200, END_S + 1)]
    assert list(frame.columns) == ["time", "value", "metric", "host", "trace_id"]
    assert str(frame["time"].dt.tz) == "UTC"
    assert set(frame["metric"]) == {"cpu_load"}
    assert frame["trace_id"].isna().all()


def test_more_than_eleven_thousand_values_are_asked_for_in_parts_without_gap_or_double(server: Server) -> None:
    refused = pytest.raises(AssertionError, match="11,000")
    with refused:
        raw(server, "cpu_load", START_S, END_S, "1")
    frame = pull("prometheus", "cpu_load", start=START, end=END, step="1s", url=server.url, store=False)
    expected = {host: [(at * 1000, odd_value(at + ord(host))) for at in range(START_S, END_S + 1)] for host in "ab"}
    assert by_host(frame) == expected


def test_a_step_below_a_second_and_an_odd_start_are_kept(server: Server) -> None:
    start = END - timedelta(seconds=30, milliseconds=-125)
    frame = pull("prometheus", "cpu_load", start=start, end=END, step="250ms", url=server.url, store=False)
    times = by_host(frame)["a"]
    assert times[0][0] == END_S * 1000 - 30_000 + 125
    assert {b[0] - a[0] for a, b in itertools.pairwise(times)} == {250}
    assert frame.attrs["step_s"] == 0.25


def test_nan_is_dropped_and_infinity_refused_and_both_are_counted(server: Server) -> None:
    start, end = END - timedelta(seconds=600), END - timedelta(seconds=360)
    with pytest.warns(UserWarning, match="2 infinite values of 'queue_depth' were left out"):
        frame = pull("prometheus", "queue_depth", start=start, end=end, step="1m", url=server.url, store=False)
    assert frame["value"].tolist() == [1.5, 2.5]
    assert (frame.attrs["nan"], frame.attrs["infinite"]) == (1, 2)


def test_nothing_found_is_an_empty_frame(server: Server) -> None:
    frame = pull("prometheus", "no_such_metric", start=START, end=END, step="1h", url=server.url)
    assert len(frame) == 0
    assert list(frame.columns) == ["time", "value", "metric", "trace_id"]
    assert frame.attrs["run_id"] is None


def test_an_expression_is_its_own_name_and_a_scalar_has_no_labels(server: Server) -> None:
    frame = pull("prometheus", "vector(1)", start=START, end=END, step="1h", url=server.url, store=False)
    assert set(frame["metric"]) == {"vector(1)"}


@pytest.mark.timeout(180)
def test_exemplars_name_the_traces_behind_values(server: Server) -> None:
    handler, items = PrometheusHandler(), some_of_everything()
    handler.open(Context(name="here", options={"discovery": str(server.folder / "targets")}, resource={"a.b": "c"}))
    query = 'histogram_quantile(0.9, sum by (le, tool) (gen_ai_execute_tool_duration_seconds_bucket{tool="search"}))'
    try:
        handler.export(tuple(items))

        def named() -> Any:
            found = pull(
                "prometheus", query, start=timedelta(seconds=60), step=1, url=server.url, store=False,
            )  # fmt: skip
            return [found] if found["trace_id"].notna().any() else None

        (frame,) = wait_until(named, "a value with its trace")
    finally:
        handler.close()
    searches = {item.span.trace_id for item in items if item.span and item.span.name == "search"}
    assert set(frame["trace_id"].dropna()) <= searches
    assert set(frame["tool"]) == {"search"}
    traces = [Trace(trace_id=one, name="t", start_ns=0, end_ns=1, run_id=f"run of {one}") for one in searches]
    joined = join(frame, traces)
    exact = joined[joined["joined"] == "trace id"]
    assert set(exact["run_id"]) == {f"run of {one}" for one in frame["trace_id"].dropna()}
    assert joined.loc[frame["trace_id"].isna(), "joined"].isna().all()


def test_a_query_that_it_does_not_understand_is_named_in_its_words(server: Server) -> None:
    with pytest.raises(SourceError, match=r"at http://127\.0\.0\.1:\d+ refuses this query .*unclosed left paren"):
        pull("prometheus", "rate(cpu_load[1m]", start=START, end=END, url=server.url)


def test_a_wrong_path_and_a_wrong_port_are_named(server: Server) -> None:
    with pytest.raises(SourceError, match="and not as Prometheus does: is the address right"):
        pull("prometheus", "up", start=START, end=END, url=f"{server.url}/wrong")
    with socket.socket() as bound:  # bound and not listening: nobody else gets it meanwhile
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(SourceError, match="does not answer: Connection refused; is it running"):
            pull("prometheus", "up", start=START, end=END, url=f"http://127.0.0.1:{bound.getsockname()[1]}")


# ------------------------------------------------------------------------------------------------- credentials


@pytest.fixture
def stub() -> Iterator[Answering]:
    empty = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}})
    with answering(lambda _: Answer(body=empty)) as started:
        yield started


def ask(stub: Answering, source: str = "prometheus", **options: Any) -> Any:
    return pull(source, "up", start=START, end=END, url=stub.url, store=False, **options)


def test_credentials_and_headers_are_sent_as_they_are_meant(stub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    ask(stub, token="env:SOME_TOKEN", tenant="team", headers={"X-Team": "a", "X-Api-Key": "env:SOME_TOKEN"})
    sent = stub.asked[0].headers
    assert sent["authorization"] == f"Bearer {TOKEN}"
    assert (sent["x-scope-orgid"], sent["x-team"], sent["x-api-key"]) == ("team", "a", TOKEN)
    ask(stub, user="me", password="env:SOME_TOKEN")
    assert stub.asked[-1].headers["authorization"].startswith("Basic ")


def test_what_netrc_holds_is_sent_to_nobody(stub: Answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {TOKEN}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(stub)
    assert "authorization" not in stub.asked[0].headers


def test_grafana_is_asked_through_its_proxy(stub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    ask(stub, "grafana", datasource="PBFA97CFB590B2093", token="env:SOME_TOKEN")
    assert stub.asked[0].path == "/api/datasources/proxy/uid/PBFA97CFB590B2093/api/v1/query_range"
    assert stub.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(OptionError, match=r"datasource='\.\./\.\./x' is not allowed"):
        ask(stub, "grafana", datasource="../../x")
    with pytest.raises(OptionError, match="datasource must be given: uid of the data source"):
        ask(stub, "grafana")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401, "no"), r"refuses these credentials \(HTTP 401\); see user, password and token"),
        (Answer(403, '{"status":"error","error":"forbidden"}'), r"refuses these credentials \(HTTP 403\): forbidden"),
        (Answer(429, "slow"), r"takes no more requests for now \(HTTP 429\)"),
        (Answer(302, "", {"location": "http://127.0.0.1/login"}), r"HTTP 302, .*sends us to http://127.0.0.1/login"),
        (Answer(200, "<html>log in</html>"), "not as Prometheus does: a page to log in at"),
        (Answer(502, "<html>"), r"answers with HTTP 502, .*the server well"),
        (Answer(503, '{"status":"error","error":"query timed out"}'), r"refuses this query \(HTTP 503\): query timed"),
        (Answer(200, "[1, 2]"), "not as Prometheus does"),
        (Answer(200, '{"status":"success","data":{"resultType":"streams","result":[]}}'), "answers with streams, not"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_words(stub: Answering, answer: Answer, words: str) -> None:
    stub.answer = lambda _: answer
    with pytest.raises(SourceError, match=words) as told:
        ask(stub)
    assert told.value.__context__ is None  # no parser's tracebacks above it


@pytest.mark.parametrize(
    "option", [{"token": TOKEN}, {"user": "me", "password": TOKEN}, {"headers": {"Api-Key": TOKEN}}]
)
def test_a_secret_itself_is_refused_and_not_repeated(stub: Answering, option: dict[str, Any]) -> None:
    with pytest.raises(SecretError) as refused:
        ask(stub, **option)
    assert TOKEN not in str(refused.value)
    assert not stub.asked


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://a", "", None, "http://", "http://a:b", 7])
def test_an_address_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises((OptionError, SourceError)) as refused:
        pull("prometheus", "up", start=START, end=END, url=url, store=False)
    if url is not None:  # not given
        assert "is not allowed; it must be an address" in str(refused.value)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(OptionError, match="must not hold a user name or password") as refused:
        pull("prometheus", "up", start=START, end=END, url=f"http://me:{TOKEN}@127.0.0.1:9090")
    assert TOKEN not in str(refused.value)
