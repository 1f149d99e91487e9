"""The targets for spans keep to what the pump relies on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from export.receiver import Receiver, Response, receiving

from agenttrace_nb.export.contract import HandlerContract
from agenttrace_nb.export.otlp import OtlpHandler
from agenttrace_nb.export.splunk_hec import SplunkHecHandler
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agenttrace_nb.export.handler import Handler


class OnReceiver(HandlerContract):
    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with receiving() as self.receiver:
            self.receiver.answer(Response(200, b'{"text":"Success","code":0}', {"Content-Type": "application/json"}))
            yield

    receiver: Receiver


class TestOtlp(OnReceiver):
    def make(self, tmp_path: Path) -> tuple[Handler, Mapping[str, Any]]:
        return OtlpHandler(), {"endpoint": self.receiver.url, "token": Secret("invented", "env:T")}


class TestOtlpUnderOpenInference(OnReceiver):
    def make(self, tmp_path: Path) -> tuple[Handler, Mapping[str, Any]]:
        return OtlpHandler(), {"endpoint": self.receiver.url, "convention": "openinference", "turns": "keep"}


class TestSplunkHec(OnReceiver):
    def make(self, tmp_path: Path) -> tuple[Handler, Mapping[str, Any]]:
        return SplunkHecHandler(), {"url": self.receiver.url, "token": Secret("invented", "env:T"), "ack": "off"}
