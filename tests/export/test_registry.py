"""Which handlers there are, and what their options may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from export import plugins
from export.recorded import Remembering

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import registry
from agenttrace_nb.export.contract import HandlerContract
from agenttrace_nb.export.handler import Handler
from agenttrace_nb.secrets import Secret, SecretError

TOKEN = "invented-token-for-tests"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins.install(tmp_path / "site", monkeypatch)


class TestPluginOfTenLines(HandlerContract):
    @pytest.fixture(autouse=True)
    def _installed(self, installed):
        pass

    def make(self, tmp_path):
        return registry.load("lines")(), {"path": str(tmp_path / "lines.txt")}


def test_the_plugin_of_the_documentation_is_the_one_that_is_tested():
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text("utf-8")
    shown = text[text.index("class Lines:") :]
    assert shown[: shown.index("```")].strip() in plugins.CODE


@pytest.mark.parametrize("kind", registry.KINDS.built_in)
def test_every_handler_of_ours_keeps_to_the_contract(kind):
    made = registry.checked(registry.load(kind), kind)
    assert isinstance(made(), Handler)
    assert made.required | made.secrets <= made.options.keys()


def test_kinds_are_named_without_loading_any(installed):
    code = (
        "import sys; from agenttrace_nb.export import registry; print(' '.join(registry.KINDS.names()))\n"
        "loaded = {'requests', 'lines_plugin', 'prometheus_client', 'google.protobuf', 'agents', 'mlflow'}\n"
        "assert not loaded & sys.modules.keys(), loaded & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*registry.KINDS.built_in, "broken", "gone", "hanging", "lines", "none", "old"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("broken", "the handler 'broken' of the package lines-plugin cannot be loaded: ModuleNotFoundError"),
        ("gone", "the package lines-plugin cannot be loaded: AttributeError"),
        ("none", "the package lines-plugin cannot be used: it has no open, export, close, options"),
        ("old", "was written for version 0 of the contract, this is version 1; update it"),
        ("jsnol", "there is no kind of handler 'jsnol'; there are otlp, .*lines, none, old. Did you mean jsonl"),
    ],
)
def test_a_plugin_that_is_broken_is_named_and_others_are_not_disturbed(installed, kind, words):
    with pytest.raises(OptionError, match=words):
        registry.load(kind)
    assert registry.load("lines").__name__ == "Lines"


class Strict(Remembering):
    options: ClassVar = {"endpoint": "Where to.", "token": "The token.", "port": "A number."}
    required = frozenset({"endpoint"})
    secrets = frozenset({"token"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "endpoint must be given: Where to."),
        ({"endpoit": "x"}, "there is no option 'endpoit'.* Did you mean endpoint"),
        ({"endpoint": ["x"]}, "endpoint must be a text, a number or a switch, not a list"),
        ({"endpoint": "x", "token": TOKEN}, "token must be a reference"),
        ({"endpoint": "x", "token": f"env {TOKEN}"}, "token must be a reference"),
        ({"endpoint": "x", "token": "env:"}, "token must be a reference"),
        ({"endpoint": f"https://me:{TOKEN}@example.com"}, "endpoint holds what looks like a secret"),
        ({"endpoint": f"https://example.com?api_key={TOKEN}"}, "endpoint holds what looks like a secret"),
    ],
)
def test_a_wrong_option_is_refused_and_no_secret_is_repeated(options, words):
    with pytest.raises(OptionError, match=words) as refused:
        registry.check_options(Strict, options)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("prometheus", {"port": "abc"}, "port='abc' is not allowed"),
        ("pushgateway", {"url": "gateway"}, "url: an address begins with"),
        ("pushgateway", {"url": "http://localhost:9091", "delete": "maybe"}, "delete: on or off"),
        ("datadog-metrics", {"api_key": "env:SOME_TOKEN", "site": "datadoghq.de"}, "Did you mean datadoghq.eu"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_given(kind, options, words, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    with pytest.raises(OptionError, match=words):
        registry.check_options(registry.load(kind), options)


def test_paths_are_kept_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = registry.check_options(registry.load("prometheus"), {"discovery": "found"})
    assert kept == {"discovery": str(tmp_path / "found")}


def test_a_kind_that_is_no_text_is_named():
    with pytest.raises(OptionError, match="there is no kind of handler '5'; there are otlp"):
        registry.load(5)


def test_references_are_resolved_secrets_as_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    monkeypatch.setenv("SOME_ADDRESS", "http://localhost:1")
    options = {"endpoint": "env:SOME_ADDRESS", "token": "env:SOME_TOKEN", "port": 5}
    assert registry.check_options(Strict, options) == options
    found = registry.resolved(Strict, options)
    assert found == {"endpoint": "http://localhost:1", "token": Secret(TOKEN, "env:SOME_TOKEN"), "port": 5}
    assert registry.variables_in(options.values()) == {"SOME_ADDRESS", "SOME_TOKEN"}
    with pytest.raises(SecretError, match=r"token: file:.* cannot be read"):
        registry.resolved(Strict, {"token": f"file:{tmp_path}/none"})
    (problem,) = registry.unresolved({"token": "env:NOT_SET_HERE", "endpoint": "env:SOME_ADDRESS"})
    assert "NOT_SET_HERE is not set" in problem
