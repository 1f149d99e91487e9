"""What is read from MLflow's tables is what MLflow's API gives, for every kind of trace."""

from __future__ import annotations

import copy
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow_store.journals import end_run, record_run, record_trace, start_run
from mlflow_store.samples import START_NS, as_plain, booking
from mlflow_store.written import runs, write

from agenttrace_nb.mlflow_store import adapter, listing, reader, tables, traces
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.columns import SpanColumns
from agenttrace_nb.mlflow_store.found import FoundTraces
from agenttrace_nb.mlflow_store.mapping import to_records
from agenttrace_nb.mlflow_store.reader import Query, read
from agenttrace_nb.spans import SpanError, Status, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_store.conftest import Server

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores

HOSTILE = ['it"s', "50% off_", "O'Neil", "{'a': 1}", "ÅÄÖ 🙂", "UPPER", "upper", " a ", "\\", "<script>", "a,b", "-- x"]


def in_database(uri: str, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as db, db:
        db.execute(statement, values)


def various() -> list[Trace]:
    """Traces of ours of every kind; the first is the newest."""
    made = [booking(n, start_ns=START_NS - n * 10**9) for n in range(8)]
    plain, still, stopped, two_roots, failed, half, named, _ = made
    plain.tags["team"] = "one"
    still.end_ns = still.spans[0].end_ns = still.spans[1].end_ns = None
    still.status = still.spans[0].status = still.spans[1].status = Status.RUNNING
    stopped.status = stopped.spans[0].status = Status.CANCELLED
    two_roots.spans[1].parent_id, two_roots.spans[1].role = None, None
    failed.status = failed.spans[4].status = Status.ERROR
    failed.spans[4].error = SpanError(type="TimeoutError", message="after 2 s", http_status=504, chain=("OSError: x",))
    half.spans[3].agent, half.spans[3].content_out = "Zo\ud83d", "\udc00"
    named.spans[2].name, named.spans[3].model, named.tags["x (1)"] = "a\0b", None, 'a"b'
    named.spans[3].input_tokens, named.spans[3].cost_usd = None, 0.5
    return made


@pytest.fixture(scope="module")
def filled(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with traces of ours and of others, complete and not, changed since."""
    folder = tmp_path_factory.mktemp("found")
    path = shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{path}"
    made = various()
    for trace in made:
        adapter.log_spans(uri, "0", to_records(trace, run_tags={"arch": "b", "case": trace.trace_id[:3]}))
    mlflow.MlflowClient(uri).set_trace_tag(f"tr-{made[-1].trace_id}", "team", "changed later")
    foreign = to_records(booking("foreign"))[1]
    foreign.trace_id, foreign.attributes = made[0].trace_id, {names.TRACE_ID: f'"tr-{made[0].trace_id}"'}
    adapter.log_spans(uri, "0", [foreign])  # a child that others wrote
    missing = booking("missing")
    adapter.log_spans(uri, "0", to_records(missing))
    sizes = ("mlflow.trace.sizeStats", '{"num_spans": 40}', f"tr-{missing.trace_id}")
    in_database(uri, "INSERT INTO trace_request_metadata (key, value, request_id) VALUES (?, ?, ?)", *sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment("plain")
        with (
            mlflow.start_span("ask", span_type="AGENT") as root,
            mlflow.start_span("look", span_type="UNKNOWN") as span,
        ):
            root.set_inputs({"q": 1})
            span.set_attribute("openinference.span.kind", "TOOL")
        with mlflow.start_span("gone"):
            pass
        in_database(uri, "DELETE FROM spans WHERE trace_id = ?", mlflow.get_last_active_trace_id())
    mlflow.tracing.reset()
    mlflow.set_tracking_uri(None)
    mlflow.tracking.fluent._active_experiment_id = None
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        os.environ.pop(name, None)
    return path


@pytest.fixture
def full(filled: Path, tmp_path: Path) -> str:
    """A tracking URI of this test's own, with all that."""
    return f"sqlite:///{shutil.copy(filled, tmp_path / 'full.db')}"


def through_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "engine", lambda uri: None)


def plain(found: Any) -> list[dict[str, Any]]:
    return [as_plain(trace) | {"at": (trace.experiment_id, trace.tracking_uri)} for trace in found]


def table(columns: SpanColumns) -> Any:
    bare = [as_plain(trace) | {"spans": []} for trace in columns.traces]
    return bare, columns.sizes, columns.of


# ---------------------------------------------------------------------------------------------- the same, either way


def test_traces_from_the_tables_are_those_that_mlflow_gives(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plain(read(full, Query()).traces)
    assert len(found) == 11
    assert sum(trace["problem"] is not None for trace in found) == 2
    through_mlflow(monkeypatch)
    assert plain(read(full, Query()).traces) == found


def test_columns_are_those_of_the_whole_traces(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = table(read(full, Query()).traces.columns())
    whole = list(read(full, Query()).traces)
    expected = table(SpanColumns.of_traces(whole))
    assert found == expected
    partly = read(full, Query()).traces
    assert [as_plain(partly[at]) for at in (0, 4, -1)] == [as_plain(whole[at]) for at in (0, 4, -1)]
    assert table(partly.columns()) == expected
    through_mlflow(monkeypatch)
    assert table(read(full, Query()).traces.columns()) == expected


def test_only_what_columns_cannot_say_is_restored_for_them(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[str] = []
    from_content, by_id = traces.from_content, traces.by_id
    monkeypatch.setattr(
        traces, "from_content", lambda uri, head, *a: restored.append(head.trace_id) or from_content(uri, head, *a)
    )
    monkeypatch.setattr(traces, "by_id", lambda uri, ids, **how: restored.extend(ids) or by_id(uri, ids, **how))
    found = read(full, Query()).traces
    assert restored == []
    found.columns()
    seen = set(restored)
    odd = [trace for trace in found if f"tr-{trace.trace_id}" in seen]
    assert sorted(trace.name for trace in odd) == ["ask", "gone"]


@pytest.mark.parametrize(
    "query",
    [
        {}, {"arch": "b"}, {"arch": "c"}, {"case": "abc"}, {"status": "ok"}, {"status": "error"},
        {"status": "cancelled"}, {"status": "running"}, {"status": "interrupted"}, {"session": "s-1"},
        {"session": "s-2"}, {"tags": {"team": "one"}}, {"tags": {"team": "changed later"}}, {"experiment": "plain"},
        {"tags": {"x _1_": 'a"b'}}, {"agent": "Triage"}, {"agent": "Zo\ud83d"}, {"text": "oslo"}, {"limit": 3},
        {"since": datetime.fromtimestamp(START_NS / 1e9, UTC) - timedelta(seconds=3)},
        {"until": datetime.fromtimestamp(START_NS / 1e9, UTC) - timedelta(seconds=3)},
        {"filter": "name = 'ask'"}, {"arch": "b", "limit": 2}, {"status": "ok", "agent": "Triage", "limit": 2},
    ],
    ids=repr,
)  # fmt: skip
def test_a_search_finds_the_same_in_the_tables_as_through_mlflow(
    full: str, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]
) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)  # several pages
    monkeypatch.setattr(reader, "PAGE", 4)
    found = read(full, Query(**query))
    through_mlflow(monkeypatch)
    other = read(full, Query(**query))
    assert ([t.trace_id for t in found.traces], found.truncated) == (
        [t.trace_id for t in other.traces],
        other.truncated,
    )


def test_heads_are_the_same_with_tags_of_any_text(
    uri: str, client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, text in enumerate(HOSTILE):
        trace = booking(number)
        trace.tags, trace.session, trace.user = {"label": text, f"k {number}": "x"}, text, text
        adapter.log_spans(uri, "0", to_records(trace))
    queries = [Query(tags={"label": text}) for text in HOSTILE] + [Query(session=text) for text in HOSTILE]
    queries += [Query(tags={"label": "upPer"}), Query(tags={"LABEL": "upper"}), Query(tags={"k 3": "x"})]
    found = [list(listing.pages(client, ["0"], query)) for query in queries]
    assert [len(heads) for (heads,) in found] == [1] * 24 + [0, 0, 1]
    through_mlflow(monkeypatch)
    assert [list(listing.pages(client, ["0"], query)) for query in queries] == found


def test_what_was_said_of_runs_is_the_same_and_deleted_runs_say_nothing(
    journal: Journal, uri: str, cwd: Path, stores: Stores, told: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, said in (("good", True), ("bad", False), ("deleted", True)):
        start_run(journal, key, uri, cwd)
        record_trace(journal, key, booking(key))
        end_run(journal, key, success=said)
    record_run(journal, "unsaid", uri, cwd, booking("unsaid"))
    write(journal, stores, told)
    client = mlflow.MlflowClient(uri)
    ids = {run.data.tags["agenttrace.key"]: run.info.run_id for run in runs(client)}
    client.delete_run(ids["deleted"])
    expected = {ids["good"]: True, ids["bad"]: False, ids["deleted"]: None, ids["unsaid"]: None}
    assert read(uri, Query()).success == expected
    through_mlflow(monkeypatch)
    assert read(uri, Query()).success == expected


# ------------------------------------------------------------------------------------------- looked at, and not before


def test_a_trace_deleted_after_the_search_says_so_and_the_others_are_there(full: str) -> None:
    for look in (list, lambda found: found.columns().traces):
        found = read(full, Query()).traces
        doomed = found._heads[2].trace_id
        client = mlflow.MlflowClient(full)
        client.delete_traces(found._heads[2].experiment_id, trace_ids=[doomed])
        seen = look(found)
        assert len(seen) == len(found)
        assert "it was deleted" in seen[2].problem
        assert [t.trace_id for t in seen if t.problem and "deleted" in t.problem] == [doomed.removeprefix("tr-")]


def test_a_trace_is_restored_once_and_then_the_columns_come_from_it(full: str) -> None:
    found = read(full, Query()).traces
    found.columns()
    trace = found[4]
    trace.spans[0].name = "renamed by its owner"
    assert found[4] is trace
    assert list(found)[4] is trace
    assert found[4:6][0] is trace
    assert found.with_ids(["0" * 32, trace.trace_id]) == [trace]
    columns = found.columns()
    assert columns.of["name"][sum(columns.sizes[:4])] == "renamed by its owner"
    assert columns.of["name"].count("renamed by its owner") == 1
    assert len(columns.traces) == len(found)


def test_a_set_can_be_copied_before_and_after_it_is_looked_at(full: str) -> None:
    found = read(full, Query()).traces
    early = copy.deepcopy(found)
    expected = table(found.columns())
    assert table(early.columns()) == expected
    assert table(copy.deepcopy(found).columns()) == expected
    assert table(copy.copy(found).columns()) == expected


def test_nobody_who_writes_has_to_wait_for_a_set_that_is_held(full: str) -> None:
    found = read(full, Query()).traces
    found.columns()
    list(found)
    with closing(sqlite3.connect(full.removeprefix("sqlite:///"), timeout=0, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        db.execute("ROLLBACK")
    assert tables.engine(full).pool.status() == "NullPool"


def test_tables_that_are_not_as_known_are_left_to_mlflow(full: str) -> None:
    expected = plain(read(full, Query()).traces)
    for table_name, ask in (
        ("spans", lambda: tables.contents(full, ["tr-1"])),
        ("tags", lambda: tables.run_tags(full, ["1"], "x")),
        ("trace_tags", lambda: tables.heads(full, ["0"], tables.Wanted(tags={}), 5, 0)),
    ):
        assert ask() is not None
        in_database(full, f"ALTER TABLE {table_name} RENAME TO moved_{table_name}")
        assert ask() is None
        in_database(full, f"ALTER TABLE moved_{table_name} RENAME TO {table_name}")
    assert plain(read(full, Query()).traces) == expected


def test_spans_that_mlflow_has_moved_elsewhere_are_left_to_it(full: str) -> None:
    found = read(full, Query()).traces
    one = found._heads[0]
    in_database(full, "UPDATE spans SET content = '' WHERE trace_id = ? AND parent_span_id IS NULL", one.trace_id)
    assert one.trace_id not in tables.contents(full, [one.trace_id])
    one.tags[names.SPANS_LOCATION] = "ARCHIVE_REPO"
    assert traces.contents(full, [one]) == {}


def test_a_search_through_a_server_finds_what_its_database_holds(shared_server: Server) -> None:
    client = mlflow.MlflowClient(shared_server.uri)
    number = client.create_experiment("found through a server")
    for trace in [*various()[:5], booking("whole", start_ns=START_NS + 10**9)]:
        adapter.log_spans(shared_server.uri, number, to_records(trace, run_tags={"arch": "b"}))
    query = Query(experiment="found through a server")
    there, here = (
        read(uri, query).traces for uri in (shared_server.uri, f"sqlite:///{shared_server.folder}/server.db")
    )
    assert here._heads == there._heads
    assert table(here.columns())[2] == table(there.columns())[2]
    assert [as_plain(trace) for trace in here] == [as_plain(trace) for trace in there]
    assert len(here) == 6


def test_a_server_that_goes_away_between_search_and_look_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "http://me:hunter2@127.0.0.1:9"
    head = listing.tables.head_of("tr-" + "1" * 32, {}, {}, experiment_id="0", state="OK", start_ms=1)
    found = FoundTraces(uri, [head])
    for look in (lambda: found[0], found.columns, found.success):
        with pytest.raises(ConnectionError, match="does not answer") as caught:
            look()
        assert "hunter2" not in str(caught.value)


def test_the_ways_of_other_databases_to_give_contents_are_the_same(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [head.trace_id for head in read(full, Query()).traces._heads]
    joined = tables.contents(full, ids)
    in_rows = tables.contents(_NotSqlite(full), ids)
    assert joined.keys() == in_rows.keys()
    for trace_id, (text, count) in joined.items():
        assert in_rows[trace_id][1] == count
        read_ = [adapter.records_in(trace_id, t, count) for t in (text, in_rows[trace_id][0])]
        assert sorted(map(repr, read_[0])) == sorted(map(repr, read_[1]))


class _NotSqlite(str):
    """A URI that does not tell what it leads to."""

    __slots__ = ()

    def startswith(self, *prefix: Any) -> bool:
        return False
