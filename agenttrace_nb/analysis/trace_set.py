"""A set of traces, as tables."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.latency_measure import own_times
from agenttrace_nb.analysis.trace_frames import SPAN_COLUMNS, TRACE_COLUMNS, seconds, span_frame, spread, trace_frame
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store.columns import SpanColumns
from agenttrace_nb.mlflow_store.found import FoundTraces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from agenttrace_nb.spans import Trace

__all__ = ["RETRY_OF", "SPAN_COLUMNS", "TRACE_COLUMNS", "TraceSet"]

RETRY_OF = "retry_of"
"""Tag of a run that was made again after a rate limit: the ids of the traces that it stands for."""
_SHOWN = 20


class TraceSet:
    """Traces that a search found: iterable, and as pandas frames.

    Parameters
    ----------
    traces
        The traces. Those that a search found are restored when they are looked at; the frames do without.
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
        self._traces: Sequence[Trace] = traces if isinstance(traces, FoundTraces) else list(traces)
        self._said = None if success is None else dict(success)
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
        return {t.trace_id: t.problem for t in self._columns().traces if t.problem}

    def success(self, trace: Trace) -> bool | None:
        """Return what was said of a trace's run: ``None`` where nothing was."""
        if self._said is None:
            self._said = self._traces.success() if isinstance(self._traces, FoundTraces) else {}
        return self._said.get(trace.run_id or "")

    def only(self, trace_ids: Iterable[str]) -> TraceSet:
        """Return those of the traces that have these ids, in the order of the ids."""
        if isinstance(self._traces, FoundTraces):
            chosen = self._traces.with_ids(trace_ids)
        else:
            by_id = {trace.trace_id: trace for trace in self._traces}
            chosen = [by_id[one] for one in trace_ids if one in by_id]
        return TraceSet(chosen, success={trace.run_id: self.success(trace) for trace in chosen if trace.run_id})

    def traces(self) -> pd.DataFrame:
        """Return one row for each trace.

        Returns
        -------
        pandas.DataFrame
            Columns as in `TRACE_COLUMNS`: ``latency_s`` in seconds, ``started_at`` in UTC, ``cost_usd`` in US dollars.
            What is not known is null, never 0.
        """
        return trace_frame(self._columns(), self.success)

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
        if not derived:
            return span_frame(self._columns())
        own = [own_times(trace.spans) for trace in self._traces]  # first: then the columns are of the same spans
        return span_frame(self._columns()).assign(
            self_s=seconds(ns for self_ns, _ in own for ns in self_ns),
            critical_s=seconds(ns for _, critical_ns in own for ns in critical_ns),
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
        duration in seconds) and ``success``; where runs were made again after a rate limit, ``retry_of`` too.

        Examples
        --------
        >>> at.search(experiment="desk").to_parquet("desk", partition_by="arch")  # doctest: +SKIP
        >>> import duckdb  # doctest: +SKIP
        >>> at.compare(duckdb.sql("FROM read_parquet('desk/**/*.parquet')"))  # doctest: +SKIP
        """
        partitions, extra = _names("partition_by", partition_by), _names("tags", tags)
        columns = self._columns()
        traces = columns.traces
        known = {tag for trace in traces for tag in trace.tags}
        for name in partitions:
            if name not in SPAN_COLUMNS and name not in known:
                allowed = sorted({*SPAN_COLUMNS, *known})
                msg = f"partition_by={name!r} is neither a column nor a tag; there are {', '.join(allowed)}."
                raise OptionError(msg + did_you_mean(name, allowed))
        frame = span_frame(columns).assign(
            trace_status=spread(columns, [trace.status.value for trace in traces], "string"),
            trace_s=spread(columns, [trace.duration_s for trace in traces], "Float64"),
            success=spread(columns, [self.success(trace) for trace in traces], "boolean"),
        )
        retried = (RETRY_OF,) if RETRY_OF in known else ()  # without it, a comparison would count both times
        for name in dict.fromkeys((*extra, *partitions, *retried)):
            if name not in SPAN_COLUMNS:
                frame[name] = spread(columns, [trace.tags.get(name) for trace in traces], "string")
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

    def _columns(self) -> SpanColumns:
        found = self._traces
        return found.columns() if isinstance(found, FoundTraces) else SpanColumns.of_traces(found)

    def __repr__(self) -> str:
        """Return a short table."""
        lines = [f"{len(self)} traces" + (", and there are more: raise limit=" if self.truncated else "")]
        for trace in self._columns().traces[:_SHOWN]:
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


def _names(what: str, given: str | Sequence[str]) -> list[str]:
    names: list[Any] = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(name, str) and bool(name) for name in names):
        msg = f"{what}={given!r} is not allowed; it must be a name or several"
        raise OptionError(msg)
    return list(dict.fromkeys(names))
