"""A table of spans, gathered to one row for each trace by the engine that holds it.

What comes back is as `TraceSet.traces` has it. Narwhals says it in the words of the engine (DuckDB, Spark, Polars and
others), so that of a table that is not in memory only these rows are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.trace_set import SPAN_COLUMNS
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NEEDED = ("trace_id", "span_id", "parent_id", "kind", "status", "duration_s")
_COUNTED = {
    "turns": SpanKind.TURN, "llm_calls": SpanKind.LLM, "tool_calls": SpanKind.TOOL, "handoffs": SpanKind.HANDOFF,
}  # fmt: skip
_SUMMED = ("input_tokens", "output_tokens", "cost_usd")
_OF_A_TRACE = ("run_id", "arch", "case", "trial")
_FATE = (Status.OK, Status.ERROR, Status.CANCELLED, Status.INTERRUPTED, Status.RUNNING)
"""What a trace's end is taken for where only its spans tell: the last of these that a step at its top has."""


def is_span_table(names: Collection[str]) -> bool:
    """Tell whether a frame with these columns has one row for each span."""
    return {"trace_id", "span_id", "kind"} <= set(names)


def by_trace(spans: Any, labels: Iterable[str]) -> Any:
    """Return one row for each trace, as lazily as the spans are.

    Parameters
    ----------
    spans
        A Narwhals frame with the columns of `TraceSet.spans`. With those that `TraceSet.to_parquet` adds, a trace has
        its own status and duration, and what was said of its run; else they are those of the steps at its top.
    labels
        Columns by which runs are told apart.

    Raises
    ------
    OptionError
        If a column is missing, or a label is one that differs from span to span.
    """
    import narwhals as nw

    names = spans.collect_schema()
    if missing := [name for name in NEEDED if name not in names]:
        msg = f"traces is a table of spans without {', '.join(missing)}; TraceSet.to_parquet writes all that is needed"
        raise OptionError(msg)
    for label in labels:
        if label in SPAN_COLUMNS and label not in _OF_A_TRACE:
            msg = (
                f"{label!r} is said of each span and not of the run, so it cannot tell runs apart in a table of spans; "
                "compare what at.search(...) gives, or tag the runs and write to_parquet(path, tags=[...])"
            )
            raise OptionError(msg)
    summed = [name for name in _SUMMED if name in names]
    given = [name for name in names if name in _OF_A_TRACE or name not in SPAN_COLUMNS]
    counts = {f"_{name}": nw.col("kind") == kind.value for name, kind in _COUNTED.items()}
    counts["_tool_errors"] = counts["_tool_calls"] & (nw.col("status") == Status.ERROR.value)
    if {"output_tokens", "cost_usd"} <= set(names):
        counts["_unpriced"] = counts["_llm_calls"] & ~nw.col("output_tokens").is_null() & nw.col("cost_usd").is_null()
    at_top = nw.col("parent_id").is_null()
    fate = nw.when(nw.col("status") == _FATE[0].value).then(nw.lit(0)).otherwise(nw.lit(1))
    for rank, of in enumerate(_FATE[2:], 2):
        fate = nw.when(nw.col("status") == of.value).then(nw.lit(rank)).otherwise(fate)
    # Partitions come back as categories, of which there is no largest.
    named = [name for name in given if isinstance(names[name], (nw.Categorical, nw.Enum))]
    # NaN is unknown too; engines differ in whether it is a largest value, and what a sum with it is.
    real = [name for name in ("duration_s", "trace_s", *summed) if name in names and names[name].is_float()]
    known = [nw.when(~nw.col(name).is_nan()).then(nw.col(name)).alias(name) for name in real]
    told = spans.with_columns(*(nw.col(name).cast(nw.String) for name in named), *known).with_columns(
        **{name: nw.when(true).then(nw.lit(1)).otherwise(nw.lit(0)) for name, true in counts.items()},
        **{f"_{name}": nw.when(nw.col("kind") == SpanKind.LLM.value).then(nw.col(name)) for name in summed},
        _top_s=nw.when(at_top).then(nw.col("duration_s")),
        _fate=nw.when(at_top).then(fate),
    )
    gathered = told.group_by("trace_id").agg(
        *(nw.col(name).max() for name in given),
        *(nw.col(name).sum() for name in counts),
        *(nw.col(f"_{name}").sum() for name in summed),
        *(nw.col(f"_{name}").count().alias(f"_{name}_known") for name in summed),
        nw.col("_top_s").max(),
        nw.col("_fate").max(),
    )
    status = nw.lit(_FATE[0].value)
    for rank, of in enumerate(_FATE[1:], 1):
        status = nw.when(nw.col("_fate") == rank).then(nw.lit(of.value)).otherwise(status)
    is_known = {name: nw.col(f"_{name}_known") > 0 for name in summed}
    if "_unpriced" in counts:
        is_known["cost_usd"] &= nw.col("_unpriced") == 0  # a sum of some of the calls is not what the run cost
    return gathered.select(
        "trace_id",
        *given,
        *(nw.col(f"_{name}").alias(name) for name in (*_COUNTED, "tool_errors") if name != "turns"),
        *(nw.when(is_known[name]).then(nw.col(f"_{name}")).alias(name) for name in summed),
        nw.when(nw.col("_turns") > 0).then(nw.col("_turns")).alias("turns"),
        (nw.col("trace_status") if "trace_status" in given else status).alias("status"),
        nw.col("trace_s" if "trace_s" in given else "_top_s").alias("latency_s"),
    )
