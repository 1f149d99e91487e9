"""Play scenarios of the bench under somebody else's instrumentation; print what it makes of them as JSON.

Runs in an environment of its own (``tests/interop/get_servers oracles``), with the folder of the tests on the path:

    python -m interop.play_instrumented opentelemetry|openinference SCENARIO...
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

os.environ |= {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
}


def instrumentor(which: str) -> Any:
    if which == "opentelemetry":
        from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor

        return OpenAIAgentsInstrumentor()
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    return OpenAIAgentsInstrumentor()


def main(which: str, *names: str) -> None:
    from agents import set_trace_processors
    from bench.models import Kind
    from bench.scenarios import SCENARIOS, run
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    set_trace_processors([])
    instrumentor(which).instrument(tracer_provider=provider)
    found = {}
    for name in names:
        kept.clear()
        asyncio.run(run(SCENARIOS[name], Kind.RESPONSES))
        found[name] = [_as_data(span) for span in sorted(kept.get_finished_spans(), key=lambda span: span.start_time)]
    json.dump(found, sys.stdout)


def _as_data(span: Any) -> dict[str, Any]:
    return {
        "id": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes),
        "events": [event.name for event in span.events],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
