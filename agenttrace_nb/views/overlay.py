"""`overlay`: many runs as one graph, as data, as text, as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.overlay import END, START, Passed, StepGraph, step_graph
from agenttrace_nb.analysis.statistics.proportions import wilson
from agenttrace_nb.analysis.trace_set import TraceSet
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Status, Trace
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

_LABEL_CHARACTERS = 40


def overlay(traces: Any) -> Overlay:
    """Lay many traces over each other: one graph of agents and tools, where they branch, how often, to what end.

    A step is an agent, a tool call of an agent or a guardrail; a tool call that failed is a step of its own. What
    began after another step is drawn after it, so steps that ran at the same time stand in the order of their start.

    Parameters
    ----------
    traces
        What `agenttrace_nb.search` or `agenttrace_nb.run_cases` gives, or traces.

    Returns
    -------
    Overlay
        It shows itself; ``.edges`` and ``.nodes`` are tables.

    Raises
    ------
    OptionError
        If there are no traces.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> talk = [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "look"}}]}]
    >>> found = overlay([Trace.from_messages([*talk, {"role": "tool", "tool_call_id": "1", "content": "x"}])])
    >>> found.edges["to"].tolist()
    ['assistant: look', 'end']
    """
    if isinstance(traces, (Trace, str)) or not isinstance(traces, Iterable):
        msg = f"traces must be several traces, such as at.search gives; this is a {type(traces).__name__}"
        raise OptionError(msg)
    listed = list(traces)
    if not listed or not all(isinstance(t, Trace) for t in listed):
        msg = "traces is empty" if not listed else "traces must hold traces only"
        raise OptionError(f"{msg}; at.search(...) gives a set of them")
    said = traces.success if isinstance(traces, TraceSet) else lambda _: None
    # A trace that failed did not succeed, whether somebody said so or not.
    success = {t.trace_id: False if t.status is Status.ERROR and said(t) is None else said(t) for t in listed}
    return Overlay(step_graph(listed, success))


class Overlay:
    """What `overlay` found.

    Attributes
    ----------
    graph
        The graph, as data.
    """

    def __init__(self, graph: StepGraph) -> None:
        self.graph = graph

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row for each step: ``step``, ``kind``, ``runs``, ``times``, ``share``, and success with its interval."""
        import pandas as pd

        rows = [
            {"step": step, "kind": self.graph.kinds[step], **self._counts(passed, self.graph.runs)}
            for step, passed in sorted(self.graph.nodes.items(), key=lambda item: (self.graph.place[item[0]], item[0]))
        ]
        return pd.DataFrame(rows)

    @cached_property
    def edges(self) -> pd.DataFrame:
        """One row for each way from step to step: ``from``, ``to``, ``runs``, ``times``, ``share`` of the runs at
        ``from``, ``success`` (share of the runs whose success is known) with ``low`` and ``high`` (Wilson, 95 %).
        """  # noqa: D205 - the columns need both lines
        import pandas as pd

        place = self.graph.place
        order = sorted(self.graph.edges.items(), key=lambda item: (place[item[0][0]], item[0][0], -len(item[1].traces)))
        rows = [
            {"from": one, "to": other, **self._counts(passed, len(self.graph.nodes[one].traces))}
            for (one, other), passed in order
        ]
        return pd.DataFrame(rows)

    def _counts(self, passed: Passed, out_of: int) -> dict[str, Any]:
        good, known = len(passed.succeeded), len(passed.succeeded) + len(passed.failed)
        low, high = wilson(good, known) if known else (None, None)
        return {
            "runs": len(passed.traces), "times": passed.times, "share": len(passed.traces) / out_of,
            "success": good / known if known else None, "low": low, "high": high,
        }  # fmt: skip

    def chart(self) -> alt.TopLevelMixin:
        """Return the graph as an Altair chart, which notebooks show as a picture; at most the 60 commonest steps."""
        from agenttrace_nb.analysis.pictures import as_picture
        from agenttrace_nb.views.overlay_chart import draw

        return as_picture(draw(self.graph))

    def __repr__(self) -> str:
        """Return where the runs branch, as text."""
        graph = self.graph
        lines = [f"{graph.runs} runs, {len(graph.nodes) - 2} steps"]
        found = list(graph.branches())
        if not found:
            lines.append("All take the same way.")
        for step, ways in found:
            here = len(graph.nodes[step].traces)
            lines.append(f"after {_name(step)} ({here} runs)")
            lines += [f"  {len(p.traces):>5} of {here}  → {_name(to)}{_success(p)}" for to, p in ways]
        return "\n".join(lines)

    def _ipython_display_(self) -> None:
        from agenttrace_nb.views import notebook

        notebook.write_text(repr(self))
        if notebook.in_kernel(notebook.shell()):
            notebook.quietly("the picture of the overlay", self._show_picture)

    def _show_picture(self) -> None:
        from IPython.display import display

        display(self.chart())


def _name(step: str) -> str:
    return {START: "the start", END: "the end"}.get(step) or one_line(step, _LABEL_CHARACTERS)


def _success(passed: Passed) -> str:
    good, known = len(passed.succeeded), len(passed.succeeded) + len(passed.failed)
    if not known:
        return ""
    low, high = wilson(good, known)
    return f"   {good} of {known} succeeded ({100 * low:.0f} to {100 * high:.0f} %)"
