"""A dashboard's figures are those of the frames and of MLflow's own metrics, whatever way the runs came."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from agents import set_trace_processors
from bench.models import Kind
from bench.scenarios import SCENARIOS, run
from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
from views.sample_dashboards import HOUR_MS, NOW_MS, board, hours

import agenttrace_nb as at
from agenttrace_nb.analysis.monitor import NEEDED, TRIPS, Standing, Stretch, figures, measure, quantile
from agenttrace_nb.analysis.monitor_board import Board
from agenttrace_nb.analysis.monitor_groups import BY, bin_ms, groups, series
from agenttrace_nb.analysis.statistics.quantiles import smallest_n
from agenttrace_nb.journal.append import process_journal
from agenttrace_nb.spans import SpanKind, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.views.dashboard import Dashboard

PLAYED = (
    "triage_with_handoffs", "tool_raises", "model_429", "model_500", "input_guardrail_trips", "output_guardrail_trips",
    "task_cancelled", "gather_ten", "agents_as_tools",
)  # fmt: skip


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, Dashboard, str]]:
    """Runs of the real SDK in a real MLflow; a dashboard that saw them happen, and one that came afterwards."""
    folder = tmp_path_factory.mktemp("monitor")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("AGENTTRACE_STATE_DIR", str(folder / "state"))
        process_journal().close()  # a new one is opened: what other files traced is none of this
        set_trace_processors([])
        live = at.dashboard(window="all")
        assert live.figures().runs == 0
        played = []
        for number, name in enumerate(PLAYED):
            with (
                suppress(Exception, asyncio.CancelledError),
                at.trace(arch=("triage", "other")[number % 2], case=name, live=False) as traced,
            ):
                asyncio.run(run(SCENARIOS[name], Kind.BARE))
            traced.success = (True, None, False)[number % 3] if traced.success is None else traced.success
            played.append(traced)
        assert all(traced.wait(120) for traced in played)
        live.refresh()
        later = at.dashboard(window="all")
        later.feed.journal.close()
        later.feed.journal = None
        later.refresh()
        yield live, later, uri
        live.close()
        later.close()
        process_journal().close()


def everything(of: Dashboard) -> Any:
    assert of.feed.source is not None
    assert of.feed.source.problem is None
    return figures(of.feed.board, Stretch(), NOW_MS)


def turned_away(traces: pd.DataFrame, spans: pd.DataFrame) -> pd.Series:
    """Which runs a guardrail ended: by the tables alone."""
    top = spans[spans.parent_id.isna() & spans.error_type.isin(TRIPS)]
    return (traces.status == "error") & traces.trace_id.isin(top.trace_id)


def test_figures_equal_those_computed_from_the_frames(watched: tuple[Dashboard, Dashboard, str]) -> None:
    found = at.search()
    traces, spans = found.traces(), found.spans()
    away = turned_away(traces, spans)
    errors = (traces.status == "error") & ~away
    ok = traces.status == "ok"
    assert (int(ok.sum()), int(errors.sum()), int(away.sum())) == (13, 2, 2)
    for dashboard in watched[:2]:
        f = everything(dashboard)
        assert (f.runs, f.in_flight, f.ok, f.errors) == (len(traces), 0, int(ok.sum()), int(errors.sum()))
        assert (f.guardrail, f.cancelled, f.interrupted) == (
            int(away.sum()),
            int((traces.status == "cancelled").sum()),
            0,
        )
        assert f.success_rate == ok.sum() / (ok.sum() + errors.sum())
        assert (f.said, f.said_of) == (int(traces.success.sum()), int(traces.success.notna().sum()))
        took = traces.latency_s.dropna().astype(float)
        assert f.latency_sum_s == math.fsum(took)
        for p, q in f.latency.items():
            assert q.value_s == pytest.approx(took.quantile(p), rel=1e-14)
            assert q.of == len(took)
        assert (f.tokens_in, f.tokens_out) == (traces.input_tokens.sum(), traces.output_tokens.sum())
        assert f.no_tokens == int((traces.input_tokens.isna() & traces.output_tokens.isna()).sum())
        assert f.cost_usd == pytest.approx(math.fsum(traces.cost_usd.dropna()), rel=1e-14)
        assert f.no_cost == int(traces.cost_usd.isna().sum()) > 0


@pytest.mark.parametrize(
    ("by", "kind", "named"), [("agent", "agent", "name"), ("tool", "tool", "name"), ("model", "llm", "model")]
)
def test_groups_equal_those_computed_from_the_frames(
    watched: tuple[Dashboard, Dashboard, str], by: str, kind: str, named: str
) -> None:
    spans = at.search().spans()
    steps = spans[spans.kind == kind].copy()
    steps["failed"] = (steps.status == "error") & ~steps.error_type.isin(TRIPS)
    paid = spans[spans.kind == "llm"].groupby("agent" if by == "agent" else named)
    for dashboard in watched[:2]:
        table = dashboard.table(by).set_index(by)
        wanted = steps.groupby(named)
        assert sorted(table.index) == sorted(wanted.groups)
        for name, its in wanted:
            row = table.loc[name]
            assert (row.n, row.errors) == (len(its), its.failed.sum())
            assert row.p50_s == pytest.approx(its.duration_s.median(), rel=1e-14)
            assert row.p95_s == pytest.approx(its.duration_s.quantile(0.95), rel=1e-14)
            assert row.total_s == pytest.approx(its.duration_s.sum(), rel=1e-12)
            if by != "tool" and name in paid.groups:
                calls = paid.get_group(name)
                known = calls.input_tokens.notna() | calls.output_tokens.notna()
                tokens = calls.input_tokens.sum() + calls.output_tokens.sum()
                assert (pd.NA if pd.isna(row.tokens) else row.tokens) is pd.NA or row.tokens == tokens
                assert pd.isna(row.tokens) != known.any()
                cost = calls.cost_usd.dropna()
                assert pd.isna(row.cost_usd) if cost.empty else row.cost_usd == pytest.approx(cost.sum(), rel=1e-12)
            else:
                assert pd.isna(row.tokens)
                assert pd.isna(row.cost_usd)


def metric(uri: str, view: str, name: str, *kinds: str, dimensions: tuple[str, ...] = ()) -> list[tuple[dict, dict]]:
    """What MLflow itself says of all experiments: dimensions and values."""
    client = mlflow.MlflowClient(uri)
    store = client._tracing_client.store
    aggregations = [
        MetricAggregation(AggregationType.PERCENTILE, float(kind[1:]))
        if kind[0] == "P"
        else MetricAggregation(AggregationType[kind])
        for kind in kinds
    ]
    found = store.query_trace_metrics(
        [e.experiment_id for e in client.search_experiments()],
        MetricViewType[view],
        name,
        aggregations,
        list(dimensions),
    )
    return list(map(attrgetter("dimensions", "values"), found))


def test_figures_equal_mlflows_own_trace_metrics(watched: tuple[Dashboard, Dashboard, str]) -> None:
    live, later, uri = watched
    counts = {
        d["trace_status"]: v["COUNT"]
        for d, v in metric(uri, "TRACES", "trace_count", "COUNT", dimensions=("trace_status",))
    }
    (((_, latency),)) = metric(uri, "TRACES", "latency", "P50", "P95", "P99", "AVG")
    (((_, into),)) = metric(uri, "TRACES", "input_tokens", "SUM")
    (((_, out),)) = metric(uri, "TRACES", "output_tokens", "SUM")
    costs = metric(uri, "SPANS", "total_cost", "SUM", dimensions=("span_model_name",))
    client = mlflow.MlflowClient(uri)
    places = [e.experiment_id for e in client.search_experiments()]
    infos = [trace.info for trace in client.search_traces(places, include_spans=False)]
    kept = {info.trace_id.removeprefix("tr-"): info.execution_duration for info in infos}
    for trace in at.search():
        # Its latency is that of the root span; a trace begins a little before it, the first one while parts are loaded.
        assert trace.root is not None
        assert abs((trace.root.duration_s or 0) * 1000 - kept[trace.trace_id]) <= 1
        assert (trace.duration_s or 0) * 1000 > kept[trace.trace_id] - 1
    for dashboard in (live, later):
        f = everything(dashboard)
        # MLflow has two states for what ended: whoever was turned away, cancelled or interrupted is an error there.
        assert counts["OK"] == f.ok
        assert counts["ERROR"] == f.errors + f.guardrail + f.cancelled + f.interrupted
        assert (into["SUM"], out["SUM"]) == (f.tokens_in, f.tokens_out)
        assert sum(v["SUM"] for _, v in costs) == pytest.approx(f.cost_usd, rel=1e-12)
        for (p, q), key in zip(f.latency.items(), ("P50", "P95", "P99"), strict=True):
            theirs = latency[key if key in latency else f"P{100 * p}"]
            assert theirs == quantile(np.sort([float(ms) for ms in kept.values()]), p)
            assert (q.value_s or 0) * 1000 > theirs - 1
        assert (f.latency_sum_s or 0) * 1000 > latency["AVG"] * f.runs - f.runs


def test_what_this_kernel_saw_and_what_mlflow_has_is_counted_once(watched: tuple[Dashboard, Dashboard, str]) -> None:
    live, later, _ = watched
    ids = sorted(trace.trace_id for trace in at.search())
    assert sorted(live.feed.board.ids) == sorted(later.feed.board.ids) == ids
    once = everything(live)
    live.refresh()
    assert everything(live) == once


# ------------------------------------------------------------------------------------------------------ by hand


def frame(of: Board, stretch: Stretch) -> pd.DataFrame:
    """The board's runs in a stretch as a table."""
    table = pd.DataFrame(
        {name: of.runs[name] for name in ("start_ms", "took_s", "standing", "success", "cost_usd", "arch")}
    )
    return table[(table.start_ms >= stretch.from_ms) & (table.start_ms < stretch.to_ms)]


@pytest.mark.parametrize("minutes", [1, 15, 60, 300])
def test_a_run_belongs_to_the_stretch_in_which_it_started(minutes: int) -> None:
    made = board()
    stretch = Stretch(NOW_MS - minutes * 60_000, NOW_MS)
    f, table = figures(made, stretch, NOW_MS), frame(made, stretch)
    ended = table[table.standing != 0]
    assert (f.runs, f.in_flight) == (len(ended), (table.standing == 0).sum())
    assert f.per_minute == pytest.approx(len(ended) / minutes)
    assert f.cost_usd == pytest.approx(ended.cost_usd.sum())
    assert f.latency[0.95].value_s == pytest.approx(ended.took_s.quantile(0.95))


def test_of_nothing_nothing_is_known() -> None:
    f = figures(Board(), Stretch(), NOW_MS)
    assert (f.runs, f.in_flight, f.errors) == (0, 0, 0)
    unknown = (f.success_rate, f.latency_sum_s, f.tokens_in, f.tokens_out, f.cost_usd, f.per_minute)
    assert unknown == (None,) * 6
    assert [q.value_s for q in f.latency.values()] == [None] * 3


def test_a_quantile_has_enough_runs_from_the_number_that_an_interval_needs() -> None:
    assert {p: smallest_n(p) for p in NEEDED} == NEEDED
    made = board([run for run in hours() if run.took_s is not None][:58])
    assert not figures(made, Stretch(), NOW_MS).latency[0.95].enough
    made = board([run for run in hours() if run.took_s is not None][:59])
    assert figures(made, Stretch(), NOW_MS).latency[0.95].enough


def test_the_architecture_whose_tool_began_to_fail_stands_first_and_says_why() -> None:
    made, hour = board(), Stretch(NOW_MS - HOUR_MS, NOW_MS)
    by = {name: groups(made, name, hour) for name in BY}
    assert next(g.name for g in by["tool"] if g.change) in ("ship_again", "refund")
    found = {g.name: g.change for g in by["arch"] if g.change}
    assert found["planner-executor"].what == "errors"
    assert found["planner-executor"].now > found["planner-executor"].before
    assert found["triage"].what == "latency"
    assert "single agent" not in found


def test_without_a_stretch_before_nothing_is_compared() -> None:
    assert not any(g.change for name in BY for g in groups(board(), name, Stretch()))


def test_a_chance_difference_needs_no_attention() -> None:
    dice, hour = np.random.default_rng(3), Stretch(NOW_MS - HOUR_MS, NOW_MS)
    runs = [run for run in hours(count=240, failing=0.02) if run.took_s is not None]
    starts = [run.start_ms for run in runs]
    alarms = 0
    for _ in range(40):
        mixed = [
            replace(runs[at], start_ms=start, arch="a")
            for at, start in zip(dice.permutation(len(runs)), starts, strict=True)
        ]
        alarms += groups(board(mixed), "arch", hour)[0].change is not None
    assert alarms <= 1


def test_bins_hold_every_run_once_and_begin_at_round_times() -> None:
    made, hour = board(), Stretch(NOW_MS - HOUR_MS, NOW_MS + 1)
    step, bins = series(made, hour, NOW_MS)
    table = frame(made, hour)
    assert step == 60_000
    assert all(b.from_ms % step == 0 for b in bins)
    assert sum(b.runs for b in bins) == (table.standing != 0).sum()
    assert sum(b.errors for b in bins) == (table.standing == 2).sum()
    of = table.groupby(table.start_ms // step)["took_s"]
    for b in bins:
        at_ = b.from_ms / step
        wanted = of.get_group(at_).dropna().quantile(0.5) if at_ in of.groups else math.nan
        assert (math.nan if b.p50_s is None else b.p50_s) == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("length_s", [0, 1, 59, 61, 899, 86_400, 30 * 86_400, 9000 * 86_400])
def test_there_are_never_many_more_than_sixty_bins(length_s: int) -> None:
    assert length_s * 1000 / bin_ms(length_s * 1000) <= 61


def test_a_run_that_is_turned_away_is_no_error_and_says_which_guardrail(
    watched: tuple[Dashboard, Dashboard, str],
) -> None:
    (trace,) = at.search(case="output_guardrail_trips")
    found = measure(trace)
    assert (found.standing, found.where) == (Standing.GUARDRAIL, "no_numbers")
    assert not [c for c in found.calls if c.kind is SpanKind.AGENT and c.standing is Standing.ERROR]


def test_a_running_trace_has_no_latency_yet() -> None:
    assert measure(Trace(trace_id="a" * 32, name="t", start_ns=1, status=Status.RUNNING)).took_s is None
