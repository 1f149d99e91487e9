"""The domain: ids, times, lazy contents, messages, where an error began, sums that do not invent zeros."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace_nb.spans import (
    CellRun,
    Lazy,
    Span,
    SpanError,
    SpanKind,
    Status,
    Trace,
    span_id_of,
    trace_id_of,
)

TRACE = "a" * 32


def span(name: str, kind: str = "other", parent: str | None = None, at: int = 0, **more: Any) -> Span:
    return Span(trace_id=TRACE, span_id=name, name=name, kind=SpanKind(kind), parent_id=parent, start_ns=at, **more)


def failed(name: str, parent: str | None = None, error: SpanError | None = None, **more: Any) -> Span:
    return span(name, parent=parent, status=Status.ERROR, error=error, **more)


def trace(*spans: Span) -> Trace:
    return Trace(trace_id=TRACE, name="t", start_ns=0, spans=list(spans))


def names(spans: list[Span]) -> list[str]:
    return [s.name for s in spans]


# ------------------------------------------------------------------------------------------------------------- ids


def test_a_trace_id_of_the_sdk_is_kept() -> None:
    assert trace_id_of("trace_0123456789abcdef0123456789abcdef") == "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "own", ["my id", "", "trace_" + "0" * 32, "trace_" + "A" * 32, "trace_" + "a" * 31, "trace_" + "a" * 32 + "\n", "é"]
)
def test_any_other_trace_id_becomes_the_first_128_bits_of_its_sha256(own: str) -> None:
    assert trace_id_of(own) == hashlib.sha256(own.encode()).hexdigest()[:32]


def test_a_span_id_is_the_first_64_bits_of_the_sha256() -> None:
    assert span_id_of("span_1") == hashlib.sha256(b"span_1").hexdigest()[:16]


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_ids_that_opentelemetry_accepts(text: str) -> None:
    assert len(bytes.fromhex(trace_id_of(text))) == 16
    assert len(bytes.fromhex(span_id_of(text))) == 8
    assert int(trace_id_of(text), 16) != 0


# ----------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize("kind", [Span, Trace, CellRun])
def test_what_still_runs_has_no_end_and_no_duration(kind: type) -> None:
    one = {
        Span: lambda **t: span("s", **t),
        Trace: lambda **t: Trace(trace_id=TRACE, name="t", start_ns=1_000_000_000, **t),
        CellRun: lambda **t: CellRun(key="k", name="r", start_ns=1_000_000_000, **t),
    }[kind]
    assert one().ended_at is None
    assert one().duration_s is None
    if kind is not Span:
        over = one(end_ns=3_500_000_000)
        assert over.duration_s == 2.5
        assert over.started_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
        assert over.ended_at == datetime(1970, 1, 1, 0, 0, 3, 500_000, tzinfo=UTC)


def test_what_is_not_known_of_a_span_is_none_and_never_zero() -> None:
    one = span("s")
    assert [one.input_tokens, one.output_tokens, one.cost_usd, one.ttft_s, one.model, one.agent] == [None] * 6


# -------------------------------------------------------------------------------------------------------- contents


def test_a_lazy_content_is_loaded_when_it_is_read_and_only_once() -> None:
    loads: list[int] = []

    def load() -> str:
        loads.append(1)
        return "prompt"

    one = span("s", content_in=Lazy(load))
    assert loads == []
    assert [one.input, one.input] == ["prompt", "prompt"]
    assert loads == [1]


def test_a_lazy_content_that_cannot_be_loaded_now_can_be_later() -> None:
    tries = iter([KeyError("not yet"), "there"])

    def load() -> str:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    lazy = Lazy(load)
    with pytest.raises(KeyError):
        lazy.get()
    assert lazy.get() == "there"


def test_threads_that_read_a_lazy_content_at_once_all_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # What only one thread may do is looking up how to load; a property shows whether it is looked up twice.
    lookups: list[int] = []
    slot = Lazy._load

    def look_up(lazy: Lazy) -> Any:
        lookups.append(1)
        return slot.__get__(lazy)

    monkeypatch.setattr(Lazy, "_load", property(look_up, slot.__set__))
    assert Lazy(lambda: "value").get() == "value"
    assert len(lookups) == 1

    in_load, go_on = threading.Event(), threading.Event()

    def load() -> str:
        in_load.set()
        assert go_on.wait(10)
        return "value"

    lazy = Lazy(load)
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(lazy.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert in_load.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert got == ["value"] * 8


def test_a_content_that_is_none_is_none() -> None:
    assert span("s", content_in=Lazy(lambda: None)).input is None
    assert span("s").output is None


# ---------------------------------------------------------------------------------------------------------- errors


def test_an_error_reads_as_type_and_message() -> None:
    assert str(SpanError("no", "ValueError")) == "ValueError: no"
    assert str(SpanError("no")) == "no"


BOOM = SpanError("no station", "BackendError")


def test_an_error_began_where_nothing_below_failed() -> None:
    one = trace(failed("root", error=BOOM), failed("agent", "root", BOOM), failed("tool", "agent", BOOM))
    assert names(one.errors) == ["tool"]


def test_an_error_that_passes_through_a_span_without_marking_it_is_counted_once() -> None:
    one = trace(failed("root", error=BOOM), span("turn", parent="root"), failed("tool", "turn", BOOM))
    assert names(one.errors) == ["tool"]


def test_two_tools_that_fail_are_two_errors() -> None:
    one = trace(span("root"), failed("a", "root", BOOM), failed("b", "root", SpanError("late", "TimeoutError")))
    assert names(one.errors) == ["a", "b"]


def test_an_error_wrapped_in_another_is_explained_by_its_cause() -> None:
    wrapped = SpanError("tool failed", "UserError", chain=("BackendError: no station",))
    quoted = SpanError("Error running tool: no station", "UserError")
    assert names(trace(failed("root", error=wrapped), failed("tool", "root", BOOM)).errors) == ["tool"]
    assert names(trace(failed("root", error=quoted), failed("tool", "root", BOOM)).errors) == ["tool"]


def test_a_run_that_fails_for_its_own_reason_after_a_tool_failed_has_two_errors() -> None:
    turns = SpanError("Max turns (3) exceeded", "MaxTurnsExceeded")
    one = trace(failed("root", error=turns), failed("agent", "root", turns), failed("tool", "agent", BOOM))
    assert names(one.errors) == ["agent", "tool"]


def test_an_error_without_text_does_not_explain_every_other_one() -> None:
    one = trace(failed("root", error=BOOM), failed("tool", "root", SpanError("", "TimeoutError")))
    assert names(one.errors) == ["root", "tool"]


def test_what_the_sdk_left_without_a_type_is_explained_by_what_failed_below() -> None:
    one = trace(
        failed("root", error=SpanError("Something", "ModelBehaviorError")), failed("turn", "root", SpanError("x"))
    )
    assert names(one.errors) == ["turn"]
    assert names(trace(failed("root"), failed("turn", "root")).errors) == ["turn"]


def test_cancelled_and_interrupted_spans_are_no_errors() -> None:
    one = trace(span("a", status=Status.CANCELLED), span("b", status=Status.INTERRUPTED), span("c", status=Status.OK))
    assert one.errors == []


def test_spans_that_are_each_others_parents_do_not_hang_the_search() -> None:
    one = trace(failed("a", "b", BOOM), failed("b", "a", SpanError("late", "TimeoutError")), failed("c", "c", BOOM))
    assert names(one.errors) == ["a", "b", "c"]


# ------------------------------------------------------------------------------------------------------------ tree


def test_the_root_is_the_span_without_a_parent() -> None:
    assert trace(span("child", parent="root"), span("root")).root.name == "root"
    assert trace(span("child", parent="not here")).root.name == "child"
    assert trace().root is None


def llm(name: str, at: int, parent: str | None = "turn", agent: str | None = "A") -> Span:
    return span(name, "llm", parent, at, agent=agent)


def told(one: Trace) -> list[tuple[int, str, list[str]]]:
    return [(m.index, m.span.name, [c.name for c in m.calls]) for m in one.messages]


def test_each_llm_call_of_an_agent_is_a_message_with_the_calls_that_followed() -> None:
    one = trace(
        llm("one", 1, "turn 1"), span("a", "tool", "turn 1", 2), span("b", "tool", "turn 1", 2),
        llm("two", 5, "turn 2"), span("to B", "handoff", "turn 2", 6), span("guard", "guardrail", "turn 2", 6),
    )  # fmt: skip
    assert told(one) == [(0, "one", ["a", "b"]), (1, "two", ["to B"])]
    assert [m.agent for m in one.messages] == ["A", "A"]


def test_of_several_llm_calls_under_one_parent_each_has_the_calls_up_to_the_next() -> None:
    one = trace(
        llm("one", 1), span("a", "tool", "turn", 2), llm("two", 3), span("b", "tool", "turn", 4), llm("three", 5)
    )
    assert told(one) == [(0, "one", ["a"]), (1, "two", ["b"]), (2, "three", [])]


def test_an_llm_call_without_an_agent_is_no_message() -> None:
    assert told(trace(llm("inside a tool", 1, "tool", agent=None))) == []


def test_an_llm_call_that_a_tool_makes_is_no_message_but_that_of_an_agent_in_a_tool_is() -> None:
    one = trace(
        span("turn", "turn", None, 0), llm("asks", 1), span("tool", "tool", "turn", 2), llm("client", 3, "tool"),
        span("B", "agent", "tool", 4), llm("answers", 5, "B", agent="B"),
    )  # fmt: skip
    assert told(one) == [(0, "asks", ["tool"]), (1, "answers", [])]


def test_a_tool_before_any_llm_call_belongs_to_no_message() -> None:
    assert told(trace(span("early", "tool", "turn", 1), llm("one", 2))) == [(0, "one", [])]


def test_a_tool_that_starts_in_the_same_nanosecond_belongs_to_its_llm_call() -> None:
    assert told(trace(span("a", "tool", "turn", 7), llm("one", 7))) == [(0, "one", ["a"])]


def test_messages_are_in_order_of_time_whatever_the_order_of_spans() -> None:
    one = trace(llm("late", 9, "turn 2"), llm("early", 1, "turn 1"))
    assert told(one) == [(0, "early", []), (1, "late", [])]


def test_the_total_sums_llm_calls_and_is_unknown_if_none_knows() -> None:
    known = [span("a", "llm", input_tokens=3), span("b", "llm"), span("c", "agent", input_tokens=100)]
    assert trace(*known).total("input_tokens") == 3
    assert trace(*known).total("output_tokens") is None
    assert trace(span("a", "llm", cost_usd=0.0)).total("cost_usd") == 0.0


# --------------------------------------------------------------------------------------------- imported conversations

CONVERSATION = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Where is my bag?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find_bag", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "Oslo"},
    {"role": "assistant", "content": "In Oslo.", "agent": "Clerk"},
]


def test_a_conversation_becomes_a_trace_with_a_span_for_each_answer_and_each_tool() -> None:
    one = Trace.from_messages(CONVERSATION, name="bags")
    assert [(s.kind.value, s.name, s.agent) for s in one.spans] == [
        ("workflow", "bags", None),
        ("llm", "llm", "assistant"),
        ("tool", "find_bag", "assistant"),
        ("llm", "llm", "Clerk"),
    ]
    assert [s.parent_id for s in one.spans] == [None] + [one.root.span_id] * 3
    assert [(s.start_ns, s.end_ns) for s in one.spans] == [(0, 5), (2, 3), (3, 4), (4, 5)]
    assert {s.status for s in one.spans} == {Status.OK}
    assert told(one) == [(0, "llm", ["find_bag"]), (1, "llm", [])]


def test_an_imported_answer_has_the_rows_before_it_as_input() -> None:
    _, first, tool, last = Trace.from_messages(CONVERSATION).spans
    assert first.input == CONVERSATION[:2]
    assert last.input == CONVERSATION[:4]
    assert first.output == [CONVERSATION[2]]
    assert tool.output == "Oslo"


def test_changing_the_rows_afterwards_does_not_change_the_trace() -> None:
    rows = [dict(row) for row in CONVERSATION]
    one = Trace.from_messages(rows)
    rows[0]["content"] = "Be rude."
    rows.clear()
    assert one.spans[-1].input == CONVERSATION[:4]


def test_the_same_conversation_has_the_same_ids() -> None:
    first, second = Trace.from_messages(CONVERSATION), Trace.from_messages(CONVERSATION)
    assert [s.span_id for s in first.spans] == [s.span_id for s in second.spans]
    assert Trace.from_messages(CONVERSATION, name="other").trace_id != first.trace_id


def test_an_empty_conversation_is_a_trace_with_its_root() -> None:
    assert names(Trace.from_messages([]).spans) == ["conversation"]


def test_a_tool_row_that_answers_no_known_call_is_a_tool_all_the_same() -> None:
    assert Trace.from_messages([{"role": "tool", "content": "x"}]).spans[1].name == "tool"


def test_a_conversation_of_ten_thousand_rows_takes_memory_in_proportion() -> None:
    rows = [{"role": ("user", "assistant")[i % 2], "content": str(i)} for i in range(10_000)]
    one = Trace.from_messages(rows)
    assert len(one.spans) == 5_001
    assert len(one.spans[-1].input) == 9_999


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"role": "asistant", "content": "x"}, "'asistant'"),
        ({"content": "x"}, "None"),
        ("hello", "a str"),
        (None, "a NoneType"),
    ],
)
def test_a_row_that_is_no_chat_message_is_named_with_what_is_allowed(row: Any, what: str) -> None:
    with pytest.raises(ValueError, match=r"rows\[1\].*system, developer, user, assistant, tool") as caught:
        Trace.from_messages([{"role": "user", "content": "x"}, row])
    assert what in str(caught.value)
