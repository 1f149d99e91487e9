"""A set of traces, as tables."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.latency_measure import own_times
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.spans import NS_PER_S, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from agenttrace_nb.spans import Span, Trace

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
_TRUTH = ("success",)
_SHOWN = 20


class TraceSet:
    """Traces that a search found: iterable, and as pandas frames.

    Parameters
    ----------
    traces
        The traces.
    success
        What was said of the runs they belong to, by run id.
    truncated
        Whether there were more than were asked for.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> found = TraceSet([Trace.from_messages([{"role": "assistant", "content": "hi"}])])
    >>> len(found), int(found.traces()["llm_calls"][0])
    (1, 1)
    """

    def __init__(
        self, traces: Iterable[Trace], *, success: Mapping[str, bool | None] | None = None, truncated: bool = False
    ) -> None:
        self._traces = list(traces)
        self._success = dict(success or {})
        self.truncated = truncated

    def __iter__(self) -> Iterator[Trace]:
        """Give the traces, newest first."""
        return iter(self._traces)

    def __len__(self) -> int:
        """Count the traces."""
        return len(self._traces)

    def __getitem__(self, at: int) -> Trace:
        """Return one trace."""
        return self._traces[at]

    @property
    def problems(self) -> dict[str, str]:
        """Why a trace is not complete, by trace id, for those that are not."""
        return {t.trace_id: t.problem for t in self._traces if t.problem}

    def success(self, trace: Trace) -> bool | None:
        """Return what was said of a trace's run: ``None`` where nothing was."""
        return self._success.get(trace.run_id or "")

    def only(self, trace_ids: Iterable[str]) -> TraceSet:
        """Return those of the traces that have these ids, in the order of the ids."""
        by_id = {trace.trace_id: trace for trace in self._traces}
        return TraceSet([by_id[one] for one in trace_ids if one in by_id], success=self._success)

    def traces(self) -> pd.DataFrame:
        """Return one row for each trace.

        Returns
        -------
        pandas.DataFrame
            Columns as in `TRACE_COLUMNS`: ``latency_s`` in seconds, ``started_at`` in UTC, ``cost_usd`` in US dollars.
            What is not known is null, never 0.
        """
        return _frame([self._trace_row(t) for t in self._traces], TRACE_COLUMNS)

    def spans(self, *, derived: bool = False) -> pd.DataFrame:
        """Return one row for each span.

        Parameters
        ----------
        derived
            Work out ``self_s`` and ``critical_s`` too: what a span took by itself, and how much of its trace's
            critical path that is, in seconds. See `latency`.

        Returns
        -------
        pandas.DataFrame
            Columns as in `SPAN_COLUMNS`: ``duration_s`` and ``ttft_s`` in seconds, ``started_at`` in UTC, ``cost_usd``
            in US dollars. What is not known is null, never 0.
        """
        frame = _frame([_span_row(t, s) for t in self._traces for s in t.spans], SPAN_COLUMNS)
        if not derived:
            return frame
        own = [own_times(trace.spans) for trace in self._traces]
        return frame.assign(
            self_s=_seconds(ns for self_ns, _ in own for ns in self_ns),
            critical_s=_seconds(ns for _, critical_ns in own for ns in critical_ns),
        )

    def to_parquet(
        self, path: str | Path, *, partition_by: str | Sequence[str] = (), tags: str | Sequence[str] = ()
    ) -> None:
        """Write the table of spans as Parquet, for engines that take more than fits into memory.

        `compare` takes what DuckDB, Spark, Polars and others make of it.

        Parameters
        ----------
        path
            The file; with ``partition_by`` the folder, to which is added what is new.
        partition_by
            Columns or tags that make folders (``arch=planner/...``), so that of many runs only some need be read.
        tags
            Tags of the runs to write as columns too.

        Raises
        ------
        OptionError
            If a name in ``partition_by`` is neither a column nor a tag of any trace.

        Notes
        -----
        Besides the columns of `spans`, each row says of the trace it belongs to: ``trace_status``, ``trace_s`` (its
        duration in seconds) and ``success``.

        Examples
        --------
        >>> at.search(experiment="desk").to_parquet("desk", partition_by="arch")  # doctest: +SKIP
        >>> import duckdb  # doctest: +SKIP
        >>> at.compare(duckdb.sql("FROM read_parquet('desk/**/*.parquet')"))  # doctest: +SKIP
        """
        partitions, extra = _names("partition_by", partition_by), _names("tags", tags)
        frame = self.spans()
        sizes = [len(trace.spans) for trace in self._traces]
        known = {tag for trace in self._traces for tag in trace.tags}
        for name in partitions:
            if name not in SPAN_COLUMNS and name not in known:
                allowed = sorted({*SPAN_COLUMNS, *known})
                msg = f"partition_by={name!r} is neither a column nor a tag; there are {', '.join(allowed)}."
                raise OptionError(msg + did_you_mean(name, allowed))
        of_trace: dict[str, tuple[str, list[Any]]] = {
            "trace_status": ("string", [trace.status.value for trace in self._traces]),
            "trace_s": ("Float64", [trace.duration_s for trace in self._traces]),
            "success": ("boolean", [self.success(trace) for trace in self._traces]),
        }
        for name in dict.fromkeys((*extra, *partitions)):
            if name not in SPAN_COLUMNS:
                of_trace[name] = ("string", [trace.tags.get(name) for trace in self._traces])
        for name, (dtype, values) in of_trace.items():
            frame[name] = _array([v for v, size in zip(values, sizes, strict=True) for _ in range(size)], dtype)
        frame.to_parquet(path, index=False, **({"partition_cols": partitions} if partitions else {}))

    def to_html(self, path: str | Path) -> Path:
        """Write the list of runs as one HTML file that needs nothing else; small runs can be opened in it.

        Parameters
        ----------
        path
            The file; it is replaced if it exists.

        Returns
        -------
        Path
            The file's absolute path. The page says which runs were too large to be opened in it.
        """
        written: Path = _room_of_views("run_list_page").write_list_page(path, self)
        return written

    def _ipython_display_(self) -> None:
        _room_of_views("run_list_view").display_runs(self)

    def _trace_row(self, trace: Trace) -> dict[str, Any]:
        of = _by_kind(trace)
        tools = of.get(SpanKind.TOOL, [])
        return {
            "trace_id": trace.trace_id,
            "run_id": trace.run_id,
            **_labels(trace),
            "status": trace.status.value,
            "success": self.success(trace),
            "started_at": trace.started_at,
            "latency_s": trace.duration_s,
            "turns": len(of.get(SpanKind.TURN, [])) or None,
            "llm_calls": len(of.get(SpanKind.LLM, [])),
            "tool_calls": len(tools),
            "tool_errors": sum(s.status is Status.ERROR for s in tools),
            "handoffs": len(of.get(SpanKind.HANDOFF, [])),
            "input_tokens": trace.total("input_tokens"),
            "output_tokens": trace.total("output_tokens"),
            "cost_usd": trace.total("cost_usd"),
        }

    def __repr__(self) -> str:
        """Return a short table."""
        lines = [f"{len(self)} traces" + (", and there are more: raise limit=" if self.truncated else "")]
        for trace in self._traces[:_SHOWN]:
            took = "-" if trace.duration_s is None else f"{trace.duration_s:.2f} s"
            arch, case = trace.tags.get("arch") or "-", trace.tags.get("case") or "-"
            lines.append(f"  {trace.trace_id[:8]}  {trace.status.value:<11}  {took:>9}  {arch}  {case}")
        if len(self) > _SHOWN:
            lines.append(f"  ... {len(self) - _SHOWN} more; .traces() is the whole table")
        if self.problems:
            lines.append(f"{len(self.problems)} not complete: .problems says why")
        return "\n".join(lines)


def _room_of_views(name: str) -> Any:
    # Views stand above this room, which must not depend on them: they are only looked up when somebody looks.
    return import_module(f"agenttrace_nb.views.{name}")


def _by_kind(trace: Trace) -> dict[SpanKind, list[Span]]:
    of: dict[SpanKind, list[Span]] = {}
    for span in trace.spans:
        of.setdefault(span.kind, []).append(span)
    return of


def _labels(trace: Trace) -> dict[str, str | None]:
    return {name: trace.tags.get(name) for name in ("arch", "case", "trial")}


def _span_row(trace: Trace, span: Span) -> dict[str, Any]:
    return {
        "trace_id": trace.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "run_id": trace.run_id,
        "kind": span.kind.value,
        "name": span.name,
        "agent": span.agent,
        "role": span.role,
        "status": span.status.value,
        "error_type": span.error.type if span.error else None,
        "started_at": span.started_at,
        "duration_s": span.duration_s,
        "ttft_s": span.ttft_s,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cost_usd": span.cost_usd,
        "model": span.model,
        **_labels(trace),
    }


def _names(what: str, given: str | Sequence[str]) -> list[str]:
    names: list[Any] = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(name, str) and bool(name) for name in names):
        msg = f"{what}={given!r} is not allowed; it must be a name or several"
        raise OptionError(msg)
    return list(dict.fromkeys(names))


def _array(values: Sequence[Any], dtype: str) -> Any:
    import pandas as pd

    return pd.array(values, dtype=dtype)


def _seconds(times_ns: Iterable[int | None]) -> Any:
    return _array([None if ns is None else ns / NS_PER_S for ns in times_ns], "Float64")


def _frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    kinds: dict[str, str] = {
        name: "Int64" if name in _WHOLE else "Float64" if name in _REAL else "boolean" if name in _TRUTH else "string"
        for name in columns
        if name != "started_at"
    }
    frame["started_at"] = pd.to_datetime(frame["started_at"], utc=True)
    return frame.astype(kinds)
