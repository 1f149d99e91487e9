"""Datadog's time series, by its own client."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.sources.http import checked_url, innermost
from agenttrace_nb.sources.source import API_VERSION, Query, Sample, Series, SourceError, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

POINTS_PER_REQUEST = 1_000
"""Datadog widens the step instead of refusing when there would be more than about 1,500 points."""

SITES = (
    "datadoghq.com", "us3.datadoghq.com", "us5.datadoghq.com", "datadoghq.eu", "ap1.datadoghq.com", "ap2.datadoghq.com",
    "ddog-gov.com",
)  # fmt: skip
_TIMEOUT_S = (5.0, 60.0)
_TOLD_CHARS = 300
_TOO_MANY = 429


class DatadogSource:
    """Metric queries such as ``avg:system.cpu.user{*} by {host}``."""

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "api_key": "reference to an API key",
        "app_key": "reference to an application key that may read time series",
        "site": f"Datadog site, one of {', '.join(SITES)}; the first without it",
        "url": "another address in place of the site's, such as a proxy",
    }
    required = frozenset({"api_key", "app_key"})
    secrets = frozenset({"api_key", "app_key"})

    def read(self, query: Query, options: Mapping[str, Any]) -> list[Series]:
        """Return what a query finds, in as many requests as it takes."""
        try:
            from datadog_api_client import ApiClient
            from datadog_api_client.v2.api.metrics_api import MetricsApi
        except ImportError:
            raise SourceError("this needs Datadog's client: pip install 'agenttrace-nb[datadog]'") from None
        host = _host(options)
        make: Any = MetricsApi  # carries no types
        with ApiClient(_configuration(host, options)) as client:
            api = make(client)
            found = merged(series for part in _parts(query) for series in _ask(api, host, part))
        for series in found:
            series.samples[:] = [s for s in series.samples if query.start_ms <= s.time_ms <= query.end_ms]
        return found


def _parts(query: Query) -> Iterator[Query]:
    """Split a query on Datadog's own grid, multiples of the step: on another, times between two parts would be lost."""
    return replace(query, start_ms=query.start_ms // query.step_ms * query.step_ms).parts(POINTS_PER_REQUEST)


def _host(options: Mapping[str, Any]) -> str:
    if "url" in options:
        return checked_url(options["url"])
    site = options.get("site", SITES[0])
    if site not in SITES:
        msg = f"site={site!r} is not known; it must be one of {', '.join(SITES)}.{did_you_mean(str(site), SITES)}"
        raise OptionError(msg)
    return f"https://api.{site}"


def _configuration(host: str, options: Mapping[str, Any]) -> Any:
    from datadog_api_client import Configuration

    make: Any = Configuration  # carries no types
    keys = {"apiKeyAuth": options["api_key"].reveal(), "appKeyAuth": options["app_key"].reveal()}
    # The client's own default is neither to try again nor ever to give up waiting. A server index would lead away
    # from the host given here.
    return make(host=host, api_key=keys, enable_retry=True, max_retries=2, request_timeout=_TIMEOUT_S)


def _ask(api: Any, host: str, query: Query) -> Iterator[Series]:
    from datadog_api_client import exceptions
    from urllib3.exceptions import HTTPError

    try:
        answer = api.query_timeseries_data(body=_request(query))
    except (exceptions.ForbiddenException, exceptions.UnauthorizedException):
        raise SourceError(f"Datadog at {host} refuses these keys; see api_key, app_key and site") from None
    except exceptions.ApiException as error:
        status = f"HTTP {error.status}"
        if error.status == _TOO_MANY:
            raise SourceError(f"Datadog at {host} takes no more requests for now ({status}); try again later") from None
        raise SourceError(f"Datadog at {host} refuses this query ({status}): {_told(error)}") from None
    except exceptions.OpenApiException as error:
        raise SourceError(f"{host} does not answer as Datadog does: {str(error)[:_TOLD_CHARS]}") from None
    except (HTTPError, OSError) as error:
        raise SourceError(f"Datadog at {host} does not answer: {innermost(error)}") from None
    told = answer.to_dict()
    if problem := told.get("errors"):
        raise SourceError(f"Datadog at {host} refuses this query: {str(problem)[:_TOLD_CHARS]}")
    yield from _series(query, (told.get("data") or {}).get("attributes") or {})


def _series(query: Query, told: Mapping[str, Any]) -> Iterator[Series]:
    times = told.get("times") or ()
    for series, values in zip(told.get("series") or (), told.get("values") or (), strict=False):
        labels = _labels(series.get("group_tags") or ())
        trace_id = labels.pop("trace_id", None)
        samples = [
            Sample(at, float(value), trace_id)
            for at, value in zip(times, values, strict=False)
            if value is not None and query.start_ms <= at <= query.end_ms
        ]
        yield Series(query.text, labels, samples)


def _labels(tags: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (str(tag).partition(":") for tag in tags)}


def _request(query: Query) -> Any:
    from datadog_api_client.v2.model.metrics_data_source import MetricsDataSource
    from datadog_api_client.v2.model.metrics_timeseries_query import MetricsTimeseriesQuery
    from datadog_api_client.v2.model.query_formula import QueryFormula
    from datadog_api_client.v2.model.timeseries_formula_query_request import TimeseriesFormulaQueryRequest
    from datadog_api_client.v2.model.timeseries_formula_request import TimeseriesFormulaRequest
    from datadog_api_client.v2.model.timeseries_formula_request_attributes import TimeseriesFormulaRequestAttributes
    from datadog_api_client.v2.model.timeseries_formula_request_queries import TimeseriesFormulaRequestQueries
    from datadog_api_client.v2.model.timeseries_formula_request_type import TimeseriesFormulaRequestType

    queries: Any = TimeseriesFormulaRequestQueries  # carries no types
    asked = MetricsTimeseriesQuery(data_source=MetricsDataSource.METRICS, query=query.text, name="a")
    attributes = TimeseriesFormulaRequestAttributes(
        _from=query.start_ms,
        to=query.end_ms + 1,  # their end is not part of it
        interval=query.step_ms,
        formulas=[QueryFormula(formula="a")],
        queries=queries([asked]),
    )
    request = TimeseriesFormulaRequest(attributes=attributes, type=TimeseriesFormulaRequestType.TIMESERIES_REQUEST)
    return TimeseriesFormulaQueryRequest(data=request)


def _told(error: Any) -> str:
    body = error.body
    problems = body.get("errors") if isinstance(body, dict) else getattr(body, "errors", None)
    return "; ".join(map(str, problems))[:_TOLD_CHARS] if problems else str(error.reason or "")[:_TOLD_CHARS]
