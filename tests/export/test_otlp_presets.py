"""Where OTLP goes: each service's addresses and headers, and what is refused before anything is sent."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trustme

from agenttrace_nb.config import OptionError
from agenttrace_nb.export.datadog_metrics import SITES
from agenttrace_nb.export.handler import Context
from agenttrace_nb.export.otlp import OtlpHandler
from agenttrace_nb.export.otlp_presets import destination
from agenttrace_nb.export.registry import check_options
from agenttrace_nb.export.splunk_hec import SplunkHecHandler
from agenttrace_nb.secrets import Secret

TOKEN = "invented-for-this-test"
SECRET = Secret(TOKEN, "env:TOKEN")


def revealed(headers: dict[str, Any]) -> dict[str, str]:
    return {name: value.reveal() for name, value in headers.items()}


@pytest.mark.parametrize(
    ("options", "traces", "metrics", "headers"),
    [
        ({}, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics", {}),
        (
            {"preset": "grafana", "endpoint": "https://tempo.example:443/otlp/", "headers": "X-Scope-OrgID=team"},
            "https://tempo.example:443/otlp/v1/traces", "https://tempo.example:443/otlp/v1/metrics",
            {"X-Scope-OrgID": "team"},
        ),
        (
            {"preset": "generic", "endpoint": "https://collector.example", "token": SECRET},
            "https://collector.example/v1/traces", "https://collector.example/v1/metrics",
            {"Authorization": f"Bearer {TOKEN}"},
        ),
        (
            {
                "preset": "grafana-cloud", "endpoint": "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp",
                "instance_id": "123456", "token": SECRET,
            },
            "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/traces",
            "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/metrics",
            {"Authorization": "Basic " + base64.b64encode(f"123456:{TOKEN}".encode()).decode()},
        ),
        (
            {"preset": "datadog", "site": "datadoghq.eu", "token": SECRET},
            "https://otlp.datadoghq.eu/v1/traces", "https://otlp.datadoghq.eu/v1/metrics", {"dd-api-key": TOKEN},
        ),
        (
            {"preset": "datadog-agent"},
            "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics", {},
        ),
        (
            {"preset": "splunk-o11y", "realm": "eu0", "token": SECRET},
            "https://ingest.eu0.signalfx.com/v2/trace/otlp", "https://ingest.eu0.signalfx.com/v2/datapoint/otlp",
            {"X-SF-Token": TOKEN},
        ),
        (
            {"preset": "splunk-o11y", "realm": "us1", "token": SECRET, "traces_url": "https://ingest.us1.example/t"},
            "https://ingest.us1.example/t", "https://ingest.us1.signalfx.com/v2/datapoint/otlp", {"X-SF-Token": TOKEN},
        ),
    ],
)  # fmt: skip
def test_each_service_has_its_addresses_and_headers(options, traces, metrics, headers) -> None:
    made = destination(options)
    assert (made.traces_url, made.metrics_url) == (traces, metrics)
    assert revealed(made.headers) == headers
    assert made.is_delta is str(options.get("preset", "")).startswith("datadog")
    assert TOKEN not in repr(made)


def test_llm_observability_is_asked_for_with_traces_alone() -> None:
    made = destination({"preset": "datadog", "token": SECRET, "llmobs": "on"})
    assert made.trace_headers == {"dd-otlp-source": "llmobs"}
    assert "dd-otlp-source" not in made.headers
    assert destination({"preset": "datadog", "token": SECRET, "llmobs": "off"}).trace_headers == {}


@pytest.mark.parametrize("site", SITES)
def test_every_site_of_datadog_has_an_address(site: str) -> None:
    assert (
        destination({"preset": "datadog", "site": site, "token": SECRET}).traces_url == f"https://otlp.{site}/v1/traces"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "grafana-clowd"}, "Did you mean grafana-cloud?"),
        ({"preset": "grafana-cloud", "token": SECRET, "instance_id": "1"}, "endpoint: preset grafana-cloud needs it"),
        ({"preset": "grafana-cloud", "token": SECRET, "endpoint": "https://x"}, "instance_id: preset grafana-cloud"),
        (
            {"preset": "grafana-cloud", "token": SECRET, "endpoint": "https://x.example", "instance_id": "mine"},
            "instance_id: the number",
        ),
        ({"preset": "datadog"}, "token: preset datadog needs it"),
        ({"preset": "datadog", "token": SECRET, "site": "datadoghq.fr"}, "site: .*Did you mean"),
        ({"preset": "datadog", "token": SECRET, "llmobs": "perhaps"}, "llmobs: on or off"),
        ({"preset": "datadog", "token": SECRET, "realm": "us1"}, "realm: preset datadog has no use .*splunk-o11y"),
        ({"preset": "splunk-o11y", "token": SECRET}, "realm: preset splunk-o11y needs it"),
        ({"preset": "splunk-o11y", "token": SECRET, "realm": "https://x"}, "realm: two letters and a number"),
        ({"preset": "grafana", "site": "datadoghq.eu"}, "site: preset grafana has no use for it"),
        ({"endpoint": "http://localhost:4318/v1/traces"}, "endpoint: /v1/traces is added to it"),
        ({"endpoint": "localhost:4318"}, "endpoint: an address begins with"),
        ({"traces_url": "localhost"}, "traces_url: an address begins with"),
        ({"endpoint": "http://tempo.example", "token": SECRET}, "endpoint: a token is not sent without TLS"),
        ({"endpoint": "http://tempo.example", "headers": "A=b"}, "endpoint: a token is not sent without TLS"),
        ({"traces_url": "http://tempo.example/t", "token": SECRET}, "traces_url: a token is not sent without TLS"),
        ({"headers": "no equals sign"}, "headers: write name=value"),
        ({"headers": "A b=c"}, "is no name of a header"),
        ({"convention": "semantic"}, "convention: 'semantic' is none of genai, openinference"),
        ({"turns": "folded"}, "turns: 'folded' is none of fold, drop, keep. Did you mean fold?"),
        ({"ca_file": "/absent.pem"}, "ca_file: there is no file"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_with_what_is_allowed(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as told:
        OtlpHandler().open(Context(name="test", options=options))
    assert TOKEN not in str(told.value)


def test_headers_are_not_repeated_when_they_are_wrong() -> None:
    with pytest.raises(ValueError, match="headers: write") as told:
        destination({"headers": Secret(TOKEN, "env:T")})
    assert TOKEN not in str(told.value)


def test_wrong_options_are_refused_where_the_handler_is_added(monkeypatch, tmp_path) -> None:
    with pytest.raises(OptionError, match="Did you mean grafana-cloud"):
        check_options(OtlpHandler, {"preset": "grafana-clowd"})
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    with pytest.raises(OptionError, match="without TLS"):
        check_options(SplunkHecHandler, {"url": "http://splunk.example:8088", "token": "env:SOME_TOKEN"})
    # What a reference leads to is looked at when it is there.
    later = {"preset": "datadog", "site": "datadoghq.eu", "token": "env:NOT_SET_YET"}
    assert check_options(OtlpHandler, later) == later


def test_paths_are_kept_in_full(monkeypatch, tmp_path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.chdir(tmp_path)
    assert check_options(OtlpHandler, {"ca_file": "ca.pem"}) == {"ca_file": str(tmp_path / "ca.pem")}
