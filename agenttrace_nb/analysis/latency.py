"""Where did the time go: self time, critical path, and what could be saved, of one trace and over many."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis import latency_tables
from agenttrace_nb.analysis.latency_measure import timed
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt
    import pandas as pd


def latency(trace_or_set: Trace | Iterable[Trace] | Any) -> Latency:
    """Return where the time went in a trace, a run or a set of traces.

    Parameters
    ----------
    trace_or_set
        A `Trace`, a `Run`, a `TraceSet` or any iterable of traces.

    Returns
    -------
    Latency
        Tables, words and a chart.

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> from agenttrace_nb.spans import Span, SpanKind
    >>> def span(id, parent, kind, name, start_s, end_s):
    ...     times = {"start_ns": start_s * 10**9, "end_ns": end_s * 10**9}
    ...     return Span(trace_id="a" * 32, span_id=id, parent_id=parent, kind=SpanKind(kind), name=name, **times)
    >>> trace = Trace(trace_id="a" * 32, name="trip", start_ns=0, end_ns=10 * 10**9)
    >>> trace.spans += [span("1", None, "agent", "Planner", 0, 10), span("2", "1", "tool", "search", 1, 6)]
    >>> trace.spans += [span("3", "1", "tool", "book", 1, 9)]
    >>> latency(trace).savings[["name", "critical_s", "saved_s"]].to_dict("list")
    {'name': ['Planner', 'book', 'search'], 'critical_s': [10.0, 8.0, 0.0], 'saved_s': [10.0, 3.0, 0.0]}
    """
    return Latency(_traces(trace_or_set))


class Latency:
    """Where the time went. All times in seconds; what is not known is null, never 0.

    Made by `latency`. A step's *self time* is its duration less the time in which a step under it ran. The *critical
    path* is the chain of steps that the end waited for: it sums exactly to the duration. A *saving* is how much sooner
    the run would have ended if a step took no time, with everything else taking as long as it did: where other steps
    run beside it, this is less than its share.
    """

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._measured = [(trace, timed(trace.spans)) for trace in traces]

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row for each span: its ids, ``kind``, ``name``, ``agent``, ``model``; its times.

        ``duration_s``; ``self_s``, what it took by itself; ``critical_s``, how much of the critical path that is;
        ``slack_s``, how much later it could have ended without moving the end of the trace; ``split_s``, its equal
        share of the time that it had together with steps beside it: each instant divided by how many ran then.
        """
        return latency_tables.of_steps(self._measured)

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row for each trace.

        ``duration_s``; on the critical path ``llm_s``, ``tool_s``, ``waiting_s`` and ``other_s``, which sum to it;
        ``tool_share`` of the critical path; ``first_token_s`` from the start to the first token of an answer;
        ``concurrency``, the mean number of LLM and tool calls that ran at once while any did.
        """
        return latency_tables.of_traces(self._measured)

    @cached_property
    def self_time(self) -> pd.DataFrame:
        """Self time by agent, tool, model and kind: one row for each ``what`` and ``name``, the longest first.

        ``n`` spans in ``traces`` traces; ``self_s`` their self time in all; ``share`` of the duration of all traces
        (where they ran at once, the shares can exceed 1 in all); ``median_s`` and ``max_s`` of their durations;
        ``ttft_s``, the median time to first token. An agent's self time is that of all spans that are its own, LLM
        and tool calls too; its durations are those of the agent itself.
        """
        return latency_tables.of_self_time(self._measured, self.steps)

    @cached_property
    def critical_path(self) -> pd.DataFrame:
        """The critical path, in order of time: one row for each piece, which sum exactly to the duration.

        ``start_s`` counts from the start of the trace. In a piece with ``waiting`` nothing was recorded but the step
        that holds the others: the SDK, the caller's own code, or waiting. ``span_id`` is null between several steps
        at the top.
        """
        return latency_tables.of_path(self._measured, self.steps)

    @cached_property
    def savings(self) -> pd.DataFrame:
        """What would be saved if an agent, tool or model took no time: one row for each, the most first.

        ``n`` spans in ``traces`` traces, in ``on_path`` of which it is on the critical path; ``critical_s`` on it,
        which is the most that could be saved; ``saved_s`` saved; ``share`` of the duration. Over several traces the
        times are means over all of them, and ``low_s`` to ``high_s`` is the 95 % interval of ``saved_s`` (bootstrap
        over cases; null below five cases). A trace without an end does not count. ``saved_s`` is null
        where it was not worked out, in a very large trace.
        """
        return latency_tables.of_savings(self._measured)

    @property
    def tool_correlation(self) -> float | None:
        """Spearman's correlation, over the traces, of the time for tools with the duration; null below five traces."""
        return latency_tables.spearman(self.traces)

    @property
    def unknown(self) -> int:
        """How many traces have no end, and so no critical path."""
        return sum(of.total_ns is None for _, of in self._measured)

    def text(self) -> str:
        """Return the findings in a few lines."""
        from agenttrace_nb.analysis.latency_words import words

        return words(self)

    def chart(self) -> alt.LayerChart | alt.FacetChart:
        """Return what could be saved as an Altair chart: for each agent, tool and model its part and its saving.

        Without a browser library or a network it shows itself as a picture.
        """
        from agenttrace_nb.analysis.latency_words import savings_chart

        return savings_chart(self)

    def __len__(self) -> int:
        """Count the traces."""
        return len(self._measured)

    def __repr__(self) -> str:
        """Return the findings in a few lines."""
        return self.text()


def _traces(given: Any) -> list[Trace]:
    if isinstance(given, Trace):
        return [given]
    found = given if isinstance(given, Iterable) else getattr(given, "traces", None)
    if isinstance(found, Iterable) and not isinstance(found, str | bytes):
        found = list(found)
        if all(isinstance(trace, Trace) for trace in found):
            return found
    msg = f"trace_or_set={type(given).__name__} is not allowed; it must be a Trace, a Run, a TraceSet or traces"
    raise OptionError(msg)
