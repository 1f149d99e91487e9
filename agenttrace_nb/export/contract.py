"""Tests that every handler passes: subclass `HandlerContract` in the tests of a plugin and run pytest.

::

    from agenttrace_nb.export.contract import HandlerContract


    class TestMine(HandlerContract):
        def make(self, tmp_path):
            return MyHandler(), {"path": str(tmp_path / "out.txt")}
"""

from __future__ import annotations

import abc
import math
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import (
    API_VERSION,
    Content,
    Context,
    Handler,
    Item,
    Misconfigured,
    Refused,
    Retry,
    Sent,
    TooLarge,
)
from agenttrace_nb.export.outgoing import Cutter
from agenttrace_nb.export.registry import is_reference
from agenttrace_nb.export.sender import marked_item
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.spans import Agent, CellRun, Span, SpanError, SpanKind, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANSWERS = (Sent, Retry, TooLarge, Refused, Misconfigured)
LONGEST_EXPORT_S = 30.0
_START_NS = 1_700_000_000_000_000_000
_HOSTILE = "<script>alert(1)</script> \x00\x1b[31m \u202e {{7*7}} '; DROP TABLE spans; --"


class HandlerContract(abc.ABC):
    """What the pump relies on, as tests. Give it a handler that can reach a target that takes things."""

    @abc.abstractmethod
    def make(self, tmp_path: Path) -> tuple[Handler, Mapping[str, Any]]:
        """Return a new handler and options that work; secrets as `agenttrace_nb.secrets.Secret`."""

    def _opened(self, tmp_path: Path, content: Content = Content.FULL) -> Handler:
        handler, options = self.make(tmp_path)
        resource = {"service.name": "contract", "service.instance.id": "contract"}
        handler.open(Context(name="contract", options=options, content=content, resource=resource))
        return handler

    def _sent(self, tmp_path: Path, *items: Item, content: Content = Content.FULL) -> None:
        handler = self._opened(tmp_path, content)
        try:
            answer = handler.export(items)
        finally:
            handler.close()
        assert isinstance(answer, Sent), answer

    def test_it_has_the_members_of_a_handler(self, tmp_path: Path) -> None:
        """Names, helps and versions are there, and of the right type."""
        handler, options = self.make(tmp_path)
        assert isinstance(handler, Handler)
        assert handler.api_version == API_VERSION
        texts: list[object] = [*handler.options.keys(), *handler.options.values()]
        assert all(isinstance(text, str) and text for text in texts), "names of options, and a line of help for each"
        assert handler.required <= handler.options.keys()
        assert handler.secrets <= handler.options.keys()
        assert options.keys() <= handler.options.keys(), "an option is used that `options` does not name"
        assert handler.required <= options.keys()
        assert not handler.options.keys() & {"name", "content", "backlog", "max_age"}, "these are the pump's"
        for name in handler.secrets & options.keys():
            assert not isinstance(options[name], str) or is_reference(options[name]), "a secret is a `Secret`"

    def test_it_can_be_made_without_arguments(self, tmp_path: Path) -> None:
        """The pump makes it from its class alone."""
        handler, _ = self.make(tmp_path)
        assert isinstance(type(handler)(), Handler)

    def test_it_sends_every_kind_of_step_and_run(self, tmp_path: Path) -> None:
        """One batch of all there is arrives."""
        self._sent(tmp_path, *example_items())

    def test_it_sends_each_level_of_content(self, tmp_path: Path) -> None:
        """It does not rely on content that may be cut."""
        for level in Content:
            self._sent(tmp_path, *example_items(level), content=level)

    def test_it_sends_a_marked_item(self, tmp_path: Path) -> None:
        """`%trace_export test` has something to send."""
        self._sent(tmp_path, marked_item("contract"))

    def test_it_takes_an_empty_batch_and_batches_one_after_the_other(self, tmp_path: Path) -> None:
        """It keeps no more between batches than it needs."""
        handler = self._opened(tmp_path)
        try:
            assert isinstance(handler.export(()), ANSWERS)
            for item in example_items():
                assert isinstance(handler.export((item,)), ANSWERS)
        finally:
            handler.close()

    def test_it_takes_the_same_items_twice(self, tmp_path: Path) -> None:
        """Delivery is at least once."""
        handler, items = self._opened(tmp_path), example_items()
        try:
            assert isinstance(handler.export(items), Sent)
            assert isinstance(handler.export(items), Sent)
        finally:
            handler.close()

    def test_hostile_texts_and_odd_numbers_do_no_harm(self, tmp_path: Path) -> None:
        """Models and tools write what they like; clocks are put back."""
        self._sent(tmp_path, *hostile_items())

    def test_a_full_batch_is_answered_in_time(self, tmp_path: Path) -> None:
        """A batch of 512 steps takes less than half a minute, and one of the answers comes back."""
        items = example_items()
        batch = tuple(items[number % len(items)] for number in range(512))
        handler = self._opened(tmp_path)
        try:
            began = time.monotonic()
            assert isinstance(handler.export(batch), ANSWERS)
            assert time.monotonic() - began < LONGEST_EXPORT_S
        finally:
            handler.close()

    def test_it_does_not_change_what_it_is_given(self, tmp_path: Path) -> None:
        """The same items are sent again after a failure."""
        items = example_items()
        before = [_as_data(item) for item in items]
        self._sent(tmp_path, *items)
        assert [_as_data(item) for item in items] == before

    def test_it_works_in_another_thread_than_the_main_one(self, tmp_path: Path) -> None:
        """The pump runs each handler in a thread of its own."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                self._sent(tmp_path, *example_items())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(2 * LONGEST_EXPORT_S)
        assert not thread.is_alive()
        assert not failures, failures

    def test_it_closes_also_when_nothing_was_sent(self, tmp_path: Path) -> None:
        """A handler that was opened is closed."""
        self._opened(tmp_path).close()


def example_items(content: Content = Content.FULL) -> tuple[Item, ...]:
    """Return one item for each kind of step and status, and one for a run.

    Examples
    --------
    >>> {item.span.kind.value for item in example_items() if item.span} == {kind.value for kind in SpanKind}
    True
    """
    trace, run = _around("contract run")
    spans = [_span(number, kind) for number, kind in enumerate(SpanKind)]
    for number, status in enumerate(Status, len(spans)):
        span = _span(number, SpanKind.TOOL)
        span.status = status
        if status is Status.ERROR:
            span.error = SpanError("no answer", "TimeoutError", 504, ("OSError: reset",), "Traceback ...")
        spans.append(span)
    return _items(spans, trace, run, content)


def hostile_items() -> tuple[Item, ...]:
    """Return items with texts that attack, numbers that are none, and times that run backwards."""
    trace, run = _around(_HOSTILE)
    trace.tags = {_HOSTILE: _HOSTILE, "long": "x" * 70_000, "": ""}
    texts = ("", " ", "\ud800", "é" * 3000, _HOSTILE, "\u2028", "a\nb\tc")
    spans = []
    for number, text in enumerate(texts):
        span = _span(number, SpanKind.OTHER)
        span.name, span.agent, span.model = text, text, text
        span.content_in = {text: [text, {"deep": [[[[text]]]]}]}
        span.content_out = [math.nan, math.inf, -math.inf, 2**70, None, True]
        span.attributes = {"type": text, "data": {text: math.nan}, text: text}
        span.error = SpanError(text, text, -1, (text,), text)
        span.cost_usd, span.ttft_s, span.input_tokens = math.nan, math.inf, 2**62
        span.end_ns = span.start_ns - 5
        spans.append(span)
    return _items(spans, trace, run, Content.FULL)


def _around(name: str) -> tuple[Trace, CellRun]:
    over: dict[str, Any] = {"start_ns": _START_NS, "end_ns": _START_NS + 10**9, "status": Status.OK}
    agents = {"Planner": Agent(name="Planner", role="planner", instructions="Plan.", tools=[{"name": "search"}])}
    trace = Trace(
        trace_id="c" * 32, name=name, session="s-1", user="u-1", tags={"team": "red"}, agents=agents, **over
    )  # fmt: skip
    run = CellRun(key="e" * 32, name=name, arch="one", case="task-1", trial="1", trace_ids=["c" * 32], **over)
    return trace, run


def _span(number: int, kind: SpanKind) -> Span:
    span = Span(
        trace_id="c" * 32, span_id=f"{number + 1:016x}", parent_id=f"{1:016x}" if number else None, kind=kind,
        name=f"{kind.value} {number}", start_ns=_START_NS + number, end_ns=_START_NS + number + 10**8,
        status=Status.OK, agent="Planner", role="planner", content_in={"question": "where?"}, content_out="there",
        attributes={"call_id": f"call-{number}"},
    )  # fmt: skip
    if kind is SpanKind.LLM:
        span.model, span.input_tokens, span.output_tokens, span.cost_usd, span.ttft_s = "gpt-test", 12, 3, 0.001, 0.2
        span.content_in = [{"role": "user", "content": "where?"}]
        span.content_out = [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "there"}]}
        ]
    if kind is SpanKind.OTHER:
        span.name, span.attributes = "a new primitive", {"type": "new", "data": {"anything": [1, {"more": None}]}}
    return span


def _items(spans: list[Span], trace: Trace, run: CellRun, content: Content) -> tuple[Item, ...]:
    cutter = Cutter(content, Redactor())
    parent = spans[0]
    items = [cutter.span(span, trace, run, parent if span is not parent else None)[0] for span in spans]
    return (*items, cutter.run(run)[0])


def _as_data(item: Item) -> dict[str, Any]:
    return {"moment": item.moment, "event_id": item.event_id} | {
        name: asdict(part) for name in ("span", "trace", "run", "parent") if (part := getattr(item, name)) is not None
    }
