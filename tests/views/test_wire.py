"""The golden files are what the encoder writes; the decoder of the browser is tested against the same files."""

from __future__ import annotations

import json
import math
import struct
from array import array
from typing import Any

import pytest
from views.bus_source import Recorded
from views.golden_frames import FOLDER, files
from views.hostile import LARGE
from views.sample_runs import START_NS, Build, planner_executor

from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views import wire
from agenttrace_nb.views.feed import CHUNK_BYTES, PUSHED_LIMIT_BYTES, Feed, Finished

TYPES = {"u1": "B", "u4": "I", "i4": "i", "f8": "d"}


def decode(frame: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a frame by the words of `wire`'s docstring."""
    assert frame[:4] == b"AGT1"
    (length,) = struct.unpack_from("<I", frame, 4)
    header = json.loads(frame[8 : 8 + length])
    columns: dict[str, Any] = {}
    at = 8 + length
    for name, kind, count in header["cols"]:
        at += -at % 8
        column = array(TYPES[kind])
        column.frombytes(frame[at : at + count * column.itemsize])
        assert len(column) == count
        columns[name] = column
        at += count * column.itemsize
    assert at == len(frame)
    return header, columns


def payloads(columns: dict[str, Any]) -> dict[int, Any]:
    found, at = {}, 0
    for row, end in zip(columns.get("payload_row", ()), columns.get("payload_end", ()), strict=True):
        found[row] = json.loads(columns["payload"][at:end].tobytes())
        at = end
    return found


def feed_of(build: Build) -> Feed:
    return Feed(Finished(build.close(1000), [build.trace]))


@pytest.mark.parametrize("name", sorted(files()))
def test_golden_files_are_what_the_encoder_writes(name: str) -> None:
    committed = (FOLDER / name).read_bytes()
    assert committed == files()[name], "write them anew with: PYTHONPATH=tests python -m views.golden_frames"


def test_a_frame_holds_what_the_spans_hold() -> None:
    run, (trace,) = planner_executor()
    feed = Feed(Finished(run, [trace]))
    feed.pull(work_s=None)
    header, columns = decode(feed.patch() or b"")
    assert (header["v"], header["seq"], header["base"], header["rows"]) == (1, 1, 0, len(trace.spans))
    text = header["strings"]
    for row, span in enumerate(trace.spans):
        assert columns["row"][row] == row
        assert list(SpanKind)[columns["kind"][row]] is span.kind
        assert columns["start"][row] == (span.start_ns - START_NS) / 1e6
        assert text[columns["name"][row]] == span.name
        assert text[columns["model"][row]] == (span.model or "")
        tokens = columns["tokens_in"][row]
        assert tokens == (-1 if span.input_tokens is None else span.input_tokens)
        cost = columns["cost"][row]
        assert math.isnan(cost) if span.cost_usd is None else cost == span.cost_usd
    assert payloads(columns)[5]["output"] == trace.spans[5].output


def test_a_later_frame_speaks_only_of_what_changed() -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS)
    recorded.play(until=0.5)
    feed.pull()
    first, _ = decode(feed.patch() or b"")
    assert feed.patch() is None, "nothing happened"
    recorded.play(until=0.52)
    feed.pull(work_s=None)
    header, columns = decode(feed.patch() or b"")
    assert (header["seq"], header["base"]) == (2, 1)
    assert header["strings_at"] == len(first["strings"])
    assert 0 < len(columns["row"]) <= 2


def test_a_heartbeat_is_a_frame_without_rows() -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + 5_000_000_000)
    recorded.play(until=0.5)
    feed.pull(work_s=None)
    feed.patch()
    header, columns = decode(feed.patch(heartbeat=True) or b"")
    assert (header["seq"], header["base"], header["now"]) == (2, 1, 5000.0)
    assert len(columns["row"]) == 0


def test_a_snapshot_does_not_count_as_sent() -> None:
    recorded = Recorded(zero_ns=START_NS)
    feed = Feed(recorded.live)
    recorded.play(until=0.5)
    feed.pull(work_s=None)
    feed.patch()
    recorded.play()
    feed.pull(work_s=None)
    header, columns = decode(feed.snapshot())
    assert (header["seq"], header["base"], len(columns["row"])) == (1, 0, 22)
    header, columns = decode(feed.patch() or b"")
    assert (header["seq"], header["base"]) == (2, 1) or header["base"] == 0
    assert len(columns["row"]) > 5


def test_whole_frames_come_now_and_then_and_cost_at_most_twice_the_others() -> None:
    b = Build()
    feed = Feed(source := Growing(b))
    whole, partial = [], []
    for step in range(400):
        source.add(SpanKind.TOOL, f"tool {step}", step, step + 1)
        feed.pull(work_s=None)
        data = feed.patch() or b""
        (whole if decode(data)[0]["base"] == 0 else partial).append(len(data))
    assert 3 < len(whole) < 40
    assert sum(whole) <= 2.1 * sum(partial) + whole[0]


class Growing:
    """A source that grows by one span at a time."""

    def __init__(self, build: Build) -> None:
        self.run = build.close(1000)
        self.traces = [self.run]
        self._build = build
        self._new: list[Any] = []

    def add(self, *span: Any, **more: Any) -> None:
        self._new.append(self._build.add(*span, **more))

    def sync(self) -> list[Any]:
        new, self._new = self._new, []
        return new


def test_small_content_goes_along_whole_and_of_large_content_the_beginning() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "small", 0, 1, content_in="x" * 8_000)
    b.add(SpanKind.TOOL, "large", 0, 1, content_in="x" * 9_000, content_out="y" * 9_000)
    feed = feed_of(b)
    feed.pull(work_s=None)
    sent = payloads(decode(feed.patch() or b"")[1])
    assert sent[0]["input"] == "x" * 8_000
    assert "clipped" not in sent[0]
    assert len(sent[1]["input"]) == 500
    assert sent[1]["clipped"] > 18_000


def test_a_run_pushes_at_most_half_a_megabyte_of_content() -> None:
    b = Build()
    for at in range(200):
        b.add(SpanKind.TOOL, "t", at, at + 1, content_in="x" * 7_000)
    feed = feed_of(b)
    feed.pull(work_s=None)
    sent = payloads(decode(feed.patch() or b"")[1])
    size = sum(len(json.dumps(content)) for content in sent.values())
    assert 0.9 * PUSHED_LIMIT_BYTES < size < 1.1 * PUSHED_LIMIT_BYTES
    assert json.loads(b"".join(feed.content(199)))["input"] == "x" * 7_000, "the rest comes when it is asked for"


def test_a_page_that_stands_alone_gets_everything() -> None:
    b = Build()
    for at in range(3):
        b.add(SpanKind.TOOL, "t", at, at + 1, content_in="x" * 400_000)
    feed = Feed(Finished(b.close(9), [b.trace]), keep_all=True)
    feed.pull(work_s=None)
    assert [len(c["input"]) for c in payloads(decode(feed.snapshot())[1]).values()] == [400_000] * 3


def test_large_content_comes_in_pieces_that_join_to_the_whole() -> None:
    b = Build()
    b.add(SpanKind.TOOL, "t", 0, 1, content_out=LARGE)
    feed = feed_of(b)
    feed.pull()
    pieces = feed.content(0)
    assert len(pieces) == 11
    assert max(map(len, pieces)) <= CHUNK_BYTES
    assert json.loads(b"".join(pieces))["output"] == LARGE


@pytest.mark.parametrize("row", [-1, 1, 10**9])
def test_a_row_that_does_not_exist_has_no_content(row: int) -> None:
    b = Build()
    b.add(SpanKind.TOOL, "t", 0, 1)
    feed = feed_of(b)
    feed.pull()
    assert feed.content(row) == []


def test_content_that_changes_is_sent_anew() -> None:
    b = Build()
    feed = Feed(source := Growing(b))
    span = b.add(SpanKind.TOOL, "t", 0, None, content_in={"a": 1})
    source._new.append(span)
    feed.pull(work_s=None)
    assert payloads(decode(feed.patch() or b"")[1])[0]["input"] == {"a": 1}
    span.content_out, span.end_ns = "done", START_NS
    source._new.append(span)
    feed.pull(work_s=None)
    assert payloads(decode(feed.patch() or b"")[1])[0]["output"] == "done"


def test_content_that_cannot_be_read_says_so() -> None:
    from agenttrace_nb.spans import Lazy

    def fail() -> Any:
        msg = "database disk image is malformed"
        raise OSError(msg)

    b = Build()
    b.add(SpanKind.TOOL, "t", 0, 1, content_in=Lazy(fail), content_out="fine")
    feed = feed_of(b)
    feed.pull(work_s=None)
    content = payloads(decode(feed.patch() or b"")[1])[0]
    assert "malformed" in content["input"]
    assert content["output"] == "fine"


def test_little_time_for_content_is_made_up_for_later() -> None:
    run, traces = planner_executor()
    feed = Feed(Finished(run, traces))
    feed.pull(work_s=0)
    assert payloads(decode(feed.patch() or b"")[1]) == {}
    feed.pull(work_s=None)
    assert len(payloads(decode(feed.patch() or b"")[1])) == 22


def test_absurd_numbers_do_not_break_a_frame() -> None:
    b = Build()
    b.add(SpanKind.LLM, "m", 0, 1, input_tokens=10**30, output_tokens=-5, cost_usd=float("inf"))
    feed = feed_of(b)
    feed.pull()
    _, columns = decode(feed.patch() or b"")
    assert (columns["tokens_in"][0], columns["tokens_out"][0]) == (2**31 - 1, wire.UNKNOWN_WHOLE)
