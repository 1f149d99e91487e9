"""A real Pushgateway takes what the handler pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from export.ended import run, some_of_everything
from interop.servers import pushgateway
from sources.answering import Answer, Answering, answering

from agenttrace_nb.export import metrics
from agenttrace_nb.export.contract import HandlerContract
from agenttrace_nb.export.handler import Context, Misconfigured, Refused, Retry, Sent, TooLarge
from agenttrace_nb.export.metrics import MetricBook
from agenttrace_nb.export.pushgateway import PushgatewayHandler
from agenttrace_nb.export.registry import load
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.servers import Server

INSTANCE = "20260101T000000-1/test"  # a slash would end the label, were it not coded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pushgateway(tmp_path_factory.mktemp("pushgateway")) as started:
        yield started


def opened(url: str, **options: Any) -> PushgatewayHandler:
    made = PushgatewayHandler()
    resource = {"service.name": "agenttrace_nb", "service.instance.id": INSTANCE}
    made.open(Context(name="here", options={"url": url, **options}, resource=resource))
    return made


def groups(server: Server, job: str) -> list[dict[str, Any]]:
    return [group for group in server.get("/api/v1/metrics")["data"] if group["labels"]["job"] == job]


class TestPushgateway(HandlerContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: Server) -> None:
        self._url = server.url

    def make(self, tmp_path: Path) -> tuple[PushgatewayHandler, dict[str, Any]]:
        return PushgatewayHandler(), {"url": self._url, "job": "contract"}


def test_it_is_found_by_its_name() -> None:
    assert load("pushgateway") is PushgatewayHandler


def test_the_gateway_has_the_same_figures_under_the_journals_name(server: Server) -> None:
    handler, book, items = opened(server.url), MetricBook(), some_of_everything()
    book.take(items)
    assert handler.export(tuple(items[:9])) == Sent()
    assert handler.export(tuple(items)) == Sent()  # with the first nine once more
    handler.close()
    (group,) = groups(server, "agenttrace_nb")
    assert group["labels"]["instance"] == INSTANCE
    found = {
        (m["labels"]["arch"], m["labels"]["status"]): float(m["value"])
        for m in group["agenttrace_runs_total"]["metrics"]
    }
    assert found == {labels: point.value for labels, point in book.snapshot().series[metrics.RUNS].items()}


def test_the_group_is_taken_away_at_the_end_where_that_is_wanted(server: Server) -> None:
    handler = opened(server.url, job="leaving", delete="on")
    handler.export((run(),))
    assert groups(server, "leaving")
    handler.close()
    assert not groups(server, "leaving")


@pytest.fixture
def stub() -> Iterator[Answering]:
    with answering() as started:
        yield started


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, Sent), (202, Sent), (400, Refused), (401, Misconfigured), (404, Misconfigured), (302, Misconfigured),
     (413, TooLarge), (429, Retry), (503, Retry)],
)  # fmt: skip
def test_each_answer_is_what_it_means(stub: Answering, status: int, kind: type) -> None:
    stub.answer = lambda _: Answer(status, "because")
    answer = opened(stub.url).export((run(),))
    assert isinstance(answer, kind)
    assert kind is Sent or f"{status} (because)" in answer.reason


def test_credentials_are_sent_and_not_to_another_machine_in_the_clear(stub: Answering) -> None:
    secret = Secret("invented", "env:SOME")
    opened(stub.url, token=secret).export((run(),))
    opened(stub.url, user="me", password=secret).export((run(),))
    assert [asked.headers["authorization"] for asked in stub.asked] == ["Bearer invented", "Basic bWU6aW52ZW50ZWQ="]
    with pytest.raises(ValueError, match="not sent without TLS"):
        opened("http://pushgateway.example:9091", token=secret)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"url": "gateway"}, "url: an address begins with"), ({"job": " "}, "job: a text"),
     ({"delete": "maybe"}, "delete: "), ({"user": "me"}, "user and password are given together")],
)  # fmt: skip
def test_a_wrong_option_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened(**{"url": "http://127.0.0.1:9091", **options})
