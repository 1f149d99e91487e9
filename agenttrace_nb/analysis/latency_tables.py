"""The tables of `Latency`. Times in seconds; what is not known is null, never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.latency_slack import equal_split, slack
from agenttrace_nb.analysis.latency_steps import concurrency
from agenttrace_nb.spans import NS_PER_S, SpanKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from agenttrace_nb.analysis.latency_measure import Timed
    from agenttrace_nb.spans import Span, Trace

    Measured = Sequence[tuple[Trace, Timed]]

WAITING = "waiting"
LEAST_CASES = 5
_NAMED = ("trace_id", "span_id", "kind", "name", "agent", "model")
_TRACE = (
    "trace_id", "arch", "case", "duration_s", "llm_s", "tool_s", "waiting_s", "other_s", "tool_share", "first_token_s",
    "concurrency",
)  # fmt: skip
_SELF_TIME = ("what", "name", "n", "traces", "self_s", "share", "median_s", "max_s", "ttft_s")
_SAVINGS = ("what", "name", "n", "traces", "on_path", "critical_s", "saved_s", "share", "low_s", "high_s")
_TEXTS = ("trace_id", "span_id", "kind", "name", "agent", "model", "arch", "case", "what")
_COUNTS = ("n", "traces", "on_path")


def of_steps(measured: Measured) -> pd.DataFrame:
    """Return one row for each span."""
    times: dict[str, list[float | None]] = {name: [] for name in ("self_s", "critical_s", "slack_s", "split_s")}
    for _, of in measured:
        times["self_s"] += map(_seconds, of.self_ns)
        times["critical_s"] += map(_seconds, of.critical_ns)
        times["slack_s"] += map(_seconds, slack(of.steps))
        times["split_s"] += map(_seconds, equal_split(of.steps))
    spans = [span for _, of in measured for span in of.spans]
    return _columns({**_named(spans), "duration_s": [span.duration_s for span in spans], **times})


def of_traces(measured: Measured) -> pd.DataFrame:
    """Return one row for each trace."""
    return _frame([_trace_row(trace, of) for trace, of in measured], _TRACE)


def of_path(measured: Measured, steps: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each piece of the critical paths; ``steps`` are those of `of_steps`."""
    rows: list[int] = []
    ids: list[str] = []
    starts: list[float] = []
    took: list[float] = []
    shares: list[float | None] = []
    waiting: list[bool] = []
    first = 0
    for trace, of in measured:
        whole, total = of.steps.whole, of.total_ns
        waits = [of.waits(step) for step in range(whole + 1)] if of.path else []
        begin = of.path[0].start_ns if of.path else 0
        ids += [trace.trace_id] * len(of.path)
        for step, start_ns, end_ns in of.path:
            rows.append(first + step if step != whole else -1)
            starts.append((start_ns - begin) / NS_PER_S)
            took.append((end_ns - start_ns) / NS_PER_S)
            shares.append((end_ns - start_ns) / total if total else None)
            waiting.append(waits[step])
        first += whole
    table = _columns({"start_s": starts, "critical_s": took, "share": shares, WAITING: waiting})
    for at, name in enumerate(_NAMED):
        # Arrow takes nothing from an empty column, not even what is to be null.
        table.insert(at, name, steps[name].array.take(rows, allow_fill=True) if rows else steps[name].array[:0])
    table["trace_id"] = _columns({"trace_id": ids})["trace_id"]
    return table


def of_self_time(measured: Measured, steps: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each agent, tool, model and kind."""
    import pandas as pd

    table = steps.assign(ttft_s=pd.array([span.ttft_s for _, of in measured for span in of.spans], dtype="Float64"))
    total_s = sum(of.total_ns or 0 for _, of in measured) / NS_PER_S
    llm, own_agent = table["kind"] == SpanKind.LLM.value, table["kind"] == SpanKind.AGENT.value
    table.loc[llm, "model"] = table["model"].fillna(table["name"])[llm]
    table.loc[own_agent, "agent"] = table["agent"].fillna(table["name"])[own_agent]
    parts = {
        "agent": (table, own_agent),
        "tool": (table[table["kind"] == SpanKind.TOOL.value].assign(tool=table["name"]), None),
        "model": (table[llm], None),
        "kind": (table, None),
    }
    found = []
    for what, (part, calls) in parts.items():
        took = (part if calls is None else part[calls]).groupby(what, sort=False)
        joined = part.groupby(what, sort=False).agg(traces=("trace_id", "nunique"), ttft_s=("ttft_s", "median"))
        joined["self_s"] = part.groupby(what, sort=False)["self_s"].sum(min_count=1)
        joined["share"] = joined["self_s"] / total_s if total_s else pd.NA
        joined = joined.join(
            took.agg(n=("span_id", "size"), median_s=("duration_s", "median"), max_s=("duration_s", "max"))
        )
        joined["n"] = joined["n"].fillna(0)
        found.append(
            joined.reset_index(names="name").assign(what=what).sort_values("self_s", ascending=False, kind="stable")
        )
    return _frame([row for frame in found for row in frame.to_dict("records")], _SELF_TIME)


def of_savings(measured: Measured) -> pd.DataFrame:
    """Return one row for each agent, tool and model that could have taken no time."""
    ended = [(trace, of) for trace, of in measured if of.total_ns is not None]
    total_s = sum(of.total_ns or 0 for _, of in ended) / NS_PER_S
    cases = [trace.tags.get("case") or trace.trace_id for trace, _ in ended]
    rows: list[dict[str, Any]] = []
    for group in dict.fromkeys(group for _, of in ended for group in of.groups):
        parts = [of.saved.get(group, (0, 0)) for _, of in ended]
        saved = [ns / NS_PER_S for _, ns in parts if ns is not None]
        mean = sum(saved) / len(saved) if len(saved) == len(parts) else None
        low, high = (None, None) if mean is None else _interval(saved, cases)
        rows.append({
            "what": group[0], "name": group[1], "n": sum(len(of.groups.get(group, ())) for _, of in ended),
            "traces": sum(group in of.groups for _, of in ended), "on_path": sum(part > 0 for part, _ in parts),
            "critical_s": sum(part for part, _ in parts) / NS_PER_S / len(ended), "saved_s": mean,
            "share": None if mean is None or not total_s else mean * len(ended) / total_s, "low_s": low, "high_s": high,
        })  # fmt: skip
    rows.sort(key=lambda row: (-(row["saved_s"] or 0), -row["critical_s"], row["what"], row["name"]))
    return _frame(rows, _SAVINGS)


def spearman(measured: pd.DataFrame) -> float | None:
    """Return the rank correlation of the time for tools with the duration; ``None`` where there is too little."""
    known = measured[["duration_s", "tool_s"]].dropna().astype(float)
    if len(known) < LEAST_CASES or (known.nunique() < 2).any():  # noqa: PLR2004 - without a spread there is none
        return None
    ranks = known.rank()
    return float(ranks["duration_s"].corr(ranks["tool_s"]))


def _named(spans: Sequence[Span]) -> dict[str, list[Any]]:
    kinds = {kind: kind.value for kind in SpanKind}
    return {name: [getattr(s, name) for s in spans] for name in _NAMED} | {"kind": [kinds[s.kind] for s in spans]}


def _trace_row(trace: Trace, of: Timed) -> dict[str, Any]:
    row: dict[str, Any] = {"trace_id": trace.trace_id, "arch": trace.tags.get("arch"), "case": trace.tags.get("case")}
    start, end, ended = of.steps.start, of.steps.end, of.steps.ended
    calls = [at for at, span in enumerate(of.spans) if span.kind in (SpanKind.LLM, SpanKind.TOOL) and ended[at]]
    row["concurrency"] = concurrency([(start[at], end[at]) for at in calls])
    heard = [s.start_ns + s.ttft_s * NS_PER_S for s in of.spans if s.kind is SpanKind.LLM and s.ttft_s is not None]
    row["first_token_s"] = (min(heard) - start[of.steps.whole]) / NS_PER_S if heard else None
    if of.total_ns is None:
        return row
    parts = {"llm_s": 0, "tool_s": 0, "waiting_s": 0, "other_s": 0}
    for piece in of.path:
        name = "waiting_s" if of.waits(piece.step) else f"{of.spans[piece.step].kind.value}_s"
        parts[name if name in parts else "other_s"] += piece.end_ns - piece.start_ns
    row |= {name: _seconds(part) for name, part in parts.items()}
    row["duration_s"] = _seconds(of.total_ns)
    row["tool_share"] = parts["tool_s"] / of.total_ns if of.total_ns else None
    return row


def _interval(values: Sequence[float], cases: Sequence[str]) -> tuple[float | None, float | None]:
    # Trials of one case are not independent: cases are drawn, each with all of its trials.
    totals: dict[str, list[float]] = {}
    for value, case in zip(values, cases, strict=True):
        total = totals.setdefault(case, [0.0, 0.0])
        total[0] += value
        total[1] += 1
    if len(totals) < LEAST_CASES:
        return None, None
    from agenttrace_nb.analysis.statistics.bootstrap import bca

    found = bca(list(totals.values()), lambda sums: sums[..., 0] / sums[..., 1])
    return found.low, found.high


def _seconds(ns: float | None) -> float | None:
    return None if ns is None else ns / NS_PER_S


def _frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return _columns({name: [row.get(name) for row in rows] for name in columns})


def _columns(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    def column(name: str, found: Sequence[Any]) -> Any:
        if name in _TEXTS:
            return pd.array(found, dtype="string")
        if name in _COUNTS or name == WAITING:
            return pd.array(found, dtype="Int64" if name in _COUNTS else "boolean")
        known = [None if value is pd.NA else value for value in found]
        return pd.array(np.array(known, dtype=np.float64), dtype="Float64")  # None becomes NaN, and that NA

    return pd.DataFrame({name: column(name, found) for name, found in columns.items()})
