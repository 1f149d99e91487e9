"""Spans to a receiver over OTLP: mapped, written and posted by `OtlpHandler`, against OpenTelemetry's own exporter.

The spans are those of scripted runs (`workload`), with prompts and answers, each under ids of its own; they go in
batches of 512, compressed, to a receiver in another process that counts what it decodes. The rival is given the same
attributes as finished spans of its SDK, and only has to write and post them; ours starts at what was recorded and maps
it as well. It runs in the environment of ``tests/interop/get_servers oracles``; without it there is no ratio.

    python -m benchmarks.export_targets [--spans 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.isolated import RESULT, ROOT, close, hand_back, median, own_cpu_s, ratio, run_side, table, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "benchmarks.export_targets"
BATCH = 512
RECORDED_RUNS = 25
LIMIT_S = 5.0
LIMIT_RATIO = 1.0
_GZIP = b"\x1f\x8b"


class Counting:
    """A receiver that counts the spans it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.url = ""

    def spans(self) -> int:
        """Return how many different spans were received since the last call."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        ids = set()
        bodies, self.bodies = self.bodies, []
        for body in bodies:
            plain = gzip.decompress(body) if body.startswith(_GZIP) else body
            read = ExportTraceServiceRequest.FromString(plain)
            ids |= {s.span_id for r in read.resource_spans for scope in r.scope_spans for s in scope.spans}
        return len(ids)


@contextmanager
def receiving() -> Iterator[Counting]:
    kept = Counting()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            kept.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --------------------------------------------------------------------------------------------------------- the sides


def ours(count: int, url: str, given: str | None) -> dict[str, Any]:
    """Export spans; write down what is sent, for the rival, where a file is given."""
    from agenttrace_nb.export.handler import Content, Context, Sent
    from agenttrace_nb.export.otlp import OtlpHandler

    items = recorded_items(count)
    handler = OtlpHandler()
    handler.open(Context(name="bench", options={"endpoint": url}, content=Content.FULL, resource={"service.name": "b"}))
    handler.export(items[:1])  # what is loaded the first time
    began, used = time.perf_counter(), own_cpu_s()
    for at in range(0, len(items), BATCH):
        assert handler.export(tuple(items[at : at + BATCH])) == Sent()
    result = {"s": time.perf_counter() - began, "cpu_s": own_cpu_s() - used}
    if given is not None:
        spans = [span for item in items if (span := handler._mapped(item)) is not None]
        kept = [
            [s.name, s.trace_id, s.span_id, s.parent_id, s.start_ns, s.end_ns, s.is_client, s.attributes] for s in spans
        ]
        Path(given).write_text(json.dumps(kept), "utf-8")
    handler.close()
    return result


def recorded_items(count: int) -> tuple[Any, ...]:
    """Record runs, and repeat their steps under new ids."""
    import asyncio
    from dataclasses import replace

    import agents

    from agenttrace_nb import config, tracing
    from agenttrace_nb.export.handler import Content
    from agenttrace_nb.export.outgoing import Cutter
    from agenttrace_nb.journal.redact import Redactor
    from benchmarks import workload

    agents.set_trace_processors([])
    config.set_option("mlflow", False)
    with tracing.trace(arch="bench", case="one") as run:
        asyncio.run(workload.run_many(RECORDED_RUNS))
    cutter = Cutter(Content.FULL, Redactor())
    made = []
    for trace in run.traces:
        by_id = {span.span_id: span for span in trace.spans}
        made += [cutter.span(span, trace, None, by_id.get(span.parent_id or ""))[0] for span in trace.spans]
    made = [item for item in made if item.span.kind != "turn"]
    found = []
    for number in range(count):
        item, round_ = made[number % len(made)], number // len(made)

        def new(old: str | None, round_: int = round_) -> str | None:
            return f"{int(old, 16) ^ (round_ << 32):0{len(old)}x}" if old is not None else None

        ids = {"trace_id": new(item.span.trace_id), "span_id": new(item.span.span_id)}
        parent = replace(item.parent, parent_id=new(item.parent.parent_id)) if item.parent is not None else None
        span = replace(item.span, **ids, parent_id=new(item.span.parent_id))
        found.append(replace(item, span=span, parent=parent, event_id=f"{ids['trace_id']}:{ids['span_id']}"))
    return tuple(found)


def theirs(url: str, given: str) -> dict[str, Any]:
    """Export the same spans with OpenTelemetry's exporter."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

    resource = Resource({"service.name": "b"})

    def context(trace_id: str, span_id: str) -> SpanContext:
        return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1))

    spans = [
        ReadableSpan(
            name, context(trace_id, span_id), context(trace_id, parent_id) if parent_id else None, resource, attributes,
            kind=SpanKind.CLIENT if is_client else SpanKind.INTERNAL, start_time=start, end_time=end,
        )
        for name, trace_id, span_id, parent_id, start, end, is_client, attributes in json.loads(
            Path(given).read_text("utf-8")
        )
    ]  # fmt: skip
    exporter = OTLPSpanExporter(f"{url}/v1/traces", compression=Compression.Gzip)
    exporter.export(spans[:1])
    began, used = time.perf_counter(), own_cpu_s()
    for at in range(0, len(spans), BATCH):
        assert exporter.export(spans[at : at + BATCH]) is SpanExportResult.SUCCESS
    return {"s": time.perf_counter() - began, "cpu_s": own_cpu_s() - used}


def rival_program() -> Path | None:
    folder = Path(os.environ.get("AGENTTRACE_SERVERS", ROOT / "build" / "servers"))
    program = folder / "oracles" / "bin" / "python"
    return program if program.exists() else None


def run_rival(program: Path, url: str, given: str) -> dict[str, Any]:
    words = [str(program), "-m", PROGRAM, "--side", "theirs", "--url", url, "--given", given]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    return json.loads(line.removeprefix(RESULT))


def main() -> int:
    """Measure, tell, and return whether the targets are reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("ours", "theirs"))
    parser.add_argument("--url")
    parser.add_argument("--given")
    parser.add_argument("folder", nargs="?")
    asked = parser.parse_args()
    if asked.side is not None:
        side = ours(asked.spans, asked.url, asked.given) if asked.side == "ours" else theirs(asked.url, asked.given)
        hand_back(side)
        return 0
    rival, our, their = rival_program(), [], []
    with receiving() as receiver, tempfile.TemporaryDirectory() as folder:
        given = str(Path(folder) / "spans.json")
        for _ in range(asked.rounds):
            words = ("--side", "ours", "--spans", str(asked.spans), "--url", receiver.url, "--given", given)
            our.append(run_side(PROGRAM, *words))
            assert receiver.spans() == asked.spans
            if rival is not None:
                their.append(run_rival(rival, receiver.url, given))
                assert receiver.spans() == asked.spans
    rows = [[f"OtlpHandler, {asked.spans} spans", median(our, "s"), median(our, "cpu_s")]]
    if their:
        rows.append(["OTLPSpanExporter, without mapping", median(their, "s"), median(their, "cpu_s")])
    table(["", "s", "CPU s"], rows)
    reached = verdict("seconds until all spans are there", median(our, "s"), LIMIT_S)
    figures = {"spans": asked.spans, "s": median(our, "s"), "cpu_s": median(our, "cpu_s")}
    if their:
        figures |= {"rival_s": median(their, "s"), "ratio": ratio(our, their, "s")}
        reached &= verdict("against OpenTelemetry's exporter", figures["ratio"], LIMIT_RATIO)
    else:
        print("no rival: tests/interop/get_servers oracles fetches it")
    close(PROGRAM, figures)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
