"""The same spans in MLflow: written into its server, shown by its own notebook viewer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.display import HTML
    from mlflow.entities import Span as MlflowSpan

    from agenttrace_nb.spans import Trace


def write(of: Trace, uri: str) -> str:
    """Write a trace into a server with MLflow's own client; return its id there."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    made: dict[str | None, MlflowSpan] = {}
    for span in of.spans:
        made[span.span_id] = mlflow.start_span_no_context(
            span.name, parent_span=made.get(span.parent_id), inputs=span.input, start_time_ns=span.start_ns,
            span_type={"llm": "CHAT_MODEL"}.get(span.kind.value, span.kind.value.upper()),
        )  # fmt: skip
    for span in reversed(of.spans):
        made[span.span_id].end(outputs=span.output, status="ERROR" if span.error else "OK", end_time_ns=span.end_ns)
    mlflow.flush_trace_async_logging()
    return str(made[of.spans[0].span_id].trace_id)


def told(of: Trace, uri: str) -> None:
    """Write a trace and print its id for the benchmark."""
    print(json.dumps(write(of, uri)))


def frame(trace_id: str) -> HTML:
    """Return the viewer's frame, as MLflow shows it below a cell."""
    import mlflow
    from IPython.display import HTML
    from mlflow.tracing.display.display_handler import get_notebook_iframe_html

    return HTML(get_notebook_iframe_html([mlflow.get_trace(trace_id)]))
