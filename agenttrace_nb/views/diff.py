"""`diff`: two traces side by side, as data, as text and as HTML."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.trace_diff import StepDiff, diff_steps
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from agenttrace_nb.analysis.trace_diff import Step


def diff(a: Any, b: Any) -> TraceDiff:
    """Compare two traces step by step.

    Steps are found again by what they are and what is in them, not by their place: one step more at the beginning
    does not make all others different. What is made anew in each run, such as ids and times, makes no difference; of
    a prompt what counts is what the agent was told and asked, since answers and results are steps of their own.

    Parameters
    ----------
    a, b
        Traces, ids that `agenttrace_nb.load` takes, or runs with one trace.

    Returns
    -------
    TraceDiff
        It shows itself; ``.first`` is the first step that is not the same, ``.steps`` the table of all.

    Raises
    ------
    OptionError
        If one of them is no trace.
    LookupError
        If there is nothing of an id.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> ask = {"role": "user", "content": "hi"}
    >>> one = Trace.from_messages([ask, {"role": "assistant", "content": "hello"}])
    >>> other = Trace.from_messages([ask, {"role": "assistant", "content": "good day"}])
    >>> diff(one, other).counts["changed"]
    1
    """
    return TraceDiff(diff_steps(_trace("a", a), _trace("b", b)))


def _trace(name: str, given: Any) -> Trace:
    if isinstance(given, Trace):
        return given
    if isinstance(given, str):
        from agenttrace_nb.analysis.search import load

        return load(given)
    traces = getattr(given, "traces", None)
    if isinstance(traces, list) and len(traces) == 1:
        found: Trace = traces[0]
        return found
    what = f"has {len(traces)} traces; name one of them" if isinstance(traces, list) else "is none"
    msg = f"{name} must be a trace, its id, or a run with one trace; this {type(given).__name__} {what}"
    raise OptionError(msg)


class TraceDiff:
    """What `diff` found.

    Attributes
    ----------
    found
        Every step of both traces, classed.
    """

    def __init__(self, found: StepDiff) -> None:
        self.found = found

    @property
    def first(self) -> Step | None:
        """The first step that is not the same: ``.kind``, ``.a``, ``.b``, ``.changes``; None if all are the same."""
        return self.found.first

    @property
    def counts(self) -> dict[str, int]:
        """How many steps are ``same``, ``changed``, ``added``, ``removed`` and ``moved``; turns are not counted."""
        return {kind.value: count for kind, count in self.found.counts().items()}

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row for each step in reading order.

        Columns: ``class``, ``kind``, ``name``, ``agent``, ``depth``, ``changed`` (parts, separated by commas),
        ``span_a``, ``span_b``, and by how much b is above a: ``duration_s``, ``input_tokens``, ``output_tokens``,
        ``cost_usd``. A figure that one side does not know is null.
        """
        import pandas as pd

        figures = ("duration_s", "input_tokens", "output_tokens", "cost_usd")
        rows = [
            {
                "class": s.kind.value, "kind": s.span.kind.value, "name": s.span.name, "agent": s.span.agent,
                "depth": s.depth, "changed": ", ".join(c.part for c in s.changes) or None,
                "span_a": s.a.span_id if s.a else None, "span_b": s.b.span_id if s.b else None,
                **{name: s.delta(name) for name in figures},
            }
            for s in self.found.steps
        ]  # fmt: skip
        texts = ("class", "kind", "name", "agent", "changed", "span_a", "span_b")
        kinds = dict.fromkeys(texts, "string") | {"depth": "Int64"} | dict.fromkeys(figures, "Float64")
        return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)

    def to_html(self, path: str | Path) -> Path:
        """Write the comparison as one HTML file that needs nothing else.

        Returns
        -------
        Path
            The file's absolute path.
        """
        from agenttrace_nb.views.diff_html import write_page

        return write_page(path, self.found)

    def __repr__(self) -> str:
        """Return the comparison as text."""
        from agenttrace_nb.views.diff_text import text

        return text(self.found)

    def _repr_html_(self) -> str:
        from agenttrace_nb.views.diff_html import part

        return part(self.found)
