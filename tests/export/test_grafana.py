"""The dashboard is what the code makes, and every expression in it finds something in a real Prometheus."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from export.ended import call, failed, run, some_of_everything, span
from interop.servers import prometheus, wait_until

from agenttrace_nb.cli import main
from agenttrace_nb.export import grafana, metrics
from agenttrace_nb.export.handler import Context
from agenttrace_nb.export.prometheus import PrometheusHandler
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.servers import Server

WHOLE = json.loads(grafana.committed())
VARIABLES = {"$__range": "1h", "$__rate_interval": "1m", "$arch": ".*", "$agent": ".*"}


def expressions() -> list[tuple[str, str]]:
    found = [(panel["title"], target["expr"]) for panel in WHOLE["panels"] for target in panel["targets"]]
    assert len(found) > 15
    return found


def filled(expression: str, **more: str) -> str:
    for name, value in {**VARIABLES, **{f"${name}": value for name, value in more.items()}}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prometheus")
    handler = PrometheusHandler()
    with prometheus(folder) as started:
        handler.open(Context(name="here", options={"discovery": str(folder / "targets")}, resource={"a.b": "c"}))
        try:
            handler.export(tuple(some_of_everything()))
            wait_until(lambda: value(started, "agenttrace_runs_total"), "Prometheus has the first figures")
            later = (run(arch="triage"), call(arch="triage"), span(SpanKind.TOOL, "new", agent="A", error=failed()))
            handler.export(later)
            wait_until(lambda: value(started, 'agenttrace_errors_total{tool="new"}'), "and the next ones")
            yield started
        finally:
            handler.close()


def value(server: Server, query: str) -> list[dict[str, Any]]:
    found = server.get("/api/v1/query", query=query)["data"]["result"]
    return [one for one in found if one["value"][1] != "NaN"]


def test_the_committed_dashboard_is_what_the_code_makes() -> None:
    assert grafana.generated() == grafana.committed(), "run: python -m agenttrace_nb.export.grafana"


def test_it_has_a_name_of_its_own_and_the_variables() -> None:
    assert (WHOLE["uid"], WHOLE["schemaVersion"]) == ("agenttrace-nb", 41)
    assert [variable["name"] for variable in WHOLE["templating"]["list"]] == ["datasource", "arch", "agent"]
    assert {panel["datasource"]["uid"] for panel in WHOLE["panels"]} == {"${datasource}"}


def test_panels_lie_side_by_side_and_none_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in WHOLE["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        taken |= cells


def test_the_sdks_own_model_reads_it_and_writes_the_same() -> None:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    assert json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(WHOLE))) == WHOLE


def test_it_names_only_metrics_that_there_are() -> None:
    told = set(re.findall(r"\b(?:agenttrace|gen_ai)_\w+", json.dumps([expression for _, expression in expressions()])))
    known = {
        grafana.family_name(metric) + suffix
        for metric in metrics.METRICS
        for suffix in (("_bucket", "_count") if metric.kind == "histogram" else ("_total",))
    }
    assert told
    assert told <= known


@pytest.mark.parametrize(("title", "expression"), expressions())
@pytest.mark.timeout(180)
def test_every_expression_finds_something(server: Server, title: str, expression: str) -> None:
    assert value(server, filled(expression)), title
    assert value(server, filled(expression, arch="triage|nothing")), f"{title} of one architecture"


@pytest.mark.timeout(180)
def test_the_lists_to_choose_from_are_filled(server: Server) -> None:
    for variable, expected in zip(
        WHOLE["templating"]["list"][1:], ({"planner-executor", "triage"}, {"Planner", "Executor"}), strict=True
    ):
        match = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert match
        found = server.get(f"/api/v1/label/{match[2]}/values", **{"match[]": match[1]})["data"]
        assert set(found) == expected


@pytest.mark.timeout(180)
def test_figures_are_exact_also_of_a_series_that_begins_with_all_it_has(server: Server) -> None:
    figures = {title: value(server, filled(expression)) for title, expression in expressions()}
    runs = float(figures["Runs"][0]["value"][1])
    assert runs == 7  # six in the first fetch, one more in a later one
    assert float(figures["Errors"][0]["value"][1]) == 3
    assert float(figures["Without error"][0]["value"][1]) == pytest.approx(5 / 7)
    assert float(figures["Tokens"][0]["value"][1]) == 7 * (320 + 41)
    assert float(figures["Cost"][0]["value"][1]) == pytest.approx(7 * 0.0005)


def test_the_command_prints_it_or_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grafana-dashboard"]) == 0
    assert capsys.readouterr().out == grafana.committed()
    assert main(["grafana-dashboard", "--out", str(tmp_path / "d.json")]) == 0
    assert (tmp_path / "d.json").read_text("utf-8") == grafana.committed()
    assert "Import" in capsys.readouterr().out
    assert main(["grafana-dashboard", "--out", str(tmp_path / "no" / "d.json")]) == 1
    assert "cannot be written: No such file" in capsys.readouterr().err
