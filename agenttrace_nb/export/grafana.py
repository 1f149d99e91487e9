"""A Grafana dashboard for the metrics that `PrometheusHandler` and `PushgatewayHandler` give, made by code.

``grafana_dashboard.json`` beside this file is what ``python -m agenttrace_nb.export.grafana`` writes; it is in the
package, so that ``agenttrace-nb grafana-dashboard`` needs nothing installed.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export import metrics
from agenttrace_nb.export.prometheus import family_name

if TYPE_CHECKING:
    from agenttrace_nb.export.metrics import Metric

UID = "agenttrace-nb"
TITLE = "Agent runs (agenttrace_nb)"
FILE = "grafana_dashboard.json"
_ARCH, _AGENT = 'arch=~"$arch"', 'agent=~"$agent"'
_WHOLE, _EACH = "$__range", "$__rate_interval"
_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
_SOURCE = "${datasource}"


def committed() -> str:
    """Return the dashboard as it is in the package.

    Examples
    --------
    >>> '"uid": "agenttrace-nb"' in committed()
    True
    """
    return files("agenttrace_nb.export").joinpath(FILE).read_text("utf-8")


# ----------------------------------------------------------------------------------------------------- expressions


def added(metric: Metric, window: str, *matchers: str, suffix: str = "") -> str:
    """Return an expression for what was added to each series within a window.

    Not ``increase``: that leaves out what a series begins with, and a series of a short-lived kernel often begins with
    all that it ever has.

    Examples
    --------
    >>> added(metrics.RUNS, "5m")
    'clamp_min(max_over_time(agenttrace_runs_total[5m]) - (agenttrace_runs_total offset 5m or max_over_time(agenttrace_runs_total[5m]) * 0), 0)'
    """  # noqa: E501
    name = family_name(metric) + (suffix or "_total")
    series = f"{name}{{{','.join(matchers)}}}" if matchers else name
    most = f"max_over_time({series}[{window}])"
    return f"clamp_min({most} - ({series} offset {window} or {most} * 0), 0)"


def total(metric: Metric, window: str, *matchers: str, by: str = "", suffix: str = "") -> str:
    """Return an expression for the sum of what was added, perhaps by a label."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} ({added(metric, window, *matchers, suffix=suffix)})"


def quantile(metric: Metric, share: float, window: str, *matchers: str, by: str = "") -> str:
    """Return an expression for a quantile of a duration, perhaps by a label."""
    labels = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({share}, {total(metric, window, *matchers, by=labels, suffix='_bucket')})"


# ------------------------------------------------------------------------------------------------------- dashboard


def dashboard() -> Any:
    """Return the dashboard as a model of Grafana's SDK.

    Raises
    ------
    ImportError
        If the extra ``grafana`` is not installed.
    """
    from grafana_foundation_sdk.builders import dashboard as build

    made = (
        build.Dashboard(TITLE)
        .uid(UID)
        .description("Runs of agents traced by agenttrace_nb. Percentiles are estimated from histograms.")
        .tags(["agents", "agenttrace_nb"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_variable("arch", "Architecture", metrics.RUNS, "_total"))
        .with_variable(_variable("agent", "Agent", metrics.AGENT_DURATION, "_count"))
    )
    for panel in (*_tiles(), *_charts(), _tools()):
        made = made.with_panel(panel)
    return made.build()


def generated() -> str:
    """Return the dashboard's JSON as the code makes it; the extra ``grafana`` must be installed."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard()) + "\n"


def _variable(name: str, label: str, metric: Metric, suffix: str) -> Any:
    from grafana_foundation_sdk.builders.dashboard import QueryVariable
    from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

    asked = f"label_values({family_name(metric)}{suffix}, {name})"
    return (
        QueryVariable(name)
        .label(label)
        .datasource(_source())
        .query({"query": asked, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")  # also where the label is not there
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _source() -> Any:
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    return DataSourceRef(type_val="prometheus", uid=_SOURCE)


def _query(expression: str, legend: str, ref: str, *, instant: bool = False, exemplar: bool = False) -> Any:
    from grafana_foundation_sdk.builders.prometheus import Dataquery

    made = Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(_source())
    return made.instant() if instant else made.range().exemplar(exemplar)


def _tiles() -> list[Any]:
    runs, errors = total(metrics.RUNS, _WHOLE, _ARCH), total(metrics.ERRORS, _WHOLE, _ARCH, _AGENT)
    ok = total(metrics.RUNS, _WHOLE, _ARCH, 'status="ok"')
    told = total(metrics.RUNS, _WHOLE, _ARCH, 'status=~"ok|error"')
    slow = quantile(metrics.RUN_DURATION, 0.95, _WHOLE, _ARCH)
    tokens = total(metrics.TOKENS, _WHOLE, _ARCH, _AGENT, 'kind=~"input|output"')
    return [
        _tile("Runs", f"{runs} or vector(0)", "short", "Traced cells that ended"),
        _tile("Without error", f"({ok} or vector(0)) / {told}", "percentunit", "Of the runs that were not stopped"),
        _tile("Errors", f"{errors} or vector(0)", "short", "Steps in which an error began"),
        _tile("Run duration, p95", slow, "s", "Estimated from a histogram"),
        _tile("Tokens", tokens, "short", "Input and output of model calls"),
        _tile("Cost", total(metrics.COST, _WHOLE, _ARCH, _AGENT), "currencyUSD", "Of model calls with a known price"),
    ]


def _tile(title: str, expression: str, unit: str, about: str) -> Any:
    from grafana_foundation_sdk.builders.common import ReduceDataOptions
    from grafana_foundation_sdk.builders.stat import Panel
    from grafana_foundation_sdk.models.common import BigValueColorMode, BigValueGraphMode

    return (
        Panel()
        .title(title)
        .description(about)
        .datasource(_source())
        .unit(unit)
        .no_value("–")
        .color_mode(BigValueColorMode.NONE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(4)
        .with_target(_query(expression, title, "A", instant=True))
    )


def _charts() -> list[Any]:
    quantiles = {name: quantile(metrics.RUN_DURATION, share, _EACH, _ARCH) for name, share in _QUANTILES}
    p95 = 0.95
    return [
        _lines("Run duration", quantiles, "s"),
        _bars("Runs by status", {"{{status}}": total(metrics.RUNS, _EACH, _ARCH, by="status")}, "short"),
        _lines("Agent duration, p95", {"{{agent}}": _by("agent", metrics.AGENT_DURATION, p95)}, "s"),
        _lines("Tool duration, p95", {"{{tool}}": _by("tool", metrics.TOOL_DURATION, p95)}, "s"),
        _lines("Model call duration, p95", {"{{model}}": _by("model", metrics.CALL_DURATION, p95)}, "s"),
        _bars("Errors by type", {"{{type}}": total(metrics.ERRORS, _EACH, _ARCH, _AGENT, by="type")}, "short"),
        _bars("Tokens by kind", {"{{kind}}": _kinds()}, "short"),
        _bars("Cost by model", {"{{model}}": total(metrics.COST, _EACH, _ARCH, _AGENT, by="model")}, "currencyUSD"),
    ]


def _by(label: str, metric: Metric, share: float) -> str:
    return quantile(metric, share, _EACH, _ARCH, _AGENT, by=label)


def _kinds() -> str:
    return total(metrics.TOKENS, _EACH, _ARCH, _AGENT, 'kind=~"input|output"', by="kind")


def _lines(title: str, expressions: dict[str, str], unit: str) -> Any:
    made = _chart(title, unit).line_width(2).fill_opacity(0).span_nulls(True)  # noqa: FBT003 - the SDK's signature
    for number, (legend, expression) in enumerate(expressions.items()):
        made = made.with_target(_query(expression, legend, "ABC"[number], exemplar=True))
    return made


def _bars(title: str, expressions: dict[str, str], unit: str) -> Any:
    from grafana_foundation_sdk.builders.common import StackingConfig
    from grafana_foundation_sdk.models.common import GraphDrawStyle, StackingMode

    stacked = StackingConfig().mode(StackingMode.NORMAL).group("A")
    made = _chart(title, unit).draw_style(GraphDrawStyle.BARS).fill_opacity(60).line_width(0).stacking(stacked)
    for legend, expression in expressions.items():
        made = made.with_target(_query(expression, legend, "A"))
    return made


def _chart(title: str, unit: str) -> Any:
    from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
    from grafana_foundation_sdk.builders.timeseries import Panel
    from grafana_foundation_sdk.models.common import (
        LegendDisplayMode,
        LegendPlacement,
        SortOrder,
        TooltipDisplayMode,
        VisibilityMode,
    )

    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return (
        Panel()
        .title(title)
        .datasource(_source())
        .unit(unit)
        .min(0)
        .no_value("–")
        .show_points(VisibilityMode.AUTO)
        .legend(legend.show_legend(True))  # noqa: FBT003 - the SDK's signature
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(8)
        .span(12)
    )


def _tools() -> Any:
    from grafana_foundation_sdk.builders.table import Panel
    from grafana_foundation_sdk.models.common import FieldTextAlignment
    from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

    matchers = (_ARCH, _AGENT)
    columns = {
        "Calls": total(metrics.TOOL_DURATION, _WHOLE, *matchers, by="tool", suffix="_count"),
        "Failed": total(metrics.TOOL_DURATION, _WHOLE, *matchers, 'status="error"', by="tool", suffix="_count"),
        "p95": quantile(metrics.TOOL_DURATION, 0.95, _WHOLE, *matchers, by="tool"),
    }
    renamed = {f"Value #{ref}": name for ref, name in zip("ABC", columns, strict=True)} | {"tool": "Tool"}
    options = {"excludeByName": {"Time": True}, "renameByName": renamed}
    made = (
        Panel()
        .title("Tools")
        .datasource(_source())
        .no_value("–")
        .align(FieldTextAlignment.AUTO)
        .inspect(inspect=False)
        .height(8)
        .span(24)
        .transformations(
            [
                DataTransformerConfig(id_val="merge", options={}),
                DataTransformerConfig(id_val="organize", options=options),
            ]
        )
        .override_by_name("p95", [DynamicConfigValue(id_val="unit", value="s")])
    )
    for ref, expression in zip("ABC", columns.values(), strict=True):
        made = made.with_target(_query(expression, "", ref, instant=True).format(PromQueryFormat.TABLE))
    return made


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(generated(), "utf-8")
