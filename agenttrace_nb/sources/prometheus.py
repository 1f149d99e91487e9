"""Prometheus' HTTP interface, which Mimir, Thanos, VictoriaMetrics and Grafana's proxy speak as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.sources.http import checked_url, explain, post, session_for
from agenttrace_nb.sources.source import API_VERSION, Query, Sample, Series, SourceError, merged

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

POINTS_PER_REQUEST = 10_000
"""Prometheus refuses more than 11,000 points for a series in one answer."""


class PrometheusSource:
    """Range queries in PromQL, with the traces that exemplars name.

    A value has the id of the last trace that an exemplar of the same series names since the value before it.
    """

    api_version = API_VERSION
    kind = "Prometheus"
    options: Mapping[str, str] = {
        "url": "its address, the part before /api/v1; http://127.0.0.1:9090 without it",
        "user": "user name, with password",
        "password": "reference to the password of user",
        "token": "reference to a bearer token",
        "tenant": "tenant of Mimir or Cortex (header X-Scope-OrgID)",
        "headers": "further headers, by name; a value such as env:NAME is looked up",
        "ca_file": "file with the certificates to trust, where they are your own",
    }
    required: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset({"password", "token"})

    def address(self, options: Mapping[str, Any]) -> str:
        """Return the part of the address before ``/api/v1``."""
        return checked_url(options.get("url", "http://127.0.0.1:9090"))

    def read(self, query: Query, options: Mapping[str, Any]) -> list[Series]:
        """Return what a query finds, in as many requests as it takes."""
        base = self.address(options)
        with session_for(options) as session:
            found = merged(
                series for part in query.parts(POINTS_PER_REQUEST) for series in self._range(session, base, part)
            )
            self._name_traces(session, base, query, found)
        return found

    def _range(self, session: requests.Session, base: str, query: Query) -> list[Series]:
        data = self._ask(session, f"{base}/api/v1/query_range", {**_period(query), "step": _seconds(query.step_ms)})
        if data.get("resultType") != "matrix":
            raise SourceError(f"{self.kind} at {base} answers with {data.get('resultType')}, not with values over time")
        return [_series(one, query.text) for one in data["result"]]

    def _ask(self, session: requests.Session, url: str, form: dict[str, str]) -> dict[str, Any]:
        answer = post(session, url, form, self.kind)
        try:
            told = answer.json()
            status, data = told["status"], told.get("data")
        except (ValueError, TypeError, KeyError, AttributeError):
            told = None
        if told is None:  # behind the except: what the parser says helps nobody
            explain(answer, self.kind, None)
        if status != "success" or not answer.ok:
            explain(answer, self.kind, str(told.get("error") or told.get("message") or ""))
        return data if isinstance(data, dict) else {"result": data}

    def _name_traces(self, session: requests.Session, base: str, query: Query, found: list[Series]) -> None:
        """Add the traces that exemplars name; not every server has exemplars, and none is an error."""
        try:
            data = self._ask(session, f"{base}/api/v1/query_exemplars", _period(query))
        except SourceError:
            return
        named = _exemplars(data.get("result"))
        for series in found:
            wanted = series.labels.items()
            fitting = sorted((at, trace) for labels, at, trace in named if wanted <= labels.items())
            series.samples[:] = _with_traces(series.samples, fitting)


def _period(query: Query) -> dict[str, str]:
    return {"query": query.text, "start": _seconds(query.start_ms), "end": _seconds(query.end_ms)}


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


def _series(one: Mapping[str, Any], query: str) -> Series:
    labels = dict(one["metric"])
    metric = labels.pop("__name__", None) or query
    trace_id = labels.pop("trace_id", None)
    samples = [Sample(round(at * 1000), float(value), trace_id) for at, value in one.get("values", ())]
    return Series(metric, labels, samples)


def _exemplars(listed: Any) -> list[tuple[dict[str, str], int, str]]:
    return [
        (one["seriesLabels"], round(exemplar["timestamp"] * 1000), exemplar["labels"]["trace_id"])
        for one in listed or ()
        for exemplar in one.get("exemplars", ())
        if exemplar.get("labels", {}).get("trace_id")
    ]


def _with_traces(samples: list[Sample], fitting: list[tuple[int, str]]) -> list[Sample]:
    # Each exemplar belongs to the first value at or after it: what happened is seen when it is next fetched.
    named, at = [], 0
    for sample in samples:
        trace_id = None
        while at < len(fitting) and fitting[at][0] <= sample.time_ms:
            trace_id = fitting[at][1]
            at += 1
        named.append(Sample(sample.time_ms, sample.value, sample.trace_id or trace_id))
    return named
