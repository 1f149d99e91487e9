"""What was recorded is found again: by tag, agent, status, text and time, also what plain MLflow wrote."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
import pytest
from agents import Agent, Runner, set_trace_processors
from agents.testing import ScriptedModel, assistant_message
from bench.models import Kind
from bench.scenarios import SCENARIOS, run

import agenttrace_nb as at
from agenttrace_nb.analysis.trace_set import SPAN_COLUMNS, TRACE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three runs of ours and one that MLflow's autologging recorded, in one database."""
    folder = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("AGENTTRACE_STATE_DIR", str(folder / "state"))
        set_trace_processors([])
        with at.trace(arch="triage", case="one", trial=1, live=False) as first:
            asyncio.run(run(SCENARIOS["triage_with_handoffs"], Kind.BARE))
        first.success = True
        with at.trace(arch="triage", case="two", live=False) as second:
            asyncio.run(run(SCENARIOS["tool_raises"], Kind.BARE))
        with at.trace(arch="other", case="two", tags={"team": "red"}, live=False) as third:
            asyncio.run(run(SCENARIOS["model_429"], Kind.BARE))
        for one in (first, second, third):
            assert one.wait(120), one._delivery.wait(one.key, 5)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.set_experiment("plain")
        mlflow.openai.autolog()
        asyncio.run(_plain())
        mlflow.openai.autolog(disable=True)
        mlflow.flush_trace_async_logging()
        yield folder


async def _plain() -> None:
    model = ScriptedModel([[assistant_message("hi")]], emit_traces=True)
    await Runner.run(Agent(name="Plain", model=model), "hello")


def test_traces_are_found_by_architecture_and_case(store: Path) -> None:
    assert len(at.search(arch="triage")) == 2
    (one,) = at.search(arch="triage", case="two")
    assert [s.name for s in one.errors] == ["get_weather"]


def test_traces_are_found_by_tag_agent_status_and_text(store: Path) -> None:
    assert len(at.search(tags={"team": "red"})) == 1
    assert len(at.search(agent="Refunds")) == 1
    assert [t.tags["arch"] for t in at.search(status="error")] == ["other"]
    assert len(at.search(text="money back for order A-17")) == 1


def test_traces_are_found_by_time(store: Path) -> None:
    assert len(at.search(since=timedelta(hours=1))) == 4
    assert len(at.search(until="2020-01-01")) == 0


def test_frames_have_the_documented_columns_and_nulls(store: Path) -> None:
    found = at.search(arch="triage")
    traces, spans = found.traces(), found.spans()
    assert tuple(traces.columns) == TRACE_COLUMNS
    assert tuple(spans.columns) == SPAN_COLUMNS
    assert (spans["kind"] == "llm").sum() == 6
    assert spans.loc[spans["kind"] == "tool", "input_tokens"].isna().all()
    assert str(traces["started_at"].dtype).endswith("UTC]")
    assert sorted(traces["trial"].fillna("-")) == ["-", "1"]


def test_what_was_said_of_a_run_is_known_and_else_null(store: Path) -> None:
    traces = at.search(arch="triage").traces().set_index("case")
    assert bool(traces.loc["one", "success"]) is True
    assert traces.loc["two", "success"] is pd.NA


def test_figures_of_a_trace_are_those_of_the_script(store: Path) -> None:
    row = at.search(case="one").traces().iloc[0]
    expected = SCENARIOS["triage_with_handoffs"].expected(Kind.BARE)
    assert (row["llm_calls"], row["tool_calls"], row["handoffs"]) == (expected.llm_calls, expected.tool_calls, 2)
    assert expected.tokens is not None
    assert (row["input_tokens"], row["output_tokens"]) == (expected.tokens.input, expected.tokens.output)


def test_a_trace_is_loaded_by_its_id_and_by_its_runs_id(store: Path) -> None:
    (one,) = at.search(case="one")
    assert one.run_id is not None
    for name in (one.trace_id, f"tr-{one.trace_id}", one.run_id):
        assert at.load(name).trace_id == one.trace_id
    assert one.agents["Triage"].handoffs


def test_a_trace_of_plain_autologging_is_read_with_its_steps_once(store: Path) -> None:
    (plain,) = at.search(experiment="plain")
    assert [s.kind.value for s in plain.spans if s.kind in {"agent", "llm"}] == ["agent", "llm"]
    assert not any(s.name == "Unknown" for s in plain.spans)


def test_the_table_of_spans_goes_to_parquet_and_back(store: Path, tmp_path: Path) -> None:
    found = at.search(arch="triage")
    found.to_parquet(tmp_path / "spans.parquet")
    assert len(pd.read_parquet(tmp_path / "spans.parquet")) == len(found.spans())


def test_a_limit_is_kept_and_said(store: Path) -> None:
    found = at.search(limit=1)
    assert (len(found), found.truncated) == (1, True)
    assert "there are more" in repr(found)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"status": "eror"}, "Did you mean error"),
        ({"experiment": "plian"}, "Did you mean plain"),
        ({"since": "yesterday"}, "since='yesterday'"),
        ({"limit": 0}, "limit=0"),
        ({"filter": "nonsense"}, "MLflow refuses this search"),
        ({"session": "'\""}, "both kinds of quotes"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(store: Path, wrong: dict[str, object], told: str) -> None:
    with pytest.raises(at.OptionError, match=told):
        at.search(**wrong)


def test_an_unknown_id_says_where_to_look(store: Path) -> None:
    with pytest.raises(LookupError, match=r"at\.search\(\)"):
        at.load("0" * 32)
