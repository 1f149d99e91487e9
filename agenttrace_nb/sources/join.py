"""Which trace stands behind a value: the one that it names, the one whose labels it has, or the one of that time.

The rules are tried in this order, and each row says by which one it was joined. Time alone proves little: rows joined
by it say ``window, approximate``, and rows to which several runs fit are joined to none. A value stands for the time
since the one before it, so that a run that is shorter than a step is met too.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from agenttrace_nb.spans import NS_PER_S, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

BY_ID = "trace id"
BY_WINDOW = "window, approximate"
SESSION_LABELS = ("session", "session_id", "conversation_id", "gen_ai_conversation_id")
RUN_LABELS = ("run_id", "mlflow_run_id", "agenttrace_run_id")
OWN_COLUMNS = ("time", "value", "metric", "trace_id", "run_id", "joined")
_Joined = tuple[str | None, str | None, str | None]
"""Trace id, run id, and by which rule."""

_TAGS = ("arch", "case", "trial")


def join(frame: pd.DataFrame, traces: Iterable[Trace]) -> pd.DataFrame:
    """Return a frame of values with the columns ``trace_id``, ``run_id`` and ``joined``.

    Parameters
    ----------
    frame
        ``time`` (UTC), ``value``, ``metric``, ``trace_id`` and one column for each label, as `pull` gives it, with
        the seconds from one value to the next in ``.attrs["step_s"]``.
    traces
        The traces that may stand behind the values.

    Returns
    -------
    pandas.DataFrame
        A copy. ``joined`` is ``trace id``, ``label NAME``, ``window, approximate``, ``window, 3 runs at that time``, or
        null where nothing fits.

    Examples
    --------
    >>> import pandas as pd
    >>> at = pd.Timestamp(5, unit="s", tz="UTC")
    >>> rows = pd.DataFrame({"time": [at], "value": [1.0], "metric": ["up"], "trace_id": [None]})
    >>> trace = Trace(trace_id="a" * 32, name="t", start_ns=0, end_ns=9_000_000_000, run_id="r")
    >>> join(rows, [trace])[["run_id", "joined"]].to_dict("list")
    {'run_id': ['r'], 'joined': ['window, approximate']}
    """
    import pandas as pd

    known = list(traces)
    index = _Index(known, round(frame.attrs.get("step_s", 0) * NS_PER_S))
    labels = [name for name in frame.columns if name not in OWN_COLUMNS]
    found: list[_Joined] = []
    times = [at.value for at in frame["time"]]
    rows = zip(times, frame["trace_id"], frame[labels].itertuples(index=False, name=None), strict=True)
    for at_ns, trace_id, values in rows:
        said = {name: value for name, value in zip(labels, values, strict=True) if isinstance(value, str) and value}
        found.append(index.find(at_ns, trace_id if isinstance(trace_id, str) else None, said))
    names = ("trace_id", "run_id", "joined")
    columns = {
        name: pd.Series([row[at] for row in found], dtype="object", index=frame.index) for at, name in enumerate(names)
    }
    joined = frame.assign(**columns)
    joined.attrs = dict(frame.attrs)
    return joined


class _Index:
    def __init__(self, traces: list[Trace], step_ns: int) -> None:
        self._step_ns = step_ns
        self._by_id = {trace.trace_id: trace for trace in traces}
        self._by_start = sorted(traces, key=lambda trace: trace.start_ns)
        self._starts = [trace.start_ns for trace in self._by_start]
        self._longest_ns = max(((t.end_ns or t.start_ns) - t.start_ns for t in traces), default=0)
        self._by_label: dict[tuple[str, str], list[Trace]] = {}
        for trace in traces:
            for name in RUN_LABELS:
                self._by_label.setdefault((name, trace.run_id or ""), []).append(trace)
            for name in SESSION_LABELS:
                self._by_label.setdefault((name, trace.session or ""), []).append(trace)

    def find(self, at_ns: int, trace_id: str | None, labels: Mapping[str, str]) -> _Joined:
        if trace_id is not None:
            trace = self._by_id.get(trace_id.removeprefix("tr-"))
            return (trace.trace_id, trace.run_id, BY_ID) if trace else (trace_id, None, None)
        for name in (*RUN_LABELS, *SESSION_LABELS):
            if name in labels:
                fitting = self._by_label.get((name, labels[name]), [])
                return _only([t for t in fitting if self._spans(t, at_ns)] or fitting, f"label {name}")
        return _only([t for t in self._at(at_ns) if _agrees(t, labels)], BY_WINDOW)

    def _at(self, at_ns: int) -> list[Trace]:
        first = bisect.bisect_left(self._starts, at_ns - self._step_ns - self._longest_ns)
        last = bisect.bisect_right(self._starts, at_ns)
        return [trace for trace in self._by_start[first:last] if self._spans(trace, at_ns)]

    def _spans(self, trace: Trace, at_ns: int) -> bool:
        end_ns = trace.end_ns if trace.end_ns is not None else trace.start_ns
        return trace.start_ns <= at_ns and end_ns >= at_ns - self._step_ns


def _agrees(trace: Trace, labels: Mapping[str, str]) -> bool:
    return all(labels[name] == trace.tags[name] for name in _TAGS if name in labels and name in trace.tags)


def _only(fitting: list[Trace], rule: str) -> _Joined:
    if len(fitting) == 1:
        return fitting[0].trace_id, fitting[0].run_id, rule
    runs = {trace.run_id or trace.trace_id for trace in fitting}
    if len(runs) == 1:
        return None, fitting[0].run_id, rule
    return None, None, f"{rule.partition(',')[0]}, {len(runs)} runs at that time" if fitting else None
