"""Columns of spans as pandas frames: one row for each span, or for each trace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import NS_PER_S, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from agenttrace_nb.mlflow_store.columns import SpanColumns
    from agenttrace_nb.spans import Trace

SPAN_COLUMNS = (
    "trace_id", "span_id", "parent_id", "run_id", "kind", "name", "agent", "role", "status", "error_type", "started_at",
    "duration_s", "ttft_s", "input_tokens", "output_tokens", "cost_usd", "model", "arch", "case", "trial",
)  # fmt: skip
TRACE_COLUMNS = (
    "trace_id", "run_id", "arch", "case", "trial", "status", "success", "started_at", "latency_s", "turns", "llm_calls",
    "tool_calls", "tool_errors", "handoffs", "input_tokens", "output_tokens", "cost_usd",
)  # fmt: skip
_WHOLE = ("input_tokens", "output_tokens", "turns", "llm_calls", "tool_calls", "tool_errors", "handoffs")
_REAL = ("duration_s", "latency_s", "ttft_s", "cost_usd")
_DTYPES = {**dict.fromkeys(_WHOLE, "Int64"), **dict.fromkeys(_REAL, "Float64"), "success": "boolean"}
_US_PER_S = 1_000_000
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def span_frame(columns: SpanColumns) -> pd.DataFrame:
    """Return one row for each span, with the columns in `SPAN_COLUMNS`."""
    import pandas as pd

    of, traces = columns.of, columns.traces
    made: dict[str, Any] = {name: array(of[name], _DTYPES.get(name, "string")) for name in SPAN_COLUMNS if name in of}
    told: dict[str, list[str | None]] = {"trace_id": [t.trace_id for t in traces], "run_id": [t.run_id for t in traces]}
    told |= _labels(traces)
    made |= {name: spread(columns, values, "string") for name, values in told.items()}
    made["started_at"] = _moments(of["start_ns"])
    ends = zip(of["start_ns"], of["end_ns"], strict=True)
    made["duration_s"] = array([None if end is None else (end - start) / NS_PER_S for start, end in ends], "Float64")
    return pd.DataFrame({name: made[name] for name in SPAN_COLUMNS})


def trace_frame(columns: SpanColumns, success: Callable[[Trace], bool | None]) -> pd.DataFrame:
    """Return one row for each trace, with the columns in `TRACE_COLUMNS`."""
    import pandas as pd

    traces = columns.traces
    counted = [_counted(columns.of, spans) for _, spans in columns.each()]
    told: dict[str, list[Any]] = {
        "trace_id": [t.trace_id for t in traces],
        "run_id": [t.run_id for t in traces],
        **_labels(traces),
        "status": [t.status.value for t in traces],
        "success": [success(t) for t in traces],
        "latency_s": [t.duration_s for t in traces],
        **{name: [one[name] for one in counted] for name in TRACE_COLUMNS[9:]},
    }
    made = {name: array(values, _DTYPES.get(name, "string")) for name, values in told.items()}
    made["started_at"] = _moments([t.start_ns for t in traces])
    return pd.DataFrame({name: made[name] for name in TRACE_COLUMNS})


def spread(columns: SpanColumns, values: Sequence[Any], dtype: str) -> Any:
    """Return an array with the value of each span's trace, from the values of the traces."""
    import numpy as np

    return array(values, dtype).take(np.repeat(np.arange(len(values)), columns.sizes))


def array(values: Sequence[Any], dtype: str) -> Any:
    """Return an array of pandas: ``None`` is null, and half of a surrogate pair, which no column holds, is U+FFFD."""
    import pandas as pd

    try:
        return pd.array(values, dtype=dtype)
    except UnicodeEncodeError:
        whole = [_HALF_A_PAIR.sub("\ufffd", value) if isinstance(value, str) else value for value in values]
        return pd.array(whole, dtype=dtype)


def seconds(times_ns: Iterable[int | None]) -> Any:
    """Return an array of seconds."""
    return array([None if ns is None else ns / NS_PER_S for ns in times_ns], "Float64")


def _moments(times_ns: Sequence[int]) -> Any:
    """Return times as `Span.started_at` has them, rounded to microseconds from a float of seconds, all at once."""
    import numpy as np
    import pandas as pd

    parts, whole = np.modf(np.array([ns / NS_PER_S for ns in times_ns], dtype="float64"))
    micros = whole.astype("int64") * _US_PER_S + np.rint(parts * _US_PER_S).astype("int64")
    return pd.to_datetime(micros.astype("datetime64[us]"), utc=True)


def _labels(traces: Sequence[Trace]) -> dict[str, list[str | None]]:
    return {name: [trace.tags.get(name) for trace in traces] for name in ("arch", "case", "trial")}


def _counted(of: Mapping[str, list[Any]], spans: slice) -> dict[str, Any]:
    kinds, statuses = of["kind"][spans], of["status"][spans]
    calls = [at for at, kind in enumerate(kinds, spans.start) if kind == SpanKind.LLM]
    failed = sum(kind == SpanKind.TOOL and status == Status.ERROR for kind, status in zip(kinds, statuses, strict=True))
    totals: dict[str, Any] = {}
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        values = of[name]
        known = [values[at] for at in calls if values[at] is not None]
        totals[name] = sum(known) if known else None
    return {
        "turns": kinds.count(SpanKind.TURN) or None,
        "llm_calls": len(calls),
        "tool_calls": kinds.count(SpanKind.TOOL),
        "tool_errors": failed,
        "handoffs": kinds.count(SpanKind.HANDOFF),
        **totals,
    }
