"""Traces back from MLflow: by id, by what they have in common, as frames; also what plain MLflow wrote."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from agents import set_trace_processors
from bench.models import Kind
from bench.scenarios import SCENARIOS, run
from mlflow_store.journals import end_run, record_run, record_trace, start_run
from mlflow_store.samples import START_NS, as_plain, booking
from mlflow_store.written import PRICED, runs, write

from agenttrace_nb.mlflow_store.reader import Query, read, read_one
from agenttrace_nb.spans import SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores

DAY = timedelta(days=1)
OTHER_AGENT = 'Zoë "O\'Neil"'


@pytest.fixture
def written(journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict]) -> list[Trace]:
    """Three runs: one that went well, one with a failed tool, one that was cancelled."""
    day_ns = int(DAY.total_seconds()) * 10**9
    good = booking(1)
    bad = booking(2, start_ns=START_NS + day_ns, name="Rebooking")
    tool = bad.spans[4]
    tool.status, tool.error = Status.ERROR, SpanError(type="TimeoutError", message="after 2 s")
    bad.session = None
    stopped = booking(3, start_ns=START_NS + 2 * day_ns)
    stopped.status = stopped.spans[0].status = Status.CANCELLED
    stopped.spans[3].input_tokens = stopped.spans[3].output_tokens = stopped.spans[3].cached_tokens = None
    for span in stopped.spans:
        span.agent = OTHER_AGENT if span.agent else None
    record_run(journal, "k1", uri, cwd, good, arch="one", case="a", trial="1", experiment="flights")
    start_run(journal, "k2", uri, cwd, arch="two", case="a", experiment="flights")
    record_trace(journal, "k2", bad)
    end_run(journal, "k2", success=False)
    record_run(journal, "k3", uri, cwd, stopped, arch="two", case="b", experiment="hotels")
    write(journal, stores, told)
    return [good, bad, stopped]


def ids(uri: str, **query: Any) -> list[str]:
    return [trace.trace_id for trace in read(uri, Query(**query)).traces]


def test_a_trace_is_loaded_by_its_id_in_either_form_and_by_its_run(written: list[Trace], uri: str) -> None:
    good = written[0]
    for name in (good.trace_id, f"tr-{good.trace_id}", _run_of(uri, "k1")):
        assert as_plain(read_one(uri, name), but=PRICED) == as_plain(good, but=PRICED)
    read = read_one(uri, good.trace_id)
    assert (read.run_id, read.tracking_uri) == (_run_of(uri, "k1"), uri)
    assert read.experiment_id == mlflow.MlflowClient(uri).get_run(read.run_id).info.experiment_id


def _run_of(uri: str, key: str) -> str:
    return next(r.info.run_id for r in runs(mlflow.MlflowClient(uri)) if r.data.tags.get("agenttrace.key") == key)


def test_a_run_with_several_traces_says_which(
    written: list[Trace], journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict]
) -> None:
    two = record_run(journal, "k9", uri, cwd, booking(8), booking(9))
    start_run(journal, "empty", uri, cwd)
    write(journal, stores, told)
    with pytest.raises(LookupError, match=f"has 2 traces; load one of them: .*tr-{two[1].trace_id}"):
        read_one(uri, _run_of(uri, "k9"))
    for nothing in (_run_of(uri, "empty"), "f" * 32, "tr-abc"):
        with pytest.raises(LookupError, match=f"no run '{nothing}'"):
            read_one(uri, nothing)


def test_a_search_finds_what_fits_everything_the_latest_first(written: list[Trace], uri: str) -> None:
    good, bad, stopped = (trace.trace_id for trace in written)
    start = datetime.fromtimestamp(START_NS / 1e9, UTC)
    expected = [
        ({}, [stopped, bad, good]),
        ({"arch": "two"}, [stopped, bad]),
        ({"arch": "two", "case": "a"}, [bad]),
        ({"experiment": "flights"}, [bad, good]),
        ({"tags": {"team": "rebooking"}, "limit": 2}, [stopped, bad]),
        ({"session": "s-1"}, [stopped, good]),
        ({"status": "cancelled"}, [stopped]),
        ({"status": "ok"}, [bad, good]),
        ({"status": "error"}, []),
        ({"agent": "Triage"}, [bad, good]),
        ({"agent": OTHER_AGENT}, [stopped]),
        ({"agent": "Tri"}, []),
        ({"text": "AFTER 2 s"}, [bad]),
        ({"text": '{"city":"Oslo"}'}, [stopped, bad, good]),
        ({"text": "50% off_"}, []),
        ({"filter": "name = 'Rebooking'"}, [bad]),
        ({"since": start + DAY / 2, "until": start + DAY * 1.5}, [bad]),
    ]
    for query, traces in expected:
        assert ids(uri, **query) == traces, query


def test_what_was_said_of_runs_comes_with_their_traces(written: list[Trace], uri: str) -> None:
    assert read(uri, Query()).success == {
        _run_of(uri, "k1"): None, _run_of(uri, "k2"): False, _run_of(uri, "k3"): None,
    }  # fmt: skip


# ------------------------------------------------------------------------------------- what plain MLflow wrote


@pytest.fixture
def fluent(uri: str, cwd: Path, monkeypatch: pytest.MonkeyPatch):
    """MLflow's own API on this test's database, writing at once."""
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("plain")
    yield mlflow
    mlflow.tracing.reset()
    mlflow.set_tracking_uri(None)
    mlflow.tracking.fluent._active_experiment_id = None
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        os.environ.pop(name, None)


def test_spans_of_the_users_own_mlflow_code_are_read(fluent, uri: str) -> None:
    @fluent.trace(span_type="TOOL")
    def look_up(city: str) -> dict:
        raise KeyError(city)

    with fluent.start_span("ask", span_type="AGENT") as root:
        root.set_inputs({"q": 1})
        with pytest.raises(KeyError):
            look_up("Oslo")
        root.set_outputs("none")
    trace = read_one(uri, root.trace_id)
    assert [(s.kind.value, s.name, s.status.value) for s in trace.spans] == [
        ("agent", "ask", "ok"), ("tool", "look_up", "error"),
    ]  # fmt: skip
    assert trace.spans[1].error is not None
    assert (trace.spans[1].error.type, trace.spans[1].input) == ("KeyError", {"city": "Oslo"})
    assert (trace.status, trace.spans[1].agent, trace.problem) == (Status.OK, "ask", None)


@pytest.mark.parametrize("kind", [Kind.RESPONSES, Kind.CHAT])
def test_what_autologging_doubles_or_leaves_nameless_is_folded(fluent, uri: str, kind: Kind) -> None:
    set_trace_processors([])
    fluent.openai.autolog()
    one = SCENARIOS["agents_as_tools"]
    try:
        asyncio.run(run(one, kind))
    finally:
        fluent.openai.autolog(disable=True)
    (trace,) = read(uri, Query(experiment="plain")).traces
    assert trace.problem is None
    by_kind = Counter(span.kind.value for span in trace.spans)
    expected = one.expected(kind)
    assert by_kind["llm"] == expected.llm_calls
    assert by_kind["tool"] == expected.tool_calls
    assert not [span.name for span in trace.spans if span.name in {"Unknown", "AgentRunner.run_1"}]
    ids_of = {span.span_id for span in trace.spans}
    assert [s.name for s in trace.spans if s.parent_id not in ids_of] == [trace.spans[0].name]
    speaking = [span for span in trace.spans if span.kind is SpanKind.LLM]
    assert all(span.input and span.output and span.agent for span in speaking)
    assert expected.tokens is not None
    assert trace.total("input_tokens") == expected.tokens.input
    assert trace.total("output_tokens") == expected.tokens.output
    assert not any(span.attributes.keys() & {"kwargs", "context", "run_config"} for span in trace.spans)


def test_a_trace_that_mlflow_hides_as_incomplete_is_there_and_says_so(fluent, uri: str, written: list[Trace]) -> None:
    import sqlite3

    with fluent.start_span("root") as root, fluent.start_span("child"):
        pass
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as db:
        db.execute("DELETE FROM spans WHERE trace_id = ? AND name = 'child'", (root.trace_id,))
    db.close()
    assert mlflow.get_trace(root.trace_id) is None
    assert read_one(uri, root.trace_id).problem == (
        "1 of its 2 spans were never stored; the process that wrote it ended early"
    )
    found = read(uri, Query()).traces
    assert [t.trace_id for t in found if t.problem] == [root.trace_id.removeprefix("tr-")]
    assert len(found) == 4


def test_a_server_that_does_not_answer_is_named_at_once_and_without_its_password() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port meanwhile
        uri = f"http://me:hunter2@127.0.0.1:{held.getsockname()[1]}"
        for ask in (lambda: read(uri, Query()), lambda: read_one(uri, "0" * 32)):
            with pytest.raises(ConnectionError, match=r"does not answer .*Start the server") as caught:
                ask()
            assert "hunter2" not in str(caught.value)
